"""Plasticity, stability gap, transfer, forgetting against similarity, settings, probes, room: hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import life
from numpy.testing import assert_allclose

from lifelong.evaluation.analysis.capacity import capacity_of, held_share
from lifelong.evaluation.analysis.pairs import override_of, pairs_needed, pairs_there, transfers_of
from lifelong.evaluation.analysis.plasticity import fit_speed, lessons_of, slope, trend_of
from lifelong.evaluation.analysis.probe import probes_of
from lifelong.evaluation.analysis.rank_correlation import ranks, spearman
from lifelong.evaluation.analysis.settings import Level, by_setting, differing, value_of
from lifelong.evaluation.analysis.similarity import Alike, correlation, drops_of
from lifelong.evaluation.analysis.stability_gap import Gap, stability_of
from lifelong.evaluation.matrix import acc, bwt, fwt, matrix_of
from lifelong.events import ParameterHeld, SubspaceGrown

NAN = float("nan")


def test_speed_is_when_the_moving_average_gets_there() -> None:
    curve = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8])
    assert fit_speed(curve, 0.9, 1) == 5
    assert fit_speed(curve, 0.75, 1) == 4
    # Means of two: .1 .3 .5 .7 .8 .8 .8; nine tenths of .8 is reached by the fifth, which ends at the sixth experience.
    assert fit_speed(curve, 0.9, 2) == 6
    assert fit_speed(np.array([NAN, 0.2, NAN, 0.8]), 0.9, 1) == 4
    assert fit_speed(np.array([NAN, NAN])) is None
    assert fit_speed(np.array([-2.0, -1.0])) is None
    assert fit_speed(np.array([0.7]), 0.9, 10) == 1


def test_lessons_are_first_visits_and_their_slopes_tell_lost_plasticity() -> None:
    scores = [*([0.2] * 2 + [0.9] * 8), *([0.2] * 4 + [0.8] * 6), *[0.9] * 10, *([0.1] * 6 + [0.7] * 4)]
    looks = {0: (0.1, 0.1, 0.1), 10: (0.9, 0.1, 0.1), 20: (0.8, 0.8, 0.1), 30: (0.9, 0.7, 0.1), 40: (0.9, 0.7, 0.7)}
    trace = life("ABAC", looks, prequential=scores)
    lessons = lessons_of(trace, window=1)
    assert [(one.task, one.final, one.speed) for one in lessons] == [("A", 0.9, 3), ("B", 0.8, 5), ("C", 0.7, 7)]
    assert [one.area for one in lessons] == pytest.approx([0.76, 0.56, 0.34])
    trend = trend_of(lessons)
    assert (trend.final, trend.area, trend.speed) == (pytest.approx(-0.1), pytest.approx(-0.21), pytest.approx(2.0))
    against = trend_of(lessons, lessons)
    assert (against.final, against.speed) == (0.0, 0.0)
    with pytest.raises(ValueError, match="share must be in"):
        lessons_of(trace, share=0.0)


def test_a_slope_needs_two_points() -> None:
    assert slope([(0, 1.0), (1, 3.0), (2, 5.0)]) == pytest.approx(2.0)
    assert slope([(0, 1.0)]) is None
    assert slope([]) is None


def test_the_gap_is_seen_within_a_visit_and_not_at_its_end() -> None:
    looks = {0: (0.1, 0.1), 10: (0.9, 0.1), 12: (0.3, 0.5), 15: (0.6, 0.7), 20: (0.8, 0.9)}
    found = stability_of(life("AB", looks))
    assert found.gaps == (Gap("A", "B", 10, 0.9, 0.3, 0.8),)
    assert (found.minima, found.min_acc, found.looks) == ({"A": 0.3}, 0.3, 3)
    assert found.wc_acc == pytest.approx(0.5 * 0.9 + 0.5 * 0.3)
    assert (found.depth, found.recovered) == (pytest.approx(0.6), pytest.approx(0.5))


def test_what_was_never_lost_is_not_recovered() -> None:
    better = stability_of(life("AB", {0: (0.1, 0.1), 10: (0.5, 0.1), 15: (0.55, 0.5), 20: (0.9, 0.9)}))
    assert (better.depth, better.recovered) == (pytest.approx(-0.05), 0.0)
    beyond = stability_of(life("AB", {0: (0.1, 0.1), 10: (0.5, 0.1), 15: (0.3, 0.5), 20: (0.9, 0.9)}))
    assert (beyond.depth, beyond.recovered) == (pytest.approx(0.2), pytest.approx(0.2))


def test_with_looks_at_the_ends_alone_the_gap_is_what_forgetting_sees() -> None:
    looks = {0: (0.1, 0.1, 0.1), 10: (0.9, 0.1, 0.1), 20: (0.7, 0.8, 0.1), 30: (0.8, 0.5, 0.6)}
    found = stability_of(life("ABC", looks))
    assert found.minima == {"A": 0.7, "B": 0.5}
    assert found.min_acc == pytest.approx(0.6)
    assert found.wc_acc == pytest.approx(0.6 / 3 + 2 / 3 * 0.6)
    assert [gap.depth for gap in found.gaps] == pytest.approx([0.2, -0.1, 0.3])


def test_what_only_got_better_has_its_minimum_after_its_own_lesson() -> None:
    found = stability_of(life("AB", {0: (0.1, 0.1), 10: (0.5, 0.1), 15: (0.6, 0.3), 20: (0.7, 0.8)}))
    assert found.minima == {"A": 0.6}
    assert found.depth == pytest.approx(-0.1)


def test_one_task_has_nothing_old() -> None:
    found = stability_of(life("A", {0: (0.1,), 10: (0.9,)}))
    assert (found.min_acc, found.wc_acc, found.gaps, found.depth) == (None, 0.9, (), None)


def pair(order: str, first: float, then: tuple[float, float], seed: int = 0, steps: int = 10):
    return life(order, {0: (0.1, 0.1), steps: (first, 0.1), 2 * steps: then}, steps, seed=seed)


def test_transfer_both_ways_between_two_tasks() -> None:
    runs = [pair("AB", 0.8, (0.6, 0.9)), pair("BA", 0.7, (0.75, 0.5))]
    found = transfers_of(runs)
    assert found.tasks == ("A", "B")
    # B after A is at .9, B alone at .7; A after B at .5, A alone at .8.
    assert_allclose(found.forward, [[NAN, 0.2], [-0.3, NAN]])
    assert_allclose(found.backward, [[NAN, -0.2], [0.05, NAN]])
    assert found.runs.tolist() == [[0, 1], [1, 0]]


def test_transfer_is_within_seeds_and_at_equal_experiences() -> None:
    runs = [
        pair("AB", 0.8, (0.6, 0.9), seed=1), pair("BA", 0.7, (0.7, 0.5), seed=1),
        pair("AB", 0.8, (0.8, 0.9), seed=2), pair("BA", 0.5, (0.5, 0.6), seed=2),
        pair("BA", 0.1, (0.1, 0.1), seed=1, steps=5),
    ]  # fmt: skip
    found = transfers_of(runs)
    assert found.forward[0, 1] == pytest.approx(((0.9 - 0.7) + (0.9 - 0.5)) / 2)
    assert found.backward[0, 1] == pytest.approx((-0.2 + 0.0) / 2)
    assert found.runs[0, 1] == 2
    with pytest.raises(ValueError, match="no run over a pair"):
        transfers_of([life("A", {0: (0.1,), 10: (0.9,)})])


def test_which_pairs_are_still_needed_and_how_to_run_them() -> None:
    there = pairs_there([pair("AB", 0.8, (0.6, 0.9)), life("A", {0: (0.1,), 10: (0.9,)})])
    assert there == {("A", "B")}
    assert pairs_needed("ABC", there) == [("A", "C"), ("B", "A"), ("B", "C"), ("C", "A"), ("C", "B")]
    assert override_of(("A", "B")) == "stream.timetable.order=A B"
    assert override_of(("wine", "breast cancer")) == 'stream.timetable.order=["wine", "breast cancer"]'


def test_drops_go_with_similarity() -> None:
    looks = {0: (0.1, 0.1, 0.1), 10: (0.9, 0.1, 0.1), 20: (0.6, 0.8, 0.1), 30: (0.5, 0.6, 0.6)}
    alike = Alike(("A", "B", "C"), np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.5], [0.1, 0.5, 1.0]]))
    drops = drops_of(matrix_of(life("ABC", looks)), alike)
    assert [(one.earlier, one.later, one.segment) for one in drops] == [("A", "B", 2), ("A", "C", 3), ("B", "C", 3)]
    assert [one.drop for one in drops] == pytest.approx([0.3, 0.1, 0.2])
    assert correlation(drops) == pytest.approx(1.0)


def test_spearman_by_hand_with_ties() -> None:
    assert ranks([10, 20, 20, 5]).tolist() == [2.0, 3.5, 3.5, 1.0]
    # 1 - 6 * sum(d^2) / (n (n^2 - 1)) with d = 1, 1, 1, 1, 0.
    assert spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(1 - 6 * 4 / (5 * 24))
    assert spearman([1, 2], [1, 2]) is None
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    with pytest.raises(ValueError, match="pair by pair"):
        spearman([1], [1, 2])


def test_a_metric_by_the_one_setting_that_differs() -> None:
    def config(hidden: list[int], seed: int, lr: float = 0.1) -> dict[str, object]:
        return {"seed": seed, "agent": {"network": {"hidden": hidden}, "lr": lr}, "record": {"group": str(seed)}}

    configs = [config([100], 0), config([100], 1), config([20], 0), config([20], 1)]
    assert differing(configs) == ["agent.network.hidden"]
    assert value_of(configs[0], "agent.network.hidden") == "[100]"
    levels = by_setting(configs, [0.9, 0.7, 0.5, None], "agent.network.hidden")
    assert levels == [Level("[20]", 0.5, None, 1), Level("[100]", pytest.approx(0.8), pytest.approx(0.02**0.5), 2)]
    with pytest.raises(ValueError, match=r"differ in agent\.lr too"):
        by_setting([*configs, config([20], 2, 0.2)], [0.0] * 5, "agent.network.hidden")


def test_a_probe_is_judged_and_counts_in_nothing() -> None:
    looks = {0: (0.1, 0.1, 0.2), 10: (0.9, 0.1, 0.5), 15: (0.9, 0.1, 0.9), 20: (0.8, 0.7, 0.4)}
    trace, without = life("AB", looks, tasks="ABP"), life("AB", {step: row[:2] for step, row in looks.items()})
    (probe,) = probes_of(trace)
    assert (probe.task, probe.steps, probe.scores) == ("P", (0, 10, 20), (0.2, 0.5, 0.4))
    assert probe.gained == pytest.approx(0.2)
    assert probes_of(without) == []
    for measure in (acc, bwt, fwt):
        assert measure(matrix_of(trace)) == measure(matrix_of(without))


def test_room_that_is_taken_segment_by_segment() -> None:
    more = [
        (10, SubspaceGrown(0, "layer", 20, 100, 0.9)),
        (12, SubspaceGrown(1, "head", 5, 10, 0.9)),
        (20, SubspaceGrown(0, "layer", 50, 100, 0.9)),
        (20, ParameterHeld(0, "w", (10, 100), "protected", "", 50, 100)),
        (20, ParameterHeld(0, "b", (10,), "frozen", "", 1, 1)),
        (20, ParameterHeld(0, "h", (5000,), "per expert", "", 0, 1)),
    ]
    trace = life("AB", {0: (0.1, 0.1), 10: (0.9, 0.1), 20: (0.8, 0.7)}, more=more)
    assert [(one.layer, one.size, one.shares) for one in capacity_of(trace)] == [
        ("layer", 100, (0.2, 0.5)),
        ("head", 10, (0.0, 0.5)),
    ]
    assert held_share(trace) == pytest.approx((500 + 10) / 1010)
    assert held_share(life("A", {0: (0.1,), 10: (0.9,)})) is None
