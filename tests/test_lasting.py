"""Stopping, saving and going on: whenever it happens, the record is that of a run that was never interrupted."""

from __future__ import annotations

import json
import random
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import toy_stream

from lifelong.checkpoint import CheckpointError, Mark, checkpoints_in, read_checkpoint, save_checkpoint
from lifelong.evaluation.schedule import Schedule
from lifelong.lifetime import run
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.patience import StreamFailed
from lifelong.record.folder import RunFolder
from lifelong.retention.er import Er
from lifelong.retention.ewc import Ewc
from lifelong.saving import Saving
from lifelong.stopping import RunStopped, Stop
from lifelong_agents.finetune import Finetune
from lifelong_agents.retain import Retain

NETWORK = Mlp(hidden=(16,))
NEVER = Saving(minutes=None)
OPTIONS = {"evaluation": Schedule(within=2), "flush_every": 16, "report": False, "name": "x"}


def agent():
    return Retain([Er(capacity=40), Ewc(strength=3.0)], NETWORK, Optimizer("adam", lr=0.01))


class Asking:
    """A learner that has somebody ask to stop as it learns the `after`-th experience from now on."""

    def __init__(self, inner, stop, after):
        self._inner, self._stop, self._left = inner, stop, after

    def learn(self, batch):
        self._left -= 1
        if self._left == 0:
            self._stop.asked = "SIGTERM"
        return self._inner.learn(batch)

    def __getattr__(self, name):
        return getattr(self._inner, name)


@cache
def whole(folder: Path) -> bytes:
    run(toy_stream("A B"), agent(), out=folder / "whole", saving=NEVER, **OPTIONS)
    return (folder / "whole/events.jsonl").read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lasting")


def stopped(out, after, resume=False, **changed):
    """Live until somebody asks to stop."""
    stop = Stop()
    options = OPTIONS | {"saving": NEVER, "stop": stop} | changed
    with pytest.raises(RunStopped) as caught:
        run(toy_stream("A B"), Asking(agent(), stop, after), out=out, resume=resume, **options)
    return caught.value


SAVINGS = [
    Saving(every=7, minutes=None),
    Saving(minutes=1e-9),
    *(pytest.param(saving, marks=pytest.mark.slow) for saving in (NEVER, Saving(every=1, keep=1))),
]


@pytest.mark.parametrize("saving", SAVINGS)
def test_stopped_at_any_step_and_gone_on_with_the_record_has_the_same_bytes(saving, tmp_path, folder):
    steps = random.Random(saving.keep + (saving.every or 0))
    at, resume = 0, False
    while at < 89:
        at += (further := steps.randint(1, 30))
        assert stopped(tmp_path / "run", further, resume, saving=saving).step == at
        resume = True
    result = run(toy_stream("A B"), agent(), out=tmp_path / "run", resume=True, saving=saving, **OPTIONS)
    assert (tmp_path / "run/events.jsonl").read_bytes() == whole(folder)
    assert (tmp_path / "run/scores.csv").read_bytes() == (folder / "whole/scores.csv").read_bytes()
    assert result.summary.finished


GONE = OSError("the network is gone")


class Fragile:
    """A stream whose source fails: `times` times in a row at each of these steps."""

    def __init__(self, at, times, error=GONE):
        self._inner, self._left, self._error = toy_stream("A B"), dict.fromkeys(at, times), error
        self.name, self.tasks, self.segments = self._inner.name, self._inner.tasks, self._inner.segments

    def experiences(self, start=0):
        for step, served in enumerate(self._inner.experiences(start), start):
            if self._left.get(step):
                self._left[step] -= 1
                raise self._error
            yield served


@pytest.fixture
def naps(monkeypatch):
    """Seconds that were waited, without waiting."""
    taken = []
    monkeypatch.setattr("lifelong.patience.time.sleep", taken.append)
    return taken


