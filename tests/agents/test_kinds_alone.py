"""One network for tasks of different kinds, whose ends nobody shows: another contract is an end, plain to see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lifelong.evaluation.schedule import Schedule
from lifelong.events import ShiftDetected, ShiftSeen
from lifelong.experience import Batch
from lifelong.learner import Learner
from lifelong.lifetime import run
from lifelong.network import Mlp
from lifelong.objective import Classification, Contract
from lifelong.optimizer import Optimizer
from lifelong.retention.agem import Agem
from lifelong.retention.ewc import Ewc
from lifelong.retention.lwf import Lwf
from lifelong.retention.zscl import Zscl
from lifelong_agents.flagship import flagship
from lifelong_agents.gpm import gpm
from lifelong_agents.retain import Retain
from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.datasets import datasets
from lifelong_envs.supervised.timetable import Timetable

SMALL, FAST = Mlp((16,), bias=False), Optimizer(lr=1e-2)
MAKERS: dict[str, Callable[[], Learner]] = {
    "ewc": lambda: Retain((Ewc(),), SMALL, FAST),
    "agem": lambda: Retain((Agem(),), SMALL, FAST),
    "lwf": lambda: Retain((Lwf(),), SMALL, FAST),
    "zscl": lambda: Retain((Zscl(every=1),), SMALL, FAST),
    "gpm": lambda: gpm(SMALL, FAST),
    "two experts": lambda: flagship(SMALL, FAST, share="never", max_experts=2),
}


def source(shape: tuple[int, ...], name: str) -> Arrays:
    random = torch.Generator().manual_seed(len(name))
    inputs = torch.randn(360, *shape, generator=random)
    targets = (inputs.flatten(1)[:, 0] > 0).long()
    return Arrays(inputs[:320], targets[:320], inputs[320:], targets[320:], name=name)


@pytest.mark.parametrize("name", list(MAKERS))
def test_it_lives_through_tables_and_images_that_come_back(name: str) -> None:
    data = [source((6,), "table"), source((9,), "broad"), source((1, 4, 4), "image")]
    order = ["table", "broad", "table", "image", "broad"]
    stream = datasets(data, Timetable(order=order, batch_size=8), seed=0)
    # Looked at within tasks too: each is answered for while another one is learned.
    result = run(stream, MAKERS[name](), evaluation=Schedule(within=3))
    seen = [step for step, event in result.events if isinstance(event, ShiftSeen)]
    assert seen == [41, 81, 121, 161]
    assert result.matrix.scores[-1][1] > 0.7
    if name != "two experts":
        # What was normal in the table is no measure of what the image should cost.
        assert not [event for _, event in result.events if isinstance(event, ShiftDetected)]


def test_an_equal_contract_is_no_other_one() -> None:
    learner = Retain((Ewc(),), SMALL, FAST)
    inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        batch = Batch(inputs, (inputs[:, 0] > 0).long(), Contract((6,), 2, Classification()))
        assert not any(isinstance(event, ShiftSeen) for event in learner.learn(batch))
