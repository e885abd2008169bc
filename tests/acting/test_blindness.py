"""How many values of a world a detector must have seen before it finds another one: found by trying."""

from __future__ import annotations

import pytest

from lifelong.acting.blindness import blind_steps, normal_values
from lifelong.acting.signals import ModelError, TemporalDifference
from lifelong.shift.cusum import Cusum
from lifelong.shift.ewma import Ewma
from lifelong.shift.falling import Falling
from lifelong.shift.frozen_cusum import FrozenCusum


@pytest.mark.parametrize("warmup", [5, 20, 57, 300])
@pytest.mark.parametrize("kind", [Cusum, Ewma])
def test_about_as_many_as_its_warmup(kind: type[Cusum] | type[Ewma], warmup: int) -> None:
    detector = kind(warmup=warmup)
    values = normal_values(detector)
    assert values is not None
    # Of the other world's values, the first few may still fall into the warm-up.
    assert 0.9 * warmup - 5 <= values <= warmup
    # The detector itself has seen nothing.
    assert detector == kind(warmup=warmup)


def test_one_with_a_reference_of_many_needs_many_and_one_for_falls_finds_no_rise() -> None:
    assert 150 < (normal_values(FrozenCusum(warmup=200)) or 0) <= 200
    assert normal_values(Falling()) is None


def test_values_come_with_looks_of_whole_steps() -> None:
    # Looks of 100 in 8 lanes are 104 transitions: 3 values each of the model's error, 1 of a value function's.
    assert blind_steps(100, 8, ModelError(), Cusum()) == 104 * (2 + 6)
    assert blind_steps(100, 8, TemporalDifference(), Cusum()) == 104 * (2 + 18)
    # From 256 on, a quarter is looked at.
    assert blind_steps(1024, 8, ModelError(), Cusum()) == 1024 * (1 + 3)
    assert blind_steps(100, 8, ModelError(), None) is None
