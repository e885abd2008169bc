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
    """Tensors by name, in files of a folder that is made when the first one comes.

    folder: ~ is the home; a relative one is meant from where the process is now. Raises ValueError where no such folder
    can be made or written to.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).expanduser().absolute()
        there = self._nearest()
        if not there.is_dir():
            raise ValueError(
                f"archive: {self.folder} cannot be a folder for experts, {there} is a file. Set archive to a folder, "
                "which need not exist yet."
            )
        if not os.access(there, os.W_OK | os.X_OK):
            raise ValueError(
                f"archive: nothing can be written to {self.folder}, for {there} may not be changed. Set archive to a "
                "folder of your own, or give yourself the right to write there."
            )

    def put(self, tensors: dict[str, Tensor]) -> str:
        """Write the tensors, whole or not at all; returns the name to `take` them by."""
        buffer = io.BytesIO()
        torch.save({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, buffer)
        ticket = _ticket(tensors)
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
        """What was put under this name. Raises ValueError where it is not there any more, or not what it was."""
        path = self._path(ticket)
        try:
            written = path.read_bytes()
        except OSError as error:
            raise ValueError(
                f"An expert was put away in {path}, which cannot be read ({error}). Put the file back where it was, or "
                "set archive to the folder that it is in now."
            ) from error
        try:
            tensors: dict[str, Tensor] = torch.load(io.BytesIO(written), map_location="cpu", weights_only=True)
            whole = _ticket(tensors) == ticket
        except Exception as error:
            # Bytes that are none of torch's make it fail in any way that there is.
            raise _damaged(path) from error
        if not whole:
            raise _damaged(path)
        return {name: tensor.to(device) for name, tensor in tensors.items()}

    def bytes(self, ticket: str) -> int:
        """What a file takes on the disk."""
        return self._path(ticket).stat().st_size

    def _nearest(self) -> Path:
        """The folder, or what there is of the way to it."""
        try:
            return next(place for place in (self.folder, *self.folder.parents) if place.exists())
        except OSError as error:
            raise ValueError(
                f"archive: {self.folder} cannot be a folder for experts ({error}). Set archive to another one."
            ) from error

    def _path(self, ticket: str) -> Path:
        return self.folder / f"{ticket}.pt"


def _ticket(tensors: dict[str, Tensor]) -> str:
    """A name that only the same tensors have."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]


def _damaged(path: Path) -> ValueError:
    return ValueError(
        f"An expert was put away in {path}, and the file is damaged: it does not hold what was written. Put back a "
        "copy of it, or begin anew with an empty archive."
    )
