"""Data files that are damaged, contradict themselves, or hold what is no data: read as a run would read them."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.fuzz import small
from benchmarks.fuzz.text import BYTES
from benchmarks.fuzz.trial import Fault, Try
from lifelong_envs.supervised.class_split import class_split
from lifelong_envs.supervised.data import Csv, DataSource, Idx, Npz
from lifelong_envs.supervised.drifting import drifting
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.timetable import Timetable

CPU = torch.device("cpu")
BOMB = 1 << 29
"""Bytes that unpack from a file of half a million."""


def spoiled(draw: random.Random, raw: bytes, times: tuple[int, ...] = (1, 1, 2, 5)) -> bytes:
    for _ in range(draw.choice(times)):
        raw = draw.choice(BYTES)(draw, raw)
    return raw


def idx(place: Path) -> Try:
    """The four files of the MNIST family."""
    small.write_idx(place / "mnist", packed=False)
    names = sorted(file.name for file in (place / "mnist").iterdir())
    whole = {name: (place / "mnist" / name).read_bytes() for name in names}
    bomb = gzip.compress(small.idx_bytes(np.zeros((60, 28, 28), np.uint8)) + bytes(BOMB), 1)

    def tried(draw: random.Random, here: Path) -> bool:
        folder = here / "mnist"
        folder.mkdir(exist_ok=True)
        files = dict(whole)
        for _ in range(draw.choice((0, 1, 1, 1, 2))):
            name = draw.choice(names)
            raw, kind = files[name], draw.randrange(5)
            if kind == 0:
                at = draw.choice((0, 4, 8, 12))
                size = draw.choice((0, 1, 2, 59, 60, 255, 2049, 2051, 2**16, 2**31, 2**32 - 1))
                raw = raw[:at] + size.to_bytes(4, "big") + raw[at + 4 :]
            elif kind == 1:
                other = files[draw.choice(names)]
                raw = draw.choice((other, other + raw, b"", raw[:4], raw[:8], raw * 2))
            elif kind == 2 and "labels" in name:
                raw = raw[:8] + bytes(draw.choice((0, 9, 255, draw.randrange(256))) for _ in raw[8:])
            else:
                raw = spoiled(draw, raw)
            files[name] = raw
        packed, last = draw.random() < 0.4, draw.choice(names)
        for name in names:
            raw = gzip.compress(files[name], 1) if packed else files[name]
            if packed and name == last and draw.random() < 0.5:
                raw = bomb if draw.random() < 0.02 else spoiled(draw, raw)
            (folder / (name + ".gz" * packed)).write_bytes(raw)
            (folder / (name + ".gz" * (not packed))).unlink(missing_ok=True)
        limit = draw.choice((None, None, 1, 10, 1000))
        return used(Idx(folder, limit), draw, folder)

    return tried


def table(place: Path) -> Try:
    """Text files with a table in them."""
    rows = small.table()
    bomb = gzip.compress(b"1,2\n" * (BOMB // 4), 1)

    def tried(draw: random.Random, here: Path) -> bool:
        delimiter = draw.choice((",", ",", ";", " ", "\t"))
        spoilt = _rows(draw, rows)
        raw = small.csv_text(spoilt, delimiter).encode("utf-8", "surrogatepass")
        kind = draw.randrange(12)
        if kind < 4:
            raw = spoiled(draw, raw)
        elif kind == 4:
            raw = raw.decode(errors="replace").encode(draw.choice(("utf-16", "utf-8-sig", "utf-32")))
        elif kind == 5:
            raw = draw.choice(
                (b"", b"\n", b"a", b"a,b\n", b"1,2\n" * 3, raw[:40], b",".join([b"1"] * 50_000), b'"' + raw)
            )
        packed = draw.random() < 0.3
        if packed:
            raw = gzip.compress(raw, 1)
            if draw.random() < 0.5:
                raw = bomb if draw.random() < 0.02 else spoiled(draw, raw)
        file = here / f"table.csv{'.gz' * packed}"
        file.write_bytes(raw)
        labels = None
        if draw.random() < 0.2:
            labels = here / "labels.csv"
            labels.write_bytes(spoiled(draw, "\n".join(row[-1] for row in rows[1:]).encode()))
        return used(_csv(draw, file, delimiter, labels), draw, file, labels or file)

    return tried


def npz(place: Path) -> Try:
    """Archives of arrays."""
    pixels, labels = small.images()
    parts = {
        "x_train": pixels[: small.TRAIN],
        "y_train": labels[: small.TRAIN],
        "x_test": pixels[small.TRAIN :],
        "y_test": labels[small.TRAIN :],
    }

    def tried(draw: random.Random, here: Path) -> bool:
        file, canary = here / "data.npz", here / "canary"
        arrays: dict[str, Any] = dict(parts)
        kind = draw.randrange(10)
        if kind < 5:
            # Of one array, or of inputs and answers alike, so that they still fit each other.
            both = draw.choice((["x_train", "x_test"], ["y_train", "y_test"], [draw.choice(list(arrays))]))
            change, state = draw.choice(ARRAYS), draw.getstate()
            for name in both:
                draw.setstate(state)
                arrays[name] = change(draw, arrays[name], canary)
        elif kind == 5:
            arrays[draw.choice(("y_train", "x_tran", "X_train", "../x"))] = arrays.pop(draw.choice(list(arrays)))
        raw = _archive(draw, arrays)
        if kind > 5:
            raw = spoiled(draw, raw)
        file.write_bytes(raw)
        try:
            return used(Npz(file), draw, file)
        finally:
            if canary.exists():
                canary.unlink()
                raise Fault("the file ran a command")

    return tried


class _Canary:
    """Whoever unpickles it makes a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, (str(self._file), "w")


