from __future__ import annotations

from contextlib import contextmanager, nullcontext

import pytest
import torch

from lifelong.evaluation.schedule import Schedule
from lifelong.lifetime import run
from lifelong.record.journal import Journal
from lifelong.subspace import retractions
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.protection import Protection
from lifelong.subspace.sgp import Sgp
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


@contextmanager
def no_wait():
    """Inside, whatever makes the host wait for the device is an error."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", [Gpm(energy=0.99, first_energy=None), Sgp(energy=0.99, first_energy=None)])
def test_weights_of_one_shape_are_held_together_as_alone_and_no_step_makes_the_host_wait(
    method, dtype, every, monkeypatch
):
    ends = []
    for together in (True, False):
        monkeypatch.setattr(retractions, "joins", lambda *_, answer=together: answer)
        torch.manual_seed(0)
        hidden = [module for _ in range(5) for module in (torch.nn.Linear(64, 64), torch.nn.Tanh())]
        model = torch.nn.Sequential(*hidden, torch.nn.LayerNorm(64), torch.nn.Linear(64, 8)).cuda().to(dtype)
        old, new = (torch.randn(n, 64).cuda().to(dtype) for n in (12, 128))
        protection = Protection(model, method)
        protection.consolidate([old])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        handle = protection.attach(optimizer, "project", every)
        assert ("5 weights together" in handle.describe()) == together
        for step in range(30):
            with no_wait() if step >= 10 else nullcontext():
                optimizer.zero_grad()
                (model(new) - 1).square().mean().backward()
                optimizer.step()
        handle.sync()
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters()]).float())
    rounding = 1e-5 if dtype == torch.float32 else 1e-2
    assert torch.allclose(ends[0], ends[1], atol=rounding, rtol=rounding)


@pytest.mark.parametrize("form", [None, "project", "gradient", "input", "null"])
@pytest.mark.parametrize("fused", [False, True])
def test_old_outputs_stay_on_a_gpu_and_no_step_makes_the_host_wait(form, fused):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.ReLU(), torch.nn.Linear(96, 8)).cuda()
    old = (torch.randn(30, 12) @ torch.randn(12, 64)).cuda()
    protection = Protection(model, Gpm(energy=1.0, first_energy=None))
    protection.consolidate([old])
    before = model(old).detach()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=fused)
    protection.attach(optimizer, form)
    new = torch.randn(128, 64, device="cuda")
    for step in range(200):
        if step == 20:
            torch.cuda.set_sync_debug_mode("error")
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = (model(new) - 1).square().mean()
        loss.backward()
        optimizer.step()
    torch.cuda.set_sync_debug_mode("default")
    model.eval()
    assert float((model(old) - before).norm() / before.norm()) < 1e-4
