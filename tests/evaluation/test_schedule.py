"""When a learner is judged."""

from __future__ import annotations

import pytest

from lifelong.evaluation.schedule import Schedule


def test_looks_are_evenly_spaced_and_segment_ends_are_marked() -> None:
    looks = Schedule(within=4).looks([100, 50])
    assert looks == {
        20: False, 40: False, 60: False, 80: False, 100: True,
        110: False, 120: False, 130: False, 140: False, 150: True,
    }  # fmt: skip
    assert list(looks) == sorted(looks)


def test_no_looks_within_leaves_the_ends() -> None:
    assert Schedule(within=0).looks([7, 3]) == {7: True, 10: True}


@pytest.mark.parametrize("steps", range(1, 12))
def test_short_segments_keep_every_end_and_never_look_outside(steps: int) -> None:
    looks = Schedule(within=5).looks([steps] * 3)
    assert [step for step, at_end in looks.items() if at_end] == [steps, 2 * steps, 3 * steps]
    assert all(0 < step <= 3 * steps for step in looks)
    assert list(looks) == sorted(looks)
    assert sum(not at_end for at_end in looks.values()) == 3 * min(5, steps - 1)


def test_wrong_numbers_are_told() -> None:
    with pytest.raises(ValueError, match="within"):
        Schedule(within=-1)
    with pytest.raises(ValueError, match="within_samples"):
        Schedule(within_samples=0)
    with pytest.raises(ValueError, match="batch_size"):
        Schedule(batch_size=0)
    with pytest.raises(ValueError, match="Segment 1 has 0 steps"):
        Schedule().looks([5, 0])
