"""What an expert looks out for: only detectors that can see it, and what is said of anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.shift.adwin import Adwin
from lifelong.shift.bocpd import Bocpd
from lifelong.shift.confirmed import Confirmed
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector
from lifelong.shift.ewma import Ewma
from lifelong.shift.falling import Falling
from lifelong.shift.frozen_cusum import FrozenCusum
from lifelong.shift.page_hinkley import PageHinkley
from lifelong.shift.tame_band import TameBand
from lifelong.shift.unlabelled.mmd import Mmd
from lifelong.shift.unlabelled.watch import Unlabelled
from lifelong.shift.vote import Vote
from lifelong.upbringing import Upbringing
from lifelong.watch import Watch
from lifelong_agents.flagship import flagship

RISES: tuple[type[Any], ...] = (
    Cusum, PageHinkley, Ewma, TameBand, Adwin, Bocpd, Vote, Confirmed, FrozenCusum,
)  # fmt: skip

OF_FALLS: tuple[Detector, ...] = (
    *(Falling(kind()) for kind in RISES),
    Falling(memory=500, least=500),
    Falling(FrozenCusum(warmup=1000)),
    Ewma(sides="both"),
    Adwin(sides="both"),
    Adwin(sides="both", span=1.0),
    Bocpd(sides="both"),
    Vote((Cusum(), Falling()), needed=1),
    Vote((Ewma(sides="both"), Adwin(sides="both"), Falling()), needed=3),
)


def finds(detector: Detector) -> bool:
    """Whether it finds a fall in noise that nobody made for it."""
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.normal(2.0, 0.1, 1200), rng.normal(0.2, 0.01, 150)])
    return any([detector.update(float(value)) is not None for value in values][1200:])


@pytest.mark.parametrize("detector", OF_FALLS, ids=lambda d: repr(d)[:60])
def test_a_detector_that_finds_falls_is_taken_and_left_as_it_was(detector: Detector) -> None:
    before = repr(detector), detector.state_dict()
    Watch(Cusum(), falls=detector)
    assert (repr(detector), str(detector.state_dict())) == (before[0], str(before[1]))
    assert finds(detector)


@pytest.mark.parametrize("kind", RISES)
def test_a_detector_that_only_sees_rises_is_no_detector_of_falls(kind: type[Any]) -> None:
    assert not finds(kind())
    with pytest.raises(ValueError, match=rf"falls needs .* such as falling; {kind.__name__}\(\.\.\.\) did not"):
        flagship(falls=kind())


def test_a_detector_that_has_seen_much_is_looked_at_as_a_new_one() -> None:
    detector = Falling(Cusum(warmup=30))
    for _ in range(50):
        detector.update(0.001)
    Watch(Cusum(), falls=detector)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss": "mmd"}, r"what watches the loss \(detector\) must be a detector, such as Cusum\(\), got 'mmd'"),
        ({"loss": Cusum}, r"got the class Cusum: write Cusum\(\)"),
        ({"falls": True}, "falls must be a detector, .* got True"),
        ({"falls": Falling}, r"got the class Falling: write Falling\(\)"),
        ({"inputs": "mmd"}, r"inputs must be an Unlabelled, .* such as Unlabelled\(Mmd\(\)\), .* got 'mmd'"),
        ({"inputs": Mmd()}, "inputs must be an Unlabelled"),
        ({"inputs": Cusum()}, "inputs must be an Unlabelled"),
        ({"inputs": Unlabelled}, "inputs must be an Unlabelled"),
    ],
)
def test_what_cannot_watch_is_refused_at_once(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Watch(**{"loss": Cusum(), **settings})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"share": "nevr"}, "share must be one of never, always, auto, adapters, got 'nevr'"),
        ({"start": "auto "}, "start must be one of auto, ancestor, nearest, composed, got 'auto '"),
        ({"limit": 2.5}, r"a whole number of experts \(max_experts\), .* got 2\.5"),
    ],
)
def test_an_upbringing_of_nonsense_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Upbringing(Mlp(), Optimizer(), **settings)
