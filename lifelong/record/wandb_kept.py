"""Which W&B run a run's folder belongs to, so that every attempt at it goes on in the same one."""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

FILE = "lifelong.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """The W&B run's id in its project, and how many rows were logged there as attempts ended.

    Those are no part of the record, and stand between its rows.
    """

    id: str
    project: str
    closing: int = 0

    def save(self, folder: Path) -> None:
        if not self.id:
            return
        (folder / "wandb").mkdir(parents=True, exist_ok=True)
        (folder / "wandb" / FILE).write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    def close(self, folder: Path) -> None:
        """Note that one more attempt has ended."""
        replace(self, closing=self.closing + 1).save(folder)

    def anew(self, folder: Path) -> Kept:
        """This, where the whole record is to be logged offline once more: what earlier attempts wrote is removed."""
        for earlier in (folder / "wandb").glob(f"offline-run-*-{self.id}") if self.id else ():
            shutil.rmtree(earlier, ignore_errors=True)
        fresh = replace(self, closing=0)
        fresh.save(folder)
        return fresh


NOWHERE = Kept("", "")
"""Of a run that is not this folder's own: nothing is kept."""


def kept_for(folder: Path, project: str) -> tuple[Kept, bool]:
    """What is kept of a run's folder in this project, and whether it was there; else a new id is drawn."""
    try:
        told = json.loads((folder / "wandb" / FILE).read_text(encoding="utf-8"))
        kept = Kept(str(told["id"]), str(told["project"]), int(told["closing"]))
        if kept.project == project and kept.id.isalnum() and kept.closing >= 0:
            return kept, True
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # Whatever it is, a new run tells the whole story too.
        pass
    return Kept(secrets.token_hex(4), project), False
