"""Values in messages: so many, and so much of each, that a line still tells something."""

from __future__ import annotations

from collections.abc import Sequence

MOST, LONGEST = 12, 60


def few(values: Sequence[object]) -> str:
    """The first values, and how many more there are."""
    more = f" and {len(values) - MOST:,} more" if len(values) > MOST else ""
    return ", ".join(shortened(str(value), quoted=False) for value in values[:MOST]) + more


def shortened(text: str, quoted: bool = True) -> str:
    """The text, cut where it is long."""
    cut = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    return repr(cut) if quoted else cut
