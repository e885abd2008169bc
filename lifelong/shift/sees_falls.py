"""Whether a detector sees falls, by showing it one: of most detectors, made for losses, only rises are shifts."""

from __future__ import annotations

import copy
from itertools import chain, repeat

from lifelong.shift.detector import Detector

SHORT, LONG = 120, 3000
"""Values of a plateau that a detector is shown before the fall: more than most learn from, or more than any should."""

FALLEN = 150
"""Values after the fall: a detector of slow drift counts some of them before it is sure."""

JITTER = (0.3, -0.8, 1.0, -0.4, 0.6, -1.0, 0.1, -0.6, 0.9, -0.1)
"""What values differ by, in hundredths of their level: no trend, and no two alike."""


def sees_falls(detector: Detector) -> bool:
    """Whether a copy of the detector, reset, alarms where values fall from 1 to 0.1 at once."""
    return any(_alarms(detector, plateau) for plateau in (SHORT, LONG))


def _alarms(detector: Detector, plateau: int) -> bool:
    probe = copy.deepcopy(detector)
    probe.reset()
    for at, level in enumerate(chain(repeat(1.0, plateau), repeat(0.1, FALLEN))):
        if probe.update(level * (1.0 + JITTER[at % len(JITTER)] / 100)) is not None and at >= plateau:
            return True
    return False
