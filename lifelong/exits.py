"""What the exit codes of the command line mean."""

from __future__ import annotations

OK, DEFECT, USER_ERROR, INTERRUPTED = 0, 1, 2, 130
"""Fine; a defect, or runs of a study that failed; a mistake to put right; Ctrl-C."""

RECORD_LOST, STOPPED = 74, 75
"""The record could not be written any more; stopped with everything saved, `lifelong resume` goes on (sysexits.h)."""
