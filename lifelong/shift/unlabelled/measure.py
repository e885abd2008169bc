"""The contract of a shift measure without labels: one batch of rows in, one number out that a chart can watch.

Shapes: B rows of D numbers. A measure compares each batch with a reference of the world that it knows; what it returns
is a surprise value (larger is stranger), so that every `Detector` of losses watches unlabelled streams too.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor

Sight = Literal["inputs", "outputs"]
"""What a measure wants to see of a batch: the inputs, or what the model answers to them."""


@runtime_checkable
class Measure(Protocol):
    """Compares batches with the first ones that it saw after a start or a reset, without labels."""

    @property
    def sight(self) -> Sight: ...

    def observe(self, rows: Tensor) -> float | None:
        """(B, ...) rows, B >= 1 -> how strange they are, None while the reference is still being gathered (the grace).

        In deviations of chance, whatever B is: about 0 with a deviation of about 1 in the world of the reference. Below
        0 is not strange at all. Infinite where a row is not finite, or not as wide as those of the reference.
        """
        ...

    def reset(self) -> None:
        """Forget everything: another world begins."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...
