"""What people see who give something wrong: a table of inputs, each with the decisive words of what is said.

Every row goes through the command: it ends with code 2, without a traceback, and leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifelong.cli import main

STUDY = """\
stream:
  name: permuted
  data: digits
  timetable: {order: A B, epochs: 1, batch_size: 64, samples: 128}
agent: {name: finetune, network: {name: mlp, hidden: [8]}}
evaluation: {within: 0}
record: {wandb: disabled, console: false, report: false}
"""
WORLDS = """\
stream:
  name: worlds
  worlds: [{task: up, env: Pendulum-v1}]
  timetable: {steps: 64, lanes: 2, experience: 32}
  episodes: 1
agent: {name: finetune_rl, algorithm: ppo}
record: {wandb: disabled, console: false, report: false, frames: false}
"""
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)
OWN = """
import torch
from lifelong.experience import Batch, Truth
from lifelong.objective import Classification, Contract
from lifelong.stream import Segment, Task

class Own:
    def __init__(self, label: int = 1, test: int = 1, late: bool = False, wide: int = 2, kind: str = "int64") -> None:
        self.name, self.contract = "own", Contract((2,), 3, Classification())
        self.label, self.late, self.wide, self.kind = label, late, wide, getattr(torch, kind)
        self.tasks = [Task("first", self.contract, torch.zeros(2, 2), torch.tensor([0, test]))]
        self.segments = [Segment("first", 4)]

    def experiences(self, start: int = 0):
        for step in range(start, 4):
            label = 1 if self.late and step < 2 else self.label
            yield Batch(torch.zeros(2, self.wide), torch.tensor([0, label]).to(self.kind), self.contract), Truth("first", 0)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two studies in it and a module."""
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "worlds.yaml").write_text(WORLDS)
    (tmp_path / "own_faults.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def there(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def refused(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said on stderr, by a command that refuses and leaves everything as it was."""
    before = there(folder)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("lifelong: ")
    assert "Traceback" not in said
    assert there(folder) == before
    return said


SETTINGS: dict[str, tuple[str, str]] = {
    "wrong type": ("agent.optimizer.lr=fast", "agent.optimizer.lr: got 'fast', expected a number."),
    "a list for a section": ("agent.optimizer=[1]", "agent.optimizer: got [1], expected a section with settings of Optim"),
    "unknown key": ("agent.optimiser=adam", "agent.optimiser: unknown key. Did you mean 'optimizer'?"),
    "unknown section": ("strem=1", "strem: unknown key. Did you mean 'stream'?"),
    "nothing": ("stream.data=null", "stream.data: got null, expected a section with the name of a DataSource"),
    "empty text": ("agent=''", "agent.name: got '', which is not among lifelong.agents."),
    "no such name": ("agent=finetun", "agent.name: got 'finetun', which is not among lifelong.agents. Did you mean 'finetune'?"),
    "no such module": ("agent=no_where:Agent", "agent.name: 'no_where:Agent' cannot be imported: ModuleNotFoundError"),
    "no such class": ("agent=own_faults:Agent", "agent.name: 'own_faults:Agent' is not there: own_faults has no 'Agent'."),
    "the wrong kind": ("agent=own_faults:Own", "agent.name: own_faults:Own made an Own, expected an Agent: it has no size"),
    "no key at all": ("flagship", "got 'flagship', expected key.path=value"),
    "a Python tag": ("agent=!!python/name:os.system", "agent: the tag 'tag:yaml.org,2002:python/name:os.system' does not"),
    "huge number": ("seed=99999999999999999999", "seed: got 99999999999999999999, expected a whole number (of at most 63"),
    "negative number": ("stream.timetable.batch_size=-3", "timetable: batch_size must be at least 1, got -3."),
    "not a number": ("agent.optimizer.lr=.nan", "agent.optimizer.lr: got nan, expected a number (which .nan is not)."),
    "infinite": ("record.checkpoint_minutes=.inf", "Minutes between two checkpoints must be above 0, or null, got inf."),
    "too many threads": ("threads=1000000", "threads: got 1000000, expected 1,024 at most, or null"),
    "too many tasks": ("stream={name: permuted, data: digits, tasks: 1000000000}", "at least one task and at most 10,000"),
    "too large a network": ("agent.network.hidden=[1000000000000]", "there is not enough memory"),
    "no such device": ("agent.device=cuda:99", "agent.device: got 'cuda:99', but torch"),
    "zero epochs": ("stream.timetable.epochs=0", "timetable: epochs must be at least 1, got 0."),
    "zero samples": ("stream.timetable.samples=0", "timetable: samples must be at least 1, got 0."),
    "more samples than there are": ("stream.timetable.samples=5000", "samples=5000, but task 'A' has 1438 training samples."),
    "a ramp longer than a visit": ("stream.timetable.ramp=50", "ramp=50 batches, but a visit to task 'B' has 2"),
    "a task that is none": ("stream.timetable.order=A sea", "order names the task 'sea', but tasks are named A, B"),
    "an escape": ('agent="\\ud800"', "holds half a character, which cannot be written"),
    "a terminal's command": ('agent="\\e[2J"', r"got '\x1b[2J', which is not among"),
}  # fmt: skip


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
    "a command": (b"agent: !!python/object/apply:os.system [touch canary]\n", "the tag 'tag:yaml.org,2002:python/object/apply"),
    "no character": (b'seed: "\\UFFFFFFFF"\n', "this is not YAML: it names a character, behind a backslash, that there is not"),
    "digits": (b"seed: " + b"9" * 5000, "broken.yaml:1: seed: '9999"),
    "a megabyte": (b"# " + b"x" * 1_100_000, "the file has 1,100,002 bytes; a configuration has at most 1,000,000."),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), TEXTS.values(), ids=TEXTS)
