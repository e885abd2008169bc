"""Data sets in one .npz file with x_train, y_train, x_test and y_test, as CIFAR copies often come."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lifelong_envs.supervised.data.dataset import DataSet
from lifelong_envs.supervised.data.files import existing_file, stem
from lifelong_envs.supervised.data.targets import with_objective

_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, slots=True)
class Npz:
    """Inputs and targets from one .npz file, named after the file.

    uint8 inputs are scaled to [0, 1]; uint8 images (N, H, W, C) become (N, C, H, W) and grey ones (N, H, W)
    become (N, 1, H, W). Other inputs pass as they are, as float32. The objective is inferred from the
    targets: integers are classes, floats that are all 0 or 1 labels, other floats regression. ~ and
    environment variables in `file` are filled in.
    """

    file: Path

    def load(self, device: torch.device) -> DataSet:
        """The data set on `device`. Raises ValueError where the file or an array is missing or unusable."""
        file = existing_file(Path(self.file))
        x_train, y_train, x_test, y_test = _read(file)
        return with_objective(
            stem(file),
            _inputs(x_train.to(device)),
            y_train.to(device),
            _inputs(x_test.to(device)),
            y_test.to(device),
        )


def _read(file: Path) -> list[Tensor]:
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file} is not an .npz archive, or it is cut short. Fetch or write it again.")
    with np.load(file, allow_pickle=False) as arrays:
        missing = [key for key in _KEYS if key not in arrays]
        if missing:
            raise ValueError(
                f"{file} lacks {', '.join(missing)}. Expected {', '.join(_KEYS)}, "
                f"it has {', '.join(arrays.files) or 'nothing'}."
            )
        return [_numbers(file, key, arrays) for key in _KEYS]


def _numbers(file: Path, key: str, arrays: Mapping[str, np.ndarray]) -> Tensor:
    try:
        return torch.from_numpy(arrays[key])
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError) as error:
        raise ValueError(
            f"{file}: {key} cannot be read as an array of numbers ({error}). Write the file again."
        ) from error


def _inputs(inputs: Tensor) -> Tensor:
    if inputs.dtype != torch.uint8:
        return inputs.float()
    if inputs.ndim == 3:
        inputs = inputs[:, None]
    elif inputs.ndim == 4 and inputs.shape[-1] in (1, 3, 4):
        inputs = inputs.permute(0, 3, 1, 2)
    return inputs.contiguous().float().div_(255)
