"""Every law of learners lets a good one pass and catches the one that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import nn

from lifelong.check import LawBroken, check_learner
from lifelong.events import Event, TaskEntered, Update
from lifelong.experience import Batch, Prediction, Query, Truth
from lifelong.learner import Size
from lifelong.objective import Classification, Contract
from lifelong.stream import Segment, Task

CONTRACT = Contract((3,), 2, Classification())


class Coins:
    """Two tasks that ask for opposite answers."""

    name = "coins"
    segments = (Segment("A", 20), Segment("B", 20))

    def __init__(self) -> None:
        inputs = torch.randn(16, 3, generator=torch.Generator().manual_seed(99))
        self.tasks = [Task(t, CONTRACT, inputs, self.answers(t, inputs)) for t in "AB"]

    def answers(self, task: str, inputs: torch.Tensor) -> torch.Tensor:
        return ((inputs[:, 0] > 0) == (task == "A")).long()

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        for step in range(start, 40):
            task = "AB"[step // 20]
            inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
            yield Batch(inputs, self.answers(task, inputs), CONTRACT), Truth(task, step // 20)


class Linear:
    """A good learner: one linear layer under Adam, built anew from one seed."""

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.layer = nn.Linear(3, 2)
        self.optimizer = torch.optim.Adam(self.layer.parameters(), lr=0.05)

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        outputs = self.layer(batch.inputs)
        loss = batch.contract.objective.loss(outputs, batch.targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        metric = batch.contract.objective.metric
        return [Update(0, loss.detach(), outputs.detach(), batch.targets, metric.per_sample)]

    @torch.no_grad()
    def predict(self, query: Query) -> Prediction:
        return Prediction(self.layer(query.inputs), torch.zeros(len(query.inputs), dtype=torch.int64))

    def size(self) -> Size:
        return Size(1, 8)

    def state_dict(self) -> dict[str, Any]:
        return {"layer": self.layer.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.layer.load_state_dict(state["layer"])
        self.optimizer.load_state_dict(state["optimizer"])


@dataclass
class Bent:
    """A good learner of which a test replaces one method by a bad one, given the good learner."""

    learn_by: Callable[[Linear, Batch], Any] = Linear.learn
    predict_by: Callable[[Linear, Query], Any] = Linear.predict
    size_by: Callable[[Linear], Size] = Linear.size
    save_by: Callable[[Linear], dict[str, Any]] = Linear.state_dict
    load_by: Callable[[Linear, dict[str, Any]], None] = Linear.load_state_dict

    def __post_init__(self) -> None:
        self.good = Linear()

    def learn(self, batch: Batch) -> Any:
        return self.learn_by(self.good, batch)

    def predict(self, query: Query) -> Any:
        return self.predict_by(self.good, query)

    def size(self) -> Size:
        return self.size_by(self.good)

    def state_dict(self) -> dict[str, Any]:
        return self.save_by(self.good)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.load_by(self.good, state)


def test_a_good_learner_passes() -> None:
    check_learner(Linear, Coins())
    check_learner(Bent, Coins())


def test_a_state_may_hold_batches_with_their_contracts() -> None:
    def saves(learner: Linear) -> dict[str, Any]:
        batch = Batch(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), CONTRACT)
        return {**learner.state_dict(), "kept": [batch]}

    check_learner(lambda: Bent(save_by=saves), Coins())


def lazily(learner: Linear, batch: Batch) -> Any:
    yield from learner.learn(batch)


def scaling_the_batch(learner: Linear, batch: Batch) -> Any:
    found = learner.learn(batch)
    batch.inputs.mul_(2)
    return found


def not_before_learning(learner: Linear, query: Query) -> Prediction:
    if not learner.optimizer.state:
        raise RuntimeError("I have not learned anything yet")
    return learner.predict(query)


def learning_while_asked(learner: Linear, query: Query) -> Prediction:
    with torch.no_grad():
        learner.layer.bias += 0.1
    return learner.predict(query)


def by_chance(learner: Linear, query: Query) -> Prediction:
    found = learner.predict(query)
    return replace(found, outputs=found.outputs + torch.rand(()))


def normalising_in_place(learner: Linear, query: Query) -> Prediction:
    query.inputs.sub_(1.0)
    return learner.predict(query)


def with_experts(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Linear, Query], Prediction]:
    def predict(learner: Linear, query: Query) -> Prediction:
        found = learner.predict(query)
        return replace(found, experts=change(found.experts))

    return predict


def forgetting_the_optimizer(learner: Linear, state: dict[str, Any]) -> None:
    learner.layer.load_state_dict(state["layer"])


def update_with(**changes: Any) -> Callable[[Linear, Batch], Any]:
    def learn(learner: Linear, batch: Batch) -> Any:
        (update,) = learner.learn(batch)
        assert isinstance(update, Update)
        return [replace(update, **changes)]

    return learn


@pytest.mark.parametrize(
    ("law", "culprit"),
    [
        ("learn returns a sequence", lambda: Bent(learn_by=lazily)),
        ("an Update first", lambda: Bent(learn_by=lambda good, b: [TaskEntered("x", 0), *good.learn(b)])),
        ("an Update first", lambda: Bent(learn_by=lambda good, b: [])),
        ("an Update first", lambda: Bent(learn_by=lambda good, b: [*good.learn(b), {"loss": 1}])),
        ("leaves the batch as it was", lambda: Bent(learn_by=scaling_the_batch)),
        ("outputs before the step", lambda: Bent(learn_by=update_with(outputs=torch.zeros(8, 3)))),
        ("loss is one number", lambda: Bent(learn_by=update_with(loss=torch.zeros(8)))),
        ("answers before any learning", lambda: Bent(predict_by=not_before_learning)),
        ("answers before any learning", lambda: Bent(predict_by=lambda good, q: good.predict(q).outputs)),
        ("outputs for every sample", lambda: Bent(
            predict_by=lambda good, q: replace(good.predict(q), outputs=torch.zeros(1, 2)))),
        ("an expert for every sample", lambda: Bent(predict_by=with_experts(lambda e: e[:1]))),
        ("an expert for every sample", lambda: Bent(predict_by=with_experts(lambda e: e.float()))),
        ("leaves the query as it was", lambda: Bent(predict_by=normalising_in_place)),
        ("predict leaves the state", lambda: Bent(predict_by=learning_while_asked)),
        ("the same twice", lambda: Bent(predict_by=by_chance)),
        ("tensors and plain data only.*a Linear at .layer", lambda: Bent(save_by=lambda good: {"layer": good.layer})),
        ("with the state answers the same", lambda: Bent(load_by=lambda good, state: None)),
        ("learns on with the same losses", lambda: Bent(load_by=forgetting_the_optimizer)),
        ("has a size", lambda: Bent(size_by=lambda good: Size(0, 8))),
    ],
)  # fmt: skip
def test_each_law_catches_its_culprit(law: str, culprit: Callable[[], Bent]) -> None:
    with pytest.raises(LawBroken, match=law):
        check_learner(culprit, Coins())


def test_a_state_that_is_only_felt_at_the_end_is_caught() -> None:
    """A counter that is not restored changes no loss, and still the state is another one."""
    made: list[Counting] = []

    class Counting(Linear):
        count = 0

        def learn(self, batch: Batch) -> Sequence[Update | Event]:
            self.count += 1
            return super().learn(batch)

        def state_dict(self) -> dict[str, Any]:
            return super().state_dict() | {"count": self.count}

    def make() -> Counting:
        made.append(Counting())
        return made[-1]

    with pytest.raises(LawBroken, match=r"ends in the same state.*\.count"):
        check_learner(make, Coins())
    assert len(made) == 2
