"""Where a rise began, among the latest values: two levels fitted by least squares."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_RUN = 64
"""Values that an onset is looked for in; a slower drift than that has none."""


def since_rise(scores: Sequence[float]) -> int:
    """How many of the latest scores, all since a statistic left zero, belong to the new world.

    Chance may have lifted the statistic before the shift did. Two levels are fitted to the scores by least squares,
    and the first is taken off where it is less than half the second.
    """
    count, total, low_sum = len(scores), sum(scores), 0.0
    chance, gain = 0, 0.0
    for split in range(1, count):
        low_sum += scores[split - 1]
        low, high = low_sum / split, (total - low_sum) / (count - split)
        explained = split * (count - split) * (high - low) ** 2
        if low < 0.5 * high and explained > gain:
            chance, gain = split, explained
    return count - chance
