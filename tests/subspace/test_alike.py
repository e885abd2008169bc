"""Weights that are retracted together move as they would alone, and are saved and restored as if they were alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from lifelong.subspace import retractions
from lifelong.subspace.choose import Wish
from lifelong.subspace.cost import Form, Machine, joins
from lifelong.subspace.factor import Factor, Projection
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.holds import SubspaceHold, View
from lifelong.subspace.method import Method
from lifelong.subspace.protection import Protection
from lifelong.subspace.retractions import Retractions
from lifelong.subspace.sgp import Sgp
from lifelong.subspace.use import Geometry
from lifelong.updates.attach import Handle

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")

METHODS: dict[str, Method] = {
    "GPM": Gpm(energy=0.9, first_energy=None),
    "GPM, mostly taken": Gpm(energy=0.999, first_energy=None),
    "SGP": Sgp(alpha=3.0, energy=0.9, first_energy=None),
}
OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]] = {
    # A larger eps: biases of attention's keys have gradients of rounding alone, which Adam would make into full steps.
    "Adam": lambda p: torch.optim.Adam(p, lr=2e-3, eps=1e-3),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
}


def mlp() -> nn.Module:
    hidden = [module for _ in range(4) for module in (nn.Linear(24, 24), nn.Tanh())]
    return nn.Sequential(nn.Linear(12, 24), nn.Tanh(), *hidden, nn.Linear(24, 4))


def vit() -> nn.Module:
    # Benchmarks are no part of what is packed with the tests.
    models = pytest.importorskip("benchmarks.models")
    return models.Vit(image=8, patch=4, width=16, depth=4, heads=2)


def cnn() -> nn.Module:
    """Its weights do not lie in memory in the order of their dimensions."""
    hidden = [module for _ in range(3) for module in (nn.Conv2d(8, 8, 3, padding=1), nn.Tanh())]
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), *hidden, nn.Flatten(), nn.Linear(288, 4)).to(
        memory_format=torch.channels_last
    )


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "MLP": (mlp, (12,)),
    "ViT": (vit, (3, 8, 8)),
    "CNN": (cnn, (3, 8, 8)),
}
Joins = Callable[[int, int, int, Machine], bool]


def always(weights: int, columns: int, widest: int, machine: Machine) -> bool:
    return True


def never(weights: int, columns: int, widest: int, machine: Machine) -> bool:
    return False


class Life:
    """A network that has a past, in training on something else."""

    form: Form = "project"

    def __init__(self, network: str, method: Method, optimizer: str, every: int, dtype: torch.dtype = torch.float32):
        torch.manual_seed(7)
        make, shape = NETWORKS[network]
        self.net, self.steps = make().to(dtype), 0
        mixing = torch.randn(shape[0], shape[0])
        self.batches = [torch.einsum("bi...,ij->bj...", torch.randn(16, *shape), mixing).to(dtype) for _ in range(5)]
        self.old = torch.randn(6, *shape).to(dtype)
        self.protection = Protection(self.net, method)
        self.protection.consolidate([self.old])
        self.optimizer = OPTIMIZERS[optimizer](self.net.parameters())
        self.every = every
        self.handle = self.attach()

    def attach(self) -> Handle:
        # Nothing else looks after it here, so that it is met in the middle of an interval too.
        return Handle(self.optimizer, self.protection.holds(self.optimizer, Wish(self.form, self.every)))

    def train(self, steps: int = 30) -> None:
        self.net.train()
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.net(self.batches[self.steps % 5]).float().sub(1).square().mean().backward()
            self.optimizer.step()
            self.steps += 1

    def values(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.net.parameters()]).clone()


Story = Callable[[Life], None]


def told_twice(
    patch: pytest.MonkeyPatch,
    story: Story,
    network: str,
    method: Method,
    optimizer: str,
    every: int,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """All parameters at the end of a story, of weights together and of weights alone."""
    ends = []
    for rule in (always, never):
        patch.setattr(retractions, "joins", rule)
        life = Life(network, method, optimizer, every, dtype)
        assert ("together" in life.handle.describe()) == (rule is always)
        before = life.values()
        story(life)
        assert float((life.values() - before).abs().max()) > 1e-3
        ends.append(life.values())
    return ends[0], ends[1]


QUICK = [("GPM", "Adam", 1), ("GPM, mostly taken", "Adam", 5), ("SGP", "SGD", 1)]
"""What is tried on the larger network where it must be quick."""
ALL = [
    pytest.param(network, *how, marks=[pytest.mark.slow] * (network == "ViT" and how not in QUICK))
    for network in ("MLP", "ViT")
    for how in product(METHODS, OPTIMIZERS, (1, 5))
]


@pytest.mark.parametrize(("network", "method", "optimizer", "every"), ALL)
def test_together_and_alone_are_the_same(
    network: str, method: str, optimizer: str, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = told_twice(monkeypatch, Life.train, network, METHODS[method], optimizer, every, torch.float64)
    assert torch.allclose(one, other, atol=1e-9, rtol=0)
    one, other = told_twice(monkeypatch, Life.train, network, METHODS[method], optimizer, every)
    assert torch.allclose(one, other, atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", ["MLP", "ViT"])
def test_gradients_of_weights_together_and_alone_are_the_same(
    network: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Life, "form", "gradient")
    one, other = told_twice(monkeypatch, some_without, network, METHODS[method], "Adam", 5, torch.float64)
    assert torch.allclose(one, other, atol=1e-9, rtol=0)


def some_without(life: Life) -> None:
    """A weight that had no part in a loss has no gradient, and gets none."""
    life.train(7)
    asleep = [p for p in life.net.parameters() if p.dim() == 2][1]
    asleep.requires_grad_(False)
    life.optimizer.zero_grad()
    life.net(life.batches[0]).square().mean().backward()
    life.optimizer.step()
    assert asleep.grad is None
    asleep.requires_grad_(True)
    life.train(7)


@pytest.mark.parametrize("method", METHODS)
def test_weights_that_lie_otherwise_in_memory_too(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = told_twice(monkeypatch, rebased, "CNN", METHODS[method], "SGD", 5)
    assert torch.allclose(one, other, atol=1e-6, rtol=0)


def test_half_precision_is_together_too(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = told_twice(monkeypatch, Life.train, "MLP", METHODS["GPM"], "SGD", 1, torch.bfloat16)
    # One rounding of a half-precision weight is up to 2^-9 of it.
    assert torch.allclose(one, other, atol=4e-3, rtol=4e-3)


def rebased(life: Life) -> None:
    life.train(7)
    with torch.no_grad():
        for p in life.net.parameters():
            p.mul_(0.9)
    life.handle.rebase()
    life.train(8)


def rewound(life: Life) -> None:
    life.train(10)
    live = life.handle.tensors()
    kept = [t.clone() for t in live]
    life.train(2)
    for t, value in zip(live, kept, strict=True):
        t.copy_(value)
    life.handle.rewound()
    life.train(8)


def settled(life: Life) -> None:
    life.train(7)
    before = life.values()
    with life.handle.settled():
        inside = life.values()
    assert torch.equal(life.values(), before)
    assert not torch.equal(inside, before)
    life.train(7)


def restored(life: Life) -> None:
    """Saved in the middle of an interval; weights that are alone take up what weights together have left."""
    life.train(7)
    saved, optimizer = copy.deepcopy(life.handle.state_dict()), copy.deepcopy(life.optimizer.state_dict())
    values = [p.detach().clone() for p in life.net.parameters()]
    life.train(4)
    rule = retractions.joins
    for other in (never, always):
        retractions.joins = other
        life.handle.detach()
        life.handle = life.attach()
        with torch.no_grad():
            for p, value in zip(life.net.parameters(), values, strict=True):
                p.copy_(value)
        life.handle.load_state_dict(saved)
        life.optimizer.load_state_dict(copy.deepcopy(optimizer))
        life.steps = 7
        life.train(9)
        if other is never:
            alone = life.values()
    retractions.joins = rule
    assert torch.allclose(life.values(), alone, atol=1e-6, rtol=0)


def released(life: Life) -> None:
    life.train(7)
    before = life.net(life.old).detach()
    life.handle.detach()
    assert life.handle.tensors() == []
    life.train(3)
    assert not torch.allclose(life.net(life.old), before)


@pytest.mark.parametrize("story", [rebased, rewound, settled, restored, released], ids=lambda story: story.__name__)
@pytest.mark.parametrize("method", ["GPM", "SGP"])
def test_all_else_that_a_hold_can_do_is_the_same(method: str, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = told_twice(monkeypatch, story, "MLP", METHODS[method], "SGD", 5)
    assert torch.allclose(one, other, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "geometry", [Geometry(2, 3, 8), Geometry(1, 6, 8, transposed=True), Geometry(2, 3, 8, transposed=True)]
)
@pytest.mark.parametrize("complement", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_groups_and_turned_weights_of_unequal_ranks(
    geometry: Geometry, complement: bool, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retractions, "joins", always)
    groups, outputs, inputs = geometry.groups, geometry.outputs, geometry.inputs
    alone, together = [], []
    for rank in (1, 3, 5, 0, 2):
        columns = torch.linalg.qr(torch.randn(groups, inputs + bias, rank)).Q
        view = View(geometry, bias, Projection(Factor(columns, complement)))
        weight = torch.randn((groups * inputs, outputs) if geometry.transposed else (groups * outputs, inputs))
        constant, moved = torch.randn(groups * outputs), torch.randn(weight.shape)
        for holds in (alone, together):
            w = nn.Parameter(weight.clone())
            b = nn.Parameter(constant.clone()) if bias else None
            holds.append(SubspaceHold(w, b, [view]))
            with torch.no_grad():
                w.add_(moved)
                if b is not None:
                    b.add_(1.0)
    one = Retractions(together)
    assert "4 weights together" in one.describe()
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    one.after(optimizer)
    for hold in alone:
        hold.after(optimizer)
    for mine, theirs in zip(together, alone, strict=True):
        assert torch.allclose(mine.weight, theirs.weight, atol=1e-6)
        if mine.bias is not None and theirs.bias is not None:
            assert torch.allclose(mine.bias, theirs.bias, atol=1e-6)


def test_only_what_saves_more_than_it_copies_and_fills_up_is_together() -> None:
    gpu, cpu = Machine(3e13, 1.5e12, 8e-6), Machine.of(torch.device("cpu"))
    assert joins(768 * 768, 100, 100, gpu)
    assert not joins(4096 * 4096, 100, 100, gpu)
    assert joins(768 * 768, 100, 200, gpu)
    assert not joins(768 * 768, 0, 768, gpu)
    assert joins(64 * 64, 10, 10, cpu)
    assert not joins(100 * 100, 10, 10, cpu)
