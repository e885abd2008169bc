"""Penalties that are steeper than a step is long: against the proximal step by hand, and where others run away."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import batches

from lifelong.retention.ewc import Ewc
from lifelong.retention.mas import Mas
from lifelong.retention.method import Retention
from lifelong.retention.model import Model
from lifelong.retention.retained import Retained
from lifelong.retention.si import Si

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")


def taught(*methods: Retention, rate: float = 0.05) -> tuple[nn.Sequential, Retained, torch.optim.SGD]:
    """A network that has learned a task and been consolidated on it."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 6))
    retained, optimizer = Retained(Model(model), methods), torch.optim.SGD(model.parameters(), lr=rate)
    for batch in batches(0, 20):
        optimizer.zero_grad()
        retained.step(optimizer, batch, model(batch.inputs))
    retained.consolidate(batches(0, 3))
    return model, retained, optimizer


def values(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("methods", [(Ewc(1e3),), (Si(1e3), Mas(7.0)), (Ewc(20.0), Mas(3.0), Si(2.0))])
def test_a_step_is_the_proximal_step(methods) -> None:
    model, retained, optimizer = taught(*methods)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1 * torch.randn_like(p)
    (batch,) = batches(1, 1)
    before = [p.detach().clone() for p in model.parameters()]
    gradients = torch.autograd.grad(F.cross_entropy(model(batch.inputs), batch.targets), list(model.parameters()))
    curves, centres = [], []
    for keeper, method in zip(retained.keepers, methods, strict=True):
        factor = method.strength if isinstance(method, Ewc) else 2.0 * method.strength
        curves.append([factor * w for w in keeper.penalty.weights.values()])  # type: ignore[attr-defined]
        centres.append(list(keeper.penalty.centres.values()))  # type: ignore[attr-defined]
    optimizer.zero_grad()
    retained.step(optimizer, batch, model(batch.inputs))
    for place, (p, was, gradient) in enumerate(zip(model.parameters(), before, gradients, strict=True)):
        # argmin_q g q + sum_j k_j / 2 (q - c_j)^2 + (q - was)^2 / (2 rate), in closed form and double precision.
        pulled = sum(k[place].double() * c[place].double() for k, c in zip(curves, centres, strict=True))
        steep = sum(k[place].double() for k in curves)
        wanted = (was.double() / 0.05 + pulled - gradient.double()) / (1 / 0.05 + steep)
        assert torch.allclose(p.detach().double(), wanted, atol=1e-5)


@pytest.mark.parametrize("method", [Ewc(1e7), Si(1e7), Mas(1e7)])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_no_strength_runs_away(method, momentum: float) -> None:
    model, retained, _ = taught(method)
    held, penalty = values(model), retained.keepers[0].penalty  # type: ignore[attr-defined]
    important = torch.cat([w.flatten() for w in penalty.weights.values()]) > 1e-3
    assert bool(important.any())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=momentum)
    for batch in batches(1, 50):
        optimizer.zero_grad()
        retained.step(optimizer, batch, model(batch.inputs))
    moved = (values(model) - held).abs()
    assert 0.0 < float(moved[important].max()) < 1e-3


def test_points_of_rest_are_those_of_short_steps() -> None:
    ends = []
    for rate in (2e-3, 0.2):
        torch.manual_seed(3)
        model = nn.Linear(16, 6)
        retained = Retained(Model(model), [Ewc(200.0)])
        with torch.no_grad():
            model.weight *= 0.1
        retained.consolidate(batches(0, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        (batch,) = batches(1, 1)
        for _ in range(int(4 / rate)):
            optimizer.zero_grad()
            retained.step(optimizer, batch, model(batch.inputs))
        ends.append(values(model))
    steep = max(float(w.max()) for w in retained.keepers[0].penalty.weights.values())  # type: ignore[attr-defined]
    assert 0.2 * 200.0 * steep > 2.0, "here steps that are not implicit run away"
    assert float((ends[1] - ends[0]).norm()) < 0.02 * float(ends[0].norm())


def test_rates_that_change_groups_and_new_ends_are_noticed() -> None:
    model, retained, _ = taught(Ewc(100.0))
    weights = retained.keepers[0].penalty.weights  # type: ignore[attr-defined]
    first, last = model[0], model[2]
    optimizer = torch.optim.SGD([{"params": first.parameters(), "lr": 0.1}, {"params": [last.weight], "lr": 0.3}])

    def divided() -> dict[str, torch.Tensor]:
        for p in model.parameters():
            p.grad = None
        retained._implicit.divide(dict(model.named_parameters()), optimizer)
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        retained._implicit.divide(dict(model.named_parameters()), optimizer)
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    found = divided()
    assert torch.allclose(found["0.weight"], 1 / (1 + 10 * weights["0.weight"]))
    assert torch.allclose(found["2.weight"], 1 / (1 + 30 * weights["2.weight"]))
    assert torch.equal(found["2.bias"], torch.ones(6)), "the optimizer does not have it"
    optimizer.param_groups[1]["lr"] = torch.tensor(0.6)
    assert torch.allclose(divided()["2.weight"], 1 / (1 + 60 * weights["2.weight"]))
    retained.consolidate(batches(1, 3))
    assert torch.allclose(divided()["0.weight"], 1 / (1 + 10 * weights["0.weight"]))
    state = retained.state_dict()
    other = taught(Ewc(100.0))[1]
    other.load_state_dict(state)
    assert other.stored() == retained.stored(), "divisors are counted before they are made again"
