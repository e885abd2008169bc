"""Worlds that fail while Stable-Baselines3's algorithms live in them: where they may not, it is said where, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifelong.acting.learner import LifelongActor
from lifelong.episodes import play
from lifelong.evaluation.schedule import Schedule
from lifelong.events import LaneFailed
from lifelong.interaction import WorldLost
from lifelong.lifetime import run
from lifelong.stopping import RunStopped, Stop
from lifelong_agents.sb3.finetune_rl import finetune_rl
from lifelong_agents.sb3.lifelong_rl import lifelong_rl
from lifelong_envs.rl.timetable import Timetable
from lifelong_envs.rl.world import World
from lifelong_envs.rl.worlds import worlds

PPO, DQN = {"n_steps": 8, "batch_size": 16}, {"learning_starts": 1000, "buffer_size": 1000}


def stream(how: str, at: int = 7) -> Any:
    """Two lanes that are sound for 50 steps each, and fail then at a step of the episode."""
    pair = [
        World(t, "broken_worlds:Failing", make={"how": how, "at": at}, set={"sound": s}, restarts=0)
        for t, s in (("A", 1), ("B", 0))
    ]
    return worlds(tuple(pair), Timetable(steps=[100, 300], lanes=2, experience=20, change="now"))


def lives(agent: LifelongActor, how: str) -> None:
    for interaction, _ in stream(how).experiences():
        agent.live(interaction)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raises", r"^world 'B', lane 0, step 57: .*ZeroDivisionError in step\(.*nothing left"),
        ("reward", r"^world 'B', lane 0, step 57: the reward is nan"),
        ("observation", r"^world 'B', lane 0, step 57: observation\[1\] is nan"),
    ],
)
@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
@pytest.mark.parametrize("look", [20, 64])
def test_the_world_the_lane_and_the_step_are_said(algorithm: str, look: int, how: str, said: str) -> None:
    settings: Any = PPO if algorithm == "ppo" else DQN
    with pytest.raises(ValueError, match=said) as caught:
        lives(lifelong_rl(algorithm, settings, look=look), how)
    assert "\n" not in str(caught.value)


def test_so_it_is_where_shifts_are_not_looked_for() -> None:
    with pytest.raises(ValueError, match=r"^world 'B', lane 0, step 57: observation\[1\] is nan"):
        lives(finetune_rl("dqn", DQN), "observation")


def test_so_it_is_while_a_learner_is_judged() -> None:
    agent, made = lifelong_rl("ppo", PPO), stream("observation")
    play(agent, made.tasks[0], 1)
    said = r"^'B' cannot be judged: 2 of 2 episodes failed, .*world 'B', judging, step 7: observation\[1\] is nan"
    with pytest.raises(WorldLost, match=said):
        play(agent, made.tasks[1], 2)


LIVES: dict[str, Any] = {
    "ppo": lambda: lifelong_rl("ppo", {"n_steps": 16, "batch_size": 64, "n_epochs": 1}, look=64, seed=3),
    "dqn": lambda: finetune_rl("dqn", {**DQN, "learning_starts": 20, "train_freq": 4}, seed=3),
}


@pytest.mark.parametrize("life", LIVES)
def test_where_they_may_fail_they_are_learned_in_all_the_same(life: str, tmp_path: Path) -> None:
    """And what is stopped and gone on with is, to the last byte, what was never stopped."""

    def made() -> Any:
        make, often = {"how": "nan"}, {"often": 0.3}
        failing = World("A", "broken_worlds:Faulty", make=make, set=often, restarts=100)
        return worlds((failing,), Timetable("A", 1280, lanes=4, experience=128), episodes=2, seed=3)

    options: dict[str, Any] = {"evaluation": Schedule(within=0), "frames": False, "report": False, "name": "x"}
    whole = run(made(), LIVES[life](), out=tmp_path / "whole", **options)
    failed = [step for step, event in whole.events if isinstance(event, LaneFailed)]
    assert len(failed) > 10
    assert min(failed) < 5 < max(failed)
    assert (whole.summary.env_steps, whole.summary.failures, whole.summary.experts) == (1280, len(failed), 1)
    assert whole.summary.return_while_learning is not None
    assert 10 < whole.summary.return_while_learning <= 20
    stop, learner = Stop(), LIVES[life]()
    stream = made()
    with pytest.raises(RunStopped):
        run(Asking(stream, stop, 5), learner, out=tmp_path / "torn", stop=stop, **options)
    run(made(), LIVES[life](), out=tmp_path / "torn", resume=True, **options)
    assert (tmp_path / "torn/events.jsonl").read_bytes() == (tmp_path / "whole/events.jsonl").read_bytes()


class Asking:
    """A stream that asks to stop in an experience."""

    def __init__(self, inner: Any, stop: Stop, after: int) -> None:
        self._inner, self._stop, self._after = inner, stop, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def experiences(self, start: int = 0) -> Any:
        for step, served in enumerate(self._inner.experiences(start), start + 1):
            if step == self._after:
                self._stop.asked = "a test"
            yield served

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = self._inner.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._inner.load_state_dict(state)
