"""The only loop of the project: serve experience, let it be learned, judge now and then, note what happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import torch

from lifelong.episodes import Judgement, play, said_of_cut, said_of_silence
from lifelong.evaluation.schedule import Schedule
from lifelong.events import (
    Event,
    ExpertFound,
    LaneFailed,
    Restored,
    RunFinished,
    Skipped,
    TaskEntered,
    TaskScored,
    Update,
)
from lifelong.experience import Batch, Prediction, Query
from lifelong.health import Health
from lifelong.interaction import Interaction, WorldLost
from lifelong.labels import explain, must_fit
from lifelong.learner import Accountable, ActingLearner, Agent, Learner
from lifelong.patience import StreamFailed, patiently
from lifelong.record.journal import Journal
from lifelong.stream import EnvTask, Live, Stream, Task


class Keeper(Protocol):
    """Saves a life as it goes."""

    def after(self, step: int, last: bool, worth: bool = False) -> None:
        """So many experiences were learned; they are the last: save where that is due, or worth it by now."""
        ...

    def put_back(self) -> int | None:
        """Put the learner back to what it was when it was saved last; after how many experiences that was, if ever."""
        ...


def live(
    stream: Stream,
    learner: Agent,
    schedule: Schedule,
    journal: Journal,
    keeper: Keeper | None = None,
    health: Health | None = None,
    start: int = 0,
) -> None:
    """Live through a stream from step `start` on, noting everything in `journal`.

    `keeper` is told of each experience, `health` counts those that cannot be learned from. Judging follows the true
    segments, which the learner is never told. Raises StreamFailed where the stream gives nothing any more, once what
    was learned is saved, and WorldLost where a world cannot be lived or judged in any more; the experience that it
    happened in is not learned to its end, so that the run goes on from its last checkpoint.
    """
    health = health or Health()
    steps = sum(part.steps for part in stream.segments)
    looks = schedule.looks([segment.steps for segment in stream.segments])
    step, segment = start, -1
    known: set[type] = set()
    unforeseen = stream if isinstance(stream, Live) else None
    if start == 0:
        judge(stream, learner, schedule, journal, step=0, finished=0, at_end=True)
    try:
        for moment in patiently(stream, start):
            for fact in unforeseen.facts() if unforeseen is not None else ():
                journal.note(step, fact)
            if moment is None:
                if keeper is not None:
                    keeper.after(step, False)
                continue
            experience, truth = moment
            if truth.segment != segment:
                segment = truth.segment
                must_fit(experience, truth.task)
                if step == _start_of(stream, segment):
                    journal.note(step, TaskEntered(truth.task, segment))
            if type(experience) not in known:
                known.add(type(experience))
                _check_takes(learner, experience)
            try:
                happened = take_in(learner, experience, health)
            except WorldLost:
                for mishap in _told(experience):
                    journal.note(step, mishap)
                raise
            except (IndexError, RuntimeError) as error:
                explain(error, experience, truth.task)
                raise
            step += 1
            if step == start + 1:
                _check_answer(learner, happened)
            mishaps = _told(experience)
            for item in (*happened, *mishaps):
                journal.note(step, item)
            if isinstance(experience, Batch) and health.is_lost(happened) and keeper is not None:
                saved = keeper.put_back()
                if saved is not None:
                    journal.note(step, Restored(step - saved))
            at_end = looks.get(step) if looks else schedule.is_due(step)
            if at_end is not None:
                finished = segment + 1 if at_end else segment
                judge(stream, learner, schedule, journal, step, finished, at_end)
            if keeper is not None:
                # A world that is lost takes with it what was learned since the last checkpoint.
                ends = isinstance(experience, Interaction) and at_end is True
                keeper.after(step, step == steps, worth=ends or bool(mishaps))
    except StreamFailed:
        if keeper is not None:
            keeper.after(step, True)
        raise
    if unforeseen is not None:
        _end(unforeseen, learner, schedule, journal, keeper, step)
    elif step != steps:
        raise ValueError(f"The stream {stream.name!r} promises {steps} experiences in its segments and gave {step}.")
    for fact in learner.held() if isinstance(learner, Accountable) else ():
        journal.note(step, fact)
    size = learner.size()
    stored = size.stored_samples, size.stored_bytes
    journal.note(step, RunFinished(size.experts, size.parameters, size.bytes, size.archived, size.nonzero, *stored))
    journal.flush()


def _end(stream: Live, learner: Agent, schedule: Schedule, journal: Journal, keeper: Keeper | None, step: int) -> None:
    """Of a stream whose end came unforeseen."""
    for fact in stream.facts():
        journal.note(step, fact)
    if step == 0:
        raise ValueError(
            f"The stream {stream.name!r} ended before it gave anything to learn: no message had a sample with its label"
            f"{stream.excuse()}."
        )
    judge(stream, learner, schedule, journal, step, 1, at_end=True)
    if keeper is not None:
        keeper.after(step, True)


def take_in(learner: Agent, experience: Batch | Interaction, health: Health) -> Sequence[Update | Event]:
    """Let the learner have one experience, of a kind that it can take; a batch nobody can learn from is left out."""
    if isinstance(experience, Interaction):
        return cast(ActingLearner, learner).live(experience)
    unfit = health.unfit(experience)
    return cast(Learner, learner).learn(experience) if unfit is None else (unfit,)


def judge(
    stream: Stream, learner: Agent, schedule: Schedule, journal: Journal, step: int, finished: int, at_end: bool
) -> None:
    """Score every task of the stream, met or not, on its held-out samples: all at a segment's end, some within."""
    limit = None if at_end else schedule.within_samples
    entered = finished if at_end else finished + 1
    known = stream.segments[:entered]
    # Where nobody knows the segments, all tasks are met as soon as anything is.
    met = {segment.task for segment in known} if stream.segments else {task.name for task in stream.tasks if step}
    for task in stream.tasks:
        if isinstance(task, Task) and not task.judged:
            continue
        if isinstance(task, EnvTask):
            played = play(acting(learner), task, None if at_end else schedule.within_episodes)
            _check_known(learner, task, played, task.name in met)
            for failed in played.failed:
                journal.note(step, failed)
            scored = task.score(played.value), played.episodes, finished, at_end, task.name in met, played.routed
            journal.note(step, TaskScored(task.name, played.value, *scored, cut=played.cut))
            if played.cut:
                journal.warn_once(f"cut {task.name}", said_of_cut(task, played))
            if task.measure == "success" and not played.tells:
                journal.warn_once(f"silent {task.name}", said_of_silence(task, played))
            for fact in _found(task.name, played):
                journal.note(step, fact)
            continue
        value, samples, routed, foreign = score(learning(learner), task, schedule.batch_size, limit)
        oriented = value if task.contract.objective.metric.higher_is_better else -value
        seen = task.name in met
        journal.note(step, TaskScored(task.name, value, oriented, samples, finished, at_end, seen, routed, foreign))


