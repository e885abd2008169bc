"""What a message says: an input with its label, an input whose label will follow, or the label of an earlier one.

{"id": "a1", "input": [0.1, 0.2], "label": 3}      {"id": "a2", "input": [0.3, 0.4]}      {"for": "a2", "label": 1}
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong.saying import printable

KEYS = {"id", "input", "label", "for"}
LONGEST = 200
"""Characters of an id that are kept: it is a name and no payload."""

LARGEST = 1e18
"""Of a label that is a number, so that the square of what is missing has room in float32."""

Label = int | tuple[float, ...]


class Unfit(ValueError):
    """A message that says nothing to learn from: it is left out and put on record."""

    def __init__(self, why: str) -> None:
        # What strangers wrote goes to files and terminals.
        super().__init__(printable(why, 300).replace("\n", " "))


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What was read off a message. of: the id of an earlier input whose label this is (None: the label is its own)."""

    name: str | None
    inputs: NDArray[np.float32] | None
    label: Label | None
    of: str | None


@dataclass(frozen=True, slots=True)
class Form:
    """What inputs and labels must look like: `classes` counts classes; None: a label is `targets` numbers."""

    shape: tuple[int, ...]
    classes: int | None
    targets: int

    def read(self, text: str) -> Said:
        """Raises Unfit, saying what is wrong, where a message is not of this form."""
        try:
            told = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Unfit(f"no JSON ({str(error)[:80]})") from error
        if not isinstance(told, dict):
            raise Unfit(f"not a JSON object but {_told(told)}")
        unknown = sorted(str(key) for key in told.keys() - KEYS)
        if unknown:
            raise Unfit(f"unknown keys {', '.join(unknown)[:80]}: there are {', '.join(sorted(KEYS))}")
        name, of = _name(told, "id"), _name(told, "for")
        if of is None and "input" not in told:
            raise Unfit("neither an input nor the label for one")
        if of is not None and ("input" in told or "label" not in told):
            raise Unfit("a message with 'for' holds a label and no input")
        inputs = self._inputs(told["input"]) if of is None else None
        label = self._label(told["label"]) if told.get("label") is not None else None
        if of is not None and label is None:
            raise Unfit("the label for an input is null")
        if of is None and label is None and name is None:
            raise Unfit("an input without a label needs an id, or its label could never find it")
        return Said(name, inputs, label, of)

    def _inputs(self, given: Any) -> NDArray[np.float32]:
        try:
            numbers = np.asarray(given)
        except ValueError as error:
            raise Unfit("the input is not made of numbers in lists of equal lengths") from error
        if numbers.dtype.kind not in "iuf":
            raise Unfit("the input is not made of numbers in lists of equal lengths")
        with np.errstate(over="ignore"):
            inputs: NDArray[np.float32] = numbers.astype(np.float32)
        if inputs.shape != self.shape and inputs.shape != (math.prod(self.shape),):
            raise Unfit(f"the input has the shape {inputs.shape}, expected {self.shape}")
        if not np.isfinite(inputs).all():
            raise Unfit("the input holds numbers that are not finite")
        return inputs.reshape(self.shape)

    def _label(self, given: Any) -> Label:
        if self.classes is not None:
            if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < self.classes:
                raise Unfit(f"the label is {_told(given)}, expected a class from 0 to {self.classes - 1}")
            return given
        many = given if isinstance(given, list) else [given]
        fit = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in many)
        if not fit or len(many) != self.targets or not all(abs(one) <= LARGEST for one in many):
            raise Unfit(f"the label is {_told(given)}, expected {self.targets} finite numbers up to {LARGEST:g}")
        return tuple(float(one) for one in many)


def _told(given: Any) -> str:
    kind = {str: "the text ", float: "the number "}.get(type(given), "")
    return kind + json.dumps(given)[:40]


def _name(told: dict[str, Any], key: str) -> str | None:
    given = told.get(key)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        raise Unfit(f"{key} is {type(given).__name__}, expected a text or a whole number")
    if len(str(given)) > LONGEST:
        raise Unfit(f"{key} is longer than {LONGEST} characters")
    return str(given)
