"""A study small enough to be run many times, and records to make tables of without running anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lifelong.config import Resolved, load_config
from lifelong.study.engine_here import HereEngine

TINY = """\
stream: {name: study_parts:blobs, order: A B A}
agent: {name: finetune, network: {name: mlp, hidden: [8]}, optimizer: {name: adam, lr: 0.01}}
agents:
  plain: finetune
  slow: {name: finetune, optimizer: {name: sgd, lr: 0.001}}
threads: 1
device: cpu
evaluation: {within: 1}
record: {wandb: disabled}
"""

PARTS = '''
import os
import signal
import time

from lifelong_agents.finetune import Finetune
from lifelong_envs.supervised.scenario import Scenario
from toys import toy_stream


def blobs(order: str = "A B A", scenario: Scenario = Scenario(), seed: int = 0):
    """Permuted blobs."""
    return toy_stream(order, seed, labels=scenario.labels, steps=12)


class Trap(Finetune):
    """Learns as it should until it has learned `after` batches of a run with seed `on`; then it fails."""

    def __init__(self, after: int = 14, on: int = 1, how: str = "raise", seed: int = 0, device: str = "cpu") -> None:
        super().__init__(seed=seed, device=device)
        self._left, self._how = (after if seed == on else 10**9), how

    def learn(self, batch):
        self._left -= 1
        if self._left < 0:
            if self._how == "raise":
                raise RuntimeError("sprung <b>trap</b>\\nsecond line")
            if self._how == "slow":
                time.sleep(float(os.environ.get("STUDY_PARTS_NAP", "0.1")))
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().learn(batch)
'''


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> HereEngine:
    """An engine without processes, also for the command line."""
    monkeypatch.setattr("lifelong.study.run.engine_of", lambda *_: HereEngine())
    return HereEngine()


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Resolved]:
    """Write a configuration and its module into the current folder, and load it with overrides."""
    monkeypatch.chdir(tmp_path)
    tests = Path(__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", str(tests), prepend=":")
    Path("study_parts.py").write_text(PARTS, encoding="utf-8")

    def loaded(*overrides: str, text: str = TINY) -> Resolved:
        Path("tiny.yaml").write_text(text, encoding="utf-8")
        return load_config("tiny.yaml", overrides)

    return loaded
