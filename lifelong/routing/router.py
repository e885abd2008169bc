"""The contract of a router: given unlabelled inputs, which expert knows their world, and does any?

A `Router` says what is worth remembering of an expert's inputs; a `Finder` is made of such descriptions, without
training, and is asked. Shapes: B inputs, E entries (descriptions; an expert may have several, one for each stretch that
it learned).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

Description = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Voice:
    """What a router may ask of an expert, without teaching it: (B, ...) inputs -> (B, F) features or (B, C) answers."""

    number: int
    features: Callable[[Tensor], Tensor]
    answer: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Match:
    """For each of B inputs: the best expert (B,) int64, and whether it is known to it at all (B,) bool."""

    experts: Tensor
    known: Tensor


@runtime_checkable
class Finder(Protocol):
    """Who knows these inputs? Made for a fixed set of entries."""

    def scores(self, inputs: Tensor) -> Tensor:
        """(B, ...) inputs -> (B, E): how well each entry explains each input; higher is better."""
        ...

    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        """(B, ...) inputs and an entry (B,) for each -> (B,) bool, False for what is foreign even to that one."""
        ...


@runtime_checkable
class Router(Protocol):
    """Remembers what each expert's inputs look like. Adding or removing an expert touches no other expert's memory."""

    def describe(self, inputs: Tensor, voice: Voice) -> Description:
        """(N, ...) inputs of one expert -> what is worth remembering of them. Changes nothing."""
        ...

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> Finder:
        """A finder for the described, in their order; at least one."""
        ...


@runtime_checkable
class Costly(Protocol):
    """A router whose finders are trained: they are made to answer, and for nothing less."""

    @property
    def trains(self) -> bool: ...


def per_sample(finder: Finder, inputs: Tensor, experts: Sequence[int]) -> Match:
    """Each input on its own; `experts` are the entries' owners. Of equally good entries the first one is taken."""
    best = _first_best(finder.scores(inputs))
    return _match(best, finder.accepts(inputs, best), experts)


def per_batch(finder: Finder, inputs: Tensor, experts: Sequence[int]) -> Match:
    """All inputs together, for a batch that comes from one world: known if most of its samples are."""
    best = _first_best(finder.scores(inputs).sum(0, keepdim=True)).expand(len(inputs))
    known = finder.accepts(inputs, best).float().mean() >= 0.5
    return _match(best, known.expand(len(inputs)), experts)


def _first_best(scores: Tensor) -> Tensor:
    """(B, E) -> (B,) the first of the best: argmax may return any of several equal ones, and where a column stands in a
    product of matrices may move its last digits."""
    best = scores.amax(1, keepdim=True)
    return (scores >= best - 8 * torch.finfo(scores.dtype).eps * best.abs()).to(torch.uint8).argmax(1)


def _match(best: Tensor, known: Tensor, experts: Sequence[int]) -> Match:
    return Match(torch.tensor(experts, device=best.device)[best], known)


def at_least_one(known: Sequence[tuple[Voice, Description]]) -> None:
    """Raises ValueError where there is nobody to route to."""
    if not known:
        raise ValueError("There is nobody to route to: no expert has been described yet.")


def halves(rows: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Two halves of an expert's rows, each to be judged by what the other one taught, so that neither has been seen.

    Where there are too few to part, they are judged by themselves. A few thousand rows are enough.
    """
    near = rows[:2048]
    one, other = (near[::2], near[1::2]) if len(near) >= 8 else (near, near)
    return (one, other), (other, one)
