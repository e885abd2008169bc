"""Judge who acts: whole episodes in worlds of their own, without learning.

All episodes of a judging run side by side, one to a lane, so that an actor answers for all of them at once. N lanes, M
of them still going on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lifelong.finite import must_be_finite
from lifelong.interaction import Actor, Array, Found, LaneFault, Observations, Stage, Transitions, WorldLost
from lifelong.mishaps import EpisodeFailed
from lifelong.stream import EnvTask

if TYPE_CHECKING:
    from lifelong.interaction import Lane

SUCCESS = "success", "is_success"
"""Under which names a step's info says whether the episode is a success."""


AGAIN = 2
"""How often an episode is played again whose environment failed."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came out: the task's measure, the episodes, steps taken by each expert, and changes of mind.

    episodes: those that count, which are those that could be played. cut: how many of them had not ended after the
    task's `longest` steps, and count as far as they went. tells: whether any info of theirs says of success or failure.
    failed: those whose environment failed at least once.
    """

    value: float
    episodes: int
    routed: tuple[tuple[int, int], ...]
    found: tuple[Found, ...]
    cut: int = 0
    tells: bool = True
    failed: tuple[EpisodeFailed, ...] = ()


class Player(Protocol):
    """Anything that can be judged, such as an `ActingLearner`."""

    def actor(self, stage: Stage) -> Actor: ...


def play(learner: Player, task: EnvTask, limit: int | None = None) -> Judgement:
    """Let the learner act in a task's own worlds for its episodes (the first `limit` of them).

    An episode whose environment fails is played again from its begin, with the same seed, in an environment made anew,
    twice at most; then it is left out. Raises WorldLost where that is so of more than half of them, and ValueError
    where an environment that does not mend itself gives rewards or observations that are not finite.
    """
    episodes = task.episodes if limit is None else min(limit, task.episodes)
    lanes = task.lanes(episodes)
    returns, success, cut = np.zeros(episodes), np.zeros(episodes, dtype=bool), np.zeros(episodes, dtype=bool)
    steps: Counter[int] = Counter()
    found: list[Found] = []
    faults: dict[int, list[LaneFault]] = {}
    tells, left = False, list(range(episodes))
    for _ in range(1 + AGAIN):
        played = _round(learner, task, {k: lanes[k] for k in left})
        returns[left], success[left], cut[left] = played.returns, played.success, played.cut
        steps.update(played.steps)
        found += played.found
        tells = tells or played.tells
        left = list(played.faults)
        for episode, fault in played.faults.items():
            faults.setdefault(episode, []).append(fault)
        if not left:
            break
    if 2 * len(left) > episodes:
        raise WorldLost(
            f"{task.name!r} cannot be judged: {len(left)} of {episodes} episodes failed, each {1 + AGAIN} times, the "
            f"latest in {faults[left[-1]][-1]}"
        ) from faults[left[-1]][-1]
    counted = np.delete(np.arange(episodes), left)
    value = float(success[counted].mean() if task.measure == "success" else returns[counted].mean())
    failed = (EpisodeFailed(task.name, k, said[-1].why, len(said), k in left) for k, said in sorted(faults.items()))
    whole = tuple(sorted(steps.items())), tuple(found), int(cut[counted].sum()), tells
    return Judgement(value, len(counted), *whole, tuple(failed))


@dataclass(frozen=True, slots=True)
class _Round:
    """Episodes that were played side by side, E of them: (E,) what each came to, and by number those that failed."""

    returns: Array
    success: Array
    cut: Array
    faults: dict[int, LaneFault]
    steps: dict[int, int]
    found: Sequence[Found]
    tells: bool


