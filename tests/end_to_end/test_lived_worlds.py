"""The main job of experts that act: CartPole, CartPole with its actions swapped, and back, found out unaided."""

from __future__ import annotations

from typing import Any

import pytest

from lifelong.acting.learner import LifelongActor
from lifelong.evaluation.schedule import Schedule
from lifelong.events import ExpertSpawned, ShiftDetected
from lifelong.lifetime import Result, run
from lifelong_agents.sb3.finetune_rl import finetune_rl
from lifelong_agents.sb3.lifelong_rl import lifelong_rl
from lifelong_envs.rl.cartpole_flip import cartpole_flip
from lifelong_envs.rl.timetable import Timetable

EXPERIENCE = 256
PPO: dict[str, Any] = {
    "n_steps": 32, "batch_size": 256, "n_epochs": 10, "learning_rate": 1e-3, "gamma": 0.98, "gae_lambda": 0.8,
    "ent_coef": 0.01,
}  # fmt: skip


def lived(learner: LifelongActor, order: str, steps: list[int], seed: int) -> Result:
    stream = cartpole_flip(Timetable(order, steps, lanes=8, experience=EXPERIENCE, change="now"), seed=seed)
    return run(stream, learner, seed=seed, evaluation=Schedule(within=0))


@pytest.mark.parametrize(
    ("seed", "steps"),
    [
        pytest.param(0, [32_768, 16_384, 6_144], marks=pytest.mark.slow, id="long"),
        pytest.param(1, [16_384, 16_384, 2_048], id="short"),
    ],
)
def test_worlds_are_told_apart_kept_and_found_again(seed: int, steps: list[int], one_thread_and_a_seed: None) -> None:
    found = lived(lifelong_rl("ppo", PPO, seed=seed), "A B A", steps, seed)
    summary = found.summary
    assert not summary.labels_shown
    assert (summary.shifts_true, summary.shifts_detected) == (2, 2)
    assert (summary.false_alarms, summary.missed_shifts) == (0, 0)
    changes = [steps[0], steps[0] + steps[1]]
    alarms = [step * EXPERIENCE for step, e in found.events if isinstance(e, ShiftDetected)]
    assert all(0 < alarm - change <= 1000 for alarm, change in zip(alarms, changes, strict=True))
    # One expert a world: the third visit finds the first one's, and as good as it was left.
    assert summary.experts == 2
    assert [e.expert for _, e in found.events if isinstance(e, ExpertSpawned)] == [0, 1]
    after_a, after_b = found.matrix.scores[1, 0], found.matrix.scores[2, 0]
    assert after_a > 0.8
    assert after_b >= 0.9 * after_a
    assert found.matrix.scores[2, 1] > 0.8
    assert summary.routing_accuracy is not None
    assert summary.routing_accuracy >= 0.95


def test_one_model_for_both_forgets(one_thread_and_a_seed: None) -> None:
    found = lived(finetune_rl("ppo", PPO, seed=1), "A B", [16_384, 4_096], 1)
    assert found.summary.experts == 1
    assert found.matrix.scores[1, 0] > 0.8
    assert found.matrix.scores[2, 0] < 0.1
