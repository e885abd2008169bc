"""The table: no torch optimizer moves what is protected, once its step is held to the rule; and each one would.

A 64 -> 32 layer has learned old inputs from a 16-dimensional subspace. It then takes 200 steps on new data. The change
of its old outputs is measured relative to them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from lifelong.subspace.gpm import Gpm
from lifelong.subspace.holds import View, permitted
from lifelong.subspace.protection import Protection
from lifelong.updates.attach import Guard, attach

Make = Callable[[Iterable[nn.Parameter]], Optimizer]

TABLE: dict[str, Make] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.5),
    "SGD nesterov decay": lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9, nesterov=True, weight_decay=0.05),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "Adam amsgrad decay foreach": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.05, amsgrad=True, foreach=True),
    "Adam fused": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=0.01),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.01),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    # A forbidden direction never changes its gradient's sign, so steps grow to the limit: 50 would be too much.
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.01, step_sizes=(1e-6, 0.05)),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
    "Adadelta": lambda p: torch.optim.Adadelta(p, lr=5.0),
    "Adafactor": lambda p: torch.optim.Adafactor(p, lr=0.02),
    "ASGD": lambda p: torch.optim.ASGD(p, lr=0.5, weight_decay=0.01),
}
APART = {"Optimizer", "LBFGS", "Muon", "SparseAdam"}
"""The base class, and those with a test of their own; that of SparseAdam is among the laws of sparse tables."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class World:
    """A layer with a past, new data that asks for something else, and the guards that keep the past."""

    def __init__(self, bias: bool = True) -> None:
        generator = torch.Generator().manual_seed(0)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.layer = nn.Linear(64, 32, bias=bias)
        self.old = torch.randn(100, 16, generator=generator) @ torch.randn(16, 64, generator=generator) / 4
        self.new = torch.randn(128, 64, generator=generator)
        self.wanted = self.new @ torch.randn(64, 32, generator=generator) / 8 + 1.0
        self.protection = Protection(self.layer, Gpm(energy=1.0, first_energy=None))
        (growth,) = self.protection.consolidate([self.old])
        assert (growth.rank, growth.size) == ((17, 65) if bias else (16, 64))
        self.before = self.answers()

    def rule(self, steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What is permitted of steps, or of gradients, of weight and bias."""
        (account,) = self.protection._ledger.kept()
        view = View(account.site.geometry, account.site.bias is not None, account.keeper.projection())
        weight, bias = permitted(view, steps[0], steps[1] if len(steps) > 1 else None)
        return (weight,) if bias is None else (weight, bias)

    def answers(self) -> Tensor:
        with torch.no_grad():
            return self.layer(self.old).clone()  # type: ignore[no-any-return]

    def change(self) -> float:
        return float((self.answers() - self.before).norm() / self.before.norm())

    def loss(self) -> Tensor:
        return F.mse_loss(self.layer(self.new), self.wanted)

    def new_loss(self) -> float:
        return float(self.loss().detach())

    def train(self, optimizer: Optimizer, steps: int, on_gradient: Callable[[], None] = lambda: None) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            self.loss().backward()  # type: ignore[no-untyped-call]
            on_gradient()
            optimizer.step()


def test_the_table_names_every_optimizer_of_torch() -> None:
    found = {n for n, c in vars(torch.optim).items() if inspect.isclass(c) and issubclass(c, Optimizer)}
    named = {type(make([nn.Parameter(torch.zeros(1))])).__name__ for make in TABLE.values()}
    assert found - named - APART == set()


@pytest.mark.parametrize("name", TABLE)
def test_without_a_guard_old_outputs_change(name: str) -> None:
    world = World()
    world.train(TABLE[name](world.layer.parameters()), 200)
    assert world.change() > 0.1


@pytest.mark.parametrize("every", [1, 16])
@pytest.mark.parametrize("name", TABLE)
def test_with_a_guard_old_outputs_stay_and_the_new_is_learned(name: str, every: int) -> None:
    world = World()
    first = world.new_loss()
    optimizer = TABLE[name](world.layer.parameters())
    handle = world.protection.attach(optimizer, "project", every)
    world.train(optimizer, 200)
    handle.sync()
    assert world.change() < 1e-4
    assert world.new_loss() < 0.8 * first


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "SGD nesterov decay"])
def test_projecting_the_gradient_instead_leaks(name: str) -> None:
    world = World()

    def project() -> None:
        parameters = list(world.layer.parameters())
        gradients = tuple(p.grad for p in parameters if p.grad is not None)
        for p, allowed in zip(parameters, world.rule(gradients), strict=True):
            p.grad = allowed

    world.train(TABLE[name](world.layer.parameters()), 200, project)
    assert world.change() > 0.1


def test_projecting_the_gradient_is_enough_for_plain_sgd_alone() -> None:
    world = World()

    def project() -> None:
        weight, bias = world.layer.weight, world.layer.bias
        assert weight.grad is not None
        assert bias.grad is not None
        weight.grad, bias.grad = world.rule((weight.grad, bias.grad))

    world.train(TABLE["SGD"](world.layer.parameters()), 200, project)
    assert world.change() < 1e-4


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
@pytest.mark.parametrize("guarded", [False, True])
def test_muon_on_the_matrix_that_it_takes(guarded: bool) -> None:
    world = World(bias=False)
    optimizer = torch.optim.Muon(world.layer.parameters(), lr=0.02)
    if guarded:
        world.protection.attach(optimizer, every=1)
    world.train(optimizer, 200)
    assert world.change() < 1e-4 if guarded else world.change() > 0.1


@pytest.mark.parametrize("guarded", [False, True])
def test_lbfgs_is_judged_once_for_all_evaluations_of_its_closure(guarded: bool) -> None:
    world = World()
    first, judged, evaluated = world.new_loss(), 0, 0
    optimizer = torch.optim.LBFGS(world.layer.parameters(), lr=0.5, max_iter=5)

    def count(steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        nonlocal judged
        judged += 1
        return world.rule(steps) if guarded else steps

    def closure() -> float:
        nonlocal evaluated
        evaluated += 1
        optimizer.zero_grad()
        loss = world.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    attach(optimizer, [Guard(tuple(world.layer.parameters()), count)])
    for _ in range(10):
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    assert judged == 10
    assert evaluated >= 20
    assert world.change() < 1e-4 if guarded else world.change() > 0.1
    assert world.new_loss() < 0.8 * first
