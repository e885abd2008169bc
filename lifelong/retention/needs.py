"""What a retention method must be given to keep its promise, and whether a stream gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lifelong.experience import Batch
from lifelong.objective import Classification

if TYPE_CHECKING:
    from lifelong.retention.method import Retention

Ends = Literal["never", "found", "shown"]
"""What is known of where tasks end: nothing, what a detector finds, or all of it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a method cannot work without.

    ends: what must be known of where tasks end. labels: which task each sample is of, in training and in judging.
    shared_head: that later tasks are answered by the head of earlier ones. classes: that tasks ask for classes.
    """

    ends: Ends = "never"
    labels: bool = False
    shared_head: bool = False
    classes: bool = False


def await_ends(methods: Sequence[Retention]) -> bool:
    """Whether any of them begins to work only as a task has ended."""
    return any(method.needs.ends != "never" for method in methods)


def are_particular(methods: Sequence[Retention]) -> bool:
    """Whether any of them needs anything at all."""
    return any(method.needs != Needs() for method in methods)


def shows_ends(first: Batch) -> bool:
    """Whether a stream that begins with this batch shows where tasks end: it is the beginning of one."""
    return first.boundary or first.task is not None


def check(methods: Sequence[Retention], known: Ends, batch: Batch, labelled: bool | None = None) -> None:
    """Raise ValueError where a method would do nothing, or not what it promises, for a stream that gives such batches.

    known: what the learner knows of where tasks end. labelled: whether questions will say which task they are of (None:
    not known yet).
    """
    for method in methods:
        why = _unmet(method.needs, known, batch, labelled)
        if why is not None:
            raise ValueError(f"{type(method).__name__} cannot keep its promise here: {why}")


def _unmet(needs: Needs, known: Ends, batch: Batch, labelled: bool | None) -> str | None:
    contract = batch.contract
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
    if needs.labels and batch.task is None:
        return (
            "it keeps weights for each task, and samples do not say which task they are of. Show that "
            "(stream.scenario.labels=judging), or take a method that needs no labels, such as ewc."
        )
    if needs.labels and labelled is False:
        return (
            "it answers each task by its own weights, and questions do not say which task they are of. Show that "
            "(stream.scenario.labels=judging), or take a method that needs no labels, such as ewc."
        )
    if needs.shared_head and contract.own_head:
        return (
            "it teaches a head what that answered before, and each task has a head of its own, which has answered "
            "nothing before. Share the head (stream.scenario.head=shared), or take another method, such as lwf."
        )
    if needs.classes and not isinstance(contract.objective, Classification):
        return (
            f"it is for classes, and this task asks for {contract.objective.name}. Use it for classification alone, or "
            "take another method, such as ewc."
        )
    return None
