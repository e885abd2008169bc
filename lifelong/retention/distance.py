"""How far answers are from those of a teacher, in the terms of the task's objective."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from lifelong.objective import Classification, MultiLabel, Objective


def distance(
    objective: Objective, teacher: Tensor, student: Tensor, columns: Sequence[int] | None, temperature: float
) -> Tensor:
    """(B, C) outputs of both -> a scalar: their mean distance over samples, with the student's graph.

    Classes: temperature^2 KL(teacher || student) of the softmax at this temperature (Hinton et al. 2015), over
    `columns` alone. Several labels: the cross-entropy with the teacher's chances, less its least value. Numbers, and
    objectives that are not known here: the squared distance, mean over outputs.
    """
    if columns is not None:
        teacher, student = teacher[:, list(columns)], student[:, list(columns)]
    if isinstance(objective, Classification):
        wanted, said = (teacher / temperature).log_softmax(-1), (student / temperature).log_softmax(-1)
        return temperature**2 * F.kl_div(said, wanted, reduction="batchmean", log_target=True)
    if isinstance(objective, MultiLabel):
        chances = teacher.sigmoid()
        least = F.binary_cross_entropy_with_logits(teacher, chances)
        return F.binary_cross_entropy_with_logits(student, chances) - least
    return F.mse_loss(student, teacher)
