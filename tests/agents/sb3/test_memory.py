"""Replay buffers give back what was not an expert's own, and take in what is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from lifelong.interaction import Transitions
from lifelong_agents.sb3.memory import add, arrays, give_back, place

SIZE, LANES = 10, 2
OWN, FOREIGN = 1.0, -1.0


def ring(rows: int) -> ReplayBuffer:
    buffer = ReplayBuffer(SIZE * LANES, Box(-np.inf, np.inf, (1,)), Discrete(3), "cpu", n_envs=LANES)
    lived(buffer, 0, rows, OWN)
    return buffer


def lived(buffer: ReplayBuffer, first: int, rows: int, sign: float) -> None:
    """Rows numbered from `first` + 1 on; those of another world have a minus."""
    for number in range(first + 1, first + rows + 1):
        seen = np.full((LANES, 1), sign * number, np.float32)
        buffer.add(seen, seen + 0.5, np.zeros(LANES, int), np.full(LANES, sign), np.zeros(LANES), [{}, {}])


def sampled(buffer: ReplayBuffer) -> list[float]:
    """What may be replayed."""
    end = SIZE if buffer.full else buffer.pos
    assert (buffer.next_observations[:end] == buffer.observations[:end] + 0.5).all()
    assert (buffer.observations[:end, 0] == buffer.observations[:end, 1]).all()
    return buffer.observations[:end, 0, 0].tolist()


@pytest.mark.parametrize("own", [0, 1, 7, 9, 10, 13, 20, 38])
@pytest.mark.parametrize("foreign", [0, 1, 3, 4, 9, 10, 11, 25])
def test_what_was_added_since_is_gone_and_what_it_overwrote_is_made_up_for(own: int, foreign: int) -> None:
    buffer = ring(own)
    kept = place(buffer)
    lived(buffer, own, foreign, FOREIGN)
    left = {row for row in sampled(buffer) if row > 0}
    give_back(buffer, kept, foreign)
    found = sampled(buffer)
    assert set(found) == left
    # As much as there was is there again, of what is left.
    assert len(found) == (min(own, SIZE) if left else 0)
    lived(buffer, 100, SIZE - 1, OWN)
    assert min(sampled(buffer)) > 0
    assert set(range(101, 101 + SIZE - 1)) <= set(sampled(buffer))


def test_a_stopped_step_that_was_lived_and_not_added_does_not_count() -> None:
    buffer = ring(13)
    kept, before = place(buffer), sampled(buffer)
    give_back(buffer, kept, 0)
    assert sampled(buffer) == before
    lived(buffer, 13, 4, FOREIGN)
    give_back(buffer, kept, 5 - 1)
    assert len(sampled(buffer)) == SIZE
    assert min(sampled(buffer)) > 0


def test_copies_are_spread_over_what_is_left() -> None:
    counts: Counter[float] = Counter()
    for own in range(20, 220):
        buffer = ring(own)
        kept = place(buffer)
        lived(buffer, own, 5, FOREIGN)
        give_back(buffer, kept, 5)
        counts.update(own - row for row in sampled(buffer))
    # The five latest ones are left: each once, and once more on the average.
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert all(300 < count < 500 for count in counts.values())


def evidence(rows: int) -> Transitions:
    numbers = np.arange(rows, dtype=np.float32)[:, None]
    ended, cut = np.arange(rows) % 5 == 3, np.arange(rows) % 5 == 4
    return Transitions(numbers, np.arange(rows) % 3, numbers[:, 0] * 2, numbers + 0.5, ended, cut)


def test_evidence_is_added_step_by_step_with_its_ends() -> None:
    buffer = ring(0)
    add(buffer, evidence(11), LANES, lambda actions: actions)
    # The eleventh has no partner.
    assert buffer.pos == 5
    assert buffer.observations[:5].ravel().tolist() == list(range(10))
    assert buffer.next_observations[:5].ravel().tolist() == [n + 0.5 for n in range(10)]
    assert buffer.rewards[:5].ravel().tolist() == [2.0 * n for n in range(10)]
    assert buffer.actions[:5].ravel().tolist() == [n % 3 for n in range(10)]
    # Both kinds of ends are ends; only those that were cut short are worth what follows.
    assert buffer.dones[:5].ravel().tolist() == [float(n % 5 in (3, 4)) for n in range(10)]
    assert buffer.timeouts[:5].ravel().tolist() == [float(n % 5 == 4) for n in range(10)]


def test_actions_are_brought_into_the_buffers_unit() -> None:
    buffer = ReplayBuffer(SIZE * LANES, Box(-1, 1, (1,)), Box(-2, 2, (1,)), "cpu", n_envs=LANES)
    rows = evidence(4)
    made = Transitions(rows.observations, np.array([[-2.0], [0.0], [1.0], [2.0]]), *(
        getattr(rows, name) for name in Transitions.__slots__[2:]
    ))  # fmt: skip
    add(buffer, made, LANES, lambda actions: actions / 2.0)
    assert buffer.actions[:2].ravel().tolist() == [-1.0, 0.0, 0.5, 1.0]


def test_dicts_are_added_and_given_back_part_by_part() -> None:
    space = Dict({"x": Box(-np.inf, np.inf, (1,)), "y": Box(-np.inf, np.inf, (2,))})
    buffer = DictReplayBuffer(4 * LANES, space, Discrete(2), "cpu", n_envs=LANES)

    def some(first: int, rows: int) -> Transitions:
        numbers = np.arange(first, first + rows * LANES, dtype=np.float32)[:, None]
        seen: Any = {"x": numbers, "y": np.hstack((numbers, -numbers))}
        none = np.zeros(len(numbers), bool)
        return Transitions(seen, none.astype(int), numbers[:, 0], seen, none, none)

    add(buffer, some(0, 4), LANES, np.asarray)
    kept = place(buffer)
    assert kept == (0, True)
    add(buffer, some(100, 1), LANES, np.asarray)
    give_back(buffer, kept, 1)
    rows = {name: values for name, values in arrays(buffer).items() if "observations" in name}
    assert set(rows) == {"observations/x", "observations/y", "next_observations/x", "next_observations/y"}
    assert all(values.max() < 100 for values in rows.values())
    assert (rows["observations/y"][..., 0] == rows["observations/x"][..., 0]).all()
    assert (buffer.rewards == rows["observations/x"][..., 0]).all()
