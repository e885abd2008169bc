"""A study in one table: each agent's means over its seeds, and its differences to the baseline."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lifelong.evaluation.numbers import NONE
from lifelong.evaluation.summary import Summary
from lifelong.record.doubts import doubts
from lifelong.study.columns import COSTS, DIFFERENCE, SCORES, Column
from lifelong.study.statistics import Estimate, estimate, paired

TOLD = " *"
DOUBTED = " †"


@dataclass(frozen=True, slots=True)
class Row:
    """One agent: over how many of its seeds, what came out by the columns' keys, its difference in ACC (None: none).

    told: the agent is told which task it is in. reference: it was added to compare with. doubted: of
    how many runs the numbers are worth less than they look.
    """

    label: str
    seeds: int
    told: bool
    found: dict[str, Estimate | None]
    difference: Estimate | None
    reference: bool = False
    doubted: int = 0

    @property
    def name(self) -> str:
        return self.label + (TOLD if self.told else "") + (DOUBTED if self.doubted else "")


@dataclass(frozen=True, slots=True)
class Table:
    """All agents of a study; `seeds` counts those asked for, `baseline` is the label that differences are to."""

    rows: tuple[Row, ...]
    seeds: int
    baseline: str | None
    percent: bool

    @property
    def told(self) -> bool:
        return any(row.told for row in self.rows)

    @property
    def doubted(self) -> bool:
        return any(row.doubted for row in self.rows)

    def known(self, columns: Sequence[Column]) -> list[Column]:
        """Those columns in which any agent has a number."""
        return [column for column in columns if any(row.found[column.key] is not None for row in self.rows)]

    def head(self, columns: Sequence[Column]) -> list[str]:
        """Titles; behind ACC comes the difference in it."""
        titles = []
        for column in columns:
            titles.append(column.title)
            if column.key == "acc" and self.baseline is not None:
                titles.append(f"ACC − {self.baseline}")
        return titles

    def cells(self, row: Row, columns: Sequence[Column]) -> list[str]:
        """One agent's numbers under those titles."""
        written = []
        for column in columns:
            written.append(column.written(row.found[column.key], self.percent))
            if column.key == "acc" and self.baseline is not None:
                is_baseline = row.label == self.baseline
                written.append(NONE if is_baseline else DIFFERENCE.written(row.difference, self.percent))
        return written

    def best(self, columns: Sequence[Column]) -> list[set[int]]:
        """For each agent the places, under those titles, where its mean is the best of those that compete."""
        stressed: list[set[int]] = [set() for _ in self.rows]
        place = 0
        for column in columns:
            values = [self._competing(row, column) for row in self.rows]
            known = [value for value in values if value is not None]
            if column.better and column.alone and len(known) > 1 and len(set(known)) > 1:
                for number, value in enumerate(values):
                    if value == max(known):
                        stressed[number].add(place)
            place += 2 if column.key == "acc" and self.baseline is not None else 1
        return stressed

    def _competing(self, row: Row, column: Column) -> float | None:
        """Who was added to compare with, is told more than others, or is doubted, does not."""
        found = row.found[column.key]
        out = row.told or row.reference or row.doubted
        return None if found is None or out else found.mean * column.better


def table_of(
    runs: Mapping[str, Mapping[int, Summary]], seeds: int, baseline: str | None, references: Collection[str] = ()
) -> Table:
    """The table of finished runs, given by label and seed. A label without any is a row without numbers."""
    everything = [summary for of_agent in runs.values() for summary in of_agent.values()]
    percent = all(summary.percent for summary in everything)
    base = {seed: summary.acc for seed, summary in runs.get(baseline or "", {}).items()}
    rows = []
    for label, of_agent in runs.items():
        found = {
            column.key: estimate([column.value(summary) for summary in of_agent.values()], column.range(percent))
            for column in (*SCORES, *COSTS)
        }
        accs = {seed: summary.acc for seed, summary in of_agent.items()}
        difference = paired(accs, base, DIFFERENCE.range(percent))
        is_told = any(summary.labels_shown for summary in of_agent.values())
        doubted = sum(bool(doubts(summary)) for summary in of_agent.values())
        rows.append(Row(label, len(of_agent), is_told, found, difference, label in references, doubted))
    return Table(tuple(rows), seeds, baseline, percent)
