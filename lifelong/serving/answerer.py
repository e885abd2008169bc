"""Who answers: a learner as its run's newest good checkpoint has it, replaced by a newer one as a whole.

Nothing is written in the run's folder, and no lock of it is taken: it belongs to the process that learns.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lifelong.checkpoint import CheckpointError, checkpoints_in, read_checkpoint
from lifelong.experience import Prediction, Query
from lifelong.facts import device_of
from lifelong.learner import Learner
from lifelong.loop import learning
from lifelong.record.folder import RunFolder
from lifelong.serving.answers import answers
from lifelong.serving.asking import Questions
from lifelong.shortage import is_shortage
from lifelong.stream import Task

log = logging.getLogger(__name__)


class NothingYet(Exception):
    """There is no checkpoint to answer from."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Who answers now: the learner, the checkpoint that it is of, and when (seconds since 1970) that was saved."""

    learner: Learner
    name: str
    step: int
    saved: float


class Answerer:
    """Answers from the newest checkpoint of a run's folder that can be read; `look` looks for a newer one.

    The stream and the agent are made by the folder's own config.yaml. Questions may be asked while a checkpoint is
    loaded: they are answered by the learner that was there before. One thread may look; any may ask, one after another.
    Raises FileNotFoundError where the folder holds no run, ValueError where its agent does not predict.
    """

    def __init__(self, folder: Path) -> None:
        from lifelong.config import load_config

        place = RunFolder(folder)
        if not place.config.is_file():
            raise FileNotFoundError(f"{folder} holds no config.yaml: give the folder of a run that was started here.")
        study = load_config(place.config).build()
        tasks = [task for task in study.stream.tasks if isinstance(task, Task)]
        if not tasks:
            raise ValueError(
                f"{folder} cannot be served: {study.stream.name!r} has worlds to act in alone, and what acts has no "
                "predictions to give. Serve a run on a stream of batches."
            )
        learning(study.agent.build())
        self.folder, self.agent, self.stream = folder, study.agent.name, study.stream.name
        self.questions = Questions(tasks)
        self._checkpoints, self._plan, self._source = place.checkpoints, study.agent, study.stream
        self._served: Served | None = None
        self._refused: dict[str, tuple[tuple[int, int] | None, str]] = {}
        self._one_at_a_time = threading.Lock()
        self._described = [_described(task) for task in tasks]

    @property
    def served(self) -> Served | None:
        return self._served

    @torch.no_grad()
    def answer(self, body: bytes) -> dict[str, Any]:
        """Answer a body of JSON, in plain data. Raises Refused for what cannot be asked, NothingYet before all."""
        served = self._served
        if served is None:
            raise NothingYet(self._why_nothing())
        query = self.questions.read(body)
        with self._one_at_a_time:
            prediction = served.learner.predict(query)
        said = answers(prediction, query.contract.objective)
        return {"answers": said, "checkpoint": {"step": served.step, "name": served.name}}

    def look(self) -> bool:
        """Load the newest checkpoint that is good and newer than what is served; whether there was one.

        One that cannot be read is passed over, and not tried again before it changes; one that is gone before it was
        read makes room for the next.
        """
        now = self._served
        passed_over, found = set(), None
        for path in checkpoints_in(self._checkpoints):
            step = int(path.name.split("-")[1])
            if now is not None and (path.name == now.name or step < now.step):
                break
            found = self._tried(path)
            if found is not None:
                break
            passed_over.add(path.name)
        self._refused = {name: why for name, why in self._refused.items() if name in passed_over}
        if found is None:
            return False
        self._served = found
        log.info("answers come from %s now", found.name)
        return True

    def describe(self) -> dict[str, Any]:
        """What is served, in plain data."""
        served = self._served
        checkpoint = None
        if served is not None:
            age = round(max(0.0, time.time() - served.saved), 1)
            checkpoint = {"step": served.step, "name": served.name, "age_seconds": age}
        return {
            "run": str(self.folder),
            "stream": self.stream,
            "agent": self.agent,
            "task_needed": self.questions.needs_task,
            "tasks": self._described,
            "checkpoint": checkpoint,
            "refused": [{"name": name, "why": why} for name, (_, why) in self._refused.items()],
        }

    def _tried(self, path: Path) -> Served | None:
        """The learner of a checkpoint, if that is good and answers; why not is logged, and kept for who asks."""
        before, stamp = self._refused.get(path.name), None
        try:
            stat = path.stat()
            stamp = stat.st_mtime_ns, stat.st_size
            if before is not None and before[0] == stamp:
                return None
            checkpoint = read_checkpoint(path, self._source, device_of(self._source))
            learner = learning(self._plan.build())
            checkpoint.restore(learner)
            self._try(learner)
            return Served(learner, path.name, checkpoint.mark.step, stat.st_mtime)
        except Exception as error:
            # Whatever it is, what is served goes on being served.
            if not path.exists():
                log.info("%s was removed before it was read", path.name)
                return None
            why, cause = str(error).replace(str(path), path.name), error.__cause__ or error
            if isinstance(cause, OSError) or is_shortage(cause):
                # That may pass.
                stamp = None
            if before is None or before[1] != why:
                log.warning("passed over: %s", why, exc_info=not isinstance(error, CheckpointError))
            self._refused = {**self._refused, path.name: (stamp, why)}
            return None

    @torch.no_grad()
    def _try(self, learner: Learner) -> None:
        """Ask a question of each kind: what a learner makes for its first answer is made here, and not while one waits.

        Raises CheckpointError where the answers are no numbers.
        """
        for query in self.questions.samples():
            _must_answer(learner.predict(query), query)

    def _why_nothing(self) -> str:
        refused = "; ".join(why for _, why in self._refused.values())
        return f"there is no checkpoint to answer from yet{': ' + refused if refused else ''}. Ask again in a moment."


def _must_answer(prediction: Prediction, query: Query) -> None:
    wanted = len(query.inputs), query.contract.outputs
    if tuple(prediction.outputs.shape) != wanted or not torch.isfinite(prediction.outputs).all():
        raise CheckpointError(
            f"its learner does not answer samples of the stream with {wanted[1]} finite numbers each: it has diverged."
        )


def _described(task: Task) -> dict[str, Any]:
    contract, inputs = task.contract, task.test_inputs
    return {
        "name": task.name,
        "asks_for": contract.objective.name,
        "input_shape": list(contract.input_shape),
        "input_range": [float(inputs.min()), float(inputs.max())] if task.judged else None,
        "outputs": contract.outputs,
        "outputs_allowed": None if contract.mask is None else list(contract.mask),
        "told_to_the_learner": task.label is not None,
    }
