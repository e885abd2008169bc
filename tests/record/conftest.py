"""A made-up run, A B C A D, with everything in it that a record can hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lifelong.events import (
    Event,
    ExpertChosen,
    ExpertSpawned,
    Learned,
    ParameterHeld,
    RolledBack,
    RunFinished,
    RunStarted,
    ShiftDetected,
    ShiftDismissed,
    SubspaceGrown,
    TaskEntered,
    TaskFacts,
    TaskScored,
)

Records = list[tuple[int, Event]]
NAMES = {"A": "digits", "B": "letters & <marks>", "C": "kuzushiji", "D": "fashion"}


def made_up_run(agent: str = "flagship", segments: str = "ABCAD", steps: int = 400, seed: int = 7) -> Records:
    """A run of the agent `flagship` (one expert a task) or `finetune` (one network, no detector)."""
    rng = np.random.default_rng(seed)
    clever = agent == "flagship"
    tasks = [NAMES.get(letter, f"task {letter}") for letter in dict.fromkeys(segments)]
    truth = [NAMES.get(letter, f"task {letter}") for letter in segments]
    records: Records = []

    def add(step: int, event: Event) -> None:
        records.append((step, event))

    add(
        0,
        RunStarted(
            stream="made-up images",
            agent=agent,
            seed=seed,
            device="cpu",
            tasks=tuple(TaskFacts(name, "accuracy", True, 0.0, 1.0, 1000) for name in tasks),
            segments=tuple(truth),
            segment_starts=tuple(steps * k for k in range(len(truth))),
            steps=steps * len(truth),
            threshold=15.0 if clever else None,
        ),
    )
    add(0, ExpertSpawned(0, 89_610))
    skill = dict.fromkeys(tasks, 0.1)
    owner: dict[str, int] = {}

    def judge(step: int, segment: int, at_end: bool, seen: set[str]) -> None:
        for name in tasks:
            expert = owner.get(name, 0)
            score = float(np.clip(skill[name] + rng.normal(0, 0.004), 0, 1))
            routed = ((expert, 970), ((expert + 1) % 4, 30)) if clever and name in seen else ((expert, 1000),)
            add(step, TaskScored(name, score, score, 1000, segment, at_end, name in seen, routed))

    judge(0, 0, True, set())
    seen: set[str] = set()
    expert = 0
    for k, name in enumerate(truth):
        start = steps * k
        add(start, TaskEntered(name, k))
        delay = 3 if k else 0
        if clever and k:
            statistics = [*(rng.exponential(1.5) for _ in range(delay - 1)), 41.5]
            add(start + delay, _block(expert, rng, 0.12, delay, statistics))
            add(start + delay, ShiftDetected(expert, delay, 41.5, 15.0))
            add(start + delay, RolledBack(expert, delay))
            if name not in owner:
                add(start + delay, ExpertSpawned(k if k < 3 else k - 1, 89_610, parent=0))
            expert = owner.get(name, k if k < 3 else k - 1)
            add(start + delay, ExpertChosen(expert, 0.9 if name not in owner else 0.02))
        if clever:
            owner.setdefault(name, expert)
        else:
            owner[name] = 0
            delay = 0
        seen.add(name)
        first = skill[name] if not clever else max(skill[name], 0.1)
        marks = [round(steps * look / 5) for look in range(1, 6)]
        at = delay
        for mark in marks:
            n = mark - at
            level = 0.965 - (0.965 - first) * np.exp(-4 * mark / steps)
            statistics = rng.exponential(1.5, n).tolist() if clever else [0.0] * n
            add(start + mark, _block(expert if clever else 0, rng, level, n, statistics))
            at = mark
            skill[name] = level
            for other in tasks:
                if other != name and not clever:
                    skill[other] = 0.12 + (skill[other] - 0.12) * 0.72
            if clever and k == 1 and mark == marks[2]:
                add(start + mark, ShiftDetected(expert, 4, 16.2, 15.0))
            if clever and k == 3 and mark == marks[1]:
                add(start + mark, ShiftDismissed(expert, 2, 15.4, 15.0))
            if mark != steps:
                judge(start + mark, k, False, seen)
        if clever:
            for layer, size, rank in (("layers.0", 784, 90), ("layers.1", 100, 40), ("head", 100, 12)):
                add(start + steps, SubspaceGrown(expert, layer, min(size, rank + 20 * k), size, 0.97))
        judge(start + steps, k + 1, True, seen)
    end = steps * len(truth)
    experts = len(set(owner.values()))
    if clever:
        add(end, ParameterHeld(0, "layers.0.weight", (100, 784), "protected", "Gpm", 196, 784))
        add(end, ParameterHeld(0, "layers.0.bias", (100,), "frozen", "used by <relu>", 1, 1))
        add(end, ParameterHeld(0, "head.weight", (10, 100), "per expert", "of expert-0 alone", 0, 1))
    add(end, RunFinished(experts, 89_610 * experts))
    return records


def _block(expert: int, rng: np.random.Generator, level: float, n: int, statistics: list[float]) -> Learned:
    scores = np.clip(level + rng.normal(0, 0.06, n), 0, 1).round(6)
    losses = (-np.log(scores + 0.02)).round(6)
    return Learned(expert, 32 * n, tuple(losses.tolist()), tuple(scores.tolist()), tuple(map(float, statistics)))


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Records]:
    """Gives `made_up_run(agent, segments, steps, seed)`."""
    return made_up_run
