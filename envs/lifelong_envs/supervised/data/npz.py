"""Data sets in one .npz file with x_train, y_train, x_test and y_test, as CIFAR copies often come."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lifelong_envs.supervised.data.dataset import DataSet
from lifelong_envs.supervised.data.few import few
from lifelong_envs.supervised.data.files import existing_file, is_bomb, stem
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
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            there = [name.removesuffix(".npy") for name in names if name.endswith(".npy")]
            missing = [key for key in _KEYS if f"{key}.npy" not in names]
            if missing:
                raise _Refused(
                    f"{file} lacks {', '.join(missing)}. Expected {', '.join(_KEYS)}, it has {few(there) or 'nothing'}."
                )
            return [_numbers(file, key, archive) for key in _KEYS]
    except _Refused:
        raise
    except Exception as error:
        # The ways in which an archive can be damaged have errors of all kinds.
        raise ValueError(f"{file} is damaged ({type(error).__name__}: {error}). Fetch or write it again.") from error


class _Refused(ValueError):
    """In our own words already."""


def _numbers(file: Path, key: str, archive: zipfile.ZipFile) -> Tensor:
    try:
        _check_size(archive.getinfo(f"{key}.npy"), archive)
        with archive.open(f"{key}.npy") as member:
            return torch.from_numpy(_plain(np.lib.format.read_array(member, allow_pickle=False)))
    except MemoryError as error:
        raise _Refused(
            f"{file}: there is not enough memory for {key}. Save fewer samples, or smaller types."
        ) from error
    except Exception as error:
        raise _Refused(
            f"{file}: {key} cannot be read as an array of numbers ({error}). Write the file again."
        ) from error


def _check_size(said: zipfile.ZipInfo, archive: zipfile.ZipFile) -> None:
    """Raises ValueError where an array is promised that is not in there, before room is made for it."""
    with archive.open(said) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(member)
        promised = member.tell() + prod(shape) * kind.itemsize
    if kind.hasobject:
        raise ValueError("it holds Python objects, which can run code")
    if promised != said.file_size:
        raise ValueError(f"it promises {promised:,} bytes, and {said.file_size:,} are there")
    if is_bomb(said.compress_size, said.file_size):
        raise ValueError(
            f"{said.compress_size:,} bytes unpack to {said.file_size:,}: save it with np.savez if this is meant"
        )


def _plain(array: np.ndarray) -> np.ndarray:
    """The same numbers in a type that torch can count with."""
    kind = array.dtype.kind
    if kind not in "biuf":
        raise TypeError(f"its type is {array.dtype}")
    if kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError("its numbers are larger than any that torch knows")
    wanted = {"u": array.dtype if array.dtype == np.uint8 else np.int64, "f": min(array.dtype, np.dtype("f8"))}
    return array.astype(np.dtype(wanted.get(kind, array.dtype)).newbyteorder("="), copy=False)


def _inputs(inputs: Tensor) -> Tensor:
    if inputs.dtype != torch.uint8:
        return inputs.float()
    if inputs.ndim == 3:
        inputs = inputs[:, None]
    elif inputs.ndim == 4 and inputs.shape[-1] in (1, 3, 4):
        inputs = inputs.permute(0, 3, 1, 2)
    return inputs.contiguous().float().div_(255)
