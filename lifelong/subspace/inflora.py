"""InfLoRA: each task learns in a few directions of its own inputs, chosen where they disturb no earlier task.

Source: Liang and Li 2024, "InfLoRA: Interference-Free Low-Rank Adaptation for Continual Learning", eq. 4-10. As a task
begins, its inputs are taken without their protected part; their `rank` leading directions, divided by sqrt(3), are the
frozen A_t of W = W0 + B_t A_t, and only B_t is trained, from zero. As it ends, its inputs are protected (DualGPM). The
paper measures energy by the squares of the covariance's eigenvalues; here it is GPM's, which is stricter. Promise: for
x in the protected span, W x never changes, with any optimizer and any weight decay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.subspace.basis import fresh_directions
from lifelong.subspace.cost import Form
from lifelong.subspace.factor import Projection, Span
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Site
from lifelong.subspace.sampling import Sample
from lifelong.subspace.use import Use


@dataclass(frozen=True, slots=True)
class InfLora:
    """InfLoRA: each task learns in a few free directions of its own inputs (Liang & Li 2024).

    rank: directions that a task may learn in, per layer (paper: 10); gpm: what is kept.
    """

    rank: int = 10
    gpm: Gpm = Gpm()
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = True
    form: ClassVar[Form | None] = None

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, got {self.rank}.")

    def keeper(self, site: Site) -> InfLoraKeeper:
        return InfLoraKeeper(self, site)


class InfLoraKeeper:
    """The protected bases of GPM, and the directions in which the task at hand may learn."""

    def __init__(self, settings: InfLora, site: Site) -> None:
        self._settings, self._site, self.size = settings, site, site.size
        self._kept = settings.gpm.keeper(site)
        self._ahead = Sample(settings.gpm.samples, site.bias is not None)
        self._columns: Tensor | None = None

    @property
    def rank(self) -> float:
        return self._kept.rank

    def see(self, use: Use) -> None:
        self._kept.see(use)
        self._ahead.add(use)

    def feel(self, gradient: Tensor) -> None:
        pass

    def begin(self) -> None:
        if self._ahead.is_empty:
            return
        chosen = []
        for protected, seen in zip(self._kept.directions(), self._ahead.moments(), strict=True):
            source = seen.factor if seen.factor is not None else seen.covariance
            assert source is not None
            fresh, _, _ = fresh_directions(protected.to(source.device, torch.float64), seen, 1.0)
            chosen.append(fresh[:, : self._settings.rank].float() / 3.0**0.5)
        width = max(columns.shape[1] for columns in chosen)
        self._columns = torch.stack([torch.nn.functional.pad(c, (0, width - c.shape[1])) for c in chosen])
        self._ahead = Sample(self._settings.gpm.samples, self._site.bias is not None)
        # What was looked at to begin with is no sample of the task that is kept at its end.
        self._kept.forget_seen()

    def consolidate(self, weight: Tensor) -> float:
        self._columns = None
        self._ahead = Sample(self._settings.gpm.samples, self._site.bias is not None)
        return self._kept.consolidate(weight)

    def projection(self) -> Projection:
        """Coordinates after `begin`; without it, all that is free, as GPM has it."""
        inside = None if self._columns is None else Span(self._columns)
        return replace(self._kept.projection(), coordinates=inside)

    def state_dict(self) -> dict[str, Any]:
        return {"kept": self._kept.state_dict(), "columns": self._columns}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._kept.load_state_dict(state["kept"])
        self._columns = state["columns"]
