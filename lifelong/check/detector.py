"""The laws of shift detectors: quiet in one world, quick in another, and the same after a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from lifelong.check.law import equal, holds, saved
from lifelong.shift.detector import Detector, Shift

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def check_detector(factory: Callable[[], Detector], scale_free: bool = False) -> None:
    """Hold detectors that `factory` makes to their laws; `scale_free`: the values' unit must not matter.

    Values are of level 1 and deviation 0.1, like a loss. A detector that has the settings `warmup` (its grace) or
    `cooldown` is held to them: let the factory set a cool-down to have it seen. Raises: LawBroken.
    """
    for seed in range(3):
        alarms = _alarms(factory(), _values(seed, 2000))
        equal(f"no alarm on 2,000 values of one world (seed {seed})", [], [at for at, _ in alarms])
        calm = _values(seed, 300)
        jump = _values(seed + 10, 100) + 1.0
        alarms = _alarms(factory(), np.concatenate([calm, jump]))
        delays = [at - 299 for at, _ in alarms]
        found = bool(delays) and 1 <= delays[0] <= 50
        holds("a jump of 10 deviations is found within 50 values", "a delay of 1 to 50", delays[:1], found)
        shift = alarms[0][1]
        near = abs(shift.onset - delays[0]) <= 10
        holds("the onset points to where the jump began", f"about {delays[0]}", shift.onset, near)
        holds("an alarm's statistic exceeds its threshold", True, shift, shift.statistic >= shift.threshold)
        fall = _alarms(factory(), np.concatenate([calm, calm * 0.1]))
        equal("values that fall, which is learning, are no shift", [], [at for at, _ in fall])
        _silences(factory(), calm, jump)
        _after_rearm(factory(), calm, jump)
        _round_trip(factory, np.concatenate([calm, jump[:3]]), np.concatenate([jump, calm]))
        if scale_free:
            world = np.concatenate([calm, jump])
            ours, theirs = ([at for at, _ in _alarms(factory(), world * unit)][:1] for unit in (1.0, 1000.0))
            equal("a thousandfold unit changes no decision", ours, theirs)
    for constant in (0.0, 1e-3, 1.0):
        alarms = _alarms(factory(), np.full(2000, constant))
        equal(f"no alarm on a constant ({constant})", [], [at for at, _ in alarms])


def _values(seed: int, count: int) -> Values:
    return np.random.default_rng(seed).normal(1.0, 0.1, count)


def _alarms(detector: Detector, values: Values) -> list[tuple[int, Shift]]:
    """Position and news of every alarm; after an alarm the detector is told that another world begins."""
    found = []
    for at, value in enumerate(values):
        shift = detector.update(float(value))
        if shift is not None:
            found.append((at, shift))
            detector.reset()
    return found


def _silences(detector: Detector, calm: Values, jump: Values) -> None:
    """Grace and cool-down, where the detector says how long they are."""
    grace = int(getattr(detector, "warmup", 0))
    values = np.concatenate([np.resize(calm, grace - grace // 2), np.resize(jump, grace // 2)])
    early = [at for at, value in enumerate(values) if detector.update(float(value)) is not None]
    equal(f"no alarm in the grace of {grace} values, whatever comes", [], early)
    detector.reset()
    if any(detector.update(float(value)) is not None for value in [*calm, *jump]):
        cooldown = int(getattr(detector, "cooldown", 0))
        detector.rearm()
        values = np.resize(jump, cooldown)
        early = [at for at, value in enumerate(values) if detector.update(float(value)) is not None]
        equal(f"no alarm in the {cooldown} values of cool-down after rearm, even if the jump goes on", [], early)


def _after_rearm(detector: Detector, calm: Values, jump: Values) -> None:
    for value in [*calm, *jump]:
        if detector.update(float(value)) is not None:
            break
    detector.rearm()
    silent = all(detector.update(float(value)) is None for value in calm)
    holds("after rearm the old world is no shift", "no alarm", "an alarm", silent)


def _round_trip(factory: Callable[[], Detector], past: Values, future: Values) -> None:
    detector, twin, fresh, used = factory(), factory(), factory(), factory()
    for value in past[:-2]:
        detector.update(float(value))
        used.update(float(value))
    twin.load_state_dict(saved(detector))
    used.reset()
    for name, one, other in (
        ("a detector with the state goes on alike", detector, twin),
        ("a detector that was reset is like a new one", fresh, used),
    ):
        for value in future:
            wanted, seen = one.update(float(value)), other.update(float(value))
            equal(name, (wanted, one.statistic), (seen, other.statistic))
