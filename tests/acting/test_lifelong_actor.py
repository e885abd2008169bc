"""Experts that act: what is found out of a world that changes, who acts then, and who is taught what."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box
from marked_worlds import Marked, marked, rows_lived, rows_of, worlds_of
from toy_policy import Wanderer, Wandering

from lifelong.acting.learner import LifelongActor
from lifelong.acting.signals import Look, ModelError, NegativeReturn, TemporalDifference
from lifelong.acting.stay import LATE
from lifelong.check.law import same, saved
from lifelong.events import (
    Event,
    ExpertChosen,
    ExpertSpawned,
    Logged,
    RolledBack,
    ShiftDetected,
    ShiftDismissed,
    ShiftSeen,
    Update,
)
from lifelong.interaction import Interaction, Stage, Transitions
from lifelong.learner import ActingLearner, Size, Watchful
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Shift

LOOK = 64


class Seeing:
    """A signal that keeps everything that it was shown."""

    def __init__(self) -> None:
        self.shown: list[Transitions] = []

    def values(self, look: Look, model: Any, policy: Any) -> Sequence[float]:
        self.shown.append(look.transitions)
        return ModelError().values(look, model, policy)


class Every:
    """A detector that fires with every n-th value, whatever it is."""

    statistic, threshold = 1.0, 0.5

    def __init__(self, n: int, onset: int = 3) -> None:
        self.n, self.onset, self.count = n, onset, 0

    def update(self, value: float) -> Shift | None:
        self.count += 1
        return Shift(self.onset, 1.0, 0.5) if self.count % self.n == 0 else None

    def rearm(self) -> None:
        pass

    def reset(self) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


def actor(detector: Any = None, **settings: Any) -> tuple[LifelongActor, list[Wanderer]]:
    """A learner with a detector of shifts, and the policies that it makes."""
    algorithm = Wandering()
    return LifelongActor(algorithm, detector or Cusum(), look=settings.pop("look", LOOK), **settings), algorithm.made


def lives(
    learner: LifelongActor, lanes: Sequence[Marked], *steps: int, task: str | None = None, boundary: bool = False
) -> list[Event]:
    """One interaction after the other; everything that happened but what algorithms say."""
    events: list[Event] = []
    for count in steps:
        update, *happened = learner.live(Interaction(tuple(lanes), count, task, boundary))
        assert isinstance(update, Update)
        assert update.samples == count
        events += [event for event in happened if not isinstance(event, Logged)]
    return events


def names(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


HOME = ((0, 0),)
AWAY = ((0, 0), (800, 1))
"""From the 800th step of a lane on, another world."""
AND_BACK = (*AWAY, (1400, 0))


def test_a_shift_is_found_a_new_expert_takes_over_and_the_old_one_comes_back_with_its_world() -> None:
    learner, policies = actor()
    assert isinstance(learner, ActingLearner)
    assert isinstance(learner, Watchful)
    lanes = marked(visits=AND_BACK)
    assert names(lives(learner, lanes, *[256] * 12)) == ["ExpertSpawned"]
    away = lives(learner, lanes, *[256] * 9)
    assert names(away) == ["ShiftDetected", "RolledBack", "ExpertSpawned"]
    back = lives(learner, lanes, *[256] * 9)
    assert names(back) == ["ShiftDetected", "RolledBack", "ExpertChosen"]
    assert back[-1] == ExpertChosen(0, 0.0)
    assert len(policies) == 2
    assert [p.calls for p in policies] == [["enter", "put back", "enter"], ["enter", "put back"]]


@pytest.mark.parametrize("look", [64, 256])
def test_how_long_a_new_expert_is_blind_is_known_beforehand(look: int) -> None:
    learner, policies = actor(look=look)
    lanes = marked()
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, len(lanes))
    blind = learner.blind(stage)
    # 192 transitions until the model can be asked; then two values a look, of which the detector takes 18.
    assert blind == look * (-(-192 // look) + 9)
    assert policies == []
    for share, found in ((0.5, []), (2.0, ["ShiftDetected", "RolledBack", "ExpertSpawned"])):
        learner, _ = actor(look=look)
        change = int(share * blind) // len(lanes)
        events = lives(learner, marked(visits=((0, 0), (change, 1))), *[look] * (4 * blind // look))
        assert names(events) == ["ExpertSpawned", *found], share


def test_who_is_told_or_cannot_know_how_often_is_not_said_to_be_blind() -> None:
    space = marked()[0]
    hidden = Stage(space.observation_space, space.action_space, 4)
    assert actor()[0].blind(replace(hidden, task="A")) is None
    assert actor(signal=NegativeReturn())[0].blind(hidden) is None
    assert LifelongActor(Wandering(), None).blind(hidden) is None
    assert LifelongActor(Wandering(), Every(10**6)).blind(hidden) is None


def test_whether_it_can_act_is_tried_out_without_a_trace() -> None:
    class Picky(Wandering):
        def spawn(self, number: int, stage: Stage) -> Wanderer:
            np.random.seed(3)
            stage.action_space.seed(3)
            if stage.lanes > 4:
                raise ValueError("too many lanes")
            return super().spawn(number, stage)

    algorithm, space = Picky(), marked()[0]
    learner, before = LifelongActor(algorithm, Cusum()), np.random.get_state()[1].tolist()
    space.action_space.seed(5)
    drawn = [deepcopy(space.action_space).sample() for _ in range(9)]
    learner.check(Stage(space.observation_space, space.action_space, 4))
    with pytest.raises(ValueError, match="too many lanes"):
        learner.check(Stage(space.observation_space, space.action_space, 5))
    assert np.random.get_state()[1].tolist() == before
    assert [deepcopy(space.action_space).sample() for _ in range(9)] == drawn
    assert algorithm.made == []
    assert learner.experts == ()


def test_whose_steps_were_whose_is_told_apart_to_the_last_one() -> None:
    """The change is at the first step of a look: nothing of one world is learned by the other's expert."""
    learner, policies = actor()
    lanes = marked(visits=((0, 0), (800, 1), (1408, 0)))
    lives(learner, lanes, *[256] * 30)
    own = [{round(reward) for reward in policy.knows} for policy in policies]
    assert own == [{0}, {1}]
    evidence = [t for policy in policies for t in policy.adopted]
    assert [set(worlds_of(t)) for t in evidence] == [{0}, {1}]
    for expert, world in zip(learner.experts, (0, 1), strict=True):
        # The model's constant feature has summed up the rewards.
        assert learned_rewards(expert.model) == pytest.approx(world, abs=0.2)


