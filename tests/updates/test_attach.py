"""A handle holds an optimizer to its rules: exactly at every sync, invisibly in between, and until it is let go."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from lifelong.updates.attach import Guard, attach, chain, freeze


def onto_first(steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A linear projection: only the first column may move."""
    return tuple(torch.cat([step[:, :1], torch.zeros_like(step[:, 1:])], dim=1) for step in steps)


class Walk:
    """A 3x4 weight under Adam, pushed by gradients that are fixed for each step."""

    def __init__(self, every: int) -> None:
        self.weight = nn.Parameter(torch.arange(12.0).view(3, 4) / 10)
        self.optimizer = torch.optim.Adam([self.weight], lr=0.1)
        self.handle = attach(self.optimizer, [Guard((self.weight,), onto_first)], every)
        self.start = self.weight.detach().clone()

    def step(self, numbers: range) -> None:
        for number in numbers:
            generator = torch.Generator().manual_seed(number)
            self.weight.grad = torch.randn(3, 4, generator=generator)
            self.optimizer.step()

    def moved(self) -> Tensor:
        return self.weight.detach() - self.start


def test_a_rule_is_applied_to_the_movement_every_so_many_steps() -> None:
    walk = Walk(every=4)
    walk.step(range(3))
    assert walk.moved()[:, 1:].abs().min() > 1e-4
    walk.step(range(3, 4))
    assert torch.equal(walk.moved()[:, 1:], torch.zeros(3, 3))
    assert walk.moved()[:, 0].abs().min() > 1e-4


def test_sync_makes_it_exact_at_once_and_starts_a_new_window() -> None:
    walk = Walk(every=4)
    walk.step(range(3))
    walk.handle.sync()
    assert torch.equal(walk.moved()[:, 1:], torch.zeros(3, 3))
    walk.step(range(3, 6))
    assert walk.moved()[:, 1:].abs().min() > 1e-4


def test_for_a_linear_rule_waiting_changes_nothing_in_the_end() -> None:
    # The gradients do not depend on the weights here, so the same steps are proposed whether or not one waits.
    walks = [Walk(every) for every in (1, 4, 5)]
    for walk in walks:
        walk.step(range(9))
        walk.handle.sync()
        assert torch.allclose(walk.weight, walks[0].weight, atol=1e-6)


@pytest.mark.parametrize("every", [1, 2, 6])
def test_every_movement_is_judged_once(every: int) -> None:
    # A rule that is no projection tells whether what was permitted before is judged again.
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    attach(optimizer, [Guard((weight,), lambda steps: (steps[0] / 2,))], every)
    for _ in range(6):
        weight.grad = torch.full((1,), -1.0)
        optimizer.step()
    assert weight.item() == 3.0


def test_settled_shows_the_synced_parameters_and_leaves_no_trace() -> None:
    walk, undisturbed = Walk(every=4), Walk(every=4)
    for part in (range(3), range(3, 9), range(9, 10)):
        walk.step(part)
        undisturbed.step(part)
        with walk.handle.settled():
            assert torch.equal(walk.moved()[:, 1:], torch.zeros(3, 3))
            assert walk.moved()[:, 0].abs().min() > 1e-4
        assert torch.equal(walk.weight, undisturbed.weight)
    (mine,), (theirs,) = walk.handle.state_dict()["holds"], undisturbed.handle.state_dict()["holds"]
    assert torch.equal(mine["anchors"][0], theirs["anchors"][0])
    assert mine["waiting"] == theirs["waiting"] == 2


def test_settled_puts_things_back_when_what_is_inside_fails() -> None:
    walk = Walk(every=4)
    walk.step(range(2))
    before = walk.weight.detach().clone()
    with pytest.raises(RuntimeError, match="in the middle"), walk.handle.settled():
        raise RuntimeError("in the middle")
    assert torch.equal(walk.weight, before)


