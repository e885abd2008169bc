"""A learner on disk: written whole or not at all, read back without running anything that it contains.

Tensors and plain data pass through torch's restricted unpickler; beyond those it admits only the frozen dataclasses of
this library and the objectives of the stream that the run itself uses.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lifelong import experience, objective
from lifelong.learner import Agent
from lifelong.stream import Lived, Stream, Task

FORMAT = 5


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or was written by something else."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a checkpoint stands: experiences learned, seconds that the run had taken, and those of the CPU."""

    step: int
    seconds: float
    cpu_seconds: float = 0.0


def save_checkpoint(path: Path, mark: Mark, learner: Agent, stream: Stream | None = None) -> None:
    """Write the learner, torch's and numpy's random states and, of a stream that is lived in, its worlds.

    The file appears only when it is complete.
    """
    kept = {
        "format": FORMAT,
        "step": mark.step,
        "seconds": mark.seconds,
        "cpu_seconds": mark.cpu_seconds,
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "random_numpy": plain_state(np.random.get_state(legacy=False)),
        "learner": learner.state_dict(),
        "stream": stream.state_dict() if isinstance(stream, Lived) else None,
    }
    pending = path.with_suffix(".pending")
    with pending.open("wb") as file:
        torch.save(kept, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(pending, path)


def load_checkpoint(path: Path, learner: Agent, stream: Stream, device: str) -> Mark:
    """Restore the learner, the random states and the worlds of a stream that is lived in. Raises CheckpointError."""
    try:
        with torch.serialization.safe_globals(_admitted(stream)):
            kept: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}") from error
    if not isinstance(kept, dict) or kept.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this version of lifelong (format {FORMAT}).")
    learner.load_state_dict(kept["learner"])
    torch.set_rng_state(kept["random"].cpu())
    np.random.set_state(kept["random_numpy"])
    if isinstance(stream, Lived):
        stream.load_state_dict(kept["stream"])
    if kept["random_cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in kept["random_cuda"]])
    return Mark(kept["step"], kept["seconds"], kept.get("cpu_seconds", 0.0))


def plain_state(state: dict[str, Any]) -> dict[str, Any]:
    """A numpy generator's state as numbers and text: its arrays as lists."""
    return {
        key: plain_state(value) if isinstance(value, dict) else value.tolist() if hasattr(value, "tolist") else value
        for key, value in state.items()
    }


def _admitted(stream: Stream) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    known = [
        objective.Contract,
        experience.Batch,
        objective.Classification,
        objective.MultiLabel,
        objective.Regression,
        objective.Accuracy,
        objective.LabelAccuracy,
        objective.Explained,
        objective.AbsoluteError,
    ]
    for task in (task for task in stream.tasks if isinstance(task, Task)):
        known += [type(task.contract.objective), type(task.contract.objective.metric)]
    return list(dict.fromkeys(known))