def _round(learner: Player, task: EnvTask, by_number: dict[int, Lane]) -> _Round:
    """Play each of these episodes once. Steps of those that fail are nobody's."""
    numbers, lanes, count = list(by_number), list(by_number.values()), len(by_number)
    actor = learner.actor(Stage(lanes[0].observation_space, lanes[0].action_space, count, task.label))
    returns, success = np.zeros(count), np.zeros(count, dtype=bool)
    observations: list[Any] = [None] * count
    faults: dict[int, LaneFault] = {}
    who: list[tuple[Array, Array]] = []
    tells = False
    for k, lane in enumerate(lanes):
        try:
            observations[k] = lane.reset(seed=task.seed + numbers[k])[0]
        except LaneFault as fault:
            faults[k] = fault
    live = np.delete(np.arange(count), list(faults))
    for _ in range(task.longest):
        if not len(live):
            break
        actions = actor.act(_stacked([observations[k] for k in live]), live)
        _check(learner, task, actions, len(live))
        who.append((live, actor.experts[live]))
        results: dict[int, Any] = {}
        for k, action in zip(live.tolist(), actions, strict=True):
            try:
                results[k] = lanes[k].step(action)
            except LaneFault as fault:
                faults[k] = fault
        if len(results) < len(live):
            sound = np.isin(live, list(results))
            live, actions = live[sound], actions[sound]
            if not len(live):
                break
        rewards = np.array([result[1] for result in results.values()], dtype=np.float64)
        ended = np.array([result[2] for result in results.values()], dtype=bool)
        cut = np.array([result[3] for result in results.values()], dtype=bool)
        after = _stacked([result[0] for result in results.values()])
        before = _stacked([observations[k] for k in live])
        happened = Transitions(before, actions, rewards, after, ended, cut)
        must_be_finite(happened, [lanes[k] for k in live.tolist()])
        actor.observe(happened, live)
        returns[live] += rewards
        success[live] |= [succeeded(result[4]) for result in results.values()]
        tells = tells or any(name in result[4] for result in results.values() for name in SUCCESS)
        for k, result in results.items():
            observations[k] = result[0]
        live = live[~(ended | cut)]
    steps: Counter[int] = Counter()
    for places, experts in who:
        steps.update(experts[~np.isin(places, list(faults))].tolist() if faults else experts.tolist())
    going_on = np.isin(np.arange(count), live)
    failed = {numbers[k]: fault for k, fault in sorted(faults.items())}
    return _Round(returns, success, going_on, failed, dict(steps), tuple(actor.found), tells)


def said_of_cut(task: EnvTask, played: Judgement) -> str:
    """What a person should know where episodes were cut."""
    return (
        f"{played.cut} of {played.episodes} episodes of {task.name!r} had not ended after {task.longest:,} steps while "
        "it was judged, and were cut there: it is judged by what they earned until then. Where episodes never end by "
        "themselves, give the world a limit that counts while it is learned, too (make: {max_episode_steps: N}); where "
        "they are longer, let the stream's `longest` be so."
    )


def said_of_silence(task: EnvTask, played: Judgement) -> str:
    """What a person should know where nothing told of success that is to be measured by it."""
    return (
        f"{task.name!r} is measured by success, but no info in {played.episodes} episodes of it had 'success' or "
        "'is_success': they count as failures. Where the environment does not tell at all, let a `view` put it into "
        "info, or measure the world by its return (measure: return); where it tells of successes alone, there was none."
    )


def succeeded(info: dict[str, Any]) -> bool:
    """Whether a step's info says that the episode is a success, under the names that the field uses."""
    return any(bool(info.get(name, False)) for name in SUCCESS)


def _stacked(observations: Sequence[Any]) -> Observations:
    """Observations of single lanes as one batch."""
    first = observations[0]
    if isinstance(first, dict):
        return {key: np.stack([np.asarray(o[key]) for o in observations]) for key in first}
    stacked: Array = np.stack([np.asarray(o) for o in observations])
    return stacked


def _check(learner: Player, task: EnvTask, actions: Array, lanes: int) -> None:
    if len(actions) != lanes:
        raise ValueError(
            f"The actor of {type(learner).__name__} must give an action for each of {lanes} lanes of task "
            f"{task.name!r}, got {np.shape(actions)}."
        )
