"""What the README promises: its Python runs, its configuration is valid, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from lifelong.config import load_config

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def test_every_piece_of_python_runs_and_prints_what_it_says(capsys):
    torch.manual_seed(0)
    space: dict[str, object] = {}
    printed = []
    for block in blocks("python"):
        exec(block, space)
        printed.append(capsys.readouterr().out)
    retained, study, detector, unlabelled, protected, pool, metrics = printed
    assert retained == "Stored(samples=50, bytes=6248)\n"
    acc, bwt, experts = study.split("\n")[0].split()
    assert float(acc) > 0.9
    assert float(bwt) > -0.02
    assert experts == "2"
    assert detector == "the world changed 5 losses ago, at 50\n"
    assert float(re.search(r"[\d.e-]+(?=,|\))", protected)[0]) < 1e-4
    (inputs,) = unlabelled.splitlines()
    assert inputs.startswith("the inputs changed ")
    assert int(inputs.split()[-1]) in range(78, 83)
    assert pool == "1 [1, 1, 1, 1] [True, True, True, True]\n"
    assert [float(value) for value in metrics.split()] == pytest.approx([0.85, -0.1, 0.1, 0.2])


def test_the_configurations_are_valid(tmp_path):
    for text, agent in zip(blocks("yaml"), ("flagship", "retain", "lifelong_rl"), strict=True):
        (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
        resolved = load_config(tmp_path / "study.yaml")
        assert resolved.agent_name == agent
        resolved.build()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)]+)\)", TEXT))))
def test_links_lead_to_files(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("config", sorted(p.name for p in (ROOT / "configs").glob("*.yaml")))
def test_every_study_says_how_to_run_it(config):
    first = (ROOT / "configs" / config).read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# lifelong run configs/{config}")
    load_config(ROOT / "configs" / config)


def test_the_package_front_has_what_it_promises():
    import lifelong

    for name in lifelong.__all__:
        assert getattr(lifelong, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lifelong.nothing  # noqa: B018
