"""Who takes part in a study, with which settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifelong.config import Resolved
from lifelong.config.locate import NotFound
from lifelong.study.grid import able
from lifelong.study.plan import plan_study, seeds_of
from lifelong.study.references import REFERENCES, references_of

Load = Callable[..., Resolved]
INSTALLED = ("naive", "joint", "independent")


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", (0, 1, 2, 3, 4)), ("7", (7,)), ("3, 0,8-9", (3, 0, 8, 9)), ("5-5", (5,))]
)
def test_seeds_are_numbers_and_ranges(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_of(text) == seeds


@pytest.mark.parametrize("text", ["", "4-0", "-1", "1,,2", "a", "0-2,1", "1.5"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="got --seeds"):
        seeds_of(text)


def test_references_are_named_or_all_or_none() -> None:
    assert references_of("all") == REFERENCES
    assert references_of("none") == ()
    assert references_of("joint,naive,joint") == ("joint", "naive")
    with pytest.raises(ValueError, match="'jiont' is none of them"):
        references_of("naive,jiont")


def test_a_grid_of_the_file_s_agents_and_seeds(load: Load) -> None:
    plan = plan_study(load("record.tags=[x]"), Path("out/tiny study"), (3, 5), references=())
    assert [contender.label for contender in plan.contenders] == ["plain", "slow"]
    cells = list(plan.cells())
    assert [(cell.contender.label, cell.seed) for cell in cells] == [
        ("plain", 3),
        ("slow", 3),
        ("plain", 5),
        ("slow", 5),
    ]
    assert cells[3].path == Path("out/tiny study/slow/seed-5")
    settings = cells[3].settings
    assert (settings["seed"], settings["reference"], settings["agents"]) == (5, None, {})
    assert settings["agent"]["optimizer"]["lr"] == 0.001
    assert settings["agent"]["network"]["hidden"] == [8]
    assert (settings["record"]["group"], settings["record"]["console"]) == ("tiny study", False)
    assert settings["record"]["tags"] == ["x"]
    assert plan.baseline is None


def test_a_group_that_was_given_stays(load: Load) -> None:
    (cell, *_) = plan_study(load("record.group=mine"), Path("out"), (0,), references=()).cells()
    assert cell.settings["record"]["group"] == "mine"


def test_agents_by_label_by_name_and_by_module(load: Load) -> None:
    plan = plan_study(load(), Path("out"), (0,), ("slow", "gpm", "study_parts:Trap"), references=())
    assert [contender.label for contender in plan.contenders] == ["slow", "gpm", "Trap"]
    gpm = plan.contenders[1].config.as_dict()["agent"]
    assert gpm["network"]["hidden"] == [8]
    assert (gpm["optimizer"]["name"], gpm["optimizer"]["lr"]) == ("adam", 0.01)
    assert plan.contenders[2].config.agent_name == "Trap"


def test_without_agents_the_file_s_own_takes_part(load: Load) -> None:
    plan = plan_study(load("agents={}"), Path("out"), (0,), references=())
    assert [contender.label for contender in plan.contenders] == ["finetune"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("slwo",), "--agents slwo: got 'slwo', which is not among lifelong.agents.*labels: plain, slow"),
        (("plain", "plain"), "in which an agent is there twice"),
    ],
)
def test_agents_that_are_not_there(load: Load, asked: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        plan_study(load(), Path("out"), (0,), asked)


def test_references_are_added_and_those_that_are_missing_are_told(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    from lifelong.study import references

    monkeypatch.setitem(references.AGENTS, "frozen", "no_such_agent")
    plan = plan_study(load(), Path("out"), (0,), ("slow",), (*INSTALLED, "frozen"))
    assert [(c.label, c.is_reference) for c in plan.contenders] == [
        ("slow", False),
        ("naive", True),
        ("joint", True),
        ("independent", True),
    ]
    assert plan.left_out == (("frozen", "no agent 'no_such_agent' is installed"),)
    assert plan.baseline == "naive"
    labels = [c.config.as_dict()["stream"]["scenario"]["labels"] for c in plan.contenders]
    assert labels == ["never", "never", "never", "judging"]


def test_a_reference_has_the_agent_s_network_and_optimizer_unless_it_says_otherwise(load: Load) -> None:
    def of(*overrides: str) -> dict[str, Any]:
        found: dict[str, Any] = load("agent.network.hidden=[5]", *overrides).as_dict()["reference"]
        return found

    plain = of("reference=finetune")
    assert plain["network"]["hidden"] == [5]
    assert (plain["optimizer"]["name"], plain["optimizer"]["lr"]) == ("adam", 0.01)
    own = of("reference={name: finetune, optimizer: {name: sgd, lr: 0.5}}")
    assert (own["network"]["hidden"], own["optimizer"]["lr"]) == ([5], 0.5)
    plan = plan_study(load("agent.network.hidden=[5]", "reference=finetune"), Path("out"), (0,), ("slow",), ("naive",))
    assert [c.config.as_dict()["agent"]["network"]["hidden"] for c in plan.contenders] == [[5], [5]]


def test_all_agents_that_cannot_live_in_the_stream_are_named_at_once(load: Load) -> None:
    agents = "agents={pack: {name: retain, retention: [packnet]}, late: {name: retain, retention: [{name: redo}]}}"
    plan = plan_study(load(agents), Path("out"), (0,), references=())
    with pytest.raises(ValueError, match=r"(?s)agent pack cannot.*agent late cannot.*Leave them out \(--agents\)"):
        able(plan.contenders)


def test_a_reference_that_is_broken_is_left_out(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    from lifelong.study import references

    def broken(*_: object) -> None:
        raise NotFound("'joint' cannot be imported")

    monkeypatch.setattr(references, "with_shared", broken)
    plan = plan_study(load(), Path("out"), (0,), references=("joint",))
    assert plan.left_out == (("joint", "'joint' cannot be imported"),)


def test_who_must_be_told_the_task_is_left_out_where_nobody_can_tell(load: Load) -> None:
    relay = load("stream={name: relay, streams: ['study_parts:blobs']}", "agents={}")
    plan = plan_study(relay, Path("out"), (0,), references=("independent",))
    assert plan.left_out == (
        ("independent", "it must be told which task it is in, and this stream has no scenario.labels"),
    )


def test_a_reference_that_takes_part_anyway_is_not_run_twice(load: Load) -> None:
    plan = plan_study(load(), Path("out"), (0,), ("plain", "slow"), INSTALLED)
    assert [contender.label for contender in plan.contenders] == ["plain", "slow", "joint", "independent"]
    assert plan.baseline == "plain"


def test_the_configuration_s_own_unprotected_reference_is_the_naive_one(load: Load) -> None:
    own = "reference={name: finetune, network: {name: mlp, hidden: [3]}}"
    plan = plan_study(load(own), Path("out"), (0,), ("slow",), ("naive",))
    assert plan.contenders[1].config.as_dict()["agent"]["network"]["hidden"] == [3]
    plan = plan_study(load("reference=persistence"), Path("out"), (0,), ("slow",), ("naive",))
    assert plan.contenders[1].config.agent_name == "finetune"


def test_a_baseline_must_take_part(load: Load) -> None:
    assert plan_study(load(), Path("out"), (0,), baseline="slow", references=()).baseline == "slow"
    with pytest.raises(ValueError, match=r"--baseline 'slwo' takes no part\. Did you mean 'slow'"):
        plan_study(load(), Path("out"), (0,), baseline="slwo", references=())


def test_labels_that_cannot_be_told_apart_as_folders_are_refused(load: Load) -> None:
    resolved = load("agents={'a/b': finetune, 'a b': finetune}")
    with pytest.raises(ValueError, match="'a/b' and 'a b' would share the folder 'a-b'"):
        plan_study(resolved, Path("out"), (0,), references=())
    assert plan_study(load("agents={'../<b>': finetune}"), Path("out"), (0,), references=()).contenders[0].folder == "b"


def test_references_that_cannot_live_in_the_stream_are_left_out_and_others_are_mistakes(load: Load) -> None:
    acting = load("agents={}", "stream=cartpole_flip", "agent=finetune_rl")
    plan = plan_study(acting, Path("out"), (0,), references=("naive", "joint", "independent"))
    # Learning on without protection is what the agent does itself.
    assert ([c.label for c in plan.contenders], plan.baseline) == (
        ["finetune_rl", "joint", "independent"],
        "finetune_rl",
    )
    refused = able(plan.contenders)
    assert list(refused) == ["joint", "independent"]
    assert "cannot act" in refused["joint"]
    rest = plan.without(refused)
    assert [contender.label for contender in rest.contenders] == ["finetune_rl"]
    assert [name for name, _ in rest.left_out] == ["joint", "independent"]
    assert plan.without({"finetune_rl": "no"}).baseline is None
    with pytest.raises(ValueError, match="agent lifelong_rl cannot live through"):
        able(plan_study(load("agents={}"), Path("out"), (0,), ("lifelong_rl",), references=()).contenders)