@torch.no_grad()
def score(
    learner: Learner, task: Task, batch_size: int, limit: int | None = None
) -> tuple[float, int, tuple[tuple[int, int], ...], int | None]:
    """The task's metric on its test samples (evenly spaced ones where `limit` is set), how many, and who answered.

    Last, for how many of them the learner said that they are foreign to it; None where it does not judge that.
    """
    total = len(task.test_inputs)
    inputs, targets = task.test_inputs, task.test_targets
    if limit is not None and limit < total:
        rows = torch.linspace(0, total - 1, limit, device=inputs.device).long()
        inputs, targets = inputs[rows], targets[rows]
    values, experts, known = [], [], []
    for first in range(0, len(inputs), batch_size):
        part = slice(first, first + batch_size)
        prediction = learner.predict(Query(inputs[part], task.contract, task.label))
        _check_prediction(learner, task, prediction, len(inputs[part]))
        values.append(task.contract.objective.metric.per_sample(prediction.outputs, targets[part]))
        experts.append(prediction.experts)
        if prediction.known is not None:
            known.append(prediction.known)
    numbers, counts = torch.unique(torch.cat(experts), return_counts=True)
    routed = tuple(zip(numbers.tolist(), counts.tolist(), strict=True))
    foreign = int((~torch.cat(known)).sum()) if known else None
    return round(float(torch.cat(values).double().mean()), 9), len(inputs), routed, foreign


