"""What the machine went through, beside the record of the life: attempts, checkpoints, stops, with the time of day.

Nothing is made from it. It is for whoever wants to know on a Monday what a run did on Sunday.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lifelong.record.plain import parsed

Did = Literal["began", "resumed", "saved", "not saved", "refused", "stopped", "finished", "failed"]


class Operations:
    """Appends a line of JSON for each operation: when (UTC), which process where, what it did, after how many steps.

    Where the file cannot be written, it is left out: it must not end a run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, did: Did, step: int, detail: str = "") -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"at": now, "host": socket.gethostname(), "pid": os.getpid(), "did": did, "step": step, "detail": detail}
        # Names of files may hold what is no text.
        with suppress(OSError), self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def last(self, did: Did) -> str | None:
        """What was written down with the last operation of this kind; None: there was none, as far as is known."""
        found = None
        with suppress(OSError, ValueError, KeyError, TypeError):
            for line in self._path.read_text(encoding="utf-8").splitlines():
                row = parsed(line)
                found = str(row["detail"]) if row["did"] == did else found
        return found
