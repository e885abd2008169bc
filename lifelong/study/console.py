"""A study in the terminal: how far it is while it runs, and its tables at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from lifelong.evaluation.numbers import duration
from lifelong.study.columns import COSTS, SCORES, Column
from lifelong.study.engine import Ended, Started
from lifelong.study.plan import Cell
from lifelong.study.results import Results, doubts_of, notes, verdict
from lifelong.study.table import Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table as RichTable
    from rich.text import Text


class Progress:
    """How far the grid is: one live line in a terminal, else a line for each cell that ends.

    `cells` are those that are run now, `before` counts the ones that were finished already; `jobs` run at a time.
    """

    def __init__(self, cells: Sequence[Cell], before: int, jobs: int, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._cells, self._before, self._jobs = cells, before, jobs
        self._running: dict[int, float] = {}
        self._taken: list[float] = []
        self._failed = 0
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[Progress]:
        """Show it inside this context."""
        from rich.live import Live

        again = f", {self._before} of them finished before" if self._before else ""
        self._say(f"{self._before + len(self._cells)} runs{again}; {self._jobs} at a time.")
        if not self._console.is_terminal:
            yield self
            return
        with Live(self._line(), console=self._console, refresh_per_second=2, get_renderable=self._line) as live:
            self._live = live
            yield self

    def on(self, happened: Started | Ended) -> None:
        if isinstance(happened, Started):
            self._running[happened.place] = monotonic()
            return
        taken = monotonic() - self._running.pop(happened.place)
        self._taken.append(taken)
        cell = self._cells[happened.place]
        what = f"finished in {duration(taken)}"
        if happened.error is not None:
            self._failed += 1
            what = f"FAILED: {happened.error}"
        if happened.error is not None or not self._console.is_terminal:
            self._say(f"{cell.contender.label}, seed {cell.seed}: {what} ({self._counts()})")

    def _say(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(text), soft_wrap=True)

    def _line(self) -> Text:
        from rich.text import Text

        at_work = [self._cells[place] for place in self._running]
        names = ", ".join(f"{cell.contender.label} s{cell.seed}" for cell in at_work[:4])
        more = f" and {len(at_work) - 4} more" if len(at_work) > 4 else ""
        return Text(f"{self._counts()}; running: {names or 'nothing'}{more}", overflow="ellipsis", no_wrap=True)

    def _counts(self) -> str:
        done = self._before + len(self._taken) - self._failed
        failed = f", {self._failed} failed" if self._failed else ""
        left = self.time_left()
        return f"{done} of {self._before + len(self._cells)} done{failed}" + (
            f", about {duration(left)} left" if left else ""
        )

    def time_left(self) -> float | None:
        """Seconds, from the mean of the runs that ended; what runs now has part of it behind it. None: unknown."""
        waiting = len(self._cells) - len(self._taken) - len(self._running)
        if not self._taken or not waiting + len(self._running):
            return None
        mean, now = sum(self._taken) / len(self._taken), monotonic()
        open_ = waiting * mean + sum(max(0.0, mean - (now - began)) for began in self._running.values())
        return open_ / min(self._jobs, waiting + len(self._running))


def show(results: Results, console: Console | None = None) -> None:
    """Print the tables, what failed, what the numbers mean, and the verdict."""
    from rich.console import Console

    console = console or Console()
    for title, columns in (("Scores", SCORES), ("Costs", COSTS)):
        for part in _fitting(results.table, results.table.known(columns), console):
            console.print(_rich(results.table, title, part))
    for cell, error in results.failed:
        where = cell.path / "error.txt"
        console.print(
            f"Failed: {cell.contender.label}, seed {cell.seed}: {error} (more in {where})",
            style="red",
            markup=False,
            soft_wrap=True,
        )
    for doubt in doubts_of(results):
        console.print(doubt, style="red", markup=False, highlight=False)
    for note in notes(results):
        console.print(note, style="dim", markup=False, highlight=False)
    console.print(verdict(results), markup=False, highlight=False)


def _fitting(table: Table, columns: Sequence[Column], console: Console) -> Iterator[list[Column]]:
    """The columns in as many tables as the terminal's width asks for."""
    from rich.measure import Measurement

    part: list[Column] = []
    for column in columns:
        wide = Measurement.get(console, console.options.update(width=10_000), _rich(table, "", [*part, column])).maximum
        if part and wide > console.width:
            yield part
            part = []
        part.append(column)
    if part:
        yield part


def _rich(table: Table, title: str, columns: Sequence[Column]) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(header_style="bold", title=title, title_justify="left", title_style="bold")
    shown.add_column("", no_wrap=True)
    for head in table.head(columns):
        shown.add_column(Text(head), justify="right", no_wrap=True)
    for row, stressed in zip(table.rows, table.best(columns), strict=True):
        # The interval stands below its mean, so that more columns have room.
        cells = [cell.replace(" [", "\n[") for cell in table.cells(row, columns)]
        shown.add_row(Text(row.name), *(Text(c, style="bold" if k in stressed else "") for k, c in enumerate(cells)))
    return shown
