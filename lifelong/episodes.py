"""Judge who acts: whole episodes in worlds of their own, without learning.

All episodes of a judging run side by side, one to a lane, so that an actor answers for all of them at once. N lanes, M
of them still going on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lifelong.finite import must_be_finite
from lifelong.interaction import Actor, Array, Found, Observations, Stage, Transitions
from lifelong.stream import EnvTask

SUCCESS = "success", "is_success"
"""Under which names a step's info says whether the episode is a success."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came out: the task's measure, the episodes, steps taken by each expert, and changes of mind.

    cut: how many of the episodes had not ended after the task's `longest` steps, and count as far as they went.
    tells: whether any info of theirs says of success or failure.
    """

    value: float
    episodes: int
    routed: tuple[tuple[int, int], ...]
    found: tuple[Found, ...]
    cut: int = 0
    tells: bool = True


class Player(Protocol):
    """Anything that can be judged, such as an `ActingLearner`."""

    def actor(self, stage: Stage) -> Actor: ...


def play(learner: Player, task: EnvTask, limit: int | None = None) -> Judgement:
    """Let the learner act in a task's own worlds for its episodes (the first `limit` of them).

    Raises ValueError where one of them gives rewards or observations that are not finite.
    """
    episodes = task.episodes if limit is None else min(limit, task.episodes)
    lanes = task.lanes(episodes)
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, episodes, task.label)
    actor = learner.actor(stage)
    observations = [lane.reset(seed=task.seed + k)[0] for k, lane in enumerate(lanes)]
    returns, success = np.zeros(episodes), np.zeros(episodes, dtype=bool)
    steps: Counter[int] = Counter()
    tells = False
    live = np.arange(episodes)
    for _ in range(task.longest):
        actions = actor.act(_stacked([observations[k] for k in live]), live)
        _check(learner, task, actions, len(live))
        steps.update(actor.experts[live].tolist())
        results = [lanes[k].step(action) for k, action in zip(live.tolist(), actions, strict=True)]
        rewards = np.array([result[1] for result in results], dtype=np.float64)
        ended = np.array([result[2] for result in results], dtype=bool)
        cut = np.array([result[3] for result in results], dtype=bool)
        after = _stacked([result[0] for result in results])
        before = _stacked([observations[k] for k in live])
        happened = Transitions(before, actions, rewards, after, ended, cut)
        must_be_finite(happened, [lanes[k] for k in live.tolist()])
        actor.observe(happened, live)
        returns[live] += rewards
        success[live] |= [succeeded(result[4]) for result in results]
        tells = tells or any(name in result[4] for result in results for name in SUCCESS)
        for k, result in zip(live.tolist(), results, strict=True):
            observations[k] = result[0]
        live = live[~(ended | cut)]
        if not len(live):
            break
    value = float(success.mean() if task.measure == "success" else returns.mean())
    return Judgement(value, episodes, tuple(sorted(steps.items())), tuple(actor.found), len(live), tells)


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
