"""Networks made of three parts: an encoder for each kind of input, a trunk, and heads that are not shared by accident.

A `Network` is a recipe (frozen settings); an `Assembly` is the living module that grows an encoder when a new input
shape appears and a head when a new kind of answer is asked for. Shapes: B samples, F features, C outputs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from lifelong.objective import Contract


@runtime_checkable
class Network(Protocol):
    """A recipe for the parts of a network. A user's own torch modules plug in here."""

    def encoder(self, input_shape: tuple[int, ...]) -> nn.Module:
        """(B, *input_shape) -> whatever the trunk takes; the same for every input shape."""
        ...

    def trunk(self) -> nn.Module:
        """What the encoder gives -> (B, F)."""
        ...

    def head(self, outputs: int) -> nn.Module:
        """(B, F) -> (B, outputs)."""
        ...


@dataclass(frozen=True, slots=True)
class Mlp:
    """Fully connected ReLU layers; the first one is the encoder, so inputs of any shape meet in the trunk."""

    hidden: tuple[int, ...] = (100, 100)
    bias: bool = True

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must list at least one positive width, got {list(self.hidden)}.")

    def encoder(self, input_shape: tuple[int, ...]) -> nn.Module:
        first = nn.Linear(math.prod(input_shape), self.hidden[0], bias=self.bias)
        return nn.Sequential(nn.Flatten(), first, nn.ReLU())

    def trunk(self) -> nn.Module:
        layers: list[nn.Module] = []
        for narrow, wide in zip(self.hidden[:-1], self.hidden[1:], strict=True):
            layers += [nn.Linear(narrow, wide, bias=self.bias), nn.ReLU()]
        return nn.Sequential(*layers)

    def head(self, outputs: int) -> nn.Module:
        return nn.Linear(self.hidden[-1], outputs, bias=self.bias)


@dataclass(frozen=True, slots=True)
class Cnn:
    """3x3 convolutions with GroupNorm, halving the image after each; global average pooling; one hidden layer.

    The first convolution is the encoder, so images with one and three channels and of any size meet in the trunk.
    """

    channels: tuple[int, ...] = (32, 64)
    hidden: int = 128

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or self.hidden < 1:
            raise ValueError(f"channels and hidden must be positive, got {list(self.channels)} and {self.hidden}.")

    def _block(self, before: int, after: int) -> list[nn.Module]:
        groups = math.gcd(8, after)
        return [nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(groups, after), nn.ReLU()]

    def encoder(self, input_shape: tuple[int, ...]) -> nn.Module:
        if len(input_shape) != 3:
            raise ValueError(
                f"Cnn needs inputs of shape (channels, height, width), got {input_shape}: use Mlp for those."
            )
        return nn.Sequential(*self._block(input_shape[0], self.channels[0]))

    def trunk(self) -> nn.Module:
        layers: list[nn.Module] = [nn.MaxPool2d(2)]
        for before, after in zip(self.channels[:-1], self.channels[1:], strict=True):
            layers += [*self._block(before, after), nn.MaxPool2d(2)]
        layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * self.channels[-1], self.hidden), nn.ReLU()]
        return nn.Sequential(*layers)

    def head(self, outputs: int) -> nn.Module:
        return nn.Linear(self.hidden, outputs)


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
        self.take_in(contract.input_shape)
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

    @property
    def input_shapes(self) -> Sequence[tuple[int, ...]]:
        """The kinds of input that there is an encoder for."""
        return tuple(self._encoder_shapes)

    def take_in(self, shape: tuple[int, ...]) -> None:
        """Make an encoder for inputs of this shape, where there is none."""
        if shape not in self._encoder_shapes:
            self._add_encoder(shape)

    def parts(self) -> dict[str, Any]:
        """Plain data from which `rebuild` makes the same parts again, with their weights."""
        return {"encoders": self._encoder_shapes, "heads": self._head_keys, "weights": self.state_dict()}

    def parts_of(self, lane: str, name: str) -> dict[str, Any]:
        """The parts that one lane uses, for another assembly in which that lane is called `name`."""
        mine = [i for i, key in enumerate(self._head_keys) if key[0] == lane]
        renamed = {f"heads.{old}.": f"heads.{new}." for new, old in enumerate(mine)}
        weights = {}
        for key, tensor in self.state_dict().items():
            prefix = ".".join(key.split(".")[:2]) + "."
            if not key.startswith("heads."):
                weights[key] = tensor
            elif prefix in renamed:
                weights[renamed[prefix] + key.removeprefix(prefix)] = tensor
        heads = [(name, *self._head_keys[i][1:]) for i in mine]
        return {"encoders": self._encoder_shapes, "heads": heads, "weights": weights}

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
