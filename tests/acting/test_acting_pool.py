"""Whose world is it? Verdicts of a pool on evidence, with experts that know beforehand what they will say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from toy_policy import Wandering

from lifelong.acting.evidence import FOREIGN, MIXED, Evidence
from lifelong.acting.pool import ActingPool, foreignness
from lifelong.acting.starts import FEW, LEAST, Starts
from lifelong.interaction import Stage, Transitions

STAGE = Stage(Box(-1, 1, (3,)), Discrete(2), 1)
NONE = np.zeros(4)
SHOWN = Transitions(NONE, NONE, NONE, NONE, NONE, NONE)
EVIDENCE = Evidence(SHOWN, None)
HOME = np.random.default_rng(0).normal(size=(40, 3))


@dataclass
class Says:
    """A model that says how much what it knows is in the way."""

    more: float
    is_ready: bool = True
    spared: float = -1.0

    def see(self, transitions: Transitions) -> Any:
        return transitions

    def hindrance(self, evidence: Any, spared: float = 0.0) -> float:
        self.spared = spared
        return self.more


def pool(*said: float, limit: int | None = None, begins: int | None = None) -> ActingPool:
    """Experts that say so; the one with number `begins` knows how episodes begin at home."""
    made = ActingPool(Wandering(), None, None, limit, seed=0)
    for number, more in enumerate(said):
        expert = made.spawn(STAGE)
        expert.model = Says(more)  # type: ignore[assignment]
        expert.starts = Starts()
        if number == begins:
            expert.starts.learn(HOME[:LEAST])
    return made


@pytest.mark.parametrize(
    ("own", "others", "foreign"),
    [
        (0.4, (), False),
        (0.6, (), True),
        (0.4, (0.2,), False),
        # Somebody else foresees all of it far better.
        (0.4, (0.2, -0.3), True),
        (0.1, (-0.3,), False),
        (0.6, (5.0,), True),
    ],
)
def test_another_world_hinders_or_is_known_far_better_by_another(
    own: float, others: tuple[float, ...], foreign: bool
) -> None:
    made = pool(own, *others)
    assert made.is_foreign(EVIDENCE, made.experts[0]) is foreign


def test_who_has_hardly_seen_a_world_knows_none() -> None:
    made = pool(0.4, -9.0)
    made.experts[1].model = Says(-9.0, is_ready=False)  # type: ignore[assignment]
    assert foreignness(made.experts[1], EVIDENCE) == math.inf
    assert not made.is_foreign(EVIDENCE, made.experts[0])
    assert made.nearest(EVIDENCE, made.experts[0]) == (math.inf, made.experts[1])


def test_episodes_that_begin_elsewhere_are_foreign_and_those_that_do_not_change_nothing() -> None:
    made = pool(-0.3, begins=0)
    expert = made.experts[0]
    assert foreignness(expert, Evidence(SHOWN, None, HOME[LEAST:])) == -0.3
    away = HOME[LEAST:] + 9.0
    assert foreignness(expert, Evidence(SHOWN, None, away)) > FOREIGN
    assert foreignness(expert, Evidence(SHOWN, None, away[: FEW - 1])) == -0.3


def test_a_part_is_spared_only_where_lanes_change_one_by_one() -> None:
    made = pool(0.0)
    for bar, spared in ((None, 0.0), (1.5, MIXED)):
        foreignness(made.experts[0], Evidence(SHOWN, bar))
        assert made.experts[0].model.spared == spared  # type: ignore[attr-defined]


def test_the_active_one_competes_where_there_is_no_room() -> None:
    for limit, nearest in ((None, 1), (2, 0)):
        made = pool(0.7, 0.9, limit=limit)
        assert made.nearest(EVIDENCE, made.experts[0])[1] is made.experts[nearest]
