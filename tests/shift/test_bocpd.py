"""Bayesian change-point detection against the whole posterior, by definition."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch

from lifelong.shift.bocpd import ALPHA, FLOOR, KAPPA, LEAST_EVIDENCE, Bocpd

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


class Whole:
    """Every run with its values and the prior that it was born with; densities from the formulas of the paper."""

    def __init__(self, first: Values, hazard: float, cap: float) -> None:
        self.hazard, self.cap = hazard, cap
        prior = (float(first.mean()), max(float(first.std()), FLOOR * abs(float(first.mean()))))
        self.runs: list[tuple[float, list[float], tuple[float, float]]] = [(1.0, list(map(float, first)), prior)]

    @staticmethod
    def posterior(values: list[float], prior: tuple[float, float]) -> tuple[float, float, float, float]:
        n = len(values)
        mean = sum(values) / n if n else 0.0
        kappa, alpha = KAPPA + n, ALPHA + n / 2
        beta = ALPHA * prior[1] ** 2 + 0.5 * sum((v - mean) ** 2 for v in values)
        beta += KAPPA * n * (mean - prior[0]) ** 2 / (2 * kappa)
        return kappa, (KAPPA * prior[0] + sum(values)) / kappa, alpha, beta

    def density(self, value: float, values: list[float], prior: tuple[float, float], least: float) -> float:
        from scipy.stats import t

        kappa, mean, alpha, beta = self.posterior(values, prior)
        scale = max(math.sqrt(beta * (kappa + 1) / (alpha * kappa)), least)
        return float(t.pdf(value, 2 * alpha, loc=mean, scale=scale))

    def update(self, value: float) -> tuple[float, float]:
        """Probability of the new runs of a higher mean, and of the others."""
        _, known, prior = self.runs[0]
        _, level, alpha, beta = self.posterior(known, prior)
        spread = max(math.sqrt(beta / alpha), FLOOR * abs(level))
        value = min(max(value, level - self.cap * spread), level + self.cap * spread)
        born = self.hazard * sum(p for p, _, _ in self.runs) * self.density(value, [], (level, spread), 0.0)
        grown = [
            (p * (1 - self.hazard) * self.density(value, values, prior, FLOOR * abs(level)), [*values, value], prior)
            for p, values, prior in self.runs
        ]
        runs = [*grown, (born, [value], (level, spread))]
        total = sum(p for p, _, _ in runs)
        self.runs = [(p / total, values, prior) for p, values, prior in runs]
        middle = np.mean(self.runs[0][1])
        long = [(p, np.mean(values) > middle) for p, values, _ in self.runs[1:] if len(values) >= LEAST_EVIDENCE]
        return sum(p for p, up in long if up), sum(p for p, up in long if not up)


def world() -> Values:
    """Calm, two outliers, and at the end a small jump that takes long to be sure of."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(2.0, 0.3, 90), rng.normal(2.6, 0.3, 12)])
    values[[40, 60]] += 5.0
    return values


@pytest.mark.parametrize(("runs", "close"), [(1000, 1e-9), (20, 0.02)])
def test_the_posterior_is_the_whole_one(runs: int, close: float) -> None:
    values = world()
    detector = Bocpd(runs=runs, expected=200.0, threshold=0.999999)
    oracle = Whole(values[:20], 1 / 200.0, detector.cap)
    highest = 0.0
    for value in values[:20]:
        detector.update(float(value))
    for value in values[20:]:
        detector.update(float(value))
        higher, _ = oracle.update(float(value))
        assert detector.statistic == pytest.approx(higher, abs=close)
        highest = max(highest, higher)
    assert highest > 0.9


def test_both_sides_together_are_those_of_the_whole_posterior() -> None:
    values = 4.0 - world()
    detector = Bocpd(sides="both", expected=200.0, threshold=0.999999)
    oracle = Whole(values[:20], 1 / 200.0, detector.cap)
    for value in values[:20]:
        detector.update(float(value))
    for value in values[20:]:
        detector.update(float(value))
        assert detector.statistic == pytest.approx(sum(oracle.update(float(value))), abs=1e-9)
    assert detector.statistic > 0.9


def test_memory_is_constant() -> None:
    detector = Bocpd(runs=30)
    for value in np.random.default_rng(1).normal(1.0, 0.1, 500):
        detector.update(float(value))
    assert np.shape(detector.state_dict()["table"])[1] <= 60


def test_a_fall_becomes_the_known_world_and_the_way_back_is_a_shift() -> None:
    rng = np.random.default_rng(2)
    detector = Bocpd()
    values = np.concatenate([rng.normal(m, 0.1, 200) for m in (2.0, 1.0, 2.0)])
    shifts = [(at, s.onset) for at, s in enumerate(map(detector.update, map(float, values))) if s is not None]
    at, onset = shifts[0]
    assert 400 <= at < 410
    assert abs(at - onset + 1 - 400) <= 1
    # Nobody reset it: the new world is the known one from the next value on. Its first values were clipped, so that it
    # may take a second alarm to get there.
    assert len(shifts) <= 2
    assert shifts[-1][0] < 450
    both = Bocpd(sides="both")
    found = [at for at, s in enumerate(map(both.update, map(float, values))) if s is not None]
    assert {at // 50 for at in found} == {4, 8}


@pytest.mark.parametrize("count", [1, 19, 20, 30, 100])
@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
def test_the_first_world_is_made_of_numbers_however_late_they_come(strange: float, count: int) -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(1.0, 0.1, 200), rng.normal(3.0, 0.1, 10)])
    plain, late = Bocpd(), Bocpd()
    # Some before the first number, and one among the first.
    assert not any(late.update(strange) for _ in range(count))
    found = []
    for at, value in enumerate(map(float, values)):
        found.append((plain.update(value), late.update(value)))
        if at == 5:
            assert late.update(strange) is None
    assert all(ours == theirs for ours, theirs in found)
    assert late.state_dict() == plain.state_dict()
    assert next(at for at, (shift, _) in enumerate(found) if shift is not None) in range(200, 210)


def test_a_number_may_be_a_tensor() -> None:
    plain, given = Bocpd(), Bocpd()
    loss: Any
    for loss in torch.from_numpy(world()):
        assert given.update(loss) == plain.update(float(loss))
    assert given.state_dict() == plain.state_dict()
