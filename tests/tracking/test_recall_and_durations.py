"""What is remembered of the past, computed again from the whole past, and how long labels last, counted by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from lifelong.tracking.durations import Durations
from lifelong.tracking.features import Features
from lifelong.tracking.recall import Recall


def test_levels_are_faded_means_of_all_rows_before_and_labels_the_latest_ones() -> None:
    draw = np.random.default_rng(0)
    rows, labels = draw.standard_normal((30, 3)), draw.integers(4, size=30)
    recall = Recall(3, 4, levels=(1, 5), labels=2)
    assert recall.features == 3 * 3 + 2 * 4
    for t in range(30):
        (described,) = recall.describe(rows[t : t + 1])
        wanted = [rows[t]]
        for horizon in (1, 5):
            weights = (1 - 1 / horizon) ** np.arange(t)[::-1] if horizon > 1 else np.eye(max(t, 1))[-1][:t]
            wanted.append(rows[t] - weights @ rows[:t] / weights.sum() if t else np.zeros(3))
        wanted += [np.eye(4)[labels[t - lag]] if t >= lag else np.zeros(4) for lag in (1, 2)]
        np.testing.assert_allclose(described, np.concatenate(wanted), atol=1e-12)
        recall.take(rows[t], int(labels[t]))


def test_many_rows_are_described_as_if_each_came_next_and_outliers_are_cut() -> None:
    recall = Recall(2, 3)
    recall.take(np.array([1.0, -1.0]), 2)
    rows = np.array([[0.0, 100.0], [2.0, -1.0]])
    both = recall.describe(rows)
    np.testing.assert_array_equal(both[1], recall.describe(rows[1:])[0])
    np.testing.assert_array_equal(both[0], [0, 5, -1, 5, -1, 5, -1, 5, 0, 0, 1])


def test_without_levels_and_labels_a_row_is_all_there_is() -> None:
    recall = Recall(2, 3, levels=(), labels=0)
    recall.take(np.array([1.0, -1.0]), 2)
    np.testing.assert_array_equal(recall.describe(np.array([[0.5, 1.0]])), [[0.5, 1.0]])


def test_durations_count_how_often_a_run_of_each_length_went_on() -> None:
    durations = Durations(3, longest=4, prior=2.0)
    np.testing.assert_allclose(durations.answer(), np.full(3, 1 / 3))
    for label in (0, 0, 1, 1, 2, 2, 2):
        durations.learn(label)
    # After one label: three times on, never gone; after two: gone twice, on once. In all 2 of 6; one each way: 3 of 8.
    # After three: only the prior of two rows at 3 in 8.
    np.testing.assert_allclose(durations.answer(), [3 / 16, 3 / 16, 5 / 8])
    durations.learn(0)
    # In all 3 of 7, with one each way 4 of 9; after one: 3 rows that stayed and the prior.
    goes = 2 * (4 / 9) / (3 + 2)
    np.testing.assert_allclose(durations.answer(), [1 - goes, goes / 2, goes / 2])


def test_runs_of_one_length_are_learned_to_the_row() -> None:
    durations, right = Durations(5), 0
    labels = np.repeat(np.random.default_rng(0).permutation(np.tile(np.arange(5), 40)), 10)
    for label in labels[:1500].tolist():
        durations.learn(label)
    runs = np.flatnonzero(np.diff(labels[1490:]))
    assert len(runs) > 30
    for label in labels[1500:].tolist():
        answer = durations.answer()
        right += int(answer.argmax() == label)
        durations.learn(label)
    changes = (np.diff(labels[1499:]) != 0).sum()
    # It leaves at each end of a run and so is never wrong in the middle of one.
    assert right >= 500 - changes - 20


def test_features_are_a_one_the_inputs_steps_and_fixed_directions() -> None:
    features = Features(3, steep=2, hidden=4, seed=1)
    inputs = np.random.default_rng(0).standard_normal((5, 3))
    made = features.of(inputs)
    assert made.shape == (5, features.count) == (5, 1 + 3 + 2 + 4)
    np.testing.assert_array_equal(made[:, 0], 1.0)
    np.testing.assert_array_equal(made[:, 1:4], inputs)
    np.testing.assert_allclose(made[:, 4:6], np.tanh(4 * inputs[:, :2]))
    np.testing.assert_allclose(features.of(inputs[2]), made[2], rtol=1e-12)
    np.testing.assert_array_equal(Features(3, 2, 4, seed=1).of(inputs), made)
    assert np.abs(Features(3, 2, 4, seed=2).of(inputs) - made).max() > 0.1


def test_restored_memories_go_on_the_same() -> None:
    recall, durations = Recall(2, 3), Durations(3)
    for t, row in enumerate(np.random.default_rng(0).standard_normal((9, 2))):
        recall.take(row, t % 3)
        durations.learn(t // 2 % 3)
    again, lasting = Recall(2, 3), Durations(3)
    again.load_state_dict(copy.deepcopy(recall.state_dict()))
    lasting.load_state_dict(copy.deepcopy(durations.state_dict()))
    rows = np.ones((1, 2))
    np.testing.assert_array_equal(again.describe(rows), recall.describe(rows))
    np.testing.assert_array_equal(lasting.answer(), durations.answer())


def test_settings_out_of_range_are_refused() -> None:
    for make in (
        lambda: Recall(1, 2, levels=(0,)),
        lambda: Recall(1, 2, labels=-1),
        lambda: Durations(1),
        lambda: Durations(2, longest=0),
        lambda: Features(2, 3, 0, 0),
        lambda: Features(2, 0, -1, 0),
    ):
        with pytest.raises(ValueError, match=r"must be|needs"):
            make()
