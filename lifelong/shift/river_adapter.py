"""Drift detectors of the River library, as detectors of this one; needs `pip install "lifelong[river]"`."""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifelong.shift.detector import Shift, Sides, must_be_sides

Setting = float | int | str | bool | None


@dataclass(slots=True)
class River:
    """One of River's drift detectors (ADWIN, KSWIN, PageHinkley) by its class name; by default only rises fire.

    detector: a class in `river.drift`. settings: arguments of its constructor. sides: rises alone or both; River's own
    are mostly two-sided, so the direction and the onset are those of the two levels that fit the values since its last
    drift best, of the latest `memory`. warmup: values before which it is not listened to. cooldown: silent values after
    a rearm.

    River's detectors forget their reference when they find a drift, so there is none for `rearm` to keep: it only
    begins the cool-down. `statistic` is 1 where the last value was a drift that counts, else 0. The state of River's
    object is saved as a pickle, of which only River's own classes and plain containers are ever loaded again.
    Raises ImportError where River is not installed, ValueError for a class that it does not have.
    """

    detector: str = "ADWIN"
    settings: Mapping[str, Setting] = field(default_factory=dict)
    sides: Sides = "rises"
    memory: int = 100
    warmup: int = 0
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    _make: Callable[..., Any] = field(init=False, repr=False)
    _theirs: Any = field(init=False, repr=False)
    _latest: list[float] = field(default_factory=list, init=False, repr=False)
    _seen: int = field(default=0, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        must_be_sides(self.sides)
        if self.memory < 2 or self.warmup < 0 or self.cooldown < 0:
            raise ValueError(
                f"River needs memory >= 2, warmup >= 0 and cooldown >= 0, got memory={self.memory}, "
                f"warmup={self.warmup}, cooldown={self.cooldown}."
            )
        self._make = _their_class(self.detector)
        try:
            self._theirs = self._make(**self.settings)
        except TypeError as error:
            raise ValueError(f"river.drift.{self.detector} does not take these settings: {error}.") from error

    @property
    def threshold(self) -> float:
        return 0.5

    def update(self, value: float) -> Shift | None:
        self._seen += 1
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        if not abs(value) < 1e100:
            if not self._latest:
                return None
            # Not a number, or one that cannot be squared: as far above the highest as that is above the lowest.
            value = 2.0 * max(self._latest) - min(self._latest)
        self._latest.append(value)
        del self._latest[: -self.memory]
        self._theirs.update(value)
        self.statistic = 0.0
        if not self._theirs.drift_detected:
            return None
        onset, rise = _two_levels(self._latest)
        self._latest = self._latest[-onset:]
        if silent or self._seen <= self.warmup or (self.sides == "rises" and rise <= 0.0):
            return None
        self.statistic = 1.0
        return Shift(onset, self.statistic, self.threshold)

    def rearm(self) -> None:
        self.statistic, self._silent = 0.0, self.cooldown

    def reset(self) -> None:
        self._theirs = self._make(**self.settings)
        self.statistic, self._latest, self._seen, self._silent = 0.0, [], 0, 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "theirs": pickle.dumps(self._theirs),
            "latest": list(self._latest),
            "seen": self._seen,
            "silent": self._silent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._latest = state["statistic"], list(state["latest"])
        self._seen, self._silent = state["seen"], state["silent"]
        self._theirs = _Careful(io.BytesIO(state["theirs"])).load()


def _their_class(name: str) -> Callable[..., Any]:
    try:
        drift, base = importlib.import_module("river.drift"), importlib.import_module("river.base")
    except ImportError as error:
        raise ImportError('River is not installed. Install it with: pip install "lifelong[river]".') from error
    kinds = {n: c for n, c in vars(drift).items() if isinstance(c, type) and issubclass(c, base.DriftDetector)}
    if name not in kinds:
        raise ValueError(f"river.drift has no detector {name!r}. It has {', '.join(sorted(kinds))}.")
    made: Callable[..., Any] = kinds[name]
    return made


def _two_levels(values: list[float]) -> tuple[int, float]:
    """The two levels, one after the other, that fit best: how many values the second has, and how much higher it is."""
    count, total, older = len(values), sum(values), 0.0
    best, onset, rise = -1.0, count, 0.0
    for split in range(1, count):
        older += values[split - 1]
        apart = (total - older) / (count - split) - older / split
        if split * (count - split) * apart * apart > best:
            best, onset, rise = split * (count - split) * apart * apart, count - split, apart
    return onset, rise


_PLAIN = {
    ("random", "Random"),
    ("collections", "deque"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.multiarray", "scalar"),
}


_PARTS = ("river.base", "river.drift", "river.stats", "river._river_rust")
"""Where detectors and what they are made of come from: other parts of River read files and networks."""


class _Careful(pickle.Unpickler):
    """Loads River's detectors, numbers and containers, and nothing that could run anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        if (module, name) == ("builtins", "getattr"):
            return _method
        # A dotted name would reach through one of River's modules into any other.
        if ".".join(module.split(".")[:2]) in _PARTS and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and _is_rivers(found):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in the state of a drift detector of River.")


def _method(owner: Any, name: str) -> Any:
    """What pickles ask of getattr: a method of a detector of River's, and no way into Python itself."""
    if not _is_rivers(owner if isinstance(owner, type) else type(owner)) or "__" in name:
        raise pickle.UnpicklingError(f"{name} of {owner!r} has no place in the state of a drift detector of River.")
    return getattr(owner, name)


def _is_rivers(kind: type) -> bool:
    return ".".join(kind.__module__.split(".")[:2]) in _PARTS
