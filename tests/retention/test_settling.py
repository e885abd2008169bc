"""Methods that move the network as a task ends do so before any other keeps what it has become, in every order."""

from __future__ import annotations

import pytest
import torch
from retention_rigs import by_hand, train
from toys import batches

from lifelong.experience import Batch
from lifelong.retention.ewc import Ewc
from lifelong.retention.lwf import Lwf
from lifelong.retention.mas import Mas
from lifelong.retention.method import Retention
from lifelong.retention.packnet import PackNet
from lifelong.retention.retained import Retained
from lifelong.retention.si import Si
from lifelong.retention.zscl import Zscl
from lifelong_envs.supervised.data import Arrays

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")

SAMPLE = torch.randn(1, 16, generator=torch.Generator().manual_seed(3)).repeat(4, 1)
SAME = Arrays(SAMPLE, torch.zeros(4, dtype=torch.int64), SAMPLE, torch.zeros(4, dtype=torch.int64))
"""Every draw from this reference is the same: what a method draws depends on its place in the list."""


def lived(*methods: Retention) -> tuple[torch.nn.Module, Retained]:
    """Two tasks and their ends."""
    module, retained, optimizer = by_hand(0, methods)
    for task in (0, 1):
        taught = [Batch(b.inputs, b.targets, b.contract, "AB"[task]) for b in batches(task, 12)]
        train(module, retained, optimizer, taught)
        retained.consolidate(taught[:3])
    return module, retained


@pytest.mark.parametrize("moves", [Zscl(every=5, reference=SAME), PackNet(retrain=1)], ids=["ZSCL", "PackNet"])
@pytest.mark.parametrize("other", [Ewc(labels="data"), Si(), Mas(), Lwf()], ids=["EWC", "SI", "MAS", "LwF"])
def test_the_order_of_the_list_makes_no_difference(moves: Retention, other: Retention) -> None:
    (one, first), (two, last) = lived(moves, other), lived(other, moves)
    torch.testing.assert_close(list(one.parameters()), list(two.parameters()))
    if not isinstance(other, Lwf):
        ours, theirs = first.keepers[1].penalty, last.keepers[0].penalty  # type: ignore[attr-defined]
        torch.testing.assert_close(ours.weights, theirs.weights)
        centres = theirs.centres
        assert all(torch.equal(centres[name], p) for name, p in two.named_parameters())


def test_whose_weights_stand_still_is_the_last_to_move_them() -> None:
    for methods in ((PackNet(retrain=1), Zscl(every=5)), (Zscl(every=5), PackNet(retrain=1))):
        module, retained = lived(*methods)
        packed = retained.keepers[0 if isinstance(methods[0], PackNet) else 1]
        assert all(torch.equal(kept, dict(module.named_parameters())[n]) for n, kept in packed._kept.items())  # type: ignore[attr-defined]


def test_a_jump_is_no_step_on_the_way_of_si() -> None:
    """Neither what is counted as won nor how far it went depends on the mean of weights that ends the task."""
    found = []
    for every in (5, None):
        module, retained, optimizer = by_hand(0, [Zscl(1e-9, every=every), Si(strength=1e-9, scale="path")])
        retained.consolidate(batches(0, 1))
        train(module, retained, optimizer, batches(1, 12))
        retained.consolidate(batches(1, 3))
        found.append(list(retained.keepers[1].penalty.weights.values()))  # type: ignore[attr-defined]
    torch.testing.assert_close(*found)
    assert float(found[0][0].max()) > 1e-3
