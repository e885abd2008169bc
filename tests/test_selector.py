"""A selector learns from kept samples who knows which world, and says so in the experts' own numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lifelong.fit import Fit
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.pruning import footprint
from lifelong.selector import Selector, train_selector
from lifelong.thinning import Thinning

RECIPE = Fit(15, 32, Optimizer("adam", lr=0.01), ())
NUMBERS = torch.tensor([7, 2, 4])


def worlds(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, experts and kinds: three worlds of two clouds each. Clouds of different worlds alternate on a line."""
    random = torch.Generator().manual_seed(seed)
    cloud = torch.randint(6, (count,), generator=random)
    inputs = torch.randn(count, 2, generator=random) * 0.2
    inputs[:, 0] += 2.0 * cloud
    return inputs, NUMBERS[cloud % 3], cloud // 3


def test_it_finds_the_expert_by_its_number() -> None:
    inputs, experts, kinds = worlds(600)
    fresh, truth, _ = worlds(300, seed=1)
    for given in (None, kinds):
        selector = train_selector(inputs, experts, Mlp((32, 32)), RECIPE, seed=0, kinds=given)
        assert selector.experts.tolist() == [2, 4, 7]
        assert (selector.choose(fresh) == truth).float().mean() > 0.98
        torch.testing.assert_close(selector(fresh).exp().sum(1), torch.ones(300))


def test_the_chances_of_an_expert_are_those_of_its_kinds_together() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0, 0.5], [0.0, 0.0, 0.0, 5.0]])
    selector = Selector(nn.Identity(), torch.tensor([3, 8]), torch.tensor([0, 1, 0, 1]))
    expected = torch.stack([scores[:, [0, 2]].logsumexp(1), scores[:, [1, 3]].logsumexp(1)], dim=1)
    torch.testing.assert_close(selector(scores), expected.log_softmax(1))
    assert selector.choose(scores).tolist() == [3, 8]


def test_the_same_arguments_give_the_same_selector_and_outside_nothing_is_drawn() -> None:
    inputs, experts, _ = worlds(200)
    made = []
    for outside in (0, 1):
        torch.manual_seed(outside)
        before = torch.get_rng_state()
        made.append(train_selector(inputs, experts, Mlp((16,)), RECIPE, 0, Thinning(0.5, fit=Fit(2, 32))))
        assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(made[0](inputs), made[1](inputs))
    body = footprint(made[0].body)
    assert body.parameters == 2 * 16 + 16 + 3 * 16 + 3
    assert body.nonzero == body.parameters - round(0.5 * body.parameters)


def test_mistakes_are_named() -> None:
    inputs, experts, kinds = worlds(20)
    with pytest.raises(ValueError, match="0 inputs"):
        train_selector(inputs[:0], experts[:0], Mlp((4,)), RECIPE, 0)
    with pytest.raises(ValueError, match="19 kinds"):
        train_selector(inputs, experts, Mlp((4,)), RECIPE, 0, kinds=kinds[1:])