def test_a_stream_that_fails_now_and_then_is_asked_again(tmp_path, folder, naps):
    with pytest.warns(UserWarning, match=r"failed to give experience 50 \(OSError: the network is gone\). It is asked"):
        run(Fragile((50, 119), 3), agent(), out=tmp_path / "run", saving=NEVER, **OPTIONS)
    assert (tmp_path / "run/events.jsonl").read_bytes() == whole(folder)
    assert naps == [0.5, 2.0, 8.0] * 2


def test_a_stream_that_is_gone_ends_the_run_and_what_was_learned_is_saved(tmp_path, folder, naps):
    with (
        pytest.warns(UserWarning, match="asked again"),
        pytest.raises(StreamFailed, match=r"failed to give experience 50 .* go on with `lifelong resume`"),
    ):
        run(Fragile((50,), 9), agent(), out=tmp_path / "run", saving=NEVER, **OPTIONS)
    result = run(toy_stream("A B"), agent(), out=tmp_path / "run", resume=True, saving=NEVER, **OPTIONS)
    assert (tmp_path / "run/events.jsonl").read_bytes() == whole(folder)
    assert result.summary.finished
    # What is no matter of luck is not tried again.
    with pytest.raises(ZeroDivisionError):
        run(Fragile((5,), 1, ZeroDivisionError()), agent(), evaluation=Schedule(within=0))


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    stopped(tmp_path / "run", 5)
    half = tmp_path / "run/checkpoints/step-000000000007.123.pending"
    half.write_bytes(b"half")
    stopped(tmp_path / "run", 5, resume=True)
    assert not half.exists()


def test_whoever_stops_is_told_how_to_go_on_and_the_operations_tell_the_story(tmp_path):
    caught = stopped(tmp_path / "run", 5)
    assert str(caught) == (
        f"stopped by SIGTERM after 5 experiences, with everything saved. Go on with: lifelong resume {tmp_path / 'run'}"
    )
    run(toy_stream("A B"), agent(), out=tmp_path / "run", resume=True, saving=NEVER, **OPTIONS)
    rows = [json.loads(line) for line in (tmp_path / "run/operations.jsonl").read_text().splitlines()]
    assert [(row["did"], row["step"]) for row in rows] == [
        ("began", 0), ("saved", 5), ("stopped", 5), ("resumed", 5), ("saved", 120), ("finished", 120),
    ]  # fmt: skip


def test_all_random_states_go_on(tmp_path):
    def draw():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    learner = Finetune(NETWORK)
    path = save_checkpoint(tmp_path, Mark(3, 0.5), learner)
    drawn = draw()
    checkpoint = read_checkpoint(path)
    checkpoint.restore(learner)
    assert draw() == drawn
    assert (checkpoint.mark, checkpoint.noted) == (Mark(3, 0.5, 0.0), None)


@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_one_wrong_bit_anywhere_in_a_checkpoint_is_noticed(where, tmp_path):
    path = save_checkpoint(tmp_path, Mark(1, 0.0), Finetune(NETWORK))
    whole = bytearray(path.read_bytes())
    whole[round(where * (len(whole) - 1))] ^= 1
    path.write_bytes(whole)
    with pytest.raises(CheckpointError, match="is damaged: it is not what was written"):
        read_checkpoint(path)


def test_a_checkpoint_under_another_name_or_of_another_agent_is_refused(tmp_path):
    path = save_checkpoint(tmp_path, Mark(1, 0.0), agent())
    with pytest.raises(CheckpointError, match="does not fit Finetune as it is set up now"):
        read_checkpoint(path).restore(Finetune(NETWORK))
    with pytest.raises(CheckpointError, match="is not named as checkpoints are"):
        read_checkpoint(path.rename(tmp_path / "mine.pt"))


