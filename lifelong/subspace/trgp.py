"""Trust-region gradient projection: what related tasks have learned is scaled for the new one, and kept for the old.

Source: Lin, Yang, Fan and Zhang 2022, "TRGP: Trust Region Gradient Projection for Continual Learning", eq. 5-10. The
weight itself moves as GPM permits. As a task begins, each layer picks the old tasks whose inputs its gradient lies in
most (at most two, `|G U_j| > threshold |G|`), and sees W + sum_j W U_j (S_j - I) U_j^T, with S_j trained from I. As it
ends, that difference is taken out of the weight again and kept: judging needs to be told the task. Two departures: S_j
and the free part of W are coordinates, so that any optimizer may train them; and a task's basis is the best one within
what is protected for all, where the paper picks from old and new directions. Promise: with its correction on, a task's
outputs for x in the span of its basis never change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.subspace.basis import fresh_directions
from lifelong.subspace.corrections import Correction
from lifelong.subspace.cost import Form
from lifelong.subspace.factor import Projection, free_columns
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Site
from lifelong.subspace.moments import Moments
from lifelong.subspace.use import Use


@dataclass(frozen=True, slots=True)
class Trgp:
    """TRGP: related old subspaces are reused, scaled for each task, which must be told at judging (Lin et al. 2022).

    threshold: share of a layer's gradient that must lie in an old task's subspace (paper: .5, and .2 for permuted
    MNIST); tasks: most old tasks that one layer trusts; gpm: what is kept. `begin(batches, loss=...)` must be called
    as each task but the first begins, and `with protection.as_of(task)` gives the weights of an earlier one.
    """

    threshold: float = 0.5
    tasks: int = 2
    gpm: Gpm = Gpm()
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = True
    form: ClassVar[Form | None] = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"threshold must be in [0, 1], got {self.threshold}.")
        if self.tasks < 1:
            raise ValueError(f"tasks must be at least 1, got {self.tasks}.")

    def keeper(self, site: Site) -> TrgpKeeper:
        return TrgpKeeper(self, site)


class TrustRegion:
    """Movements A V^T + sum_j W U_j Q_j U_j^T, with Q = S - I; theta is A (G, O, K) and each Q_j, as one row."""

    def __init__(self, free: Tensor, regions: list[Tensor], scales: list[Tensor] | None = None) -> None:
        self._free, self._regions = free, regions
        self.scales = [u.new_zeros(len(u), u.shape[2], u.shape[2]) for u in regions] if scales is None else scales
        self._images: list[Tensor] = []

    def start(self, anchor: Tensor) -> Tensor:
        # The anchor's images of old bases stand still: the free part of the weight does not reach them.
        self._images = [anchor @ u.to(anchor) for u in self._regions]
        free = anchor.new_zeros(len(anchor) * anchor.shape[1] * self._free.shape[2])
        return torch.cat([free, *(scale.to(anchor).flatten() for scale in self.scales)])[None]

    def pull(self, theta: Tensor, gradient: Tensor) -> Tensor:
        parts = [gradient @ self._free.to(gradient)]
        for image, region in zip(self._images, self._regions, strict=True):
            parts.append(image.transpose(1, 2) @ (gradient @ region.to(gradient)))
        return torch.cat([part.flatten() for part in parts])[None]

    def movement(self, theta: Tensor, outputs: int) -> Tensor:
        shapes = [(len(self._free), outputs, self._free.shape[2]), *(tuple(scale.shape) for scale in self.scales)]
        parts = torch.split(theta[0], [a * b * c for a, b, c in shapes])
        free, *self.scales = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        moved: Tensor = free @ self._free.to(theta).transpose(1, 2)
        for image, scale, region in zip(self._images, self.scales, self._regions, strict=True):
            moved = moved + image @ scale @ region.to(theta).transpose(1, 2)
        return moved

    def correction(self) -> Correction | None:
        """All but the free part, as the weight has it now; None where the weight has none of it."""
        if not self._images:
            return None
        left = [image @ scale.to(image) for image, scale in zip(self._images, self.scales, strict=True)]
        return Correction(torch.cat(left, dim=2), torch.cat(self._regions, dim=2).to(left[0]))

    def undressed(self) -> None:
        """The correction was taken out of the weight; the scales are kept for when they go on."""
        self.scales = [scale.clone() for scale in self.scales]
        self._images = []

    def describe(self) -> str:
        widths = " and ".join(str(u.shape[2]) for u in self._regions)
        return f"{self._free.shape[2]} coordinates, {widths} trusted directions"


class TrgpKeeper:
    """The bases of GPM, one basis for each task within them, and the trust region of the task at hand."""

    def __init__(self, settings: Trgp, site: Site) -> None:
        self._settings, self.size = settings, site.size
        self._kept = settings.gpm.keeper(site)
        self._regions: list[Tensor] = []  # (G, D, K) of each task
        self._chosen: list[int] = []
        self._current: TrustRegion | None = None
        self._worn: Correction | None = None
        self._gradient: Tensor | None = None

    @property
    def rank(self) -> float:
        return self._kept.rank

    def see(self, use: Use) -> None:
        self._kept.see(use)

    def feel(self, gradient: Tensor) -> None:
        self._gradient = gradient if self._gradient is None else self._gradient + gradient

    def begin(self) -> None:
        """Choose the old tasks to trust, by the gradient of the first data."""
        gradient, self._gradient = self._gradient, None
        # What was looked at to begin with is no sample of the task that is kept at its end.
        self._kept.forget_seen()
        self._chosen, self._current = [], None
        if not self._regions:
            return
        if gradient is None:
            raise ValueError(
                "Trgp chooses whom to trust by the gradient of a task's first data: call "
                "protection.begin(batches, loss=...) with a function that gives the loss of a batch."
            )
        whole = float(gradient.norm())
        shares = [float((gradient @ u.to(gradient)).norm()) / max(whole, 1e-30) for u in self._regions]
        best = sorted(range(len(shares)), key=lambda j: -shares[j])[: self._settings.tasks]
        self._choose([j for j in best if shares[j] > self._settings.threshold], None)

    def _choose(self, tasks: list[int], scales: list[Tensor] | None) -> None:
        self._chosen = tasks
        right = self._kept.projection().right
        if tasks and right is not None:
            self._current = TrustRegion(free_columns(right), [self._regions[j] for j in tasks], scales)

    def consolidate(self, weight: Tensor) -> float:
        seen, energy = self._kept.seen(), self._kept.energy()
        held = self._kept.consolidate(weight)
        if seen:
            pairs = zip(self._kept.directions(), seen, strict=True)
            bases = [_within(protected, moments, energy) for protected, moments in pairs]
            width = max(basis.shape[1] for basis in bases)
            self._regions.append(torch.stack([F.pad(basis, (0, width - basis.shape[1])) for basis in bases]))
        self._worn, self._current, self._chosen = self.worn(), None, []
        return held

    def projection(self) -> Projection:
        """With the coordinates of the trust region after a `begin` that found one; else as GPM has it."""
        return replace(self._kept.projection(), coordinates=self._current)

    def worn(self) -> Correction | None:
        live = None if self._current is None else self._current.correction()
        return self._worn if live is None else live

    def undressed(self) -> None:
        self._worn = None
        if self._current is not None:
            self._current.undressed()

    def state_dict(self) -> dict[str, Any]:
        worn = self.worn()
        return {
            "kept": self._kept.state_dict(),
            "regions": self._regions,
            "chosen": self._chosen,
            "scales": None if self._current is None else self._current.scales,
            "worn": None if worn is None else (worn.left, worn.right),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._kept.load_state_dict(state["kept"])
        self._regions, self._current = list(state["regions"]), None
        self._choose(state["chosen"], state["scales"])
        self._worn = None if state["worn"] is None else Correction(*state["worn"])


def _within(protected: Tensor, seen: Moments, energy: float) -> Tensor:
    """(D, K) the fewest directions, of those that are protected, that hold `energy` of what was seen, or all of it."""
    source = seen.factor if seen.factor is not None else seen.covariance
    assert source is not None
    basis = protected.to(source.device, torch.float64)
    along = source.double() @ basis
    if seen.factor is not None:
        inside = Moments(seen.total, factor=along)
    else:
        inside = Moments(seen.total, covariance=basis.T @ along)
    if seen.total == 0.0 or basis.shape[1] == 0:
        return basis[:, :0].float()
    return (basis @ fresh_directions(basis.new_zeros(basis.shape[1], 0), inside, energy)[0]).float()
