"""What people see who give something wrong: a table of inputs, each with the decisive words of what is said.

Every row goes through the command: it ends with code 2, without a traceback, and leaves nothing behind. Here are
settings, files that are no configurations, places and records; test_fault_table_data.py has data, streams and worlds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import STUDY, prepared, refused

from lifelong.cli import main

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(prepared(tmp_path))
    (tmp_path / "other_faults.py").write_text("class Other: ...\n")
    return tmp_path


SETTINGS: dict[str, tuple[str, str]] = {
    "wrong type": ("agent.optimizer.lr=fast", "agent.optimizer.lr: got 'fast', expected a number."),
    "a list for a section": (
        "agent.optimizer=[1]",
        "agent.optimizer: got [1], expected a section with settings of Optim",
    ),
    "unknown key": ("agent.optimiser=adam", "agent.optimiser: unknown key. Did you mean 'optimizer'?"),
    "unknown section": ("strem=1", "strem: unknown key. Did you mean 'stream'?"),
    "nothing": ("stream.data=null", "stream.data: got null, expected a section with the name of a DataSource"),
    "empty text": ("agent=''", "agent.name: got '', which is not among lifelong.agents."),
    "no such name": (
        "agent=finetun",
        "agent.name: got 'finetun', which is not among lifelong.agents. Did you mean 'finetune'?",
    ),
    "no such module": ("agent=no_where:Agent", "agent.name: 'no_where:Agent' cannot be imported: ModuleNotFoundError"),
    "no such class": (
        "agent=other_faults:Agent",
        "agent.name: 'other_faults:Agent' is not there: other_faults has no 'Agent'.",
    ),
    "the wrong kind": (
        "agent=other_faults:Other",
        "agent.name: other_faults:Other made an Other, expected an Agent: it has no size",
    ),
    "no key at all": ("flagship", "got 'flagship', expected key.path=value"),
    "a Python tag": (
        "agent=!!python/name:os.system",
        "agent: the tag 'tag:yaml.org,2002:python/name:os.system' does not",
    ),
    "huge number": (
        "seed=99999999999999999999",
        "seed: got 99999999999999999999, expected a whole number (of at most 63",
    ),
    "negative number": ("stream.timetable.batch_size=-3", "timetable: batch_size must be at least 1, got -3."),
    "not a number": ("agent.optimizer.lr=.nan", "agent.optimizer.lr: got nan, expected a number (which .nan is not)."),
    "infinite": (
        "record.checkpoint_minutes=.inf",
        "Minutes between two checkpoints must be above 0, or null, got inf.",
    ),
    "too many threads": ("threads=1000000", "threads: got 1000000, expected 1,024 at most, or null"),
    "too many tasks": (
        "stream={name: permuted, data: digits, tasks: 1000000000}",
        "at least one task and at most 10,000",
    ),
    "too large a network": ("agent.network.hidden=[1000000000000]", "there is not enough memory"),
    "no such device": ("agent.device=cuda:99", "agent.device: got 'cuda:99', but torch"),
    "zero epochs": ("stream.timetable.epochs=0", "timetable: epochs must be at least 1, got 0."),
    "zero samples": ("stream.timetable.samples=0", "timetable: samples must be at least 1, got 0."),
    "more samples than there are": (
        "stream.timetable.samples=5000",
        "samples=5000, but task 'A' has 1438 training samples.",
    ),
    "a ramp longer than a visit": ("stream.timetable.ramp=50", "ramp=50 batches, but a visit to task 'B' has 2"),
    "a task that is none": ("stream.timetable.order=A sea", "order names the task 'sea', but tasks are named A, B"),
    "an escape": ('agent="\\ud800"', "holds half a character, which cannot be written"),
    "a terminal's command": ('agent="\\e[2J"', r"got '\x1b[2J', which is not among"),
}


@pytest.mark.parametrize(("setting", "said"), SETTINGS.values(), ids=SETTINGS)
def test_settings(folder: Path, capsys: pytest.CaptureFixture[str], setting: str, said: str) -> None:
    told = refused(folder, ["run", "study.yaml", setting, "--out", "out"], capsys)
    assert said in told
    assert "command line" in told or "study.yaml" in told or "memory" in told


TEXTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "broken.yaml: the file is empty; it needs at least the sections `stream` and `agent`."),
    "no YAML": (b"stream: {name: permuted\n", "broken.yaml:2: this is not YAML: expected ',' or '}'"),
    "cut short": (STUDY[:60].encode(), "broken.yaml:4: this is not YAML: expected the node content"),
    "half of it": (STUDY[:27].encode(), "'agent' is missing: it must be a section with the name of an Agent"),
    "a tab": (b"stream:\n\tname: permuted\n", "broken.yaml:2: this is not YAML: found character '\\t'"),
    "no text": (b"\xff\xfe\x00", "broken.yaml: the file cannot be read as UTF-8 text"),
    "a bomb": (LAUGHS.encode(), "more than 100,000 values or 50 levels: do aliases refer to themselves?"),
    "depth": (b"[" * 1000, "more than 50 levels: nothing here is nested so deeply."),
    "a key twice": (b"seed: 1\nseed: 2\n", "the key 'seed' is given twice, on lines 1 and 2: keep one."),
    "a command": (
        b"agent: !!python/object/apply:os.system [touch canary]\n",
        "the tag 'tag:yaml.org,2002:python/object/apply",
    ),
    "no character": (
        b'seed: "\\UFFFFFFFF"\n',
        "this is not YAML: it names a character, behind a backslash, that there is not",
    ),
    "digits": (b"seed: " + b"9" * 5000, "broken.yaml:1: seed: '9999"),
    "a megabyte": (b"# " + b"x" * 1_100_000, "the file has 1,100,002 bytes; a configuration has at most 1,000,000."),
}


@pytest.mark.parametrize(("text", "said"), TEXTS.values(), ids=TEXTS)
def test_files_that_are_no_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str], text: bytes, said: str
) -> None:
    (folder / "broken.yaml").write_bytes(text)
    assert said in refused(folder, ["run", "broken.yaml", "--out", "out"], capsys)


@pytest.fixture
def busy(folder: Path) -> Iterator[None]:
    """Another process is at work in the folder `taken`."""
    (folder / "taken").mkdir()
    fcntl = pytest.importorskip("fcntl")
    with (folder / "taken/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


PLACES: dict[str, tuple[list[str], str]] = {
    "no such file": (["run", "stduy.yaml"], "stduy.yaml: there is no such file. Did you mean 'study.yaml'?"),
    "a folder for a file": (["run", "."], "is a folder, not a file."),
    "a file for a folder": (["run", "study.yaml", "--out", "worlds.yaml"], "worlds.yaml is a file, not a folder"),
    "a folder in a file": (["run", "study.yaml", "--out", "worlds.yaml/run"], "worlds.yaml/run"),
    "no right to write": (["run", "study.yaml", "--out", "/proc/run"], "/proc/run"),
    "a folder at work": (["run", "study.yaml", "--out", "taken"], "Another process writes in taken: wait for it"),
    "no text for a name": (["run", "study.yaml", "--out", "\udcff"], "is no text"),
    "nothing to go on with": (["resume", "nowhere"], "nowhere holds no config.yaml"),
    "nothing to report": (["report", "nowhere"], "nowhere does not exist: give the folder of a recorded run."),
    "nothing to analyse": (["analyse", "."], ". holds no events.jsonl: give the folder of a recorded run."),
    "nothing to log": (["wandb", "nowhere"], "nowhere does not exist: give the folder of a recorded run."),
    "nothing to compare": (["study", "study.yaml", "--seeds", "x", "--out", "out"], "seeds"),
    "seeds without end": (["study", "study.yaml", "--seeds", "0-999999999999", "--out", "out"], "10,000 are plenty"),
    "nothing to search": (
        ["tune", "study.yaml", "--space", "agent.optimizer.lr", "--out", "out"],
        "agent.optimizer.lr",
    ),
}


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(("words", "said"), PLACES.values(), ids=PLACES)
def test_places(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert said in refused(folder, words, capsys)


RECORDS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a line that is none": (
        lambda run: (run / "events.jsonl").write_text("{}\n"),
        "report",
        "events.jsonl, line 1 is not an event of this version of lifelong",
    ),
    "a record without a head": (
        lambda run: (run / "events.jsonl").write_text(text_of(run).partition("\n")[2]),
        "report",
        "events.jsonl: The record has no RunStarted",
    ),
    "a line in the wrong place": (
        lambda run: (run / "events.jsonl").write_text(text_of(run) + text_of(run)),
        "analyse",
        "(RunStarted at step 0) does not fit to what is before it: the event before is of step 4.",
    ),
    "a number in another's place": (
        lambda run: (run / "events.jsonl").write_text(text_of(run).replace('"segment":1', '"segment":7')),
        "wandb",
        "there is no task 'A' to be judged after segment 7",
    ),
    "a summary of something else": (
        lambda run: (run / "summary.json").write_text("[" * 100_000),
        "report",
        "summary.json is no summary of this version of lifelong",
    ),
    "a configuration that is none": (
        lambda run: (run / "config.yaml").write_text("{"),
        "resume",
        "config.yaml:1: this is not YAML",
    ),
    "a checkpoint of something else": (
        lambda run: [file.write_bytes(b"PK") for file in (run / "checkpoints").iterdir()],
        "resume",
        "is damaged: it is not what was written",
    ),
    "no checkpoint any more": (
        lambda run: shutil.rmtree(run / "checkpoints"),
        "resume",
        "holds no checkpoint any more, and one was saved last as step-000000000004-",
    ),
}


def text_of(run: Path) -> str:
    return (run / "events.jsonl").read_text()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that came to its end."""
    place = prepared(tmp_path_factory.mktemp("recorded"))
    assert main(["run", str(place / "study.yaml"), "--out", str(place / "run")]) == 0
    return place / "run"


@pytest.mark.parametrize(("damage", "command", "said"), RECORDS.values(), ids=RECORDS)
def test_records(
    folder: Path,
    recorded: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], object],
    command: str,
    said: str,
) -> None:
    shutil.copytree(recorded, folder / "run")
    damage(folder / "run")
    if command == "resume":
        (folder / "run/summary.json").unlink()
    assert said in refused(folder, [command, "run"], capsys)


NO_FAULT: dict[str, str] = {
    "a batch larger than the data": "stream.timetable.batch_size=100000",
    "one class alone": "stream={name: class_split, data: digits, groups: [[3]], timetable: {samples: 64}}",
    "one task": "stream.timetable.order=A",
    "one sample": "stream.timetable.samples=1",
}


@pytest.mark.parametrize("setting", NO_FAULT.values(), ids=NO_FAULT)
def test_what_is_unusual_and_no_fault(folder: Path, setting: str) -> None:
    assert main(["run", "study.yaml", setting, "--out", "out"]) == 0
    assert {"config.yaml", "events.jsonl", "summary.json", "scores.csv"} <= {
        file.name for file in (folder / "out").iterdir()
    }
