from __future__ import annotations

import pytest
import torch
from toys import CONTRACT, batches

from lifelong.assembly import Assembly
from lifelong.expert import Expert
from lifelong.foundation import Foundation
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.protection import Protection
from lifelong.trail import Trail

OPTIMIZERS = [
    Optimizer("sgd", lr=0.1),
    Optimizer("sgd", lr=0.05, momentum=0.9),
    Optimizer("adam", lr=0.01),
    Optimizer("adamw", lr=0.01, weight_decay=0.1),
]


def expert(optimizer: Optimizer, protected: bool = False, sync_every: int = 1) -> Expert:
    foundation = Foundation(Assembly(Mlp(hidden=(12, 12)), 0, "cpu"))
    if protected:
        foundation.memory, foundation.lanes = Protection(foundation.protected_parts, Gpm(0.8, 0.8)), 2
        foundation.assembly.grow(CONTRACT, "expert-0")
        inputs = torch.cat([b.inputs for b in batches(99, 4)])
        foundation.memory.consolidate([inputs], lambda x: foundation.assembly(x, CONTRACT, "expert-0"))
    return Expert(0, foundation, optimizer, sync_every=sync_every)


def weights(of: Expert) -> list[torch.Tensor]:
    return [p.detach().clone() for p in of.foundation.assembly.parameters()]


def assert_same(one: Expert, other: Expert) -> None:
    for mine, theirs in zip(weights(one), weights(other), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{o.name}-{o.momentum}")
@pytest.mark.parametrize("back", [1, 5, 16])
@pytest.mark.parametrize("learned", [17, 40, 48])
def test_a_rewound_expert_is_the_one_that_never_saw_the_batches(optimizer, back, learned):
    past, foreign = batches(1, learned - back), batches(2, back)
    trail, ours, oracle = Trail(every=16), expert(optimizer), expert(optimizer)
    for batch in [*past, *foreign]:
        trail.note(ours, batch)
        ours.update(batch)
    for batch in past:
        oracle.update(batch)
    taken = trail.rewind(ours, back)
    assert [id(b) for b in taken] == [id(b) for b in foreign]
    assert_same(ours, oracle)
    # The optimizer's moments are back too: both go on alike.
    for batch in batches(3, 6):
        trail.note(ours, batch)
        ours.update(batch)
        oracle.update(batch)
    assert_same(ours, oracle)


@pytest.mark.parametrize("sync_every", [1, 16])
def test_rewinding_keeps_to_the_protected_subspace(sync_every):
    past, foreign = batches(1, 35), batches(2, 5)
    trail, ours, oracle = (
        Trail(every=16),
        expert(OPTIMIZERS[1], True, sync_every),
        expert(OPTIMIZERS[1], True, sync_every),
    )
    other = Trail(every=16)
    for batch in [*past, *foreign]:
        trail.note(ours, batch)
        ours.update(batch)
    for batch in past:
        other.note(oracle, batch)
        oracle.update(batch)
    trail.rewind(ours, 5)
    assert_same(ours, oracle)


def test_an_onset_before_the_oldest_snapshot_is_undone_as_far_as_possible():
    trail, ours = Trail(every=4, snapshots=2, memory=16), expert(OPTIMIZERS[0])
    for batch in batches(1, 30):
        trail.note(ours, batch)
        ours.update(batch)
    taken = trail.rewind(ours, 25)
    # Snapshots stand before batches 24 and 28 (counted from 0): six batches can be taken back.
    assert len(taken) == 6
    assert trail.position == 24


def test_it_remembers_as_many_samples_as_asked_and_not_much_more():
    trail, ours = Trail(every=2, snapshots=2, memory=100), expert(OPTIMIZERS[0])
    for batch in batches(1, 60, size=16):
        trail.note(ours, batch)
        ours.update(batch)
    samples = sum(len(b.targets) for b in trail.recent())
    assert 100 <= samples < 100 + 16


def test_a_state_round_trip_goes_on_alike():
    first, ours, oracle = Trail(every=8), expert(OPTIMIZERS[2]), expert(OPTIMIZERS[2])
    second = Trail(every=8)
    for batch in batches(1, 21):
        first.note(ours, batch)
        ours.update(batch)
        second.note(oracle, batch)
        oracle.update(batch)
    restored = Trail(every=8)
    restored.load_state_dict(first.state_dict())
    assert len(restored.rewind(ours, 7)) == len(second.rewind(oracle, 7)) == 7
    assert_same(ours, oracle)


def test_impossible_settings_are_refused_with_their_values():
    with pytest.raises(ValueError, match="snapshots=1"):
        Trail(snapshots=1)
