"""What a retention method must be given to keep its promise, and whether a stream gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lifelong.experience import Batch, Prospect
from lifelong.objective import Classification, Contract

if TYPE_CHECKING:
    from lifelong.retention.method import Retention

Ends = Literal["never", "found", "shown"]
"""What is known of where tasks end: nothing, what a detector finds, or all of it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a method cannot work without.

    ends: what must be known of where tasks end. labels: which task each sample is of, in training and in judging.
    shared_head: that later tasks are answered by the head of earlier ones. classes: that tasks ask for classes. steps:
    after how many it acts for the first time. room: for how many ends of tasks it has room (None: for any number).
    """

    ends: Ends = "never"
    labels: bool = False
    shared_head: bool = False
    classes: bool = False
    steps: int = 0
    room: int | None = None


def await_ends(methods: Sequence[Retention]) -> bool:
    """Whether any of them begins to work only as a task has ended."""
    return any(method.needs.ends != "never" for method in methods)


def are_particular(methods: Sequence[Retention]) -> bool:
    """Whether any of them needs anything at all."""
    return any(method.needs != Needs() for method in methods)


def shows_ends(first: Batch) -> bool:
    """Whether a stream that begins with this batch shows where tasks end: it is the beginning of one."""
    return first.boundary or first.task is not None


def check(
    methods: Sequence[Retention], known: Ends, batch: Batch, prospect: Prospect | None = None, alone: bool = True
) -> None:
    """Raise ValueError where a method would do nothing, or not what it promises, for a stream that gives such batches.

    known: what the learner knows of where tasks end. prospect: what is known of the stream beforehand. alone: one
    network lives through all of it, so that every end is its own.
    """
    contracts = (batch.contract, *(prospect.contracts if prospect is not None else ()))
    for method in methods:
        needs = method.needs
        why = _ends(needs, known) or _labels(needs, batch, prospect) or _steps(needs, prospect)
        why = why or (_room(needs, prospect) if alone else None)
        for contract in contracts:
            why = why or _contract(needs, contract)
        if why is not None:
            raise ValueError(f"{type(method).__name__} cannot keep its promise here: {why}")


def _ends(needs: Needs, known: Ends) -> str | None:
    if needs.ends != "never" and known == "never":
        return (
            "it must know where tasks end, and the stream does not show it. Give a detector, show the ends "
            "(stream.scenario.boundaries=shown), or take a method that needs none, such as er."
        )
    if needs.ends == "shown" and known == "found":
        return (
            "it must be shown where tasks end, because no detector finds that by its loss. Show the ends "
            "(stream.scenario.boundaries=shown), or take another method, such as lwf."
        )
    return None


def _labels(needs: Needs, batch: Batch, prospect: Prospect | None) -> str | None:
    show = "Show that (stream.scenario.labels=judging), or take a method that needs no labels, such as ewc."
    if needs.labels and batch.task is None:
        return f"it keeps weights for each task, and samples do not say which task they are of. {show}"
    if needs.labels and prospect is not None and not prospect.labelled:
        return f"it answers each task by its own weights, and questions do not say which task they are of. {show}"
    return None


def _steps(needs: Needs, prospect: Prospect | None) -> str | None:
    if prospect is None or needs.steps <= prospect.steps:
        return None
    return (
        f"it acts for the first time at step {needs.steps:,}, and the stream has {prospect.steps:,} steps. Let it act "
        "more often (every), or take a longer stream."
    )


def _room(needs: Needs, prospect: Prospect | None) -> str | None:
    if prospect is None or needs.room is None or prospect.ends <= needs.room:
        return None
    return (
        f"it keeps at least one sample of each task that ends, of {needs.room:,} in all, and in the stream "
        f"{prospect.ends:,} tasks end. Give it a larger capacity."
    )


def _contract(needs: Needs, contract: Contract) -> str | None:
    if needs.shared_head and contract.own_head:
        return (
            "it teaches a head what that answered before, and each task has a head of its own, which has answered "
            "nothing before. Share the head (stream.scenario.head=shared), or take another method, such as lwf."
        )
    if needs.classes and not isinstance(contract.objective, Classification):
        return (
            f"it is for classes, and a task asks for {contract.objective.name}. Use it for classification alone, or "
            "take another method, such as ewc."
        )
    return None
