"""Which measures a run has, and that they are those of the families."""

from __future__ import annotations

import pytest
from courses import acted, course

from lifelong.evaluation.course import course_of
from lifelong.evaluation.families import measured, values_of
from lifelong.evaluation.matrix import matrix_of

LOOKS = {0: [0.0, 0.0], 2: [0.6, 0.0], 4: [0.8, 0.2], 6: [0.5, 0.4], 8: [0.4, 0.8]}
NORMALISED = {"cw_p", "cw_f", "l2_pm", "l2_ft", "l2_bt", "cora_f", "cora_zsft"}


@pytest.mark.parametrize("metric", ["success", "normalised_return"])
def test_a_run_of_worlds_with_full_success_at_one_has_all_families(metric: str) -> None:
    trace = acted("AB", LOOKS, metric=metric)
    found = measured(trace, matrix_of(trace))
    assert set(found) == NORMALISED
    assert values_of(found) == {
        "cw_p": pytest.approx(0.6),
        "cw_f": pytest.approx(0.2),
        "l2_pm": pytest.approx(-0.4),
        "l2_ft": pytest.approx(1.0),
        "l2_bt": pytest.approx(-0.4 / 1.2),
        "cora_f": pytest.approx(0.4 / 0.8),
        "cora_zsft": pytest.approx(0.2 / 0.8),
    }
    assert (found["l2_pm"].known, found["l2_pm"].terms) == (1, 2)


def test_raw_returns_have_only_what_normalises_by_itself() -> None:
    trace = acted("AB", LOOKS, metric="return")
    assert set(measured(trace, matrix_of(trace))) == {"cora_f", "cora_zsft"}


def test_runs_without_a_world_have_none() -> None:
    trace = acted("AB", LOOKS, metric="accuracy")
    assert measured(trace, matrix_of(trace)) == {}


def test_with_single_task_runs_there_is_transfer_against_them() -> None:
    trace = acted("AB", LOOKS)
    # While taught: A (0, 0.6, 0.8) has mean height 0.5, B (0.2, 0.4, 0.8) 0.45.
    alone = {"A": [course("A", {0: [0.0], 4: [0.8]})], "B": [course_of(acted("B", {0: [0.0], 4: [0.9]}))]}
    values = values_of(measured(trace, matrix_of(trace), alone))
    assert set(values) == NORMALISED | {"cw_ft", "l2_rp", "l2_se"}
    assert values["cw_ft"] == pytest.approx(((0.5 - 0.4) / 0.6 + 0.0) / 2)
    assert values["l2_rp"] == pytest.approx((0.5 / 0.4 + 1.0) / 2)
    assert values["l2_se"] == pytest.approx((0.8 / 0.8 + 0.8 / 0.9) / 2)


def test_a_run_of_which_nothing_is_known_yet_has_no_values() -> None:
    trace = acted("AB", LOOKS, until=0)
    assert values_of(measured(trace, matrix_of(trace))) == {}
