"""Every law of detectors lets the built-in ones pass and catches the one that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from lifelong.check import LawBroken, check_detector
from lifelong.shift.adwin import Adwin
from lifelong.shift.bocpd import Bocpd
from lifelong.shift.confirmed import Confirmed
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector, Shift
from lifelong.shift.ewma import Ewma
from lifelong.shift.frozen_cusum import FrozenCusum
from lifelong.shift.page_hinkley import PageHinkley
from lifelong.shift.tame_band import TameBand
from lifelong.shift.vote import Vote

QUICK: list[Callable[..., Detector]] = [
    Cusum, PageHinkley, Ewma, Adwin, Bocpd, Vote, Confirmed, FrozenCusum,
]  # fmt: skip


@pytest.mark.parametrize("factory", QUICK)
def test_the_built_in_detectors_pass(factory: Callable[[], Detector]) -> None:
    check_detector(factory, scale_free=True)


@pytest.mark.parametrize("factory", [make for make in QUICK if make is not Bocpd])
def test_they_pass_with_a_cool_down(factory: Callable[..., Detector]) -> None:
    check_detector(lambda: factory(cooldown=30))


def test_the_published_band_does_not_find_ten_deviations() -> None:
    with pytest.raises(LawBroken, match="a jump of 10 deviations"):
        check_detector(TameBand)


Bend = Callable[["Planted", float, Shift | None], Shift | None]


@dataclass
class Planted:
    """A good detector, a threshold on the deviation from the first 50 values, of which a test bends one part."""

    bend: Bend = lambda self, value, shift: shift
    absolute: bool = False
    two_sided: bool = False
    constant_floor: float = 1e-9
    keeps: tuple[str, ...] = ("seen", "total", "squares", "last")
    resets: bool = True
    rearms: bool = True
    threshold: float = 6.0
    warmup: int = 0
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    seen: int = field(default=0, init=False)
    total: float = field(default=0.0, init=False)
    squares: float = field(default=0.0, init=False)
    last: float = field(default=0.0, init=False)

    def update(self, value: float) -> Shift | None:
        self.last = value
        if self.seen < 50:
            self.seen, self.total, self.squares = self.seen + 1, self.total + value, self.squares + value * value
            return self.bend(self, value, None)
        mean = self.total / 50
        deviation = max(self.squares / 50 - mean * mean, 0.0) ** 0.5 + self.constant_floor
        away = (value - mean) / (0.1 if self.absolute else deviation)
        self.statistic = abs(away) if self.two_sided else away
        shift = Shift(1, self.statistic, self.threshold) if self.statistic > self.threshold else None
        return self.bend(self, value, shift)

    def rearm(self) -> None:
        if not self.rearms:
            self.total -= 1000.0
        self.statistic = 0.0

    def reset(self) -> None:
        self.statistic = self.last = 0.0
        if self.resets:
            self.seen, self.total, self.squares = 0, 0.0, 0.0

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.keeps} | {"statistic": self.statistic}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def test_the_planted_detector_is_good_until_it_is_bent() -> None:
    check_detector(Planted, scale_free=True)


def every_hundred(self: Planted, value: float, shift: Shift | None) -> Shift | None:
    self.seen += 1
    return Shift(1, 9.0, 6.0) if self.seen % 100 == 0 else None


def on_anything_flat(self: Planted, value: float, shift: Shift | None) -> Shift | None:
    return Shift(1, 9.0, 6.0) if self.seen >= 50 and self.squares * 50 - self.total**2 <= 1e-12 else shift


@pytest.mark.parametrize(
    ("law", "culprit"),
    [
        ("no alarm on 2,000 values of one world", lambda: Planted(bend=every_hundred)),
        ("no alarm on 2,000 values of one world", lambda: Planted(threshold=2.0)),
        ("found within 50 values", lambda: Planted(bend=lambda self, value, shift: None)),
        ("onset points to where the jump began", lambda: Planted(
            bend=lambda self, value, shift: Shift(100, 9.0, 6.0) if shift else None)),
        ("statistic exceeds its threshold", lambda: Planted(
            bend=lambda self, value, shift: Shift(1, 5.0, 6.0) if shift else None)),
        ("values that fall", lambda: Planted(two_sided=True)),
        ("after rearm the old world is no shift", lambda: Planted(rearms=False)),
        ("with the state goes on alike", lambda: Planted(keeps=("seen",))),
        ("was reset is like a new one", lambda: Planted(resets=False)),
        ("tensors and plain data only", lambda: Planted(keeps=("seen", "bend"))),
        ("no alarm in the grace", lambda: Planted(warmup=200)),
        ("no alarm in the 30 values of cool-down", lambda: Planted(cooldown=30)),
        ("a thousandfold unit", lambda: Planted(absolute=True)),
        ("no alarm on a constant", lambda: Planted(bend=on_anything_flat)),
    ],
)  # fmt: skip
def test_each_law_catches_its_culprit(law: str, culprit: Callable[[], Planted]) -> None:
    with pytest.raises(LawBroken, match=law):
        check_detector(culprit, scale_free=True)


def test_a_detector_that_needs_a_unit_passes_where_it_does_not_claim_otherwise() -> None:
    check_detector(lambda: Planted(absolute=True))
