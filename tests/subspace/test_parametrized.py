"""Weights that are made of others: what can be set is held, what cannot is frozen, and the report says which."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from lifelong.subspace.coso import Coso
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.inflora import InfLora
from lifelong.subspace.method import Method
from lifelong.subspace.null_space import NullSpace
from lifelong.subspace.protection import Protection
from lifelong.subspace.watch import Watch

FULL = Gpm(energy=1.0, first_energy=None)
G, V = "parametrizations.weight.original0", "parametrizations.weight.original1"


@pytest.fixture(autouse=True)
def a_seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class Sum(nn.Module):
    """A weight and a low-rank sum."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(2, 6)), nn.Parameter(torch.zeros(4, 2))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.b @ self.a

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight - self.b @ self.a


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).T


class Half(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight * 2


class Positive(Half):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.exp()

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight.abs().log()


def layer(*steps: nn.Module) -> nn.Linear:
    made = nn.Linear(6, 4)
    for step in steps:
        parametrize.register_parametrization(made, "weight", step)
    return made


def without_its_norm() -> nn.Linear:
    made = parametrizations.weight_norm(nn.Linear(6, 4))
    assert isinstance(made, nn.Linear)
    made.get_parameter(G).requires_grad_(False)
    return made


def symmetric() -> nn.Module:
    made = nn.Linear(6, 6)
    parametrize.register_parametrization(made, "weight", Symmetric())
    return made


FROZEN: Mapping[str, tuple[Callable[[], nn.Module], str]] = {
    "spectral norm": (lambda: parametrizations.spectral_norm(nn.Linear(6, 4)), "cannot make every weight"),
    "orthogonal": (lambda: parametrizations.orthogonal(nn.Linear(6, 4)), "made by orthogonal, which cannot make"),
    "without an inverse": (symmetric, "made by Symmetric, which has no right_inverse"),
    "with parameters beside": (lambda: layer(Sum()), "parameters that its right_inverse does not set"),
    "of a half-line": (lambda: layer(Positive()), "made by Positive, which cannot make every weight"),
    "one of two that stands still": (without_its_norm, "tensors that are not all trained"),
}


@pytest.mark.parametrize("name", FROZEN)
def test_what_cannot_be_set_is_frozen_with_its_bias_and_stands_still(name: str) -> None:
    make, why = FROZEN[name]
    model = make()
    protection = Protection(model, FULL)
    old, new = torch.randn(2, 6), torch.randn(16, 6)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    protection.consolidate([old])
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    rows = protection.report().rows
    assert all(row.how == "frozen" for row in rows)
    assert any(why in row.why for row in rows)
    model.eval()
    before = model(old).detach()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    protection.attach(optimizer)
    model.train()
    for _ in range(5):
        optimizer.zero_grad()
        model(new).sum().backward()
        optimizer.step()
    model.eval()
    assert torch.equal(model(old), before)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_spectral_norm_of_old_does_not_go_on_with_its_iterations() -> None:
    model = nn.utils.spectral_norm(nn.Linear(6, 4))
    protection = Protection(model, FULL)
    old = torch.randn(2, 6)
    protection.consolidate([old])
    model.eval()
    before = model(old).detach()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    protection.attach(optimizer)
    model.train()
    model(old).sum().backward()
    optimizer.step()
    model.eval()
    assert torch.equal(model(old), before)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_report_says_through_what_a_parameter_is_protected() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 4)), layer(Half(), Half()).requires_grad_(True))
    model[1] = nn.utils.weight_norm(nn.Linear(4, 3))
    protection = Protection(model, FULL)
    (first, second) = protection.consolidate([torch.randn(2, 6)])
    assert (first.layer, first.rank, first.size) == ("0", 2, 7)
    assert (second.layer, second.size) == ("1", 5)
    report = protection.report()
    assert report.of(f"0.{G}").why == "Gpm, through weight_norm"
    assert (report.of(f"0.{V}").how, report.of(f"0.{V}").rank, report.of(f"0.{V}").size) == ("protected", 2, 7)
    assert report.of("0.bias").why == "Gpm, with its weight"
    assert report.of("1.weight_g").why == report.of("1.weight_v").why == "Gpm, through weight_norm"


def test_steps_of_ones_own_that_can_be_undone_are_held() -> None:
    model = layer(Half(), Half())
    protection = Protection(model, FULL)
    protection.consolidate([torch.randn(2, 6)])
    assert protection.report().of("parametrizations.weight.original").why == "Gpm, through Half and Half"
    handle = protection.attach(torch.optim.Adam(model.parameters()))
    assert handle.describe() == "project every 1, through Half and Half"


@pytest.mark.parametrize("method", [Coso(), InfLora()])
def test_methods_that_need_a_parameter_freeze_it(method: Method) -> None:
    model = parametrizations.weight_norm(nn.Linear(6, 4))
    protection = Protection(model, method)
    protection.begin([torch.randn(3, 6)])
    protection.consolidate([torch.randn(3, 6)])
    assert "needs a weight that is a parameter" in protection.report().of(V).why


