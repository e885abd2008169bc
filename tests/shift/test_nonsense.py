"""What is said where a detector is made of something that is none, or of sides that there are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lifelong.shift.adwin import Adwin
from lifelong.shift.bocpd import Bocpd
from lifelong.shift.confirmed import Confirmed
from lifelong.shift.cusum import Cusum
from lifelong.shift.ewma import Ewma
from lifelong.shift.falling import Falling
from lifelong.shift.unlabelled.mmd import Mmd
from lifelong.shift.unlabelled.watch import Unlabelled
from lifelong.shift.vote import Vote


@pytest.mark.parametrize("kind", [Ewma, Adwin, Bocpd])
def test_there_are_two_choices_of_sides(kind: Any) -> None:
    assert kind(sides="both").sides == "both"
    with pytest.raises(ValueError, match="sides must be one of rises, both, got 'boht'"):
        kind(sides="boht")


@pytest.mark.parametrize("given", ["cusum", Cusum, None, 3.0, Mmd()])
@pytest.mark.parametrize("make", [Confirmed, Falling, lambda d: Vote([Cusum(), d]), lambda d: Unlabelled(Mmd(), d)])
def test_what_is_no_detector_is_refused_when_it_is_given(make: Callable[[Any], object], given: Any) -> None:
    with pytest.raises(ValueError, match="must be a detector"):
        make(given)


@pytest.mark.parametrize("given", ["cusum", Cusum(), 3])
def test_a_vote_needs_a_list(given: Any) -> None:
    with pytest.raises(ValueError, match="must be a list of detectors, got"):
        Vote(given)


@pytest.mark.parametrize("given", ["mmd", Mmd, Cusum()])
def test_what_is_no_measure_is_refused_when_it_is_given(given: Any) -> None:
    with pytest.raises(ValueError, match=r"measure of Unlabelled must be a measure, such as Mmd\(\), got"):
        Unlabelled(given)


def test_batches_are_tensors() -> None:
    watch = Unlabelled()
    batch: Any = np.zeros((4, 3), dtype=np.float32)
    with pytest.raises(
        TypeError, match=r"must be a torch\.Tensor, got ndarray: convert an array with torch\.from_numpy"
    ):
        watch.update(batch)
    assert watch.update(torch.from_numpy(batch)) is None
