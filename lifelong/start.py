"""Where a new expert starts: from the ancestor of all, from the expert nearest to its world, or between several.

Weights of networks that share an ancestor can be averaged (Wortsman et al. 2022, Model soups; Ilharco et al. 2023, Task
arithmetic): the average of the bodies here is the ancestor plus the weighted sum of what each expert learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from lifelong.expert import Expert

Start = Literal["auto", "ancestor", "nearest", "composed"]
"""auto: from the nearest expert where it explains most of the evidence, else from the ancestor."""

PARTLY = 0.5
"""Up to this unexplained share an expert that does not know a world is a better start for it than the ancestor."""


@torch.no_grad()
def start_from(start: Start, newcomer: Expert, verdicts: Sequence[tuple[Expert, float]]) -> Expert | None:
    """Give `newcomer`, alone on a new foundation, its first weights; returns whom it took them from (None: nobody's).

    verdicts: experts and the share (0..1) of the evidence that each leaves unexplained, best first.
    """
    if start == "ancestor" or not verdicts:
        return None
    nearest, unexplained = verdicts[0]
    if start == "composed":
        _compose(newcomer, verdicts)
        return nearest
    if start == "auto" and unexplained > PARTLY:
        return None
    newcomer.foundation.assembly.inherit(nearest.foundation.assembly, nearest.lane, newcomer.lane)
    return nearest


def _compose(newcomer: Expert, verdicts: Sequence[tuple[Expert, float]]) -> None:
    """The mean of the experts' bodies, each weighted by the square of what it explains; heads stay out of it."""
    shares = torch.tensor([max(0.0, 1.0 - unexplained) ** 2 for _, unexplained in verdicts])
    if float(shares.sum()) == 0.0:
        return
    bodies = [expert.foundation.assembly for expert, _ in verdicts]
    mine = newcomer.foundation.assembly
    for shape in {shape for body in bodies for shape in body.input_shapes}:
        mine.take_in(shape)
    born = dict(mine.state_dict())
    states = [dict(body.state_dict()) for body in bodies]
    for name, first in born.items():
        # Heads answer other questions, and what lanes have for themselves is told apart by place, not by owner.
        if name.startswith("heads.") or ".lanes." in name or ".adapters." in name or not first.is_floating_point():
            continue
        moved = [state[name] - first if name in state else torch.zeros_like(first) for state in states]
        first += sum(share / shares.sum() * step for share, step in zip(shares.tolist(), moved, strict=True))
