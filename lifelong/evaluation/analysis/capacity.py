"""Room to learn: how many directions of each layer are taken, segment by segment."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.evaluation.trace import Trace
from lifelong.events import ParameterHeld, SubspaceGrown


@dataclass(frozen=True, slots=True)
class Used:
    """A layer of one expert: of its `size` input directions, the share (0..1) protected at the end of each segment."""

    expert: int
    layer: str
    size: int
    shares: tuple[float, ...]


def capacity_of(trace: Trace) -> list[Used]:
    """The layers that protect directions, in the order in which they first did (Saha et al., GPM, 2021).

    A layer that is not mentioned any more keeps what it has.
    """
    ends = [step for step in [*trace.started.segment_starts[1:], trace.started.steps] if step <= trace.end]
    grown: dict[tuple[int, str], list[tuple[int, SubspaceGrown]]] = {}
    for step, event in trace.all(SubspaceGrown):
        grown.setdefault((event.expert, event.layer), []).append((step, event))
    found = []
    for (expert, layer), facts in grown.items():
        shares = []
        for end in ends:
            known = [event.rank / event.size for step, event in facts if step <= end]
            shares.append(known[-1] if known else 0.0)
        found.append(Used(expert, layer, facts[-1][1].size, tuple(shares)))
    return found


def held_share(trace: Trace) -> float | None:
    """Share (0..1) of the numbers of shared networks that may not move any more at the end; None where none is held.

    Frozen parameters count in full, protected ones by the directions that are taken, those of one expert alone not at
    all, for they are in nobody's way.
    """
    held = total = 0.0
    for _, event in trace.all(ParameterHeld):
        if event.how == "per expert":
            continue
        numbers = 1.0
        for side in event.shape:
            numbers *= side
        total += numbers
        held += numbers * (event.rank / event.size if event.size else 1.0)
    return held / total if total else None
