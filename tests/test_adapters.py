"""Experts that bend a body which stands still: nobody's answers change while another one learns."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from toys import CONTRACT, batches

from lifelong.adapters import Bending, LowRank, adapt
from lifelong.assembly import Assembly
from lifelong.experience import Batch
from lifelong.expert import Expert
from lifelong.lanes import lanes_in
from lifelong.network import Mlp
from lifelong.objective import Classification, Contract
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool
from lifelong.trail import Trail
from lifelong.upbringing import Upbringing

FAST = Optimizer("adam", lr=0.01)
WIDE = Contract((20,), 6, Classification())
NETWORK = Mlp(hidden=(24, 16))


class Normed(Mlp):
    """With a BatchNorm, of which every lane has its own."""

    def trunk(self):
        return nn.Sequential(super().trunk(), nn.BatchNorm1d(self.hidden[-1]))


def pool_of(rank: int = 3, network: Mlp = NETWORK, optimizer: Optimizer = FAST) -> Pool:
    return Pool(Upbringing(network, optimizer, share="adapters", rank=rank), 0, "cpu")


def wide(seed: int, count: int) -> list[Batch]:
    return [Batch(torch.cat([b.inputs, b.inputs[:, :4]], 1), b.targets, WIDE) for b in batches(seed, count)]


def taught(expert: Expert, served: list[Batch]) -> Expert:
    for batch in served:
        expert.update(batch)
    return expert


def answers(expert: Expert, contract: Contract = CONTRACT) -> Tensor:
    return expert.answer((batches if contract is CONTRACT else wide)(3, 1)[0].inputs, contract)


def count(expert: Expert) -> int:
    return sum(p.numel() for p in expert.foundation.assembly.lane_parameters(expert.lane))


def names(expert: Expert) -> set[str]:
    assembly = expert.foundation.assembly
    mine = {id(p) for p in assembly.lane_parameters(expert.lane)}
    return {name for name, p in assembly.named_parameters() if id(p) in mine}


LAYERS = [
    nn.Linear(7, 5),
    nn.Linear(7, 2, bias=False),
    nn.Conv2d(4, 6, 3, padding=1),
    nn.Conv2d(4, 6, (3, 2), stride=2, dilation=(1, 2)),
    nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
    nn.Conv2d(4, 6, 3, groups=2),
    nn.Conv2d(4, 8, 3, groups=4, padding="same"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_an_adapter_is_a_change_of_the_weight_of_low_rank(layer):
    layer, plain = copy.deepcopy(layer).double(), copy.deepcopy(layer).double()
    adapt(layer, "a", Bending(2, 1.5), lambda name, make: make())
    (adapters,) = lanes_in(layer)
    adapter = adapters.of("a")
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, *((7,) if isinstance(layer, nn.Linear) else (4, 8, 8)), generator=random).double()
    assert torch.equal(layer(inputs), plain(inputs))
    adapters.enter("a")
    assert torch.equal(layer(inputs), plain(inputs))
    with torch.no_grad():
        adapter.up.normal_(generator=random)
        change = 1.5 * (adapter.up @ adapter.down)
        plain.weight += change.view_as(plain.weight)
    assert torch.linalg.matrix_rank(change) == 2
    assert torch.allclose(layer(inputs), plain(inputs), atol=1e-12)
    assert torch.equal(layer(input=inputs), layer(inputs))
    adapters.enter("b")
    assert not torch.allclose(layer(inputs), plain(inputs), atol=1e-3)


def test_the_rank_is_never_more_than_the_layer_has():
    assert LowRank(nn.Linear(3, 9), Bending(8, 1.0)).down.shape == (3, 3)
    assert LowRank(nn.Conv2d(2, 9, 3), Bending(8, 1.0)).down.shape == (8, 18)
    assert LowRank(nn.Linear(9, 2), Bending(8, 1.0)).up.shape == (2, 2)


def test_layers_with_made_weights_are_bent_and_those_that_torch_reads_past_are_left_out():
    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 1, batch_first=True)
            self.last = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))

        def forward(self, x):
            return self.last(self.attention(x, x, x)[0])

    body = Body()
    adapt(body, "a", Bending(2, 1.0), lambda name, make: make())
    (adapters,) = lanes_in(body)
    assert adapters is body.last.adapters
    adapters.enter("a")
    body(torch.randn(2, 3, 4)).square().sum().backward()
    assert adapters.of("a").up.grad.abs().max() > 0


@pytest.mark.parametrize("network", [NETWORK, Normed(hidden=(24, 16))], ids=["plain", "batch norm"])
@pytest.mark.parametrize("optimizer", [FAST, Optimizer("adamw", lr=0.01, weight_decay=0.1)], ids=lambda o: o.name)
def test_no_experts_answers_change_while_another_learns(network, optimizer):
    pool = pool_of(network=network, optimizer=optimizer)
    for world in (1, 2, 3):
        pool.spawn(batches(world, 1))
        taught(pool.experts[-1], batches(world, 10)).rest()
    # In turns, and the first one, whose body it was, again: all of them move themselves and nobody else.
    for active, expert in enumerate([*pool.experts, pool.experts[0]]):
        before = [answers(e) for e in pool.experts]
        taught(expert, batches(7 + active, 10)).rest()
        after = [answers(e) for e in pool.experts]
        moved = [not torch.equal(one, other) for one, other in zip(before, after, strict=True)]
        assert moved == [e is expert for e in pool.experts]


def test_the_first_expert_trains_all_until_a_second_one_joins_even_if_it_never_rested():
    pool = pool_of()
    first = taught(pool.spawn(batches(1, 1)), batches(1, 10))
    body = {"encoders.16.1.weight", "encoders.16.1.bias", "trunk.0.weight", "trunk.0.bias"}
    assert names(first) == body | {"heads.0.weight", "heads.0.bias"}
    assembly = first.foundation.assembly
    kept = {name: p.detach().clone() for name, p in assembly.named_parameters() if name in body}
    second = taught(pool.spawn(batches(2, 1)), batches(2, 10))
    bends = {f"{layer}.adapters.0.{which}" for layer in ("encoders.16.1", "trunk.0") for which in ("down", "up")}
    assert names(second) == bends | {"heads.1.weight", "heads.1.bias"}
    taught(first, batches(3, 10))
    assert names(first) == {name.replace("rs.0", "rs.1") for name in bends} | {"heads.0.weight", "heads.0.bias"}
    now = dict(assembly.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in kept.items())
    assert not any(now[name].requires_grad for name in body)
    assert all(now[name].grad is None for name in body)


def test_a_later_expert_begins_as_the_body_is_with_a_head_of_its_own():
    pool = pool_of()
    first = taught(pool.spawn(batches(1, 1)), batches(1, 10))
    features = first.features(batches(3, 1)[0].inputs)
    second = pool.spawn(batches(2, 1))
    second.prepare(CONTRACT, None)
    assert torch.equal(second.features(batches(3, 1)[0].inputs), features)
    fresh = pool_of().spawn(batches(2, 1))
    fresh.prepare(CONTRACT, None)
    head = second.foundation.assembly.heads["1"]
    assert torch.equal(head.weight, fresh.foundation.assembly.heads["0"].weight)


def test_an_encoder_is_trained_whole_by_the_expert_that_it_was_made_for():
    pool = pool_of()
    taught(pool.spawn(batches(1, 1)), batches(1, 5)).rest()
    second = pool.spawn(wide(2, 1))
    taught(second, wide(2, 5))
    assert "encoders.20.1.weight" in names(second)
    assert not any(name.startswith("encoders.16") for name in names(second))
    assert {name for name in names(second) if name.startswith("trunk")} == {
        "trunk.0.adapters.0.down",
        "trunk.0.adapters.0.up",
    }
    # Joined by one who is there already, and not told of it, it does not move that encoder any more.
    taught(pool.experts[0], wide(4, 3)).rest()
    before = answers(pool.experts[0], WIDE)
    taught(second, wide(5, 3))
    assert torch.equal(answers(pool.experts[0], WIDE), before)
    restored = pool_of()
    restored.load_state_dict(copy.deepcopy(pool.state_dict()))
    assert torch.equal(answers(restored.experts[1], WIDE), answers(second, WIDE))
    second.rest()
    before = answers(second, WIDE)
    third = taught(pool.spawn(wide(3, 1)), wide(3, 5))
    assert "encoders.20.1.adapters.1.down" in names(third)
    assert torch.equal(answers(second, WIDE), before)


def test_first_weights_depend_on_seed_lane_and_layer_alone():
    def down(seed: int, lanes: str, lane: str, layer: str = "trunk.0") -> Tensor:
        assembly = Assembly(Mlp(hidden=(16, 16)), seed, "cpu", Bending(3, 1.0))
        for name in lanes:
            torch.rand(5)
            assembly.grow(CONTRACT, name)
        return assembly.get_submodule(f"{layer}.adapters").of(lane).down

    assert torch.equal(down(0, "abc", "c"), down(0, "acb", "c"))
    others = [down(1, "abc", "c"), down(0, "abc", "b"), down(0, "abc", "c", "encoders.16.1")]
    assert not any(torch.equal(down(0, "abc", "c"), other) for other in others)


def test_where_nobody_joined_there_is_neither_an_adapter_nor_a_hook():
    for bending, lanes in ((None, "ab"), (Bending(3, 1.0), "a")):
        assembly = Assembly(NETWORK, 0, "cpu", bending)
        for lane in lanes:
            assembly.grow(CONTRACT, lane)
        assert not any(module._forward_hooks for module in assembly.modules())
        assert not any("adapters" in name for name, _ in assembly.named_parameters())


def test_size_and_what_holds_each_parameter_are_told():
    pool = pool_of(rank=3)
    first = taught(pool.spawn(batches(1, 1)), batches(1, 2))
    assert {fact.how for fact in pool.held()} == {"free", "per expert"}
    body, head = 16 * 24 + 24 + 24 * 16 + 16, 16 * 6 + 6
    assert pool.size().parameters == body + head
    second = taught(pool.spawn(batches(2, 1)), batches(2, 2))
    bends = 3 * (16 + 24) + 3 * (24 + 16)
    assert count(second) == bends + head
    assert pool.size().parameters == body + 2 * head + bends
    told = {fact.parameter: fact for fact in pool.held()}
    assert set(told) == {name for name, _ in first.foundation.assembly.named_parameters()}
    assert math.prod(told["trunk.0.adapters.0.up"].shape) == 16 * 3
    assert told["trunk.0.adapters.0.up"].how == told["heads.0.weight"].how == "per expert"
    assert told["trunk.0.adapters.0.up"].why == "of expert-1 alone"
    weight, bias = told["trunk.0.weight"], told["trunk.0.bias"]
    assert (weight.how, weight.why) == ("frozen", "of expert-0; later experts bend it by adapters")
    assert (bias.how, bias.why) == ("frozen", "of expert-0; later experts take it as it is")
    assert first.foundation.report().left == 0.0


@pytest.mark.parametrize("back", [1, 5, 16])
def test_what_an_adapted_expert_learned_can_be_taken_back(back):
    def second() -> Expert:
        pool = pool_of(network=Normed(hidden=(24, 16)))
        taught(pool.spawn(batches(1, 1)), batches(1, 5)).rest()
        return pool.spawn(batches(2, 1))

    past, foreign = batches(2, 40 - back), batches(4, back)
    trail, ours, oracle = Trail(every=16), second(), second()
    for batch in [*past, *foreign]:
        trail.note(ours, batch)
        ours.update(batch)
    trail.rewind(ours, back)
    for expert in (ours, taught(oracle, past)):
        taught(expert, batches(5, 3))
    mine, theirs = (e.foundation.assembly.state_dict() for e in (ours, oracle))
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    # No more is kept of it than what it moves: its own weights and norms, and two moments and a count for each.
    assembly = ours.foundation.assembly
    trained = assembly.lane_parameters(ours.lane)
    assert len(ours.tensors()) == 4 * len(trained) + len(assembly.lane_buffers(ours.lane))
    assert len(assembly.lane_buffers(ours.lane)) == 3


def test_a_pool_goes_on_from_its_state_as_if_nothing_had_happened():
    pool, other = pool_of(), pool_of()
    for world in (1, 2):
        pool.spawn(batches(world, 1))
        taught(pool.experts[-1], batches(world, 10))
    taught(pool.experts[0], batches(1, 5))
    other.load_state_dict(copy.deepcopy(pool.state_dict()))
    for one in (pool, other):
        for number in (0, 1):
            taught(one.experts[number], batches(6, 5))
        taught(one.spawn(batches(3, 1)), batches(3, 5))
        taught(one.experts[0], batches(8, 5))
    mine, theirs = (p.experts[0].foundation.assembly.state_dict() for p in (pool, other))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())


def test_a_rank_below_one_is_refused():
    with pytest.raises(ValueError, match="rank must be at least 1, got 0"):
        pool_of(rank=0)
    with pytest.raises(ValueError, match="scale positive, got rank=2, scale=0"):
        Bending(2, 0.0)


@pytest.mark.parametrize("layer", [nn.Linear(60, 40, bias=False), nn.Conv2d(8, 12, 3, bias=False)], ids=str)
def test_plain_gradient_steps_bend_a_layer_as_far_as_they_would_move_it_in_the_span_of_the_adapter(layer):
    adapt(layer, "a", bending := Bending.under(Optimizer("sgd"), 6), lambda name, make: make())
    (adapters,) = lanes_in(layer)
    adapters.enter("a")
    adapter = adapters.of("a")
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        # As drawn at first, but seeded.
        adapter.down.uniform_(-1, 1, generator=random).mul_(adapter.down.shape[1] ** -0.5)
    inputs = torch.randn(4, *((60,) if isinstance(layer, nn.Linear) else (8, 5, 5)), generator=random)
    layer(inputs).square().sum().backward()
    bent = bending.scale * (-adapter.up.grad @ adapter.down.detach())
    span = torch.linalg.svd(adapter.down.detach(), full_matrices=False).Vh
    moved = -layer.weight.grad.flatten(1) @ span.T @ span
    assert float((bent * moved).sum() / moved.square().sum()) == pytest.approx(1.0, abs=0.2)
