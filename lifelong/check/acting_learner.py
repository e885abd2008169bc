"""The laws of learners that act: the steps they are given and no others, moved by no judging, taken up as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from lifelong.check.counted import counted
from lifelong.check.law import LawBroken, equal, global_seed, holds, same, saved
from lifelong.events import Event, Logged, Update
from lifelong.interaction import Actor, Interaction, Stage, Transitions
from lifelong.learner import ActingLearner
from lifelong.stream import EnvTask, Lived, Stream

Said = list[Any]
"""What `live` returned, as plain data and tensors."""


def check_acting_learner(factory: Callable[[], ActingLearner], stream: Stream, experiences: int | None = None) -> None:
    """Hold learners that `factory` makes, all alike, to their laws on the first experiences of a stream of worlds.

    They live through them about three times, so give them a short stream, or few experiences (None: all). One that is
    made in the middle, or after the last change that was reported, is to go on as the one that is there. Raises:
    LawBroken, and ValueError where the stream serves batches.
    """
    with global_seed(0):
        plain = list(_lives(factory(), stream, experiences))
    holds("a stream serves experiences", "2 or more", len(plain), len(plain) >= 2)
    stops = _stops(plain) if isinstance(stream, Lived) else set()
    moments = {}
    with global_seed(0):
        learner = factory()
        _judged(learner, stream, "before any learning")
        watched = []
        for step, said in enumerate(_lives(learner, stream, experiences), 1):
            watched.append(said)
            before = saved(learner)
            first = _judged(learner, stream, "after learning")
            same("what an actor is shown leaves the learner as it was", before, saved(learner))
            equal("actors act the same in the same worlds", first, _judged(learner, stream, "after learning"))
            if step in stops and isinstance(stream, Lived):
                moments[step] = _Moment(before, saved(stream), torch.get_rng_state(), np.random.get_state(), first)
        end = saved(learner)
    same("judging in between changes nothing in what is learned", plain, watched)
    size = learner.size()
    plausible = size.experts >= 1 and size.parameters >= 0
    holds("a learner that has learned has a size", "experts >= 1, parameters >= 0", size, plausible)
    for step, moment in moments.items():
        with global_seed(1):
            _taken_up(factory(), stream, moment, step, plain[step:], end)


@dataclass(frozen=True, slots=True)
class _Moment:
    """Everything that a checkpoint keeps, and how the learner acted then."""

    learner: dict[str, Any]
    stream: dict[str, Any]
    torch: Tensor
    numpy: Any
    acted: list[list[float]]


def _stops(lived: list[Said]) -> set[int]:
    """The middle, and the last step before the end with news."""
    news = [step for step, said in enumerate(lived[:-1], 1) if any(not isinstance(e, Logged) for e in said[4:])]
    return {len(lived) // 2, *news[-1:]}


def _taken_up(
    twin: ActingLearner, stream: Stream, moment: _Moment, step: int, rest: list[Said], end: dict[str, Any]
) -> None:
    assert isinstance(stream, Lived)
    twin.load_state_dict(moment.learner)
    equal("a fresh learner with the state acts the same", moment.acted, _judged(twin, stream, "after loading"))
    stream.load_state_dict(moment.stream)
    torch.set_rng_state(moment.torch)
    np.random.set_state(moment.numpy)
    lived = list(_lives(twin, stream, step + len(rest), step))
    same(f"a fresh learner with the state of experience {step} goes on as the other did", rest, lived)
    same("and ends in the same state", end, saved(twin))


def _lives(learner: ActingLearner, stream: Stream, experiences: int | None, start: int = 0) -> Iterator[Said]:
    """What the learner says of each experience from `start` on."""
    lanes: dict[int, Any] = {}
    served = stream.experiences(start)
    for interaction, _ in served if experiences is None else islice(served, experiences - start):
        if not isinstance(interaction, Interaction):
            raise ValueError(f"These laws are about worlds; {stream.name!r} gave a {type(interaction).__name__}.")
        watched = tuple(lanes.setdefault(id(lane), counted(lane)) for lane in interaction.lanes)
        before = [lane.taken for lane in watched]
        said = _said(learner.live(replace(interaction, lanes=watched)), interaction.steps)
        taken = [lane.taken - was for lane, was in zip(watched, before, strict=True)]
        each = interaction.steps // len(watched)
        equal("live takes exactly the steps that it is given, in each lane", [each] * len(watched), taken)
        cut = sum(lane.cut for lane in watched)
        equal("live resets a lane where it has not begun and after an episode's end, and nowhere else", 0, cut)
        yield said


def _said(happened: Any, steps: int) -> Said:
    holds("live returns a sequence", "a list or tuple", type(happened).__name__, isinstance(happened, Sequence))
    kinds = [type(item) for item in happened]
    fine = bool(kinds) and kinds[0] is Update and set(kinds[1:]) <= set(get_args(Event))
    holds("live reports an Update first and then events", "[Update, ...]", [k.__name__ for k in kinds], fine)
    update = happened[0]
    assert isinstance(update, Update)
    equal("an update's loss is one number", (), tuple(update.loss.shape))
    equal("an update counts the steps in its world", steps, update.samples)
    score = update.per_sample(update.outputs, update.targets).detach().clone()
    return [update.expert, update.loss.detach().clone(), score, update.statistic, *happened[1:]]


def _judged(learner: ActingLearner, stream: Stream, when: str) -> list[list[float]]:
    """The actions in the first steps of two episodes of each world, as plain numbers."""
    found: list[list[float]] = []
    for task in stream.tasks:
        if not isinstance(task, EnvTask):
            raise ValueError(f"These laws are about worlds; {task.name!r} is judged by test samples.")
        try:
            found += _played(learner, task)
        except LawBroken:
            raise
        except Exception as error:
            raise LawBroken(f"an actor acts {when}", "actions", repr(error)) from error
    return found


def _played(learner: ActingLearner, task: EnvTask, steps: int = 30) -> list[list[float]]:
    lanes = task.lanes(2)
    actor = learner.actor(Stage(lanes[0].observation_space, lanes[0].action_space, 2, task.label))
    holds("actor gives an actor", "an Actor", type(actor).__name__, isinstance(actor, Actor))
    seen = [lane.reset(seed=task.seed + k)[0] for k, lane in enumerate(lanes)]
    live, shown = np.arange(2), []
    for _ in range(steps):
        before = _stacked([seen[k] for k in live])
        actions = actor.act(before, live)
        equal("an actor gives an action for each lane", len(live), len(actions))
        shown.append([float(number) for number in np.ravel(actions)])
        kind = (actor.experts.shape, actor.experts.dtype)
        equal("an actor names an expert for each lane", ((2,), np.dtype(np.int64)), kind)
        results = [lanes[k].step(action) for k, action in zip(live.tolist(), actions, strict=True)]
        after = _stacked([result[0] for result in results])
        rewards, ended, cut = (np.array([result[i] for result in results]) for i in (1, 2, 3))
        actor.observe(Transitions(before, actions, rewards.astype(np.float64), after, ended, cut), live)
        for k, result in zip(live.tolist(), results, strict=True):
            seen[k] = result[0]
        live = live[~(ended | cut)]
        if not len(live):
            break
    return shown


def _stacked(observations: Sequence[Any]) -> Any:
    if isinstance(observations[0], dict):
        return {key: np.stack([np.asarray(o[key]) for o in observations]) for key in observations[0]}
    return np.stack([np.asarray(o) for o in observations])
