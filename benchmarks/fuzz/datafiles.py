"""Data files that contradict themselves, or hold what is no data: read as a run would read them. Here: idx files."""

from __future__ import annotations

import gzip
import random
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
from lifelong_envs.supervised.data import DataSource, Idx
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


def idx(place: Path) -> Try:
    """The four files of the MNIST family."""
    small.write_idx(place / "mnist", packed=False)
    names = sorted(file.name for file in (place / "mnist").iterdir())
    whole = {name: (place / "mnist" / name).read_bytes() for name in names}
    bomb = gzip.compress(small.idx_bytes(np.zeros((60, 28, 28), np.uint8))) + gzip.compress(bytes(BOMB // 64), 1) * 64

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
