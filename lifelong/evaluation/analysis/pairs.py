"""Transfer between each two tasks, from runs over pairs "X Y": what X is worth to Y, and what Y does to X."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.matrix import ScoreMatrix, matrix_of
from lifelong.evaluation.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Transfers:
    """Means over seeds, (T, T): row X is taught first, column Y second. NaN where nothing is known, as on the diagonal.

    forward: score of Y after X and Y, minus that of Y alone after equally many experiences. backward: score of X after
    X and Y, minus that after X. `runs` counts the seeds that an entry of `forward` is a mean of. Compare Taskonomy
    (Zamir et al. 2018), and the one-step terms of Lopez-Paz & Ranzato 2017 for the backward entries.
    """

    tasks: tuple[str, ...]
    forward: NDArray[np.float64]
    backward: NDArray[np.float64]
    runs: NDArray[np.int64]


def is_pair(trace: Trace) -> bool:
    """Whether a run was taught one task and then another one, both to the end."""
    segments = trace.started.segments
    return len(segments) == 2 and segments[0] != segments[1] and len(matrix_of(trace).segments) == 2


def transfers_of(traces: Sequence[Trace]) -> Transfers:
    """The transfer matrix of one agent. A run over X and Y also tells what X comes to alone: at its first visit's end.

    Runs of one seed are compared with each other alone. Runs of other shapes are left out. Raises ValueError where the
    runs are of several agents or streams, or where there is no pair at all.
    """
    pairs = [trace for trace in traces if is_pair(trace)]
    if not pairs:
        raise ValueError('There is no run over a pair of tasks: make some with stream.timetable.order="X Y".')
    who = sorted({f"{trace.started.agent} on {trace.started.stream}" for trace in pairs})
    if len(who) > 1:
        raise ValueError(f"A transfer matrix is of one agent on one stream, got runs of {', '.join(who)}.")
    tasks = tuple(sorted({task for trace in pairs for task in trace.started.segments}))
    alone: dict[tuple[str, int, int], list[float]] = {}
    for trace in pairs:
        first = trace.started.segments[0]
        key = first, trace.started.segment_starts[1], trace.started.seed
        alone.setdefault(key, []).append(_score(matrix_of(trace), 1, first))
    forward: dict[tuple[str, str], list[float]] = {}
    backward: dict[tuple[str, str], list[float]] = {}
    for trace in pairs:
        (x, y), matrix = trace.started.segments, matrix_of(trace)
        backward.setdefault((x, y), []).append(_score(matrix, 2, x) - _score(matrix, 1, x))
        scores = alone.get((y, trace.started.steps - trace.started.segment_starts[1], trace.started.seed))
        if scores is not None:
            forward.setdefault((x, y), []).append(_score(matrix, 2, y) - sum(scores) / len(scores))
    return Transfers(
        tasks,
        _means(tasks, forward),
        _means(tasks, backward),
        np.array([[len(forward.get((x, y), ())) for y in tasks] for x in tasks], dtype=np.int64),
    )


def pairs_needed(tasks: Iterable[str], there: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
    """The ordered pairs that a full transfer matrix still needs runs over."""
    known = set(there)
    return [pair for pair in permutations(tasks, 2) if pair not in known]


def pairs_there(traces: Iterable[Trace]) -> set[tuple[str, str]]:
    """The pairs that there are runs over."""
    return {(trace.started.segments[0], trace.started.segments[1]) for trace in traces if is_pair(trace)}


def override_of(pair: tuple[str, str]) -> str:
    """What to add to `lifelong run CONFIG` for a run over a pair."""
    plain = all(name and not any(letter.isspace() for letter in name) for name in pair)
    return f"stream.timetable.order={' '.join(pair) if plain else json.dumps(pair, ensure_ascii=False)}"


def _score(matrix: ScoreMatrix, row: int, task: str) -> float:
    return float(matrix.column(task)[row])


def _means(tasks: Sequence[str], terms: dict[tuple[str, str], list[float]]) -> NDArray[np.float64]:
    return np.array([[float(np.mean(terms[x, y])) if (x, y) in terms else np.nan for y in tasks] for x in tasks])