def test_detach_syncs_and_ends_it() -> None:
    walk = Walk(every=4)
    walk.step(range(3))
    walk.handle.detach()
    assert torch.equal(walk.moved()[:, 1:], torch.zeros(3, 3))
    # Twice as many steps as a window has: a hook that had stayed would have ended its second one just now.
    walk.step(range(3, 11))
    assert walk.moved()[:, 1:].abs().min() > 1e-4


def test_rebase_takes_what_is_there_for_permitted() -> None:
    walk = Walk(every=4)
    walk.step(range(2))
    with torch.no_grad():
        walk.weight.fill_(7.0)
    walk.handle.rebase()
    walk.handle.sync()
    assert torch.equal(walk.weight, torch.full((3, 4), 7.0))
    walk.step(range(2, 6))
    assert torch.equal(walk.weight[:, 1:], torch.full((3, 3), 7.0))
    assert not torch.equal(walk.weight[:, 0], torch.full((3,), 7.0))


def test_a_state_taken_in_the_middle_of_a_window_goes_on_identically() -> None:
    walk = Walk(every=8)
    with torch.no_grad():
        walk.weight.add_(3.0)
    walk.handle.rebase()
    walk.step(range(13))
    kept = copy.deepcopy((walk.weight.detach(), walk.optimizer.state_dict(), walk.handle.state_dict()))
    walk.step(range(13, 20))
    twin = Walk(every=8)
    with torch.no_grad():
        twin.weight.copy_(kept[0])
    twin.optimizer.load_state_dict(kept[1])
    twin.handle.load_state_dict(kept[2])
    twin.step(range(13, 16))
    assert torch.allclose(twin.moved()[:, 1:], torch.full((3, 3), 3.0))
    twin.step(range(16, 20))
    assert torch.equal(twin.weight, walk.weight)


def test_weight_and_bias_are_judged_together() -> None:
    # What one input needs is that weight @ input + bias stays: the bias may move if the weight makes up for it.
    weight, bias = nn.Parameter(torch.tensor([[0.5, -1.0]])), nn.Parameter(torch.tensor([3.0]))
    x = torch.tensor([2.0, 0.0])

    def keep(steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        drift = (steps[0] @ x + steps[1]) / 5.0
        return steps[0] - drift[:, None] * x, steps[1] - drift

    optimizer = torch.optim.SGD([weight, bias], lr=1.0)
    attach(optimizer, [Guard((weight, bias), keep)])
    weight.grad, bias.grad = torch.zeros(1, 2), torch.ones(1)
    optimizer.step()
    # A step of -1 for the bias alone drifts by -1: a fifth of that comes off the bias, two fifths off the weight.
    assert bias.item() == pytest.approx(2.2)
    assert weight.tolist() == [[pytest.approx(0.9), -1.0]]
    assert float((weight @ x + bias).detach()) == pytest.approx(4.0)


def test_freeze_permits_nothing_to_those_it_guards() -> None:
    kept, free = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([kept, free], lr=0.1, weight_decay=0.1)
    attach(optimizer, [Guard((kept,), freeze)])
    for _ in range(3):
        kept.grad, free.grad = torch.ones(3), torch.ones(3)
        optimizer.step()
    assert torch.equal(kept, torch.ones(3))
    assert float(free.detach().max()) < 0.8


def test_chain_applies_one_rule_after_the_other() -> None:
    def half(steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(step / 2 for step in steps)

    def at_most_one(steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(step.clamp(max=1.0) for step in steps)

    steps = (torch.tensor([8.0]), torch.tensor([1.0]))
    assert [s.item() for s in chain(half, at_most_one)(steps)] == [1.0, 0.5]
    assert [s.item() for s in chain(at_most_one, half)(steps)] == [0.5, 0.5]
    assert chain()(steps) is steps


def test_a_window_of_no_steps_is_refused() -> None:
    weight = nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match="got 0"):
        attach(torch.optim.SGD([weight], lr=0.1), [Guard((weight,), freeze)], every=0)
