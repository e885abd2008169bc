"""The agents of a study, in one configuration: filled up from the configuration's own, and checked as everything is."""

from __future__ import annotations

from typing import Any

import pytest
from schema_oracle import meets
from toy_study import Load

from lifelong.config import ConfigError
from lifelong.config.errors import Report
from lifelong.config.schema import config_schema
from lifelong.config.source import read_text

GRID = """\
stream: {name: permuted, data: {name: digits}}
agent: {name: flagship, network: {name: mlp, hidden: [7]}, optimizer: {name: sgd, lr: 0.5}}
agents:
  plain: finetune
  other network: {name: gpm, network: {name: mlp, hidden: [9, 9]}}
  still: persistence
"""


def test_agents_take_network_and_optimizer_from_the_configuration_s_own(load: Load) -> None:
    found = load(GRID).as_dict()
    own, agents = found["agent"], found["agents"]
    assert list(agents) == ["plain", "other network", "still"]
    assert agents["plain"] == {"name": "finetune", "network": own["network"], "optimizer": own["optimizer"]}
    assert agents["other network"]["network"]["hidden"] == [9, 9]
    assert agents["other network"]["optimizer"] == own["optimizer"]
    assert "network" not in agents["still"]
    assert (own["network"]["hidden"], own["optimizer"]["lr"]) == ([7], 0.5)


def test_what_is_written_out_loads_as_the_same(load: Load) -> None:
    resolved = load(GRID, "agents.plain.optimizer.lr=0.25")
    assert resolved.as_dict()["agents"]["plain"]["optimizer"]["lr"] == 0.25
    assert load(resolved.to_yaml()).as_dict() == resolved.as_dict()


def test_another_algorithm_does_not_take_the_first_one_s_settings(load: Load) -> None:
    found = load(
        "stream: cartpole_flip\n"
        "agent: {name: lifelong_rl, algorithm: ppo, settings: {n_epochs: 3}}\n"
        "agents: {same: finetune_rl, other: {name: finetune_rl, algorithm: dqn}}\n"
    ).as_dict()["agents"]
    assert (found["same"]["algorithm"], found["same"]["settings"]) == ("ppo", {"n_epochs": 3})
    assert found["other"]["settings"] is None


def test_mistakes_in_agents_are_told_with_their_lines(load: Load) -> None:
    text = GRID + "  wrong: {name: gpm, optimiser: sgd}\n  none: {network: mlp}\n  who: finetun\n"
    with pytest.raises(ConfigError) as caught:
        load(text)
    told = [str(problem) for problem in caught.value.problems]
    assert told[0].startswith("study.yaml:7: agents.wrong.optimiser: unknown key. Did you mean 'optimizer'?")
    assert told[1].startswith("study.yaml:8: agents.none: 'name' is missing")
    assert told[2].startswith("study.yaml:9: agents.who.name: got 'finetun'")
    with pytest.raises(ConfigError, match="got 3, expected a mapping from names of your own, each to a section"):
        load(GRID, "agents=3")


def test_a_changed_configuration_tells_mistakes_of_its_agent_where_it_was_written(load: Load) -> None:
    resolved = load(GRID + "  small: {name: joint, rehearsals: 0}\n")
    changed = resolved.changed({"agent": resolved.as_dict()["agents"]["small"], "agents": {}, "seed": 4}, "small")
    assert (changed.seed, changed.agent_name, changed.as_dict()["agents"]) == (4, "joint", {})
    with pytest.raises(ConfigError, match=r"study.yaml:7: agent: joint: rehearsals must be at least 1 batch, got 0"):
        changed.build()
    # A single run leaves the other agents out, whatever they are.
    assert resolved.build().agent.name == "flagship"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return config_schema()


@pytest.mark.parametrize(("agents", "fits"), [("{a: gpm, b: {name: gpm, memory: 3}}", True), ("{a: 3}", False)])
def test_the_schema_knows_agents(agents: str, fits: bool, schema: dict[str, Any]) -> None:
    data = read_text(GRID.partition("agents:")[0] + f"agents: {agents}", Report(""), lines={})
    assert meets(data, schema, schema) == fits
