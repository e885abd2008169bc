"""What must still be there when the power fails."""

from __future__ import annotations

import os
from pathlib import Path


def settle_names(folder: Path) -> None:
    """Force the folder itself onto the disk: a rename that is only in memory is lost with the power."""
    try:
        place = os.open(folder, os.O_RDONLY)
    except OSError:
        # Not everywhere can a folder be opened.
        return
    try:
        os.fsync(place)
    except OSError:
        pass
    finally:
        os.close(place)
