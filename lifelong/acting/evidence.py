"""What speaks for another world: which of the latest transitions, and from which lanes.

Lanes need not change together: where a world changes with the next episode, some are in the new one long before others.
L lanes; transitions come lane by lane within a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lifelong.acting.encoding import Rows
from lifelong.acting.expert import ActingExpert
from lifelong.acting.world_model import WorldModel
from lifelong.interaction import Transitions

FOREIGN = 0.5
"""Hindrance (see `WorldModel.hindrance`) above which a world is another one; surprise by which worlds differ."""
ENOUGH = 192
"""Transitions that it takes to say whose world they come from."""
MIXED = 0.1
"""Share of the evidence from lanes that change one by one that may be the old world's."""
TOGETHER = 4
"""Looks in a row without a straggler after which there are none."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Transitions that may come from another world. bar: lanes that surprise the expert less are still in its own
    (None: all lanes are alike). starts: (N, D) first observations of the episodes that began meanwhile, encoded."""

    transitions: Transitions
    bar: float | None
    starts: Rows = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def spared(self) -> float:
        """How much of it may be the old world's all the same, where lanes change one by one."""
        return 0.0 if self.bar is None else MIXED

    @property
    def is_enough(self) -> bool:
        return len(self.transitions) >= ENOUGH


def gather(blocks: Sequence[Transitions], model: WorldModel, lanes: int) -> Evidence:
    """The evidence in the latest blocks, oldest first. The first one is left out: the world changed in it, so a part of
    it is the old one's."""
    if len(blocks) == 1:
        return Evidence(blocks[0].rows(slice(0, 0)), None)
    joined = Transitions.joined(blocks[1:])
    if not model.is_ready or lanes == 1:
        return Evidence(joined, None)
    surprise: Rows = model.surprise(model.see(joined)).reshape(-1, lanes)
    low, high = float(surprise.mean(0).min()), float(surprise.mean(0).max())
    if high - low <= FOREIGN:
        return Evidence(joined, None)
    bar = (low + high) / 2.0
    return Evidence(joined.rows(since_changed(surprise, bar).ravel()), bar)


def since_changed(surprise: Rows, bar: float) -> NDArray[np.bool_]:
    """(T, L) surprise of steps in lanes -> (T, L) bool: what came after a lane's own change.

    A lane's steps are taken by quarters, from the last one back as long as these surprise by more than the bar.
    """
    chosen = np.zeros(surprise.shape, dtype=bool)
    foreign = np.ones(surprise.shape[1], dtype=bool)
    for part in reversed(np.array_split(np.arange(len(surprise)), 4)):
        if len(part):
            foreign &= surprise[part].mean(0) > bar
            chosen[part] = foreign
    return chosen


def by_lane(model: WorldModel, transitions: Transitions, lanes: int) -> Rows:
    """(L,) mean surprise of the model in each lane."""
    surprise: Rows = model.surprise(model.see(transitions)).reshape(-1, lanes).mean(0)
    return surprise


class Stragglers:
    """Lanes that are still in the old world while a new expert learns the new one: not for its model to learn.

    before: the old world's expert. without: looks in a row in which there was none.
    """

    def __init__(self, before: ActingExpert, bar: float, without: int = 0) -> None:
        self.before, self.bar, self.without = before, bar, without

    @property
    def are_over(self) -> bool:
        return self.without >= TOGETHER

    def left_out(self, block: Transitions, model: WorldModel, lanes: int) -> Transitions | None:
        """The block without what the old expert's model foresees and the new one's does not; None: nothing is left."""
        known = by_lane(self.before.model, block, lanes)
        strange = known < self.bar
        if model.is_ready:
            strange &= by_lane(model, block, lanes) > known
        self.without = 0 if strange.any() else self.without + 1
        if strange.all():
            return None
        return _of_lanes(block, ~strange) if strange.any() else block


def _of_lanes(transitions: Transitions, chosen: NDArray[np.bool_]) -> Transitions:
    return transitions.rows(np.resize(chosen, len(transitions)))
