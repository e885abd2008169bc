"""How long a new expert is blind: until its model can be asked, and its detector knows what is normal."""

from __future__ import annotations

import copy

from lifelong.acting.signals import Signal, Steady
from lifelong.acting.stay import some
from lifelong.acting.world_model import YOUNG
from lifelong.shift.detector import Detector

NORMAL, FOREIGN = 1.5, 5.0
"""What `ModelError` says of a world that is known, about, and of one that is clearly another."""
JITTER = (0.3, -0.8, 1.0, -0.4, 0.6, -1.0, 0.1, -0.6, 0.9, -0.1)
"""What values differ by, in hundredths: no trend, and no two alike."""
MOST = 4096
"""Values of its world after which a detector that is blind still is taken to be so for good."""
SOON = 64
"""Values of another world within which it must be found."""


def blind_steps(look: int, lanes: int, signal: Signal, detector: Detector | None) -> int | None:
    """Environment steps of a new expert after which a clear change of its world is noticed, at the earliest.

    None: there is no detector, or it is not known how many values it is shown.
    """
    if detector is None or not isinstance(signal, Steady):
        return None
    block = lanes * -(-look // lanes)
    values = normal_values(detector)
    if values is None:
        return None
    chosen = some(block, lanes)
    a_block = signal.count(block if isinstance(chosen, slice) else len(chosen))
    return block * (-(-YOUNG // block) + -(-values // a_block))


def normal_values(detector: Detector) -> int | None:
    """Values of a world that does not change which a detector must have seen before it finds that it did, at least.

    Found by trying: a copy is shown so many values and then larger ones. None: it finds nothing.
    """
    found = next((n for n in (1 << k for k in range(MOST.bit_length())) if _finds(detector, n)), None)
    if found is None:
        return None
    below, enough = found // 2, found
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (below, middle) if _finds(detector, middle) else (middle, enough)
    return enough


def _finds(detector: Detector, normal: int) -> bool:
    probe = copy.deepcopy(detector)
    probe.reset()
    values = [NORMAL] * normal + [FOREIGN] * SOON
    alarms = [probe.update(value * (1.0 + JITTER[k % len(JITTER)] / 100)) for k, value in enumerate(values)]
    return any(alarm is not None for alarm in alarms[normal:])