def test_files_that_are_no_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str], text: bytes, said: str
) -> None:
    (folder / "broken.yaml").write_bytes(text)
    assert said in refused(folder, ["run", "broken.yaml", "--out", "out"], capsys)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def mnist(folder: Path, **other: bytes) -> None:
    """Four files of four images, with others in the place of some."""
    for part in ("train", "t10k"):
        made = {"images": idx(np.zeros((4, 8, 8), np.uint8)), "labels": idx(np.arange(4, dtype=np.uint8))}
        for kind, raw in (made | {key: raw for key, raw in other.items() if part == "train"}).items():
            (folder / f"{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte").write_bytes(raw)


def npz(folder: Path, **other: Any) -> None:
    arrays = {"x_train": np.zeros((4, 3)), "y_train": np.arange(4), "x_test": np.zeros((4, 3)), "y_test": np.arange(4)}
    np.savez(folder / "data.npz", **(arrays | other))


def csv(folder: Path, text: str | bytes) -> None:
    (folder / "data.csv").write_bytes(text if isinstance(text, bytes) else text.encode())


IDX, NPZ, CSV = "{name: idx, folder: .}", "{name: npz, file: data.npz}", "{name: csv, file: data.csv}"
DATA: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no file": (lambda here: None, CSV, "There is no file data.csv. The folder . has: own_faults.py"),
    "no folder": (lambda here: None, "{name: idx, folder: $NOWHERE/x}", "an environment variable in this path is not set"),
    "idx of something else": (lambda here: mnist(here, labels=idx(np.zeros((4, 1, 1), np.uint8))), IDX, "magic number 2051"),
    "idx cut short": (lambda here: mnist(here, images=idx(np.zeros((4, 8, 8), np.uint8))[:-9]), IDX, "but 247 follow. The"),
    "idx with a huge header": (lambda here: mnist(here, images=b"\0\0\x08\x03" + b"\xff" * 12), IDX, "but 0 follow. The file"),
    "idx without images": (lambda here: mnist(here, images=idx(np.zeros((0, 8, 8), np.uint8)), labels=idx(np.zeros(0, np.uint8))), IDX, "holds no images"),
    "npz that is none": (lambda here: (here / "data.npz").write_bytes(b"PK"), NPZ, "data.npz is not an .npz archive"),
    "npz of something else": (lambda here: np.savez(here / "data.npz", x=np.zeros(3)), NPZ, "data.npz lacks x_train, y_train"),
    "npz with objects": (lambda here: npz(here, y_train=np.array([{}] * 4)), NPZ, "y_train cannot be read as an array of numbers (it holds Python objects"),
    "npz with words": (lambda here: npz(here, x_train=np.array(["a"] * 4)), NPZ, "x_train cannot be read as an array of numbers (its type is <U1)"),
    "a label that nobody teaches": (lambda here: npz(here, y_test=np.array([0, 1, 2, 7])), NPZ, "the test samples have labels [7] that no training sample has"),
    "a negative label": (lambda here: npz(here, y_train=np.array([0, 1, -2, 3])), NPZ, "hold labels -2..3, outside 0..3. Number the 4 classes from 0."),
    "labels far apart": (lambda here: npz(here, y_train=np.arange(4) * 10**6, y_test=np.arange(4) * 10**6), NPZ, "has labels up to 3,000,000 and 4 different ones"),
    "no samples": (lambda here: npz(here, x_train=np.zeros((0, 3)), y_train=np.arange(0)), NPZ, "needs at least one training and one test sample, got 0 and 4"),
    "more labels than samples": (lambda here: npz(here, y_train=np.arange(5)), NPZ, "4 inputs but 5 targets. There must be one for each."),
    "not a number": (lambda here: npz(here, x_train=np.full((4, 3), np.nan)), NPZ, "train_inputs hold NaN or infinite values in 4 of 4 samples"),
    "targets too large": (lambda here: npz(here, y_train=np.array([1e30, 1, 2, 3]), y_test=np.ones(4)), NPZ, "as large as 1e+30, whose squares are none in float32"),
    "a ragged table": (lambda here: csv(here, "a,b\n1,2\n1,2,3\n"), CSV, "data.csv, line 3: 3 column(s), expected 2 as before."),
    "words in a table": (lambda here: csv(here, "a,b\n1,x\nmany,y\n"), CSV, "data.csv, line 3, column 0 (a): 'many' is not a finite number"),
    "an open quotation mark": (lambda here: csv(here, 'a,b\n"' + "1,2\n" * 50_000), CSV, "Is a quotation mark left open there?"),
    "an empty table": (lambda here: csv(here, ""), CSV, "data.csv holds no rows of data."),
    "no text": (lambda here: csv(here, b"\xff\xfe"), CSV, "data.csv is not UTF-8 text"),
    "one row": (lambda here: csv(here, "a,b\n1,2\n"), CSV, "leaves 1 for training and 0 for testing. Both need at least one"),
    "a bomb": (lambda here: (here / "data.csv.gz").write_bytes(gzip.compress(bytes(1 << 24), 1) * 20), "{name: csv, file: data.csv.gz}", "unpacks to more than 150 times as many, as no data do"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "data", "said"), DATA.values(), ids=DATA)
