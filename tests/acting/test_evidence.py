"""Which transitions speak for another world, by matrices of surprise made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lifelong.acting.evidence import ENOUGH, FOREIGN, TOGETHER, Evidence, Stragglers, by_lane, gather, since_changed
from lifelong.interaction import Transitions


def life(surprise: Any, column: int = 0) -> Transitions:
    """(T, L) surprise of each step of each lane, to be read off again; an observation's last number is its place."""
    flat = np.ravel(np.asarray(surprise, np.float64))
    numbered = np.zeros((len(flat), 3))
    numbered[:, column], numbered[:, 2] = flat, np.arange(len(flat))
    none = np.zeros(len(flat), bool)
    return Transitions(numbered, none.astype(int), flat, numbered, none, none)


@dataclass
class Owner:
    """An expert, as far as its model is asked."""

    model: Any


class Told:
    """A model that is as surprised as one column of the observations says."""

    def __init__(self, column: int = 0, is_ready: bool = True) -> None:
        self.column, self.is_ready = column, is_ready

    def see(self, transitions: Transitions) -> Transitions:
        return transitions

    def surprise(self, seen: Any) -> Any:
        return seen.observations[:, self.column]


def places(transitions: Transitions) -> list[int]:
    return [int(row[2]) for row in transitions.observations]


def test_what_came_after_a_lanes_own_change_is_taken_by_quarters() -> None:
    surprise = np.array(
        [  # never  always  half  late  back  one of two
            [0.0, 9.0, 0.0, 0.0, 9.0, 0.0],
            [0.0, 9.0, 0.0, 0.0, 9.0, 9.0],
            [0.0, 9.0, 0.0, 0.0, 9.0, 9.0],
            [0.0, 9.0, 0.0, 0.0, 9.0, 9.0],
            [0.0, 9.0, 9.0, 0.0, 0.0, 0.0],
            [0.0, 9.0, 9.0, 0.0, 0.0, 9.0],
            [0.0, 9.0, 9.0, 9.0, 9.0, 9.0],
            [0.0, 9.0, 9.0, 9.0, 9.0, 9.0],
        ]
    )
    found = since_changed(surprise, bar=4.0)
    assert found.sum(0).tolist() == [0, 8, 4, 2, 2, 8]
    # Whatever is taken is the latest.
    assert all(found[8 - n :, lane].all() for lane, n in enumerate(found.sum(0)))


def test_a_quarter_counts_by_its_mean_and_a_mean_at_the_bar_does_not() -> None:
    surprise = np.array([[0.0, 0.0], [0.0, 0.0], [8.0, 8.1], [0.0, 0.0]])
    assert since_changed(surprise[2:].repeat(4, 0), 4.0).sum(0).tolist() == [0, 0]
    pairs = np.tile([[8.0, 8.2], [0.0, 0.0]], (4, 1))
    assert since_changed(pairs, 4.0).sum(0).tolist() == [0, 8]


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 6, 7])
def test_steps_that_do_not_go_into_quarters_are_all_looked_at(steps: int) -> None:
    assert since_changed(np.full((steps, 2), 9.0), 4.0).all()
    assert not since_changed(np.zeros((steps, 2)), 4.0).any()


def test_lanes_that_are_all_alike_are_taken_whole_without_the_block_in_which_the_world_changed() -> None:
    blocks = [life(np.full((64, 4), level)) for level in (0.0, 2.0, 2.0)]
    found = gather(blocks, Told(), lanes=4)
    assert found.bar is None
    assert len(found.transitions) == 512
    assert set(found.transitions.rewards) == {2.0}


def test_one_block_alone_says_nothing() -> None:
    blocks = [life(np.full((64, 4), level)) for level in (1.0, 2.0)]
    assert len(gather(blocks[:1], Told(), lanes=4).transitions) == 0
    assert not gather(blocks[:1], Told(), lanes=4).is_enough
    assert gather(blocks, Told(), lanes=4).is_enough


