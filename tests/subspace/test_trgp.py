"""TRGP: the weights of each task come back when it is judged, whatever was learned since and by whatever optimizer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.subspace.gpm import Gpm
from lifelong.subspace.protection import Protection
from lifelong.subspace.trgp import Trgp, TrgpKeeper, TrustRegion

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")

FULL = Gpm(energy=1.0, first_energy=None)
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "linear": (lambda: nn.Linear(40, 24), (40,), 9),
    "without a bias": (lambda: nn.Linear(40, 24, bias=False), (40,), 9),
    "grouped conv": (lambda: nn.Conv1d(16, 8, 3, groups=2), (16, 4), 3),
    "two layers": (lambda: nn.Sequential(nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 6)), (30,), 4),
}
OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=5e-3, weight_decay=0.1),
}


class Life:
    """A model that learns tasks one after the other, with TRGP."""

    def __init__(self, layer: str, threshold: float = 0.0, optimizer: str = "AdamW") -> None:
        make, self._shape, self._count = LAYERS[layer]
        self.model = make()
        self.protection = Protection(self.model, Trgp(threshold=threshold, gpm=FULL))
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.tasks: list[tuple[Tensor, Tensor]] = []
        self.answers: list[Tensor] = []

    def meet(self, like: Tensor | None = None) -> None:
        """A task arrives; `like`: its inputs are mixtures of these."""
        fresh = torch.randn(self._count, *self._shape)
        inputs = fresh if like is None else torch.tensordot(torch.randn(self._count, len(like)), like, 1)
        self.tasks.append((inputs, torch.randn(self.model(inputs).shape)))
        self.protection.begin([self.tasks[-1]], loss=self.loss)
        self.protection.attach(self.optimizer)

    def loss(self, task: tuple[Tensor, Tensor]) -> Tensor:
        return F.mse_loss(self.model(task[0]), task[1])

    def train(self, steps: int = 150) -> None:
        self.model.train()
        first = float(self.loss(self.tasks[-1]).detach())
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.loss(self.tasks[-1]).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        assert float(self.loss(self.tasks[-1]).detach()) < 0.9 * first
        self.model.eval()

    def end(self) -> None:
        self.protection.consolidate([self.tasks[-1][0]])
        with torch.no_grad():
            self.answers.append(self.model(self.tasks[-1][0]).clone())

    def learn(self, like: Tensor | None = None) -> None:
        self.meet(like)
        self.train()
        self.end()

    def change(self, task: int, told: bool = True) -> float:
        with torch.no_grad():
            if not told:
                now = self.model(self.tasks[task][0])
            else:
                with self.protection.as_of(task):
                    now = self.model(self.tasks[task][0])
        return float((now - self.answers[task]).norm() / self.answers[task].norm())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("layer", LAYERS)
def test_every_task_answers_as_it_did_when_it_ended(layer: str, optimizer: str) -> None:
    life = Life(layer, optimizer=optimizer)
    life.learn()
    life.learn()
    life.learn(like=life.tasks[0][0])
    assert all(life.change(task) < 1e-4 for task in range(3))
    assert life.change(2, told=False) < 1e-6
    # The third task lies in the inputs of the first: what it scaled there is not for the first.
    assert life.change(0, told=False) > 0.1


def test_inputs_of_an_old_task_can_be_learned_anew_where_gpm_alone_is_shut_out() -> None:
    life = Life("without a bias")
    life.learn()
    life.learn(like=life.tasks[0][0])
    # It was learned, as `train` asserts; without a trust region nothing of it could be.
    twin = copy.deepcopy(life.model)
    shut = Protection(twin, FULL)
    shut.consolidate([life.tasks[0][0]])
    optimizer = torch.optim.AdamW(twin.parameters(), lr=5e-3)
    shut.attach(optimizer)
    before = twin(life.tasks[1][0]).detach()
    for _ in range(20):
        optimizer.zero_grad()
        twin(life.tasks[1][0]).square().mean().backward()
        optimizer.step()
    assert torch.allclose(twin(life.tasks[1][0]), before, atol=1e-4)


def keeper_of(life: Life) -> TrgpKeeper:
    keeper = life.protection._ledger.kept()[0].keeper
    assert isinstance(keeper, TrgpKeeper)
    return keeper


def test_the_weight_is_the_scaled_one_of_the_paper_and_its_free_part_is_as_gpm_moves_it() -> None:
    life = Life("without a bias")
    life.learn()
    bases = torch.linalg.qr(life.tasks[0][0].double().T).Q
    assert isinstance(life.model, nn.Linear)
    start = life.model.weight.detach().double().clone()
    life.meet()
    life.train()
    region = keeper_of(life).projection().coordinates
    assert isinstance(region, TrustRegion)
    moved = life.model.weight.detach().double() - start
    scaled = moved @ bases @ bases.T
    # W U (S - I) U^T: rows in the old basis, columns in the image of the old basis.
    image = torch.linalg.qr(start @ bases).Q
    assert scaled.norm() > 0.01
    assert float((scaled - image @ image.T @ scaled).norm() / scaled.norm()) < 1e-4
    correction = region.correction()
    assert correction is not None
    assert torch.allclose((correction.left @ correction.right.transpose(1, 2))[0].double(), scaled, atol=1e-4)


def test_trusted_are_the_tasks_whose_directions_hold_most_of_the_gradient() -> None:
    life = Life("without a bias", threshold=0.5)
    for _ in range(3):
        life.learn()
    life.meet(like=life.tasks[1][0])
    assert keeper_of(life).state_dict()["chosen"][0] == 1
    life.train()
    life.end()
    life.meet()
    # Nine random directions of forty hold about half of a fresh gradient at most: nobody is trusted beyond that.
    gradient = torch.autograd.grad(life.loss(life.tasks[-1]), list(life.model.parameters()))[0].double()
    shares = [
        float((gradient @ torch.linalg.qr(inputs.double().T).Q).norm() / gradient.norm())
        for inputs, _ in life.tasks[:-1]
    ]
    best = sorted(range(4), key=lambda j: -shares[j])
    assert keeper_of(life).state_dict()["chosen"] == [j for j in best[:2] if shares[j] > 0.5]


def test_judging_an_old_task_leaves_no_trace_and_cannot_be_trained_in() -> None:
    life = Life("linear")
    life.learn()
    life.learn()
    life.meet()
    life.train(20)
    before = [p.detach().clone() for p in life.model.parameters()]
    with life.protection.as_of(0):
        assert not torch.equal(life.model.weight, before[0])  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="train outside of `as_of`"):
            life.optimizer.step()
    assert all(torch.equal(p, b) for p, b in zip(life.model.parameters(), before, strict=True))
    assert max(life.change(task) for task in range(2)) < 1e-4
    life.train(20)
    life.end()
    assert max(life.change(task) for task in range(3)) < 1e-4


def test_a_life_goes_on_the_same_after_being_saved_in_the_middle_of_a_task() -> None:
    life = Life("linear")
    life.learn()
    life.meet(like=life.tasks[0][0])
    life.train(60)
    twin = copy.deepcopy(Life("linear"))
    twin.model.load_state_dict(copy.deepcopy(life.model.state_dict()))
    twin.protection.load_state_dict(copy.deepcopy(life.protection.state_dict()))
    twin.optimizer = OPTIMIZERS["AdamW"](twin.model.parameters())
    twin.tasks, twin.answers = list(life.tasks), list(life.answers)
    # A new attachment forgets moments; give both the same start.
    for one in (life, twin):
        one.protection.attach(one.optimizer)
        one.train(60)
        one.end()
    for mine, theirs in zip(life.model.parameters(), twin.model.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
    assert max(one.change(task) for one in (life, twin) for task in range(2)) < 1e-4


def test_what_it_needs_is_said() -> None:
    life = Life("linear")
    life.learn()
    with pytest.raises(ValueError, match=r"gradient of a task's first data: call\s+protection\.begin\(batches, loss="):
        life.protection.begin([life.tasks[0][0]])
    with pytest.raises(RuntimeError, match="attach anew"):
        life.optimizer.step()
    life.protection.begin([life.tasks[0]], loss=life.loss)
    with pytest.raises(ValueError, match="Trgp has other weights for each task, which form='null' cannot show"):
        life.protection.attach(life.optimizer, "null")
    with pytest.raises(ValueError, match="Tasks 0 to 0 were consolidated, got 1"), life.protection.as_of(1):
        pass
    for settings, message in (({"threshold": 1.5}, "got 1.5"), ({"tasks": 0}, "at least 1, got 0")):
        with pytest.raises(ValueError, match=message):
            Trgp(**settings)  # type: ignore[arg-type]


def test_other_methods_have_the_same_weights_for_every_task() -> None:
    layer = nn.Linear(6, 3)
    protection = Protection(layer, FULL)
    protection.consolidate([torch.randn(2, 6)])
    before = layer.weight.detach().clone()
    with protection.as_of(0):
        assert torch.equal(layer.weight, before)
