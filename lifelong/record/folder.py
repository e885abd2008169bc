"""A run's folder: what every file in it is called, and the rule that a run is never written over."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lifelong.evaluation.summary import Summary
from lifelong.record.jsonl import events_in
from lifelong.record.lock import LOCK, alone_in
from lifelong.record.parts import parts_of
from lifelong.record.plain import decode, encode, parsed

REFERENCE = "reference"
"""The folder, inside a run's own, of the agent that it is compared with."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run. Making the object touches nothing on the disk."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved settings, enough to run the same again."""
        return self.path / "config.yaml"

    @property
    def events(self) -> Path:
        """The source of truth: what is written now. What was full before lies beside it, numbered."""
        return self.path / "events.jsonl"

    @property
    def has_record(self) -> bool:
        """Whether anything was recorded here, in one part or several."""
        return bool(parts_of(self.events))

    @property
    def scores(self) -> Path:
        return self.path / "scores.csv"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def operations(self) -> Path:
        """What the machine went through: attempts, checkpoints, stops."""
        return self.path / "operations.jsonl"

    @property
    def wandb(self) -> Path:
        return self.path / "wandb"

    def holds_run(self) -> bool:
        """Whether a run was ever started here."""
        return self.has_record or self.summary.exists() or any(self.checkpoints.glob("step-*.pt"))

    def create(self) -> RunFolder:
        """Make the folder for a new run. Raises FileExistsError where a run is in it already."""
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(f"{self.path} is a file, not a folder: choose another folder for this run.")
        if self.holds_run():
            raise FileExistsError(
                f"{self.path} already holds a run, and a run is never written over: choose another folder, "
                "resume that run, or remove the folder first."
            )
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        return self

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside, no other process writes in this folder. Raises FileExistsError where another one does."""
        with alone_in(self.path, f"Another process{self._by_whom()} writes", again=True):
            yield

    def _by_whom(self) -> str:
        """Who wrote down last what it did here, as far as that is known."""
        with suppress(OSError, ValueError, IndexError, KeyError, TypeError):
            last = parsed(self.operations.read_text(encoding="utf-8").splitlines()[-1])
            if last["pid"] != os.getpid():
                return f" ({last['pid']} on {last['host']})"
        return ""

    @contextmanager
    def begun(self) -> Iterator[RunFolder]:
        """Inside, a new run begins here. Where it fails before an experience was learned, nothing of it is left.

        Raises FileExistsError where a run is in the folder already.
        """
        own = self.config, self.events, self.scores, self.checkpoints, self.wandb, self.operations
        there = [path for path in own if path.exists()]
        is_new = not self.path.exists() or {path.name for path in self.path.iterdir()} <= {LOCK}
        try:
            yield self.create()
        except Exception:
            if not self._was_lived():
                for path in [self.path] if is_new else [path for path in own if path not in there]:
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            raise

    def _was_lived(self) -> bool:
        """Whether any run in here, also one that this one is compared with, has learned an experience."""
        if any(
            any(path.glob("step-*.pt")) for path in (self.checkpoints, *self.path.glob(f"*/{self.checkpoints.name}"))
        ):
            return True
        records = [path for path in (self.events, *self.path.glob(f"*/{self.events.name}")) if path.is_file()]
        try:
            return any(step > 0 for path in records for step, _ in events_in(path))
        except ValueError:
            # Whatever it is, it is not of a run that has just begun.
            return True

    def require(self) -> RunFolder:
        """This folder, if a run was recorded in it. Raises FileNotFoundError where none was."""
        if not self.has_record and self.holds_run():
            raise FileNotFoundError(
                f"{self.path} holds checkpoints or a summary and no {self.events.name}, without which they are of no "
                "use: put a copy of it back, or begin the run in another folder."
            )
        if not self.has_record:
            runs = sorted(self.path.glob(f"*/seed-*/{self.events.name}"))
            if runs:
                raise FileNotFoundError(
                    f"{self.path} is the folder of a study: give one or more of its {len(runs)} runs, such as "
                    f"{runs[0].parent}."
                )
            reason = "holds no events.jsonl" if self.path.is_dir() else "does not exist"
            raise FileNotFoundError(f"{self.path} {reason}: give the folder of a recorded run.")
        return self

    def write_summary(self, summary: Summary) -> None:
        """Write summary.json, readable by people and by `read_summary`."""
        text = json.dumps(encode(summary), indent=2, allow_nan=False, ensure_ascii=False)
        self.summary.write_text(text + "\n", encoding="utf-8")

    def read_summary(self) -> Summary:
        """The summary written at the run's end. Raises FileNotFoundError before that.

        Raises ValueError where the file is something else.
        """
        try:
            plain = parsed(self.summary.read_text(encoding="utf-8"))
            summary = decode(Summary, plain)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{self.summary} is no summary of this version of lifelong: {error}.") from error
        assert isinstance(summary, Summary)
        return summary
