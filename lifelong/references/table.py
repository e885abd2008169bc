"""References in the terminal, to be read and to be copied into a configuration."""

from __future__ import annotations

from collections.abc import Sequence

from lifelong.evaluation.numbers import count, decimals
from lifelong.references.worlds import Reference

_CAPTIONS = {"return": "Mean returns", "success": "Success rates (0 to 1)"}


def show_references(found: Sequence[Reference], agent: str) -> None:
    """Print what a random policy and the agent come to in each world, and how long the agent had for that."""
    places = max(2, decimals((value for one in found for value in (one.random, one.alone.final)), 5))
    measures = {one.measure for one in found}
    rows = [("", "random policy", f"{agent} alone", "environment steps")]
    for one in found:
        steps = one.alone.experiences * (one.alone.env_steps_per_experience or 1)
        name = one.task if len(measures) == 1 else f"{one.task} ({one.measure})"
        rows.append((name, f"{one.random:.{places}f}", f"{one.alone.final:.{places}f}", count(steps)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print("; ".join(_CAPTIONS[measure] for measure in sorted(measures)) + ", as they are:")
    for name, *cells in rows:
        aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        print(f"{name:{widths[0]}}", *aligned, sep="  ")
