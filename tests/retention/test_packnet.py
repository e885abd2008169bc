"""PackNet: each task's weights are its own, and old answers do not move by a bit."""

from __future__ import annotations

import pytest
import torch
from retention_rigs import (
    agent,
    assert_resumes,
    by_hand,
    equal,
    fine_tuned,
    gained,
    lived,
    moved_apart,
    permuted_digits,
    split_digits,
    train,
)  # fmt: skip
from toys import batches

from lifelong.experience import Batch, Query
from lifelong.network import Cnn, Mlp, Network
from lifelong.retention.packnet import PackNet, _Keeper


def labelled(seed: int, task: str, count: int = 12) -> list[Batch]:
    return [Batch(batch.inputs, batch.targets, batch.contract, task) for batch in batches(seed, count)]


def test_of_each_layer_the_largest_free_weights_are_kept() -> None:
    module, retained, _ = by_hand(0, [PackNet(prune=0.5, retrain=0)], (16, 4, 6))
    before = [layer.weight.detach().clone() for layer in (module[0], module[2])]
    retained.consolidate(labelled(0, "A"))
    for layer, old in zip((module[0], module[2]), before, strict=True):
        half = old.numel() // 2
        least = old.abs().flatten().sort(descending=True).values[half - 1]
        assert torch.equal(layer.weight, torch.where(old.abs() >= least, old, torch.zeros_like(old)))
    (keeper,) = retained.keepers
    assert isinstance(keeper, _Keeper)
    assert [int((owner == 1).sum()) for owner in keeper.owners.values()] == [32, 12]
    # Of what is free, the second task is given a half again.
    retained.consolidate(labelled(1, "B"))
    assert [[int((owner == n).sum()) for n in (0, 1, 2)] for owner in keeper.owners.values()] == [
        [16, 32, 16],
        [6, 12, 6],
    ]


def test_a_question_is_answered_by_the_weights_of_its_task_and_those_before() -> None:
    module, retained, optimizer = by_hand(0, [PackNet(retrain=1)], (16, 8, 6))
    train(module, retained, optimizer, labelled(0, "A"))
    retained.consolidate(labelled(0, "A"))
    train(module, retained, optimizer, labelled(1, "B"))
    retained.consolidate(labelled(1, "B"))
    train(module, retained, optimizer, labelled(2, "C"))
    batch = labelled(3, "A", 1)[0]
    (keeper,) = retained.keepers
    assert isinstance(keeper, _Keeper)
    for number, task in ((1, "A"), (2, "B")):
        mine = {name: (owner > 0) & (owner <= number) for name, owner in keeper.owners.items()}
        hidden = (batch.inputs @ (module[0].weight * mine["0.weight"]).T + module[0].bias).relu()
        found = retained.answer(batch.inputs, batch.contract, task)
        assert found is not None
        torch.testing.assert_close(found, hidden @ (module[2].weight * mine["2.weight"]).T + module[2].bias)
        # Whatever else happens to the network, old answers are what they were.
        with torch.no_grad():
            kept = [p.detach().clone() for p in module.parameters()]
            for p in module.parameters():
                p += 1.0
            moved = retained.answer(batch.inputs, batch.contract, task)
            for p, value in zip(module.parameters(), kept, strict=True):
                p.copy_(value)
        assert moved is not None
        assert torch.equal(moved, found)
    assert retained.answer(batch.inputs, batch.contract, "C") is None
    assert retained.answer(batch.inputs, batch.contract, None) is None


def test_retraining_moves_what_was_kept_alone_and_lowers_the_loss() -> None:
    losses = []
    for epochs in (0, 20):
        module, retained, optimizer = by_hand(0, [PackNet(retrain=epochs, lr=1e-2)], (16, 24, 6))
        train(module, retained, optimizer, labelled(0, "A"))
        pruned = labelled(0, "A")
        retained.consolidate(pruned)
        (keeper,) = retained.keepers
        assert isinstance(keeper, _Keeper)
        assert bool((module[0].weight[keeper.owners["0.weight"] == 0] == 0.0).all())
        losses.append(sum(float(b.contract.objective.loss(module(b.inputs), b.targets).detach()) for b in pruned))
    assert losses[1] < 0.8 * losses[0]


@pytest.mark.parametrize(("head", "network"), [("per_task", Mlp((32, 32))), ("shared", Cnn((4, 8), 16, "batch"))])
def test_old_answers_do_not_move_by_a_bit(head: str, network: Network) -> None:
    stream = split_digits(0, head=head, epochs=1)
    learner = agent(PackNet(), network=network)
    tests = {task.name: task for task in stream.tasks}
    asked: dict[str, Query] = {}
    known: dict[str, torch.Tensor] = {}
    previous = None
    for batch, truth in stream.experiences():
        learner.learn(batch)
        if truth.task != previous:
            if previous is not None:
                known[previous] = learner.predict(asked[previous]).outputs
            previous = truth.task
            asked[previous] = Query(tests[previous].test_inputs, batch.contract, batch.task)
    assert len(known) == 4
    for name, outputs in known.items():
        assert torch.equal(learner.predict(asked[name]).outputs, outputs)


def test_a_label_that_comes_again_moves_nothing() -> None:
    module, retained, optimizer = by_hand(0, [PackNet()])
    train(module, retained, optimizer, labelled(0, "A"))
    retained.consolidate(labelled(0, "A"))
    before = [p.detach().clone() for p in module.parameters()]
    train(module, retained, optimizer, labelled(0, "A"))
    retained.consolidate(labelled(0, "A"))
    assert equal(before, [p.detach() for p in module.parameters()])
    train(module, retained, optimizer, labelled(1, "B"))
    assert not equal(before, [p.detach() for p in module.parameters()])


def test_what_it_keeps_is_counted() -> None:
    _, retained, _ = by_hand(0, [PackNet(retrain=0)], (16, 6))
    assert retained.stored().bytes == 0
    retained.consolidate(labelled(0, "A"))
    # Two bytes for whose each weight is, and a copy of all values.
    assert retained.stored().bytes == 2 * 96 + 4 * (96 + 6)
    for wrong in ({"prune": 1.0}, {"retrain": -1}, {"lr": 0.0}):
        with pytest.raises(ValueError, match="prune must be in"):
            PackNet(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got none"):
        retained.consolidate([])


@pytest.mark.parametrize(("prune", "said"), [(0.15, [(), (), ("PackNet",), ()]), (0.5, [(), (), (), ()])])
def test_it_says_once_when_hardly_a_weight_is_free(prune: float, said: list[tuple[str, ...]]) -> None:
    """0.15 ** 3 is less than 1 in 100, and 0.5 ** 4 is more."""
    module, retained, optimizer = by_hand(0, [PackNet(prune=prune, retrain=0)])
    for number, (task, wanted) in enumerate(zip("ABCD", said, strict=True)):
        train(module, retained, optimizer, labelled(number, task, 2))
        assert retained.consolidate(labelled(number, task, 2)) == wanted


def test_nothing_changes_before_a_task_has_ended_and_all_goes_on_where_it_was() -> None:
    first, second = moved_apart(PackNet(), split_digits(0, head="shared", epochs=1))
    assert first == 0.0
    assert second > 1e-3
    assert_resumes(PackNet(), split_digits(0, epochs=1))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_it_forgets_nothing_where_fine_tuning_does(seed: int) -> None:
    stream = permuted_digits(seed, "judging")
    better, higher = gained(lived(stream, seed, PackNet(prune=0.75)), fine_tuned(seed))
    assert better > 0.2
    assert higher > 0.05
