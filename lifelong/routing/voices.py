"""What experts say about the same inputs, each asked once however many entries it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lifelong.routing.router import Voice


def ask_each(voices: Sequence[Voice], ask: Callable[[Voice], Tensor]) -> list[Tensor]:
    """One answer an entry, in their order; entries of one expert share it."""
    heard: dict[int, Tensor] = {}
    for voice in voices:
        if voice.number not in heard:
            heard[voice.number] = ask(voice)
    return [heard[voice.number] for voice in voices]


def known_to(entries: Tensor, inputs: Tensor, judge: Callable[[int, Tensor], Tensor]) -> Tensor:
    """(B,) entries and (B, ...) inputs -> (B,) bool: what `judge` says of an entry's inputs, asked once an entry."""
    known = torch.zeros_like(entries, dtype=torch.bool)
    for index in torch.unique(entries).tolist():
        mine = entries == index
        known[mine] = judge(index, inputs[mine])
    return known
