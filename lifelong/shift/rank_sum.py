"""The rank-sum test: whether one sample tends to lie above another, whatever their distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby


def rank_sum(reference: Sequence[float], latest: Sequence[float]) -> float:
    """How many standard deviations the ranks of the latest values lie above those expected; 0 where all are equal.

    The normal approximation with the correction for ties and for continuity; one-sided: only rises are positive.
    Raises ValueError for an empty sample. Source: Mann and Whitney 1947; ties: Lehmann 1975, Nonparametrics, 1.3.
    """
    if not reference or not latest:
        raise ValueError(f"A rank-sum test needs two samples, got {len(reference)} and {len(latest)} values.")
    few, many = len(latest), len(reference)
    both = sorted([(v, 0) for v in reference] + [(v, 1) for v in latest])
    count, place, ranks, ties = few + many, 0, 0.0, 0
    for _, group in groupby(both, key=lambda pair: pair[0]):
        marks = [mark for _, mark in group]
        ranks += sum(marks) * (place + (len(marks) + 1) / 2.0)
        place, ties = place + len(marks), ties + len(marks) ** 3 - len(marks)
    above = ranks - few * (few + 1) / 2.0 - few * many / 2.0
    variance = few * many / 12.0 * ((count + 1) - ties / (count * (count - 1)))
    return (above - 0.5) / math.sqrt(variance) if variance > 0.0 else 0.0
