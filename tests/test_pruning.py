"""What is pruned is the smallest, stays zero under any optimizer, and is counted exactly."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from lifelong.optimizer import Optimizer
from lifelong.pruning import Footprint, Gradual, Pruner, footprint, smallest_out


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def train(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int, seed: int = 1) -> None:
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        module(torch.randn(16, 6, generator=random)).square().mean().backward()
        optimizer.step()


def zeros(module: nn.Module) -> int:
    return sum(int((p == 0).sum()) for p in module.parameters())


def test_the_smallest_magnitudes_of_all_go_first_and_of_equals_the_earlier() -> None:
    weights = [torch.tensor([[0.1, -3.0], [2.0, -0.2]]), torch.tensor([0.5, 0.2])]
    everything = [torch.ones_like(w, dtype=torch.bool) for w in weights]
    first, second = smallest_out(weights, everything, 2)
    assert first.tolist() == [[False, True], [True, False]]
    assert second.tolist() == [True, True]
    first, second = smallest_out(weights, everything, 4)
    assert first.tolist() == [[False, True], [True, False]]
    assert second.tolist() == [False, False]


def test_what_is_out_stays_out_even_where_it_is_large_and_counts() -> None:
    kept = [torch.tensor([True, False, True, True])]
    (mask,) = smallest_out([torch.tensor([1.0, 9.0, 3.0, 2.0])], kept, 2)
    assert mask.tolist() == [False, False, True, True]
    (mask,) = smallest_out([torch.tensor([1.0, 9.0, 3.0, 2.0])], kept, 0)
    assert mask.tolist() == kept[0].tolist()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_global_pruning_is_that_of_torch(share: float) -> None:
    ours, theirs = (
        nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 5)),
        nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 5)),
    )
    theirs.load_state_dict(ours.state_dict())
    total, weights = 785, 750
    torch_prune.global_unstructured(
        [(layer, "weight") for layer in theirs], torch_prune.L1Unstructured, amount=round(share * total)
    )
    assert Pruner(ours).prune(share) == round(share * total) <= weights
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine.weight, other.weight)
        assert (mine.bias != 0).all()


def test_within_layers_each_loses_the_same_share() -> None:
    module = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 20, bias=False))
    with torch.no_grad():
        module[0].weight.mul_(100)
    Pruner(module, scope="layer").prune(0.3)
    assert [int((layer.weight == 0).sum()) for layer in module] == [30, 60]
    Pruner(module).prune(0.6)
    assert [int((layer.weight == 0).sum()) for layer in module] == [30, 150]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "radam"])
def test_masks_hold_under_every_optimizer_and_the_rest_learns(name: str) -> None:
    module = network()
    optimizer = Optimizer(name, lr=0.01, momentum=0.9 if name == "sgd" else 0.0, weight_decay=1e-3).over(
        module.parameters()
    )
    train(module, optimizer, 5)
    keys = list(module.state_dict())
    pruner = Pruner(module)
    pruner.prune(0.5)
    handle = pruner.attach(optimizer)
    before = [p.detach().clone() for p in module.parameters()]
    train(module, optimizer, 20, seed=2)
    assert list(module.state_dict()) == keys
    assert pruner.pruned == round(0.5 * sum(p.numel() for p in module.parameters())) == zeros(module)
    for old, new in zip(before, module.parameters(), strict=True):
        assert ((new != old) == (old != 0)).all()
    handle.detach()
    train(module, optimizer, 1, seed=3)
    assert zeros(module) < pruner.pruned


def test_a_pruned_input_is_as_if_it_had_never_been_there() -> None:
    # The second input's weights are the smallest: what is left must learn like a layer without that input.
    wide, narrow = nn.Linear(3, 2).double(), nn.Linear(2, 2).double()
    with torch.no_grad():
        wide.weight[:, 1] *= 1e-6
        narrow.weight.copy_(wide.weight[:, [0, 2]])
        narrow.bias.copy_(wide.bias)
    pruner = Pruner(wide)
    pruner.prune(2 / 8)
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.05) for m in (wide, narrow)]
    pruner.attach(optimizers[0])
    random = torch.Generator().manual_seed(0)
    for _ in range(30):
        x = torch.randn(8, 3, generator=random, dtype=torch.float64)
        for module, optimizer, inputs in zip((wide, narrow), optimizers, (x, x[:, [0, 2]]), strict=True):
            optimizer.zero_grad()
            (module(inputs) - 1.0).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(wide.weight[:, [0, 2]], narrow.weight)


def test_the_schedule_is_the_cubic_of_zhu_and_gupta() -> None:
    schedule = Gradual(0.9, begin=100, end=200, every=10)
    for update in range(300):
        if update < 100:
            expected = 0.0
        elif update >= 200:
            expected = 0.9
        else:
            expected = 0.9 + (0.0 - 0.9) * (1 - (10 * (update // 10) - 100) / 100) ** 3
        assert schedule.share_at(update) == pytest.approx(expected, abs=1e-12)


def test_pruning_while_training_follows_the_schedule_update_by_update() -> None:
    module, schedule = network(), Gradual(0.6, begin=4, end=25, every=3)
    total = sum(p.numel() for p in module.parameters())
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    pruner = Pruner(module)
    pruner.attach(optimizer, schedule)
    before = torch.zeros(0)
    for update in range(1, 40):
        train(module, optimizer, 1, seed=update)
        assert pruner.pruned == round(schedule.share_at(update) * total)
        out = torch.cat([~mask.flatten() for mask in pruner.masks().values()])
        assert not len(before) or not (before & ~out).any()
        before = out


def test_a_stop_in_the_middle_of_the_schedule_changes_nothing() -> None:
    def started() -> tuple[nn.Module, torch.optim.Optimizer, Pruner]:
        module = network()
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        pruner = Pruner(module)
        pruner.attach(optimizer, Gradual(0.6, begin=2, end=20, every=2))
        return module, optimizer, pruner

    module, optimizer, pruner = started()
    train(module, optimizer, 9)
    kept = copy.deepcopy([x.state_dict() for x in (module, optimizer, pruner)])
    train(module, optimizer, 15, seed=5)
    again, other, resumed = started()
    for part, state in zip((again, other, resumed), kept, strict=True):
        part.load_state_dict(state)
    train(again, other, 15, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters(), strict=True))
    assert pruner.pruned == resumed.pruned > 0


def test_a_footprint_takes_the_cheapest_way_for_each_tensor() -> None:
    def one(values: Tensor) -> Footprint:
        layer = nn.Linear(1, 1, bias=False)
        layer.weight = nn.Parameter(values)
        return footprint(layer)

    few, some, full = torch.zeros(10, 10), torch.zeros(10, 10), torch.ones(10, 10)
    few[0, :3], some[:2] = 1.0, 1.0
    assert one(few) == Footprint(100, 3, 3 * (4 + 2))  # values and places
    assert one(some) == Footprint(100, 20, 20 * 4 + 13)  # values and a bit for each place
    assert one(full) == Footprint(100, 100, 400)  # values
    large = torch.zeros(300, 300)
    large[0, 0] = 1.0
    assert one(large) == Footprint(90_000, 1, 4 + 4)
    assert one(few) + one(full) == Footprint(200, 103, 418)


def test_a_footprint_counts_statistics_too_and_shared_weights_once() -> None:
    layer = nn.Linear(4, 4, bias=False)
    tied = nn.Sequential(layer, layer)
    assert footprint(tied).parameters == 16
    # Scale, shift, running mean and variance; shift and mean are zero as they are born.
    assert footprint(nn.BatchNorm1d(5)) == Footprint(20, 10, 2 * 20 + 2 * 0)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="share"):
        Gradual(1.0)
    with pytest.raises(ValueError, match="begin < end"):
        Gradual(0.5, begin=10, end=10)
    with pytest.raises(ValueError, match="scope"):
        Pruner(network(), scope="everywhere")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nothing to prune"):
        Pruner(nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match=r"prune at most 0\.75"):
        Pruner(nn.Linear(3, 1)).prune(0.9)
    assert Pruner(nn.Linear(3, 1), biases="prune").prune(0.75) == 3
    with pytest.raises(ValueError, match="do not fit"):
        Pruner(nn.Linear(3, 1)).load_state_dict(Pruner(nn.Linear(2, 1)).state_dict())
