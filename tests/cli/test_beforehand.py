"""What is found before anything runs: nobody waits for it, and no folder is left behind."""

from __future__ import annotations

import re
import subprocess
import sys
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


SHORT = (
    "agent lifelong_rl: an expert that is new in a world notices no change in its first 2,560 environment steps there, "
    "or more; the first visit is shorter to 'calm' (64 steps), 'strong' (64 steps), so that nobody will notice its "
    "end. Make visits longer (timetable: steps), or let the agent notice sooner: by a smaller look, or a detector with "
    "a shorter warmup."
)


@pytest.mark.parametrize("way", [[], ["--dry-run"]])
def test_visits_that_are_too_short_to_be_noticed_are_told_once(folder: Path, way: list[str]) -> None:
    with pytest.warns(UserWarning, match="notices no change") as told:
        assert cli.main(["run", "study.yaml", "--out", "out", *way]) == 0
    assert [str(warning.message) for warning in told] == [SHORT]


def test_warnings_are_told_as_plainly_as_errors(folder: Path) -> None:
    dry = [sys.executable, "-m", "lifelong", "run", "study.yaml", "--dry-run"]
    told = subprocess.run(dry, capture_output=True, text=True, check=True)
    assert told.stderr == f"lifelong: warning: {SHORT}\n"


@pytest.mark.parametrize(
    "fitting",
    ["stream.timetable.steps=2560", "stream.scenario.labels=training", "agent.detector=null", "agent=finetune_rl"],
)
def test_nothing_is_told_of_visits_that_are_long_enough_or_of_who_does_not_look(
    folder: Path, recwarn: pytest.WarningsRecorder, fitting: str
) -> None:
    assert cli.main(["run", "study.yaml", "--dry-run", fitting]) == 0
    assert [warning for warning in recwarn if "notices no change" in str(warning.message)] == []


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
    assert told.startswith("lifelong: 'broken' cannot be judged: ")
    assert "world 'broken', judging, step 7: " in told
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
