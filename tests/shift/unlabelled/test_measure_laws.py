"""What every measure of strangeness without labels holds to."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from unlabelled_worlds import ALL, MIX, OF_INPUTS, Make, batches, draw, finite, normal, settled, values

from lifelong.check.law import saved
from lifelong.shift.unlabelled.classifier import ClassifierTwoSample
from lifelong.shift.unlabelled.energy import Energy
from lifelong.shift.unlabelled.entropy import Entropy
from lifelong.shift.unlabelled.kolmogorov_smirnov import KolmogorovSmirnov
from lifelong.shift.unlabelled.measure import Measure
from lifelong.shift.unlabelled.mmd import Mmd
from lifelong.shift.unlabelled.reconstruction import Reconstruction
from lifelong.shift.unlabelled.watch import Unlabelled

each = pytest.mark.parametrize("make", ALL)
of_inputs = pytest.mark.parametrize("make", OF_INPUTS)


@each
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_three_thousand_batches_of_one_world_raise_no_alarm(make: Make, seed: int) -> None:
    watch, generator = Unlabelled(make()), draw(seed)
    for _ in range(3000):
        rows = torch.randn(32, 16, generator=generator) @ MIX
        assert watch.update(rows, rows) is None


@each
@pytest.mark.parametrize("size", [8, 32, 200])
def test_by_chance_values_are_about_zero_with_deviation_one_for_every_size(make: Make, size: int) -> None:
    found = []
    for seed in range(10):
        # The reference is made of batches of 32 in any case.
        measure = settled(make, seed)
        found.append(finite(values(measure, batches(seed + 100, 40, size))))
    spread = np.std(found, axis=1).mean()
    if make is KolmogorovSmirnov:
        assert np.mean(found) == pytest.approx(0.4, abs=0.2)
        assert 0.2 < spread < 0.6
    else:
        # A reference of 640 rows lies beside the truth itself, which batches of 200 see.
        assert np.mean(found) == pytest.approx(0.0, abs=0.5)
        assert 0.75 < spread < 1.25


@each
def test_the_grace_says_nothing_and_then_there_are_values(make: Make) -> None:
    found = values(make(), batches(0, 30))
    assert found[:20] == [None] * 20
    assert len(finite(found[20:])) == 10


@each
def test_a_measure_is_one_of_the_protocol_with_a_sight(make: Make) -> None:
    measure = make()
    assert isinstance(measure, Measure)
    assert measure.sight == ("outputs" if make is Entropy else "inputs")


@each
@pytest.mark.parametrize("at", [0, 7, 20, 33])
def test_a_restored_measure_goes_on_to_the_last_bit(make: Make, at: int) -> None:
    measure, twin, shown = make(), make(), batches(0, 60)
    values(measure, shown[:at])
    file = io.BytesIO()
    torch.save(saved(measure), file)
    file.seek(0)
    twin.load_state_dict(torch.load(file, weights_only=True))
    assert values(twin, shown[at:]) == values(measure, shown[at:])


@each
def test_equal_measures_say_the_same_and_a_reset_one_too(make: Make) -> None:
    first, second, shown = make(), make(), batches(0, 50)
    values(second, batches(5, 45))
    second.reset()
    assert values(first, shown) == values(second, shown)


@each
def test_no_generator_of_torch_is_touched(make: Make) -> None:
    before = torch.get_rng_state()
    values(make(), batches(0, 30))
    assert torch.equal(before, torch.get_rng_state())


@each
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_broken_batch_is_infinitely_strange_and_teaches_nothing(make: Make, broken: float) -> None:
    measure, twin, shown = make(), make(), batches(0, 60)
    bad = normal(1, 32)
    bad[3, 5] = broken
    assert values(twin, shown[:40]) == values(measure, shown[:40])
    assert [measure.observe(bad), measure.observe(torch.full_like(bad, broken))] == [math.inf, math.inf]
    assert values(measure, shown[40:]) == values(twin, shown[40:])


@each
def test_broken_rows_are_left_out_of_the_reference(make: Make) -> None:
    measure, twin = make(), make()
    for rows in batches(0, 20):
        bad = torch.cat([rows, torch.full((1, 16), math.nan)])
        assert measure.observe(bad) is None
        twin.observe(rows)
    assert values(measure, batches(1, 10)) == values(twin, batches(1, 10))


@each
def test_a_batch_that_is_broken_throughout_prolongs_the_grace(make: Make) -> None:
    measure = make()
    assert values(measure, [torch.full((32, 16), math.nan)] * 50) == [None] * 50
    assert values(measure, batches(0, 20)) == [None] * 20
    assert len(finite(values(measure, batches(1, 5)))) == 5


@each
def test_constant_features_are_no_trouble_and_a_constant_world_is_not_strange(make: Make) -> None:
    watch = Unlabelled(make())
    for rows in batches(0, 200):
        rows[:, 4:9] = torch.tensor([0.0, 1.0, -7.0, 1e6, 1e-6])
        assert watch.update(rows, rows) is None
    constant = Unlabelled(make())
    for size in [32] * 100 + [7, 1, 32, 33] * 50:
        rows = torch.full((size, 16), 0.3)
        assert constant.update(rows, rows) is None


@of_inputs
def test_a_feature_that_never_varied_is_seen_to_change(make: Make) -> None:
    measure = make()
    for rows in batches(0, 40):
        rows[:, :8] = 2.0
        measure.observe(rows)
    changed = batches(1, 20)
    for rows in changed:
        rows[:, :8] = 2.1
    assert np.mean(finite(values(measure, changed))[-5:]) > 5.0


@each
def test_batches_of_one_row_are_watched_too(make: Make) -> None:
    watch = Unlabelled(make())
    for rows in batches(0, 1500, size=1):
        assert watch.update(rows, rows) is None


@pytest.mark.parametrize("make", [Mmd, Energy, Reconstruction])
def test_a_shift_is_found_in_single_rows(make: Make) -> None:
    watch = Unlabelled(make())
    for rows in batches(0, 500, size=1):
        assert watch.update(rows) is None
    found = [watch.update(rows * 2.0 + 5.0) is not None for rows in batches(1, 20, size=1)]
    assert any(found)


@each
def test_shape_and_type_of_rows_do_not_matter(make: Make) -> None:
    flat, image, double = make(), make(), make()
    for rows in batches(0, 30):
        expected = flat.observe(rows)
        assert image.observe(rows.view(-1, 1, 4, 4)) == expected
        exact = double.observe(rows.double())
        assert exact == (None if expected is None else pytest.approx(expected, rel=1e-3, abs=2e-3))


@of_inputs
@pytest.mark.parametrize(("unit", "zero"), [(1e-12, 0.0), (1e12, 0.0), (1.0, 100.0), (255.0, -3.0)])
def test_the_unit_of_each_feature_does_not_matter(make: Make, unit: float, zero: float) -> None:
    units = unit * torch.logspace(-1, 1, 16)
    plain, other = make(), make()
    shown = [*batches(0, 40), *(rows * 1.5 + 1.0 for rows in batches(1, 10))]
    assert finite(values(other, [rows * units + zero for rows in shown])) == pytest.approx(
        finite(values(plain, shown)), rel=0.02, abs=0.05
    )


@of_inputs
def test_counts_and_pixels_are_taken_as_numbers(make: Make) -> None:
    whole = [(rows * 20 + 128).round() for rows in batches(0, 30)]
    assert values(make(), [rows.to(torch.uint8) for rows in whole]) == values(make(), whole)
    assert values(make(), [rows[:, 0].long() for rows in whole]) == values(make(), [rows[:, :1] for rows in whole])


@each
def test_rows_of_another_width_are_infinitely_strange(make: Make) -> None:
    measure = settled(make)
    assert measure.observe(normal(1, 32, width=9)) == math.inf
    young = make()
    values(young, batches(0, 10))
    # Seen within the grace, they begin it anew.
    assert values(young, batches(1, 19, width=9)) == [None] * 19
    assert young.observe(normal(2, 32, width=9)) is None


@each
def test_memory_does_not_grow(make: Make) -> None:
    def numbers(state: object) -> int:
        if isinstance(state, Tensor):
            return state.numel()
        items = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
        return sum(map(numbers, items))

    measure, sizes = make(), []
    for rows in batches(0, 400):
        measure.observe(rows)
        sizes.append(numbers(measure.state_dict()))
    assert sizes[100] == sizes[399]


@of_inputs
def test_inputs_may_carry_gradients_and_are_left_as_they_are(make: Make) -> None:
    shown = batches(0, 25)
    kept = [rows.clone() for rows in shown]
    plain = values(make(), shown)
    assert values(make(), [rows.requires_grad_() for rows in shown]) == plain
    assert all(map(torch.equal, kept, shown))


def drifted(make: Callable[[], Measure], pace: float) -> int | None:
    """Batches until a watch found that all features rise by `pace` deviations a batch."""
    watch = Unlabelled(make())
    for rows in batches(0, 100):
        assert watch.update(rows) is None
    for step, rows in enumerate(batches(1, 1000), start=1):
        if watch.update(rows + pace * step) is not None:
            return step
    return None


@of_inputs
def test_slow_drift_is_not_absorbed(make: Make) -> None:
    # A five-hundredth of a deviation per batch: no batch differs visibly from the twenty before it.
    found = drifted(make, 0.002)
    assert found is not None
    assert found < 500


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mmd(frequencies=0), "frequencies=0"),
        (lambda: Mmd(grace=0), "grace=0"),
        (lambda: Energy(directions=0), "directions=0"),
        (lambda: Energy(rows=3), "rows=3"),
        (lambda: KolmogorovSmirnov(directions=-1), "directions=-1"),
        (lambda: ClassifierTwoSample(window=4), "window=4"),
        (lambda: ClassifierTwoSample(every=0), "every=0"),
        (lambda: ClassifierTwoSample(ridge=0.0), "ridge=0.0"),
        (lambda: Entropy(memory=1), "memory=1"),
        (lambda: Reconstruction(share=0.0), "share=0.0"),
        (lambda: Reconstruction(share=1.5), "share=1.5"),
        (lambda: Reconstruction(most=0), "most=0"),
    ],
)
def test_bad_settings_are_refused_with_their_numbers(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
