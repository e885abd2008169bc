"""All kinds of bad input, and how many cases of each are tried."""

from __future__ import annotations

from benchmarks.fuzz import archives, checkpoints, configs, datafiles, messages, records, tables
from benchmarks.fuzz.trial import Family

FAMILIES = (
    Family("settings", 4500, 150, configs.trees),
    Family("yaml", 3500, 150, configs.texts),
    Family("overrides", 2000, 100, configs.overrides),
    Family("runs", 1000, 20, configs.commands),
    Family("idx", 3000, 300, datafiles.idx),
    Family("csv", 4000, 300, tables.table),
    Family("npz", 4000, 300, archives.npz),
    Family("messages", 3000, 200, messages.lines),
    Family("checkpoints", 1500, 100, checkpoints.files),
    Family("records", 1500, 60, records.folders),
)
