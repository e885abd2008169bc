"""What is served in tests: small runs on digits, and an ASGI client that needs nothing else."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from lifelong.checkpoint import checkpoints_in, read_checkpoint
from lifelong.config import load_config
from lifelong.config.settings import Study
from lifelong.experience import Prediction, Query
from lifelong.runs import run_config
from lifelong.stream import Task

STUDY = """
stream: {name: permuted, data: digits, timetable: {order: A B, epochs: 1, batch_size: 16, samples: 800}}
agent: {name: flagship, network: {name: mlp, hidden: [32]}, optimizer: {name: adam, lr: 0.01}}
evaluation: {within: 0}
threads: 1
record: {wandb: disabled, console: false, report: false, checkpoint_every: 40, checkpoints_kept: 9}
"""


def live(folder: Path, *overrides: str) -> Path:
    """A run of two worlds that has ended, with a checkpoint after every 40 of its 100 experiences and at the end."""
    folder.mkdir()
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    run_config(load_config(folder / "study.yaml", list(overrides)), folder / "run")
    return folder / "run"


def copied(run: Path, to: Path, count: int) -> tuple[Path, list[Path]]:
    """The run as it was when it had saved its first `count` checkpoints, and those that came later."""
    shutil.copytree(run, to)
    later = checkpoints_in(run / "checkpoints")[::-1][count:]
    for path in later:
        (to / "checkpoints" / path.name).unlink()
    return to, later


@cache
def study_of(run: Path) -> Study:
    return load_config(run / "config.yaml").build()


def tasks_of(run: Path) -> list[Task]:
    return [task for task in study_of(run).stream.tasks if isinstance(task, Task)]


@torch.no_grad()
def predicted(run: Path, place: int, query: Query) -> Prediction:
    """What a learner answers that is restored by hand: from the newest checkpoint (0), the one before (1), ..."""
    study = study_of(run)
    learner: Any = study.agent.build()
    read_checkpoint(checkpoints_in(run / "checkpoints")[place], study.stream).restore(learner)
    answer: Prediction = learner.predict(query)
    return answer


def body_of(inputs: torch.Tensor, task: str | None = None) -> bytes:
    return json.dumps({"inputs": inputs.tolist()} | ({} if task is None else {"task": task})).encode()


class Said:
    """A response: its status, its headers by name, and what its JSON says."""

    def __init__(self, messages: Sequence[dict[str, Any]]) -> None:
        start, *rest = messages
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.text = b"".join(part["body"] for part in rest).decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(
    app: Any,
    method: str,
    path: str,
    parts: Sequence[bytes] = (),
    headers: dict[str, str] | None = None,
    ends: str = "whole",
    cancelled_after: float | None = None,
) -> Said:
    """One request, its body in parts. ends: whole, `gone` (the client, after them) or `never` (nothing more comes)."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http", "server": ("x", 80),
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    }  # fmt: skip
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        if ends == "never":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"} if ends == "gone" else {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def answered() -> None:
        task = asyncio.ensure_future(app(scope, receive, send))
        if cancelled_after is not None:
            asyncio.get_running_loop().call_later(cancelled_after, task.cancel)
        await task

    asyncio.run(answered())
    return Said(sent)
