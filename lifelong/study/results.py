"""What came out of a study: its finished cells, and those that failed. A function of what lies in its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifelong.evaluation.numbers import change, score
from lifelong.evaluation.summary import Summary
from lifelong.record.doubts import doubted
from lifelong.record.folder import RunFolder
from lifelong.record.measures import TOLD_IN_FULL
from lifelong.study.columns import COSTS, SCORES
from lifelong.study.plan import Cell, Plan
from lifelong.study.references import REPLAY
from lifelong.study.statistics import kind_of
from lifelong.study.table import Row, Table, table_of


@dataclass(frozen=True, slots=True)
class Results:
    """`finished` holds the summaries by label and seed, `failed` the cells that have none, each with the reason.

    beside: how many other runs lie in the study's folder, by the names of their folders.
    """

    plan: Plan
    finished: Mapping[str, Mapping[int, Summary]]
    failed: Sequence[tuple[Cell, str]]
    table: Table
    beside: Mapping[str, int]


def read_results(plan: Plan, failures: Mapping[tuple[str, int], str]) -> Results:
    """Read every cell; `failures` are the reasons by label and seed. Raises ValueError for a damaged summary."""
    finished: dict[str, dict[int, Summary]] = {contender.label: {} for contender in plan.contenders}
    failed = []
    for cell in plan.cells():
        key = cell.contender.label, cell.seed
        if key in failures:
            failed.append((cell, failures[key]))
        else:
            finished[cell.contender.label][cell.seed] = RunFolder(cell.path).read_summary()
    references = {contender.label for contender in plan.contenders if contender.is_reference}
    table = table_of(finished, len(plan.seeds), plan.baseline, references)
    return Results(plan, finished, failed, table, _beside(plan))


def _beside(plan: Plan) -> dict[str, int]:
    own = {cell.path for cell in plan.cells()}
    others = [path.parent for path in sorted(plan.out.glob("*/seed-*/events.jsonl")) if path.parent not in own]
    return dict(Counter(path.parent.name for path in others))


def verdict(results: Results) -> str:
    """What came out of the agents that were asked about, in plain words."""
    added = {contender.label for contender in results.plan.contenders if contender.is_reference}
    rows = [row for row in results.table.rows if row.label not in added] or list(results.table.rows)
    if len(rows) <= TOLD_IN_FULL:
        return "; ".join(_said(row, results.table) for row in rows) + "."
    finished = [(found.mean, row) for row in rows if (found := row.found["acc"]) is not None]
    best = [row for _, row in sorted(finished, key=lambda pair: -pair[0])[:TOLD_IN_FULL]]
    others = f"The best {len(best)} of {len(rows)}: " if best else "No agent has a finished run"
    return others + "; ".join(_said(row, results.table) for row in best) + "."


def _said(row: Row, table: Table) -> str:
    acc = row.found["acc"]
    if acc is None:
        return f"{row.name} has no finished run"
    seeds = "1 seed" if row.seeds == 1 else f"{row.seeds} seeds"
    learned = row.found["learning"]
    taught = "" if learned is None else f" after learning its tasks to {score(learned.mean, table.percent)}"
    ends = f"{row.name} ends at {score(acc.mean, table.percent)}{taught} ({seeds})"
    if table.baseline is None or row.label == table.baseline or row.difference is None:
        return ends
    size = change(abs(row.difference.mean), table.percent).removeprefix("+").replace(" pt", " points")
    if row.difference.sign:
        return f"{ends}, {size} {'above' if row.difference.sign > 0 else 'below'} {table.baseline}"
    if row.difference.n == 1:
        way = "above" if row.difference.mean >= 0 else "below"
        return f"{ends}, {size} {way} {table.baseline}, which one seed does not settle"
    return f"{ends}, not to be told from {table.baseline} by these seeds"


def doubts_of(results: Results) -> list[str]:
    """What makes numbers worth less than they look, agent by agent."""
    return ["† " + doubt for doubt in doubted({la: list(runs.values()) for la, runs in results.finished.items()})]


def notes(results: Results) -> list[str]:
    """What the numbers mean, and what is missing from them."""
    plan, table = results.plan, results.table
    said = [
        f"Means over seeds, in brackets 95 % intervals ({kind_of(table.seeds)}); ↑ more is better, ↓ less is better."
    ]
    if table.baseline is not None:
        said.append(f"ACC − {table.baseline}: difference in ACC, seed by seed.")
    if any(table.best((*SCORES, *COSTS))):
        aside = ["references", *(["those who are told"] if table.told else []), *(["†"] if table.doubted else [])]
        said.append(
            f"Bold: the best mean, {' and '.join(aside)} aside; none where who learns little does best (BWT, FWT, "
            "forgetting)."
        )
    if table.percent:
        said.append("pt: percentage points.")
    if table.told:
        said.append("* is told which task it is in; the others are not.")
    said += [f"Without the reference {name}: {why}." for name, why in plan.left_out]
    short = [row for row in table.rows if row.seeds < table.seeds]
    said += [f"{row.label}: {row.seeds} of {table.seeds} seeds finished." for row in short]
    kept = [
        c.config.as_dict()["agent"].get("capacity") for c in plan.contenders if c.is_reference and c.label == REPLAY
    ]
    if kept and kept[0]:
        said.append(f"{REPLAY} keeps {kept[0]:,} samples, the most that any agent of the configuration learns again.")
    if results.beside:
        others = ", ".join(f"{name} ({number})" for name, number in results.beside.items())
        said.append(f"Runs that lie in {plan.out} beside these, of agents or seeds not asked for now: {others}.")
    return said
