"""How unsure the model is of its answers, against how unsure it was in the reference.

Shapes: B rows of C logits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lifelong.shift.unlabelled.gathering import Gathering
from lifelong.shift.unlabelled.measure import Sight
from lifelong.shift.unlabelled.standard import flat

_LEAST = 1e-3
"""The least deviation, as a share of the largest entropy: a model that is sure of everything is not strange."""

_FOLLOWED = 2.0
"""Standard errors that a rise counts for at most where the reference follows: a shift must not become normal."""


class _Fitted(NamedTuple):
    rows: int
    mean: float
    variance: float


@dataclass(slots=True, eq=False)
class Entropy:
    """Mean entropy of the predicted classes, in standard errors above the reference: sees what the model is unsure of.

    It looks at outputs: logits of classes, or one logit of two. memory: batches over which the reference follows a
    model that learns, because its entropy falls by more than a shift lifts it; null for a model that does not learn,
    with which the reference is frozen and slow drift is seen. grace: batches that the reference is first made of. rows:
    of these that are kept at most.

    Only a rise counts, so it sees the world change away from what the model knows. What it cannot see: the way back to
    it; a change between two worlds that the model knows equally well or not at all; one that leaves the model as sure
    as before, or makes it surer, however wrong it is: a network that has learned handwritten digits is surer of them
    lying on their side; a change of labels; with `memory`, slow drift. Costs next to nothing. Where outputs are not
    logits of classes its values say nothing.
    Source: Hendrycks and Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution Examples (2017), with
    the entropy in the place of the largest probability.
    """

    memory: int | None = 30
    grace: int = 20
    rows: int = 4096
    _gathering: Gathering = field(init=False, repr=False)
    _fitted: _Fitted | None = field(default=None, init=False, repr=False)
    _outputs: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.memory is not None and self.memory < 2:
            raise ValueError(f"Entropy needs memory >= 2 (batches), or null for none, got memory={self.memory}.")
        self._gathering = Gathering(self.grace, self.rows)

    @property
    def sight(self) -> Sight:
        return "outputs"

    def observe(self, rows: Tensor) -> float | None:
        logits = flat(rows)
        if self._fitted is None:
            if logits.shape[1] != self._outputs:
                self._gathering.reset()
                self._outputs = logits.shape[1]
            gathered = self._gathering.take(entropy(logits)[:, None])
            self._fitted = None if gathered is None else _fit(gathered[:, 0], self._outputs)
            return None
        fitted = self._fitted
        if logits.shape[1] != self._outputs:
            return math.inf
        away = entropy(logits) - fitted.mean
        gap, square = torch.stack([away.mean(), away.square().mean()]).tolist()
        if not math.isfinite(square):
            return math.inf
        error = math.sqrt(fitted.variance * (1.0 / len(rows) + 1.0 / fitted.rows))
        if self.memory is not None:
            mean = fitted.mean + min(gap, _FOLLOWED * error) / self.memory
            variance = fitted.variance + (min(square, _FOLLOWED**2 * fitted.variance) - fitted.variance) / self.memory
            self._fitted = fitted._replace(mean=mean, variance=max(variance, _least(self._outputs)))
        return float(gap / error)

    def reset(self) -> None:
        self._gathering.reset()
        self._fitted, self._outputs = None, 0

    def state_dict(self) -> dict[str, Any]:
        fitted = None if self._fitted is None else tuple(self._fitted)
        return {"gathering": self._gathering.state_dict(), "fitted": fitted, "outputs": self._outputs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._gathering.load_state_dict(state["gathering"])
        self._fitted = None if state["fitted"] is None else _Fitted(*state["fitted"])
        self._outputs = state["outputs"]


def entropy(logits_BC: Tensor) -> Tensor:
    """(B, C) logits -> (B,) entropies in nats; a single logit is the one of two classes."""
    if logits_BC.shape[1] == 1:
        logits_BC = torch.cat([logits_BC, torch.zeros_like(logits_BC)], dim=1)
    logs = logits_BC.log_softmax(1)
    return -(logs.exp() * logs).sum(1)


def _fit(entropies_R: Tensor, outputs: int) -> _Fitted:
    exact = entropies_R.cpu().double()
    return _Fitted(len(exact), float(exact.mean()), max(float(exact.var()), _least(outputs)))


def _least(outputs: int) -> float:
    """The least variance of entropies."""
    return (_LEAST * math.log(max(outputs, 2))) ** 2
