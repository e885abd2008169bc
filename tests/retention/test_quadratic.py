from __future__ import annotations

import torch
from torch import nn

from lifelong.retention.quadratic import Quadratic


def three() -> list[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]]:
    random = torch.Generator().manual_seed(0)
    return [
        (
            {"w": torch.rand(5, generator=random) * torch.tensor([1.0, 1, 1, 1, 0])},
            {"w": torch.randn(5, generator=random)},
        )
        for _ in range(3)
    ]


def test_the_sum_of_penalties_is_one_penalty() -> None:
    kept, tasks = Quadratic(), three()
    for importance, values in tasks:
        kept.add(importance, values)
    p = nn.Parameter(torch.tensor([0.3, -1.0, 2.0, 0.0, 4.0]))
    q = nn.Parameter(torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0]))
    penalties = [sum(0.5 * 7.0 * (f["w"] * (one - v["w"]).square()).sum() for f, v in tasks) for one in (p, q)]
    penalties[0].backward()
    wanted, p.grad = p.grad, torch.ones(5)
    kept.pull({"w": p}, 7.0)
    assert wanted is not None
    assert torch.allclose(p.grad, 1 + wanted, atol=1e-5)
    # Up to a constant, which two places have in common.
    difference = kept.value({"w": p}, 7.0) - kept.value({"w": q}, 7.0)
    assert abs(difference - float((penalties[0] - penalties[1]).detach())) < 1e-4


def test_the_online_form_is_about_the_latest_values() -> None:
    kept, tasks = Quadratic(), three()
    for importance, values in tasks:
        kept.move(importance, values, keep=0.5)
    assert torch.allclose(kept.weights["w"], tasks[0][0]["w"] / 4 + tasks[1][0]["w"] / 2 + tasks[2][0]["w"])
    assert torch.equal(kept.centres["w"], tasks[2][1]["w"])


def test_a_parameter_that_was_not_there_is_free_and_one_without_a_gradient_gets_it() -> None:
    kept = Quadratic()
    kept.add({"old": torch.ones(2)}, {"old": torch.zeros(2)})
    old, new = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    kept.pull({"old": old, "new": new}, 3.0)
    assert old.grad is not None
    assert old.grad.tolist() == [3.0, 3.0]
    assert new.grad is None


def test_what_is_restored_shares_nothing() -> None:
    kept, other = Quadratic(), Quadratic()
    kept.add({"w": torch.ones(2)}, {"w": torch.zeros(2)})
    other.load_state_dict(kept.state_dict())
    other.add({"w": torch.ones(2)}, {"w": torch.ones(2)})
    assert kept.weights["w"].tolist() == [1.0, 1.0]
    assert other.centres["w"].tolist() == [0.5, 0.5]
