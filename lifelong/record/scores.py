"""scores.csv: every judging of every task, for a spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path

from lifelong.events import Event, TaskScored


class ScoresCsv:
    """Writes the columns step, task, score, seen, value, one row for each task judged, as they come.

    `score` is higher-is-better, and normalised where there are references; `value` is in the task's metric as it is,
    such as the mean return of an episode. The file is written anew.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(("step", "task", "score", "seen", "value"))

    def on(self, step: int, event: Event) -> None:
        if isinstance(event, TaskScored):
            self._rows.writerow((step, event.task, event.score, int(event.seen), event.value))
            self._file.flush()

    def close(self) -> None:
        self._file.close()
