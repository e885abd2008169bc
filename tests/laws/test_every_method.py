"""What each subspace method promises, with any optimizer; and that without it old outputs are lost.

A layer has learned inputs from a low-dimensional subspace; then it takes 200 steps of AdamW, with decay, on new data.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.subspace.coso import Coso
from lifelong.subspace.cost import Form
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.inflora import InfLora
from lifelong.subspace.method import Method
from lifelong.subspace.nscl import Nscl
from lifelong.subspace.null_space import NullSpace
from lifelong.subspace.osft import Osft
from lifelong.subspace.owm import Owm
from lifelong.subspace.protection import Protection
from lifelong.subspace.ridge import Ridge
from lifelong.subspace.sgp import Sgp

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")

FULL = Gpm(energy=1.0, first_energy=None)
STREAMED = Gpm(energy=1.0, first_energy=None, samples=None)

EXACT: dict[str, tuple[Method, Form | None]] = {
    "GPM, projected": (FULL, "project"),
    "GPM, as is cheapest": (FULL, None),
    "GPM, second moments": (STREAMED, None),
    "SGP, very steep": (Sgp(alpha=1e9, energy=1.0, first_energy=None), None),
    "Adam-NSCL": (Nscl(), None),
    "Adam-NSCL, shrinking": (Nscl(shrinks=True), None),
    "OWM, hardly any ridge": (Owm(alpha=1e-9), None),
    "hardly any ridge": (Ridge(1e-9), None),
    "null space": (NullSpace(FULL), None),
    "InfLoRA": (InfLora(rank=6, gpm=FULL), None),
}


def adamw(p: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(p, lr=5e-3, weight_decay=0.1)


OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam, one tensor at a time": lambda p: torch.optim.Adam(p, lr=5e-3, foreach=False),
    "AdamW, fused": lambda p: torch.optim.AdamW(p, lr=5e-3, weight_decay=0.1, fused=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=5e-3, momentum=0.5),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=5e-3),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
}
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "linear": (lambda: nn.Linear(40, 24), (40,), 12),
    "mostly taken": (lambda: nn.Linear(40, 24), (40,), 30),
    "conv": (lambda: nn.Conv2d(8, 10, 3, padding=1), (8, 3, 3), 2),
    "grouped conv": (lambda: nn.Conv1d(16, 8, 3, groups=2), (16, 4), 4),
}


class World:
    """A layer with a past of few directions, and new data that asks for something else."""

    def __init__(self, layer: str) -> None:
        make, shape, count = LAYERS[layer]
        self.layer = make()
        # One sample at a time: methods that look at batch means then see every sample.
        self.old, self.new = torch.randn(count, *shape), torch.randn(64, *shape)
        self.wanted = torch.randn(self.layer(self.new).shape) + 1.0
        self.before = self.answers()

    def answers(self) -> Tensor:
        with torch.no_grad():
            return self.layer(self.old).clone()  # type: ignore[no-any-return]

    def change(self) -> float:
        self.layer.eval()
        return float((self.answers() - self.before).norm() / self.before.norm())

    def loss(self) -> Tensor:
        return F.mse_loss(self.layer(self.new), self.wanted)

    def train(self, optimizer: torch.optim.Optimizer, steps: int = 200) -> float:
        """The share of the loss that is left."""
        self.layer.train()
        first = float(self.loss().detach())
        for _ in range(steps):
            optimizer.zero_grad()
            self.loss().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return float(self.loss().detach()) / first

    def keep(self, method: Method) -> Protection:
        protection = Protection(self.layer, method)
        protection.consolidate(self.old.split(1))  # type: ignore[no-untyped-call]
        protection.begin([self.new])
        return protection


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", EXACT)
def test_exact_methods_keep_old_outputs_while_the_new_is_learned(name: str, layer: str) -> None:
    method, form = EXACT[name]
    world = World(layer)
    optimizer = adamw(world.layer.parameters())
    world.keep(method).attach(optimizer, form)
    assert world.train(optimizer) < 0.95
    assert world.change() < 1e-4


@pytest.mark.parametrize("layer", LAYERS)
def test_without_a_method_old_outputs_are_lost(layer: str) -> None:
    world = World(layer)
    world.train(adamw(world.layer.parameters()))
    assert world.change() > 0.1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["GPM, as is cheapest", "null space", "InfLoRA"])
@pytest.mark.parametrize("layer", ["linear", "mostly taken", "conv"])
def test_coordinates_and_forms_are_exact_for_every_optimizer(layer: str, name: str, optimizer: str) -> None:
    world = World(layer)
    made = OPTIMIZERS[optimizer](world.layer.parameters())
    world.keep(EXACT[name][0]).attach(made)
    assert world.train(made) < 0.95
    assert world.change() < 1e-4


@pytest.mark.parametrize("form", ["project", "gradient", "input", "null"])
@pytest.mark.parametrize("bias", [False, True])
def test_every_form_takes_the_same_steps_of_sgd(form: Form, bias: bool) -> None:
    layer = nn.Linear(20, 8, bias=bias)
    old, new, wanted = torch.randn(14, 20), torch.randn(32, 3, 20), torch.randn(32, 3, 8)
    ends = []
    for chosen in ("project", form):
        twin = copy.deepcopy(layer)
        protection = Protection(twin, FULL)
        protection.consolidate([old])
        optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
        handle = protection.attach(optimizer, chosen, every=1)  # type: ignore[arg-type]
        for _ in range(20):
            optimizer.zero_grad()
            F.mse_loss(twin(new), wanted).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        handle.detach()
        ends.append(twin)
    assert (ends[0].weight - layer.weight).norm() > 0.1
    for mine, theirs in zip(ends[0].parameters(), ends[1].parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("form", ["gradient", "input"])
def test_under_autocast_too_moments_are_of_permitted_gradients(form: Form) -> None:
    layer, old, new = nn.Linear(20, 8), torch.randn(12, 20), torch.randn(32, 20)
    protection = Protection(layer, FULL)
    protection.consolidate([old])
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    protection.attach(optimizer, form)
    for _ in range(5):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = (layer(new) - 1).square().mean()
        loss.backward()
        optimizer.step()
    taken = torch.linalg.qr(torch.cat([old, torch.ones(12, 1)], dim=1).T).Q
    moments = torch.cat([optimizer.state[p]["exp_avg"].reshape(8, -1) for p in layer.parameters()], dim=1)
    assert 0 < float((moments @ taken).norm()) < 1e-4 * float(moments.norm())


@pytest.mark.parametrize("form", ["gradient", "input"])
@pytest.mark.parametrize("bias", [False, True])
def test_an_optimizer_that_divides_sees_permitted_gradients_alone(form: Form, bias: bool) -> None:
    """Step by step as by hand: Adam on the projected gradient of a weight with its bias as a column, then projected."""
    layer = nn.Linear(20, 8, bias=bias)
    old, new, wanted = torch.randn(12, 20), torch.randn(32, 20), torch.randn(32, 8)
    twin = copy.deepcopy(layer)
    protection = Protection(layer, FULL)
    protection.consolidate([old])
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    protection.attach(optimizer, form, every=1)
    seen = torch.cat([old, torch.ones(12, 1)], dim=1) if bias else old
    taken = torch.linalg.qr(seen.double().T).Q.float()
    size = 21 if bias else 20
    joint = nn.Parameter(torch.cat([p.detach().reshape(8, -1) for p in twin.parameters()], dim=1))
    start, by_hand = joint.detach().clone(), torch.optim.Adam([joint], lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        F.mse_loss(layer(new), wanted).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        by_hand.zero_grad()
        F.mse_loss(F.linear(new, joint[:, :20], joint[:, 20] if bias else None), wanted).backward()  # type: ignore[no-untyped-call]
        assert joint.grad is not None
        with torch.no_grad():
            joint.grad.sub_(joint.grad @ taken @ taken.T)
            by_hand.step()
            step = joint - start
            joint.copy_(start + step - step @ taken @ taken.T)
    ours = torch.cat([p.detach().reshape(8, -1) for p in layer.parameters()], dim=1)
    assert float((ours - start).norm()) > 0.1
    assert torch.allclose(ours, joint.detach(), atol=2e-4)
    moments = torch.cat([optimizer.state[p]["exp_avg"].reshape(8, -1) for p in layer.parameters()], dim=1)
    assert moments.shape[1] == size
    assert float((moments @ taken).norm()) < 1e-4 * float(moments.norm())


def test_what_is_free_is_learned_as_fast_as_if_it_were_alone() -> None:
    """What strong protected inputs ask for must not make steps of free ones small, as where steps alone are held."""
    inputs = 16 * torch.linalg.qr(torch.randn(256, 16)).Q * torch.tensor([10.0] * 10 + [1.0] * 6)
    true = torch.randn(4, 16)
    left = {}
    for form in ("project", "gradient", "input", None):
        layer = nn.Linear(16, 4, bias=False)
        nn.init.zeros_(layer.weight)
        protection = Protection(layer, FULL)
        turned = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(1))).Q
        protection.consolidate([inputs * torch.tensor([1.0] * 10 + [0.0] * 6) @ turned])
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        handle = protection.attach(optimizer, form, every=16)  # type: ignore[arg-type]
        for _ in range(192):
            optimizer.zero_grad()
            F.mse_loss(layer(inputs @ turned), inputs @ true.T).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        handle.sync()
        learned = layer.weight.detach() @ turned.T
        assert float(learned[:, :10].abs().max()) < 1e-4
        left[form] = float((learned - true)[:, 10:].norm() / true[:, 10:].norm())
    assert max(left["gradient"], left["input"], left[None]) < 0.6 * left["project"], left


@pytest.mark.parametrize("form", ["project", "gradient", "input", "null"])
def test_detach_undoes_everything_but_what_was_learned(form: Form) -> None:
    world = World("mostly taken")
    optimizer = torch.optim.SGD(world.layer.parameters(), lr=0.1)
    names, members = list(world.layer.state_dict()), list(optimizer.param_groups[0]["params"])
    handle = world.keep(FULL).attach(optimizer, form)
    saved = world.layer.state_dict()
    assert list(saved) == names
    world.train(optimizer, 20)
    assert list(world.layer.state_dict()) == names
    answers = world.answers()
    handle.detach()
    assert torch.allclose(world.answers(), answers, atol=1e-6)
    assert "forward" not in world.layer.__dict__
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in members]
    assert [name for name, _ in world.layer.named_parameters()] == names
    world.train(optimizer, 20)
    assert world.change() > 1e-2


@pytest.mark.parametrize("form", ["project", "null"])
def test_a_saved_model_and_a_loaded_one_are_held_alike(form: Form) -> None:
    world = World("mostly taken")
    optimizer = adamw(world.layer.parameters())
    world.keep(FULL).attach(optimizer, form)
    world.train(optimizer, 30)
    saved = copy.deepcopy(world.layer.state_dict())
    world.layer.eval()
    fresh = nn.Linear(40, 24)
    fresh.load_state_dict(saved)
    assert torch.allclose(fresh(world.new), world.layer(world.new), atol=1e-5)
    world.train(optimizer, 30)
    world.layer.load_state_dict(saved)
    assert torch.allclose(fresh(world.new), world.layer(world.new), atol=1e-5)


def test_energy_below_one_bounds_the_change_by_what_was_left_out() -> None:
    """|dW X| <= |dW|_2 sqrt(1 - held) |X|: the step only reaches what the basis does not hold."""
    layer = nn.Linear(40, 24, bias=False)
    old = torch.randn(200, 40) * torch.linspace(2, -2, 40).exp()
    protection = Protection(layer, Gpm(energy=0.9, first_energy=None))
    (growth,) = protection.consolidate([old])
    start = layer.weight.detach().clone()
    optimizer = adamw(layer.parameters())
    protection.attach(optimizer)
    for _ in range(200):
        optimizer.zero_grad()
        layer(torch.randn(32, 40)).sub(1).square().mean().backward()
        optimizer.step()
    layer.eval()
    layer(old)
    moved = layer.weight.detach() - start
    change = float((old @ moved.T).norm())
    bound = float(torch.linalg.matrix_norm(moved, 2) * (1 - growth.energy) ** 0.5 * old.norm())
    assert 0.05 * bound < change <= bound * (1 + 1e-4)


def test_everyday_training_works_as_ever() -> None:
    """Accumulation, clipping, a schedule and a scaler, with a handle attached."""
    world = World("mostly taken")
    optimizer = torch.optim.AdamW(world.layer.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)
    scaler = torch.amp.GradScaler("cpu")
    for form in ("project", "null"):
        handle = world.keep(FULL).attach(optimizer, form)
        first = float(world.loss().detach())
        world.layer.train()
        for _ in range(40):
            optimizer.zero_grad()
            for half in (slice(0, 32), slice(32, 64)):
                loss = F.mse_loss(world.layer(world.new[half]), world.wanted[half]) / 2
                scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(world.layer.parameters(), 0.5)
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
        assert float(world.loss().detach()) < 0.999 * first
        assert world.change() < 1e-4
        handle.detach()


def test_an_optimizer_with_a_list_of_its_own_is_refused_by_name() -> None:
    world = World("conv")
    optimizer = torch.optim.LBFGS(world.layer.parameters())
    with pytest.raises(ValueError, match=r"LBFGS cannot step in other coordinates.*form='project'"):
        world.keep(NullSpace(FULL)).attach(optimizer)


def test_forms_that_do_not_fit_are_refused_with_what_they_need() -> None:
    world = World("linear")
    with pytest.raises(ValueError, match=r"form must be one of project, gradient, input, null, or None .*got 'both'"):
        world.keep(FULL).attach(adamw(world.layer.parameters()), "both")  # type: ignore[arg-type]
    world = World("conv")
    with pytest.raises(ValueError, match=r"form=.input. needs a weight of one nn\.Linear alone"):
        world.keep(FULL).attach(adamw(world.layer.parameters()), "input")
    with pytest.raises(ValueError, match="every must be at least 1 step, got 0"):
        world.keep(FULL).attach(adamw(world.layer.parameters()), every=0)


def test_soft_methods_lie_between_nothing_and_everything() -> None:
    changes = {}
    soft = {"sgp": Sgp(alpha=1.0), "owm": Owm(alpha=10.0), "ridge": Ridge(1.0), "osft": Osft()}
    for name, method in (("none", None), *soft.items()):
        torch.manual_seed(3)
        world = World("linear")
        optimizer = torch.optim.SGD(world.layer.parameters(), lr=0.05)
        if method is not None:
            world.keep(method).attach(optimizer)
        world.train(optimizer)
        changes[name] = world.change()
    assert all(1e-3 < changes[name] < 0.9 * changes["none"] for name in soft)


@pytest.mark.parametrize("side", ["input", "output"])
def test_gradient_subspaces_keep_old_outputs_on_the_input_side_alone(side: str) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(30, 20, bias=False)
    old = torch.randn(64, 8) @ torch.randn(8, 30)
    protection = Protection(layer, Coso(side=side, energy=0.9999, sketch=30))  # type: ignore[arg-type]
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.02)
    with protection.watching():
        layer(old)
    protection.attach(optimizer)
    wanted = torch.randn(64, 4) @ torch.randn(4, 20)
    for _ in range(50):
        optimizer.zero_grad()
        F.mse_loss(layer(old), wanted).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    protection.consolidate()
    rank = protection.protected()[0].rank
    assert 0 < rank <= (8 if side == "input" else 20)
    start, before = layer.weight.detach().clone(), layer(old).detach()
    optimizer = adamw(layer.parameters())
    protection.attach(optimizer, every=1)
    for _ in range(200):
        optimizer.zero_grad()
        layer(torch.randn(32, 30)).sub(1).square().mean().backward()
        optimizer.step()
    change = float((layer(old).detach() - before).norm() / before.norm())
    moved = layer.weight.detach() - start
    assert moved.norm() > 0.05
    if side == "input":
        assert change < 0.02
    else:
        assert change > 0.02
        left = protection._ledger.kept()[0].keeper.projection().left
        assert left is not None
        inside = moved.T[None] - left.permit(moved.T[None])
        assert float(inside.norm() / moved.norm()) < 1e-5


def test_a_method_that_feels_must_have_seen_a_batch() -> None:
    layer = nn.Linear(4, 4)
    with pytest.raises(ValueError, match=r"Coso learns from gradients.*watching"):
        Protection(layer, Coso()).attach(torch.optim.SGD(layer.parameters(), lr=0.1))
