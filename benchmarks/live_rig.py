"""What live streams are tried with: a Redis server of one's own, messages, and a learner that remembers them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lifelong.events import Event, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.learner import Size


def said(number: int, label: bool = True, **more: Any) -> str:
    """A message whose input is its number."""
    told: dict[str, Any] = {"id": str(number), "input": [float(number), 1.0]}
    if label:
        told["label"] = number % 3
    return json.dumps(told | more)


def later(number: int) -> str:
    """The label of one that came before."""
    return json.dumps({"for": str(number), "label": number % 3})


class Counting:
    """Remembers the number of every sample that it was taught; asked, it says the first class."""

    def __init__(self) -> None:
        self.learned: list[int] = []

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        self.learned += [round(value) for value in batch.inputs[:, 0].tolist()]
        outputs = torch.zeros(len(batch.inputs), batch.contract.outputs)
        loss = batch.contract.objective.loss(outputs, batch.targets)
        return [Update(0, loss, outputs, batch.targets, batch.contract.objective.metric.per_sample)]

    def predict(self, query: Query) -> Prediction:
        outputs = torch.zeros(len(query.inputs), query.contract.outputs)
        return Prediction(outputs, torch.zeros(len(query.inputs), dtype=torch.int64))

    def size(self) -> Size:
        return Size(1, 1)

    def state_dict(self) -> dict[str, Any]:
        return {"learned": list(self.learned)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.learned = list(state["learned"])


class Server:
    """A Redis server on loopback, which has everything on the disk before it answers. Raises OSError without one."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self._command += ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "warning"]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{port}/0"
        self.start()

    def start(self) -> None:
        import redis

        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                if self.client().ping():
                    return
            except redis.RedisError:
                time.sleep(0.02)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def client(self) -> Any:
        import redis

        return redis.Redis.from_url(self.url, socket_timeout=5)

    def send(self, texts: Sequence[str], key: str = "in") -> None:
        """Send each until the server has said that it has it: it may have it twice then."""
        import redis

        client = self.client()
        for text in texts:
            while True:
                try:
                    client.xadd(key, {"message": text})
                    break
                except redis.RedisError:
                    time.sleep(0.02)
