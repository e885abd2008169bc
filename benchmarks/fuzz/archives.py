"""Archives of arrays that numpy did not write, or that hold what no data set does."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz import small
from benchmarks.fuzz.datafiles import BOMB, spoiled, used
from benchmarks.fuzz.trial import Fault, Try
from lifelong_envs.supervised.data import Npz


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


TYPES = ("i8", "f4", "f8", "f2", "c8", "?", "u2", "i1", "u8", ">i4", "S3", "U3", "M8[s]")

ARRAYS: tuple[Callable[[random.Random, np.ndarray, Path], Any], ...] = (
    lambda draw, a, canary: a.astype(draw.choice(TYPES)),
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
