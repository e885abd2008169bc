"""Route among experts of different classes: all answer, and whoever sees one of its own classes most clearly is taken.

Shapes: B inputs, C outputs of an answer, E entries. How clearly is asked of an expert's own classes alone: what its
other outputs say of inputs that it never saw tells little (on class-split digits and MNIST, 79 % and 43 % of batches of
32 found their expert by the margin over the other outputs, 96 % and 89 % by the margin among the own ones).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.routing.router import Description, Voice, at_least_one
from lifelong.routing.voices import ask_each, known_to

_LARGEST = 1e4
"""Outputs beyond this say no more: those that a contract forbids are the lowest finite number."""


@dataclass(frozen=True, slots=True)
class AllLanes:
    """Takes the expert that sees one of its own classes most clearly.

    An expert's own classes are the outputs that its answers to its own inputs name, each in at least the share `least`
    of them. Clear is a large margin of its best own output over its second best own one (over the best other one where
    it has but one class), by mean and spread of that margin for its own inputs. reject: inputs seen less clearly than
    this share of an expert's own inputs are unknown to it.
    """

    least: float = 0.01
    reject: float = 0.001

    def __post_init__(self) -> None:
        if not 0 < self.least < 1 or not 0 <= self.reject < 1:
            raise ValueError(
                f"AllLanes needs 0 < least < 1 and 0 <= reject < 1, got least={self.least}, reject={self.reject}."
            )

    @torch.no_grad()
    def describe(self, inputs: Tensor, voice: Voice) -> Description:
        answers = voice.answer(inputs).flatten(1)
        named = torch.bincount(answers.argmax(1), minlength=answers.shape[1])
        # Whoever names very many classes, none of them often, still has its most frequent one.
        classes = (named >= self.least * len(answers)) | (named == named.max())
        margins = _margins(answers, classes)
        kept = {"classes": classes, "usual": margins.mean(), "spread": margins.std(correction=0).clamp_min(1e-3)}
        clear = (margins[: 2**20] - kept["usual"]) / kept["spread"]
        return {**kept, "least": torch.quantile(clear, self.reject, interpolation="lower")}

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> Clearest:
        at_least_one(known)
        return Clearest(known)


class Clearest:
    """How clearly each of several experts sees a class of its own."""

    def __init__(self, known: Sequence[tuple[Voice, Description]]) -> None:
        self._voices, self._kept = [voice for voice, _ in known], [kept for _, kept in known]

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        answers = ask_each(self._voices, lambda voice: voice.answer(inputs))
        return torch.stack([_clear(given, kept) for given, kept in zip(answers, self._kept, strict=True)], dim=1)

    @torch.no_grad()
    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        def clear_enough(index: int, some: Tensor) -> Tensor:
            return _clear(self._voices[index].answer(some), self._kept[index]) >= self._kept[index]["least"]

        return known_to(entries, inputs, clear_enough)


def _clear(answers: Tensor, kept: Description) -> Tensor:
    return (_margins(answers.flatten(1), kept["classes"]) - kept["usual"]) / kept["spread"]


def _margins(answers: Tensor, classes: Tensor) -> Tensor:
    """(B, C) answers -> (B,) best output among the expert's own classes (C,) less the second best of them."""
    outputs = answers.to(torch.float32).clamp(-_LARGEST, _LARGEST)
    if outputs.shape[1] == 1:
        return outputs[:, 0].abs()
    own = outputs[:, classes]
    if own.shape[1] == 1:
        return own[:, 0] - outputs[:, ~classes].amax(1)
    best = own.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]