def test_what_is_half_written_is_no_checkpoint(tmp_path, monkeypatch):
    class Full(OSError):
        pass

    def fail(fd):
        raise Full(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(Full):
            save_checkpoint(tmp_path, Mark(1, 0.0), Finetune(NETWORK))
    assert list(tmp_path.iterdir()) == []
    # In the middle of the file torch says it in its own way.
    monkeypatch.setattr("lifelong.checkpoint._Tee.write", lambda self, part: fail(0))
    with pytest.raises(OSError, match=r"\w"):
        save_checkpoint(tmp_path, Mark(1, 0.0), Finetune(NETWORK))
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(tmp_path, monkeypatch, folder):
    from lifelong import saver

    real, calls = saver.save_checkpoint, []

    def sometimes(*given):
        calls.append(given[1].step)
        if len(calls) % 2:
            raise OSError(28, "No space left on device")
        return real(*given)

    monkeypatch.setattr(saver, "save_checkpoint", sometimes)
    with pytest.warns(UserWarning, match=r"no checkpoint could be saved after 20 experiences.*No space left") as told:
        run(toy_stream("A B"), agent(), out=tmp_path / "run", saving=Saving(every=20, minutes=None), **OPTIONS)
    assert (calls, len(told)) == ([20, 40, 60, 80, 100, 120], 3)
    assert (tmp_path / "run/events.jsonl").read_bytes() == whole(folder)


def test_a_last_checkpoint_that_cannot_be_written_is_an_error_and_made_up_for_later(tmp_path, monkeypatch, folder):
    from lifelong import saver

    real = saver.save_checkpoint

    def full(*given):
        if given[1].step == 120:
            raise OSError(28, "No space left on device")
        return real(*given)

    monkeypatch.setattr(saver, "save_checkpoint", full)
    saving = Saving(every=50, minutes=None)
    with pytest.raises(OSError, match=r"all 120 experiences.*the last checkpoint cannot be saved.*resume"):
        run(toy_stream("A B"), agent(), out=tmp_path / "run", saving=saving, **OPTIONS)
    assert not (tmp_path / "run/summary.json").exists()
    monkeypatch.setattr(saver, "save_checkpoint", real)
    run(toy_stream("A B"), agent(), out=tmp_path / "run", saving=saving, resume=True, **OPTIONS)
    assert (tmp_path / "run/events.jsonl").read_bytes() == whole(folder)
    assert checkpoints_in(tmp_path / "run/checkpoints")[0].name.startswith("step-000000000120-")


def test_checkpoints_without_their_record_are_not_begun_over(tmp_path):
    stopped(tmp_path / "run", 70)
    (tmp_path / "run/events.jsonl").unlink()
    kept = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    for resume in (True, False):
        with pytest.raises((FileNotFoundError, FileExistsError), match=r"no events\.jsonl|already holds a run"):
            stopped(tmp_path / "run", 90, resume=resume)
    assert sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir()) == kept


def test_a_record_that_was_damaged_early_on_disqualifies_later_checkpoints_alone(tmp_path, folder):
    stopped(tmp_path / "run", 70, saving=Saving(every=30, minutes=None, keep=5))
    places = checkpoints_in(tmp_path / "run/checkpoints")
    assert [read_checkpoint(p).mark.step for p in places] == [70, 60, 30]
    events = tmp_path / "run/events.jsonl"
    noted = read_checkpoint(places[1]).noted
    assert noted is not None
    lines = bytearray(events.read_bytes())
    lines[noted.cursor.bytes - 10] ^= 1
    events.write_bytes(lines)
    with pytest.warns(UserWarning, match=r"events\.jsonl is not what it was when step-0+60-.*Going on from step-0+30-"):
        run(toy_stream("A B"), agent(), out=tmp_path / "run", resume=True, saving=NEVER, **OPTIONS)
    assert events.read_bytes() == whole(folder)


def test_two_processes_never_write_in_one_folder(tmp_path):
    import subprocess
    import sys

    hold = (
        "import sys\nfrom pathlib import Path\nfrom lifelong.record.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked():\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    place = tmp_path / "run"
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(FileExistsError, match=r"Another process writes in .*run: wait for it, end it"):
        run(toy_stream("A B"), agent(), out=place, **OPTIONS)
    # However it dies, the folder is free again.
    other.kill()
    other.wait()
    with RunFolder(place).locked():
        pass
    shutil.rmtree(place)

    def fail() -> None:
        with RunFolder(place).locked(), RunFolder(place).locked():
            assert place.is_dir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not place.exists()
