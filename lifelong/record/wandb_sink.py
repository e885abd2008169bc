"""The record as a Weights & Biases run: live curves, the score matrix, marks of what happened.

Every number is logged beside `stream_step`, the experiences learned, which is the x axis of all charts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifelong.evaluation.families import measured, values_of
from lifelong.evaluation.matrix import ScoreMatrix, acc, bwt, forgetting, fwt, learning_accuracy, matrix_of
from lifelong.evaluation.summary import Summary, summary_of
from lifelong.evaluation.trace import Trace, Tracing, is_world
from lifelong.events import (
    DriftDetected,
    DriftFollowed,
    EpisodeFailed,
    Event,
    ExpertChosen,
    ExpertDissolved,
    ExpertFound,
    ExpertSpawned,
    Learned,
    Logged,
    RunFinished,
    RunStarted,
    ShiftDetected,
    ShiftDismissed,
    ShiftSeen,
    TaskEntered,
    TaskScored,
)
from lifelong.record.folder import RunFolder
from lifelong.record.found import Findings
from lifelong.record.takeovers import Takeovers
from lifelong.record.wandb_artifacts import Artifacts, log_artifacts
from lifelong.record.wandb_metrics import define_metrics
from lifelong.record.wandb_run import Mode, finish, kept_in, open_run

if TYPE_CHECKING:
    import wandb

NESTED = ("versions", "families")
CELLS: list[str | int] = ["after_segment", "after_task", "on_task", "score"]
MARKS: list[str | int] = ["stream_step", "mark", "expert", "detail"]


class WandbLost(RuntimeError):
    """W&B cannot be written to any more. The run and its record go on."""


def name_of(run: RunStarted | Summary) -> str:
    """What a run is called in W&B, where nobody has said otherwise."""
    return f"{run.agent}-s{run.seed}"


_OF_JUDGING = TaskScored | ExpertFound | EpisodeFailed


class WandbSink:
    """Logs a run to Weights & Biases; all files that it writes lie in `folder`/wandb.

    `mode`: auto logs online where a key is set up and the server answers, else offline. `config` holds the resolved
    settings. `before` is the record of a run that is resumed: it is logged first, so that the charts are whole. A
    recorded run is logged afterwards by `before` alone, followed by `close()`. job_type: "agent" or "reference".
    artifacts: which files go to W&B at the end, when the run's folder is complete. Once W&B has failed, `WandbLost` is
    raised and nothing more is logged.
    """

    def __init__(
        self,
        folder: Path,
        mode: Mode = "auto",
        project: str = "lifelong",
        group: str | None = None,
        tags: Sequence[str] = (),
        name: str | None = None,
        config: Mapping[str, object] | None = None,
        before: Iterable[tuple[int, Event]] = (),
        job_type: str | None = None,
        artifacts: Artifacts = "all",
    ) -> None:
        # Rows that the run has already, of an earlier attempt: they are told in the same order again.
        self._run, self._kept, self._there = open_run(folder, mode, project, group, tags, name, job_type, config or {})
        define_metrics(self._run)
        self._folder = RunFolder(folder)
        self._name, self._group = name, group
        self._artifacts = artifacts
        self._lost = False
        self._record, self._finished = Tracing(), False
        self._marks: list[tuple[int, str, int, str]] = []
        self._judged: dict[str, float] = {}
        self._seen: list[float] = []
        self._judged_at = 0
        self._segment_ended = False
        self._worlds: set[str] = set()
        self._acting = False
        self._findings = Findings()
        self._takeovers = Takeovers()
        for step, event in before:
            self.on(step, event)

    def on(self, step: int, event: Event) -> None:
        with self._or_lost():
            self._take(step, event)

    def _take(self, step: int, event: Event) -> None:
        if self._judged and not (
            isinstance(event, TaskScored | ExpertFound | EpisodeFailed) and step == self._judged_at
        ):
            self._log_judging()
        self._record.on(step, event)
        found, again = self._findings.told(event), self._takeovers.again(event)
        match event:
            case RunStarted():
                self._worlds = {task.name for task in event.tasks if is_world(task)}
            case TaskEntered():
                self._acting = event.task in self._worlds
            case ExpertFound() if found is not None:
                self._marks.append((step, "found", event.expert, found))
            case Logged():
                self._log({"stream_step": step, **{f"sb3/{name}": value for name, value in event.values.items()}})
            case Learned():
                self._log_block(step, event)
            case TaskScored():
                self._judged[f"task/{event.task}/score"] = event.score
                if event.value != event.score:
                    self._judged[f"task/{event.task}/value"] = event.value
                if event.seen:
                    self._seen.append(event.score)
                self._judged_at = step
                self._segment_ended = event.at_end
            case ShiftDetected():
                self._mark(step, "shift", event.expert, f"began at step {step - event.delay}")
            case DriftDetected():
                self._mark(step, "drift", event.expert, f"{event.gained:.3g} gained, {event.lost:.3g} lost")
            case DriftFollowed():
                self._marks.append(
                    (step, "followed", event.expert, f"{event.gained:.3g} gained, {event.lost:.3g} lost")
                )
            case ExpertDissolved():
                self._marks.append((step, "dissolved", event.expert, f"into expert {event.into}"))
            case ShiftSeen():
                self._mark(step, "told", event.expert, "plain to see")
            case ShiftDismissed():
                self._mark(step, "dismissed", event.expert, f"alarm, began at step {step - event.delay}")
            case ExpertSpawned():
                parent = "" if event.parent is None else f", from expert {event.parent}"
                self._mark(step, "spawn", event.expert, f"{event.parameters} parameters{parent}")
            case ExpertChosen(full=True):
                self._mark(step, "full", event.expert, "no room for another expert: not its own world")
            case ExpertChosen() if again:
                self._mark(step, "again", event.expert, f"{event.unexplained:.3g} unexplained")
            case ExpertChosen():
                self._marks.append((step, "chosen", event.expert, f"{event.unexplained:.3g} unexplained"))
            case RunFinished():
                self._finished = True
            case _:
                pass

    def close(self) -> None:
        """Log the matrix, the marks, the headline numbers and the files; finish the run if it was started here."""
        with self._or_lost(), kept_in(self._folder.path) if self._kept else nullcontext():
            try:
                if not self._lost:
                    self._log_end()
            finally:
                if self._kept is not None:
                    finish(self._run, exit_code=0 if self._finished and not self._lost else 1)

    @contextmanager
    def _or_lost(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._lost = True
            raise WandbLost(
                f"Weights & Biases cannot be written to: {error}. The record is whole: put it there later with "
                f"`lifelong wandb {self._folder.path}`"
            ) from error

    def _log(self, row: dict[str, Any]) -> None:
        if self._there:
            self._there -= 1
        else:
            self._run.log(row)

    def _log_block(self, step: int, block: Learned) -> None:
        row = {
            "stream_step": step,
            "train/loss": sum(block.losses) / len(block.losses),
            "shift/statistic": max(block.statistics),
            "expert": block.expert,
        }
        known = [score for score in block.scores if math.isfinite(score)]
        if known:
            # The return of episodes while learning is no score: it has another scale.
            row["train/return" if self._acting else "train/score"] = sum(known) / len(known)
        self._log(row)

    def _log_judging(self) -> None:
        """All tasks of one judging in one call, at a segment's end with the measures as far as the run has got."""
        row: dict[str, Any] = {"stream_step": self._judged_at, **self._judged}
        if self._seen:
            row["cl/mean_seen"] = sum(self._seen) / len(self._seen)
        if self._segment_ended:
            row |= _measures(self._record.trace())
        self._log(row)
        self._judged, self._seen = {}, []

    def _mark(self, step: int, mark: str, expert: int, detail: str) -> None:
        self._log({"stream_step": step, f"mark/{mark}": 1})
        self._marks.append((step, mark, expert, detail))

    def _log_end(self) -> None:
        import wandb

        if self._judged:
            self._log_judging()
        if not self._record.has_begun:
            return
        trace = self._record.trace()
        matrix = matrix_of(trace)
        # Of time the folder alone tells, so that a run that is logged afterwards says the same.
        timed = self._folder.summary.is_file()
        clock = self._folder.read_summary() if timed else None
        summary = summary_of(trace, clock.wall_seconds if clock else 0.0, {}, clock.cpu_seconds if clock else None)
        self._run.log(
            {
                "stream_step": summary.steps,
                "cl/matrix": _table(matrix),
                "cl/heatmap": _image(matrix, summary.percent),
                "marks": wandb.Table(columns=MARKS, data=[list(mark) for mark in self._marks]),
            }
        )
        if self._kept is not None:
            self._kept.close(self._folder.path)
        known = {name: value for name, value in asdict(summary).items() if value is not None and name not in NESTED}
        if not timed:
            del known["wall_seconds"]
        self._run.summary.update(known | summary.families)
        name = "-".join(filter(None, [self._group, self._name or name_of(summary)]))
        log_artifacts(self._run, self._folder, name, self._artifacts, self._finished)


