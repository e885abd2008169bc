"""Each name is the torch optimizer of that name, with the settings that were given and no others."""

from __future__ import annotations

from typing import Any, Literal, cast

import pytest
import torch
from torch import nn

from lifelong.optimizer import Optimizer

Name = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "radam"]
CLASSES: dict[Name, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
}


def stepped(settings: Optimizer, gradients: tuple[float, ...]) -> float:
    """Where a parameter of 1 ends after these gradients."""
    parameter = nn.Parameter(torch.ones(1))
    optimizer = settings.over([parameter])
    for gradient in gradients:
        parameter.grad = torch.full((1,), gradient)
        optimizer.step()
    return parameter.item()


@pytest.mark.parametrize("name", CLASSES)
def test_a_name_gives_its_optimizer_with_torch_defaults_for_the_rest(name: Name) -> None:
    parameter = nn.Parameter(torch.ones(2))
    made = Optimizer(name, lr=0.02, weight_decay=0.1).over(p for p in [parameter])
    assert type(made) is CLASSES[name]
    plain: Any = CLASSES[name]
    assert made.defaults == plain([parameter], lr=0.02, weight_decay=0.1).defaults
    assert made.param_groups[0]["params"] == [parameter]


def test_sgd_with_momentum_by_hand() -> None:
    # Velocities 1 and 0.5 * 1 + 2; decay adds 0.1 of the parameter to each gradient.
    assert stepped(Optimizer("sgd", lr=0.1, momentum=0.5), (1.0, 2.0)) == pytest.approx(1.0 - 0.1 - 0.25)
    assert stepped(Optimizer("sgd", lr=0.1, weight_decay=0.1), (1.0,)) == pytest.approx(1.0 - 0.1 * 1.1)


def test_weight_decay_is_decoupled_in_adamw_alone() -> None:
    # A first Adam step is lr times the gradient's sign; without a gradient only decay is left.
    assert stepped(Optimizer("adam", lr=0.1), (5.0,)) == pytest.approx(0.9)
    assert stepped(Optimizer("adamw", lr=0.1, weight_decay=0.5), (0.0,)) == pytest.approx(1.0 - 0.1 * 0.5)
    assert stepped(Optimizer("adam", lr=0.1, weight_decay=0.5), (0.0,)) == pytest.approx(0.9)


def test_momentum_reaches_rmsprop() -> None:
    made = Optimizer("rmsprop", momentum=0.5).over([nn.Parameter(torch.ones(1))])
    assert made.defaults["momentum"] == 0.5


@pytest.mark.parametrize("lr", [0.0, -1.0, float("nan")])
def test_a_learning_rate_that_is_not_positive_is_refused(lr: float) -> None:
    with pytest.raises(ValueError, match=f"lr must be positive, got {lr}"):
        Optimizer(lr=lr)


@pytest.mark.parametrize(("momentum", "decay"), [(1.0, 0.0), (-0.1, 0.0), (0.0, -1.0)])
def test_momentum_and_decay_out_of_range_are_refused(momentum: float, decay: float) -> None:
    with pytest.raises(ValueError, match=f"weight_decay={decay}, momentum={momentum}"):
        Optimizer("sgd", momentum=momentum, weight_decay=decay)


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ("sgd", "rmsprop")])
def test_momentum_for_an_optimizer_without_is_refused(name: Name) -> None:
    with pytest.raises(ValueError, match=f"momentum is an option of sgd and rmsprop; {name} has none"):
        Optimizer(name, momentum=0.9)


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"one of sgd, adam, adamw.*got 'lion'"):
        Optimizer(cast(Name, "lion"))
