"""Recursive least squares against the same sums solved from scratch."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from lifelong.tracking.recursive_ridge import RecursiveRidge


def rows(count: int, features: int, outputs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((count, features))
    return x, x @ draw.standard_normal((features, outputs)) + 0.3 * draw.standard_normal((count, outputs))


def test_without_forgetting_it_is_ridge_regression_after_every_row() -> None:
    x, y = rows(150, 6, 3)
    ridge = RecursiveRidge(6, 3, ridge=2.0)
    for t in range(len(x)):
        ridge.learn(x[t], y[t])
        wanted = np.linalg.solve(2.0 * np.eye(6) + x[: t + 1].T @ x[: t + 1], x[: t + 1].T @ y[: t + 1])
        np.testing.assert_allclose(ridge.weights, wanted, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ridge.answer(x), x @ wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("forgetting", [0.999, 0.95])
def test_with_forgetting_it_solves_the_faded_sums_with_the_ridge_given_back(forgetting: float) -> None:
    x, y = rows(400, 5, 2)
    ridge = RecursiveRidge(5, 2, forgetting, ridge=1.5)
    precision, moments = 1.5 * np.eye(5), np.zeros((5, 2))
    for t in range(len(x)):
        ridge.learn(x[t], y[t])
        precision = forgetting * precision + np.outer(x[t], x[t])
        precision[t % 5, t % 5] += (1 - forgetting) * 5 * 1.5
        moments = forgetting * moments + np.outer(x[t], y[t])
        np.testing.assert_allclose(ridge.weights, np.linalg.solve(precision, moments), rtol=1e-8, atol=1e-10)


def test_it_stays_exact_for_as_long_as_a_stream_lasts_also_where_a_column_says_nothing() -> None:
    # Left alone, the antisymmetric part of rounding and the silent column's variance would grow by 0.99 ** -20000.
    x, y = rows(20_000, 8, 1)
    x[:, 3] = 0.0
    ridge = RecursiveRidge(8, 1, 0.99, ridge=3.0)
    precision, moments = 3.0 * np.eye(8), np.zeros((8, 1))
    for t in range(len(x)):
        ridge.learn(x[t], y[t])
        precision = 0.99 * precision + np.outer(x[t], x[t])
        precision[t % 8, t % 8] += 0.01 * 8 * 3.0
        moments = 0.99 * moments + np.outer(x[t], y[t])
    np.testing.assert_allclose(ridge.weights, np.linalg.solve(precision, moments), rtol=1e-7, atol=1e-9)


def test_it_forgets_a_world_that_is_gone() -> None:
    x, y = rows(2000, 4, 1)
    y[1000:] *= -1.0
    forgetful, faithful = RecursiveRidge(4, 1, 0.98), RecursiveRidge(4, 1)
    for t in range(len(x)):
        forgetful.learn(x[t], y[t])
        faithful.learn(x[t], y[t])
    assert np.abs(forgetful.answer(x[1000:]) - y[1000:]).mean() < 0.35
    assert np.abs(faithful.answer(x[1000:]) - y[1000:]).mean() > 1.0


def test_a_restored_one_goes_on_to_the_same_bit() -> None:
    x, y = rows(300, 7, 2)
    ridge = RecursiveRidge(7, 2, 0.99)
    for t in range(200):
        ridge.learn(x[t], y[t])
    twin = RecursiveRidge(7, 2, 0.99)
    twin.load_state_dict(copy.deepcopy(ridge.state_dict()))
    for t in range(200, 300):
        ridge.learn(x[t], y[t])
        twin.learn(x[t], y[t])
    np.testing.assert_array_equal(ridge.weights, twin.weights)


@pytest.mark.parametrize("settings", [(0, 1, 1.0, 1.0), (1, 1, 0.0, 1.0), (1, 1, 1.1, 1.0), (1, 1, 1.0, 0.0)])
def test_settings_out_of_range_are_refused(settings: tuple[int, int, float, float]) -> None:
    with pytest.raises(ValueError, match="RecursiveRidge needs"):
        RecursiveRidge(*settings)
