"""Where episodes begin: what is unlike, by brute force and by laws, and levels of the same rules that are found."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from toy_policy import Wandering

from lifelong.acting.encoding import Encoding
from lifelong.acting.learner import LifelongActor
from lifelong.acting.sign import Sign
from lifelong.acting.starts import BOUND, FEW, LEAST, MOST, UNLIKE, WIDE, Begun, Starts
from lifelong.check.law import same, saved
from lifelong.events import Event, ExpertChosen, ExpertSpawned, ShiftDetected
from lifelong.interaction import Interaction, Stage, Transitions
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Shift
from lifelong.shift.unlabelled.watch import LIFT, patient

DRAW = np.random.default_rng(7)
ROOMS = DRAW.integers(0, 2, (40, 12)).astype(np.float64)
"""A grid world's first views: few different ones. Two cells are only ever seen in the last ten."""
ROOMS[:, :2] = 0.0
ROOMS[30:, :2] = 1.0


def begins(world: str, count: int, seed: int = 0) -> np.ndarray:
    """(count, D) first observations of a world."""
    draw = np.random.default_rng(seed)
    match world:
        case "even":
            return draw.uniform(-0.05, 0.05, (count, 4))
        case "normal":
            return draw.normal(size=(count, 17))
        case "rooms":
            return ROOMS[draw.integers(0, 30, count)]
        case "other rooms":
            return ROOMS[draw.integers(30, 40, count)]
        case "always":
            return np.tile(ROOMS[:1], (count, 1))
        case "one rare":
            return draw.normal(0, 0.1, (count, 6)) + 3.0 * (draw.random((count, 1)) < 0.05)
        case _:
            return np.tile(ROOMS[1:2], (count, 1))


def knows(world: str, count: int = 64, seed: int = 0) -> Starts:
    starts = Starts()
    for first in range(0, count, 8):
        starts.learn(begins(world, count, seed)[first : first + 8])
    return starts


def by_hand(kept: np.ndarray, asked: np.ndarray) -> tuple[float, float]:
    """Squared distance of means under the kernel, and its mean between the rows of the reference; by loops."""
    centre, deviation = kept.mean(0), kept.std(0)

    def scaled(row: np.ndarray) -> np.ndarray:
        return np.clip((row - centre) / deviation, -BOUND, BOUND)

    rows, others = [scaled(row) for row in kept], [scaled(row) for row in asked]
    apart = [math.dist(a, b) for i, a in enumerate(rows) for b in rows[i + 1 :]]
    width = WIDE * float(np.median(apart))

    def mean(xs: list[np.ndarray], ys: list[np.ndarray]) -> float:
        return float(np.mean([math.exp(-0.5 * (math.dist(x, y) / width) ** 2) for x in xs for y in ys]))

    return mean(others, others) - 2.0 * mean(others, rows) + mean(rows, rows), mean(rows, rows)


@pytest.mark.parametrize("world", ["normal", "one rare"])
def test_unlikeness_is_a_distance_of_means_in_deviations_of_chance(world: str) -> None:
    kept, draws = begins(world, 32), [begins(world, 8, seed) for seed in range(1, 40)]
    starts = Starts()
    starts.learn(kept)
    told = np.array([starts.together(rows) for rows in draws])
    distances = np.array([by_hand(kept, rows)[0] for rows in draws])
    # One is the other, shifted and scaled by what chance does to eight rows.
    slope, offset = np.polyfit(distances, told, 1)
    assert slope > 0
    assert told == pytest.approx(slope * distances + offset, abs=1e-3)
    alone = [starts.together(row[None]) for row in draws[0]]
    assert starts.each(draws[0]) == pytest.approx(np.maximum(alone, 0.0), abs=1e-9)


@pytest.mark.parametrize("world", ["even", "normal", "rooms", "one rare", "always"])
@pytest.mark.parametrize("count", [LEAST, MOST])
def test_a_worlds_own_episodes_are_never_strangers(world: str, count: int) -> None:
    starts, lived = knows(world, count), begins(world, 6000, seed=5)
    assert max(starts.together(lived[at : at + FEW]) for at in range(0, 6000, FEW)) < 0.7 * UNLIKE
    detector = patient()
    assert not any(detector.update(LIFT + value) for value in starts.each(lived))


