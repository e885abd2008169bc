"""What experts say about the same inputs, each asked once however many entries it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from lifelong.routing.router import Voice


def ask_each(voices: Sequence[Voice], ask: Callable[[Voice], Tensor]) -> list[Tensor]:
    """One answer an entry, in their order; entries of one expert share it."""
    heard: dict[int, Tensor] = {}
    for voice in voices:
        if voice.number not in heard:
            heard[voice.number] = ask(voice)
    return [heard[voice.number] for voice in voices]