ARRAYS: tuple[Callable[[random.Random, np.ndarray, Path], Any], ...] = (
    lambda draw, a, canary: a.astype(draw.choice(("i8", "f4", "f8", "f2", "c8", "?", "u2", "i1", "u8", ">i4", "S3", "U3", "M8[s]"))),
    lambda draw, a, canary: a.astype("i8") * draw.choice((-1, 1000, 10**12, 2**40)) - draw.choice((0, 1, 100)),
    lambda draw, a, canary: a.astype("f8") * draw.choice((float("nan"), float("inf"), 1e300, -1e30, 0.5, 0.0)),
    lambda draw, a, canary: a[: draw.choice((0, 1, 2, 10))],
    lambda draw, a, canary: a.reshape(draw.choice(((-1,), (1, -1), (len(a), -1), (len(a), 1, -1), (1, *a.shape)))),
    lambda draw, a, canary: np.array([_Canary(canary)] * draw.choice((1, len(a))), dtype=object),
    lambda draw, a, canary: np.array([{"a": 1}, None, "x", [1]][: draw.randrange(1, 5)], dtype=object),
    lambda draw, a, canary: np.zeros(len(a), dtype=[("a", "i4"), ("b", "f4")]),
    lambda draw, a, canary: np.array(draw.choice((0, 1.5, "text", True))),
    lambda draw, a, canary: np.zeros((len(a), 0)),
    lambda draw, a, canary: np.concatenate([a, a])[: draw.randrange(len(a), 2 * len(a))],
    lambda draw, a, canary: np.full_like(a, draw.choice((0, 1, 255))),
    lambda draw, a, canary: a.astype("f4") + np.float32(draw.choice((0.5, 1e38))),
)  # fmt: skip


def _archive(draw: random.Random, arrays: dict[str, Any]) -> bytes:
    """As numpy writes it, or with something in it that numpy does not."""
    file = io.BytesIO()
    way = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(file, "w", way, compresslevel=1) as packed:
        for name, array in arrays.items():
            inner = io.BytesIO()
            np.lib.format.write_array(inner, np.asarray(array), allow_pickle=True)
            raw = inner.getvalue()
            kind = draw.randrange(60)
            if kind == 0:
                raw = _header(draw, raw)
            elif kind == 1:
                raw = spoiled(draw, raw)
            elif kind == 2 and way:
                raw = raw + bytes(draw.choice((1, 1000, BOMB if draw.random() < 0.05 else 1000)))
            packed.writestr(f"{name}.npy" if kind != 3 else draw.choice((name, f"{name}.npy.npy", "../y")), raw)
    return file.getvalue()


