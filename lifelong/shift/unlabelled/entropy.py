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
from lifelong.shift.unlabelled.standard import flat, strangeness

_LEAST = 1e-3
"""The least deviation, as a share of the largest entropy: a model that is sure of everything is not strange."""


class _Fitted(NamedTuple):
    outputs: int
    rows: int
    mean: float
    deviation: float


@dataclass(slots=True, eq=False)
class Entropy:
    """Mean entropy of the predicted classes, in standard errors above the reference's: sees what the model is unsure of.

    It looks at outputs: logits of classes, or one logit of two. grace: batches that the reference is made of; it is
    frozen afterwards. rows: of these that are kept at most.

    What it cannot see: a change that leaves the model as sure as before, however wrong it is, and many networks are
    sure of what they have never seen; a change of labels; anything while the model still learns fast, because its
    entropy falls by more than a shift lifts it. Only a rise counts. Costs next to nothing. With outputs that are
    not logits of classes the values say nothing.
    Source: Hendrycks and Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution Examples (2017), with
    the entropy in the place of the largest probability.
    """

    grace: int = 20
    rows: int = 4096
    _gathering: Gathering = field(init=False, repr=False)
    _fitted: _Fitted | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._gathering = Gathering(self.grace, self.rows)

    @property
    def sight(self) -> Sight:
        return "outputs"

    def observe(self, rows: Tensor) -> float | None:
        logits = flat(rows)
        outputs = logits.shape[1]
        entropies = entropy(logits)
        if self._fitted is None:
            gathered = self._gathering.take(entropies[:, None])
            self._fitted = None if gathered is None else _fit(gathered[:, 0], outputs)
            return None
        fitted = self._fitted
        if outputs != fitted.outputs:
            return math.inf
        error = fitted.deviation * math.sqrt(1.0 / len(rows) + 1.0 / fitted.rows)
        return strangeness((entropies.mean() - fitted.mean) / error, logits)

    def reset(self) -> None:
        self._gathering.reset()
        self._fitted = None

    def state_dict(self) -> dict[str, Any]:
        fitted = None if self._fitted is None else tuple(self._fitted)
        return {"gathering": self._gathering.state_dict(), "fitted": fitted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._gathering.load_state_dict(state["gathering"])
        self._fitted = None if state["fitted"] is None else _Fitted(*state["fitted"])


def entropy(logits_BC: Tensor) -> Tensor:
    """(B, C) logits -> (B,) entropies in nats; a single logit is the one of two classes."""
    if logits_BC.shape[1] == 1:
        logits_BC = torch.cat([logits_BC, torch.zeros_like(logits_BC)], dim=1)
    logs = logits_BC.log_softmax(1)
    return -(logs.exp() * logs).sum(1)


def _fit(entropies_R: Tensor, outputs: int) -> _Fitted:
    exact = entropies_R.cpu().double()
    least = _LEAST * math.log(max(outputs, 2))
    return _Fitted(outputs, len(exact), float(exact.mean()), max(float(exact.std()), least))
