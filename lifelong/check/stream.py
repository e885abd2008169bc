"""The laws of streams: the same from every start, in step with their segments, and nothing leaks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate, islice, pairwise

import torch
from torch import Tensor

from lifelong.check.law import LawBroken, equal, global_seed, holds
from lifelong.check.taught import batches
from lifelong.check.taught import tasks as taught
from lifelong.experience import Batch, Truth
from lifelong.objective import Classification, Contract
from lifelong.stream import Stream

Print = tuple[str, Contract, str | None, bool, bool, Truth]
"""What identifies an experience: a digest of its tensors, and everything beside them."""


def check_stream(stream: Stream) -> None:
    """Hold a stream to its laws; it is walked through twice, so give it a small one.

    Raises: LawBroken.
    """
    _names(stream)
    with global_seed(1):
        prints = _walk(stream)
    _hiding(stream, prints)
    with global_seed(2):
        again = [_print(*item) for item in batches(stream)]
    equal("a second walk gives the same, whatever the global seeds", "the same", _difference(prints, again))
    for start in _interesting(stream, len(prints)):
        tail = [_print(*item) for item in islice(batches(stream, start), 5)]
        name = f"experiences({start}) is the tail of experiences()"
        equal(name, "the same", _difference(prints[start : start + 5], tail))
    one, other = batches(stream), batches(stream)
    turns = [_print(*item) for pair in islice(zip(one, other, strict=True), 50) for item in pair]
    wanted = [each for each in prints[:50] for _ in range(2)]
    equal("two walks at once do not disturb each other", "the same", _difference(wanted, turns))


def _names(stream: Stream) -> None:
    tasks = taught(stream)
    equal("tasks have names of their own", len(tasks), len({task.name for task in tasks}))
    seen = list(dict.fromkeys(segment.task for segment in stream.segments))
    equal("tasks stand in order of their first appearance", seen, [task.name for task in tasks][: len(seen)])
    for segment in stream.segments:
        holds("segments have steps", "1 or more", segment.steps, segment.steps >= 1)
    for task in tasks:
        name = f"the test set of {task.name!r} fits its contract"
        _fits(name, task.test_inputs, task.test_targets, task.contract)


def _walk(stream: Stream) -> list[Print]:
    """One walk from the start, each experience held against the segment and the task that it belongs to."""
    contracts = {task.name: task.contract for task in taught(stream)}
    truths = [Truth(s.task, i) for i, s in enumerate(stream.segments) for _ in range(s.steps)]
    prints: list[Print] = []
    for step, (batch, truth) in enumerate(batches(stream)):
        wanted = truths[step] if step < len(truths) else "the end"
        equal(f"step {step}: the truth beside an experience is its segment", wanted, truth)
        contract = contracts[truth.task]
        equal(f"step {step}: a task's batches carry its contract", contract, batch.contract)
        _fits(f"the batch at step {step} fits its contract", batch.inputs, batch.targets, contract)
        prints.append(_print(batch, truth))
    equal("the lengths of segments add up to the stream's", len(truths), len(prints))
    return prints


def _hiding(stream: Stream, prints: Sequence[Print]) -> None:
    """What is told is true, told always or never, and what is not told cannot be read off anything else."""
    starts = _starts(stream)
    lasts = [step - 1 for step in (*starts[1:], len(prints))]
    for step, (_, _, label, boundary, ends, truth) in enumerate(prints):
        holds(f"step {step}: a label is the true task's name", truth.task, label, label in (None, truth.task))
        holds(f"step {step}: a boundary begins a segment", False, True, not boundary or step in starts)
        holds(f"step {step}: an end ends a segment", False, True, not ends or step in lasts)
    for task in taught(stream):
        holds("a label in judging is the task's name", task.name, task.label, task.label in (None, task.name))
        told = task.label is not None or task.contract.mask is None
        holds("a mask tells the task, so it needs a label", "no mask", task.contract.mask, told)
    _all_or_none("labels in training", [label is not None for _, _, label, *_ in prints])
    _all_or_none("labels in judging", [task.label is not None for task in taught(stream)])
    _all_or_none("boundaries", [prints[step][3] for step in starts[1:]])
    _all_or_none("ends", [prints[step][4] for step in lasts])
    if not any(boundary for _, _, _, boundary, _, _ in prints):
        equal("who hides where tasks begin hides where they end", 0, sum(ends for _, _, _, _, ends, _ in prints))
    if prints[0][2] is None:
        equal("who hides labels in training hides them in judging", None, taught(stream)[0].label)


def _all_or_none(what: str, shown: Sequence[bool]) -> None:
    some = any(shown) and not all(shown)
    holds(f"{what} are shown always or never", "all or none", f"{sum(shown)} of {len(shown)}", not some)


def _starts(stream: Stream) -> list[int]:
    return list(accumulate((s.steps for s in stream.segments), initial=0))[:-1]


def _interesting(stream: Stream, steps: int) -> list[int]:
    """Steps from which to start again: ends, segment borders and their neighbours, middles of segments."""
    borders = [*_starts(stream), steps]
    near = {at + offset for at in borders for offset in (-1, 0, 1)}
    return sorted({at for at in near if 0 <= at <= steps} | {(a + b) // 2 for a, b in pairwise(borders)})


def _fits(name: str, inputs: Tensor, targets: Tensor, contract: Contract) -> None:
    equal(name, contract.input_shape, tuple(inputs.shape[1:]))
    if isinstance(contract.objective, Classification):
        allowed = set(contract.mask) if contract.mask is not None else set(range(contract.outputs))
        holds(name, f"classes among {sorted(allowed)}", "others", set(targets.flatten().tolist()) <= allowed)
    outputs = torch.zeros(len(inputs), contract.outputs, device=inputs.device)
    try:
        loss = contract.objective.loss(outputs, targets)
        scores = contract.objective.metric.per_sample(outputs, targets)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise LawBroken(name, "targets that the objective can judge", error) from error
    equal(name, "a finite loss and one score a sample", _judged(loss, scores, len(inputs)))


def _judged(loss: Tensor, scores: Tensor, samples: int) -> str:
    fine = loss.ndim == 0 and bool(torch.isfinite(loss)) and scores.shape == (samples,)
    return "a finite loss and one score a sample" if fine else f"{loss} and {tuple(scores.shape)} scores"


def _print(batch: Batch, truth: Truth) -> Print:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in (batch.inputs, batch.targets):
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest(), batch.contract, batch.task, batch.boundary, batch.ends, truth


def _difference(wanted: Sequence[Print], seen: Sequence[Print]) -> str:
    if len(wanted) != len(seen):
        return f"{len(seen)} experiences instead of {len(wanted)}"
    at = next((i for i, pair in enumerate(zip(wanted, seen, strict=True)) if pair[0] != pair[1]), None)
    return "the same" if at is None else f"another experience at position {at}"
