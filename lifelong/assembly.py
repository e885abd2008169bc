"""The living network that grows from a recipe: an encoder for each input shape, one trunk, heads for each lane.

A *lane* is one expert's claim on a network that several may share. Shapes: B samples, F features, C outputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.network import Network
from lifelong.objective import Contract

HeadKey = tuple[str, int, str, str]
"""(lane, outputs, objective's name, task or ''): what a head is for."""


class Assembly(nn.Module):
    """A network that grows: encoders by input shape, one trunk, heads by lane, kind of answer and (if told) task.

    A *lane* is one expert's claim on a network that several may share. Every part's first weights depend on
    `seed` and on what the part is for alone, not on when it was made: all experts come from one ancestor.
    """

    def __init__(self, network: Network, seed: int, device: torch.device | str) -> None:
        super().__init__()
        self.network, self.seed, self.device = network, seed, torch.device(device)
        self.encoders, self.heads = nn.ModuleDict(), nn.ModuleDict()
        self._encoder_shapes: list[tuple[int, ...]] = []
        self._head_keys: list[HeadKey] = []
        self.trunk = self._born("trunk", network.trunk)
        self._route: tuple[Contract, str, str | None, nn.Module, nn.Module] | None = None

    def _born(self, part: str, make: Any) -> nn.Module:
        digest = hashlib.sha256(f"{self.seed}/{part}".encode()).digest()
        # Seeding reaches the accelerator's generator too: there, it must be put back as well.
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(int.from_bytes(digest[:7], "big"))
            module: nn.Module = make()
        return module.to(self.device)

    def _add_encoder(self, shape: tuple[int, ...]) -> None:
        self._encoder_shapes.append(shape)
        self.encoders[_shape_name(shape)] = self._born(f"encoder/{shape}", lambda: self.network.encoder(shape))

    def _add_head(self, key: HeadKey) -> None:
        self._head_keys.append(key)
        # The lane is not part of the seed: every expert's head starts from the same ancestor too.
        self.heads[str(len(self._head_keys) - 1)] = self._born(f"head/{key[1:]}", lambda: self.network.head(key[1]))

    def grow(self, contract: Contract, lane: str, task: str | None = None) -> bool:
        """Make what serving this contract in this lane still needs; True when something was made."""
        key = _head_key(contract, lane, task)
        new_encoder = contract.input_shape not in self._encoder_shapes
        new_head = key not in self._head_keys
        if new_encoder:
            self._add_encoder(contract.input_shape)
        if new_head:
            self._add_head(key)
        return new_encoder or new_head

    def serves(self, contract: Contract, lane: str, task: str | None = None) -> bool:
        """Whether an answer in this lane would come from parts that exist.

        Who is asked about a task that has a head of its own, and is not told which, has its latest head to answer with.
        """
        return contract.input_shape in self._encoder_shapes and self._head_for(contract, lane, task) is not None

    def _head_for(self, contract: Contract, lane: str, task: str | None) -> int | None:
        key = _head_key(contract, lane, task)
        if key in self._head_keys:
            return self._head_keys.index(key)
        alike = [i for i, known in enumerate(self._head_keys) if known[:3] == key[:3]]
        return alike[-1] if alike and contract.own_head and task is None else None

    def takes(self, contract: Contract) -> bool:
        """Whether there is an encoder for this kind of input."""
        return contract.input_shape in self._encoder_shapes

    def features(self, inputs: Tensor) -> Tensor:
        """(B, *input_shape) -> (B, F), from the encoder for that shape and the trunk."""
        features: Tensor = self.trunk(self.encoders[_shape_name(tuple(inputs.shape[1:]))](inputs))
        return features

    def forward(self, inputs: Tensor, contract: Contract, lane: str, task: str | None = None) -> Tensor:
        route = self._route
        # One identity check a step instead of building keys: contracts of a stream are the same object.
        if route is None or route[0] is not contract or route[1] != lane or route[2] != task:
            number = self._head_for(contract, lane, task)
            if number is None:
                raise ValueError(
                    f"Nothing was made to answer {contract} in lane {lane!r}, task {task!r}: grow it first."
                )
            head = self.heads[str(number)]
            route = (contract, lane, task, self.encoders[_shape_name(contract.input_shape)], head)
            self._route = route
        outputs: Tensor = route[4](self.trunk(route[3](inputs)))
        return outputs if contract.mask is None else contract.restrict(outputs)

    def body(self) -> Iterable[tuple[str, nn.Module]]:
        """The parts that lanes share, by name: encoders and trunk."""
        yield from ((f"encoders.{name}", part) for name, part in self.encoders.items())
        yield "trunk", self.trunk

    def lane_parameters(self, lane: str) -> list[nn.Parameter]:
        """What an expert in this lane trains: the shared body and its own heads."""
        heads = [self.heads[str(i)] for i, key in enumerate(self._head_keys) if key[0] == lane]
        parts = [*self.encoders.values(), self.trunk, *heads]
        return [p for part in parts for p in part.parameters()]

    def lane_of(self, head: str) -> str:
        """The lane that a head serves, by the head's name."""
        return self._head_keys[int(head)][0]

    def parts(self) -> dict[str, Any]:
        """Plain data from which `rebuild` makes the same parts again, with their weights."""
        return {"encoders": self._encoder_shapes, "heads": self._head_keys, "weights": self.state_dict()}

    def rebuild(self, parts: dict[str, Any]) -> None:
        """Make the parts that `parts()` named, and no others, and load their weights."""
        self.encoders, self.heads, self._route = nn.ModuleDict(), nn.ModuleDict(), None
        self._encoder_shapes, self._head_keys = [], []
        for shape in parts["encoders"]:
            self._add_encoder(tuple(shape))
        for key in parts["heads"]:
            self._add_head(tuple(key))
        self.load_state_dict(parts["weights"])


def _shape_name(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _head_key(contract: Contract, lane: str, task: str | None) -> HeadKey:
    return (lane, contract.outputs, contract.objective.name, (task or "") if contract.own_head else "")
