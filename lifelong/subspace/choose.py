"""Chooses how a weight is held under a certain optimizer, by the cost model or as it is told."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from lifelong.subspace.coordinates import CoordinateHold
from lifelong.subspace.cost import FEWEST, FORMS, Form, Layer, Machine, joins, plan, possible
from lifelong.subspace.factor import Coordinates, Span, free_columns
from lifelong.subspace.holds import SubspaceHold, View
from lifelong.subspace.input_side import InputSideHold
from lifelong.subspace.null_form import NullSpaceHold
from lifelong.updates.hold import Guard, Hold, RuleHold, freeze

PASSES = {"SGD": 3.0, "ASGD": 8.0, "Adagrad": 8.0, "RMSprop": 9.0, "LBFGS": 40.0}
"""Times that an optimizer's step moves each weight through memory; 14 (Adam's) for all others."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks for. form: None lets the cost model choose; every: steps between retractions, None likewise.

    rows: rows that a layer multiplies per step (batch, times positions), where they differ from what was watched.
    in_place: the model's forward passes and the optimizer's parameters must stay what they are.
    """

    form: Form | None = None
    every: int | None = None
    rows: int | None = None
    in_place: bool = False

    def __post_init__(self) -> None:
        if self.form is not None and self.form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}, or None (chosen by cost), got {self.form!r}.")
        if self.every is not None and not isinstance(self.every, int):
            raise ValueError(f"every is a whole number of steps, got {self.every!r}.")
        if self.every is not None and self.every < 1:
            raise ValueError(f"every must be at least 1 step, got {self.every}.")
        if self.rows is not None and self.rows < 1:
            raise ValueError(f"rows must be at least 1, got {self.rows}.")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A weight to be held; `layer` is the nn.Linear that alone uses it, if there is one; `rows`: as watched.

    alike: how many weights of its shape there are, with itself.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    views: tuple[View, ...]
    layer: nn.Linear | None
    rows: int
    alike: int = 1


def hold(candidate: Candidate, wish: Wish, optimizer: torch.optim.Optimizer) -> Hold:
    """The hold for this weight; raises ValueError where the wished form does not fit."""
    weight, views = candidate.weight, candidate.views
    projection = views[0].projection
    if len(views) == 1 and projection.coordinates is not None:
        return _in_coordinates(candidate, projection.coordinates, optimizer)
    factor = projection.right
    simple = len(views) == 1 and factor is not None and projection.left is None
    group = next((g for g in optimizer.param_groups if any(p is weight for p in g["params"])), None)
    kind = type(optimizer).__name__
    divides = kind not in ("SGD", "ASGD")
    # Its picture of the curvature is made of gradients and steps, which must be of the same directions.
    curved = kind == "LBFGS"
    if not simple or factor is None or group is None:
        return SubspaceHold(
            weight, candidate.bias, views, wish.every or 1, curved or (divides and wish.form != "project")
        )
    geometry = views[0].geometry
    machine = Machine.of(weight.device)
    shared = candidate.alike >= FEWEST and joins(weight.numel(), 0, 0, machine)
    decays = group.get("weight_decay", 0.0) != 0.0
    passes = PASSES.get(kind, 14.0) + (2.0 if group.get("momentum", 0.0) else 0.0)
    layer = Layer(
        outputs=geometry.groups * geometry.outputs,
        inputs=geometry.inputs,
        rows=wish.rows or candidate.rows,
        columns=factor.columns.shape[2],
        complement=factor.complement,
        passes=passes,
        linear=kind == "SGD" and not decays,
        divides=divides,
        # A weakened step must be weakened once: only movement itself can be held then.
        plain=factor.hard and not wish.in_place and _is_plain(candidate, optimizer, group),
        alike=candidate.alike if shared else 1,
    )
    if wish.form == "null" and factor.hard and "null" not in possible(layer):
        return _in_coordinates(candidate, Span(free_columns(factor)), optimizer)
    chosen = plan(layer, machine, wish.form)
    if chosen.form == "null" and candidate.layer is not None:
        return NullSpaceHold(candidate.layer, factor.columns[0], optimizer)
    held = SubspaceHold(weight, candidate.bias, views, wish.every or chosen.every, curved or chosen.form == "gradient")
    if chosen.form == "input" and candidate.layer is not None:
        return InputSideHold(candidate.layer, held, factor, divides)
    return held


def _in_coordinates(candidate: Candidate, coordinates: Coordinates, optimizer: torch.optim.Optimizer) -> Hold:
    view = candidate.views[0]
    bias = candidate.bias if view.joint else None
    if isinstance(coordinates, Span) and coordinates.columns.shape[2] == 0:
        # Nothing is left free, and some optimizers cannot step in no coordinates at all.
        members = (candidate.weight,) if bias is None else (candidate.weight, bias)
        return RuleHold(Guard(members, freeze, projects=True))
    return CoordinateHold(candidate.weight, bias, view.geometry, coordinates, optimizer)


def _is_plain(candidate: Candidate, optimizer: torch.optim.Optimizer, group: dict[str, object]) -> bool:
    """Whether the layer's forward pass may be replaced, and a parameter of another shape may join the optimizer."""
    layer = candidate.layer
    if layer is None or type(layer) is not nn.Linear or "forward" in layer.__dict__:
        return False
    if type(optimizer).__name__ in ("LBFGS", "Muon", "SparseAdam"):
        return False
    # A bias that is protected with its weight must be the layer's own, and move by the same optimizer.
    return (candidate.bias is None) == (layer.bias is None) and (
        candidate.bias is None or any(p is candidate.bias for p in _members(group))
    )


def _members(group: dict[str, object]) -> list[object]:
    members = group["params"]
    assert isinstance(members, list)
    return members
