"""Replay buffers that never mix worlds without knowing it: what was not an expert's own leaves its buffer again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer

from lifelong.interaction import Array, Observations, Transitions


def place(buffer: ReplayBuffer) -> tuple[int, bool]:
    """Where a buffer stands: its next row, and whether it has been full."""
    return buffer.pos, buffer.full


def give_back(buffer: ReplayBuffer, to: tuple[int, bool], least: int) -> None:
    """Forget what was added since the buffer stood there, which were `least` rows or more.

    A ring has lost what the additions overwrote: these rows hold copies of others, drawn at random, which leaves the
    distribution that is replayed as it was. Where nothing is left of it, the buffer is empty.
    """
    (first, was_full), size = to, buffer.buffer_size
    count = (buffer.pos - first) % size
    count += -(-max(0, least - count) // size) * size
    foreign = (first + np.arange(min(count, size))) % size
    held = np.arange(size if was_full else first)
    own, lost = np.setdiff1d(held, foreign), np.intersect1d(held, foreign)
    if not len(own):
        buffer.reset()
        return
    buffer.pos, buffer.full = first, was_full
    source = np.random.default_rng(first).choice(own, len(lost))
    for rows in arrays(buffer).values():
        rows[lost] = rows[source]


def add(buffer: ReplayBuffer, transitions: Transitions, lanes: int, scale: Any) -> None:
    """Add transitions in any order, so many at a time; `scale` brings actions into the buffer's own unit.

    What is left over of them is left out.
    """
    for first in range(0, len(transitions) - lanes + 1, lanes):
        step = transitions.rows(slice(first, first + lanes))
        done = step.terminated | step.truncated
        infos = [{"TimeLimit.truncated": bool(cut)} for cut in step.truncated]
        observations, after = _copied(step.observations), _copied(step.next_observations)
        buffer.add(observations, after, scale(step.actions), step.rewards, done, infos)  # type: ignore[arg-type]


def arrays(buffer: ReplayBuffer) -> dict[str, Array]:
    """Everything in a buffer that has a row for each place, by name."""
    return dict(_arrays(buffer))


def _arrays(buffer: ReplayBuffer) -> Iterator[tuple[str, Array]]:
    for name, value in vars(buffer).items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, rows in parts:
            if isinstance(rows, np.ndarray) and rows.ndim > 1 and len(rows) == buffer.buffer_size:
                yield f"{name}/{key}" if key else name, rows


def _copied(observations: Observations) -> Observations:
    if isinstance(observations, dict):
        return {key: value.copy() for key, value in observations.items()}
    return observations.copy()


def emptied(buffer: ReplayBuffer) -> ReplayBuffer:
    """Another buffer of the same kind, with nothing in it."""
    other = copy.copy(buffer)
    for name, value in vars(buffer).items():
        if isinstance(value, np.ndarray):
            setattr(other, name, np.zeros_like(value))
        elif isinstance(value, dict):
            fresh = {key: np.zeros_like(rows) if isinstance(rows, np.ndarray) else rows for key, rows in value.items()}
            setattr(other, name, fresh)
    other.reset()
    return other
