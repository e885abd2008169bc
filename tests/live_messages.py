"""A source of messages for tests: in random pieces."""

from __future__ import annotations

import random
from collections.abc import Sequence

from lifelong.source import Message


class Pieces:
    """Texts in random pieces, with moments at which nothing comes: what a run is must not depend on them."""

    def __init__(self, texts: Sequence[str], seed: int) -> None:
        self.texts, self.acknowledged = list(texts), ""
        self._random, self._next = random.Random(seed), 0

    def begin(self, after: str | None) -> None:
        self._next = int(after or 0)

    def take(self, limit: int, wait: float) -> Sequence[Message] | None:
        if self._next >= len(self.texts):
            return None
        count = self._random.choice([0, 1, 2, 5, limit])
        numbers = range(self._next, min(self._next + count, len(self.texts)))
        self._next = numbers.stop
        return [Message(str(number + 1), self.texts[number]) for number in numbers]

    def acknowledge(self, position: str) -> None:
        self.acknowledged = position
