"""The table of faults, continued: data sets, streams of one's own and worlds, each with what people see."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import prepared, refused

from lifelong.cli import main

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
            targets = torch.tensor([0, label]).to(self.kind)
            yield Batch(torch.zeros(2, self.wide), targets, self.contract), Truth("first", 0)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_faults.py").write_text(OWN)
    monkeypatch.chdir(prepared(tmp_path))
    return tmp_path


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
    "no folder": (
        lambda here: None,
        "{name: idx, folder: $NOWHERE/x}",
        "an environment variable in this path is not set",
    ),
    "idx of something else": (
        lambda here: mnist(here, labels=idx(np.zeros((4, 1, 1), np.uint8))),
        IDX,
        "magic number 2051",
    ),
    "idx cut short": (
        lambda here: mnist(here, images=idx(np.zeros((4, 8, 8), np.uint8))[:-9]),
        IDX,
        "but 247 follow. The",
    ),
    "idx with a huge header": (
        lambda here: mnist(here, images=b"\0\0\x08\x03" + b"\xff" * 12),
        IDX,
        "but 0 follow. The file",
    ),
    "idx without images": (
        lambda here: mnist(here, images=idx(np.zeros((0, 8, 8), np.uint8)), labels=idx(np.zeros(0, np.uint8))),
        IDX,
        "holds no images",
    ),
    "npz that is none": (lambda here: (here / "data.npz").write_bytes(b"PK"), NPZ, "data.npz is not an .npz archive"),
    "npz of something else": (
        lambda here: np.savez(here / "data.npz", x=np.zeros(3)),
        NPZ,
        "data.npz lacks x_train, y_train",
    ),
    "npz with objects": (
        lambda here: npz(here, y_train=np.array([{}] * 4)),
        NPZ,
        "y_train cannot be read as an array of numbers (it holds Python objects",
    ),
    "npz with words": (
        lambda here: npz(here, x_train=np.array(["a"] * 4)),
        NPZ,
        "x_train cannot be read as an array of numbers (its type is <U1)",
    ),
    "a label that nobody teaches": (
        lambda here: npz(here, y_test=np.array([0, 1, 2, 7])),
        NPZ,
        "the test samples have labels [7] that no training sample has",
    ),
    "a negative label": (
        lambda here: npz(here, y_train=np.array([0, 1, -2, 3])),
        NPZ,
        "hold labels -2..3, outside 0..3. Number the 4 classes from 0.",
    ),
    "labels far apart": (
        lambda here: npz(here, y_train=np.arange(4) * 10**6, y_test=np.arange(4) * 10**6),
        NPZ,
        "has labels up to 3,000,000 and 4 different ones",
    ),
    "no samples": (
        lambda here: npz(here, x_train=np.zeros((0, 3)), y_train=np.arange(0)),
        NPZ,
        "needs at least one training and one test sample, got 0 and 4",
    ),
    "more labels than samples": (
        lambda here: npz(here, y_train=np.arange(5)),
        NPZ,
        "4 inputs but 5 targets. There must be one for each.",
    ),
    "not a number": (
        lambda here: npz(here, x_train=np.full((4, 3), np.nan)),
        NPZ,
        "train_inputs hold NaN or infinite values in 4 of 4 samples",
    ),
    "targets too large": (
        lambda here: npz(here, y_train=np.array([1e30, 1, 2, 3]), y_test=np.ones(4)),
        NPZ,
        "as large as 1e+30, whose squares are none in float32",
    ),
    "a ragged table": (
        lambda here: csv(here, "a,b\n1,2\n1,2,3\n"),
        CSV,
        "data.csv, line 3: 3 column(s), expected 2 as before.",
    ),
    "words in a table": (
        lambda here: csv(here, "a,b\n1,x\nmany,y\n"),
        CSV,
        "data.csv, line 3, column 0 (a): 'many' is not a finite number",
    ),
    "an open quotation mark": (
        lambda here: csv(here, 'a,b\n"' + "1,2\n" * 50_000),
        CSV,
        "Is a quotation mark left open there?",
    ),
    "an empty table": (lambda here: csv(here, ""), CSV, "data.csv holds no rows of data."),
    "no text": (lambda here: csv(here, b"\xff\xfe"), CSV, "data.csv is not UTF-8 text"),
    "one row": (
        lambda here: csv(here, "a,b\n1,2\n"),
        CSV,
        "leaves 1 for training and 0 for testing. Both need at least one",
    ),
    "a bomb": (
        lambda here: (here / "data.csv.gz").write_bytes(gzip.compress(bytes(1 << 24), 1) * 20),
        "{name: csv, file: data.csv.gz}",
        "unpacks to more than 150 times as many, as no data do",
    ),
}


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
