"""What is shown of names that come from files: nothing that steers a terminal, and no more than a screen of it."""

from __future__ import annotations

import pytest

from lifelong.saying import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with an é and 日本語 🙂", "plain, with an é and 日本語 🙂"),
        ("two\nlines", "two\nlines"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("bell\x07 \x00", r"bell\x07 \x00"),
        ("right \u202e left", r"right \u202e left"),
        ("half \ud800", r"half \ud800"),
        ("carriage\rreturn", r"carriage\rreturn"),
    ],
)
def test_what_would_steer_a_terminal_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(printable(text)) == shown


def test_long_text_is_cut_in_its_middle() -> None:
    shown = printable("a" * 1000 + "b" * 1000, 100)
    assert shown == "a" * 50 + " ... " + "b" * 50


def test_a_line_stays_one_where_it_must() -> None:
    assert printable("a\nseed: 3", lines=False) == r"a\nseed: 3"