def learning(learner: Agent) -> Learner:
    """The learner as one that can be taught batches; raises ValueError where it is none."""
    if isinstance(learner, Learner):
        return learner
    raise ValueError(
        f"{type(learner).__name__} cannot learn from batches: it has no learn and predict. Give it a stream of worlds "
        "to act in, or take an agent that learns from batches."
    )


def acting(learner: Agent) -> ActingLearner:
    """The learner as one that can act; raises ValueError where it is none."""
    if isinstance(learner, ActingLearner):
        return learner
    raise ValueError(
        f"{type(learner).__name__} cannot act: it has no live and actor. Give it a stream of batches, or take an agent "
        "that acts, such as lifelong_rl."
    )


def _told(experience: Batch | Interaction) -> list[LaneFailed]:
    return experience.told() if isinstance(experience, Interaction) else []


def _found(task: str, played: Judgement) -> list[ExpertFound]:
    """Changes of mind while judged, summed up by who took over from whom."""
    pairs = sorted({(found.expert, found.instead_of) for found in played.found})
    facts = []
    for expert, instead_of in pairs:
        steps = [f.steps for f in played.found if (f.expert, f.instead_of) == (expert, instead_of)]
        facts.append(ExpertFound(task, expert, instead_of, len(steps), round(sum(steps) / len(steps), 3)))
    return facts


def _check_known(learner: Agent, task: EnvTask, played: Judgement, was_met: bool) -> None:
    """A world that was not met may be of a kind that nobody knows; one that was lived in may not."""
    if was_met and any(expert < 0 for expert, _ in played.routed):
        raise ValueError(
            f"{type(learner).__name__} has lived in {task.name!r} and does not know it where it is judged: nobody acts "
            "there. The environments that a task is judged in must have the spaces of those in which it is learned."
        )


def _check_takes(learner: Agent, experience: Batch | Interaction) -> None:
    """Once for each kind of experience: to look for a protocol's methods takes longer than to call one."""
    if isinstance(experience, Interaction):
        acting(learner)
    else:
        learning(learner)


def _check_answer(learner: Agent, happened: object) -> None:
    """Said at the first batch, not found in a record without a single score."""
    if isinstance(happened, tuple) and happened and isinstance(happened[0], Skipped):
        return
    if not isinstance(happened, Sequence) or sum(isinstance(item, Update) for item in happened) != 1:
        raise ValueError(
            f"{type(learner).__name__}.learn (or live) must return a list or tuple of what happened, with exactly one "
            f"Update in it (no generator: an unread one would not learn), got {happened!r:.200}."
        )


def _check_prediction(learner: Learner, task: Task, prediction: Prediction, samples: int) -> None:
    expected = ((samples, task.contract.outputs), (samples,))
    got = tuple(prediction.outputs.shape), tuple(prediction.experts.shape)
    if prediction.known is not None and tuple(prediction.known.shape) != expected[1]:
        raise ValueError(
            f"{type(learner).__name__}.predict must say for each of {samples} samples of task {task.name!r} whether "
            f"it is known, or nothing (None), got {tuple(prediction.known.shape)}."
        )
    if got != expected:
        raise ValueError(
            f"{type(learner).__name__}.predict must give outputs of shape {expected[0]} and experts of shape "
            f"{expected[1]} for task {task.name!r}, got {got[0]} and {got[1]}."
        )


def _start_of(stream: Stream, segment: int) -> int:
    return sum(before.steps for before in stream.segments[:segment])
