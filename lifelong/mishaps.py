"""What went wrong in a life without ending it: facts like all others, see `lifelong.events`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skipped:
    """The latest experience, of so many samples, could not be learned from, and was not: `why`."""

    why: str
    samples: int


@dataclass(frozen=True, slots=True)
class Restored:
    """The loss had been no number for too long: the learner was put back by so many experiences, to its checkpoint."""

    experiences: int


@dataclass(frozen=True, slots=True)
class LaneFailed:
    """An environment that was lived in failed, in the lane's own step `at`: the episode was cut there.

    The environment was made anew, for the `restarts`-th time in this lane. task: the world that the lane was in.
    """

    lane: int
    task: str
    at: int
    why: str
    restarts: int


@dataclass(frozen=True, slots=True)
class EpisodeFailed:
    """While a task was judged, the environment of one of its episodes failed, in `tries` tries: `why`, the last time.

    left_out: it failed in all of them, and the task was judged by the others (False: it was played in the end).
    """

    task: str
    episode: int
    why: str
    tries: int
    left_out: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A message at this position of its source was left out, and `why`; with it they are `so_far`.

    Where there are many, most of them are only counted.
    """

    position: str
    why: str
    so_far: int
