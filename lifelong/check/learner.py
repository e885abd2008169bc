"""The laws of learners: they report what they do, answer without learning, and go on from a saved state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import get_args

import torch
from torch import Tensor

from lifelong.check.law import LawBroken, equal, global_seed, holds, same, saved
from lifelong.check.taught import batches, tasks
from lifelong.events import Event, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.learner import Learner
from lifelong.stream import Stream


def check_learner(factory: Callable[[], Learner], stream: Stream, steps: int = 40) -> None:
    """Hold learners that `factory` makes, all alike, to their laws on `steps` experiences of a stream.

    Half of them come from the first segment, half from the second where there is one. Raises: LawBroken.
    """
    batches = _some_of(stream, steps)
    queries = [Query(t.test_inputs[:64].clone(), t.contract, t.label) for t in tasks(stream)]
    learner = factory()
    with global_seed(0):
        _predicts(learner, queries[:1], "before any learning")
        for batch in batches[: len(batches) * 3 // 4]:
            _learn(learner, batch)
        known = [q for q in queries if any(b.contract == q.contract for b in batches)]
        before = saved(learner)
        first = _predicts(learner, known, "after learning")
        same("predict leaves the state as it was", before, saved(learner))
        same("predict answers the same twice", first, _predicts(learner, known, "after learning"))
    twin = factory()
    twin.load_state_dict(saved(learner))
    same("a fresh learner with the state answers the same", first, _predicts(twin, known, "after loading"))
    rest = batches[len(batches) * 3 // 4 :]
    with global_seed(0):
        wanted = [_learn(learner, batch).loss.detach().clone() for batch in rest]
    with global_seed(0):
        losses = [_learn(twin, batch).loss.detach().clone() for batch in rest]
    same("a fresh learner with the state learns on with the same losses", wanted, losses)
    same("and ends in the same state", saved(learner), saved(twin))
    size = learner.size()
    plausible = size.experts >= 1 and size.parameters >= 0
    holds("a learner that has learned has a size", "experts >= 1, parameters >= 0", size, plausible)


def _some_of(stream: Stream, steps: int) -> list[Batch]:
    segments = list(stream.segments)
    starts = [0, segments[0].steps][: len(segments)]
    share = steps // len(starts)
    return [
        batch
        for start, segment in zip(starts, segments, strict=False)
        for batch, _ in islice(batches(stream, start), min(share, segment.steps))
    ]


def _learn(learner: Learner, batch: Batch) -> Update:
    kept = replace(batch, inputs=batch.inputs.clone(), targets=batch.targets.clone())
    happened = learner.learn(batch)
    holds("learn returns a sequence", "a list or tuple", type(happened).__name__, isinstance(happened, Sequence))
    kinds = [type(item) for item in happened]
    fine = bool(kinds) and kinds[0] is Update and set(kinds[1:]) <= set(get_args(Event))
    holds("learn reports an Update first and then events", "[Update, ...]", [k.__name__ for k in kinds], fine)
    same("learn leaves the batch as it was", [kept.inputs, kept.targets], [batch.inputs, batch.targets])
    update = happened[0]
    assert isinstance(update, Update)
    shape = (len(batch.inputs), batch.contract.outputs)
    equal("an update shows its outputs before the step", shape, tuple(update.outputs.shape))
    equal("an update's loss is one number", (), tuple(update.loss.shape))
    return update


def _predicts(learner: Learner, queries: Sequence[Query], when: str) -> list[Tensor]:
    answers: list[Tensor] = []
    for query in queries:
        kept = query.inputs.clone()
        try:
            answer = learner.predict(query)
        except Exception as error:
            raise LawBroken(f"predict answers {when}", "a Prediction", repr(error)) from error
        holds(f"predict answers {when}", "a Prediction", type(answer).__name__, isinstance(answer, Prediction))
        same("predict leaves the query as it was", kept, query.inputs)
        shape = (len(kept), query.contract.outputs)
        equal("predict gives outputs for every sample", shape, tuple(answer.outputs.shape))
        kind = (tuple(answer.experts.shape), answer.experts.dtype)
        equal("predict names an expert for every sample", (shape[:1], torch.int64), kind)
        answers += [answer.outputs.detach().clone(), answer.experts.clone()]
    return answers
