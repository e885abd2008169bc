"""A whole run: from a stream and a learner to a folder with everything that happened, and back again after a stop."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from pathlib import Path

import torch

from lifelong.beforehand import look_ahead
from lifelong.checkpoint import CheckpointError, Mark, load_checkpoint, save_checkpoint
from lifelong.evaluation.matrix import ScoreMatrix, matrix_of
from lifelong.evaluation.schedule import Schedule
from lifelong.evaluation.summary import Summary, summarize
from lifelong.evaluation.trace import trace_of
from lifelong.events import CheckpointSaved, Event, RunStarted, TaskFacts
from lifelong.interaction import Interaction
from lifelong.learner import ActingLearner, Agent, Awaiting, Watchful
from lifelong.loop import live
from lifelong.record.folder import RunFolder
from lifelong.record.journal import Journal
from lifelong.record.jsonl import EventLog, read_events, truncate_to
from lifelong.record.memory import Memory
from lifelong.record.report import write_report
from lifelong.record.scores import ScoresCsv
from lifelong.record.subscriber import Subscriber
from lifelong.stream import EnvTask, Stream, Task
from lifelong.watching import watch

KEPT_CHECKPOINTS = 2
EVALUATION = Schedule()


@dataclass(frozen=True, slots=True)
class Result:
    """What a run leaves behind: the headline numbers, the score matrix, every event, and its folder if it has one."""

    summary: Summary
    matrix: ScoreMatrix
    events: Sequence[tuple[int, Event]]
    folder: Path | None


def run(
    stream: Stream,
    learner: Agent,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    name: str | None = None,
    evaluation: Schedule = EVALUATION,
    subscribers: Sequence[Subscriber] = (),
    flush_every: int = 256,
    checkpoint_every: int | None = None,
    config: str | None = None,
    naive: Path | None = None,
    resume: bool = False,
    frames: bool = True,
    report: bool = True,
    looked_ahead: bool = False,
) -> Result:
    """Let a learner live through a stream; judge it, record it, sum it up.

    out: the run's folder (None: nothing is written). seed: sets torch's random state, and is recorded. name: the
    agent's, in the record. subscribers: watch the run; those of a resumed run are handed its record so far first.
    checkpoint_every: experiences between checkpoints (None: one at each segment's end). config: text for config.yaml.
    naive: a recorded run to draw in grey in the report. resume: go on from the last good checkpoint in `out`, with a
    learner as it was made for the run's start. frames: draw an episode of each world that can be watched, at the end.
    report: draw report.html (False: where it is wanted, `lifelong report` draws it later).
    looked_ahead: `look_ahead` has spoken of this stream and learner already. Raises FileExistsError where `out` holds a
    run already and `resume` is not set, ValueError where the learner cannot live through the stream. Where a run fails
    before the first experience is learned, nothing of it is left in `out`.
    """
    folder = None if out is None else RunFolder(Path(out))
    name = name or type(learner).__name__
    if not looked_ahead:
        look_ahead(stream, learner, name)
    torch.manual_seed(seed)
    with nullcontext() if folder is None or resume else folder.begun():
        mark = Mark(0, 0.0)
        before: list[tuple[int, Event]] = []
        if folder is not None and resume:
            mark, before = _return_to(folder.require(), stream, learner)
        elif folder is not None and config is not None:
            folder.config.write_text(config, encoding="utf-8")
        memory = Memory(before)
        files: list[Subscriber] = [] if folder is None else [EventLog(folder.events), ScoresCsv(folder.scores, before)]
        watching = Journal(subscribers)
        for step, event in before:
            watching.note(step, event)
        journal = Journal([*files, memory, *subscribers], flush_every)
        began = Mark(mark.step, time.perf_counter() - mark.seconds, _cpu_clock() - mark.cpu_seconds)
        try:
            if mark.step == 0:
                journal.note(0, _started(stream, learner, name, seed))
            save = None if folder is None else _saver(folder, stream, learner, journal, began)
            live(stream, learner, evaluation, journal, save, checkpoint_every, mark.step)
            seconds = round(time.perf_counter() - began.seconds, 3)
            cpu_seconds = round(_cpu_clock() - began.cpu_seconds, 3)
            if folder is not None and frames and isinstance(learner, ActingLearner):
                worlds = [task for task in stream.tasks if isinstance(task, EnvTask)]
                for drawn in watch(learner, worlds, folder.path):
                    journal.note(sum(part.steps for part in stream.segments), drawn)
            summary = summarize(memory.events, seconds, versions(), cpu_seconds)
            if folder is not None:
                # Before subscribers are closed: what they are done with they may send away.
                folder.write_summary(summary)
                if report:
                    write_report([folder.path], folder.report, naive)
        finally:
            journal.close()
    matrix = matrix_of(trace_of(memory.events))
    return Result(summary, matrix, memory.events, None if folder is None else folder.path)


def versions() -> dict[str, str]:
    """Versions of what a run's numbers depend on."""
    found = {"python": platform.python_version(), "torch": torch.__version__}
    for package in ("lifelong", "numpy"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _started(stream: Stream, learner: Agent, name: str, seed: int) -> RunStarted:
    steps = [segment.steps for segment in stream.segments]
    first, _ = next(iter(stream.experiences()))
    return RunStarted(
        stream=stream.name,
        agent=name,
        seed=seed,
        device=device_of(stream),
        tasks=tuple(_facts(task) for task in stream.tasks),
        segments=tuple(segment.task for segment in stream.segments),
        segment_starts=tuple(accumulate(steps[:-1], initial=0)),
        steps=sum(steps),
        threshold=learner.threshold if isinstance(learner, Watchful) else None,
        oracle=first.task is not None or any(task.label is not None for task in stream.tasks),
        env_steps_per_experience=first.steps if isinstance(first, Interaction) else None,
        awaits_ends=isinstance(learner, Awaiting) and learner.awaits_ends,
    )


def device_of(stream: Stream) -> str:
    """Where the stream's tensors lie; worlds to act in are on the CPU."""
    return next((str(task.test_inputs.device) for task in stream.tasks if isinstance(task, Task)), "cpu")


def _facts(task: Task | EnvTask) -> TaskFacts:
    if isinstance(task, Task):
        metric = task.contract.objective.metric
        return TaskFacts(
            task.name, metric.name, metric.higher_is_better, metric.low, metric.high, len(task.test_inputs)
        )
    if task.measure == "success":
        return TaskFacts(task.name, "success", True, 0.0, 1.0, task.episodes)
    scale = task.references
    if scale is None:
        return TaskFacts(task.name, "return", True, float("-inf"), float("inf"), task.episodes)
    return TaskFacts(
        task.name, "normalised_return", True, float("-inf"), 1.0, task.episodes, scale.random, scale.expert
    )


def _cpu_clock() -> float:
    """Processor seconds of this process, of all its threads and of the children that it waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _saver(folder: RunFolder, stream: Stream, learner: Agent, journal: Journal, began: Mark) -> Callable[[int], None]:
    def save(step: int) -> None:
        path = folder.checkpoints / f"step-{step:012d}.pt"
        taken = time.perf_counter() - began.seconds, _cpu_clock() - began.cpu_seconds
        save_checkpoint(path, Mark(step, *taken), learner, stream)
        journal.note(step, CheckpointSaved(path.name))
        for old in sorted(folder.checkpoints.glob("step-*.pt"))[:-KEPT_CHECKPOINTS]:
            old.unlink()

    return save


def _return_to(folder: RunFolder, stream: Stream, learner: Agent) -> tuple[Mark, list[tuple[int, Event]]]:
    """Restore the learner from the newest checkpoint that can be read, and cut the record back to it."""
    saved = {e.path: step for step, e in read_events(folder.events) if isinstance(e, CheckpointSaved)}
    left = sorted(path.name for path in folder.checkpoints.glob("step-*.pt"))
    if not saved and left:
        raise CheckpointError(
            f"{folder.events} tells of no checkpoint, but there are {', '.join(left)}: the record is damaged. "
            "Restore it, or start the run anew in another folder."
        )
    if not saved:
        # Stopped before its first checkpoint: nothing that lasts was learned, so it starts over.
        folder.events.write_bytes(b"")
        return Mark(0, 0.0), []
    device = device_of(stream)
    refused = []
    for name, step in sorted(saved.items(), reverse=True):
        path = folder.checkpoints / name
        if not path.is_file():
            continue
        try:
            mark = load_checkpoint(path, learner, stream, device)
        except CheckpointError as error:
            refused.append(str(error))
            continue
        truncate_to(folder.events, step)
        return mark, read_events(folder.events)
    why = " ".join(refused) or f"None of {', '.join(saved)} is there any more."
    raise CheckpointError(
        f"{folder.path} holds no checkpoint that can be read. {why} Start the run anew in another folder."
    )