def _header(draw: random.Random, raw: bytes) -> bytes:
    """Another claim about what follows."""
    shape = draw.choice(
        ("(2147483648, 28)", "(-1, 3)", "()", "(10**9,)", "(1e3,)", "(99999999999999999999,)", "[3]", "(0,)", "None")
    )
    kind = draw.choice(("|u1", "|O", "<f8", "|V99999999", "<U2000000000", "x", "|S0", "m8", "", ("a", "b")))
    said = f"{{'descr': {kind!r}, 'fortran_order': {draw.choice(('False', 'True', '1', 'x'))}, 'shape': {shape}, }}"
    said = draw.choice((said, said + " " * 20_000, "__import__('os').abort()", said[:20], ""))
    text = said.encode() + b"\n"
    return (
        b"\x93NUMPY"
        + draw.choice((b"\x01\x00", b"\x01\x00", b"\x09\x00"))
        + (len(text) % 65536).to_bytes(2, "little")
        + text
        + raw[128:]
    )


def _rows(draw: random.Random, rows: list[list[str]]) -> list[list[str]]:
    """The table with other cells in it."""
    rows = [list(row) for row in rows]
    numbers = ("-1", "1e30", "-1e-300", "1_000", "١", "9" * 300, "+5", " 7 ", "1e308", "0.0", "-0")
    others = (
        "",
        " ",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "x",
        "é",
        "1,5",
        '"',
        "0x1",
        "None",
        "x" * 200_000,
        "\x1b[2J",
        "9" * 400,
    )
    cells = draw.choice((numbers, numbers, others))
    for _ in range(draw.choice((0, 0, 1, 2, 20))):
        draw.choice(rows)[draw.randrange(9)] = draw.choice(cells)
    kind = draw.randrange(12)
    if kind == 0:
        rows = rows[: draw.choice((0, 1, 2, 3))]
    elif kind == 1:
        for row in rows[1:]:
            row[-1] = draw.choice(("a", "a", "b", "0", "1.5", "-3", "x" * 500)) if draw.random() < 0.5 else "a"
    elif kind == 2:
        at = draw.randrange(len(rows))
        rows[at] = draw.choice((rows[at][:-1], [*rows[at], "1"], [], rows[at] * 100))
    elif kind == 3:
        rows = rows[1:]
    return rows


def _csv(draw: random.Random, file: Path, delimiter: str, labels: Path | None) -> Csv:
    """The settings that fit the table, but for one of them now and then."""
    settings: dict[str, Any] = {
        "delimiter": delimiter,
        "task": draw.choice(("classification", "classification", "regression")),
        "split": draw.choice(("random", "time")),
        "standardise": draw.choice(("train", "never")),
    }
    if draw.random() < 0.4:
        which = draw.choice(list(STRANGE))
        settings[which] = draw.choice(STRANGE[which])
    if labels is not None:
        settings["target"] = -1
    return Csv(file, labels_file=labels, **settings)


STRANGE: dict[str, tuple[Any, ...]] = {
    "target": ("class", "nobody", 0, 8, 9, -9, -10, 10**30),
    "delimiter": ("whitespace", "|", "\n", '"', "\r", "é", " ", "\x00", ""),
    "header": (False,),
    "test_share": (0.5, 0.001, 0.999, 1e-9, float("nan")),
    "drop": ([], [0], ["c1"], list(range(9)), [99], ["nobody"]),
}


def used(source: DataSource, draw: random.Random, *named: Path) -> bool:
    """Whether the data can be loaded, served and learned from; who refuses them must name one of the files."""
    try:
        data = source.load(CPU)
    except MemoryError as error:
        raise Fault(f"the file fills the memory: {error}") from error
    except ValueError as error:
        known = *map(str, named), f"{data_name(named[0])!r}", "test_share="
        if not any(name in str(error) for name in known):
            raise Fault(f"a message that names no file: {error}") from error
        raise

    class Loaded:
        def load(self, device: torch.device) -> Any:
            return data

    size = draw.choice((1, 32, 1000))
    streams: list[Callable[[], Any]] = [lambda: permuted(Loaded(), Timetable(batch_size=size), tasks=2)]
    if data.has_classes:
        streams.append(lambda: class_split(Loaded(), Timetable(batch_size=size), classes=data.outputs))
    if len(data.input_shape) == 1:
        streams.append(lambda: drifting(Loaded(), batch_size=size))
    stream = draw.choice(streams)()
    for batch, _ in islice(stream.experiences(), 3):
        loss = batch.contract.objective.loss(torch.zeros(len(batch.inputs), batch.contract.outputs), batch.targets)
        if not torch.isfinite(loss):
            raise Fault("numbers that are none are served")
    return True


def data_name(file: Path) -> str:
    return file.name.split(".")[0]
