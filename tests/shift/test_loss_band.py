"""TAME's band, by hand and against a plain transcription of the rule."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from lifelong.shift.loss_band import Band, LossBand


def test_by_hand() -> None:
    band = LossBand(Band(window=3, smoothing=0.5, deviations=2.0, floor=0.1), untrained=1.0)
    # One value in the window: its spread is nothing, the floor is taken.
    assert band.threshold == pytest.approx(1.0 + 2 * 0.1)
    # The first loss is its own average.
    assert band.judge(1.8) == pytest.approx(1.8 / 1.2)
    band.take(0.4)
    # Window 1.0, 0.4: mean 0.7, spread 0.3; average 0.4.
    assert band.threshold == pytest.approx(0.7 + 0.6)
    assert band.judge(2.0) == pytest.approx((0.5 * 2.0 + 0.5 * 0.4) / 1.3)
    band.take(0.4)
    band.take(0.4)
    # The guess has left the window of three.
    assert band.threshold == pytest.approx(0.4 + 2 * 0.1)


def test_judging_takes_nothing_in() -> None:
    band = LossBand(Band(), untrained=2.3)
    before = band.state_dict()
    first, _, again = (band.judge(loss) for loss in (1.0, 5.0, 1.0))
    assert first == again
    assert band.state_dict() == before


def test_it_is_the_rule_as_it_is_written() -> None:
    draw = random.Random(0)
    band = LossBand(Band(window=20, smoothing=0.2), untrained=math.log(10))
    window, smoothed = [math.log(10)], None
    for step in range(300):
        loss = 2.0 * math.exp(-step / 30) + 0.3 + 0.05 * draw.random()
        average = loss if smoothed is None else 0.2 * loss + 0.8 * smoothed
        threshold = np.mean(window[-20:]) + 3 * max(np.std(window[-20:]), 0.005)
        assert band.threshold == pytest.approx(threshold)
        assert band.judge(loss) == pytest.approx(average / threshold)
        assert (band.judge(loss) > 1) == (average > threshold)
        band.take(loss)
        window.append(loss)
        smoothed = average


def test_a_restored_band_goes_on_the_same_and_youth_is_counted() -> None:
    band, again = LossBand(Band(window=5, grace=4), 1.0), LossBand(Band(window=5, grace=4), 1.0)
    for loss in (0.9, 0.7, 0.8):
        band.take(loss)
    again.load_state_dict(band.state_dict())
    assert band.is_young
    for each in (band, again):
        each.take(0.6)
    assert (again.threshold, again.judge(1.2)) == (band.threshold, band.judge(1.2))
    assert not band.is_young
    assert not again.is_young


def test_what_is_no_number_is_another_world() -> None:
    band = LossBand(Band(), 1.0)
    assert band.judge(math.nan) == math.inf == band.judge(math.inf)


@pytest.mark.parametrize(
    "settings", [{"window": 0}, {"grace": -1}, {"smoothing": 0.0}, {"deviations": -1.0}, {"floor": -0.1}]
)
def test_mistakes_are_named(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Band(**settings)  # type: ignore[arg-type]
