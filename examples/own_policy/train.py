"""Experts made by an algorithm that no library knows, and one policy of that algorithm that goes on alone.

python examples/own_policy/train.py
"""

from __future__ import annotations

from cross_entropy import CrossEntropy

from lifelong import Cusum, run
from lifelong.acting.learner import LifelongActor
from lifelong.lifetime import Result
from lifelong_envs.rl.cartpole_flip import cartpole_flip
from lifelong_envs.rl.timetable import Timetable


def lived(learner: LifelongActor, steps: int = 40_960, order: str = "A B A", seed: int = 0) -> Result:
    """CartPole, and CartPole with left and right swapped; nobody says when."""
    return run(cartpole_flip(Timetable(order=order, steps=steps), seed=seed), learner, seed=seed)


if __name__ == "__main__":
    alone = lived(LifelongActor(CrossEntropy(), detector=None, max_experts=1))
    many = lived(LifelongActor(CrossEntropy(), Cusum()))
    for name, result in (("one policy", alone), ("experts", many)):
        print(f"{name}: after each visit, the score in A and in B")
        print(result.matrix.scores.round(2))
    print(f"{many.summary.experts} experts, {many.summary.shifts_detected} of {many.summary.shifts_true} shifts found")
