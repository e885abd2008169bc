"""Judging by whole episodes: which, by whom, and what an actor is shown of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from sides import Habit, Sides, sides

from lifelong.episodes import Judgement, play, succeeded
from lifelong.evaluation.schedule import Schedule
from lifelong.events import EpisodeFailed, TaskScored
from lifelong.interaction import Array, Found, LaneFault, Stage, Transitions, WorldLost
from lifelong.lifetime import run
from lifelong.loop import acting, learning
from lifelong.record.memory import Memory
from lifelong.stream import EnvTask, References
from lifelong_agents.finetune import Finetune


class Counting(gymnasium.Env[Any, Any]):
    """Shows [seed, steps]; an episode lasts seed % 10 steps, each of which pays the action."""

    def __init__(self, named: bool = False) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(9)
        self.named, self.seeds = named, []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.steps = 0
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        seed = self.seeds[-1]
        over = self.steps == seed % 10
        won = {"is_success": self.steps == 2} if seed % 2 else {}
        return self._seen(), float(action), over and seed % 2 == 0, over and seed % 2 == 1, won

    def _seen(self) -> Any:
        seen = np.array([self.seeds[-1], self.steps], np.float32)
        return {"x": seen} if self.named else seen


@dataclass
class Steady:
    """Answers with the number of the lane; expert 7 in lane 0 at first, 3 everywhere else and later."""

    lanes: int
    asked: list[Any] = field(default_factory=list)
    shown: list[Any] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)

    def act(self, observations: Any, lanes: Any) -> Any:
        self.asked.append((rows(observations), lanes.tolist()))
        return lanes.copy()

    def observe(self, transitions: Transitions, lanes: Any) -> None:
        self.shown.append((transitions, lanes.tolist()))
        if not self.found:
            self.found.append(Found(1, 3, 7))

    @property
    def experts(self) -> Any:
        return np.array([3 if self.found else 7, *[3] * (self.lanes - 1)])


def rows(observations: Any) -> list[list[float]]:
    found: list[list[float]] = (observations["x"] if isinstance(observations, dict) else observations).tolist()
    return found


class Learner(Habit):
    """Hands out steady actors, and keeps them."""

    def actor(self, stage: Stage) -> Any:
        self.stage, self.steady = stage, Steady(stage.lanes)
        return self.steady


def judged(named: bool = False, **settings: Any) -> tuple[Judgement, Learner, list[Counting]]:
    made: list[Counting] = []

    def lanes(count: int) -> list[Any]:
        made.extend(Counting(named) for _ in range(count))
        return list(made)

    learner = Learner()
    limit = settings.pop("limit", None)
    task = EnvTask("count", lanes, **{"episodes": 3, "seed": 2, **settings})
    return play(learner, task, limit), learner, made


@pytest.mark.parametrize("named", [False, True])
def test_each_episode_has_a_seed_and_a_lane_of_its_own_and_is_played_to_its_end(named: bool) -> None:
    found, learner, made = judged(named)
    assert [lane.seeds for lane in made] == [[2], [3], [4]]
    assert [lane.steps for lane in made] == [2, 3, 4]
    # Lane k pays k a step.
    assert found.value == (0 * 2 + 1 * 3 + 2 * 4) / 3
    assert found.episodes == 3
    assert learner.steady.asked == [
        ([[2, 0], [3, 0], [4, 0]], [0, 1, 2]),
        ([[2, 1], [3, 1], [4, 1]], [0, 1, 2]),
        ([[3, 2], [4, 2]], [1, 2]),
        ([[4, 3]], [2]),
    ]


def test_what_is_shown_is_what_happened_and_nothing_more() -> None:
    _, learner, _ = judged()
    transitions, lanes = learner.steady.shown[1]
    assert lanes == [0, 1, 2]
    assert rows(transitions.observations) == [[2, 1], [3, 1], [4, 1]]
    assert rows(transitions.next_observations) == [[2, 2], [3, 2], [4, 2]]
    assert transitions.actions.tolist() == [0, 1, 2]
    assert transitions.rewards.tolist() == [0.0, 1.0, 2.0]
    assert transitions.terminated.tolist() == [True, False, False]
    ends = [(t.terminated.tolist(), t.truncated.tolist()) for t, _ in learner.steady.shown]
    assert ends[2:] == [([False, False], [True, False]), ([True], [False])]
    assert (learner.stage.lanes, learner.stage.task) == (3, None)


def test_steps_are_counted_by_who_took_them() -> None:
    found, _, _ = judged()
    # Lane 0 took its first step as expert 7; all others were expert 3's.
    assert found.routed == ((3, 8), (7, 1))
    assert found.found == (Found(1, 3, 7),)


def test_a_success_is_an_episode_with_one_successful_step() -> None:
    found, _, _ = judged(measure="success")
    assert found.value == pytest.approx(1 / 3)
    assert [succeeded(info) for info in ({}, {"success": 1.0}, {"is_success": True}, {"success": 0})] == [
        False, True, True, False,
    ]  # fmt: skip


def test_fewer_episodes_are_the_first_ones_and_no_more_than_there_are() -> None:
    found, _, made = judged(limit=2)
    assert (found.episodes, [lane.seeds for lane in made]) == (2, [[2], [3]])
    assert judged(limit=9)[0].episodes == 3


def test_an_episode_without_an_end_is_cut() -> None:
    found, _, made = judged(longest=3)
    assert [lane.steps for lane in made] == [2, 3, 3]
    assert found.value == (0 * 2 + 1 * 3 + 2 * 3) / 3


def test_the_label_is_told_where_it_is_shown() -> None:
    assert judged(label="count")[1].stage.task == "count"


def test_an_actor_that_does_not_answer_for_every_lane_is_named() -> None:
    class Short(Learner):
        def actor(self, stage: Stage) -> Any:
            actor = super().actor(stage)
            actor.act = lambda observations, lanes: lanes[:1]
            return actor

    with pytest.raises(ValueError, match=r"Short must give an action for each of 4 lanes of task 'left', got \(1,\)"):
        play(Short(), sides("left", 0))


def test_a_run_scores_returns_by_their_references() -> None:
    from sides import ToyWorlds

    tasks = sides("left", 0, references=References(1.0, 5.0)), sides("right", 1)
    habit = Habit(values=np.array([1.0, 0.0]), rate=0.0)
    events = run(ToyWorlds(tasks), habit, evaluation=Schedule(within=1, within_episodes=3)).events
    scored = [e for _, e in events if isinstance(e, TaskScored)]
    assert {(e.task, e.value, e.score) for e in scored} == {("left", 5.0, 1.0), ("right", 0.0, 0.0)}
    # All episodes at a segment's end, some within.
    assert {(e.at_end, e.samples) for e in scored} == {(True, 4), (False, 3)}
    assert all(dict(e.routed) == {0: 5 * e.samples} for e in scored)


def test_episodes_that_do_not_end_are_cut_and_that_is_said_once_for_a_task() -> None:
    from sides import ToyWorlds

    tasks = sides("left", 0, longest=2), sides("right", 1, longest=5)
    habit = Habit(values=np.array([1.0, 0.0]), rate=0.0)
    with pytest.warns(UserWarning, match="had not ended") as said:
        events = run(ToyWorlds(tasks), habit, evaluation=Schedule(within=1, within_episodes=3)).events
    (told,) = [str(warning.message) for warning in said]
    assert told.startswith("4 of 4 episodes of 'left' had not ended after 2 steps while it was judged, and were cut")
    assert "make: {max_episode_steps: N}" in told
    scored = [e for _, e in events if isinstance(e, TaskScored)]
    # Those of the other task end with their fifth step.
    assert {(e.task, e.cut, e.value) for e in scored} == {("left", 4, 2.0), ("left", 3, 2.0), ("right", 0, 0.0)}


def test_success_that_no_info_tells_of_is_said_once_for_a_task() -> None:
    from sides import ToyWorlds

    class Silent(Sides):
        def step(self, action: Any) -> Any:
            return *super().step(action)[:4], {"other": True}

    silent = EnvTask("left", lambda count: [Silent() for _ in range(count)], episodes=4, measure="success")
    tasks = silent, sides("right", 1, measure="success"), replace(silent, name="paid", measure="return")
    habit = Habit(values=np.array([1.0, 0.0]), rate=0.0)
    with pytest.warns(UserWarning, match="measured by success") as said:
        events = run(ToyWorlds(tasks, (0, 1, 2)), habit, evaluation=Schedule(within=1)).events
    # The other one fails, too, and says so.
    (told,) = [str(warning.message) for warning in said]
    assert told.startswith("'left' is measured by success, but no info in 4 episodes of it had 'success'")
    assert "measure: return" in told
    assert {(e.task, e.value) for _, e in events if isinstance(e, TaskScored)} == {
        ("left", 0.0), ("right", 0.0), ("paid", 5.0),
    }  # fmt: skip


def test_a_world_that_was_lived_in_must_be_known_where_it_is_judged() -> None:
    from sides import Side, ToyWorlds

    class Nobody(Side):
        @property
        def experts(self) -> Array:
            return np.full(self.lanes, -1)

    class Lost(Habit):
        def actor(self, stage: Stage) -> Any:
            return Nobody(0, stage.lanes)

    # The untrained learner may act at random, and is recorded to.
    pair = sides("left", 0), sides("right", 1)
    seen = Memory()
    with pytest.raises(
        ValueError, match=r"^Lost has lived in 'left' and does not know it where it is judged: nobody acts"
    ):
        run(ToyWorlds(pair), Lost(), evaluation=Schedule(within=0), subscribers=[seen])
    scored = [(step, e.task, e.routed) for step, e in seen.events if isinstance(e, TaskScored)]
    assert scored == [(0, "left", ((-1, 20),)), (0, "right", ((-1, 20),))]


def test_who_cannot_act_or_cannot_be_taught_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"Finetune cannot act: it has no live and actor\. .* such as lifelong_rl"):
        acting(Finetune())
    with pytest.raises(ValueError, match="Habit cannot learn from batches: it has no learn and predict"):
        learning(Habit())
    assert acting(Habit())
    with pytest.raises(ValueError, match="at least one episode of at least one step"):
        EnvTask("left", lambda count: [Sides()] * count, episodes=0)


class Faulty(Counting):
    """Fails at its second step, so many times as episodes of these seeds are played."""

    def __init__(self, faulty: dict[int, int]) -> None:
        super().__init__()
        self.faulty = faulty

    def step(self, action: Any) -> Any:
        result = super().step(action)
        seed = self.seeds[-1]
        if self.steps == 2 and self.faulty.get(seed, 0):
            self.faulty[seed] -= 1
            raise LaneFault(f"world 'count', judging, step 2: {seed} is no number. Mend it.", f"{seed} is no number")
        return result


def judged_faulty(faulty: dict[int, int], **settings: Any) -> tuple[Judgement, Learner]:
    """Four episodes, of 2 to 5 steps; lane k pays k a step."""
    made = [Faulty(faulty) for _ in range(4)]
    learner = Learner()
    return play(learner, EnvTask("count", lambda count: made[:count], episodes=4, seed=2, **settings)), learner


def test_an_episode_whose_environment_failed_is_played_again_from_the_same_seed() -> None:
    found, learner = judged_faulty({4: 1, 5: 2})
    assert found.episodes == 4
    # In a round of their own they are lanes 0 and 1, and then lane 0 alone.
    assert found.value == (0 * 2 + 1 * 3 + 0 * 4 + 0 * 5) / 4
    assert found.failed == (
        EpisodeFailed("count", 2, "4 is no number", 1, False),
        EpisodeFailed("count", 3, "5 is no number", 2, False),
    )
    # Steps of attempts that failed are nobody's.
    assert sum(steps for _, steps in found.routed) == 2 + 3 + 4 + 5
    assert learner.stage.lanes == 1


def test_what_failed_is_not_shown_and_the_others_go_on() -> None:
    _, learner = judged_faulty({3: 9})
    # The last round, of episode 1 alone: one step was taken, and the second one failed.
    assert [lanes for _, lanes in learner.steady.asked] == [[0], [0]]
    assert [lanes for _, lanes in learner.steady.shown] == [[0]]


@pytest.mark.parametrize("measure", ["return", "success"])
def test_an_episode_that_fails_each_time_is_left_out(measure: Any) -> None:
    found, _ = judged_faulty({4: 9, 5: 9}, measure=measure)
    assert (found.episodes, found.cut) == (2, 0)
    # Of the others, that of seed 3 is a success.
    assert found.value == ((0 * 2 + 1 * 3) / 2 if measure == "return" else 1 / 2)
    assert [(failed.tries, failed.left_out) for failed in found.failed] == [(3, True), (3, True)]
    assert sum(steps for _, steps in found.routed) == 2 + 3


def test_more_than_half_of_them_may_not_be() -> None:
    said = r"^'count' cannot be judged: 3 of 4 episodes failed, each 3 times, the latest in world .*Mend it\.$"
    with pytest.raises(WorldLost, match=said):
        judged_faulty({3: 3, 4: 3, 5: 3})


def test_what_was_left_out_is_on_record_and_in_the_summary() -> None:
    from sides import ToyWorlds

    task = EnvTask("count", lambda count: [Faulty({4: 9, 5: 1}) for _ in range(count)], episodes=4, seed=2)
    result = run(ToyWorlds((task,), (0,)), Wanderer(), evaluation=Schedule(within=0))
    failed = [event for _, event in result.events if isinstance(event, EpisodeFailed)]
    scored = [event for _, event in result.events if isinstance(event, TaskScored)]
    assert [(e.episode, e.left_out) for e in failed] == [(2, True), (3, False)] * 2
    assert [e.samples for e in scored] == [3, 3]
    assert result.summary.left_out == 2


class Wanderer(Learner):
    """Lives where no step fails."""

    def live(self, interaction: Any) -> Any:
        from lifelong.events import Update

        return [Update(0, torch.tensor(0.0), torch.tensor([[1.0]]), torch.zeros(1), _first, samples=interaction.steps)]


def _first(outputs: Any, targets: Any) -> Any:
    return outputs[..., 0]
