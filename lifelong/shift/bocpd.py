"""Shift detection by Bayesian online change-point detection: how probable it is that a new run of values has begun.

Source: Adams and MacKay, Bayesian online changepoint detection (arXiv 0710.3742), equations 1-3, with the conjugate
normal-gamma model, whose predictive is a Student t (Murphy 2007, Conjugate Bayesian analysis of the Gaussian
distribution, section 3). Three changes for a learner's loss: the prior of a new run is centred on the known world and
as wide as it (no unit to set); a value is clipped at `cap` deviations of that world, and a run speaks from its third
value on, so that one outlier never fires; the least probable runs are dropped, so that memory is constant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from lifelong.shift.detector import Shift, Sides, must_be_sides

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Posterior: TypeAlias = tuple[Array, Array, Array, Array]
Marks: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

LEAST_EVIDENCE = 3
"""Values that a run must have before it counts."""

KAPPA = 0.05
"""How many values the prior mean of a new run weighs: its deviation is 4.5 times that of the world before."""

ALPHA = 1.0
"""Half the values that the prior spread of a new run weighs, less a half."""

FLOOR = 0.1
"""The least deviation, as a share of the level."""

# Rows of the table of runs, one column a run. The first column is the world that is known.
LOG, COUNT, MEAN, SQUARES, PRIOR_MEAN, PRIOR_SQUARES, GAMMA = range(7)


@dataclass(slots=True)
class Bocpd:
    """Bayesian online change-point detection: fires when new runs of a higher mean hold `threshold` of the posterior.

    threshold: probability (0..1). expected: values that a world is expected to last, the inverse of the hazard. cap:
    deviations that one value counts for at most. runs: most run lengths kept. warmup: numbers that only make the first
    world known. sides: rises alone fire (the mean of the new run is higher; a fall becomes the known world silently),
    or both do. cooldown: silent values after a rearm, in which no rise becomes the known world.

    The onset is the length of the most probable new run. Where nobody resets or rearms it after an alarm, that run is
    the known world from the next value on; as its first values were clipped, it may take a second alarm to get there.
    Values are taken as independent: autocorrelated ones look like runs. Some forty microseconds a value.
    """

    threshold: float = 0.999
    expected: float = 1000.0
    cap: float = 3.5
    runs: int = 60
    warmup: int = 20
    sides: Sides = "rises"
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    _table: Array = field(init=False, repr=False, compare=False)
    _news: int = field(default=0, init=False, repr=False)
    _seen: int = field(default=0, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        must_be_sides(self.sides)
        if not (0 < self.threshold < 1 and self.expected > 1 and self.cap > 0):
            raise ValueError(
                f"Bocpd needs 0 < threshold < 1, expected > 1 and cap > 0, got threshold={self.threshold}, "
                f"expected={self.expected}, cap={self.cap}."
            )
        if self.runs < 2 or self.warmup < 3 or self.cooldown < 0:
            raise ValueError(
                f"Bocpd needs runs >= 2, warmup >= 3 and cooldown >= 0, got runs={self.runs}, warmup={self.warmup}, "
                f"cooldown={self.cooldown}."
            )
        self.reset()

    def update(self, value: float) -> Shift | None:
        # A tensor of one number would not go into the table.
        value = float(value)
        finite = abs(value) < 1e100
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        if self._news:
            self._settle(self._news)
            self._news = 0
        if self._seen < self.warmup and not finite:
            # Nothing is known yet that it could be held against: the first world is made of numbers.
            return None
        self._seen += 1
        if self._seen <= self.warmup:
            _take(self._table, value)
            if self._seen == self.warmup:
                self._table[:, :1] = self._born(self._table[COUNT, 0], self._table[MEAN, 0], self._table[SQUARES, 0])
            return None
        posterior = _posterior(self._table)
        level = float(posterior[1][0])
        spread = max(math.sqrt(float(posterior[3][0] / posterior[2][0])), FLOOR * abs(level), 1e-12)
        # What is not a number is as surprising as a value can be.
        error = value - level if finite else self.cap * spread
        clipped = max(-self.cap * spread, min(error, self.cap * spread))
        self._observe(level + clipped, level, spread, posterior)
        risen, fallen = self._new_runs()
        chances = np.exp(self._table[LOG])
        if self.sides == "rises" and chances[fallen].sum() > self.threshold:
            self._settle(_likeliest(chances, fallen))
            self.statistic = 0.0
            return None
        counted = risen | fallen if self.sides == "both" else risen
        self.statistic = float(chances[counted].sum())
        if self.statistic <= self.threshold or silent:
            return None
        self._news = _likeliest(chances, counted)
        return Shift(int(self._table[COUNT, self._news]), self.statistic, self.threshold)

    def _born(self, count: float, mean: float, squares: float) -> Array:
        """The first column of a table, of a world of which so much is known: its prior is made of itself."""
        spread = max(math.sqrt(squares / count), FLOOR * abs(mean), 1e-12)
        return np.array([[0.0], [count], [mean], [squares], [mean], [spread**2], [_gamma(ALPHA + count / 2)]])

    def _observe(self, value: float, level: float, spread: float, posterior: Posterior) -> None:
        """One step: every run grows by the value, or a new one begins with it (equation 3)."""
        kappa, mean, alpha, beta = posterior
        scale = np.maximum(beta * (kappa + 1.0) / (alpha * kappa), (FLOOR * level) ** 2)
        fit = self._table[GAMMA] - 0.5 * np.log(2.0 * np.pi * alpha * scale)
        fit -= (alpha + 0.5) * np.log1p((value - mean) ** 2 / (2.0 * alpha * scale))
        # Posteriors are kept normalised, so the chance of a change is the hazard itself.
        self._table[LOG] += fit + math.log1p(-1.0 / self.expected)
        wide = spread**2 * (1.0 + 1.0 / KAPPA)
        chance = _gamma(ALPHA) - 0.5 * math.log(2.0 * math.pi * ALPHA * wide) - math.log(self.expected)
        chance -= (ALPHA + 0.5) * math.log1p((value - level) ** 2 / (2.0 * ALPHA * wide))
        _take(self._table, value)
        # From the ratio of gamma functions at a to that at a + 1/2: it takes no gamma function.
        self._table[GAMMA] = np.log(alpha) - self._table[GAMMA]
        new = np.array([[chance], [1.0], [value], [0.0], [level], [spread**2], [_gamma(ALPHA + 0.5)]])
        self._table = np.hstack([self._table, new])
        if self._table.shape[1] > 2 * self.runs:
            # Twice the memory, so that it is seldom done. The known world stays, however improbable.
            likely = 1 + np.argpartition(-self._table[LOG, 1:], self.runs - 2)[: self.runs - 1]
            self._table = self._table[:, np.concatenate([[0], np.sort(likely)])]
        highest = self._table[LOG].max()
        self._table[LOG] -= highest + math.log(np.exp(self._table[LOG] - highest).sum())

    def _new_runs(self) -> tuple[Marks, Marks]:
        """Which runs are no part of the known world and long enough, and have a higher mean than it, or not."""
        long = self._table[COUNT] >= LEAST_EVIDENCE
        long[0] = False
        higher = self._table[MEAN] > self._table[MEAN, 0]
        return long & higher, long & ~higher

    def _settle(self, run: int) -> None:
        """That run is the known world now: what began before it is dropped."""
        later = self._table[COUNT] <= self._table[COUNT, run]
        self._table = self._table[:, later]
        first = int(self._table[COUNT].argmax())
        order = [first, *(i for i in range(self._table.shape[1]) if i != first)]
        self._table = self._table[:, order]
        self._table[LOG] -= np.logaddexp.reduce(self._table[LOG])

    def rearm(self) -> None:
        if self._seen > self.warmup:
            known, suspect = self._table[:, 0], int(self._table[LOG].argmax())
            count, mean, squares = known[COUNT], known[MEAN], known[SQUARES]
            if suspect:
                count, mean, squares = _without(known, self._table[:, suspect])
            kept = [[0.0], [count], [mean], [squares], [known[PRIOR_MEAN]], [known[PRIOR_SQUARES]]]
            self._table = np.array([*kept, [_gamma(ALPHA + float(count) / 2)]])
        self.statistic, self._news, self._silent = 0.0, 0, self.cooldown

    def reset(self) -> None:
        self.statistic, self._news, self._silent, self._seen = 0.0, 0, 0, 0
        self._table = np.zeros((7, 1))

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "table": self._table.tolist(),
            "news": self._news,
            "seen": self._seen,
            "silent": self._silent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._table, self._news = state["statistic"], np.array(state["table"]), state["news"]
        self._seen, self._silent = state["seen"], state["silent"]


def _take(table: Array, value: float) -> None:
    """The value into the count, mean and squares of every run."""
    table[COUNT] += 1.0
    apart = value - table[MEAN]
    table[MEAN] += apart / table[COUNT]
    table[SQUARES] += apart * (value - table[MEAN])


def _posterior(table: Array) -> Posterior:
    """Kappa, mean, alpha and beta of the normal-gamma posterior of every run (Murphy 2007, equations 86-89)."""
    count, mean, prior = table[COUNT], table[MEAN], table[PRIOR_MEAN]
    kappa = KAPPA + count
    beta = ALPHA * table[PRIOR_SQUARES] + 0.5 * (table[SQUARES] + KAPPA * count * (mean - prior) ** 2 / kappa)
    return kappa, (KAPPA * prior + count * mean) / kappa, ALPHA + 0.5 * count, beta


def _without(known: Array, suspect: Array) -> tuple[float, float, float]:
    """Count, mean and squares of the known world before the suspect run, which it holds too, began."""
    count = float(known[COUNT] - suspect[COUNT])
    mean = float((known[COUNT] * known[MEAN] - suspect[COUNT] * suspect[MEAN]) / count)
    apart = float(suspect[MEAN]) - mean
    squares = known[SQUARES] - suspect[SQUARES] - apart * apart * suspect[COUNT] * count / known[COUNT]
    return count, mean, max(0.0, float(squares))


def _likeliest(chances: Array, among: Marks) -> int:
    return int(np.where(among, chances, -1.0).argmax())


def _gamma(a: float) -> float:
    """log of gamma(a + 1/2) / gamma(a)."""
    return math.lgamma(a + 0.5) - math.lgamma(a)
