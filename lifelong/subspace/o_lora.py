"""O-LoRA: each task adds a low-rank movement whose input directions are pushed away from those of earlier tasks.

Source: Wang et al. 2023, "Orthogonal Subspace Learning for Language Model Continual Learning", eq. 4-8. A task trains
A and B of W = W0 + B A; to the gradient of A comes that of lambda_1 sum |A_i A^T| over the A_i of all earlier tasks. As
a task ends its movement stays in the weight and its A is kept. This is a soft method: nothing is shut, and nothing
promised but that the penalty pulls overlaps towards zero. Meant for models that were trained before: its first task is
low-rank too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.subspace.cost import Form
from lifelong.subspace.factor import Projection
from lifelong.subspace.method import Site
from lifelong.subspace.use import Use


@dataclass(frozen=True, slots=True)
class OLora:
    """O-LoRA: low-rank updates with input directions that avoid each other (Wang et al. 2023).

    rank: of a task's movement; penalty: the paper's lambda_1; seed: of the first directions of each task. `begin` must
    be called with data of each task, the first included.
    """

    rank: int = 8
    penalty: float = 0.5
    seed: int = 0
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = True
    form: ClassVar[Form | None] = None

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, got {self.rank}.")
        if self.penalty < 0.0:
            raise ValueError(f"penalty must not be negative, got {self.penalty}.")

    def keeper(self, site: Site) -> OLoraKeeper:
        return OLoraKeeper(self, site)


class LowRank:
    """Movements B A with both factors trained; theta is A (G, K, D) and then B (G, O, K), as one row."""

    def __init__(self, first: Tensor, past: Tensor, penalty: float) -> None:
        self._first, self._past, self._penalty = first, past, penalty
        self.latest = first

    def start(self, anchor: Tensor) -> Tensor:
        first = self._first.to(anchor)
        groups, rank, _ = first.shape
        return torch.cat([first.flatten(), anchor.new_zeros(groups * anchor.shape[1] * rank)])[None]

    def pull(self, theta: Tensor, gradient: Tensor) -> Tensor:
        a, b = self._split(theta, gradient.shape[1])
        past = self._past.to(a)
        # The gradient of sum |A_i A^T| by A: signs of the overlaps, times the old directions.
        away = torch.sign(a @ past.transpose(1, 2)) @ past
        d_a = b.transpose(1, 2) @ gradient + self._penalty * away
        d_b = gradient @ a.transpose(1, 2)
        return torch.cat([d_a.flatten(), d_b.flatten()])[None]

    def movement(self, theta: Tensor, outputs: int) -> Tensor:
        a, b = self._split(theta, outputs)
        self.latest = a
        return b @ a

    def _split(self, theta: Tensor, outputs: int) -> tuple[Tensor, Tensor]:
        groups, rank, _ = self._first.shape
        count = self._first.numel()
        return theta[0, :count].view(self._first.shape), theta[0, count:].view(groups, outputs, rank)

    def describe(self) -> str:
        return f"rank {self._first.shape[1]}, pushed away from {self._past.shape[1]} directions"


class OLoraKeeper:
    """The input directions of all earlier tasks, and the factors of the task at hand."""

    def __init__(self, settings: OLora, site: Site) -> None:
        self._settings, self.size = settings, site.size
        self._past = torch.zeros(site.geometry.groups, 0, site.size)
        self._current: LowRank | None = None
        self._tasks = 0

    @property
    def rank(self) -> float:
        """Directions that new tasks are pushed away from; none of them is shut."""
        return float(min(self._past.shape[1], self.size))

    def see(self, use: Use) -> None:
        pass

    def feel(self, gradient: Tensor) -> None:
        pass

    def begin(self) -> None:
        generator = torch.Generator().manual_seed(self._settings.seed + 7919 * self._tasks)
        groups, _, size = self._past.shape
        # As LoRA begins: uniform directions, and outputs at zero, so that nothing moves yet.
        bound = (3.0 / size) ** 0.5
        first = (torch.rand(groups, self._settings.rank, size, generator=generator) * 2 - 1) * bound
        self._current = LowRank(first, self._past, self._settings.penalty)

    def consolidate(self, weight: Tensor) -> float:
        if self._current is not None:
            self._past = torch.cat([self._past, self._current.latest.detach().to(self._past)], dim=1)
            self._current = None
        self._tasks += 1
        return 0.0

    def projection(self) -> Projection:
        return Projection(coordinates=self._current)

    def state_dict(self) -> dict[str, Any]:
        return {"past": self._past, "tasks": self._tasks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._past, self._tasks = state["past"], state["tasks"]
