"""The run as it goes, in the terminal: a progress bar, and one line for each turn of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifelong.evaluation.numbers import count, score
from lifelong.evaluation.trace import is_world
from lifelong.events import (
    Consolidated,
    DriftDetected,
    DriftFollowed,
    EpisodeFailed,
    Event,
    ExpertChosen,
    ExpertDissolved,
    ExpertSpawned,
    LaneFailed,
    Learned,
    Refused,
    Restored,
    RunStarted,
    ShiftDetected,
    ShiftDismissed,
    ShiftSeen,
    Skipped,
    TaskScored,
)
from lifelong.record.failures import nth, said_of_episode, told_of
from lifelong.record.found import Findings
from lifelong.record.takeovers import Takeovers

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class ConsoleView:
    """Shows progress, loss, score and experts; a line for each shift found, each expert spawned or reused.

    Where the output is not a terminal there is no bar, only those lines.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._progress: Progress | None = None
        self._experts: set[int] = set()
        self._percent = True
        self._loss = 0.0
        self._skipped = 0
        self._looks: dict[str, float] = {}
        self._findings = Findings()
        self._takeovers = Takeovers()

    def on(self, step: int, event: Event) -> None:
        found, again = self._findings.told(event), self._takeovers.again(event)
        if found is not None:
            self._say(step, found, "dim")
        match event:
            case RunStarted():
                self._start(event)
            case Learned():
                self._loss = event.losses[-1]
                self._refresh(step)
            case TaskScored(seen=True):
                self._looks[event.task] = event.score
                self._refresh(step)
            case ShiftDetected():
                self._say(step, f"shift found, began at step {count(step - event.delay)}", "yellow")
            case DriftDetected():
                self._say(step, f"slow drift found: {score(event.gained, True)} is new", "yellow")
            case DriftFollowed():
                self._say(step, f"the drift goes on, and expert {event.expert} with it", "dim")
            case ExpertDissolved():
                self._experts.discard(event.expert)
                self._say(step, f"expert {event.expert} is gone: expert {event.into} knows its world as well", "cyan")
            case ShiftSeen():
                self._say(step, "the change is plain to see", "yellow")
            case ShiftDismissed():
                self._say(step, f"alarm dismissed, expert {event.expert} still explains the data", "dim")
            case ExpertSpawned():
                self._experts.add(event.expert)
                if len(self._experts) > 1:
                    self._say(step, f"expert {event.expert} is new, {count(event.parameters)} parameters", "green")
            case ExpertChosen(full=True):
                told = f"no room for another expert: {event.expert} learns a world that is not its own (max_experts)"
                self._say(step, told, "red")
            case ExpertChosen() if again:
                left = score(event.unexplained, True)
                self._say(step, f"expert {event.expert} takes over again ({left} unexplained)", "cyan")
            case Consolidated() if event.spent:
                self._say(step, f"{' and '.join(event.spent)} has hardly any weights left for further tasks", "red")
            case Skipped():
                self._skipped += 1
                if told_of(self._skipped):
                    left = "left out" if self._skipped == 1 else f"{count(self._skipped)} left out so far, the latest"
                    self._say(step, f"{left}: {event.why}", "red")
            case Refused():
                many = "" if event.so_far == 1 else f", {count(event.so_far)} so far"
                self._say(step, f"a message is left out{many}: {event.why}", "red")
            case LaneFailed() if told_of(event.restarts):
                told = f"lane {event.lane} in {event.task!r} failed, for the {nth(event.restarts)} time: {event.why}"
                self._say(step, told, "red")
            case EpisodeFailed():
                self._say(step, said_of_episode(event), "red" if event.left_out else "dim")
            case Restored():
                told = f"the loss is no number: put back by {count(event.experiences)} experiences"
                self._say(step, told, "red")
            case _:
                pass

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _start(self, run: RunStarted) -> None:
        from rich.text import Text

        self._percent = all(task.higher_is_better and task.high == 1.0 for task in run.tasks)
        self._console.print(Text(f"{run.agent} on {run.stream}: {_length(run)}", style="bold"), soft_wrap=True)
        if not self._console.is_terminal:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=self._console,
        )
        self._progress.add_task(f"{run.agent} on {run.stream}", total=run.steps or None, status="")
        self._progress.start()

    def _refresh(self, step: int) -> None:
        if self._progress is None:
            return
        parts = [f"loss {self._loss:.3g}"]
        if self._looks:
            mean = sum(self._looks.values()) / len(self._looks)
            parts.append(f"mean score {score(mean, self._percent)}")
        if self._experts:
            parts.append(f"{len(self._experts)} expert{'s' if len(self._experts) > 1 else ''}")
        self._progress.update(self._progress.task_ids[0], completed=step, status=", ".join(parts))

    def _say(self, step: int, what: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(f"step {count(step):>9}  {what}", style=style), soft_wrap=True)


def _length(run: RunStarted) -> str:
    """How many steps there are, and what a step is where it is no batch."""
    worlds = [is_world(task) for task in run.tasks]
    if not run.segments:
        return "as long as anything comes"
    steps, each = f"{count(run.steps)} steps", run.env_steps_per_experience
    if all(worlds) and each is not None:
        return f"{steps}, each {count(each)} environment steps"
    return f"{steps}, each a batch or a stretch of time in a world" if any(worlds) else steps
