"""Would a new task be easy on these features? A linear probe answers in milliseconds, without training.

Shapes: N samples, F features, C outputs. Source: linear probing (Alain & Bengio 2016), with the leave-one-out error of
ridge regression in closed form (Allen 1974, PRESS), so that the few samples at hand both fit and judge the probe.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.objective import Contract


@torch.no_grad()
def probe_error(features: Tensor, targets: Tensor, contract: Contract) -> float:
    """Leave-one-out squared error of a ridge probe on (N, ...) features, as a share of the targets' variance.

    0 is perfect, 1 no better than the mean, more is worse.
    """
    features = features.flatten(1).to(torch.float64)
    wanted = targets.reshape(len(targets), -1).to(torch.float64)
    if not targets.is_floating_point():
        wanted = F.one_hot(targets, contract.outputs).to(torch.float64)
    features, wanted = features - features.mean(0), wanted - wanted.mean(0)
    kernel = features @ features.T
    ridge = 0.01 * kernel.diagonal().mean().clamp_min(1e-12)
    left = ridge * torch.linalg.inv(kernel + ridge * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device))
    # Residuals over one minus the leverage, in which the mean that was taken off has its share of 1/n. Without that, a
    # sample is told by the others, whose sum it is but for the sign, as soon as features outnumber samples.
    residuals = (left @ wanted) / (left.diagonal() - 1.0 / len(kernel)).clamp_min(1e-12)[:, None]
    return float(residuals.square().sum() / wanted.square().sum().clamp_min(1e-12))
