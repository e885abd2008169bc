"""What a W&B run would upload, read back from the log that it writes offline."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2


def logged(folder: Path) -> list[Any]:
    """All records of the one run in a folder: a LevelDB log with a header of 7 bytes, in blocks of 32 KiB."""
    # W&B's own process writes the last block some time after `finish`, at the latest when it is torn down.
    wandb.teardown()
    record_type: Any = getattr(wandb_internal_pb2, "Record")  # noqa: B009 (made at run time, unknown to type checkers)
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    data, at, whole = path.read_bytes(), 7, b""
    records: list[Any] = []
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            records.append(record_type.FromString(whole))
            whole = b""
    return records


def items(pairs: Any) -> dict[str, Any]:
    return {(pair.key or ".".join(pair.nested_key)): json.loads(pair.value_json) for pair in pairs}


def history(records: list[Any]) -> list[dict[str, Any]]:
    rows = [items(record.history.item) for record in records if record.HasField("history")]
    return [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]


def summary_of(records: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for record in records:
        found |= items(record.summary.update)
    return found


def config_of(records: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for record in records:
        found |= items(record.run.config.update) | items(record.config.update)
    return {name: value for name, value in found.items() if not name.startswith("_")}


def run_of(records: list[Any]) -> Any:
    """How the run was opened: project, run_group, display_name, job_type."""
    (opened,) = [record.run for record in records if record.HasField("run")]
    return opened


def artifacts(records: list[Any]) -> dict[str, Any]:
    """The artifacts that were logged, by name."""
    asked = [record.request.log_artifact.artifact for record in records if record.request.HasField("log_artifact")]
    asked += [record.artifact for record in records if record.HasField("artifact")]
    return {artifact.name: artifact for artifact in asked}


def table(folder: Path, name: str) -> dict[str, Any]:
    (path,) = folder.glob(f"wandb/offline-run-*/files/media/table/{name}_*.table.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content
