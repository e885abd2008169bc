"""Whose an error is: ours, written for people, or somebody else's, which is a defect wherever it comes up."""

from __future__ import annotations

from opcode import opmap
from types import TracebackType

OURS = ("lifelong", "lifelong_envs", "lifelong_agents")
RAISE = opmap["RAISE_VARARGS"]


def is_for_people(error: ValueError | OSError) -> bool:
    """Whether the message says it all: the system's own on files do, and ours."""
    return isinstance(error, OSError) or is_ours(error)


def is_ours(error: BaseException) -> bool:
    """Whether a `raise` of ours has made it.

    What a function in C makes of our arguments, such as "math domain error", comes up in a frame of ours, and is none.
    """
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return False
    code, module = last.tb_frame.f_code, str(last.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in OURS and code.co_code[last.tb_lasti] == RAISE
