"""A hand-made record of a run in two worlds, A then B: 3 experiences of 256 steps each."""

from __future__ import annotations

from lifelong.events import (
    Event,
    ExpertFound,
    ExpertSpawned,
    FramesDrawn,
    Learned,
    Logged,
    RunFinished,
    RunStarted,
    ShiftDetected,
    TaskEntered,
    TaskFacts,
    TaskScored,
)

Records = list[tuple[int, Event]]
NAN = float("nan")
A, B = "plain", "swapped & <odd>"


def world_run(metric: str = "normalised_return", seed: int = 1, gain: float = 0.0, agent: str = "rl") -> Records:
    """After each segment A scores 0, 0.8, 0.5 and B 0, 0.1, 0.9 + gain; an expert's return is 500, a random one's 0."""
    low, high = (0.0, 1.0) if metric == "success" else (-float("inf"), 1.0 if metric != "return" else float("inf"))
    references = (0.0, 500.0) if metric == "normalised_return" else (None, None)
    tasks = tuple(TaskFacts(name, metric, True, low, high, 10, *references) for name in (A, B))
    unit = 500.0 if metric == "return" else 1.0

    def scored(task: str, score: float, segment: int, seen: bool, at_end: bool = True) -> TaskScored:
        value = score * 500.0 if metric != "success" else score
        return TaskScored(task, value, score * unit, 10 if at_end else 5, segment, at_end, seen, ((0, 900),))

    def learned(returns: list[float]) -> Learned:
        n = len(returns)
        return Learned(0, 256 * n, (0.1,) * n, tuple(returns), (1.0,) * n)

    return [
        (0, RunStarted("worlds", agent, seed, "cpu", tasks, (A, B), (0, 3), 6, 15.0, False, 256)),
        (0, ExpertSpawned(0, 10)),
        (0, scored(A, 0.0, 0, False)),
        (0, scored(B, 0.0, 0, False)),
        (0, TaskEntered(A, 0)),
        (2, learned([NAN, 20.0])),
        (2, Logged(0, {"train/loss": 0.25, "rollout/ep_rew_mean": 20.0})),
        (2, scored(A, 0.4, 0, True, at_end=False)),
        (2, ExpertFound(A, 1, 0, 2, 7.0)),
        (3, learned([40.0])),
        (3, scored(A, 0.8, 1, True)),
        (3, scored(B, 0.1, 1, False)),
        (3, TaskEntered(B, 1)),
        (5, learned([0.0, NAN])),
        (5, ShiftDetected(0, 2, 20.0, 15.0)),
        (5, ExpertSpawned(1, 10, 0)),
        (6, Learned(1, 256, (0.1,), (60.0,), (0.5,))),
        (6, scored(A, 0.5, 2, True)),
        (6, ExpertFound(A, 0, 1, 3, 2.5)),
        (6, scored(B, 0.9 + gain, 2, True)),
        (6, ExpertFound(B, 1, 0, 10, 3.2)),
        (6, RunFinished(2, 20)),
        (6, FramesDrawn(A, "frames/plain.png", 487.5)),
    ]
