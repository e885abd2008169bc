"""What a law is, and what it means to be the same."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.objective import Contract, Metric, Objective


class LawBroken(ValueError):
    """A law does not hold: its name, what it expects, and what was seen."""

    def __init__(self, law: str, expected: object, seen: object) -> None:
        super().__init__(f"{law}: expected {expected}, saw {seen}.")
        self.law, self.expected, self.seen = law, expected, seen


class Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...


def equal(name: str, expected: object, seen: object) -> None:
    """Raises: LawBroken unless what was seen equals what was expected."""
    if expected != seen:
        raise LawBroken(name, expected, seen)


def holds(name: str, expected: object, seen: object, does: bool) -> None:
    """Raises: LawBroken unless the law holds, where that is more than an equality."""
    if not does:
        raise LawBroken(name, expected, seen)


def same(name: str, wanted: Any, seen: Any) -> None:
    """Raises: LawBroken unless two nests of tensors and plain data are equal to the last bit."""
    where = _unlike(wanted, seen, "")
    holds(name, "the same", f"another value at {where or 'the top'}", where is None)


def saved(thing: Stateful) -> Any:
    """A copy of the state, as a checkpoint would keep it.

    Raises: LawBroken where it holds more than tensors, plain data and batches, which no checkpoint loads safely.
    """
    state = thing.state_dict()
    foreign = _foreign(state, "")
    holds("a state holds tensors and plain data only", "those", foreign, foreign is None)
    return deepcopy(state)


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """The global generators at a known seed, and afterwards as they were before."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _unlike(a: Any, b: Any, at: str) -> str | None:
    """Where two nests of plain data and tensors differ, to the last bit; None where they do not."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return None if a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num()) else at
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return next((w for k in a if (w := _unlike(a[k], b[k], f"{at}.{k}")) is not None), None)
    if is_dataclass(a) and type(a) is type(b):
        return _unlike(_fields(a), _fields(b), at)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        found = (_unlike(x, y, f"{at}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True)))
        return next((w for w in found if w is not None), None)
    return None if type(a) is type(b) and (a == b or (a != a and b != b)) else at


def _is_fact(value: object) -> bool:
    """Whether a checkpoint admits it: the frozen things that a learner is given, whole."""
    return isinstance(value, Batch | Contract) or (
        is_dataclass(value) and isinstance(value, Objective | Metric) and not isinstance(value, type)
    )


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


_PLAIN = {type(None), bool, int, float, str, bytes, torch.Size, torch.dtype, torch.device}


def _foreign(value: Any, at: str) -> str | None:
    """The place and type of the first thing in a state that is neither a tensor nor plain data."""
    if type(value) in _PLAIN or isinstance(value, Tensor):
        return None
    if type(value) in (dict, OrderedDict):
        found = [_foreign(item, f"{at}.{key}") for key, item in value.items()]
        found += [_foreign(key, f"{at}'s keys") for key in value]
    elif _is_fact(value):
        return _foreign(_fields(value), at)
    elif type(value) in (list, tuple):
        found = [_foreign(item, f"{at}[{i}]") for i, item in enumerate(value)]
    else:
        found = [f"a {type(value).__name__} at {at or 'the top'}"]
    return next((f for f in found if f is not None), None)
