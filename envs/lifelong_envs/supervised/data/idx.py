"""Data sets of the MNIST family (MNIST, Fashion-MNIST, KMNIST, ...), read from their idx files."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lifelong.objective import Classification
from lifelong_envs.supervised.data.dataset import DataSet
from lifelong_envs.supervised.data.files import expanded, listing, read_bytes


@dataclass(frozen=True, slots=True)
class Idx:
    """Images of shape (1, height, width) in [0, 1] from the four idx files in `folder`, plain or .gz.

    ~ and environment variables in `folder` are filled in; its last part is the data set's name.
    `train_limit` keeps the first so many training samples. File format: http://yann.lecun.com/exdb/mnist/
    """

    folder: Path
    train_limit: int | None = None

    def __post_init__(self) -> None:
        if self.train_limit is not None and self.train_limit < 1:
            raise ValueError(f"train_limit={self.train_limit}: keep at least one training sample, or null for all.")

    def load(self, device: torch.device) -> DataSet:
        """The data set on `device`. Raises ValueError for missing, damaged or contradicting files."""
        folder = expanded(Path(self.folder))
        train_images, train_labels = _part(folder, "train", self.train_limit)
        test_images, test_labels = _part(folder, "t10k", None)
        outputs = 1 + int(torch.stack([train_labels.max(), test_labels.max()]).max())
        return DataSet(
            folder.name,
            train_images.to(device).float().div_(255),
            train_labels.to(device).long(),
            test_images.to(device).float().div_(255),
            test_labels.to(device).long(),
            outputs,
            Classification(),
        )


def _part(folder: Path, part: str, limit: int | None) -> tuple[Tensor, Tensor]:
    """Images (N, 1, H, W) and labels (N,), both uint8 on the CPU."""
    images_file, labels_file = (
        _find(folder, f"{part}-images-idx3-ubyte"),
        _find(folder, f"{part}-labels-idx1-ubyte"),
    )
    images, labels = read_idx(images_file, dimensions=3), read_idx(labels_file, dimensions=1)
    if len(images) != len(labels):
        raise ValueError(
            f"{images_file.name} holds {len(images)} images but {labels_file.name} {len(labels)} labels: "
            f"files of different data sets seem to be mixed in {folder}."
        )
    if not len(images):
        raise ValueError(f"{images_file} holds no images.")
    return images[:limit, None], labels[:limit]


def _find(folder: Path, name: str) -> Path:
    # Some archives put a dot where the original names have a dash.
    wanted = [base + ending for base in (name, name.replace("-idx", ".idx")) for ending in (".gz", "")]
    for candidate in wanted:
        if (folder / candidate).is_file():
            return folder / candidate
    raise ValueError(f"Expected {name}.gz or {name} in {folder}. {listing(folder)}")


def read_idx(file: Path, dimensions: int) -> Tensor:
    """The uint8 array in an idx file. Raises ValueError where magic number, header and content disagree."""
    raw = read_bytes(file)
    size = 4 + 4 * dimensions
    magic, expected = int.from_bytes(raw[:4], "big"), 0x0800 + dimensions
    if magic != expected or len(raw) < size:
        raise ValueError(
            f"{file} is not an idx file of unsigned bytes with {dimensions} dimension(s): it starts with the "
            f"magic number {magic}, expected {expected}."
        )
    shape = tuple(int.from_bytes(raw[at : at + 4], "big") for at in range(4, size, 4))
    if len(raw) - size != prod(shape):
        raise ValueError(
            f"{file}: the header promises {' x '.join(map(str, shape))} = {prod(shape)} bytes, "
            f"but {len(raw) - size} follow. The file is cut short or damaged: fetch it again."
        )
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=size).reshape(shape).copy())
