"""Different data sets in one stream: each keeps its shape, outputs and objective."""

from __future__ import annotations

import pytest
import torch

from lifelong.objective import Classification, MultiLabel, Regression
from lifelong_envs.supervised.data import Arrays, Digits
from lifelong_envs.supervised.datasets import datasets
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.timetable import Timetable

DRAW = torch.Generator().manual_seed(3)
REAL = Arrays(torch.rand(20, 3, generator=DRAW), torch.rand(20, generator=DRAW), torch.ones(2, 3), torch.ones(2))
TAGS = Arrays(torch.rand(9, 4, 2), torch.eye(3).repeat(3, 1), torch.rand(3, 4, 2), torch.eye(3), name="tags")


def test_shapes_outputs_and_objectives_are_each_tasks_own() -> None:
    stream = datasets([Digits(), REAL, TAGS], Timetable(order="tags digits arrays tags"))
    assert stream.name == "datasets digits, arrays, tags"
    found = {
        task.name: (task.contract.input_shape, task.contract.outputs, type(task.contract.objective))
        for task in stream.tasks
    }
    assert found == {
        "tags": ((4, 2), 3, MultiLabel),
        "digits": ((1, 8, 8), 10, Classification),
        "arrays": ((3,), 1, Regression),
    }
    for batch, truth in stream.experiences():
        task = next(task for task in stream.tasks if task.name == truth.task)
        assert batch.contract == task.contract
        assert batch.inputs.shape[1:] == task.contract.input_shape
        loss = task.contract.objective.loss(torch.zeros(len(batch.inputs), task.contract.outputs), batch.targets)
        assert loss.isfinite()


def test_given_names_are_used_and_an_own_head_is_passed_on() -> None:
    stream = datasets([REAL, TAGS], scenario=Scenario(head="per_task"), names=["first one", "second"])
    assert [task.name for task in stream.tasks] == ["first one", "second"]
    assert all(task.contract.own_head for task in stream.tasks)


def test_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="list of data sets is empty"):
        datasets([])
    with pytest.raises(ValueError, match="2 data sets but 1 names"):
        datasets([REAL, TAGS], names=["one"])
    with pytest.raises(ValueError, match="several tasks would be called 'arrays'"):
        datasets([REAL, REAL])
    with pytest.raises(ValueError, match="order names the task 'tag', but this stream has 'arrays', 'tags'"):
        datasets([REAL, TAGS], Timetable(order="tag"))