def test_null_space_projects_what_it_cannot_give_coordinates() -> None:
    model = parametrizations.weight_norm(nn.Linear(6, 4))
    protection = Protection(model, NullSpace(FULL))
    protection.consolidate([torch.randn(3, 6)])
    handle = protection.attach(torch.optim.Adam(model.parameters()))
    assert handle.describe() == "project every 1, through weight_norm"


def test_an_original_that_is_used_in_another_way_too_is_frozen() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.made = parametrizations.weight_norm(nn.Linear(6, 4))

        def forward(self, x: Tensor) -> Tensor:
            outputs: Tensor = self.made(x) + nn.functional.linear(x, self.made.get_parameter(V))
            return outputs

    protection = Protection(Both(), FULL)
    protection.consolidate([torch.randn(3, 6)])
    assert all(row.how == "frozen" for row in protection.report().rows)
    assert "used in another way too" in protection.report().of(f"made.{V}").why


def test_what_is_read_from_a_cache_is_seen() -> None:
    model = parametrizations.weight_norm(nn.Linear(6, 4))
    protection = Protection(model, FULL)
    with parametrize.cached():
        model(torch.randn(2, 6))
        protection.consolidate([torch.randn(3, 6)])
    assert protection.report().of(V).rank == 3


def test_parts_that_move_by_two_optimizers_do_not_move() -> None:
    model = parametrizations.weight_norm(nn.Linear(6, 4))
    protection = Protection(model, FULL)
    old = torch.randn(3, 6)
    protection.consolidate([old])
    before = model(old).detach()
    optimizers = [torch.optim.Adam([p], lr=0.1) for p in model.parameters()]
    for optimizer in optimizers:
        protection.attach(optimizer)
    model(torch.randn(8, 6)).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    assert torch.equal(model(old), before)


def test_a_weight_and_a_bias_that_move_by_two_optimizers_do_not_move() -> None:
    model = nn.Linear(6, 4)
    protection = Protection(model, FULL)
    protection.consolidate([torch.randn(3, 6)])
    start = [p.detach().clone() for p in model.parameters()]
    optimizers = [torch.optim.Adam([p], lr=0.1) for p in model.parameters()]
    for optimizer in optimizers:
        protection.attach(optimizer)
    model(torch.randn(8, 6)).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    assert all(torch.equal(p, before) for p, before in zip(model.parameters(), start, strict=True))


def test_a_bias_alone_does_not_move_what_was_kept_with_its_weight() -> None:
    model = nn.Linear(6, 4)
    model.weight.requires_grad_(False)
    protection = Protection(model, FULL)
    old = torch.randn(3, 6)
    protection.consolidate([old])
    before = model(old).detach()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    protection.attach(optimizer)
    model(torch.randn(8, 6)).sum().backward()
    optimizer.step()
    assert torch.equal(model(old), before)


def test_an_inverse_that_stops_being_one_is_answered_in_words() -> None:
    class Clamped(Half):
        def right_inverse(self, weight: Tensor) -> Tensor:
            return (weight * 2).clamp(-5, 5)

    model = layer(Clamped())
    protection = Protection(model, FULL)
    protection.consolidate([torch.randn(2, 6)])
    optimizer = torch.optim.SGD(model.parameters(), lr=100.0)
    handle = protection.attach(optimizer)
    model(torch.randn(8, 6)).square().sum().backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"weight cannot be held: its Clamped did not make the weight"):
        handle.sync()


def test_made_weights_are_forgotten_as_their_memory_is_freed() -> None:
    model = parametrizations.weight_norm(nn.Linear(6, 4))
    protection = Protection(model, FULL)
    with protection.watching():
        for _ in range(20):
            model(torch.randn(2, 6)).sum().backward()
        gc.collect()
        assert Watch.open == 1
    protection.consolidate()
    assert protection.protected()[0].rank == 7


def test_a_restored_protection_holds_made_weights_alike() -> None:
    ends = []
    model = parametrizations.weight_norm(nn.Linear(6, 4))
    first = Protection(model, FULL)
    first.consolidate([torch.randn(2, 6)])
    second = Protection(model, FULL)
    second.load_state_dict(first.state_dict())
    start, data = {k: v.clone() for k, v in model.state_dict().items()}, torch.randn(8, 6)
    for protection in (first, second):
        model.load_state_dict(start)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        handle = protection.attach(optimizer, every=3)
        for step in range(7):
            if step == 4:
                with handle.settled():
                    pass
            optimizer.zero_grad()
            model(data).square().sum().backward()
            optimizer.step()
        handle.detach()
        ends.append(model(data).detach())
    assert torch.equal(*ends)
