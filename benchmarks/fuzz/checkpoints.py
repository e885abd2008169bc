"""Checkpoints that are damaged, of something else, or made to run code: they are refused, and nothing of them runs."""

from __future__ import annotations

import functools
import hashlib
import io
import operator
import os
import pickle
import random
import subprocess
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.fuzz import nasty
from benchmarks.fuzz.small import LIVES, QUIET, write_data
from benchmarks.fuzz.text import BYTES
from benchmarks.fuzz.trial import Fault, Try
from benchmarks.harness import CONFIGS
from lifelong.checkpoint import CheckpointError, checkpoints_in, read_checkpoint
from lifelong.config import load_config
from lifelong.config.settings import Study
from lifelong.lifetime import run
from lifelong.record.folder import RunFolder

BOMB = 1 << 30


@dataclass(frozen=True, slots=True)
class Saved:
    """A life that was saved: what it is made of, its newest checkpoint as bytes, and what is in that."""

    study: Study
    raw: bytes
    kept: dict[str, Any]


def lived(place: Path) -> list[Saved]:
    """Small lives of all kinds, each with its checkpoint."""
    write_data(place / "data")
    os.environ["LIFELONG_DATA"] = str(place / "data")
    lives = list(LIVES.values())
    river = find_spec("river")
    if river is not None and river.origin is not None:
        lives.append(("digits.yaml", lives[0][1], "agent={name: flagship, detector: {name: river}}"))
    found = []
    for number, (config, *words) in enumerate(lives):
        study = load_config(CONFIGS / config, [*QUIET, *words, "reference=null"]).build()
        out = place / f"life-{number}"
        with warnings.catch_warnings(action="ignore"):
            run(study.stream, study.agent.build(), out=out, evaluation=study.schedule, report=False, frames=False)
        path = checkpoints_in(RunFolder(out).checkpoints)[0]
        found.append(Saved(study, path.read_bytes(), read_checkpoint(path, study.stream).kept))
    return found


def files(place: Path) -> Try:
    """Checkpoints as files: read, and put into a learner where they can be read."""
    lives = lived(place)

    def tried(draw: random.Random, here: Path) -> bool:
        canary = here / "canary"
        saved = draw.choice(lives)
        raw = draw.choice(WAYS)(draw, saved, canary)
        digest = hashlib.sha256(saved.raw if draw.random() < 0.1 else raw).hexdigest()
        step = draw.choice(("000000000004", "000000000004", "9" * 12, "1" * 40))
        names = f"step-{step}-{digest[:16]}.pt", f"step-{step}-{digest[:15]}.pt", f"step-{step}.pt", "x.pt"
        path = here / (names[0] if draw.random() < 0.95 else draw.choice(names))
        path.write_bytes(raw)
        stream, learner = saved.study.stream, saved.study.agent.build()
        try:
            read_checkpoint(path, stream).restore(learner, stream)
        except CheckpointError as error:
            if str(path) not in str(error):
                raise Fault(f"a message that names no file: {error}") from error
            raise
        except ValueError as error:
            raise Fault(f"no CheckpointError, but {type(error).__name__}: {error!s:.200}") from error
        finally:
            path.unlink()
            if canary.exists():
                canary.unlink()
                raise Fault("the file ran a command")
        return True

    return tried


def damaged(draw: random.Random, saved: Saved, canary: Path) -> bytes:
    raw = saved.raw
    for _ in range(draw.choice((1, 1, 2, 5))):
        raw = draw.choice(BYTES)(draw, raw)
    return raw


def wrong(draw: random.Random, saved: Saved, canary: Path) -> bytes:
    """What is in it is not what it was."""
    kept = saved.kept
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.choice(_places(kept))
        kept = _with(kept, at, _strange(draw, _part(kept, at)))
    return _saved(kept)


def other(draw: random.Random, saved: Saved, canary: Path) -> bytes:
    """A file of torch's, of something else."""
    kept, format_ = saved.kept, saved.kept["format"]
    return _saved(
        draw.choice(
            (
                torch.zeros(3), [1, 2], 3, "text", None, {}, {"format": format_}, {"format": str(format_)},
                {**kept, "format": format_ + 1}, kept["learner"], {**kept, "learner": {}}, {**kept, "learner": None},
                {**kept, "random": {}}, {**kept, "random": {**kept["random"], "python": (3, (1, 2), None)}},
                {**kept, "random": {**kept["random"], "torch": torch.zeros(3)}}, {**kept, "mark": ()},
                {**kept, "mark": ("a", "b", "c")}, {**kept, "mark": (-1, float("nan"), 0.0)},
                {**kept, "noted": (1, 2, 3)}, {**kept, "noted": (0, "", {})}, {**kept, "stream": {"x": 1}},
                {**kept, "learner": [kept["learner"]] * 2}, {"format": 5},
                torch.nn.Linear(2, 2).state_dict(),
            )
        )
    )  # fmt: skip


