"""Training on kept samples: what it depends on, what it leaves alone, and where it ends up."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.fit import Fit, fit
from lifelong.optimizer import Optimizer
from lifelong.pruning import Pruner
from lifelong.thinning import Thinning, thin


def data(count: int = 120) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 4, generator=random, dtype=torch.float64)
    return inputs, inputs @ torch.tensor([[1.0], [0.01], [-2.0], [0.5]], dtype=torch.float64) + 0.3


def linear() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(4, 1).double()


def test_it_ends_in_the_least_squares_solution() -> None:
    inputs, targets = data()
    module = linear()
    fit(module, inputs, targets, F.mse_loss, Fit(300, 120, Optimizer("sgd", lr=0.3), ()), seed=0)
    design = torch.cat([inputs, torch.ones(120, 1, dtype=torch.float64)], dim=1)
    solution = torch.linalg.lstsq(design, targets).solution[:, 0]
    torch.testing.assert_close(torch.cat([module.weight[0], module.bias]), solution)
    assert not module.training
    assert module.weight.grad is None


def test_the_rate_falls_at_shares_of_the_epochs() -> None:
    class Slide(nn.Module):
        """Its loss is its one number: each step takes the learning rate off."""

        def __init__(self) -> None:
            super().__init__()
            self.height = nn.Parameter(torch.zeros(1, dtype=torch.float64))

        def forward(self, inputs: Tensor) -> Tensor:
            return self.height.expand(len(inputs))

    for epochs, expected in ((4, 2 * 0.1 + 2 * 0.01), (8, 4 * 0.1 + 4 * 0.01)):
        slide = Slide()
        recipe = Fit(epochs, 10, Optimizer("sgd", lr=0.1), milestones=(0.5,), gamma=0.1)
        fit(slide, torch.zeros(10, 1), torch.zeros(10), lambda outputs, _: outputs.mean(), recipe, seed=0)
        assert slide.height.item() == pytest.approx(-expected)


def test_it_depends_on_the_seed_alone_and_draws_nothing_from_outside() -> None:
    inputs, targets = data()
    results = []
    for outside, seed in ((0, 5), (1, 5), (2, 6)):
        module = nn.Sequential(linear(), nn.Dropout(0.5))
        torch.manual_seed(outside)
        before = torch.get_rng_state()
        fit(module, inputs, targets, F.mse_loss, Fit(2, 16), seed, augment=lambda x: x + 0.1 * torch.randn_like(x))
        assert torch.equal(before, torch.get_rng_state())
        results.append(module[0].weight.detach())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_a_thinned_regression_is_least_squares_on_the_inputs_that_are_left() -> None:
    inputs, targets = data()
    module = linear()
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, 0.01, -2.0, 0.5]]))
    recipe = Thinning(0.4, fit=Fit(300, 120, Optimizer("sgd", lr=0.3), ()))
    pruner = thin(module, inputs, targets, F.mse_loss, recipe, seed=0)
    assert pruner.pruned == 2
    assert recipe.left(5) == 3
    design = torch.cat([inputs[:, [0, 2]], torch.ones(120, 1, dtype=torch.float64)], dim=1)
    solution = torch.linalg.lstsq(design, targets).solution[:, 0]
    torch.testing.assert_close(torch.cat([module.weight[0, [0, 2]], module.bias]), solution)
    assert module.weight[0, [1, 3]].tolist() == [0.0, 0.0]


def test_the_masks_let_go_of_nothing_after_the_fit() -> None:
    inputs, targets = data()
    module = linear()
    pruner = Pruner(module)
    pruner.prune(0.4)
    fit(module, inputs, targets, F.mse_loss, Fit(2, 16), 0, pruner)
    assert int((module.weight == 0).sum()) == 2


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="epoch"):
        Fit(0)
    with pytest.raises(ValueError, match="milestones"):
        Fit(milestones=(1.0,))
    with pytest.raises(ValueError, match="share"):
        Thinning(1.0)
    inputs, targets = data()
    with pytest.raises(ValueError, match="119 targets"):
        fit(linear(), inputs, targets[:-1], F.mse_loss, Fit(1), 0)
    with pytest.raises(ValueError, match="at least one"):
        fit(linear(), inputs[:0], targets[:0], F.mse_loss, Fit(1), 0)
