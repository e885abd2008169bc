"""What is asked: JSON becomes a query that the stream itself could put, or is refused by what was expected.

Nothing is made of a body before its shape is known to be right: no list is handed to anything that guesses shapes.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from lifelong.config.errors import nearest, shown
from lifelong.experience import Query
from lifelong.objective import Contract
from lifelong.stream import Task

SAMPLES = 1024
"""Most samples of one question."""

LISTED = 20
"""Most tasks that a message names."""

TRIED = 8
"""Samples of a task that a learner is tried on before it may answer."""


class Refused(ValueError):
    """A question that cannot be answered as it was put. status: 400 what is no JSON, 422 what is JSON and not fit."""

    def __init__(self, said: str, status: int = 422) -> None:
        super().__init__(said)
        self.status = status


class Questions:
    """The questions that a stream's tasks put: which contract, and whether the learner is told the task.

    needs_task: whether a question must say which task it is of, because tasks ask for different things, or because the
    scenario tells learners the task when they are judged.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)
        self._named = {task.name: task for task in tasks}
        self.needs_task = len({(task.contract, task.label) for task in tasks}) > 1 or tasks[0].label is not None

    def read(self, body: bytes) -> Query:
        """A query of what a body asks. Raises Refused."""
        try:
            given = json.loads(body, parse_constant=_no_json)
        except RecursionError:
            raise Refused("the body is nested too deep to be read as JSON.", 400) from None
        except ValueError as error:
            raise Refused(f"the body cannot be read as JSON ({error}).", 400) from None
        if not isinstance(given, dict) or "inputs" not in given or given.keys() - {"inputs", "task"}:
            got = f"the keys {', '.join(map(shown, given)) or 'none'}" if isinstance(given, dict) else shown(given)
            raise Refused(f'expected {{"inputs": [...]}}, and "task": a name or null beside it, got {got:.200}.')
        task = self._task(given.get("task"))
        return Query(_tensor(given["inputs"], task), task.contract, task.label)

    def samples(self) -> Iterator[Query]:
        """A small question of each kind that there is, of samples that the stream judges by; of zeros without any."""
        kinds: dict[tuple[Contract, str | None], Task] = {}
        for task in self.tasks:
            kinds.setdefault((task.contract, task.label), task)
        for task in kinds.values():
            like = task.test_inputs
            tried = like[:TRIED] if task.judged else like.new_zeros(1, *task.contract.input_shape)
            yield Query(tried, task.contract, task.label)

    def _task(self, name: Any) -> Task:
        if name is None and not self.needs_task:
            return self.tasks[0]
        if isinstance(name, str) and name in self._named:
            return self._named[name]
        more = ", ..." if len(self.tasks) > LISTED else ""
        known = ", ".join(task.name for task in self.tasks[:LISTED]) + more
        if name is None:
            raise Refused(f'this stream\'s questions say which task they are of: add "task", one of {known}.')
        close = nearest(name, self._named) if isinstance(name, str) else ""
        raise Refused(f"there is no task {shown(name)}. {close + ' ' if close else ''}There are: {known}.")


def _tensor(given: Any, task: Task) -> Tensor:
    """(B, *input_shape) of the stream's own kind of number, on its device. Raises Refused."""
    shape, like = task.contract.input_shape, task.test_inputs
    size = prod(shape)
    if not isinstance(given, list) or not 1 <= len(given) <= SAMPLES:
        got = f"{len(given):,} samples" if isinstance(given, list) else shown(given)
        raise Refused(f"inputs must be a list of 1 to {SAMPLES:,} samples, got {got}.")
    flat = array("d")
    for place, sample in enumerate(given):
        is_flat = isinstance(sample, list) and len(sample) == size and not isinstance(sample[0], list)
        try:
            _take(sample, (size,) if is_flat else shape, flat)
        except (ValueError, OverflowError) as error:
            nested = f"nested lists of shape {list(shape)}, or " if len(shape) > 1 else ""
            expected = f"{nested}a list of {size:,} numbers" if shape else "a number"
            raise Refused(f"sample {place} has {error}; expected {expected}.") from None
    exact = torch.frombuffer(flat, dtype=torch.float64).reshape(len(given), *shape)
    kept = exact.to(like.dtype)
    fits = torch.isfinite(kept) if like.is_floating_point() else kept == exact
    if not fits.all():
        place = int((~fits).reshape(len(given), -1).any(1).nonzero()[0])
        kind = str(like.dtype).removeprefix("torch.")
        raise Refused(f"sample {place} has a number that is none of {kind}: infinite, too large, or with a fraction.")
    return kept.to(like.device)


def _take(given: Any, shape: Sequence[int], into: array[float]) -> None:
    """Add the numbers of nested lists of this shape. Raises ValueError, saying what else there was."""
    if not shape:
        given, shape = [given], (1,)
    if not isinstance(given, list):
        raise ValueError(f"{shown(given)} in place of a list")
    if len(given) != shape[0]:
        raise ValueError(f"a list of {len(given):,} in place of one of {shape[0]:,}")
    if len(shape) > 1:
        for inner in given:
            _take(inner, shape[1:], into)
        return
    if not set(map(type, given)) <= {int, float}:
        wrong = next(value for value in given if type(value) not in (int, float))
        raise ValueError(f"{shown(wrong)} in place of a number")
    into.extend(given)


def _no_json(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")
