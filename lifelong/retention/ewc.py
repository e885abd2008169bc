"""Elastic weight consolidation (Kirkpatrick et al. 2017; online: Schwarz et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.objective import Classification, MultiLabel, Regression
from lifelong.retention.method import Keeper, Silent, Stored, positive, whole
from lifelong.retention.model import Model, detached
from lifelong.retention.needs import Needs
from lifelong.retention.per_sample import importance
from lifelong.retention.quadratic import Quadratic

Form = Literal["separate", "online"]
Labels = Literal["model", "data"]


@dataclass(frozen=True, slots=True)
class Ewc:
    """Holds each parameter where it was, by how much the old tasks' likelihood depends on it (Kirkpatrick et al. 2017).

    The penalty is strength / 2 * sum_i F_i (p_i - p*_i)^2 (eq. 3). F is the diagonal of the Fisher information: the
    mean over `samples` (None: all that are shown) of squared per-sample gradients of the log-likelihood, so that it
    does not depend on the batch size. labels: of whom these are; "model" draws them from what the network answers,
    which is the Fisher information, "data" takes the true ones (the "empirical" one, which vanishes where the network
    is right). form: "online" keeps a single penalty about the latest values, in which `decay` (0..1, gamma) is left of
    the older importance (Schwarz et al. 2018, eq. 9); "separate" one for each task about what it ended with (their sum
    is kept, at the cost of one). A task ends where its own gradient and the older penalties hold each other; separate
    penalties leave the former out, and over ten tasks lose the latest ones (Huszar 2018; benchmarks/RESULTS.md).
    """

    strength: float = 30.0
    form: Form = "online"
    decay: float = 1.0
    samples: int | None = 1000
    labels: Labels = "model"

    def __post_init__(self) -> None:
        if not positive(self.strength):
            raise ValueError(f"strength must be positive, got {self.strength}.")
        if self.form not in get_args(Form) or self.labels not in get_args(Labels):
            raise ValueError(
                f"form must be one of {', '.join(get_args(Form))} and labels one of {', '.join(get_args(Labels))}, got "
                f"{self.form!r} and {self.labels!r}."
            )
        if not 0.0 < self.decay <= 1.0 or (self.decay < 1.0 and self.form == "separate"):
            raise ValueError(f"decay must be in (0, 1], and 1 where form is separate, got {self.decay}.")
        if self.samples is not None and not whole(self.samples):
            raise ValueError(f"samples must be a whole number of at least 1, or null for all, got {self.samples}.")

    @property
    def needs(self) -> Needs:
        return Needs(ends="found")

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model, seed)


class _Keeper(Silent):
    def __init__(self, settings: Ewc, model: Model, seed: int) -> None:
        self._settings, self._model = settings, model
        self._random = torch.Generator().manual_seed(seed)
        self.penalty = Quadratic()

    def bend(self) -> None:
        self.penalty.pull(self._model.named(), self._settings.strength)

    def curvature(self) -> tuple[dict[str, Tensor], float]:
        return self.penalty.weights, self._settings.strength

    def consolidate(self, batches: Sequence[Batch]) -> None:
        settings, model = self._settings, self._model
        fisher = importance(
            model, batches, lambda batch: batch.contract.objective.loss, torch.square, self._targets, settings.samples
        )
        if settings.form == "online":
            self.penalty.move(fisher, detached(model.named()), settings.decay)
        else:
            self.penalty.add(fisher, detached(model.named()))

    def _targets(self, batch: Batch, outputs: Tensor) -> Tensor:
        """Targets of the samples: as they are, or drawn from the likelihood that the objective stands for."""
        if self._settings.labels == "data":
            return batch.targets
        match batch.contract.objective:
            case Classification():
                chances = outputs.softmax(-1).cpu()
                return torch.multinomial(chances, 1, generator=self._random).flatten().to(outputs.device)
            case MultiLabel():
                drawn = torch.rand(outputs.shape, generator=self._random).to(outputs.device)
                return (drawn < outputs.sigmoid()).to(outputs.dtype)
            case Regression():
                return outputs + torch.randn(outputs.shape, generator=self._random).to(outputs.device)
            case _:
                # Of an objective that is not ours nobody knows which likelihood it stands for.
                return batch.targets

    def stored(self) -> Stored:
        return Stored(0, self.penalty.bytes())

    def state_dict(self) -> dict[str, Any]:
        return {"penalty": self.penalty.state_dict(), "random": self._random.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.penalty.load_state_dict(state["penalty"])
        self._random.set_state(state["random"].cpu())
