"""Gathers the rows that a layer sees: a fair sample of them, or everything as a stream."""

from __future__ import annotations

import torch
from torch import Tensor

from lifelong.subspace.moments import Moments, Stream, of_samples
from lifelong.subspace.use import Use

PER_CALL = 1024
"""Most rows that one call adds to a stream: an image has a thousand patches, and each is like its neighbours."""


class Sample:
    """A uniform sample of `size` rows of all that pass; None keeps their second moments, without a second pass.

    half_life: for streams, calls after which what was seen counts half, because early activations are outdated.
    """

    def __init__(self, size: int | None, constant: bool, half_life: float | None = None) -> None:
        self._size, self._constant, self._half_life = size, constant, half_life
        # Chance, and always the same: rows at even distances would meet the same positions of every image.
        self._generator = torch.Generator().manual_seed(0)
        self._rows: Tensor | None = None
        self._draws = torch.zeros(0)
        self._stream: Stream | None = None

    @property
    def is_empty(self) -> bool:
        return self._rows is None and self._stream is None

    def add(self, use: Use) -> None:
        if self._size is None:
            self._stream = self._stream or Stream(half_life=self._half_life)
            count = use.count()
            chosen = torch.randint(count, (PER_CALL,), generator=self._generator) if count > PER_CALL else None
            self._stream.add(use.rows(chosen, self._constant))
            return
        # The lowest draws of all stay: whatever the batch that it came in, each row has the same chance. Only rows
        # that stay are gathered: few of them, once many have passed.
        before = len(self._draws)
        draws = torch.cat([self._draws, torch.rand(use.count(), generator=self._generator)])
        if len(draws) <= self._size:
            self._put(draws, use.rows(None, self._constant))
            return
        stays = torch.zeros(len(draws), dtype=torch.bool)
        stays[draws.topk(self._size, largest=False).indices] = True
        chosen = stays[before:].nonzero()[:, 0]
        if len(chosen) == 0:
            return
        fresh = use.rows(chosen, self._constant)
        if self._rows is not None:
            self._rows = self._rows[:, stays[:before].nonzero()[:, 0].to(fresh.device)]
        self._put(draws[stays], fresh)

    def _put(self, draws: Tensor, fresh: Tensor) -> None:
        # A copy in any case: rows may be a view of activations, which the model may change in place after the call.
        self._rows = fresh.clone() if self._rows is None else torch.cat([self._rows, fresh], dim=1)
        self._draws = draws

    def moments(self) -> list[Moments]:
        """Of each group; may only be asked when something was added."""
        if self._stream is not None:
            return self._stream.moments()
        assert self._rows is not None
        return [of_samples(group) for group in self._rows]
