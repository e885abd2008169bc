"""The cost model picks what is exact where that is cheap, and waits only where it must."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifelong.subspace.cost import LONGEST, Layer, Machine, Plan, held_step, plain_step, plan, possible

MACHINE = Machine(flops=1.5e11, bytes=2.8e10, overhead=4e-6)
WIDE = Layer(1024, 1024, rows=256, columns=100, complement=True, passes=14, linear=False, divides=True, plain=True)


def test_a_mostly_protected_layer_is_trained_in_its_null_space_and_costs_less_than_a_free_one() -> None:
    assert plan(WIDE, MACHINE).form == "null"
    assert held_step(WIDE, MACHINE, "null") < plain_step(WIDE, MACHINE)


def test_sgd_projects_the_inputs_where_little_is_protected() -> None:
    layer = replace(WIDE, complement=False, linear=True, divides=False, passes=3)
    assert plan(layer, MACHINE) == Plan("input", LONGEST)
    assert plan(replace(layer, linear=False), MACHINE).form == "project"
    assert plan(replace(layer, plain=False), MACHINE).form == "project"


def test_who_divides_by_moments_is_shown_permitted_gradients_by_the_cheapest_way() -> None:
    layer = replace(WIDE, complement=False)
    chosen = plan(layer, MACHINE)
    assert (chosen.form, chosen.every < LONGEST) == ("input", True)
    assert plan(replace(layer, plain=False), MACHINE).form == "gradient"
    assert plan(replace(layer, outputs=100, rows=10_000), MACHINE).form == "gradient"
    assert plan(replace(layer, columns=900, rows=64, complement=True), MACHINE).form == "input"


def test_many_rows_are_retracted_at_every_step_and_few_rows_seldom() -> None:
    layer = replace(WIDE, complement=False)
    waits = [plan(replace(layer, rows=rows), MACHINE).every for rows in (10**6, 4096, 64)]
    assert waits == sorted(waits)
    assert waits[0] == 1 < waits[2]
    worst = replace(layer, rows=1, columns=512, inputs=8192, plain=False)
    assert plan(worst, MACHINE) == Plan("gradient", LONGEST)


def test_a_retraction_stays_within_the_budget_unless_that_takes_too_long() -> None:
    for rows in (64, 256, 1024):
        for columns in (50, 200, 512):
            layer = replace(WIDE, rows=rows, columns=columns, complement=False)
            chosen = plan(layer, MACHINE, budget=0.2)
            extra = held_step(layer, MACHINE, "project") - plain_step(layer, MACHINE)
            assert chosen.every == LONGEST or extra / chosen.every <= 0.2 * plain_step(layer, MACHINE) * (1 + 1e-9)


def test_a_wish_is_granted_where_it_fits_and_refused_where_not() -> None:
    assert plan(WIDE, MACHINE, "project").form == "project"
    assert possible(replace(WIDE, plain=False, linear=True)) == ["project", "gradient"]
    with pytest.raises(ValueError, match=r"form='null' needs .* can be held by project, gradient, input"):
        plan(replace(WIDE, complement=False), MACHINE, "null")


def test_weights_that_are_alike_share_launches_and_wait_a_power_of_two() -> None:
    gpu = Machine(flops=3e13, bytes=1.5e12, overhead=8e-6)
    small = Layer(192, 192, rows=2048, columns=60, complement=False, passes=14, linear=False, divides=True, plain=False)
    alone, together = plan(small, gpu, budget=0.01), plan(replace(small, alike=12), gpu, budget=0.01)
    assert together.every < alone.every
    assert together.every in (1, 2, 4, 8, 16, 32, 64)
