"""Importances against numbers made by hand, and against the batch size."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toys import CONTRACT, batches, blobs

from lifelong.experience import Batch
from lifelong.objective import Contract, MultiLabel, Regression
from lifelong.retention.ewc import Ewc
from lifelong.retention.mas import Mas
from lifelong.retention.method import Retention
from lifelong.retention.model import Model
from lifelong.retention.per_sample import importance
from lifelong.retention.quadratic import Quadratic
from lifelong.retention.retained import Retained
from lifelong.retention.si import Si

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")


def net() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 6))


def weights_of(model: nn.Module, method: Retention, shown: Sequence[Batch]) -> dict[str, Tensor]:
    retained = Retained(Model(model), [method])
    retained.meet()
    retained.consolidate(shown)
    penalty = retained.keepers[0].penalty  # type: ignore[attr-defined]
    assert isinstance(penalty, Quadratic)
    return penalty.weights


def by_hand(model: nn.Module, shown: Sequence[Batch], power: int, norm: bool = False) -> dict[str, Tensor]:
    """Sample by sample, by an ordinary backward pass."""
    model.eval()
    sums = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    count = 0
    for batch in shown:
        for x, y in zip(batch.inputs, batch.targets, strict=True):
            outputs = model(x[None])
            value = outputs.square().sum() if norm else F.cross_entropy(outputs, y[None])
            model.zero_grad()
            value.backward()
            count += 1
            for name, p in model.named_parameters():
                assert p.grad is not None
                sums[name] += p.grad.abs() ** power
    model.zero_grad()
    return {name: value / count for name, value in sums.items()}


def test_the_empirical_fisher_is_the_mean_of_squared_gradients_of_single_samples() -> None:
    model, shown = net(), batches(1, 6, size=7)
    ours, theirs = weights_of(model, Ewc(labels="data", samples=None), shown), by_hand(model, shown, 2)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in theirs)
    assert max(float(value.max()) for value in theirs.values()) > 0.01


def test_mas_is_the_mean_size_of_the_gradient_of_the_squared_norm() -> None:
    model, shown = net(), batches(1, 6, size=7)
    ours, theirs = weights_of(model, Mas(samples=None), shown), by_hand(model, shown, 1, norm=True)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in theirs)


def test_labels_of_the_model_give_the_fisher_information() -> None:
    """Its expectation over the model's own labels, which for softmax has a closed form in the last layer's bias."""
    model, shown = net(), batches(1, 300, size=16)
    model.eval()
    with torch.no_grad():
        chances = torch.cat([model(batch.inputs).softmax(-1) for batch in shown])
    ours = weights_of(model, Ewc(samples=None), shown)["3.bias"]
    assert torch.allclose(ours, (chances * (1 - chances)).mean(0), rtol=0.1)


@pytest.mark.parametrize("outputs", [1, 4, 10])
@pytest.mark.parametrize("objective", [MultiLabel(), Regression()])
def test_the_fisher_of_other_objectives_is_that_of_their_likelihood(
    objective: MultiLabel | Regression, outputs: int
) -> None:
    torch.manual_seed(0)
    model, inputs = nn.Linear(5, outputs), torch.randn(4000, 5)
    contract = Contract((5,), outputs, objective)
    shown = [Batch(inputs, torch.zeros(4000, outputs), contract)]
    chances = model(inputs).sigmoid().detach()
    # However many outputs there are: that of a Bernoulli's logit, and that of the mean of a normal one of variance 1.
    one = chances * (1 - chances) if isinstance(objective, MultiLabel) else torch.ones_like(chances)
    found = weights_of(model, Ewc(samples=None), shown)
    assert torch.allclose(found["bias"], one.mean(0), rtol=0.15)
    assert torch.allclose(found["weight"], (one[:, :, None] * inputs[:, None].square()).mean(0), rtol=0.2)


def test_the_fisher_of_classes_is_that_of_the_cross_entropy_to_the_bit() -> None:
    model, shown = net(), batches(1, 6, size=7)
    found = weights_of(model, Ewc(labels="data", samples=None), shown)
    by_loss = importance(Model(model), shown, lambda _: F.cross_entropy, torch.square, lambda b, _: b.targets, None)
    assert all(torch.equal(found[name], by_loss[name]) for name in by_loss)


@pytest.mark.parametrize("method", [Ewc(labels="data", samples=None), Mas(samples=None)], ids=["EWC", "MAS"])
def test_importance_does_not_depend_on_the_batch_size(method: Retention) -> None:
    inputs, targets = blobs(2, 640)
    found = []
    for size in (10, 128):
        parts = zip(inputs.split(size), targets.split(size), strict=True)
        found.append(weights_of(net(), method, [Batch(x, y, CONTRACT) for x, y in parts]))
    assert all(torch.allclose(found[0][name], found[1][name], rtol=1e-3, atol=1e-7) for name in found[0])


def test_a_share_of_the_samples_is_spread_over_all_batches() -> None:
    """With one class in each batch, every class has its say."""
    inputs, targets = blobs(2, 600)
    order = targets.argsort()
    shown = [Batch(x, y, CONTRACT) for x, y in zip(inputs[order].split(50), targets[order].split(50), strict=True)]
    model = net()
    few, all_of_them = (weights_of(model, Ewc(labels="data", samples=n), shown) for n in (120, None))
    assert torch.allclose(few["0.weight"].sum(), all_of_them["0.weight"].sum(), rtol=0.3)
    assert (few["3.bias"] > 0).all()


def test_measuring_leaves_model_gradients_and_modes_alone() -> None:
    model = net()
    before = copy.deepcopy(model.state_dict())
    weights_of(model, Ewc(), batches(1, 3))
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert all(module.training for module in model.modules())


def trained(method: Retention, size: int, seed: int) -> dict[str, Tensor]:
    """Importances after 20 epochs of SGD at this batch size, with a rate in proportion to it."""
    inputs, targets = blobs(seed, 1280)
    inputs = inputs / 3
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(16, 40), nn.ReLU(), nn.Linear(40, 6))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.002 * size)
    retained = Retained(Model(model), [method], seed)
    retained.meet()
    for _ in range(10):
        for rows in torch.randperm(len(inputs)).split(size):
            batch = Batch(inputs[rows], targets[rows], CONTRACT)
            optimizer.zero_grad()
            retained.step(optimizer, batch, model(batch.inputs))
    retained.consolidate([Batch(inputs, targets, CONTRACT)])
    return retained.keepers[0].penalty.weights  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("method", [Ewc(samples=None), Si()], ids=["EWC", "SI"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_training_in_batches_of_10_and_128_gives_the_same_strength(method: Retention, seed: int) -> None:
    small, large = (sum(float(w.sum()) for w in trained(method, size, seed).values()) for size in (10, 128))
    assert small == pytest.approx(large, rel=0.2)


def test_the_papers_path_counts_noise_as_progress() -> None:
    small, large = (sum(float(w.sum()) for w in trained(Si(scale="path"), size, 0).values()) for size in (10, 128))
    assert small > 1.5 * large


def test_what_the_ways_won_is_what_the_loss_fell_by() -> None:
    """On a quadratic, full batch and with small steps, the paper's sum needs no scaling: both scales agree."""
    found = {}
    for scale in ("loss", "path"):
        torch.manual_seed(0)
        model, contract = nn.Linear(4, 1), Contract((4,), 1, Regression())
        inputs = torch.randn(64, 4)
        batch = Batch(inputs, inputs @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + 1.0, contract)
        retained = Retained(Model(model), [Si(scale=scale)])  # type: ignore[arg-type]
        retained.meet()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for _ in range(2000):
            optimizer.zero_grad()
            retained.step(optimizer, batch, model(batch.inputs))
        retained.consolidate([batch])
        found[scale] = torch.cat([w.flatten() for w in retained.keepers[0].penalty.weights.values()])  # type: ignore[attr-defined]
    assert torch.allclose(found["loss"], found["path"], rtol=0.01)
    assert float(found["loss"].max()) > 0.5


class Recurrent(nn.Module):
    """A layer that cannot be mapped over samples."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 6)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.gru(inputs.view(-1, 4, 4))[0][:, -1])
        return outputs


def test_layers_that_cannot_be_mapped_over_samples_are_measured_one_by_one() -> None:
    torch.manual_seed(0)
    model, shown = Recurrent(), batches(1, 3, size=5)
    ours, theirs = weights_of(model, Ewc(labels="data", samples=None), shown), by_hand(model, shown, 2)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in theirs)
