"""Records of made-up lives, told by the scores at their looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifelong.evaluation.trace import Trace, trace_of
from lifelong.events import Event, Learned, RunStarted, TaskEntered, TaskFacts, TaskScored


def life(
    order: str,
    looks: Mapping[int, Sequence[float]],
    steps: int = 10,
    prequential: Sequence[float] | None = None,
    tasks: str | None = None,
    seed: int = 0,
    more: Sequence[tuple[int, Event]] = (),
) -> Trace:
    """A life through segments of `steps` experiences; looks: at a step the score on each task."""
    names = list(dict.fromkeys(tasks or order))
    facts = tuple(TaskFacts(name, "accuracy", True, 0.0, 1.0, 100) for name in names)
    starts = tuple(steps * k for k in range(len(order)))
    total = steps * len(order)
    events: list[tuple[int, Event]] = [
        (0, RunStarted("made up", "agent", seed, "cpu", facts, tuple(order), starts, total))
    ]
    events += [(starts[k], TaskEntered(name, k)) for k, name in enumerate(order)]
    scores = tuple(prequential or [0.5] * total)
    events += [(total, Learned(0, total, (0.0,) * total, scores, (0.0,) * total))]
    for step, row in looks.items():
        for name, score in zip(names, row, strict=True):
            seen = name in order[: -(-step // steps)]
            events.append((step, TaskScored(name, score, score, 100, step // steps, step % steps == 0, seen)))
    return trace_of([*events, *more])