def _measures(trace: Trace) -> dict[str, float]:
    matrix = matrix_of(trace)
    values = {
        "cl/acc": acc(matrix),
        "cl/bwt": bwt(matrix),
        "cl/fwt": fwt(matrix),
        "cl/forgetting": forgetting(matrix),
        "cl/learning_accuracy": learning_accuracy(matrix),
    }
    known = {name: value for name, value in values.items() if value is not None}
    return known | {f"cl/{name}": value for name, value in values_of(measured(trace, matrix)).items()}


def _table(matrix: ScoreMatrix) -> wandb.Table:
    """The score matrix in long form: one row for each cell that was judged."""
    import wandb

    after = ["untrained", *matrix.segments]
    rows = [
        [row, after[row], task, float(score)]
        for row, scores in enumerate(matrix.scores)
        for task, score in zip(matrix.tasks, scores, strict=True)
        if score == score
    ]
    return wandb.Table(columns=CELLS, data=rows)


def _image(matrix: ScoreMatrix, percent: bool) -> wandb.Image:
    """The score matrix as a picture, because W&B has no heat map of its own."""
    import wandb
    from PIL.Image import open as read_image

    from lifelong.record.heatmap import heatmap_figure
    from lifelong.record.svg import drawing

    with drawing():
        figure = heatmap_figure(matrix, percent)
        picture = BytesIO()
        figure.savefig(picture, format="png", dpi=150, facecolor="white")
    return wandb.Image(read_image(picture), caption="score after each segment on each task")
