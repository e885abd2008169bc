"""A step's raw trace, still on the device: no plain data, and settled into `Learned` facts for many steps at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Update:
    """A learner took in one experience: the pre-update loss () and outputs (B, C), still on the device.

    `per_sample(outputs, targets)` gives the prequential score of each sample. `statistic` is what the shift detector
    said of this or the latest value that it has seen (0 where there is no detector). samples: how many there were,
    where that is not the number of outputs.
    """

    expert: int
    loss: Tensor
    outputs: Tensor
    targets: Tensor
    per_sample: Callable[[Tensor, Tensor], Tensor]
    statistic: float = 0.0
    samples: int | None = None
