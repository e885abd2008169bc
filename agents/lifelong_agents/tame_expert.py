"""One of TAME's experts: a network, its optimizer, and the band of losses by which it knows its world."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.network import Network
from lifelong.optimizer import Optimizer
from lifelong.pruning import Pruner
from lifelong.shift.loss_band import Band, LossBand
from lifelong.whole import whole


class TameExpert:
    """Learns in its own world alone; `pruner` is None until it is made small, when another takes over.

    It answers with the classes that it has met: as published, a network has as many outputs as its world has classes,
    and where all worlds share one head nobody says which these are. first: the batch that it is made for.
    """

    def __init__(
        self,
        number: int,
        network: Network,
        first: Batch,
        optimizer: Optimizer,
        band: Band,
        seed: int,
        device: torch.device | str,
    ) -> None:
        contract = first.contract
        self.number, self.updates, self.contract = number, 0, contract
        self.module = whole(network, contract.input_shape, contract.outputs, seed, device)
        self.optimizer = optimizer.over(self.module.parameters())
        self.met = torch.zeros(contract.outputs, dtype=torch.bool, device=device)
        self.met[first.targets] = True
        self.band = LossBand(band, math.log(int(self.met.sum())))
        self.pruner: Pruner | None = None

    def look(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Outputs (B, C) and loss () on a batch, whose classes take part whether this expert has met them or not."""
        outputs: Tensor = self.module(batch.inputs)
        asked = self.met.clone()
        asked[batch.targets] = True
        return outputs, self.contract.objective.loss(outputs.masked_fill(~asked, _least(outputs)), batch.targets)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(B, C) outputs and targets that it has met -> mean loss."""
        return self.contract.objective.loss(self.restrict(outputs), targets)

    def restrict(self, outputs: Tensor) -> Tensor:
        """(B, C) outputs, those of classes that it never met as low as can be."""
        return outputs.masked_fill(~self.met, _least(outputs))

    def learn(self, batch: Batch, loss: Tensor) -> None:
        """One step down the loss that `look` gave for this batch."""
        self.met[batch.targets] = True
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.updates += 1
        self.band.take(loss.item())

    def hold(self, pruner: Pruner) -> None:
        """From now on some of its numbers are zero, whatever it learns."""
        self.pruner = pruner
        pruner.attach(self.optimizer)

    def state_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "updates": self.updates,
            "met": self.met,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "band": self.band.state_dict(),
            "pruner": None if self.pruner is None else self.pruner.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Into an expert as it was made; the masks are for who makes the pruner."""
        self.updates = state["updates"]
        self.met.copy_(state["met"])
        self.module.load_state_dict(state["module"])
        # torch takes the tensors of a state over as they are: two experts must not share moments.
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.band.load_state_dict(state["band"])


def _least(outputs: Tensor) -> float:
    return torch.finfo(outputs.dtype).min