def learned_rewards(model: Any) -> float:
    """The mean of the rewards that a model has learned, of the first member."""
    state = model.state_dict()
    return float(state["cross"][:, 0, 0, -2].sum() / state["square"][:, 0, 0, 0].sum())


@pytest.mark.parametrize("steps", [[36, 4, 100, 252, 512, 8], [1000], [4] * 7])
@pytest.mark.parametrize("look", [64, 100, 4, 1])
def test_exactly_the_steps_are_taken_and_each_is_looked_at_once(steps: list[int], look: int) -> None:
    spy = Seeing()
    learner, policies = actor(signal=spy, look=look)
    lanes = marked(visits=AWAY)
    for count in steps:
        before = lanes[0].steps
        lives(learner, lanes, count)
        assert {lane.steps for lane in lanes} == {before + count // 4}
    assert sum(policies[0].lived) == sum(steps)
    each = -(-look // 4) * 4
    assert rows_of(spy.shown) == rows_lived(lanes)[: sum(steps) // each * each]
    assert {len(block) for block in spy.shown} <= {each}


def test_an_alarm_in_the_middle_of_an_interaction_leaves_the_rest_to_the_other_expert() -> None:
    spy = Seeing()
    learner, policies = actor(signal=spy)
    lanes = marked(visits=AND_BACK)
    lives(learner, lanes, 4 * 2000)
    assert {lane.steps for lane in lanes} == {2000}
    first, second = ([n // 4 for n in policy.lived] for policy in policies)
    assert first[0] + second[0] + first[1] == 2000
    assert 800 + 16 <= first[0] < 800 + 250
    assert 1400 + 16 <= first[0] + second[0] < 1400 + 250
    assert rows_of(spy.shown) == rows_lived(lanes)


def test_what_happened_comes_in_order_with_the_steps_since_the_onset() -> None:
    learner, _ = actor()
    lanes = marked(visits=AWAY)
    lives(learner, lanes, *[256] * 12)
    while not (events := lives(learner, lanes, 256)):
        pass
    found, back, spawned = events
    assert isinstance(found, ShiftDetected)
    assert isinstance(back, RolledBack)
    assert isinstance(spawned, ExpertSpawned)
    assert (found.expert, back.expert, spawned.expert, spawned.parent) == (0, 0, 1, 0)
    assert found.statistic > found.threshold == learner.threshold
    # Within a look of the truth: the onset is in the past, but not before the change.
    lived = len(learner._stay.lately) // 4
    since = lanes[0].steps - lived - 800
    assert since / 64 <= found.delay == back.experiences <= since / 64 + 2


@pytest.mark.parametrize("look", [pytest.param(1, marks=pytest.mark.slow), 8, 32, 72, 512])
def test_a_shift_is_found_whatever_the_looks(look: int) -> None:
    learner, _ = actor(look=look)
    lanes = marked(visits=((0, 0), (2500, 1)), lanes=2)
    lives(learner, lanes, 2 * 2500)
    assert len(learner.experts) == 1
    lives(learner, lanes, 2 * 1500)
    assert len(learner.experts) == 2


@pytest.mark.parametrize("onset", [1, 2, 3, 4])
@pytest.mark.parametrize("again", [False, True])
def test_an_alarm_stands_until_enough_was_seen_since_its_onset(onset: int, again: bool) -> None:
    """However soon a detector speaks up, and though it does so once only. Two values a look, the 95th is the first one
    of the new world."""

    class Once(Every):
        def update(self, value: float) -> Shift | None:
            self.count += 1
            fires = self.count == 94 + onset or (again and self.count > 94 + onset)
            return Shift(self.count - 94, 1.0, 0.5) if fires else None

    learner, policies = actor(Once(0))
    lives(learner, marked(visits=((0, 0), (800, 1))), *[256] * 15)
    assert len(policies) == 2
    assert [set(worlds_of(t)) for p in policies for t in p.adopted] == [{1}]
    assert [{round(reward) for reward in p.knows} for p in policies] == [{0}, {1}]


def test_a_world_that_stays_is_left_in_peace() -> None:
    learner, policies = actor()
    assert names(lives(learner, marked(), *[256] * 40)) == ["ExpertSpawned"]
    assert len(policies) == 1


def test_a_false_alarm_is_dismissed_and_changes_nothing() -> None:
    quiet, alone = actor()
    lives(quiet, marked(), *[256] * 20)
    learner, policies = actor(Every(7))
    events = lives(learner, marked(), *[256] * 20)
    assert names(events)[0] == "ExpertSpawned"
    assert set(names(events)[1:]) == {"ShiftDismissed"}
    dismissed = events[-1]
    assert isinstance(dismissed, ShiftDismissed)
    assert (dismissed.expert, dismissed.statistic, dismissed.threshold) == (0, 1.0, 0.5)
    assert policies[0].knows == alone[0].knows
    assert policies[0].calls == ["enter"]


def test_a_detector_that_fires_too_early_finds_nothing_it_could_say() -> None:
    learner, policies = actor(Every(1, onset=1))
    lives(learner, marked(), *[256] * 4)
    assert len(policies) == 1


def test_where_nothing_is_looked_for_one_policy_goes_on_and_no_model_is_learned() -> None:
    algorithm = Wandering()
    learner = LifelongActor(algorithm, None, look=LOOK)
    assert learner.threshold is None
    events = lives(learner, marked(visits=AND_BACK), *[256] * 24)
    assert names(events) == ["ExpertSpawned"]
    assert not learner.experts[0].model.is_ready
    assert algorithm.made[0].calls == ["enter"]


def test_where_there_is_no_room_the_one_that_is_disturbed_least_goes_on() -> None:
    learner, policies = actor(max_experts=1)
    events = lives(learner, marked(visits=AWAY), *[256] * 18)
    # It learns the other world, and is used to it from then on.
    assert names(events) == ["ExpertSpawned", "ShiftDetected", "ExpertChosen"]
    assert isinstance(events[2], ExpertChosen)
    assert (events[2].expert, events[2].full) == (0, True)
    assert events[2].unexplained > 0.3
    # It was stopped in the middle of its life: it must look where the lanes stand.
    assert policies[0].calls == ["enter", "enter"]
    assert sum(reward > 0.5 for reward in policies[0].knows) > 0.8 * 4 * (18 * 64 - 800)


def test_a_world_that_is_told_and_has_no_room_is_on_record_as_such() -> None:
    learner, _ = actor(max_experts=2)
    lanes = marked()
    told = [lives(learner, lanes, 256, task=task)[1:] for task in "ABCAC"]
    assert told[2] == [ExpertChosen(1, 1.0, full=True)]
    # From then on, the expert is this world's, too.
    assert told[3:] == [[ExpertChosen(0, 0.0)], [ExpertChosen(1, 0.0)]]


def test_names_of_tasks_are_believed_and_nothing_is_guessed() -> None:
    learner, policies = actor()
    lanes = marked(visits=((0, 0), (512, 1), (1024, 0), (1536, 1)))
    first = lives(learner, lanes, *[256] * 8, task="A")
    second = lives(learner, lanes, *[256] * 8, task="B")
    third = lives(learner, lanes, *[256] * 8, task="A")
    assert names(first) == ["ExpertSpawned"]
    assert second == [ShiftSeen(0), ExpertSpawned(1, 3, 0)]
    assert third == [ShiftSeen(1), ExpertChosen(0, 0.0)]
    # Nobody was told of this change, and nobody asked.
    assert lives(learner, lanes, *[256] * 8, task="A") == []
    assert sorted(policies[1].knows)[0] > 0.5
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, 1, "B")
    assert learner.actor(stage).experts.tolist() == [1]


@pytest.mark.parametrize("look", [64, 100])
def test_what_was_seen_before_a_label_is_not_taken_for_the_next_ones(look: int) -> None:
    """Also where looks do not go into interactions: the rest of one belongs to the world in which it was seen."""
    learner, _ = actor(look=look)
    lanes = marked(visits=((0, 0), (512, 1)))
    lives(learner, lanes, *[256] * 8, task="A")
    lives(learner, lanes, *[256] * 8, task="B")
    assert {world for block in learner._stay.lately.transitions() for world in worlds_of(block)} == {1}
    assert learned_rewards(learner.experts[1].model) > 0.9


def test_a_boundary_is_seen_and_the_model_may_learn_what_was_before() -> None:
    learner, policies = actor()
    lanes = marked()
    lives(learner, lanes, *[256] * 8)
    waiting = len(learner._stay.lately)
    assert waiting == LATE * LOOK
    learned = learner.experts[0].model.learned
    assert lives(learner, lanes, 256, boundary=True) == [ShiftSeen(0), ExpertChosen(0, 0.0)]
    assert learner.experts[0].model.learned == learned + waiting
    assert policies[0].calls == ["enter"]


def test_one_model_for_everything_stays_one_whatever_it_is_told() -> None:
    algorithm = Wandering()
    learner = LifelongActor(algorithm, None, max_experts=1)
    lanes = marked()
    for task in "ABA":
        lives(learner, lanes, 256, task=task)
    assert len(algorithm.made) == 1
    assert algorithm.made[0].calls == ["enter"]


def test_worlds_with_other_spaces_have_experts_of_their_own() -> None:
    learner, policies = actor()
    sides, wide = marked(), tuple(Wide(lane) for lane in range(4))
    assert lives(learner, sides, 256) == [ExpertSpawned(0, 3, None)]
    assert lives(learner, wide, 256) == [ShiftSeen(0), ExpertSpawned(1, 3, 0)]
    assert lives(learner, sides, 256) == [ShiftSeen(1), ExpertChosen(0, 0.0)]
    assert [sum(p.lived) for p in policies] == [512, 256]
    for lanes, number in ((sides, 0), (wide, 1)):
        stage = Stage(lanes[0].observation_space, lanes[0].action_space, 2)
        assert learner.actor(stage).experts.tolist() == [number] * 2
    assert learner.actor(Stage(Box(-1, 1, (7,)), lanes[0].action_space, 2)).experts.tolist() == [-1] * 2


def test_a_world_is_left_with_its_own_number_of_lanes() -> None:
    """Where some of them were still in the old world, and the next one's are fewer."""
    learner, _ = actor()
    lanes = tuple(Marked(i, [(0, 0), (1000 + 120 * i, 1)]) for i in range(4))
    while learner._stay._stragglers is None:
        lives(learner, lanes, 256)
    learned = learner.experts[1].model.learned
    lives(learner, lanes, 256)
    waiting = len(learner._stay.lately)
    lives(learner, tuple(Wide(lane) for lane in range(3)), 252)
    # Some of it was the stragglers'.
    assert learned < learner.experts[1].model.learned < learned + waiting


class Wide(Marked):
    """Shows one more number."""

    def __init__(self, lane: int) -> None:
        super().__init__(lane)
        self.observation_space = Box(-np.inf, np.inf, (5,), np.float32)

    def _seen(self) -> Any:
        return np.append(super()._seen(), np.float32(0.0))


def test_an_actor_begins_with_whoever_took_over_last() -> None:
    learner, _ = actor()
    lanes = marked(visits=AND_BACK)
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, 1)
    assert learner.actor(stage).experts.tolist() == [-1]
    begun = []
    for _ in range(30):
        lives(learner, lanes, 256)
        begun += learner.actor(stage).experts.tolist()
    assert [b for a, b in pairwise([-1, *begun]) if a != b] == [0, 1, 0]


def test_an_update_tells_what_episodes_earned_and_how_surprising_the_world_was() -> None:
    learner, _ = actor()
    lanes = marked(length=10)
    update = learner.live(Interaction(lanes, 24))[0]
    assert isinstance(update, Update)
    # No episode has ended yet.
    assert np.isnan(score(update))
    update = learner.live(Interaction(lanes, 40))[0]
    assert isinstance(update, Update)
    # An episode has ended in each lane.
    earned = [sum(reward for _, _, reward, *_ in lane.lived[:10]) for lane in lanes]
    assert score(update) == pytest.approx(np.mean(earned), abs=1e-6)
    update = learner.live(Interaction(lanes, 4 * 512))[0]
    assert isinstance(update, Update)
    # The mean of all episodes that have ended since the last time.
    spans = [(first, first + 10) for first in range(10, 520, 10)]
    ended = [sum(reward for _, _, reward, *_ in lane.lived[a:b]) for lane in lanes for a, b in spans]
    assert score(update) == pytest.approx(np.mean(ended), abs=1e-5)
    assert float(update.loss) >= 1.0
    assert update.statistic == learner.experts[0].detector.statistic


def score(update: Update) -> float:
    return float(update.per_sample(update.outputs, update.targets))


def test_its_size_is_that_of_its_experts() -> None:
    learner, _ = actor()
    assert learner.size() == Size(0, 0, 0)
    lives(learner, marked(visits=AWAY), *[256] * 20)
    models = sum(e.model.bytes() for e in learner.experts)
    assert learner.size() == Size(2, 6, 2 * 24 + models)


@pytest.mark.parametrize("stop", [1, 13, pytest.param(15, marks=pytest.mark.slow), 26])
def test_a_fresh_learner_with_the_state_goes_on_as_the_other_would(stop: int) -> None:
    learner, lanes = actor(look=96)[0], marked(visits=AND_BACK)
    lives(learner, lanes, *[256] * stop)
    goes_on_alike(learner, lanes, 30 - stop)


@pytest.mark.parametrize("after", [0, 2, pytest.param(5, marks=pytest.mark.slow)])
def test_so_it_does_while_some_lanes_are_in_the_new_world_and_others_are_not(after: int) -> None:
    learner, _ = actor(look=96)
    lanes = tuple(Marked(i, [(0, 0), (1000 + 120 * i, 1)]) for i in range(4))
    while learner._stay._stragglers is None:
        lives(learner, lanes, 256)
    assert min(lane.steps for lane in lanes) < 1360
    lives(learner, lanes, *[256] * after)
    goes_on_alike(learner, lanes, 12)


def test_so_it_does_while_an_alarm_stands() -> None:
    class Once(Every):
        def update(self, value: float) -> Shift | None:
            self.count += 1
            return Shift(1, 1.0, 0.5) if self.count == 95 else None

    learner, lanes = actor(Once(0))[0], marked(visits=((0, 0), (800, 1)))
    lives(learner, lanes, *[256] * 13)
    assert learner._stay._surprises.standing is not None
    goes_on_alike(learner, lanes, 6, actor(Once(0))[0])
    assert len(learner.experts) == 2


def goes_on_alike(
    one: LifelongActor, lanes: tuple[Marked, ...], interactions: int, other: LifelongActor | None = None
) -> None:
    other, others = other or actor(look=96)[0], deepcopy(lanes)
    other.load_state_dict(saved(one))
    for _ in range(interactions):
        wanted, found = one.live(Interaction(lanes, 256)), other.live(Interaction(others, 256))
        assert found[1:] == wanted[1:]
        same("the update is the same", facts(wanted[0]), facts(found[0]))
    same("and the state in the end", saved(one), saved(other))


def facts(update: Any) -> list[Any]:
    return [update.expert, update.loss, update.outputs, update.statistic, update.samples]


def test_a_state_is_a_copy_that_life_does_not_move() -> None:
    learner, _ = actor()
    lanes = marked()
    lives(learner, lanes, *[256] * 8)
    kept, copy = learner.state_dict(), saved(learner)
    lives(learner, lanes, *[256] * 4)
    same("the state", copy, kept)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"look": 0}, "look counts environment steps"),
        ({"max_experts": 0}, "max_experts must be at least 1, or None"),
        ({"detector": Cusum}, "got the class Cusum"),
        ({"detector": 3}, "must be a detector"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        actor(**settings)


def test_returns_and_errors_of_values_may_be_watched_instead() -> None:
    returns, _ = actor(signal=NegativeReturn(), detector=Every(10_000))
    lanes = marked(length=10)
    lives(returns, lanes, 4 * 64)
    update = returns.live(Interaction(lanes, 4 * 16))[0]
    # The last look has steps 65 to 80: the episodes that end there, of which the last value is the last lane's.
    last = sum(reward for _, _, reward, *_ in lanes[-1].lived[70:80])
    assert isinstance(update, Update)
    assert float(update.loss) == pytest.approx(-last, abs=1e-5)
    errors, _ = actor(signal=TemporalDifference())
    lanes = marked(visits=((0, 2),))
    assert float(errors.live(Interaction(lanes, 256))[0].loss) == pytest.approx(2.0, abs=0.2)
    blind = LifelongActor(Wandering(values=False), Cusum(), TemporalDifference())
    with pytest.raises(ValueError, match=r"no value function .* such as model_error"):
        blind.live(Interaction(marked(), 256))