@pytest.mark.parametrize(
    ("own", "other"),
    [("rooms", "other rooms"), ("always", "rooms"), ("always", "once"), ("even", "normal")],
)
def test_another_worlds_episodes_are(own: str, other: str) -> None:
    starts = knows(own)
    wide = begins(own, 4).shape[1]
    foreign = begins(other, 400, seed=6)[:, :wide]
    assert min(starts.together(foreign[at : at + FEW]) for at in range(0, 400, FEW)) > 1.3 * UNLIKE
    detector, home = patient(), begins(own, 20, seed=8)
    for value in starts.each(home):
        assert detector.update(LIFT + value) is None
    found = next(i for i, value in enumerate(starts.each(foreign)) if detector.update(LIFT + value))
    assert found < FEW


def test_rounding_is_no_difference() -> None:
    starts = Starts()
    rows = np.tile((ROOMS[:1] + 1.0) / 255.0, (40, 1))
    starts.learn(rows + np.random.default_rng(1).normal(0, 1e-18, rows.shape))
    assert starts.together(rows[:FEW] + 1e-18) == pytest.approx(0.0, abs=0.5)


def test_the_first_ones_are_kept_and_the_rest_is_not() -> None:
    starts, rows = Starts(), begins("normal", 400)
    assert not starts.is_ready
    with pytest.raises(RuntimeError, match="Too few episodes have begun"):
        starts.each(rows)
    for first in range(0, 400, 5):
        starts.learn(rows[first : first + 5])
    assert saved(starts)["kept"].numpy() == pytest.approx(rows[:MOST])
    once = Starts()
    once.learn(rows)
    assert starts.together(rows[:9]) == once.together(rows[:9])


@pytest.mark.parametrize("count", [5, 17, 60, 300])
def test_what_is_saved_answers_and_goes_on_as_the_other_would(count: int) -> None:
    one, other, rows = Starts(), Starts(), begins("normal", 400)
    for first in range(0, count, 5):
        one.learn(rows[first : first + 5])
    other.load_state_dict(saved(one))
    for first in range(count, 400, 7):
        if one.is_ready:
            assert one.together(rows[first:]) == other.together(rows[first:])
        one.learn(rows[first : first + 7])
        other.learn(rows[first : first + 7])


