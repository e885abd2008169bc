"""Messages to people, as they may be shown: names and values in them come from files that anybody can have written."""

from __future__ import annotations

import unicodedata

LONGEST = 1500
"""Characters of a message that are shown."""

_KINDS = {"Cc", "Cs", "Cf", "Zl", "Zp"}


def printable(text: str, longest: int = LONGEST, lines: bool = True) -> str:
    """The text without what would steer a terminal or turn its words round: such characters as their escapes.

    lines: ends of lines stay as they are. What is longer than `longest` is cut in its middle.
    """
    if len(text) > longest:
        text = f"{text[: longest // 2]} ... {text[-longest // 2 :]}"
    if text.isprintable():
        return text
    return "".join(
        c if (c == "\n" and lines) or unicodedata.category(c) not in _KINDS else ascii(c)[1:-1] for c in text
    )
