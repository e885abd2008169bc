"""How failures are put into words, wherever a record is shown, and which of very many are worth a line."""

from __future__ import annotations

from lifelong.evaluation.numbers import count
from lifelong.events import EpisodeFailed


def told_of(number: int) -> bool:
    """Whether the so many-th of its kind is worth a line: the 1st, the 10th, the 100th, and each 1000th."""
    return number in (1, 10, 100) or number % 1000 == 0


def nth(number: int) -> str:
    """ "1st", "2nd", "11th", "1,000th"."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{count(number)}{ending}"


def said_of_episode(event: EpisodeFailed) -> str:
    """A sentence without its end."""
    tries = "once" if event.tries == 1 else f"{event.tries} times"
    then = "and is left out" if event.left_out else "and was played again"
    return f"episode {event.episode} of {event.task!r} failed {tries} as it was judged, {then}: {event.why}"
