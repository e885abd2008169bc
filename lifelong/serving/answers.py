"""What is answered: a prediction as plain data, in the terms of what the task asks for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lifelong.experience import Prediction
from lifelong.objective import Accuracy, Classification, MultiLabel, Objective, Regression
from lifelong.serving.asking import Refused


def answers(prediction: Prediction, objective: Objective) -> list[dict[str, Any]]:
    """One for each sample: the answer, how sure its expert is of it (None: that is not known), and which one that was.

    Classes: the one of the largest output, and its share of the softmax. Labels: those of positive outputs, and the
    sigmoid's word for the label that is least sure. Numbers, and outputs of objectives that are not known here: as they
    are, without a confidence. Raises Refused where an output is no finite number.
    """
    outputs = prediction.outputs.detach().cpu()
    lost = ~torch.isfinite(outputs).all(1)
    if lost.any():
        raise Refused(
            f"sample {int(lost.nonzero()[0])} is so far from all that was learned that its answer is no finite number."
        )
    experts = prediction.experts.tolist()
    known = [None] * len(experts) if prediction.known is None else prediction.known.tolist()
    told = ({"expert": expert, "known": is_known} for expert, is_known in zip(experts, known, strict=True))
    return [one | who for one, who in zip(_said(outputs, objective), told, strict=True)]


def _said(outputs: Tensor, objective: Objective) -> list[dict[str, Any]]:
    if isinstance(objective, Classification):
        classes = outputs.argmax(1)
        sure = outputs.double().softmax(1).gather(1, classes[:, None])[:, 0].tolist()
        return [{"class": c, "confidence": s} for c, s in zip(classes.tolist(), sure, strict=True)]
    if isinstance(objective, MultiLabel):
        chances = outputs.double().sigmoid()
        sure = torch.maximum(chances, 1.0 - chances).amin(1).tolist()
        return [
            {"labels": (row > 0).nonzero()[:, 0].tolist(), "confidence": s}
            for row, s in zip(outputs, sure, strict=True)
        ]
    if isinstance(objective, Regression):
        return [{"value": row, "confidence": None} for row in outputs.tolist()]
    if isinstance(objective.metric, Accuracy):
        # Judged by its largest output: that is the class. What its loss makes of the others is its own affair.
        return [{"class": c, "confidence": None} for c in outputs.argmax(1).tolist()]
    return [{"outputs": row, "confidence": None} for row in outputs.tolist()]
