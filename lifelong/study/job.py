"""One cell as a worker is given it: plain data that any process can be sent, and how it is lived through."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ERROR = "error.txt"
"""Why a cell failed, in its folder."""


@dataclass(frozen=True, slots=True)
class Job:
    """Settings written out in full, the file that they came from, the run's folder, and its name in the record.

    place: the folder that the study was started in, from which relative names in the settings are read. is_reference:
    it was added to compare with.
    """

    settings: dict[str, Any]
    source: str
    out: str
    name: str
    place: str
    is_reference: bool = False


def attempt(job: Job) -> str | None:
    """Run a cell, from where it stands. None: it is finished; else why not, in one line, and in full in error.txt.

    Raises RunStopped where a signal asked to stop, once the cell is saved.
    """
    from lifelong.config import load_settings
    from lifelong.runs import Role, run_quietly
    from lifelong.stopping import RunStopped

    out = Path(job.out)
    (out / ERROR).unlink(missing_ok=True)
    try:
        os.chdir(job.place)
        role: Role = "reference" if job.is_reference else "agent"
        run_quietly(load_settings(job.settings, job.source), out, job.name, role)
    except RunStopped:
        # The process was asked to end, not the cell.
        raise
    except Exception as error:
        said = str(error).strip().splitlines() or ["no message"]
        # A list of problems begins with how many there are: the first of them says more.
        first = " ".join(said[:2]) if said[0].endswith(":") else said[0]
        return failed(out, f"{type(error).__name__}: {first}", traceback.format_exc())
    return None


def failed(out: Path, why: str, details: str = "") -> str:
    """Leave word in the cell's folder why it failed; returns the first line of it."""
    out.mkdir(parents=True, exist_ok=True)
    (out / ERROR).write_text(f"{why}\n\n{details}".rstrip() + "\n", encoding="utf-8")
    return why
