"""A whole run: from a stream and a learner to a folder with everything that happened, and back again after a stop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from lifelong.beforehand import look_ahead
from lifelong.checkpoint import Checkpoint, Mark
from lifelong.evaluation.matrix import ScoreMatrix, matrix_of
from lifelong.evaluation.schedule import Schedule
from lifelong.evaluation.summary import Summary, summary_of
from lifelong.evaluation.trace import Tracing
from lifelong.events import Event
from lifelong.facts import device_of, started, versions
from lifelong.health import Health
from lifelong.interaction import WorldLost
from lifelong.learner import ActingLearner, Agent
from lifelong.loop import Keeper, live
from lifelong.patience import StreamFailed
from lifelong.record.folder import RunFolder
from lifelong.record.journal import Journal
from lifelong.record.jsonl import EventLog, events_in, read_events
from lifelong.record.memory import Memory
from lifelong.record.operations import Operations
from lifelong.record.report import write_report
from lifelong.record.scores import ScoresCsv
from lifelong.record.subscriber import Subscriber
from lifelong.returning import go_back
from lifelong.saver import Saver, Stopwatch, Unsaved
from lifelong.saving import Saving
from lifelong.stopping import Stop
from lifelong.stream import EnvTask, Stream
from lifelong.watching import watch

EVALUATION = Schedule()
SAVING = Saving()


@dataclass(frozen=True, slots=True)
class Result:
    """What a run leaves behind: the headline numbers, the score matrix, and its folder if it has one."""

    summary: Summary
    matrix: ScoreMatrix
    folder: Path | None
    kept: Sequence[tuple[int, Event]] = ()

    @property
    def events(self) -> Sequence[tuple[int, Event]]:
        """Every event with its step: kept in memory where nothing was written, else read from the folder."""
        return self.kept if self.folder is None else read_events(RunFolder(self.folder).events)


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
    saving: Saving = SAVING,
    stop: Stop | None = None,
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
    saving: how often checkpoints are saved. stop: asked after each experience; where it says so, everything is saved
    that has a folder, and RunStopped raised (see `stop_on_signals`). config: text for config.yaml. naive: a
    recorded run to draw in grey in the report. resume: go on from the last good checkpoint in `out`, with a learner as
    it was made for the run's start. frames: draw an episode of each world that can be watched, at the end. report:
    draw report.html (False: where it is wanted, `lifelong report` draws it later). looked_ahead:
    `look_ahead` has spoken of this stream and learner already.

    Raises FileExistsError where `out` holds a run already and `resume` is not set, or another process writes in it;
    ValueError where the learner cannot live through the stream, StreamFailed and WorldLost where it can no longer
    go on; CheckpointError where there is nothing whole to go on from. Where a run fails before the first experience
    is learned, nothing of it is left in `out`.
    """
    folder = None if out is None else RunFolder(Path(out))
    name = name or type(learner).__name__
    if not looked_ahead:
        look_ahead(stream, learner, name)
    torch.manual_seed(seed)
    with _entered(folder, resume):
        back: Checkpoint | None = None
        if folder is not None and resume:
            back = go_back(folder.require(), stream, learner, device_of(stream))
        elif folder is not None:
            Operations(folder.operations).note("began", 0)
            if config is not None:
                folder.config.write_text(config, encoding="utf-8")
        mark = Mark(0, 0.0) if back is None else back.mark
        tracing, memory = Tracing(), Memory()
        log = None if folder is None else EventLog(folder.events)
        watchers = [tracing, memory if folder is None else ScoresCsv(folder.scores), *subscribers]
        if folder is not None and back is not None:
            watching = Journal(watchers)
            for step, event in events_in(folder.events):
                watching.note(step, event)
        journal, health = Journal([*([] if log is None else [log]), *watchers], flush_every), Health()
        if back is not None and back.noted is not None:
            journal.load_state_dict(back.noted.pending["journal"])
            health.load_state_dict(back.noted.pending["health"])
        clock = Stopwatch(mark)
        stop = stop or Stop()
        keeper: Keeper = Unsaved(stop)
        if folder is not None and log is not None:
            keeper = Saver(folder, learner, stream, journal, health, log, clock, saving, stop)
        try:
            if mark.step == 0:
                journal.note(0, started(stream, learner, name, seed))
            try:
                live(stream, learner, evaluation, journal, keeper, health, mark.step)
            except (StreamFailed, WorldLost) as error:
                if folder is not None:
                    # The record of what came after the last checkpoint is cut off when the run goes on.
                    Operations(folder.operations).note("failed", tracing.trace().end, str(error))
                raise
            taken = clock.at(0)
            if folder is not None and frames and isinstance(learner, ActingLearner):
                worlds = [task for task in stream.tasks if isinstance(task, EnvTask)]
                for drawn in watch(learner, worlds, folder.path):
                    journal.note(sum(part.steps for part in stream.segments), drawn)
            trace = tracing.trace()
            summary = summary_of(trace, round(taken.seconds, 3), versions(), round(taken.cpu_seconds, 3))
            if folder is not None:
                # Before subscribers are closed: what they are done with they may send away.
                folder.write_summary(summary)
                if report:
                    write_report([folder.path], folder.report, naive)
                Operations(folder.operations).note("finished", summary.steps)
        finally:
            journal.close()
            for task in stream.tasks:
                if isinstance(task, EnvTask) and task.release is not None:
                    task.release()
    return Result(summary, matrix_of(trace), None if folder is None else folder.path, memory.events)


@contextmanager
def _entered(folder: RunFolder | None, resume: bool) -> Iterator[None]:
    """Inside, the folder is this process's own; where nothing was learned in it that is new, it is left as it was."""
    if folder is None:
        yield
        return
    with folder.locked(), nullcontext() if resume else folder.begun():
        yield
