"""Route to whoever is surest of the answer. Shapes: B inputs, C outputs of an answer, E entries.

Sources: maximum softmax probability (Hendrycks & Gimpel 2017), energy (Liu et al. 2020, eq. 4). An expert may be
surest of what it has never seen: where classes look different in each world, routers that look at inputs do better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lifelong.routing.router import Description, Voice, at_least_one
from lifelong.routing.voices import ask_each, known_to

Measure = Literal["entropy", "max_probability", "energy"]


@dataclass(frozen=True, slots=True)
class Confidence:
    """Takes the expert whose answer is the surest; remembers nothing but how sure each usually is.

    measure: of a classifier's answer, its negative entropy, its largest probability, or its energy (log-sum-exp of the
    outputs). The first two compare as they are; energies, which have no common scale, by each expert's own mean and
    spread. reject: inputs of which an expert is less sure than of this share of its own inputs are unknown to it.
    """

    measure: Measure = "entropy"
    reject: float = 0.001

    def __post_init__(self) -> None:
        if self.measure not in ("entropy", "max_probability", "energy"):
            raise ValueError(f"Confidence: measure is 'entropy', 'max_probability' or 'energy', got {self.measure!r}.")
        if not 0 <= self.reject < 1:
            raise ValueError(f"Confidence needs 0 <= reject < 1, got reject={self.reject}.")

    @torch.no_grad()
    def describe(self, inputs: Tensor, voice: Voice) -> Description:
        own = self._sure(voice.answer(inputs))
        mean, spread = own.mean(), own.std(correction=0).clamp_min(1e-6)
        if self.measure != "energy":
            mean, spread = torch.zeros_like(mean), torch.ones_like(spread)
        sure = (own - mean) / spread
        # A few thousand tell the quantile, and torch takes no more than some millions.
        least = torch.quantile(sure[: 2**20], self.reject, interpolation="lower")
        return {"mean": mean, "spread": spread, "least": least}

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> Surest:
        at_least_one(known)
        return Surest(known, self)

    def judge(self, answers: Tensor, kept: Description) -> Tensor:
        """(B, C) answers of one expert -> (B,) how sure it is, on a scale that experts share."""
        return (self._sure(answers) - kept["mean"]) / kept["spread"]

    def _sure(self, answers: Tensor) -> Tensor:
        outputs = answers.flatten(1).to(torch.float32)
        if self.measure == "energy":
            return outputs.logsumexp(1)
        logs = outputs.log_softmax(1)
        # An output that is ruled out has probability 0 and a logarithm that times 0 must not overflow.
        return (logs.exp() * logs.clamp_min(-1e4)).sum(1) if self.measure == "entropy" else logs.amax(1).exp()


class Surest:
    """How sure of its answer each of several experts is."""

    def __init__(self, known: Sequence[tuple[Voice, Description]], settings: Confidence) -> None:
        self._voices, self._kept, self._settings = [v for v, _ in known], [kept for _, kept in known], settings

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        answers = ask_each(self._voices, lambda voice: voice.answer(inputs))
        pairs = zip(answers, self._kept, strict=True)
        return torch.stack([self._settings.judge(given, kept) for given, kept in pairs], dim=1)

    @torch.no_grad()
    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        def sure_enough(index: int, some: Tensor) -> Tensor:
            kept = self._kept[index]
            return self._settings.judge(self._voices[index].answer(some), kept) >= kept["least"]

        return known_to(entries, inputs, sure_enough)
