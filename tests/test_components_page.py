"""docs/components.md: no entry point is missing, and what it says of retention methods is what they do."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from lifelong.experience import Batch
from lifelong.objective import Classification, Contract
from lifelong.retention.model import Model
from lifelong.retention.retained import Retained

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs/components.md").read_text(encoding="utf-8")
GROUPS = {
    group.removeprefix("lifelong."): entries
    for group, entries in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"].items()
}
BY_HAND = {"agents": "Agents", "retention": "Retention methods", "subspaces": "Subspace methods"}


def rows_of(heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading: the name, and the other cells."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in section.splitlines() if row[:3] == "| ["]
    return {re.findall(r"\[`(\w+)`\]", row[0])[0]: row[1:] for row in rows}


def made(group: str, name: str) -> Any:
    module, attribute = GROUPS[group][name].split(":")
    return getattr(import_module(module), attribute)


@pytest.mark.parametrize("group", BY_HAND)
def test_tables_written_by_hand_list_every_entry_point(group: str) -> None:
    assert sorted(rows_of(BY_HAND[group])) == sorted(GROUPS[group])


def test_all_other_groups_are_filled_in_by_the_site() -> None:
    filled = re.findall(r"<!-- components: (\w+) -->", TEXT)
    assert sorted([*filled, *BY_HAND]) == sorted(GROUPS)


@pytest.mark.parametrize("group", BY_HAND)
def test_names_lead_to_the_file_of_the_component(group: str) -> None:
    section = TEXT.split(f"\n## {BY_HAND[group]}\n")[1].split("\n## ")[0]
    for name, target in re.findall(r"\| \[`(\w+)`\]\(\.\./(\S+?)\)", section):
        assert (ROOT / target).exists()
        assert target.removesuffix(".py").endswith(GROUPS[group][name].split(":")[0].replace(".", "/"))


@pytest.mark.parametrize("name", sorted(GROUPS["retention"]))
def test_its_needs_are_what_the_method_says(name: str) -> None:
    needs, (ends, labels) = made("retention", name)().needs, rows_of("Retention methods")[name][3:5]
    assert (needs.ends, needs.labels) == (ends, {"no": False, "in training and judging": True}[labels])


@pytest.mark.parametrize("name", sorted(GROUPS["retention"]))
def test_what_a_method_stores_is_what_it_counts(name: str) -> None:
    says = rows_of("Retention methods")[name][2]
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    numbers = sum(p.numel() for p in module.parameters())
    retained = Retained(Model(module), (made("retention", name)(),))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    retained.meet()
    contract = Contract((4,), 3, Classification())
    batches = [Batch(torch.randn(8, 4), torch.arange(8) % 3, contract, task="first") for _ in range(4)]
    for batch in batches:
        optimizer.zero_grad()
        retained.step(optimizer, batch, module(batch.inputs))
    retained.consolidate(batches)
    stored = retained.stored()
    # Four batches of eight are fewer than any capacity.
    assert stored.samples == (32 if "`capacity` samples" in says else 0)
    counted = re.match(r"(one|two|three|seven) numbers? to a parameter", says)
    if counted:
        assert stored.bytes == {"one": 1, "two": 2, "three": 3, "seven": 7}[counted[1]] * 4 * numbers
    elif "copy of the network" in says:
        assert stored.bytes >= 4 * numbers
    elif not stored.samples and name != "packnet":
        assert stored.bytes < 64
