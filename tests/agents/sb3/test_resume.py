"""A life in worlds that was broken off and taken up again, is to the last byte the one that was not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from test_chunks import OFF

from lifelong.evaluation.schedule import Schedule
from lifelong.events import ExpertChosen, Logged, ShiftDetected
from lifelong.interaction import Interaction
from lifelong.lifetime import Result, run
from lifelong.record.jsonl import line_of
from lifelong.saving import Saving
from lifelong_agents.sb3.lifelong_rl import lifelong_rl
from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.cartpole_flip import cartpole_flip
from lifelong_envs.rl.timetable import Timetable, Way
from lifelong_envs.rl.world import World
from lifelong_envs.rl.worlds import worlds

PPO = {"n_steps": 16, "batch_size": 64, "n_epochs": 1, "policy_kwargs": {"net_arch": [8]}}
RARELY = OFF | {"train_freq": 16, "learning_starts": 100}


def flips(change: Way = "now") -> ActingStream:
    table = Timetable("A B A", [1536, 1280, 1280], lanes=8, experience=128, change=change)
    return cartpole_flip(table, episodes=2, seed=3)


def swings() -> ActingStream:
    both = World("A", "Pendulum-v1"), World("B", "Pendulum-v1", set={"dt": "x3"})
    table = Timetable("A B A", [1536, 1280, 1280], lanes=8, experience=128, change="now")
    return worlds(both, table, episodes=1, seed=3)


LIVES: dict[str, tuple[Any, Any]] = {
    "ppo, lane by lane": (lambda: flips("episode"), lambda: lifelong_rl("ppo", PPO, look=64, seed=3)),
    "dqn": (flips, lambda: lifelong_rl("dqn", RARELY, look=64, seed=3)),
    "ppo, sharing": (flips, lambda: lifelong_rl("ppo", PPO, look=64, share="trunk", seed=3)),
    "sac": (swings, lambda: lifelong_rl("sac", RARELY, look=64, seed=3)),
}
VARIANTS = ("ppo, sharing", "sac")
each = pytest.mark.parametrize("life", [pytest.param(n, marks=[pytest.mark.slow] * (n in VARIANTS)) for n in LIVES])
OPTIONS: dict[str, Any] = {
    "evaluation": Schedule(within=0), "saving": Saving(every=4), "name": "x", "seed": 3, "frames": False,
}  # fmt: skip


class Stopped(RuntimeError):
    """The process is gone."""


class Mortal:
    """A learner that dies before it has lived through `after` experiences."""

    def __init__(self, inner: Any, after: int) -> None:
        self._inner, self._left = inner, after

    def live(self, interaction: Interaction) -> Any:
        self._left -= 1
        if self._left < 0:
            raise Stopped
        return self._inner.live(interaction)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@cache
def whole(life: str, folder: Path) -> Result:
    stream, learner = LIVES[life]
    return run(stream(), learner(), out=folder, **OPTIONS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


@each
def test_what_is_taken_up_again_goes_on_as_if_it_had_never_stopped(life: str, tmp_path: Path, folder: Path) -> None:
    wanted = whole(life, folder / life)
    stream, learner = LIVES[life]
    with pytest.raises(Stopped):
        run(stream(), Mortal(learner(), 22), out=tmp_path, **OPTIONS)
    # Another process: generators stand anywhere.
    torch.rand(17)
    torn = run(stream(), learner(), out=tmp_path, resume=True, **OPTIONS)
    # As they are written, where what is not a number equals itself.
    assert [line_of(*each) for each in torn.events] == [line_of(*each) for each in wanted.events]
    for name in ("events.jsonl", "scores.csv"):
        assert (tmp_path / name).read_bytes() == (folder / life / name).read_bytes()


@each
def test_these_lives_have_a_shift_before_and_one_after_the_stop(life: str, folder: Path) -> None:
    events = whole(life, folder / life).events
    found = [step for step, e in events if isinstance(e, ShiftDetected)]
    assert len(found) == 2
    assert 12 < found[0] <= 20 < found[1] <= 30
    assert [e.expert for _, e in events if isinstance(e, ExpertChosen)] == [0]
    assert any(isinstance(e, Logged) for step, e in events if step > 20)
