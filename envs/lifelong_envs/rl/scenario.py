"""What a stream of worlds tells who lives in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Labels = Literal["never", "training", "judging"]
Boundaries = Literal["hidden", "shown"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who is told which world it is, and whether the start of a visit is shown.

    `labels`: "never"; "training" names the world of each experience; "judging" names it there and in judging.
    `boundaries` "shown" marks the first experience of each visit. Raises ValueError for other words.
    """

    labels: Labels = "never"
    boundaries: Boundaries = "hidden"

    def __post_init__(self) -> None:
        for what, given, known in (
            ("labels", self.labels, get_args(Labels)),
            ("boundaries", self.boundaries, get_args(Boundaries)),
        ):
            if given not in known:
                raise ValueError(f"scenario: {what}={given!r}, expected one of {', '.join(map(repr, known))}.")


HIDDEN = Scenario()
"""Nothing is told: the learner has to notice by itself that the world has changed."""
