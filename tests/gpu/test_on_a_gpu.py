from __future__ import annotations

import pytest
import torch

from lifelong.evaluation.schedule import Schedule
from lifelong.lifetime import run
from lifelong.record.journal import Journal
from lifelong_agents.finetune import Finetune
from lifelong_agents.flagship import flagship
from lifelong_envs.supervised.data import Digits
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.timetable import Timetable

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]


def stream(order: str = "A B A", epochs: int = 8):
    return permuted(Digits(), Timetable(order=order, epochs=epochs), device="cuda")


def test_the_flagship_does_on_a_gpu_what_it_does_on_the_cpu():
    found = run(stream("A B C A D", 10), flagship(device="cuda"), evaluation=Schedule(within=0)).summary
    assert (found.shifts_detected, found.false_alarms, found.experts) == (4, 0, 4)
    assert found.acc >= 0.95


@pytest.mark.parametrize("agent", ["finetune", "flagship"])
def test_no_step_makes_the_host_wait(agent):
    learner = Finetune(device="cuda") if agent == "finetune" else flagship(device="cuda", read_every=10_000)
    journal = Journal([], flush_every=10_000)
    served = stream("A", 4).experiences()
    for step, (batch, _) in enumerate(served, start=1):
        if step == 40:
            # Everything has been made; from here on a wait is an error.
            torch.cuda.set_sync_debug_mode("error")
        for item in learner.learn(batch):
            journal.note(step, item)
        if step == 44:
            break
    torch.cuda.set_sync_debug_mode("default")