def foreign(draw: random.Random, saved: Saved, canary: Path) -> bytes:
    """No file of torch's, or one that torch reads in another way."""
    kind = draw.randrange(6)
    if kind == 0:
        return draw.choice((b"", b"\x00", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x80\x02.", draw.randbytes(2000)))
    if kind == 1:
        return pickle.dumps(draw.choice(({"format": 6}, saved.kept["mark"], [1] * 1000)), protocol=draw.randrange(6))
    if kind == 2:
        module = torch.jit.script(torch.nn.Linear(2, 2))  # type: ignore[no-untyped-call]
        buffer = io.BytesIO()
        torch.jit.save(module, buffer)  # type: ignore[no-untyped-call]
        return buffer.getvalue()
    if kind == 3:
        return _saved(saved.kept, legacy=True)
    if kind == 4:
        return _rewritten(saved.raw, {"data/0": bytes(draw.choice((0, 3, 10_000)))})
    return _rewritten(saved.raw, {"version": draw.choice((b"", b"999\n", b"x")), "byteorder": b"big"})


def hostile(draw: random.Random, saved: Saved, canary: Path) -> bytes:
    """Pickles that would run something."""
    attack = Attack(draw.choice(ATTACKS)(canary))
    kept: Any = draw.choice((attack, [attack], {"format": 6, "learner": attack}, {**saved.kept, "random": attack}))
    if draw.random() < 0.3:
        return (
            pickle.dumps(kept, protocol=draw.choice((0, 2, 4))) if draw.random() < 0.5 else _saved(attack, legacy=True)
        )
    raw = _saved(kept)
    if draw.random() < 0.3:
        return _rewritten(saved.raw, {"data.pkl": pickle.dumps(attack, protocol=2)})
    return raw


def bomb(draw: random.Random, saved: Saved, canary: Path) -> bytes:
    """A small file that means thousands of millions of bytes."""
    kind = draw.randrange(4)
    if kind == 0 and draw.random() < 0.1:
        return _rewritten(saved.raw, {draw.choice(("data.pkl", "data/0", "version")): bytes(BOMB)}, packed=True)
    if kind == 1:
        return _saved({**saved.kept, "learner": torch.zeros(1).expand(10**12)})
    if kind == 2:
        deep: Any = []
        for _ in range(draw.choice((100, 100_000))):
            deep = [deep]
        try:
            return _saved({**saved.kept, "learner": deep})
        except RecursionError:
            return b"\x80\x02" + b"]" * 100_000 + b"."
    laughs: Any = ["x"] * 10
    for _ in range(12):
        laughs = [laughs] * 10
    return _saved({**saved.kept, draw.choice(("learner", "noted", "mark")): laughs})


WAYS: tuple[Callable[[random.Random, Saved, Path], bytes], ...] = (
    damaged, damaged, wrong, wrong, wrong, other, foreign, hostile, hostile, bomb,
)  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """Whoever unpickles it calls something."""

    call: tuple[Callable[..., Any], tuple[Any, ...]]

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


ATTACKS: tuple[Callable[[Path], tuple[Callable[..., Any], tuple[Any, ...]]], ...] = (
    lambda canary: (os.system, (f"touch {canary}",)),
    lambda canary: (subprocess.check_output, (["touch", str(canary)],)),
    lambda canary: (open, (str(canary), "w")),
    lambda canary: (eval, (f"open({str(canary)!r}, 'w')",)),
    lambda canary: (exec, (f"open({str(canary)!r}, 'w')",)),
    lambda canary: (functools.partial, (os.system, f"touch {canary}")),
    lambda canary: (operator.methodcaller, ("touch",)),
    lambda canary: (Path.touch, (canary,)),
    lambda canary: (torch.save, (torch.zeros(1), str(canary))),
    lambda canary: (torch.load, (str(canary),)),
    lambda canary: (getattr, (canary, "touch")),
    lambda canary: (__import__, ("os",)),
    lambda canary: (load_config, (str(canary),)),
    lambda canary: (run, ()),
)


def _saved(data: Any, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(data, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def _rewritten(raw: bytes, parts: dict[str, bytes], packed: bool = False) -> bytes:
    """The same archive with other members."""
    buffer = io.BytesIO()
    way = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(buffer, "w", way, compresslevel=1) as new:
        for name in old.namelist():
            inner = name.partition("/")[2]
            new.writestr(name, parts.get(inner, old.read(name)))
    return buffer.getvalue()


def _places(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: Sequence[tuple[Any, Any]] = ()
    if isinstance(tree, dict):
        inner = list(tree.items())
    elif isinstance(tree, list | tuple):
        inner = list(enumerate(tree))[:20]
    return [place for name, part in inner for place in ((*at, name), *_places(part, (*at, name)))]


def _part(tree: Any, at: tuple[Any, ...]) -> Any:
    return functools.reduce(operator.getitem, at, tree)


MISSING = object()


def _with(tree: Any, at: tuple[Any, ...], value: Any) -> Any:
    """The same data with something else in one place."""
    if not at:
        return value
    first, *rest = at
    inner = _with(tree[first], tuple(rest), value)
    if isinstance(tree, dict):
        return {k: (inner if k == first else v) for k, v in tree.items() if k != first or inner is not MISSING}
    items = [inner if k == first else v for k, v in enumerate(tree) if k != first or inner is not MISSING]
    return tuple(items) if isinstance(tree, tuple) else items


def _strange(draw: random.Random, there: Any) -> Any:
    if draw.random() < 0.2:
        return MISSING
    if isinstance(there, torch.Tensor) and draw.random() < 0.6:
        return draw.choice(
            (
                there.reshape(-1)[:0],
                there.double(),
                there.reshape(-1),
                there * float("nan"),
                there[None],
                torch.zeros(7),
            )
        )
    if isinstance(there, list | tuple | dict) and draw.random() < 0.3:
        return type(there)()
    plain = nasty.value(draw)
    return plain if not isinstance(plain, int) or abs(plain) < 2**63 else draw.choice((plain, torch.zeros(2), b"x"))
