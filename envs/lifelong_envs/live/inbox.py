"""What has arrived and is not learned yet: samples for the next batch, and inputs that wait for their labels."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lifelong_envs.live.form import Form, Label, Unfit


class Inbox:
    """Takes texts in one by one; all that it holds is bounded.

    waiting: inputs that wait for a label at most; the oldest is given up for a new one. remembered: ids of the latest
    messages, by which one that is sent twice is known.
    """

    def __init__(self, form: Form, waiting: int, remembered: int) -> None:
        self._form, self._most_waiting, self._most_known = form, waiting, remembered
        self.given_up = 0
        self._ready: list[tuple[NDArray[np.float32], Label]] = []
        self._waiting: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        """Samples that can be learned from."""
        return len(self._ready)

    def put(self, text: str) -> None:
        """Take in what a message says. Raises Unfit where that is nothing to learn from."""
        said = self._form.read(text)
        if said.name is not None and said.name in self._known:
            raise Unfit(f"the id {said.name!r} was there before: it is not learned twice")
        if said.of is not None:
            inputs = self._waiting.pop(said.of, None)
            if inputs is None:
                raise Unfit(f"no input {said.of!r} waits for a label: it has one, was given up, or never came")
        else:
            assert said.inputs is not None
            inputs = said.inputs
        if said.name is not None:
            self._known[said.name] = None
            if len(self._known) > self._most_known:
                self._known.popitem(last=False)
        if said.label is not None:
            self._ready.append((inputs, said.label))
            return
        assert said.name is not None
        self._waiting[said.name] = inputs
        if len(self._waiting) > self._most_waiting:
            self._waiting.popitem(last=False)
            self.given_up += 1

    def take(self, count: int) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """The inputs (B, ...) and labels (B,) or (B, targets) of the oldest `count` samples, or of all."""
        taken, self._ready = self._ready[:count], self._ready[count:]
        labels = np.array([label for _, label in taken], dtype=np.int64 if self._form.classes else np.float32)
        return np.stack([inputs for inputs, _ in taken]), labels

    def state_dict(self) -> dict[str, Any]:
        return {
            "ready": [(torch.from_numpy(inputs), label) for inputs, label in self._ready],
            "waiting": [(name, torch.from_numpy(inputs)) for name, inputs in self._waiting.items()],
            "known": list(self._known),
            "given_up": self.given_up,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._ready = [(inputs.cpu().numpy(), label) for inputs, label in state["ready"]]
        self._waiting = OrderedDict((name, inputs.cpu().numpy()) for name, inputs in state["waiting"])
        self._known = OrderedDict.fromkeys(state["known"])
        self.given_up = state["given_up"]
