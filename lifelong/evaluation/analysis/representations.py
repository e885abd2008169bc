"""How alike two representations are: linear CKA, and the overlap of the subspaces that they live in.

N samples, D and E features, R directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def linear_cka(before_ND: Floats, after_NE: Floats, unbiased: bool = False) -> float:
    """Linear centred kernel alignment of two sets of features of the same N samples, 0 to 1.

    1 where one set is the other, turned and scaled as a whole. Kornblith et al., Similarity of neural network
    representations revisited (ICML 2019), with the linear kernel. unbiased: by the estimator of HSIC of Song et al.
    2012 (as in Nguyen et al. 2021), which does not grow with D / N and may be below 0. Raises ValueError where the
    samples are not the same number, fewer than 2 (4 if unbiased), or a feature set is constant.
    """
    least = 4 if unbiased else 2
    if len(before_ND) != len(after_NE) or len(before_ND) < least:
        raise ValueError(
            f"CKA compares features of the same samples, at least {least}, got {len(before_ND)} and {len(after_NE)}."
        )
    grams = [_gram(_centred(features)) for features in (before_ND, after_NE)]
    hsic = _unbiased_hsic if unbiased else _hsic
    norm = hsic(grams[0], grams[0]) * hsic(grams[1], grams[1])
    if norm <= 0:
        raise ValueError("CKA is not defined where features do not vary over the samples.")
    return float(hsic(grams[0], grams[1]) / np.sqrt(norm))


def subspace_overlap(one_DR: Floats, other_DR: Floats) -> float:
    """||A^T B||_F^2 / min(ra, rb) of two orthonormal bases: 1 where one subspace lies in the other, 0 where they are
    orthogonal; the mean squared cosine of the principal angles (Björck & Golub 1973).

    Raises ValueError where the spaces differ or a basis is empty.
    """
    if len(one_DR) != len(other_DR) or not one_DR.shape[1] or not other_DR.shape[1]:
        raise ValueError(f"Two bases (D, R) of one space are needed, got {one_DR.shape} and {other_DR.shape}.")
    return float(np.sum((one_DR.T @ other_DR) ** 2) / min(one_DR.shape[1], other_DR.shape[1]))


def principal_basis(features_ND: Floats, energy: float = 0.95) -> Floats:
    """(D, R) orthonormal: the fewest directions that hold `energy` (0..1) of the squared features, not centred.

    Raises ValueError for an energy out of range, and for features that are all zero.
    """
    if not 0 < energy <= 1:
        raise ValueError(f"energy is a share in (0, 1], got {energy}.")
    _, sizes, rows = np.linalg.svd(features_ND, full_matrices=False)
    squares = np.cumsum(sizes**2)
    if not squares[-1] > 0:
        raise ValueError("Features that are all zero span no subspace.")
    rank = int(np.searchsorted(squares, energy * squares[-1] * (1 - 1e-12))) + 1
    basis: Floats = rows[:rank].T
    return basis


def compare_features(
    before: Callable[[Any], Any], after: Callable[[Any], Any], inputs: Any, unbiased: bool = False, energy: float = 0.95
) -> tuple[float, float]:
    """Linear CKA and subspace overlap of what two networks make of the same inputs.

    before, after: give features (N, ...) for inputs, as an array or a tensor: a module with its weights of then and of
    now, or a part of one. Features of different sizes give an overlap of NaN.
    """
    one, other = (array_of(network(inputs)).reshape(len(inputs), -1) for network in (before, after))
    same = one.shape[1] == other.shape[1]
    overlap = subspace_overlap(principal_basis(one, energy), principal_basis(other, energy)) if same else float("nan")
    return linear_cka(one, other, unbiased), overlap


def array_of(values: Any) -> Floats:
    """An array, or a tensor of any device, as an array of float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def _centred(features: Floats) -> Floats:
    centred: Floats = features - features.mean(axis=0)
    return centred


def _gram(features: Floats) -> Floats:
    gram: Floats = features @ features.T
    return gram


def _hsic(k: Floats, m: Floats) -> float:
    return float(np.sum(k * m))


def _unbiased_hsic(k: Floats, m: Floats) -> float:
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    first = np.sum(k * m)
    second = k.sum() * m.sum() / ((n - 1) * (n - 2))
    third = 2 * float(k.sum(axis=0) @ m.sum(axis=0)) / (n - 2)
    return float((first + second - third) / (n * (n - 3)))
