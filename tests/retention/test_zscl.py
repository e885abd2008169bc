"""ZSCL, against averages and divergences worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from retention_rigs import (
    assert_resumes,
    by_hand,
    equal,
    fine_tuned,
    gained,
    lived,
    moved_apart,
    permuted_digits,
    train,
)
from toys import CONTRACT, batches

from lifelong.config.locate import GROUPS
from lifelong.config.parameters import parameters
from lifelong.experience import Batch
from lifelong.objective import Classification, Contract
from lifelong.retention.retained import Retained
from lifelong.retention.zscl import Samples, Zscl, _Keeper
from lifelong_envs.supervised.data import Arrays, Digits


def keeper(retained: Retained) -> _Keeper:
    (only,) = retained.keepers
    assert isinstance(only, _Keeper)
    return only


def table(inputs: torch.Tensor) -> Arrays:
    targets = torch.arange(len(inputs)) % 2
    return Arrays(inputs, targets, inputs, targets)


@pytest.mark.parametrize(("steps", "taken"), [(6, [2, 4, 6]), (5, [2, 4, 5]), (1, [1])])
def test_the_weights_become_their_mean_over_the_task(steps: int, taken: list[int]) -> None:
    module, retained, optimizer = by_hand(0, [Zscl(every=2)], (16, 8, 6))
    train(module, retained, optimizer, batches(0, 3))
    ended = [p.detach().clone() for p in module.parameters()]
    retained.consolidate(batches(0, 3))
    # Before the first end there is nothing to keep, and nothing is averaged.
    assert equal(ended, [p.detach() for p in module.parameters()])
    seen = [ended]
    for batch in batches(1, steps):
        train(module, retained, optimizer, [batch])
        seen.append([p.detach().clone() for p in module.parameters()])
    retained.consolidate(batches(1, 3))
    for place, p in enumerate(module.parameters()):
        wanted = torch.stack([seen[step][place] for step in (0, *taken)]).mean(0)
        torch.testing.assert_close(p.detach(), wanted)


def test_without_a_mean_the_weights_stay() -> None:
    module, retained, optimizer = by_hand(0, [Zscl(every=None)], (16, 6))
    retained.consolidate(batches(0, 3))
    train(module, retained, optimizer, batches(1, 5))
    before = [p.detach().clone() for p in module.parameters()]
    retained.consolidate(batches(1, 5))
    assert equal(before, [p.detach() for p in module.parameters()])


def test_the_distance_is_that_of_the_teachers_answers_on_the_reference() -> None:
    # Every draw from this reference is the same sample.
    sample = torch.randn(1, 16, generator=torch.Generator().manual_seed(3))
    settings = Zscl(2.0, temperature=3.0, every=None, reference=table(sample.repeat(4, 1)))
    module, retained, optimizer = by_hand(0, [settings], (16, 6))
    (batch,) = batches(0, 1)
    own = float(CONTRACT.objective.loss(module(batch.inputs), batch.targets).detach())
    assert retained.loss(batch, module(batch.inputs)).item() == pytest.approx(own)
    retained.consolidate([batch])
    then = (module(sample).detach()[0] / 3.0).softmax(0)
    train(module, retained, optimizer, batches(1, 4))
    now = (module(sample).detach()[0] / 3.0).softmax(0)
    wanted = 2.0 * 9.0 * float((then * (then / now).log()).sum())
    own = float(CONTRACT.objective.loss(module(batch.inputs), batch.targets).detach())
    assert wanted > 1e-3
    assert retained.loss(batch, module(batch.inputs)).item() - own == pytest.approx(wanted, abs=1e-5)


def test_without_a_reference_noise_has_mean_and_spread_of_the_inputs() -> None:
    _, retained, _ = by_hand(0, [Zscl()], (16, 6))
    place, size = torch.arange(16.0), torch.linspace(0.0, 3.0, 16)
    random = torch.Generator().manual_seed(0)
    parts = [place + size * torch.randn(500, 16, generator=random) for _ in range(4)]
    retained.consolidate([Batch(part, torch.zeros(500, dtype=torch.int64), CONTRACT) for part in parts])
    (known,) = keeper(retained)._known
    noise = known.noise(20_000, random)
    torch.testing.assert_close(noise.mean(0), torch.cat(parts).mean(0), atol=0.1, rtol=0.0)
    torch.testing.assert_close(noise.std(0), torch.cat(parts).std(0), atol=0.1, rtol=0.0)


def test_the_initial_teacher_holds_from_the_first_step() -> None:
    for teacher, held in (("previous", False), ("initial", True)):
        module, retained, optimizer = by_hand(0, [Zscl(teacher=teacher)], (16, 6))  # type: ignore[arg-type]
        kept = module[0].weight.detach().clone()
        train(module, retained, optimizer, batches(0, 5))
        then = keeper(retained)._then
        assert (then is not None) == held
        if then is not None:
            retained.consolidate(batches(0, 5))
            assert torch.equal(then.module.state_dict()["0.weight"], kept)


def test_a_reference_that_no_task_fits_and_impossible_settings_are_refused() -> None:
    module, retained, _ = by_hand(0, [Zscl(reference=table(torch.randn(8, 4)))], (16, 6))
    retained.consolidate(batches(0, 1))
    (batch,) = batches(1, 1)
    with pytest.raises(ValueError, match=r"inputs like the reference's, of shape \(4,\); they take \(16,\)"):
        retained.loss(batch, module(batch.inputs))
    for wrong in ({"strength": 0.0}, {"every": 0}, {"batch_size": 0}, {"teacher": "last"}, {"reference": "digits"}):
        with pytest.raises(ValueError, match="must be"):
            Zscl(**wrong)  # type: ignore[arg-type]


def test_the_reference_is_a_data_source_of_the_configuration() -> None:
    reference = next(p for p in parameters(Zscl) if p.name == "reference")
    assert getattr(reference.structure, "group", None) == GROUPS["DataSource"] == "lifelong.data"
    assert isinstance(Zscl(reference=Digits()).reference, Digits)


def test_what_it_keeps_is_counted() -> None:
    network = 4 * (16 * 6 + 6)
    _, retained, _ = by_hand(0, [Zscl()], (16, 6))
    retained.consolidate(batches(0, 1))
    assert (retained.stored().samples, retained.stored().bytes) == (0, 2 * network + 2 * 16 * 4)
    module, retained, optimizer = by_hand(0, [Zscl(every=None, reference=table(torch.randn(8, 16)))], (16, 6))
    retained.consolidate(batches(0, 1))
    train(module, retained, optimizer, batches(0, 1))
    assert (retained.stored().samples, retained.stored().bytes) == (0, network + 2 * 16 * 4 + 8 * 16 * 4)


def test_nothing_changes_before_a_task_has_ended_and_all_goes_on_where_it_was() -> None:
    first, second = moved_apart(Zscl(), permuted_digits(0, epochs=1))
    assert first == 0.0
    assert second > 1e-3
    assert_resumes(Zscl(), permuted_digits(0, epochs=1))
    assert_resumes(Zscl(teacher="initial", reference=Digits()), permuted_digits(0, epochs=1))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_it_forgets_less_than_fine_tuning(seed: int) -> None:
    better, higher = gained(lived(permuted_digits(seed), seed, Zscl()), fine_tuned(seed))
    assert better > 0.1
    assert higher > 0.05


@dataclass(frozen=True)
class _Few:
    """What a reference must be able to do, and no more."""

    inputs: torch.Tensor

    @property
    def train_inputs(self) -> torch.Tensor:
        return self.inputs

    def load(self, device: torch.device) -> Samples:
        return self


def test_a_mask_limits_the_distance_to_what_the_task_allows() -> None:
    masked = Contract((16,), 6, Classification(), mask=(1, 4))
    few = _Few(torch.randn(8, 16, generator=torch.Generator().manual_seed(0)))
    module, retained, _ = by_hand(0, [Zscl(reference=few)], (16, 6))
    (batch,) = batches(0, 1)
    retained.consolidate([Batch(batch.inputs, batch.targets, masked)])
    with torch.no_grad():
        module[0].weight[[0, 2, 3, 5]] += 1.0
    own = float(CONTRACT.objective.loss(module(batch.inputs), batch.targets).detach())
    assert retained.loss(batch, module(batch.inputs)).item() == pytest.approx(own, rel=1e-6)