def test_data(
    folder: Path, capsys: pytest.CaptureFixture[str], given: Callable[[Path], object], data: str, said: str
) -> None:
    given(folder)
    words = ["run", "study.yaml", "stream.timetable.samples=null", f"stream.data={data}", "--out", "out"]
    assert said in refused(folder, words, capsys)


OWN_STREAMS: dict[str, tuple[str, str]] = {
    "a label without an output": (
        "label: 7",
        "Task 'first' has the label 7, and its contract outputs for 0 to 2 alone",
    ),
    "a label below 0": ("label: -100", "Task 'first' has the label -100"),
    "one that nobody could learn": ("test: 3", "cannot live through 'own': Task 'first' has the label 3"),
    "samples of another shape": ("wide: 5", "Task 'first' gave inputs of shape (5,), and its contract says (2,)"),
    "labels of another type": ("kind: int32", "Task 'first' gave targets of type torch.int32 and shape (2,)"),
}


@pytest.mark.parametrize(("settings", "said"), OWN_STREAMS.values(), ids=OWN_STREAMS)
def test_a_stream_of_ones_own(folder: Path, capsys: pytest.CaptureFixture[str], settings: str, said: str) -> None:
    words = ["run", "study.yaml", f"stream={{name: 'own_faults:Own', {settings}}}", "--out", "out"]
    assert said in refused(folder, words, capsys)


def test_a_label_that_comes_late_is_named_and_what_was_lived_is_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = "stream={name: 'own_faults:Own', label: 3, late: true}"
    assert main(["run", "study.yaml", late, "record.checkpoint_every=1", "--out", "out"]) == 2
    assert "Task 'first' has the label 3, and its contract outputs for 0 to 2 alone" in capsys.readouterr().err
    assert len(list((folder / "out/checkpoints").glob("*.pt"))) == 2


WORLD: dict[str, tuple[str, str]] = {
    "an agent for other actions": (
        "agent.algorithm=dqn",
        "world 'up': DQN cannot act in this world or with these settings",
    ),
    "an agent that does not act": ("agent=finetune", "cannot act: it has no live and actor"),
    "no such world": ("stream.worlds=[{task: up, env: Pendulumm-v1}]", "world 'up'"),
    "zero steps": ("stream.timetable.steps=0", "steps"),
    "zero episodes": ("stream.episodes=0", "episodes"),
    "zero lanes": ("stream.timetable.lanes=0", "lanes"),
}


@pytest.mark.parametrize(("setting", "said"), WORLD.values(), ids=WORLD)
def test_worlds(folder: Path, capsys: pytest.CaptureFixture[str], setting: str, said: str) -> None:
    pytest.importorskip("stable_baselines3")
    assert said in refused(folder, ["run", "worlds.yaml", setting, "--out", "out"], capsys)


@pytest.fixture
def busy(folder: Path) -> Iterator[None]:
    """Another process is at work in the folder `taken`."""
    (folder / "taken").mkdir()
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
    "nothing to search": (["tune", "study.yaml", "--space", "agent.optimizer.lr", "--out", "out"], "agent.optimizer.lr"),
}  # fmt: skip


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(("words", "said"), PLACES.values(), ids=PLACES)
def test_places(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert said in refused(folder, words, capsys)


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
