"""What each lane has for itself in a body that lanes share: norms with running statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from toys import CONTRACT, batches

from lifelong.adapters import Bending
from lifelong.assembly import Assembly
from lifelong.experience import Batch
from lifelong.expert import Expert
from lifelong.foundation import Foundation
from lifelong.lanes import LaneNorm, norms_by_lane
from lifelong.network import Cnn, Mlp
from lifelong.objective import Classification, Contract
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.protection import Protection
from lifelong.upbringing import Upbringing

FAST = Optimizer("adam", lr=0.01)
IMAGES = Contract((1, 8, 8), 3, Classification())
SMALL = Contract((1, 6, 6), 3, Classification())
CNN = Cnn(channels=(4, 6), hidden=8, norm="batch")


class Normed(Mlp):
    """Linear layers with BatchNorm between them."""

    def encoder(self, input_shape):
        return nn.Sequential(nn.Linear(input_shape[0], 16, bias=False), nn.BatchNorm1d(16), nn.ReLU())

    def trunk(self):
        return nn.Sequential(super().trunk(), nn.BatchNorm1d(16))


NORMED = Normed(hidden=(16, 16))


def images(seed: int, count: int, contract: Contract = IMAGES) -> list[Batch]:
    random = torch.Generator().manual_seed(seed)
    return [
        Batch(
            seed + 2 * torch.randn(8, *contract.input_shape, generator=random),
            torch.randint(3, (8,), generator=random),
            contract,
        )
        for _ in range(count)
    ]


def answers(assembly: Assembly, contract: Contract, lane: str, seed: int = 5) -> Tensor:
    assembly.eval()
    with torch.no_grad():
        outputs: Tensor = assembly(images(seed, 1, contract)[0].inputs, contract, lane)
    return outputs


def learn(assembly: Assembly, lane: str, served: list[Batch], parameters: list[nn.Parameter]) -> None:
    assembly.train()
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    for batch in served:
        optimizer.zero_grad()
        loss = batch.contract.objective.loss(assembly(batch.inputs, batch.contract, lane), batch.targets)
        loss.backward()
        optimizer.step()


def own(assembly: Assembly, lane: str) -> list[nn.Parameter]:
    """What a lane trains and no other lane does."""
    lanes = {key[0] for key in assembly.parts()["heads"]} - {lane}
    others = {id(p) for other in lanes for p in assembly.lane_parameters(other)}
    return [p for p in assembly.lane_parameters(lane) if id(p) not in others]


def test_alone_a_lane_is_plain_batch_norm_to_the_bit():
    assembly = Assembly(CNN, 0, "cpu")
    assembly.grow(IMAGES, "a")
    plain = nn.Sequential(CNN.encoder((1, 8, 8)), CNN.trunk(), CNN.head(3))
    mine = list(assembly.lane_parameters("a"))
    assert [p.shape for p in mine] == [p.shape for p in plain.parameters()]
    with torch.no_grad():
        for theirs, p in zip(plain.parameters(), mine, strict=True):
            theirs.copy_(p)
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01)
    for batch in images(1, 10):
        optimizer.zero_grad()
        IMAGES.objective.loss(plain(batch.inputs), batch.targets).backward()
        optimizer.step()
    learn(assembly, "a", images(1, 10), mine)
    for theirs, p in zip(plain.parameters(), mine, strict=True):
        assert torch.equal(theirs, p)
    with torch.no_grad():
        assert torch.equal(plain.eval()(images(5, 1)[0].inputs), answers(assembly, IMAGES, "a"))
    assert [torch.equal(a, b) for a, b in zip(plain.buffers(), assembly.lane_buffers("a"), strict=True)] == [True] * 6


def test_on_a_body_that_stands_still_no_lane_moves_anothers_answers():
    assembly = Assembly(CNN, 0, "cpu")
    assembly.grow(IMAGES, "a")
    learn(assembly, "a", images(1, 10), assembly.lane_parameters("a"))
    before = answers(assembly, IMAGES, "a")
    assembly.grow(IMAGES, "b")
    untrained = answers(assembly, IMAGES, "b")
    learn(assembly, "b", images(4, 10), own(assembly, "b"))
    assert torch.equal(answers(assembly, IMAGES, "a"), before)
    assert (answers(assembly, IMAGES, "b") - untrained).abs().max() > 0.01
    # Each lane's statistics are those of its own world alone.
    for norm in (m for m in assembly.modules() if isinstance(m, LaneNorm)):
        one, other = norm.lanes.of("a"), norm.lanes.of("b")
        assert (int(one.num_batches_tracked), int(other.num_batches_tracked)) == (10, 10)
        assert not torch.equal(one.running_mean, other.running_mean)


def test_a_lane_starts_from_the_norms_that_the_first_one_started_from():
    assembly = Assembly(CNN, 0, "cpu")
    assembly.grow(IMAGES, "a")
    first = [b.clone() for b in assembly.lane_buffers("a")]
    learn(assembly, "a", images(1, 10), assembly.lane_parameters("a"))
    assembly.grow(IMAGES, "b")
    for mine, theirs in zip(assembly.lane_buffers("b"), first, strict=True):
        assert torch.equal(mine, theirs)
    mine, theirs = ({id(t) for t in assembly.lane_buffers(lane)} for lane in ("a", "b"))
    assert not mine & theirs


def test_features_without_a_lane_are_normalised_by_the_batch_and_change_nothing():
    assembly = Assembly(NORMED, 0, "cpu")
    assembly.grow(CONTRACT, "a")
    inputs = batches(1, 1)[0].inputs
    before = copy.deepcopy(assembly.state_dict())
    for mode in (True, False):
        assembly.train(mode)
        with torch.no_grad():
            features = assembly.features(inputs)
        assert torch.allclose(features.mean(0), torch.zeros(16), atol=1e-5)
        assert features.var(0, correction=0).max() == pytest.approx(1.0, abs=1e-2)
    assert all(torch.equal(before[name], value) for name, value in assembly.state_dict().items())
    # And the lane that is asked next is itself again.
    assembly.eval()
    with torch.no_grad():
        one = assembly(inputs, CONTRACT, "a")
        assembly.features(inputs)
        assert torch.equal(assembly(inputs, CONTRACT, "a"), one)
        assert torch.equal(assembly.heads["0"](assembly.features(inputs, "a")), one)


@pytest.mark.parametrize("bending", [None, Bending(2, 1.0)], ids=str)
def test_parts_rebuilt_elsewhere_are_the_same_to_the_bit(bending):
    def lived() -> Assembly:
        assembly = Assembly(CNN, 0, "cpu", bending)
        for seed, (lane, contract) in enumerate([("a", IMAGES), ("b", SMALL), ("c", IMAGES), ("b", IMAGES)]):
            assembly.grow(contract, lane)
            learn(assembly, lane, images(seed, 3, contract), assembly.lane_parameters(lane))
        return assembly

    one, twin = lived(), Assembly(CNN, 0, "cpu", bending)
    twin.grow(SMALL, "z")
    answers(twin, SMALL, "z")
    twin.rebuild(copy.deepcopy(one.parts()))
    assert [(n, p.requires_grad) for n, p in twin.named_parameters()] == [
        (n, p.requires_grad) for n, p in one.named_parameters()
    ]
    for lane in "abc":
        assert torch.equal(answers(twin, IMAGES, lane), answers(one, IMAGES, lane))
    for assembly in (one, twin):
        assembly.grow(IMAGES, "a")
        learn(assembly, "a", images(9, 3), assembly.lane_parameters("a"))
    assert all(torch.equal(v, twin.state_dict()[name]) for name, v in one.state_dict().items())
    copied = copy.deepcopy(one)
    learn(one, "a", images(10, 3), one.lane_parameters("a"))
    assert torch.equal(answers(copied, IMAGES, "a"), answers(twin, IMAGES, "a"))
    assert not torch.equal(answers(copied, IMAGES, "a"), answers(one, IMAGES, "a"))


def test_a_lane_without_norms_on_the_way_of_an_input_does_not_answer_for_it():
    assembly = Assembly(CNN, 0, "cpu")
    assembly.grow(IMAGES, "a")
    assembly.grow(SMALL, "b")
    assert not assembly.serves(SMALL, "a")
    with pytest.raises(ValueError, match="grow it first"):
        answers(assembly, SMALL, "a")
    assert assembly.grow(SMALL, "a")
    assert not assembly.grow(SMALL, "a")
    assert assembly.serves(SMALL, "a")


def test_a_norm_in_two_places_stays_one_norm():
    norm = nn.BatchNorm1d(4)
    part = norms_by_lane(nn.Sequential(norm, nn.ReLU(), norm))
    assert part[0] is part[2]
    assert isinstance(norms_by_lane(norm), LaneNorm)
    part[0].grow("a")
    part[0].lanes.enter("a")
    part(torch.randn(8, 4))
    assert int(part[0].lanes.of("a").num_batches_tracked) == 2


def test_experts_with_batch_norm_share_a_protected_trunk():
    pool = Pool(Upbringing(NORMED, FAST, share="always", subspace=Gpm(1.0, 1.0, samples=4)), 0, "cpu")
    inputs = batches(1, 1)[0].inputs[:4]
    seen = []
    for world in (1, 2):
        expert = pool.spawn(batches(world, 1))
        for batch in batches(world, 30):
            expert.update(batch)
        if world == 1:
            # Few enough samples, that all they use can be kept.
            grown = expert.consolidate([Batch(inputs, batches(1, 1)[0].targets[:4], CONTRACT)])
            expert.rest()
            seen.append(expert.answer(inputs, CONTRACT))
        else:
            assert {fact.layer for fact in expert.joined()} == {"encoders.16.0", "trunk.0.0"}
    first, second = pool.experts
    assert grown == []
    assert torch.allclose(first.answer(inputs, CONTRACT), seen[0], atol=1e-4)
    others = batches(2, 1)[0]
    assert (second.answer(others.inputs, CONTRACT).argmax(1) == others.targets).float().mean() > 0.8
    told = {fact.parameter: fact for fact in pool.held()}
    assert set(told) == {name for name, _ in first.foundation.assembly.named_parameters()}
    assert told["encoders.16.0.weight"].how == "protected"
    assert [told[f"trunk.1.lanes.{i}.weight"].why for i in (0, 1)] == ["of expert-0 alone", "of expert-1 alone"]
    assert told["trunk.1.lanes.1.bias"].how == "per expert"
    assert pool.size().parameters == sum(p.numel() for p in first.foundation.assembly.parameters())


def test_one_network_for_all_tasks_cannot_have_its_norms_apart():
    foundation = Foundation(Assembly(NORMED, 0, "cpu"), heads_too=True, may_stay_alone=False)
    foundation.memory = Protection(foundation.protected_parts, Gpm(), norms="refuse", apart=foundation.apart)
    expert = Expert(0, foundation, FAST)
    expert.update(batches(1, 1)[0])
    with pytest.raises(ValueError, match="BatchNorm's running statistics"):
        expert.consolidate(batches(1, 2))


def test_what_is_apart_is_neither_protected_nor_refused_nor_left_in_another_mode():
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    protection = Protection(model, Gpm(1.0, 1.0), norms="refuse", apart=lambda: [model[1]])
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, 6, generator=random)
    protection.consolidate([inputs])
    assert model[1].training
    assert [row.parameter for row in protection.report().rows] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    protection.attach(optimizer)
    before = model[1].weight.detach().clone(), model[0](inputs).detach()
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(8, 6, generator=random)).square().sum().backward()
        optimizer.step()
    model.eval()(inputs)
    assert not torch.equal(model[1].weight, before[0])
    assert torch.allclose(model[0](inputs), before[1], atol=1e-5)


def test_a_cnn_names_the_norms_that_it_has():
    assert isinstance(CNN.encoder((1, 8, 8))[1], nn.BatchNorm2d)
    assert isinstance(Cnn().encoder((1, 8, 8))[1], nn.GroupNorm)
    with pytest.raises(ValueError, match="norm must be one of group, batch, got 'layer'"):
        Cnn(norm="layer")  # type: ignore[arg-type]
