"""Every law of measures lets the built-in ones pass and catches the one that breaks it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from lifelong.check import LawBroken, check_measure
from lifelong.shift.unlabelled.classifier import ClassifierTwoSample
from lifelong.shift.unlabelled.energy import Energy
from lifelong.shift.unlabelled.entropy import Entropy
from lifelong.shift.unlabelled.kolmogorov_smirnov import KolmogorovSmirnov
from lifelong.shift.unlabelled.measure import Measure, Sight
from lifelong.shift.unlabelled.mmd import Mmd
from lifelong.shift.unlabelled.reconstruction import Reconstruction


@pytest.mark.parametrize("factory", [Mmd, Energy, KolmogorovSmirnov, ClassifierTwoSample, Reconstruction, Entropy])
def test_the_built_in_measures_pass(factory: Callable[[], Measure]) -> None:
    check_measure(factory)


@dataclass
class Planted:
    """A good measure, the standardised mean of a batch, of which a test bends one part."""

    bend: Callable[[float, Tensor], float | None] = lambda value, rows: value
    sight: Sight = "inputs"
    grace: int = 3
    forgetful: bool = False
    learns: bool = False
    draws: bool = False
    seen: int = field(default=0, init=False)
    total: float = field(default=0.0, init=False)
    width: int = field(default=0, init=False)

    def observe(self, rows: Tensor) -> float | None:
        if self.draws:
            torch.randn(1)
        if self.seen < self.grace:
            self.seen, self.width = self.seen + 1, rows.shape[1]
            return None
        if self.learns:
            self.total += float(rows.nan_to_num().sum())
        if rows.shape[1] != self.width or not torch.isfinite(rows).all():
            return self.bend(math.inf, rows)
        return self.bend(float(rows.mean()) * math.sqrt(rows.numel()) + 1e-9 * self.total, rows)

    def reset(self) -> None:
        self.total = 0.0
        self.seen = 1 if self.forgetful else 0

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen, "width": self.width} | ({} if self.forgetful else {"total": self.total})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def test_the_planted_measure_is_good_until_it_is_bent() -> None:
    check_measure(Planted)


@pytest.mark.parametrize(
    ("law", "culprit"),
    [
        ("sight is inputs or outputs", lambda: Planted(sight="labels")),  # type: ignore[arg-type]
        ("the first batch says nothing", lambda: Planted(grace=0)),
        ("the grace ends within 200 batches", lambda: Planted(grace=500)),
        ("torch's generator stay", lambda: Planted(draws=True)),
        ("every batch has a value", lambda: Planted(bend=lambda value, rows: None if value > 1 else value)),
        ("about 0, with batches of 128", lambda: Planted(bend=lambda value, rows: value + len(rows) / 32)),
        ("not finite is infinitely strange", lambda: Planted(bend=lambda value, rows: min(value, 9.0))),
        ("what is broken teaches nothing", lambda: Planted(learns=True)),
        ("like a new one", lambda: Planted(forgetful=True)),
        ("another world is strange", lambda: Planted(bend=lambda v, rows: v if math.isinf(v) else 0.0)),
    ],
)
def test_each_law_catches_its_culprit(law: str, culprit: Callable[[], Planted]) -> None:
    with pytest.raises(LawBroken, match=law):
        check_measure(culprit)
