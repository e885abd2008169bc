"""Several runs side by side in the terminal, readable at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lifelong.evaluation.numbers import NONE
from lifelong.evaluation.summary import Summary
from lifelong.record.doubts import doubted
from lifelong.record.measures import MEASURES, best, names_of, verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def table(summaries: Sequence[Summary]) -> Table:
    """The runs as columns, the measures as rows, the best of each row in bold.

    An arrow after a measure's name points where better lies. Raises ValueError for no run at all.
    """
    from rich.table import Table

    if not summaries:
        raise ValueError("There is no run to show: give at least one summary.")
    shown = Table(header_style="bold", title=_title(summaries), title_justify="left", title_style="bold")
    shown.add_column("", no_wrap=True)
    for name, summary in zip(names_of(summaries), summaries, strict=True):
        shown.add_column(f"{_plain(name)}{' *' if summary.labels_shown else ''}", justify="right")
    for measure in MEASURES:
        cells = [measure.write(summary) for summary in summaries]
        if all(cell == NONE for cell in cells):
            continue
        winners = best(measure, summaries)
        shown.add_row(measure.title, *(f"[bold]{c}[/bold]" if k in winners else c for k, c in enumerate(cells)))
    return shown


def show(summaries: Sequence[Summary], console: Console | None = None) -> None:
    """Print the table, what its marks mean, and the verdict in plain words."""
    from rich.console import Console

    console = console or Console()
    console.print(table(summaries))
    if any(summary.labels_shown for summary in summaries):
        console.print("* is told which task it is in; the others are not.", style="dim")
    points = "pt: percentage points. " if any(summary.percent for summary in summaries) else ""
    console.print(f"{points}↑ more is better, ↓ less is better.", style="dim")
    for doubt in doubted({name: [summary] for name, summary in zip(names_of(summaries), summaries, strict=True)}):
        console.print(doubt, style="red", markup=False, highlight=False)
    console.print(verdict(summaries), markup=False, highlight=False)


def _title(summaries: Sequence[Summary]) -> str:
    streams = list(dict.fromkeys(f"{s.stream} ({s.metric.replace('_', ' ')})" for s in summaries))
    return _plain(", ".join(streams))


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
