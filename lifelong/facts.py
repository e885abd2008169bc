"""What a record says before anything has happened: the stream, the agent, and what the numbers depend on."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate

import torch

from lifelong.events import RunStarted, TaskFacts
from lifelong.interaction import Interaction
from lifelong.learner import Agent, Awaiting, Watchful
from lifelong.stream import EnvTask, Live, Stream, Task


def versions() -> dict[str, str]:
    """Versions of what a run's numbers depend on."""
    found = {"python": platform.python_version(), "torch": torch.__version__}
    for package in ("lifelong", "numpy"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def started(stream: Stream, learner: Agent, name: str, seed: int) -> RunStarted:
    steps = [segment.steps for segment in stream.segments]
    # What happens elsewhere cannot be looked into beforehand: nothing is revealed there.
    first = None if isinstance(stream, Live) else next(iter(stream.experiences()))[0]
    return RunStarted(
        stream=stream.name,
        agent=name,
        seed=seed,
        device=device_of(stream),
        tasks=tuple(_facts(task) for task in stream.tasks),
        segments=tuple(segment.task for segment in stream.segments),
        segment_starts=tuple(accumulate(steps, initial=0))[: len(steps)],
        steps=sum(steps),
        threshold=learner.threshold if isinstance(learner, Watchful) else None,
        oracle=(first is not None and first.task is not None) or any(task.label is not None for task in stream.tasks),
        env_steps_per_experience=first.steps if isinstance(first, Interaction) else None,
        awaits_ends=isinstance(learner, Awaiting) and learner.awaits_ends,
    )


def device_of(stream: Stream) -> str:
    """Where the stream's tensors lie; worlds to act in are on the CPU."""
    return next((str(task.test_inputs.device) for task in stream.tasks if isinstance(task, Task)), "cpu")


def _facts(task: Task | EnvTask) -> TaskFacts:
    if isinstance(task, Task):
        metric = task.contract.objective.metric
        return TaskFacts(
            task.name, metric.name, metric.higher_is_better, metric.low, metric.high, len(task.test_inputs)
        )
    if task.measure == "success":
        return TaskFacts(task.name, "success", True, 0.0, 1.0, task.episodes)
    scale = task.references
    if scale is None:
        return TaskFacts(task.name, "return", True, float("-inf"), float("inf"), task.episodes)
    return TaskFacts(
        task.name, "normalised_return", True, float("-inf"), 1.0, task.episodes, scale.random, scale.expert
    )
