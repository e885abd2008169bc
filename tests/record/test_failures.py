"""How a person hears of worlds that failed: in the terminal, in the report and in the summary."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_console import watched
from test_report import recorded
from world_run import Records, world_run

from lifelong.evaluation.summary import summarize
from lifelong.events import EpisodeFailed, LaneFailed
from lifelong.record.failures import nth, told_of
from lifelong.record.runs import read_run
from lifelong.record.tables import notes_section


def failing() -> Records:
    """Lane 2 fails twelve times in the second world, and of its judging one episode each time."""
    records, at = world_run(), 13
    failed = [(4, LaneFailed(2, "swapped & <odd>", 60 + k, "the reward is <nan>", k)) for k in range(1, 13)]
    left_out = EpisodeFailed("swapped & <odd>", 7, "too long", 3, True)
    again = EpisodeFailed("plain", 0, "no start", 1, False)
    return [*records[:at], *failed, *records[at:-1], (6, left_out), (6, again), records[-1]]


def test_the_terminal_tells_of_the_first_and_of_round_numbers() -> None:
    lines = [line for line in watched(failing(), terminal=False).splitlines() if "failed" in line]
    assert lines == [
        "step         4  lane 2 in 'swapped & <odd>' failed, for the 1st time: the reward is <nan>",
        "step         4  lane 2 in 'swapped & <odd>' failed, for the 10th time: the reward is <nan>",
        "step         6  episode 7 of 'swapped & <odd>' failed 3 times as it was judged, and is left out: too long",
        "step         6  episode 0 of 'plain' failed once as it was judged, and was played again: no start",
    ]


def test_the_report_and_the_summary_tell_of_them(tmp_path: Path) -> None:
    notes = notes_section(read_run(recorded(tmp_path, failing())))
    told = (
        "Lane 2 failed in &#x27;swapped &amp; &lt;odd&gt;&#x27;, in its step 70, for the 10th time, and its "
        "environment was made anew: the reward is &lt;nan&gt;."
    )
    assert told in notes
    assert notes.count("Lane 2 failed") == 2
    assert "Episode 0 of &#x27;plain&#x27; failed once as it was judged, and was played again: no start." in notes
    summary = summarize(failing(), 1.0, {})
    assert (summary.failures, summary.left_out) == (12, 1)
    assert (summarize(world_run(), 1.0, {}).failures, summarize(world_run(), 1.0, {}).left_out) == (0, 0)


ORDER = [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (21, "21st"), (112, "112th"), (1000, "1,000th")]


@pytest.mark.parametrize(("number", "said"), ORDER)
def test_numbers_in_order(number: int, said: str) -> None:
    assert nth(number) == said


def test_very_many_are_a_few_lines() -> None:
    assert [number for number in range(1, 3001) if told_of(number)] == [1, 10, 100, 1000, 2000, 3000]
