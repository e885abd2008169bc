"""Checkpoints that are whole, have the right names and hold something else are refused, and an older one is taken."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import toy_stream

from lifelong.checkpoint import CheckpointError, checkpoints_in, read_checkpoint
from lifelong.lifetime import run
from lifelong.network import Mlp
from lifelong.saving import Saving
from lifelong_agents.finetune import Finetune

Kept = dict[str, Any]
NETWORK = Mlp(hidden=(4,))


def rewritten(path: Path, change: Callable[[Kept], Any]) -> Path:
    """The same checkpoint with other content, under the name that this content has."""
    kept = torch.load(path, weights_only=True)
    path.unlink()
    torch.save(change(kept), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return path.rename(path.with_name(f"{path.name[:17]}-{digest}.pt"))


def random(kept: Kept, **other: Any) -> Kept:
    return {**kept, "random": {**kept["random"], **other}}


UNREADABLE: dict[str, Callable[[Kept], Any]] = {
    "no dictionary": lambda kept: [kept],
    "another format": lambda kept: {**kept, "format": 1},
    "no mark": lambda kept: {key: value for key, value in kept.items() if key != "mark"},
    "a mark of words": lambda kept: {**kept, "mark": ("a", "b", "c")},
    "a mark that is too short": lambda kept: {**kept, "mark": (1,)},
    "a record of words": lambda kept: {**kept, "noted": ("a", 1, [])},
    "a record that is too long": lambda kept: {**kept, "noted": (*kept["noted"], 1)},
}
UNFIT: dict[str, Callable[[Kept], Any]] = {
    "no learner": lambda kept: {**kept, "learner": None},
    "another learner": lambda kept: {**kept, "learner": {"a": torch.zeros(3)}},
    "no random states": lambda kept: {**kept, "random": {}},
    "a random state of words": lambda kept: random(kept, python=(3, ("a",), None)),
    "a random state of numbers that are too large": lambda kept: random(kept, python=(3, (2**70,) * 625, None)),
    "torch's random state cut short": lambda kept: random(kept, torch=torch.zeros(3, dtype=torch.uint8)),
}
NOT_OF_THE_RECORD: dict[str, Callable[[Kept], Any]] = {
    "nothing pending": lambda kept: {**kept, "noted": (*kept["noted"][:2], {})},
    "words pending": lambda kept: {**kept, "noted": (*kept["noted"][:2], {"journal": {"pieces": ["x"]}, "health": {}})},
}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lived") / "run"
    run(toy_stream(), Finetune(NETWORK), out=out, saving=Saving(every=60, minutes=None), report=False)
    return out


@pytest.fixture
def folder(lived: Path, tmp_path: Path) -> Path:
    """A run that was stopped before its end, with two checkpoints."""
    shutil.copytree(lived, tmp_path / "run")
    (tmp_path / "run/summary.json").unlink()
    return tmp_path / "run"


@pytest.mark.parametrize("change", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_checkpoint_cannot_be_read(folder: Path, change: Callable[[Kept], Any]) -> None:
    path = rewritten(checkpoints_in(folder / "checkpoints")[0], change)
    with pytest.raises(CheckpointError, match=r"cannot be read as a checkpoint|is not a checkpoint of this version"):
        read_checkpoint(path)


@pytest.mark.parametrize("change", UNFIT.values(), ids=UNFIT)
def test_what_does_not_fit_is_not_restored(folder: Path, change: Callable[[Kept], Any]) -> None:
    path = rewritten(checkpoints_in(folder / "checkpoints")[0], change)
    with pytest.raises(CheckpointError, match="does not fit Finetune as it is set up now"):
        read_checkpoint(path).restore(Finetune(NETWORK))


@pytest.mark.parametrize(
    "change",
    [UNREADABLE["a mark of words"], UNFIT["no random states"], *NOT_OF_THE_RECORD.values()],
    ids=["unreadable", "unfit", *NOT_OF_THE_RECORD],
)
def test_an_older_one_is_taken_and_the_life_is_the_same(
    folder: Path, lived: Path, change: Callable[[Kept], Any]
) -> None:
    rewritten(checkpoints_in(folder / "checkpoints")[0], change)
    with pytest.warns(UserWarning, match="Going on from step-000000000120-"):
        run(toy_stream(), Finetune(NETWORK), out=folder, resume=True, report=False)
    assert (folder / "events.jsonl").read_bytes() == (lived / "events.jsonl").read_bytes()
