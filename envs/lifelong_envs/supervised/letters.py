"""Tasks without names of their own: A, B, ..., Z, T27, T28, ..."""

from __future__ import annotations

import re

from lifelong_envs.supervised.timetable import Timetable

_UNSAID = 5

MOST = 10_000
"""Tasks of a stream: each of them is judged again and again."""


def letter(index: int) -> str:
    """The name of a task by its place: 0 -> A, 25 -> Z, 26 -> T27."""
    return chr(ord("A") + index) if index < 26 else f"T{index + 1}"


def place(name: str) -> int:
    """The place of a task by its name: A -> 0, T27 -> 26. Raises ValueError for any other name."""
    if re.fullmatch("[A-Z]", name):
        return ord(name) - ord("A")
    if re.fullmatch(r"T[1-9][0-9]{1,8}", name) and int(name[1:]) > 26:
        return int(name[1:]) - 1
    raise ValueError(f"timetable: order names the task {name!r}, but tasks are named A, B, ..., Z, T27, T28, ...")


def lettered(tasks: int | None, timetable: Timetable) -> tuple[str, ...]:
    """The names of `tasks` tasks; where that is null, as many as the order reaches, or five without an
    order.
    """
    if tasks is None:
        tasks = 1 + max((place(name) for name in timetable.named), default=_UNSAID - 1)
    if not 1 <= tasks <= MOST:
        raise ValueError(f"A stream needs at least one task and at most {MOST:,}, got tasks={tasks}.")
    return tuple(letter(index) for index in range(tasks))
