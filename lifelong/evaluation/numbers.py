"""How numbers are written for people: scores, differences, returns of any size, times."""

from __future__ import annotations

import math
from collections.abc import Iterable

NONE = "–"
MINUS = "−"


def number(value: float) -> str:
    """A number that may have any size: three significant digits, and all that stand before the point."""
    return _minus(f"{value:,.0f}" if 999.5 <= abs(value) < 1e9 else f"{value:.3g}")


def decimals(values: Iterable[float], digits: int) -> int:
    """How many decimals numbers below each other have, so that the largest of them has so many significant digits."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    whole = math.floor(math.log10(largest)) + 1 if largest else 1
    return min(max(0, digits - whole), 9)


def fixed(value: float, places: int) -> str:
    """A number with so many decimals; a dash for what is none."""
    return NONE if math.isnan(value) else _minus(f"{round(value, places) + 0.0:,.{places}f}")


def score(value: float | None, percent: bool) -> str:
    """A score: "97.2 %", or a number where it is no share."""
    if value is None:
        return NONE
    return _minus(f"{100 * value:.1f} %") if percent else number(value)


def change(value: float | None, percent: bool) -> str:
    """A difference of two scores, with its sign: "+1.3 pt" (points), or a number."""
    if value is None:
        return NONE
    shown = 100 * value if percent else value
    # A loss of 0.02 points is not "-0.0".
    if percent and abs(shown) < 0.05:
        shown = 0.0
    sign = "+" if shown > 0 else ""
    return _minus(f"{sign}{shown:.1f} pt") if percent else f"{sign}{number(shown)}"


def duration(seconds: float) -> str:
    """Seconds as "4.2 s", "3 min 05 s" or "2 h 07 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(value: int) -> str:
    """A whole number with thin thousands, "1,234"."""
    return f"{value:,}"


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
