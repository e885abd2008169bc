"""A live stream: what is learned is what was said, once each, however it came and however often it was interrupted."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from live_messages import Pieces

from lifelong import RunStopped, Saving, Stop, run
from lifelong.evaluation.schedule import Schedule
from lifelong.events import Refused, TaskScored
from lifelong_envs.live.form import Form, Unfit
from lifelong_envs.live.inbox import Inbox
from lifelong_envs.live.stream import LiveStream, live
from lifelong_envs.relay import relay
from lifelong_envs.supervised.data import Digits

# Benchmarks are no part of what is packed with the tests.
rig = pytest.importorskip("benchmarks.live_rig")
Counting, later, said = rig.Counting, rig.later, rig.said

FORM = Form((2,), 3, 1)


def texts_of(count: int, seed: int) -> list[str]:
    """Samples, some of whose labels come later or never, some sent twice, and some damaged."""
    chance, texts, owed = random.Random(seed), [], list[int]()
    for number in range(count):
        kind = chance.random()
        texts.append(said(number, label=kind > 0.3))
        if kind <= 0.2:
            owed.append(number)
        if kind > 0.9:
            texts.append(said(number))
        if kind > 0.95:
            texts.append(said(number)[:-5])
        while owed and chance.random() < 0.4:
            texts.append(later(owed.pop(0)))
    return texts + [later(number) for number in owed]


def wanted(texts: list[str]) -> list[int]:
    """Which samples have a label, in the order in which that was known."""
    seen, learned = dict[str, int](), []
    for text in texts:
        try:
            told = json.loads(text)
        except ValueError:
            continue
        name = told.get("id", told.get("for"))
        if "label" in told and ("for" in told or name not in seen):
            learned.append(int(name))
        seen[name] = 1
    return learned


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "not a JSON object but [1]"),
        ('{"input": [1, 2], "lable": 1}', "unknown keys lable"),
        ('{"label": 1}', "neither an input nor the label for one"),
        ('{"for": "a", "input": [1, 2], "label": 1}', "holds a label and no input"),
        ('{"for": "a"}', "holds a label and no input"),
        ('{"for": "a", "label": null}', "is null"),
        ('{"input": [1, 2]}', "needs an id"),
        ('{"input": [1, 2, 3], "label": 1}', "has the shape (3,), expected (2,)"),
        ('{"input": [[1], 2], "label": 1}', "not made of numbers"),
        ('{"input": ["a", 2], "label": 1}', "not made of numbers"),
        ('{"input": ["1", "2"], "label": 1}', "not made of numbers"),
        ('{"input": [true, false], "label": 1}', "not made of numbers"),
        (f'{{"input": [1, {"9" * 400}], "label": 1}}', "not made of numbers"),
        ('{"input": [1, 2], "label": "1"}', 'the label is the text "1", expected a class'),
        ('{"\\ud800x": 1, "input": [1, 2], "label": 1}', "unknown keys \\ud800x"),
        ('{"\\u001b[2Jx": 1, "input": [1, 2], "label": 1}', "unknown keys \\x1b[2Jx"),
        ('{"a\\nlifelong: b": 1, "input": [1, 2]}', "unknown keys a lifelong: b"),
        ('"an entry without the field message"', "an entry without the field message"),
        ('{"input": {"a": 2}, "label": 1}', "not made of numbers"),
        ('{"input": [NaN, 2], "label": 1}', "not finite"),
        ('{"input": [1e60, 2], "label": 1}', "not finite"),
        ('{"input": [1, 2], "label": 3}', "the label is 3, expected a class from 0 to 2"),
        ('{"input": [1, 2], "label": -1}', "the label is -1"),
        ('{"input": [1, 2], "label": 1.0}', "the label is the number 1.0"),
        ('{"input": [1, 2], "label": true}', "the label is true"),
        ('{"id": [1], "input": [1, 2], "label": 1}', "id is list"),
        (f'{{"id": "{"a" * 300}", "input": [1, 2], "label": 1}}', "longer than 200"),
    ],
)
def test_what_says_nothing_is_left_out_and_said_why(text: str, why: str) -> None:
    inbox = Inbox(FORM, 10, 10)
    with pytest.raises(Unfit) as caught:
        inbox.put(text)
    assert why in str(caught.value)
    assert len(inbox) == 0


def test_numbers_to_be_told_are_as_many_as_were_announced() -> None:
    form = Form((1,), None, 2)
    assert form.read('{"input": [1], "label": [0.5, 2]}').label == (0.5, 2.0)
    for label in ("1", "[1]", "[1, Infinity]", '["a", 1]', "[true, 1]", "[1, 1e99]"):
        with pytest.raises(Unfit, match="expected 2 finite numbers"):
            form.read(f'{{"input": [1], "label": {label}}}')
    assert Form((1,), None, 1).read('{"input": [1], "label": 3}').label == (3.0,)


def test_a_label_finds_its_input_once_and_old_inputs_are_given_up() -> None:
    inbox = Inbox(FORM, waiting=2, remembered=5)
    for number in range(3):
        inbox.put(said(number, label=False))
    assert inbox.given_up == 1
    with pytest.raises(Unfit, match="no input '0' waits"):
        inbox.put(later(0))
    inbox.put(later(2))
    with pytest.raises(Unfit, match="no input '2' waits"):
        inbox.put(later(2))
    with pytest.raises(Unfit, match="was there before"):
        inbox.put(said(1))
    inputs, labels = inbox.take(5)
    assert inputs.tolist() == [[2.0, 1.0]]
    assert labels.tolist() == [2]
    # Only so many ids are remembered.
    for number in range(10, 15):
        inbox.put(said(number))
    inbox.put(said(0))
    assert len(inbox) == 6


def run_of(texts: list[str], seed: int, out: Path | None, stop_at: int | None = None, resume: bool = False) -> Counting:
    """A life through these messages, in pieces by this seed; interrupted where they come to this many experiences."""
    source, learner, stop = Pieces(texts, seed), Counting(), Stop()

    class Stopping:
        def on(self, step: int, event: object) -> None:
            if stop_at is not None and step >= stop_at:
                stop.asked = "the test"

        def close(self) -> None: ...

    stream = LiveStream(source, FORM, live(source, (2,), 3).tasks[0], 4, 100, 100, None, "cpu")
    with suppress(RunStopped):
        run(
            stream,
            learner,
            out=out,
            evaluation=Schedule(every=5),
            saving=Saving(every=7, minutes=None),
            subscribers=[Stopping()],
            flush_every=3,
            stop=stop,
            resume=resume,
            report=False,
        )
    assert source.acknowledged == "" or int(source.acknowledged) <= len(texts)
    return learner


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_sample_with_a_label_is_learned_once_however_the_messages_come(tmp_path: Path, seed: int) -> None:
    texts = texts_of(300, seed)
    whole = run_of(texts, 1, tmp_path / "whole")
    assert whole.learned == wanted(texts)
    other = run_of(texts, 2, tmp_path / "other")
    assert other.learned == whole.learned
    events = (tmp_path / "whole" / "events.jsonl").read_bytes()
    assert (tmp_path / "other" / "events.jsonl").read_bytes() == events
    assert events.count(b'"Refused"') > 5

    torn, attempts = tmp_path / "torn", 0
    while not (torn / "summary.json").exists():
        attempts += 1
        last = run_of(texts, attempts, torn, stop_at=9 * attempts, resume=attempts > 1)
    assert attempts > 3
    assert last.learned == whole.learned
    assert (torn / "events.jsonl").read_bytes() == events


def test_what_was_lost_with_the_process_is_read_again(tmp_path: Path) -> None:
    texts = texts_of(200, 7)
    whole = run_of(texts, 1, tmp_path / "whole")

    class Gone(Exception): ...

    class Falling(Counting):
        def learn(self, batch):  # type: ignore[no-untyped-def]
            if len(self.learned) > 100:
                raise Gone
            return super().learn(batch)

    source = Pieces(texts, 3)
    stream = live(source, (2,), 3, batch_size=4, waiting=100, remembered=100)
    saving, looks = Saving(every=7, minutes=None), Schedule(every=5)
    with pytest.raises(Gone):
        run(stream, Falling(), out=tmp_path / "torn", name="Counting", evaluation=looks, saving=saving, flush_every=3)
    safe = int(source.acknowledged)
    assert 0 < safe < 200
    again = run_of(texts, 4, tmp_path / "torn", resume=True)
    assert again.learned == whole.learned
    assert (tmp_path / "torn" / "events.jsonl").read_bytes() == (tmp_path / "whole" / "events.jsonl").read_bytes()


def test_many_messages_that_say_nothing_do_not_flood_the_record() -> None:
    texts = ["{"] * 2_000 + [said(number) for number in range(8)]
    source = Pieces(texts, 0)
    result = run(live(source, (2,), 3, batch_size=4), Counting())
    told = [event.so_far for _, event in result.events if isinstance(event, Refused)]
    assert told == [*range(1, 101), 200, 400, 800, 1600]
    assert result.summary.refused == 1600
    assert result.summary.steps == 2


def test_held_out_samples_are_judged_as_it_goes(tmp_path: Path) -> None:
    data = Digits()
    digits = data.load("cpu")  # type: ignore[arg-type]
    rows = np.arange(96)
    texts = [
        json.dumps({"input": digits.train_inputs[row].flatten().tolist(), "label": int(digits.train_targets[row])})
        for row in rows
    ]
    from lifelong_agents.finetune import Finetune

    stream = live(Pieces(texts, 0), (1, 8, 8), 10, batch_size=8, held_out=data)
    result = run(stream, Finetune(), out=tmp_path / "run", evaluation=Schedule(every=5))
    looks = [(step, event.seen) for step, event in result.events if isinstance(event, TaskScored)]
    assert looks == [(0, False), (5, True), (10, True), (12, True)]
    assert result.summary.acc is not None
    assert not result.summary.truth_known
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


def test_settings_that_mean_nothing_are_told() -> None:
    source = Pieces([], 0)
    for wrong, said_of in [({"batch_size": 0}, "batch_size"), ({"classes": 1}, "classes"), ({"waiting": 0}, "waiting")]:
        with pytest.raises(ValueError, match=f"{said_of} must be at least"):
            live(source, (2,), **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape of one input"):
        live(source, ())
    with pytest.raises(ValueError, match=r"held-out inputs have the shape \(1, 8, 8\)"):
        live(source, (5,), 10, held_out=Digits())
    with pytest.raises(ValueError, match="visits are known beforehand"):
        relay([live(source, (2,), 3)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"no message had a sample with its label\.$"):
        run(live(Pieces([said(1, label=False)], 0), (2,), 3), Counting())
    with pytest.raises(ValueError, match=r"\(2 were left out, the latest because: no JSON"):
        run(live(Pieces(["{", "{"], 0), (2,), 3), Counting())


def test_a_stream_ends_after_its_limit_and_goes_on_only_where_it_was_left() -> None:
    stream = live(Pieces([said(number) for number in range(100)], 0), (2,), 3, batch_size=4, limit=5)
    assert len(list(stream.experiences())) == 5
    with pytest.raises(ValueError, match="has given 5 experiences and cannot go on after 3"):
        list(stream.experiences(3))
    assert len(list(stream.experiences())) == 5


def test_a_run_without_a_folder_stops_too() -> None:
    stop = Stop(asked="the test")
    stream = live(Pieces([said(number) for number in range(100)], 0), (2,), 3, batch_size=4)
    with pytest.raises(RunStopped, match="after 1 experiences, with nothing saved"):
        run(stream, Counting(), stop=stop)
