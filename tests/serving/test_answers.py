"""How predictions are told, by what a task asks for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from lifelong.experience import Prediction
from lifelong.objective import AbsoluteError, Accuracy, Classification, Contract, Metric, MultiLabel, Regression
from lifelong.serving.answers import answers
from lifelong.serving.asking import Refused

EXPERTS, KNOWN = torch.tensor([3, -1]), torch.tensor([True, False])
OUTPUTS = torch.tensor([[2.0, 1.0, -1.0], [-0.5, 0.25, 0.0]])
WHO = [{"expert": 3, "known": True}, {"expert": -1, "known": False}]


@dataclass(frozen=True)
class Own:
    """An objective that nothing is known of but what it is judged by."""

    metric: Metric
    name: str = "own"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum()


def test_a_class_and_its_share_of_the_softmax() -> None:
    told = answers(Prediction(OUTPUTS, EXPERTS, KNOWN), Classification())
    # exp(2) / (exp(2) + exp(1) + exp(-1)), by hand.
    assert told[0] == {"class": 0, "confidence": pytest.approx(0.7053845126982412), **WHO[0]}
    assert told[1] == {"class": 1, "confidence": pytest.approx(0.4442139791616654), **WHO[1]}


def test_classes_that_a_task_does_not_have_take_nothing_from_the_confidence() -> None:
    contract = Contract((1,), 3, Classification(), mask=(0, 2))
    told = answers(Prediction(contract.restrict(OUTPUTS[:1]), EXPERTS[:1]), contract.objective)
    assert told == [{"class": 0, "confidence": pytest.approx(0.9525741268224334), "expert": 3, "known": None}]


def test_labels_and_the_one_that_is_least_sure() -> None:
    told = answers(Prediction(OUTPUTS, EXPERTS, KNOWN), MultiLabel())
    # 1 / (1 + exp(-1)); and of the output 0 nobody is sure at all.
    assert told[0] == {"labels": [0, 1], "confidence": pytest.approx(0.7310585786300049), **WHO[0]}
    assert told[1] == {"labels": [1], "confidence": 0.5, **WHO[1]}


@pytest.mark.parametrize(
    ("objective", "row"),
    [
        (Regression(), {"value": [2.0, 1.0, -1.0]}),
        (Own(AbsoluteError()), {"outputs": [2.0, 1.0, -1.0]}),
        (Own(Accuracy()), {"class": 0}),
    ],
)
def test_what_has_no_confidence_says_so(objective: Regression | Own, row: dict[str, object]) -> None:
    told = answers(Prediction(OUTPUTS, EXPERTS, KNOWN), objective)
    assert told[0] == row | {"confidence": None} | WHO[0]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    outputs = OUTPUTS.clone()
    outputs[1, 2] = wrong
    with pytest.raises(Refused, match=r"sample 1 is so far .* its answer is no finite number"):
        answers(Prediction(outputs, EXPERTS, KNOWN), Regression())
