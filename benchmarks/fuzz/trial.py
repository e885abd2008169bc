"""What becomes of one bad input: it is taken, it is refused in our own words, or that is a fault."""

from __future__ import annotations

import random
import traceback
import unicodedata
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal

from lifelong.blame import is_ours
from lifelong.cli import main as command
from lifelong.exits import OK, USER_ERROR
from lifelong.shortage import is_shortage

Verdict = Literal["accepted", "refused", "bad"]
Try = Callable[[random.Random, Path], bool]
"""Tries one input, drawn at random, in a folder of its own: True where it was taken. Refusals are raised, or False."""

LONGEST_LINE = 2000
"""Characters: a message that is longer floods the terminal instead of telling anything."""


class Fault(Exception):
    """Something that no input may bring about."""


class Hang(BaseException):
    """The time of a case is up. No exception that a reader of files would catch."""


@dataclass(frozen=True, slots=True)
class Family:
    """Inputs of one kind: how many are tried, in a quick round too, and what makes the `Try`, once for all of them."""

    name: str
    cases: int
    quick: int
    prepare: Callable[[Path], Try]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one case: `why` says what is bad, or the refusal; `where` is the traceback, if there was one."""

    number: int
    verdict: Verdict
    why: str = ""
    where: str = ""


def attempt(tried: Try, family: str, number: int, seed: int, place: Path) -> Outcome:
    """One case, the same one for the same numbers, whatever was tried before."""
    draw = random.Random(f"{seed}/{family}/{number}")
    try:
        return Outcome(number, "accepted" if tried(draw, place) else "refused")
    except Hang as late:
        return Outcome(number, "bad", "hang: the time was up", _where(late))
    except BaseException as error:
        fault = fault_in(error)
        return Outcome(number, "bad" if fault else "refused", fault or str(error), _where(error))


def fault_in(error: BaseException) -> str | None:
    """What is wrong with a refusal; None where it is one: a ValueError or OSError in our own words, or no memory."""
    kind, said = type(error).__name__, str(error)
    if isinstance(error, Fault):
        return said
    if is_shortage(error):
        return None
    if not isinstance(error, ValueError | OSError):
        return f"{kind}: {said:.300}"
    if not is_ours(error) and not (isinstance(error, OSError) and error.filename is not None):
        return f"a foreign {kind}: {said:.300}"
    return fault_of_words(said)


def fault_of_words(said: str) -> str | None:
    """What is wrong with a message as such."""
    if not said.strip():
        return "a message without words"
    if max(map(len, said.splitlines())) > LONGEST_LINE:
        return f"a message of {len(said):,} characters: {said[:200]!r}"
    strange = next((c for c in said if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"), None)
    if strange is not None:
        return f"a message with the control character {strange!r}: {said[:200]!r}"
    return None


def by_command(words: list[str]) -> bool:
    """Whether the command line, in this process, does what it is asked; a Fault where it fails in any other way.

    A refusal is code 2 and a message on stderr, without a traceback.
    """
    out, err = StringIO(), StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = command(words)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except Exception as error:
        raise Fault(f"the command shows a traceback: {type(error).__name__}: {error!s:.300}") from error
    said = err.getvalue()
    if "Traceback" in said:
        raise Fault(f"a traceback on stderr: {said[-400:]}")
    if code == OK:
        return True
    if code != USER_ERROR:
        raise Fault(f"exit code {code}: {said[-400:]}")
    fault = fault_of_words(said)
    if fault is not None:
        raise Fault(fault)
    return False


def _where(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-6000:]
