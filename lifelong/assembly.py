"""The living network that grows from a recipe: an encoder for each input shape, one trunk, heads for each lane.

A *lane* is one expert's claim on a network that several may share. Shapes: B samples, F features, C outputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.adapters import Bending, adapt
from lifelong.lanes import LaneNorm, Lanes, lanes_in, norms_by_lane, owners
from lifelong.network import Network
from lifelong.objective import Contract

HeadKey = tuple[str, int, str, str]
"""(lane, outputs, objective's name, task or ''): what a head is for."""


class Assembly(nn.Module):
    """A network that grows: encoders by input shape, one trunk, heads by lane, kind of answer and (if told) task.

    A *lane* is one expert's claim on a network that several may share. Every part's first weights depend on
    `seed` and on what the part is for alone, not on when it was made: all experts come from one ancestor. Each lane
    has its own of the body's BatchNorms (see `LaneNorm`).

    bending: how lanes bend a body that stands still by adapters; None: all lanes train the body. The lane that an
    encoder or the trunk was made for trains it whole. As soon as another lane joins there it stands still for good,
    also for the first, which has adapters of its own like the others when it next `grow`s: nobody's answers move.
    """

    def __init__(self, network: Network, seed: int, device: torch.device | str, bending: Bending | None = None) -> None:
        super().__init__()
        self.bending = bending
        self.network, self.seed, self.device = network, seed, torch.device(device)
        self.encoders, self.heads = nn.ModuleDict(), nn.ModuleDict()
        self._encoder_shapes: list[tuple[int, ...]] = []
        self._head_keys: list[HeadKey] = []
        self._settled: list[tuple[str, tuple[int, ...]]] = []
        self._bent: list[tuple[str, str]] = []
        self.trunk = norms_by_lane(self._born("trunk", network.trunk))
        self._route: tuple[Contract, str, str | None, nn.Module, nn.Module] | None = None
        self._own: list[Lanes] = []
        self._lane: str | None = None

    def _born(self, part: str, make: Any) -> nn.Module:
        digest = hashlib.sha256(f"{self.seed}/{part}".encode()).digest()
        # Seeding reaches the accelerator's generator too: there, it must be put back as well.
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(int.from_bytes(digest[:7], "big"))
            module: nn.Module = make()
        return module.to(self.device)

    def _add_encoder(self, shape: tuple[int, ...]) -> None:
        self._encoder_shapes.append(shape)
        encoder = self._born(f"encoder/{shape}", lambda: self.network.encoder(shape))
        self.encoders[_shape_name(shape)] = norms_by_lane(encoder)

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
        grown = self._settle(lane, contract.input_shape) or new_encoder or new_head
        if grown:
            self._look_around()
        return grown

    @property
    def input_shapes(self) -> Sequence[tuple[int, ...]]:
        """The kinds of input that there is an encoder for."""
        return tuple(self._encoder_shapes)

    def take_in(self, shape: tuple[int, ...]) -> None:
        """Make an encoder for inputs of this shape, where there is none."""
        if shape not in self._encoder_shapes:
            self._add_encoder(shape)

    def _settle(self, lane: str, shape: tuple[int, ...]) -> bool:
        """Give a lane what it has for itself in the encoder for this shape and in the trunk; True if that is new."""
        made = (lane, shape) not in self._settled and self._join(lane, shape)
        if self.bending is not None:
            for part in (f"encoders.{_shape_name(shape)}", "trunk"):
                if self.lanes_of(part) != [lane] and (lane, part) not in self._bent:
                    self._bend(lane, part)
                    made = True
        return made

    def _join(self, lane: str, shape: tuple[int, ...]) -> bool:
        self._settled.append((lane, shape))
        modules = [*self.encoders[_shape_name(shape)].modules(), *self.trunk.modules()]
        norms = [module for module in modules if isinstance(module, LaneNorm) and lane not in module.lanes]
        for norm in norms:
            norm.grow(lane)
        return bool(norms)

    def _bend(self, lane: str, name: str) -> None:
        """Give a lane adapters in a part of the body, which does not move any more."""
        assert self.bending is not None
        self._bent.append((lane, name))
        part = dict(self.body())[name]
        adapt(part, lane, self.bending, lambda layer, make: self._born(f"adapter/{lane}/{name}/{layer}", make))
        owned = owners(part)
        for p in part.parameters():
            if id(p) not in owned:
                p.requires_grad_(False)
                p.grad = None

    def _look_around(self) -> None:
        """Something was made: nobody is inside, and the way of the last answer is forgotten."""
        self._own = [lanes for _, part in self.body() for lanes in lanes_in(part)]
        for lanes in self._own:
            lanes.enter(None)
        self._lane, self._route = None, None

    def _enter(self, lane: str | None) -> None:
        if lane != self._lane:
            for lanes in self._own:
                lanes.enter(lane)
            self._lane, self._route = lane, None

    def lanes_of(self, part: str) -> list[str]:
        """The lanes that live in a part of the body, by the part's name, in the order in which they joined."""
        return list(dict.fromkeys(a for a, s in self._settled if part in ("trunk", f"encoders.{_shape_name(s)}")))

    def serves(self, contract: Contract, lane: str, task: str | None = None) -> bool:
        """Whether an answer in this lane would come from parts that exist.

        Who is asked about a task that has a head of its own, and is not told which, has its latest head to answer with.
        """
        return self._reaches(contract.input_shape, lane) and self._head_for(contract, lane, task) is not None

    def _reaches(self, shape: tuple[int, ...], lane: str) -> bool:
        """Whether there is an encoder for this shape; if lanes have norms of their own in it, this lane must, too."""
        if shape not in self._encoder_shapes or (lane, shape) in self._settled:
            return shape in self._encoder_shapes
        return not any(isinstance(module, LaneNorm) for module in self.encoders[_shape_name(shape)].modules())

    def _head_for(self, contract: Contract, lane: str, task: str | None) -> int | None:
        key = _head_key(contract, lane, task)
        if key in self._head_keys:
            return self._head_keys.index(key)
        alike = [i for i, known in enumerate(self._head_keys) if known[:3] == key[:3]]
        return alike[-1] if alike and contract.own_head and task is None else None

    def takes(self, contract: Contract) -> bool:
        """Whether there is an encoder for this kind of input."""
        return contract.input_shape in self._encoder_shapes

    def features(self, inputs: Tensor, lane: str | None = None) -> Tensor:
        """(B, *input_shape) -> (B, F), from the encoder for that shape and the trunk.

        lane: whose norms and adapters are used; None: those of a lane that has just been born.
        """
        self._enter(lane)
        features: Tensor = self.trunk(self.encoders[_shape_name(tuple(inputs.shape[1:]))](inputs))
        return features

    def forward(self, inputs: Tensor, contract: Contract, lane: str, task: str | None = None) -> Tensor:
        route = self._route
        # One identity check a step instead of building keys: contracts of a stream are the same object.
        if route is None or route[0] is not contract or route[1] != lane or route[2] != task:
            number = self._head_for(contract, lane, task)
            if number is None or not self._reaches(contract.input_shape, lane):
                raise ValueError(
                    f"Nothing was made to answer {contract} in lane {lane!r}, task {task!r}: grow it first."
                )
            self._enter(lane)
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
        """What an expert in this lane trains: of the body what is not kept from it, and its own heads."""
        found: list[nn.Parameter] = []
        for name, part in self.body():
            owned = owners(part)
            # With adapters, a part is moved by the lane that is alone in it.
            common = lane if self.bending is None or self.lanes_of(name) == [lane] else None
            found += [p for p in part.parameters() if owned.get(id(p), common) == lane]
        return found + [p for head in self._heads_of(lane) for p in head.parameters()]

    def lane_buffers(self, lane: str) -> list[Tensor]:
        """What changes in this lane's training without a step."""
        found: list[Tensor] = []
        for _, part in self.body():
            owned = owners(part)
            found += [b for b in part.buffers() if owned.get(id(b), lane) == lane]
        return found + [b for head in self._heads_of(lane) for b in head.buffers()]

    def _heads_of(self, lane: str) -> list[nn.Module]:
        return [self.heads[str(i)] for i, key in enumerate(self._head_keys) if key[0] == lane]

    def lane_of(self, head: str) -> str:
        """The lane that a head serves, by the head's name."""
        return self._head_keys[int(head)][0]

    def parts(self) -> dict[str, Any]:
        """Plain data from which `rebuild` makes the same parts again, with their weights."""
        lanes = {"settled": self._settled, "bent": self._bent}
        return {"encoders": self._encoder_shapes, "heads": self._head_keys, **lanes, "weights": self.state_dict()}

    @torch.no_grad()
    def inherit(self, other: Assembly, lane: str, heir: str) -> None:
        """Become, in the lane `heir` and no other, what `other` is in `lane`."""
        parts = other.parts()
        mine = [number for number, key in enumerate(other._head_keys) if key[0] == lane]
        parts["heads"] = [(heir, *other._head_keys[number][1:]) for number in mine]
        for what in ("settled", "bent"):
            parts[what] = [(heir, at) for owner, at in parts[what] if owner == lane]
        self._make(parts)
        for number, old in enumerate(mine):
            self.heads[str(number)].load_state_dict(other.heads[str(old)].state_dict())
        theirs = dict(other.body())
        for name, part in self.body():
            for own, owned in zip(lanes_in(part), lanes_in(theirs[name]), strict=True):
                own_of, owned_of = own.of(heir), owned.of(lane)
                if own_of is not None and owned_of is not None:
                    own_of.load_state_dict(owned_of.state_dict())
            kept = owners(part)
            shared = dict((*theirs[name].named_parameters(), *theirs[name].named_buffers()))
            for key, tensor in (*part.named_parameters(), *part.named_buffers()):
                if id(tensor) not in kept:
                    tensor.copy_(shared[key])

    def rebuild(self, parts: dict[str, Any]) -> None:
        """Make the parts that `parts()` named, and no others, and load their weights."""
        self._make(parts)
        self.load_state_dict(parts["weights"])

    def outline(self, parts: dict[str, Any]) -> None:
        """Make the parts that `parts()` named, and leave their weights as they come."""
        self._make(parts)

    def _make(self, parts: dict[str, Any]) -> None:
        self.encoders, self.heads = nn.ModuleDict(), nn.ModuleDict()
        self._encoder_shapes, self._head_keys, self._settled, self._bent = [], [], [], []
        self.trunk = norms_by_lane(self._born("trunk", self.network.trunk))
        for shape in parts["encoders"]:
            self._add_encoder(tuple(shape))
        for key in parts["heads"]:
            self._add_head(tuple(key))
        for lane, shape in parts["settled"]:
            self._join(lane, tuple(shape))
        for lane, name in parts["bent"]:
            self._bend(lane, name)
        self._look_around()


def _shape_name(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _head_key(contract: Contract, lane: str, task: str | None) -> HeadKey:
    return (lane, contract.outputs, contract.objective.name, (task or "") if contract.own_head else "")
