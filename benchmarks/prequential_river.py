"""What River's learners do on the same tables: figures that were measured once, and the means to measure them again.

River learns raw rows as dicts, one at a time, in its own loop of `predict_one` and `learn_one`; where it needs
standardised inputs, by its own running scaler.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.tracking.recall import Recall
from lifelong_envs.supervised.drifting import latest, standardised


@dataclass(frozen=True, slots=True)
class Figure:
    """Prequential accuracy in %, and CPU microseconds a row. `memory`: what of the past stands among the inputs."""

    learner: str
    memory: str
    accuracy: str
    cost: int | None


def _figures(*rows: tuple[str, str, str, int | None]) -> list[Figure]:
    return [Figure(*row) for row in rows]


LOGISTIC, KNN, ARF = "logistic", "kNN, window 1000", "ARF, 10 trees"
RECALLED = "levels, last label"
# River 0.26.1, Python 3.11, one pass. The forest has seed 0, with a lag seeds 0 to 2 (mean, lowest to highest); on what
# a tracker recalls, seed 0. Costs were taken on a machine with other work.
FIGURES: dict[tuple[str, int], list[Figure]] = {
    ("elec2, 8 columns", 0): _figures(
        (LOGISTIC, "none", "83.73", 20), (KNN, "none", "85.39", 351), (ARF, "none", "88.42", 828)
    ),
    ("elec2, 8 columns", 1): _figures(
        (LOGISTIC, "none", "87.79", 19),
        (KNN, "none", "87.43", 173),
        (ARF, "none", "88.66 (88.46 to 88.87)", 933),
        (ARF, RECALLED, "93.96", 1230),
    ),
    ("elec2 without date and price", 0): _figures(
        (LOGISTIC, "none", "72.94", None), (KNN, "none", "77.80", None), (ARF, "none", "80.27", None)
    ),
    ("elec2 without date and price", 1): _figures(
        (LOGISTIC, "none", "85.62", 18),
        (KNN, "none", "84.64", 158),
        (ARF, "none", "86.43 (86.33 to 86.60)", 986),
        (ARF, RECALLED, "88.11", 1175),
    ),
    ("weather", 0): _figures(
        (LOGISTIC, "none", "76.78", 20), (KNN, "none", "75.65", 413), (ARF, "none", "77.92", 1313)
    ),
    ("weather", 1): _figures(
        (LOGISTIC, "none", "76.88", 20),
        (KNN, "none", "75.25", 206),
        (ARF, "none", "77.84 (77.70 to 77.97)", 1459),
        (ARF, RECALLED, "78.62", 1873),
    ),
    ("outdoor", 0): _figures(
        (LOGISTIC, "none", "47.33", 232), (KNN, "none", "77.50", 644), (ARF, "none", "82.20", 3182)
    ),
    ("outdoor", 1): _figures(
        (LOGISTIC, "none", "89.95", 432),
        (KNN, "none", "89.12", 948),
        (ARF, "none", "83.07 (82.08 to 83.67)", 3593),
        (ARF, RECALLED, "83.17", 7175),
    ),
}


def measured(rows: Tensor, labels: Tensor, lags: int) -> list[Figure]:
    """Logistic regression, kNN and the adaptive random forest; with a lag also the forest on what a tracker recalls.

    Raises ImportError where river is not installed.
    """
    from river import forest, linear_model, multiclass, neighbors, preprocessing

    inputs = rows.double().numpy()
    if lags:
        answers = torch.nn.functional.one_hot(labels).float()
        inputs = np.concatenate([inputs, latest(answers, lags, 1).numpy()], axis=1)
    kinds: dict[str, Callable[[], Any]] = {
        LOGISTIC: lambda: (
            preprocessing.StandardScaler() | multiclass.OneVsRestClassifier(linear_model.LogisticRegression())
        ),
        KNN: lambda: (
            preprocessing.StandardScaler()
            | neighbors.KNNClassifier(n_neighbors=5, engine=neighbors.LazySearch(window_size=1000))
        ),
        ARF: lambda: forest.ARFClassifier(n_models=10, seed=0),
    }
    found = [_lived(name, "none", make(), inputs, labels) for name, make in kinds.items()]
    if lags:
        forest_too = forest.ARFClassifier(n_models=10, seed=0)
        found.append(_lived(ARF, RECALLED, forest_too, recalled(rows, labels), labels))
    return found


def recalled(rows: Tensor, labels: Tensor) -> np.ndarray:
    """(N, D) rows -> what a tracker sees of each: the row, its differences from recent levels, the last label."""
    inputs = standardised(rows).double().numpy()
    recall = Recall(inputs.shape[1], int(labels.max()) + 1)
    found = []
    for row, label in zip(inputs, labels.tolist(), strict=True):
        found.append(recall.describe(row[None])[0])
        recall.take(row, label)
    return np.array(found)


def _lived(name: str, memory: str, model: Any, inputs: np.ndarray, labels: Tensor) -> Figure:
    columns = [f"c{number}" for number in range(inputs.shape[1])]
    right, began = 0, time.process_time()
    for row, label in zip(inputs.tolist(), labels.tolist(), strict=True):
        sample = dict(zip(columns, row, strict=True))
        right += model.predict_one(sample) == label
        model.learn_one(sample, label)
    cost = round(1e6 * (time.process_time() - began) / len(labels))
    return Figure(name, memory, f"{100 * right / len(labels):.2f}", cost)
