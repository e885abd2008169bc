"""What people do with a model and its optimizer while steps are held: copy, load, add, unfreeze, grow, save, let go."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lifelong.subspace.coso import Coso
from lifelong.subspace.cost import Form
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.inflora import InfLora
from lifelong.subspace.method import Method
from lifelong.subspace.null_space import NullSpace
from lifelong.subspace.o_lora import OLora
from lifelong.subspace.owm import Owm
from lifelong.subspace.protection import Protection

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")

FULL = Gpm(energy=1.0, first_energy=None)
FORMS: list[Form | None] = [None, "project", "gradient", "input", "null"]


class Life:
    """A small network with a past of few directions, and something new to learn."""

    def __init__(self, method: Method = FULL, taken: int = 12, make: Callable[..., nn.Module] | None = None) -> None:
        self.model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4)) if make is None else make()
        self.old = torch.randn(taken, 20)
        self.new, self.wanted = torch.randn(64, 20), torch.randn(64, 4)
        self.before = self.answers()
        self.protection = Protection(self.model, method)
        self.protection.consolidate([self.old])

    @torch.no_grad()
    def answers(self, model: nn.Module | None = None) -> Tensor:
        model = self.model if model is None else model
        model.eval()
        return model(self.old).clone()  # type: ignore[no-any-return]

    def change(self, model: nn.Module | None = None) -> float:
        return float((self.answers(model) - self.before).norm() / self.before.norm())

    def loss(self, model: nn.Module | None = None) -> Tensor:
        return nn.functional.mse_loss((self.model if model is None else model)(self.new), self.wanted)

    def train(self, optimizer: torch.optim.Optimizer, steps: int = 20, model: nn.Module | None = None) -> float:
        model = self.model if model is None else model
        model.train()
        for _ in range(steps):
            optimizer.zero_grad()
            self.loss(model).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return float(self.loss(model).detach())


def adam(p: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(p, lr=0.01)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_copy_is_a_model_of_its_own(form: Form | None, wrapped: bool) -> None:
    life = Life(taken=16)
    optimizer = adam(life.model.parameters())
    life.protection.attach(optimizer, form)
    life.train(optimizer)
    twin = copy.deepcopy(nn.ModuleList([life.model]))[0] if wrapped else copy.deepcopy(life.model)
    assert life.change(twin) < 1e-5
    assert [name for name, _ in twin.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    best = life.answers(twin), float(life.loss(twin).detach())
    life.train(optimizer)
    assert torch.equal(life.answers(twin), best[0])
    assert float(life.loss(twin).detach()) == best[1]
    mine = life.answers()
    free = adam(twin.parameters())
    life.train(free, 30, twin)
    assert all(p.grad is not None for p in twin.parameters())
    assert float(life.loss(twin.eval()).detach()) < 0.8 * best[1]
    assert life.change(twin) > 0.1
    assert torch.equal(life.answers(), mine)
    twin.load_state_dict(life.model.state_dict())
    assert torch.allclose(life.answers(twin), mine, atol=1e-6)


def test_a_copy_runs_its_norms_as_ever() -> None:
    life = Life(make=lambda: nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 4)))
    optimizer = adam(life.model.parameters())
    handle = life.protection.attach(optimizer)
    kept = life.model[1].running_mean.clone()  # type: ignore[index, union-attr, operator]
    life.train(optimizer)
    assert torch.equal(life.model[1].running_mean, kept)  # type: ignore[index, arg-type]
    assert life.model[1].training  # type: ignore[index]
    twin = copy.deepcopy(life.model).train()
    twin(life.new)
    assert not torch.equal(twin[1].running_mean, kept)  # type: ignore[index]
    handle.detach()
    life.model.train()
    life.model(life.new)
    assert not torch.equal(life.model[1].running_mean, kept)  # type: ignore[index, arg-type]


@pytest.mark.parametrize("form", ["project", "gradient", "input"])
def test_an_average_of_weights_follows(form: Form) -> None:
    life = Life()
    optimizer = adam(life.model.parameters())
    handle = life.protection.attach(optimizer, form)
    average = AveragedModel(life.model)
    first = float(life.loss(average).detach())
    for _ in range(20):
        life.train(optimizer, 2)
        handle.sync()
        average.update_parameters(life.model)
    assert float(life.loss(average).detach()) < 0.95 * first
    assert life.change(average) < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_pickling_a_held_model_is_refused_in_words_and_works_afterwards(form: Form | None) -> None:
    life = Life(taken=16)
    handle = life.protection.attach(adam(life.model.parameters()), form)
    with pytest.raises(TypeError, match=r"cannot be pickled with what holds it: save its state_dict\(\)"):
        torch.save(life.model, io.BytesIO())
    handle.detach()
    torch.save(life.model, io.BytesIO())


@pytest.mark.parametrize("first", [0, 1])
def test_two_handles_leave_nothing_behind_in_whatever_order_they_go(first: int) -> None:
    life = Life()
    parts = (life.model[0], life.model[2])  # type: ignore[index]
    handles = [life.protection.attach(adam(part.parameters())) for part in parts]  # type: ignore[union-attr]
    handles[first].detach()
    copy.deepcopy(life.model)
    handles[1 - first].detach()
    assert not any("__deepcopy__" in module.__dict__ for module in life.model.modules())
    torch.save(life.model, io.BytesIO())


@pytest.mark.parametrize("method", [FULL, NullSpace(FULL)])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_loaded_while_attached_is_what_is_held_from_then_on(form: Form | None, method: Method) -> None:
    life = Life(method, taken=16)
    optimizer = adam(life.model.parameters())
    handle = life.protection.attach(optimizer, form)
    life.train(optimizer)
    saved = copy.deepcopy((life.model.state_dict(), life.protection.state_dict()))
    wanted = life.answers(), float(life.loss().detach())
    life.train(optimizer)
    life.model.load_state_dict(saved[0])
    assert torch.allclose(life.answers(), wanted[0], atol=1e-6)
    assert float(life.loss().detach()) == pytest.approx(wanted[1], rel=1e-5)
    assert life.train(optimizer) < wanted[1]
    assert life.change() < 1e-5
    handle.detach()
    # Into another model, in whatever order: the past is what was loaded.
    other = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4))
    protection = Protection(other, method)
    protection.load_state_dict(saved[1])
    optimizer = adam(other.parameters())
    protection.attach(optimizer, form)
    other.load_state_dict(saved[0])
    life.train(optimizer, 20, other)
    assert life.change(other) < 1e-5


@pytest.mark.parametrize("method", [NullSpace(FULL), InfLora(rank=3)])
@pytest.mark.parametrize("make", [adam, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)])
def test_after_detach_training_goes_on_as_if_nothing_had_been(
    make: Callable[..., torch.optim.Optimizer], method: Method
) -> None:
    life = Life(method)
    optimizer = make(life.model.parameters())
    life.protection.begin([life.new])
    handle = life.protection.attach(optimizer)
    before = life.train(optimizer)
    handle.detach()
    assert life.train(optimizer, 60) < before
    assert life.change() > 0.01


CLOSED: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "Adam": adam,
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.5, max_iter=5),
    "LBFGS, line search": lambda p: torch.optim.LBFGS(p, max_iter=5, line_search_fn="strong_wolfe"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", CLOSED)
def test_with_a_closure_the_new_is_learned_and_the_old_stays(make: str, form: Form | None) -> None:
    if make.startswith("LBFGS") and form in ("input", "null"):
        pytest.skip("LBFGS cannot be held so, and says so")
    life = Life()
    optimizer = CLOSED[make](life.model.parameters())
    life.protection.attach(optimizer, form)
    life.model.train()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = life.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    first = float(life.loss().detach())
    for _ in range(40):
        loss = optimizer.step(closure)
        assert loss is not None
    last = float(life.loss().detach())
    assert last < 0.97 * first
    assert life.change() < 1e-4


def test_a_closure_takes_the_steps_that_gradients_from_before_would() -> None:
    for form in FORMS:
        ends = []
        for closed in (False, True):
            torch.manual_seed(3)
            life = Life()
            optimizer = adam(life.model.parameters())
            life.protection.attach(optimizer, form)
            life.model.train()
            for _ in range(10):
                optimizer.zero_grad()
                if not closed:
                    life.loss().backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                else:
                    optimizer.step(closure=lambda life=life: life.loss().backward())  # type: ignore[misc]
            ends.append(
                life.answers(life.model),
            )
            ends.append(life.model(life.new).detach())
        assert torch.allclose(ends[0], ends[2], atol=1e-6)
        assert torch.allclose(ends[1], ends[3], atol=1e-6)


def test_what_joins_the_optimizer_later_is_not_left_unheld() -> None:
    life = Life()
    optimizer = adam(life.model[0].parameters())  # type: ignore[index, union-attr]
    life.protection.attach(optimizer)
    optimizer.add_param_group({"params": list(life.model[2].parameters())})  # type: ignore[index]
    with pytest.raises(RuntimeError, match=r"got other parameters since its steps were held.*attach anew"):
        life.train(optimizer, 1)
    life.protection.attach(optimizer)
    life.train(optimizer)
    assert life.change() < 1e-5


def test_what_is_unfrozen_later_is_not_left_unheld() -> None:
    life = Life()
    life.model[0].requires_grad_(False)  # type: ignore[index]
    optimizer = adam(life.model.parameters())
    life.protection.attach(optimizer)
    life.train(optimizer, 2)
    life.model[0].requires_grad_(True)  # type: ignore[index]
    with pytest.raises(RuntimeError, match=r"requires_grad was False.*attach anew"):
        life.train(optimizer, 1)
    life.protection.attach(optimizer)
    life.train(optimizer)
    assert life.change() < 1e-5


def test_a_task_that_was_consolidated_must_be_held_before_the_next_step() -> None:
    life = Life()
    optimizer = adam(life.model.parameters())
    life.protection.attach(optimizer)
    life.train(optimizer, 2)
    life.protection.consolidate([life.new[:4]])
    with pytest.raises(RuntimeError, match=r"consolidated since this was attached.*attach anew"):
        life.train(optimizer, 1)
    life.protection.attach(optimizer)
    life.train(optimizer, 2)


def test_the_report_says_what_holds_each_parameter_now() -> None:
    life = Life()
    report = life.protection.report()
    assert {row.held for row in report.rows} == {"not attached"}
    handle = life.protection.attach(adam(life.model.parameters()), "gradient", 3)
    assert {row.held for row in life.protection.report().rows} == {"gradients and project every 3"}
    assert "held by" in str(life.protection.report())
    handle.detach()
    assert {row.held for row in life.protection.report().rows} == {"not attached"}
    weights = [p for name, p in life.model.named_parameters() if name.endswith("weight")]
    life.protection.attach(torch.optim.Muon(weights, lr=0.1))
    report = life.protection.report()
    assert report.of("0.weight").held == "put back: weight and bias do not move by the same optimizer"
    assert report.of("0.bias").held == "not attached"


def test_methods_that_must_be_told_of_a_task_say_so() -> None:
    for method in (OLora(), InfLora()):
        life = Life(method)
        with pytest.raises(ValueError, match=r"must see the first data of a task .*protection.begin\(batches\)"):
            life.protection.attach(adam(life.model.parameters()))
    with pytest.raises(ValueError, match="Coso has felt no gradient since the last consolidation"):
        Life(Coso())


@pytest.mark.parametrize("method", [FULL, Owm(alpha=1e-6)])
def test_data_that_cannot_be_kept_leave_the_protection_as_it_was(method: Method) -> None:
    life = Life(method)
    before = str(life.protection.report())
    bad = life.new.clone()
    bad[3, 3] = torch.nan
    with pytest.raises(ValueError, match=r"0.weight: what was seen holds NaN .* seen of this task is discarded"):
        life.protection.consolidate([life.new, bad])
    assert str(life.protection.report()) == before
    assert life.protection.tasks == 1
    life.protection.consolidate([life.old])
    assert str(life.protection.report()) == before
    with life.protection.watching():
        life.model(life.new)
    life.protection.discard()
    with pytest.raises(ValueError, match="Nothing has passed the model"):
        life.protection.consolidate()
    assert str(life.protection.report()) == before


def test_a_state_of_something_else_is_refused_by_name() -> None:
    state = Life().protection.state_dict()
    other = Protection(nn.Sequential(nn.Linear(18, 30), nn.ReLU(), nn.Linear(30, 4)), FULL)
    with pytest.raises(ValueError, match=r"0.weight was consolidated as 30 x 20 numbers .* shape \(30, 18\) now"):
        other.load_state_dict(state)
    with pytest.raises(ValueError, match=r"of another model: there is no 0.weight in this one"):
        Protection(nn.Linear(20, 30), FULL).load_state_dict(state)
    with pytest.raises(ValueError, match="state of a protection by Gpm, and this one is by Owm"):
        Protection(Life().model, Owm()).load_state_dict(state)
    with pytest.raises(ValueError, match="no state of a protection"):
        Protection(Life().model).load_state_dict({})


@pytest.mark.parametrize("form", FORMS)
def test_a_head_that_has_grown_keeps_what_it_knew(form: Form | None) -> None:
    life = Life(taken=16)
    head = life.model[2]  # type: ignore[index]
    larger = nn.Linear(30, 7)
    with torch.no_grad():
        larger.weight[:4], larger.bias[:4] = head.weight, head.bias  # type: ignore[union-attr]
    life.model[2] = larger  # type: ignore[index, operator]
    life.wanted = torch.randn(64, 7)
    life.before = life.answers()
    for _ in range(2):
        optimizer = adam(life.model.parameters())
        handle = life.protection.attach(optimizer, form)
        first = float(life.loss().detach())
        assert life.train(optimizer) < first
        assert life.change() < 1e-5
        handle.detach()
        life.protection.consolidate([life.old])


def test_what_is_no_method_or_optimizer_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"method must be a subspace method, such as lifelong.Gpm\(\), got 'gpm'"):
        Protection(nn.Linear(3, 3), "gpm")  # type: ignore[arg-type]
    life = Life()
    with pytest.raises(ValueError, match="attach takes a torch optimizer, got Sequential"):
        life.protection.attach(life.model)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="No task was consolidated, got 0"), Protection(life.model).as_of(0):
        pass
