"""Detectors made of detectors: votes, and alarms that a test confirms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lifelong.shift.confirmed import Confirmed
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Shift
from lifelong.shift.rank_sum import rank_sum
from lifelong.shift.vote import Vote


class Scripted:
    """Fires at the steps it is told to, with the onsets it is told; counts what is done to it."""

    def __init__(self, alarms: dict[int, int] | None = None) -> None:
        self.alarms, self.step = alarms or {}, 0
        self.rearmed = self.resets = 0
        self.statistic, self.threshold = 0.0, 0.5

    def update(self, value: float) -> Shift | None:
        self.step += 1
        onset = self.alarms.get(self.step)
        return None if onset is None else Shift(onset, 1.0, 0.5)

    def rearm(self) -> None:
        self.rearmed += 1

    def reset(self) -> None:
        self.resets += 1

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]


def test_a_vote_needs_enough_alarms_close_to_each_other() -> None:
    # Steps 3 and 6 are three apart: within 4 values of each other, not within 3.
    for within, wanted in ((4, [6]), (3, [])):
        vote = Vote((Scripted({3: 1}), Scripted({6: 2}), Scripted()), needed=2, within=within)
        assert [step for step in range(1, 21) if vote.update(0.0) is not None][:1] == wanted


def test_the_onset_of_a_vote_is_the_median_seen_from_now() -> None:
    # At step 10: one points to 4 values ago two steps earlier, 6 from now; the others to 5 and 40.
    vote = Vote((Scripted({8: 4}), Scripted({10: 5}), Scripted({10: 40})), needed=3, within=5)
    shifts = [vote.update(0.0) for _ in range(10)]
    assert shifts[:9] == [None] * 9
    assert shifts[9] == Shift(6, 3.0, 2.5)
    two = Vote((Scripted({8: 4}), Scripted({10: 5})), needed=2, within=5)
    assert [two.update(0.0) for _ in range(10)][9] == Shift(5, 2.0, 1.5)


def test_an_alarm_that_nobody_joins_is_dismissed() -> None:
    lonely = Scripted({3: 1, 4: 1, 5: 1})
    vote = Vote((lonely, Scripted({9: 1})), needed=2, within=4)
    assert [vote.update(0.0) for _ in range(12)] == [None] * 12
    assert lonely.rearmed == 1


def test_one_vote_is_any_and_a_state_holds_those_of_all() -> None:
    vote = Vote((Scripted({4: 2}), Scripted()), needed=1)
    assert [vote.update(0.0) for _ in range(3)] == [None] * 3
    twin = Vote((Scripted({4: 2}), Scripted()), needed=1)
    twin.load_state_dict(vote.state_dict())
    assert vote.update(0.0) == twin.update(0.0) == Shift(2, 1.0, 0.5)


@pytest.mark.parametrize("seed", range(6))
def test_rank_sums_are_scipys(seed: int) -> None:
    from scipy.stats import mannwhitneyu, norm

    rng = np.random.default_rng(seed)
    reference, latest = rng.normal(0.0, 1.0, 40), rng.normal(0.5, 1.0, 8)
    if seed % 2:
        # Rounded to few values: ties.
        reference, latest = reference.round(), latest.round()
    found = rank_sum(reference.tolist(), latest.tolist())
    p = mannwhitneyu(latest, reference, alternative="greater", method="asymptotic").pvalue
    assert norm.sf(found) == pytest.approx(p, rel=1e-9)


def test_rank_sums_of_equal_values_and_of_none() -> None:
    assert rank_sum([1.0] * 10, [1.0] * 5) == 0.0
    with pytest.raises(ValueError, match="got 0 and 5"):
        rank_sum([], [1.0] * 5)


def test_an_alarm_is_tested_when_enough_values_have_come() -> None:
    rng = np.random.default_rng(0)
    detector = Confirmed(Scripted({53: 3}), least=8)
    shifts = [detector.update(float(v)) for v in rng.normal(1.0, 0.1, 50)]
    shifts += [detector.update(float(v)) for v in rng.normal(2.0, 0.1, 10)]
    first = next(i for i, shift in enumerate(shifts) if shift is not None)
    # Three values lie since the onset with the alarm at 53; the eighth is the 58th.
    assert first == 57
    assert shifts[first] == Shift(8, rank_sum(range(50), range(50, 58)), detector.threshold)


def test_an_alarm_that_the_values_do_not_bear_out_is_dropped() -> None:
    trigger = Scripted({53: 3, 75: 3})
    detector = Confirmed(trigger, least=8)
    values = np.random.default_rng(0).normal(1.0, 0.1, 100)
    assert [detector.update(float(v)) for v in values] == [None] * 100
    assert trigger.rearmed == 2
    assert detector.statistic == 0.0


def test_a_nervous_trigger_is_calmed() -> None:
    alone = confirmed = 0
    for seed in range(10):
        values = np.random.default_rng(seed).normal(1.0, 0.15, 3000)
        for detector in (nervous := Cusum(threshold=6.0, allowance=0.5, memory=100), Confirmed(Cusum(6.0, 0.5))):
            for value in values:
                if detector.update(float(value)) is not None:
                    alone, confirmed = alone + (detector is nervous), confirmed + (detector is not nervous)
                    detector.reset()
    assert alone >= 10
    assert confirmed <= alone / 4