def life(steps: int, lanes: int) -> Transitions:
    draw, count = np.random.default_rng(2), steps * lanes
    seen, none = np.arange(count, dtype=np.float64)[:, None], np.zeros(count)
    return Transitions(seen, none, none, seen, draw.random(count) < 0.1, draw.random(count) < 0.1)


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_first_observations_are_found_however_the_life_is_cut(lanes: int, size: int) -> None:
    whole, begun, encoding = life(40, lanes), Begun(), Encoding(Box(-1, 1, (1,)), Discrete(2))
    found, other = [], Begun()
    for number, first in enumerate(range(0, 40 * lanes, size * lanes), 1):
        block = whole.rows(slice(first, first + size * lanes))
        rows = begun.update(block, number, lanes, encoding)
        assert begun.within(number).ravel().tolist() == rows.ravel().tolist()
        other.load_state_dict(saved(begun))
        same("goes on", other.state_dict(), begun.state_dict())
        found += rows.ravel().tolist()
    ended = np.flatnonzero(whole.terminated | whole.truncated)
    assert found == [float(k + lanes) for k in ended if k + lanes < 40 * lanes]
    assert begun.count == len(found)
    assert begun.since(begun.count - 2).ravel().tolist() == found[-2:]
    block_of = [int(row) // (size * lanes) + 1 for row in found]
    assert [begun.block_of(i) for i in range(len(found))] == block_of
    middle = block_of[len(block_of) // 2]
    assert begun.after(middle).ravel().tolist() == [r for r, b in zip(found, block_of, strict=True) if b > middle]


def test_other_lanes_begin_nothing_that_is_known() -> None:
    begun, encoding = Begun(), Encoding(Box(-1, 1, (1,)), Discrete(2))
    begun.update(life(40, 3), 1, 3, encoding)
    begun.forget()
    first = begun.update(life(40, 3).rows(slice(0, 3)), 2, 3, encoding)
    assert len(first) == 0


class Told:
    """A detector that fires with certain values."""

    statistic, threshold = 1.0, 0.5

    def update(self, value: float) -> Shift | None:
        return Shift(int(value), 1.0, 0.5) if value else None


def test_an_alarm_has_the_date_of_its_onset_and_stands_until_it_is_judged() -> None:
    sign, detector = Sign(), Told()
    sign.show(detector, [0, 0, 0], [4, 4, 5], heeded=True)  # type: ignore[arg-type]
    assert sign.standing is None
    sign.show(detector, [3], [6], heeded=False)  # type: ignore[arg-type]
    assert sign.standing is None
    sign.show(detector, [4, 1], [7, 8], heeded=True)  # type: ignore[arg-type]
    assert sign.standing == (Shift(4, 1.0, 0.5), 4)
    other = Sign()
    other.load_state_dict(saved(sign))
    assert other.standing == sign.standing
    sign.begin()
    assert sign.standing is None
    sign.show(detector, [9], [9], heeded=True)  # type: ignore[arg-type]
    assert sign.standing == (Shift(9, 1.0, 0.5), 9)


class Level(gymnasium.Env[Any, Any]):
    """A place on a line that actions push; which of two ends an episode begins at is the level, and is shown.

    levels: (steps lived, level) from which on the next episodes are of that level.
    """

    def __init__(self, lane: int, levels: tuple[tuple[int, float], ...]) -> None:
        self.observation_space, self.action_space = Box(-np.inf, np.inf, (2,), np.float32), Discrete(2)
        self.levels, self.lane, self.steps, self.since = levels, lane, 0, 0
        self.observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=self.lane if self.observation is None else None)
        level = [level for at, level in self.levels if at <= self.steps][-1]
        self.observation = np.array([level + self.np_random.uniform(-0.1, 0.1), self.np_random.normal()], np.float32)
        self.since = 0
        return self.observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps, self.since = self.steps + 1, self.since + 1
        # Soon nothing tells where the episode began.
        drift = np.array([0.5 * self.observation[0] + 0.2 * (2 * action - 1), self.np_random.normal()], np.float32)
        self.observation = drift
        return drift, float(drift[0]), False, self.since == 25, {}


LEVELS = ((0, 0.0), (800, 3.0), (1600, 0.0))


def lived(starts: bool = True, **settings: Any) -> tuple[list[Event], list[Any], LifelongActor]:
    algorithm = Wandering()
    learner = LifelongActor(algorithm, Cusum(), look=64, starts=starts, **settings)
    lanes = tuple(Level(lane, LEVELS) for lane in range(4))
    events: list[Event] = []
    for _ in range(36):
        events += [e for e in learner.live(Interaction(lanes, 256)) if not isinstance(e, list)][1:]
    return events, algorithm.made, learner


def test_another_level_of_the_same_rules_is_found_and_found_again() -> None:
    told = [e for e in lived()[0] if isinstance(e, ShiftDetected | ExpertSpawned | ExpertChosen)]
    assert [type(e) for e in told] == [ExpertSpawned, ShiftDetected, ExpertSpawned, ShiftDetected, ExpertChosen]
    assert {e.by for e in told if isinstance(e, ShiftDetected)} <= {"starts", "surprise"}
    assert told[-1].expert == 0
    assert [e.delay for e in told if isinstance(e, ShiftDetected)] == [1, 1]


def test_nothing_of_that_is_looked_at_where_it_is_switched_off() -> None:
    _, _, learner = lived(starts=False)
    assert all(expert.guard is None and not expert.starts.is_ready for expert in learner.experts)


@pytest.mark.parametrize("inherit", [True, False])
def test_a_new_expert_inherits_where_it_is_told_to(inherit: bool) -> None:
    made = lived(inherit=inherit)[1]
    assert len(made) == 2
    assert "inherit" not in " ".join(made[0].calls)
    assert made[1].calls[0] == ("inherit 0" if inherit else "enter")


def test_whoever_is_judged_begins_with_the_expert_whose_episodes_begin_so() -> None:
    learner = lived()[2]
    lane = Level(0, ((0, 0.0),))
    actor = learner.actor(Stage(lane.observation_space, lane.action_space, 3))
    assert actor.experts.tolist() == [0, 0, 0]
    views = np.array([[0.02, 0.3], [3.05, 0.3], [2.95, -1.0]], np.float32)
    actor.act(views, np.arange(3))
    assert actor.experts.tolist() == [0, 1, 1]
    assert [(found.steps, found.expert, found.instead_of) for found in actor.found] == [(0, 1, 0)] * 2
    before = deepcopy(actor.experts)
    actor.act(views, np.arange(3))
    assert actor.experts.tolist() == before.tolist()