def test_lanes_that_changed_one_after_the_other_give_what_came_after_their_own_change() -> None:
    surprise = np.zeros((64, 4))
    surprise[:, 0], surprise[32:, 1], surprise[56:, 2] = 3.0, 3.0, 3.0
    found = gather([life(np.zeros((1, 4))), life(surprise)], Told(), lanes=4)
    assert found.bar == pytest.approx((0.0 + 3.0) / 2)
    lane = np.array(places(found.transitions)) % 4
    # Of lane 2, half of the last quarter is the new world's: its mean does not pass the bar.
    assert np.bincount(lane, minlength=4).tolist() == [64, 32, 0, 0]
    assert not found.is_enough


def test_lanes_that_differ_by_little_are_alike() -> None:
    surprise = np.zeros((64, 4))
    surprise[:, 0] = FOREIGN
    assert gather([life(np.zeros((1, 4))), life(surprise)], Told(), lanes=4).bar is None
    surprise[:, 0] = FOREIGN + 0.01
    assert gather([life(np.zeros((1, 4))), life(surprise)], Told(), lanes=4).bar is not None


@pytest.mark.parametrize(("lanes", "ready"), [(1, True), (4, False)])
def test_a_single_lane_and_a_model_that_knows_nothing_give_everything(lanes: int, ready: bool) -> None:
    surprise = np.zeros((256 // lanes, lanes))
    surprise[:, 0] = 9.0
    found = gather([life(np.zeros((1, lanes))), life(surprise)], Told(is_ready=ready), lanes)
    assert (len(found.transitions), found.bar) == (256, None)


def test_enough_is_a_number_of_transitions() -> None:
    assert Evidence(life(np.zeros((ENOUGH, 1))), None).is_enough
    assert not Evidence(life(np.zeros((ENOUGH - 1, 1))), None).is_enough


def test_lanes_are_averaged_each_on_its_own() -> None:
    found = by_lane(Told(), life([[0.0, 2.0], [1.0, 4.0], [2.0, 6.0]]), 2)
    assert found.tolist() == [1.0, 4.0]


def both(before: Any, now: Any, steps: int = 3) -> Transitions:
    """A block in which each lane surprises the model before, and the one now, so much."""
    made = life(np.tile(before, (steps, 1)))
    made.observations[:, 1] = np.tile(now, steps)
    return made


def test_lanes_that_the_old_model_foresees_and_the_new_one_does_not_are_left_out() -> None:
    stragglers = Stragglers(Owner(Told(0)), bar=2.0)
    block = both([0.0, 9.0, 0.0, 1.9], [9.0, 0.0, 0.0, 2.0])
    kept = stragglers.left_out(block, Told(1), 4)
    assert kept is not None
    # Lane 0 is known to the old one alone; lane 2 to both; lane 3 is below the bar and better known to the old one.
    assert [place % 4 for place in places(kept)] == [1, 2] * 3


def test_a_new_model_that_knows_nothing_yet_is_not_asked() -> None:
    stragglers = Stragglers(Owner(Told(0)), bar=2.0)
    kept = stragglers.left_out(both([0.0, 9.0], [0.0, 0.0]), Told(1, is_ready=False), 2)
    assert kept is not None
    assert [place % 2 for place in places(kept)] == [1] * 3


def test_nothing_is_left_where_all_lanes_straggle() -> None:
    stragglers = Stragglers(Owner(Told(0)), bar=2.0)
    assert stragglers.left_out(both([0.0, 0.0], [9.0, 9.0]), Told(1), 2) is None


def test_there_are_no_stragglers_any_more_after_some_looks_in_a_row_without_one() -> None:
    stragglers = Stragglers(Owner(Told(0)), bar=2.0)
    none, one = both([9.0, 9.0], [0.0, 0.0]), both([0.0, 9.0], [9.0, 0.0])
    for block in [none] * (TOGETHER - 1) + [one] + [none] * (TOGETHER - 1):
        stragglers.left_out(block, Told(1), 2)
        assert not stragglers.are_over
    assert stragglers.left_out(none, Told(1), 2) is none
    assert stragglers.are_over
