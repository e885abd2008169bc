"""Networks that cannot take the inputs of a task are told before anything runs, with the key that names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lifelong.config import ConfigError, load_config

STUDY = """\
stream: {name: datasets, data: [digits, {name: bundled, table: wine}, {name: bundled, table: diabetes}]}
agent:
  name: AGENT
reference: {name: finetune, network: mlp}
"""


@pytest.fixture
def told(tmp_path: Path) -> Callable[[str], str]:
    """What is said of a configuration with this agent."""

    def load(agent: str) -> str:
        (tmp_path / "study.yaml").write_text(STUDY.replace("AGENT", agent))
        try:
            load_config(tmp_path / "study.yaml").build()
        except ConfigError as error:
            return "\n".join(str(problem) for problem in error.problems)
        return ""

    return load


@pytest.mark.parametrize(
    ("agent", "key"),
    [
        ("finetune\n  network: cnn", "agent.network"),
        ("flagship\n  network: {name: compact}", "agent.network"),
        ("flagship\n  router: {name: trained, network: cnn}", "agent.router.network"),
        ("retain\n  network: compact\n  retention: [ewc]", "agent.network"),
    ],
)
def test_a_network_that_cannot_take_a_later_task_is_told_once(told: Callable[[str], str], agent: str, key: str) -> None:
    said = told(agent)
    assert said.count("\n") == 0
    assert f": {key}: task 'wine' has other inputs than " in said
    assert "got (13,)" in said


def test_networks_that_fit_and_agents_of_ones_own_are_left_alone(told: Callable[[str], str]) -> None:
    assert told("flagship\n  network: mlp\n  router: {name: trained, network: mlp}") == ""
    # What an agent of one's own makes of the inputs before its network sees them, nobody else knows.
    assert told("'lifelong_agents.finetune:Finetune'\n  network: cnn") == ""


def test_nothing_is_made_to_find_out(told: Callable[[str], str]) -> None:
    assert told("finetune\n  network: {name: mlp, hidden: [1000000000000]}") == ""
