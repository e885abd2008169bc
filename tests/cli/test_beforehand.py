"""What is found before anything runs: nobody waits for it, and no folder is left behind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lifelong import cli

STUDY = """
stream:
  name: worlds
  worlds:
    - {task: calm, env: CartPole-v1}
    - {task: strong, env: CartPole-v1, set: {force_mag: x10}}
  timetable: {order: calm strong calm, steps: 64, lanes: 2, experience: 32, change: now}
  episodes: 1
agent: {name: lifelong_rl, settings: {n_steps: 8, batch_size: 16}}
reference: {name: finetune_rl, settings: {n_steps: 8, batch_size: 16}}
evaluation: {within: 0}
record: {wandb: disabled, frames: false, console: false}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.parametrize("way", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["agent={name: lifelong_rl, algorithm: sac}"],
            "agent lifelong_rl cannot live through 'worlds calm, strong': world 'calm': SAC cannot act in this world "
            "or with these settings: it does not take actions that are Discrete(2). Algorithms that do: a2c, dqn, ppo",
        ),
        (
            ["agent.settings.n_steps=0"],
            "agent lifelong_rl cannot live through .*world 'calm': PPO cannot act .*n_steps",
        ),
        (["reference.settings.batch_size=many"], "reference finetune_rl cannot live through .*world 'calm': PPO"),
        (
            ["reference=null", "agent=flagship"],
            "agent flagship cannot live through .*cannot act: it has no live and actor",
        ),
    ],
)
def test_every_agent_is_held_against_the_stream_before_one_of_them_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], said: str, way: list[str]
) -> None:
    assert cli.main(["run", "study.yaml", *overrides, *way]) == 2
    told = capsys.readouterr().err
    assert re.match("lifelong: " + (said if ".*" in said else re.escape(said)), told), told
    assert "Traceback" not in told
    assert files(folder) == {"study.yaml"}


BROKEN: dict[str, Any] = {"raises": "raised ZeroDivisionError in step", "reward": "the reward is nan"}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("there", [False, True])
def test_what_fails_before_the_first_step_leaves_nothing_behind(
    folder: Path, capsys: pytest.CaptureFixture[str], how: str, there: bool
) -> None:
    if there:
        (folder / "out/wandb").mkdir(parents=True)
        (folder / "out/wandb/mine").write_text("")
    before = files(folder)
    world = f"[{{task: broken, env: 'broken_worlds:Failing', make: {{how: {how}}}, set: {{sound: 0}}}}]"
    order = f"stream.worlds={world}", "stream.timetable.order=broken"
    assert cli.main(["run", "study.yaml", "--out", "out", *order]) == 2
    told = capsys.readouterr().err
    assert told.startswith("lifelong: world 'broken', judging, step 7: ")
    assert BROKEN[how] in told
    assert files(folder) == before


def test_what_was_lived_is_kept(folder: Path) -> None:
    """The first agent learns, the second one fails at once: what the first did is still there to be resumed."""
    (folder / "late.py").write_text(LATE, encoding="utf-8")
    late = "agent={name: 'late:late'}"
    with pytest.raises(RuntimeError, match="not today"):
        cli.main(["run", "study.yaml", late, "--out", "out"])
    left = files(folder / "out")
    assert {"config.yaml", "reference/events.jsonl", "reference/summary.json"} <= left


LATE = """
from lifelong_agents.sb3.finetune_rl import finetune_rl

def late():
    agent = finetune_rl()
    class Late(type(agent)):
        def actor(self, stage):
            raise RuntimeError("not today")
    agent.__class__ = Late
    return agent
"""
