"""Where experts that nobody has asked for lately are kept: on the disk, and not in memory.

A file is named after what it holds, so that one that is there never changes: a checkpoint that names it stays true.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import torch
from torch import Tensor


class Shelf:
    """Tensors by name, in files of a folder that is made when the first one comes."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def put(self, tensors: dict[str, Tensor]) -> str:
        """Write the tensors, whole or not at all; returns the name to `take` them by."""
        buffer = io.BytesIO()
        torch.save({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, buffer)
        digest = hashlib.sha256()
        for name, tensor in sorted(tensors.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        ticket = digest.hexdigest()[:32]
        path = self._path(ticket)
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            pending = path.with_suffix(f".{os.getpid()}.pending")
            with pending.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(pending, path)
        return ticket

    def take(self, ticket: str, device: torch.device) -> dict[str, Tensor]:
        """What was put under this name. Raises ValueError where it is not there any more."""
        path = self._path(ticket)
        try:
            tensors: dict[str, Tensor] = torch.load(path, map_location=device, weights_only=True)
        except (OSError, RuntimeError, EOFError) as error:
            raise ValueError(
                f"An expert was put away in {path}, which cannot be read ({error}). Put the file back where it was, or "
                "set archive to the folder that it is in now."
            ) from error
        return tensors

    def bytes(self, ticket: str) -> int:
        """What a file takes on the disk."""
        return self._path(ticket).stat().st_size

    def _path(self, ticket: str) -> Path:
        return self.folder / f"{ticket}.pt"
