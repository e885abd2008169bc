"""Records that cannot be: refused with the first event that does not fit, before anything is computed from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifelong.events import Event, Learned, RunStarted, TaskEntered, TaskScored
from lifelong.record.sound import sound

Records = list[tuple[int, Event]]
PATH = Path("run/events.jsonl")


def changed(records: Records, kind: type, **values: Any) -> Records:
    """The first event of a kind says something else."""
    at = next(k for k, (_, event) in enumerate(records) if isinstance(event, kind))
    step, event = records[at]
    return [*records[:at], (step, replace(event, **values)), *records[at + 1 :]]  # type: ignore[type-var]


def test_a_record_as_it_is_written_passes_unchanged(make_run: Callable[..., Records]) -> None:
    for agent in ("flagship", "finetune"):
        assert list(sound(PATH, make_run(agent))) == make_run(agent)


def test_a_record_of_a_stream_without_segments_passes(make_run: Callable[..., Records]) -> None:
    records = changed(make_run(), RunStarted, segments=(), segment_starts=(), steps=0)
    assert list(sound(PATH, records)) == records


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (RunStarted, {"tasks": ()}, r"event 1 \(RunStarted at step 0\) .* its tasks are none, or two of one name"),
        (RunStarted, {"segments": ("nobody",) * 5}, "its segments are of tasks that it does not have"),
        (RunStarted, {"segment_starts": (0,)}, "its segments do not begin one after the other"),
        (RunStarted, {"segment_starts": (0, 9, 3, 10, 11)}, "its segments do not begin one after the other"),
        (RunStarted, {"steps": 3}, "its segments lie beyond its end"),
        (RunStarted, {"steps": 2**60}, "its segments lie beyond its end"),
        (TaskEntered, {"segment": 9}, "segment 9 is not of task 'digits'"),
        (TaskEntered, {"task": "fashion"}, "segment 0 is not of task 'fashion'"),
        (TaskScored, {"task": "nobody"}, "there is no task 'nobody' to be judged after segment 0"),
        (TaskScored, {"segment": -1}, "to be judged after segment -1"),
        (Learned, {"losses": (0.1,)}, "it has not as many losses as scores and statistics"),
        (Learned, {"expert": -3}, "or less than none"),
    ],
)
def test_what_does_not_fit_is_refused(
    make_run: Callable[..., Records], kind: type, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        list(sound(PATH, changed(make_run(), kind, **values)))
    assert "run/events.jsonl, event " in str(caught.value)
    assert "Restore the file, or delete that line." in str(caught.value)


def test_events_are_in_the_order_in_which_they_happened(make_run: Callable[..., Records]) -> None:
    records = make_run()
    with pytest.raises(ValueError, match=r"the event before is of step 2000"):
        list(sound(PATH, [*records, records[5]]))
    with pytest.raises(ValueError, match="the run has begun already"):
        list(sound(PATH, [records[0], records[0]]))
    with pytest.raises(ValueError, match="it counts more updates than there are steps"):
        list(sound(PATH, [records[0], (1, Learned(0, 2, (0.1, 0.1), (0.0, 0.0), (0.0, 0.0)))]))
