"""ReDo, on networks with planted dead units, and over so many tasks that a network stops learning without it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from retention_rigs import assert_goes_back, assert_resumes, by_hand, permuted_digits, train
from torch import Tensor, nn
from toys import batches

from lifelong.events import Update
from lifelong.experience import Batch
from lifelong.learner import Learner
from lifelong.network import Cnn, Mlp
from lifelong.objective import Classification, Contract
from lifelong.optimizer import Optimizer
from lifelong.retention.model import Model
from lifelong.retention.redo import Recycler, Redo
from lifelong.retention.retained import Retained
from lifelong_agents.finetune import Finetune
from lifelong_agents.retain import Retain
from lifelong_envs.supervised.data import Digits
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.timetable import Timetable


def recycler(retained: Retained) -> Recycler:
    (keeper,) = retained.keepers
    assert isinstance(keeper, Recycler)
    return keeper


def kill(layer: nn.Linear | nn.Conv2d, units: list[int]) -> None:
    """Units that are silent on whatever comes: a ReLU follows."""
    with torch.no_grad():
        layer.weight[units] = 0.0
        assert layer.bias is not None
        layer.bias[units] = -1.0


def test_exactly_the_dead_units_are_revived_and_answers_do_not_change() -> None:
    module, retained, optimizer = by_hand(0, [Redo(every=5, threshold=0.0)], (16, 10, 8, 6))
    (batch, *others) = batches(0, 5)
    train(module, retained, optimizer, [batch, *others][:4])
    kill(module[0], [2, 7])
    kill(module[2], [5])
    before, old = module(batch.inputs).detach(), {n: p.detach().clone() for n, p in module.named_parameters()}
    dead = [~(hidden > 0).any(0) for hidden in hidden_of(module, batch.inputs)]
    retained.observe(batch, before)
    retained.restart(optimizer)
    counted = int(sum(units.sum() for units in dead))
    assert counted >= 3
    assert bool(dead[0][[2, 7]].all())
    assert bool(dead[1][5])
    assert (recycler(retained).revived, recycler(retained).dormant) == (counted, counted)
    torch.testing.assert_close(module(batch.inputs).detach(), before)
    for layer, after, units in ((0, 2, dead[0]), (2, 4, dead[1])):
        weight, bias = module[layer].weight.detach(), module[layer].bias.detach()
        limit = weight.shape[1] ** -0.5
        assert bool((weight[units].abs().amax(1) > 0).all())
        assert float(weight[units].abs().max()) <= limit
        assert float(bias[units].abs().max()) <= limit
        # Nobody else moved, but for what the next layer draws anew itself.
        kept = ~units if layer == 0 else ~units[:, None] & ~dead[0][None, :]
        assert torch.equal(weight[kept], old[f"{layer}.weight"][kept])
        assert torch.equal(bias[~units], old[f"{layer}.bias"][~units])
        # Those to units that are drawn anew as well are outgoing ones too.
        assert bool((module[after].weight[:, units] == 0).all())


def hidden_of(module: nn.Sequential, inputs: Tensor) -> list[Tensor]:
    found = []
    for layer in module[:-1]:
        inputs = layer(inputs)
        if isinstance(layer, nn.ReLU):
            found.append(inputs.detach())
    return found


def test_moments_of_the_revived_alone_are_cleared() -> None:
    module, retained, optimizer = by_hand(1, [Redo(every=5, threshold=0.0)], (16, 10, 6))
    (batch, *others) = batches(0, 5)
    train(module, retained, optimizer, [batch, *others][:4])
    kill(module[0], [3])
    (hidden,) = hidden_of(module, batch.inputs)
    dead = ~(hidden > 0).any(0)
    state = [optimizer.state[p]["exp_avg_sq"].clone() for p in (module[0].weight, module[0].bias, module[2].weight)]
    retained.observe(batch, module(batch.inputs).detach())
    retained.restart(optimizer)
    now = [optimizer.state[p]["exp_avg_sq"] for p in (module[0].weight, module[0].bias, module[2].weight)]
    assert torch.equal(now[0], state[0] * ~dead[:, None])
    assert torch.equal(now[1], state[1] * ~dead)
    assert torch.equal(now[2], state[2] * ~dead)
    assert float(state[2][:, dead].abs().max()) > 0


def test_the_score_is_relative_to_the_layer() -> None:
    module = nn.Sequential(nn.Linear(1, 4, bias=False), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0], [2.0], [0.1], [0.9]]))
    batch = Batch(torch.ones(3, 1), torch.tensor([0, 1, 0]), Contract((1,), 2, Classification()))
    # The mean activation is 1, so scores are the weights themselves.
    for threshold, dormant in ((0.05, 0), (0.15, 1), (0.95, 2)):
        kept = {name: value.clone() for name, value in module.state_dict().items()}
        retained = Retained(Model(module), [Redo(every=1, threshold=threshold)])
        retained.observe(batch, module(batch.inputs).detach())
        retained.restart(torch.optim.SGD(module.parameters(), lr=0.1))
        assert recycler(retained).dormant == dormant
        module.load_state_dict(kept)


def test_a_channel_is_heard_as_a_block_of_values() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(),
        nn.Linear(16, 5),
    )  # fmt: skip
    with torch.no_grad():
        for p in module[0].parameters():
            p.abs_()
        module[3].weight[2], module[3].bias[2] = 0.0, -1.0
    kill(module[0], [1])
    batch = Batch(torch.rand(6, 1, 4, 4), torch.arange(6) % 5, Contract((1, 4, 4), 5, Classification()))
    retained = Retained(Model(module), [Redo(every=1, threshold=0.0)])
    retained.observe(batch, module(batch.inputs).detach())
    retained.restart(torch.optim.SGD(module.parameters(), lr=0.1))
    assert recycler(retained).revived == 2
    live = [0, 1, 3]
    assert bool((module[2].weight[live][:, 1] == 0).all())
    assert torch.equal(module[6].weight.abs().sum(0) == 0, torch.arange(16) // 4 == 2)
    assert (module[3].weight[2].item(), module[3].bias[2].item()) == (1.0, 0.0)


@pytest.mark.parametrize("network", [Mlp((20, 20)), Cnn((4, 8), 16, "batch")])
def test_it_works_on_networks_that_grow(network: Mlp | Cnn) -> None:
    learner = Retain((Redo(every=4, threshold=0.5),), network)
    for batch, _ in permuted_digits(0, epochs=1).experiences():
        update = learner.learn(batch)[0]
        assert isinstance(update, Update)
        assert bool(torch.isfinite(update.loss))
    assert recycler(learner._inner._expert.retained).revived > 10  # type: ignore[attr-defined]


def test_layers_that_run_twice_and_impossible_settings_are_refused() -> None:
    shared = nn.Linear(4, 4)
    module = nn.Sequential(shared, nn.ReLU(), shared)
    batch = Batch(torch.ones(2, 4), torch.tensor([0, 1]), Contract((4,), 4, Classification()))
    retained = Retained(Model(module), [Redo(every=1)])
    retained.observe(batch, module(batch.inputs).detach())
    with pytest.raises(ValueError, match="runs more than once"):
        retained.restart(torch.optim.SGD(module.parameters(), lr=0.1))
    for wrong in ({"every": 0}, {"threshold": -0.1}):
        with pytest.raises(ValueError, match="every must be at least 1"):
            Redo(**wrong)  # type: ignore[arg-type]


def test_all_goes_on_where_it_was_and_back_to_where_it_was() -> None:
    assert_resumes(Redo(every=7, threshold=0.3), permuted_digits(0, epochs=1))
    assert_goes_back(Redo(every=3, threshold=0.5))


def late(learner: Learner, seed: int) -> tuple[float, float]:
    """Accuracy on what was not learned yet, over the last tasks of many, and the share of units silent at the end."""
    stream = permuted(Digits(), Timetable(epochs=1, batch_size=16, samples=400), tasks=24, seed=seed)
    right = []
    for batch, truth in stream.experiences():
        update = learner.learn(batch)[0]
        assert isinstance(update, Update)
        if truth.segment >= 16:
            right.append((update.outputs.argmax(1) == batch.targets).float().mean())
    state = learner.state_dict()
    weights = list(state.get("inner", state)["parts"]["weights"].items())
    hidden, silent = stream.tasks[-1].test_inputs.flatten(1), []
    layers = sorted((kept for kept in pairwise(weights) if kept[0][0].endswith("weight")), key=lambda kept: kept[0][0])
    for (name, weight), (_, bias) in layers:
        if not name.startswith("heads"):
            hidden = (hidden @ weight.T + bias).relu()
            silent.append((hidden.amax(0) == 0).float())
    return float(torch.stack(right).mean()), float(torch.cat(silent).mean())


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_a_network_goes_on_learning_where_units_die_without_it(seed: int) -> None:
    settings = Mlp((32, 32)), Optimizer(lr=1e-2)
    plain, dead = late(Finetune(*settings, seed=seed), seed)
    recycled, dead_now = late(Retain((Redo(every=25),), *settings, seed=seed), seed)
    assert recycled > plain + 0.1
    assert dead > 0.3
    assert dead_now < 0.5 * dead
