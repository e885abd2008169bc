"""Which way of holding a weight to its subspace is cheapest, and how often it has to be retracted to stay cheap.

Flops of the forms for a (O, D) weight with K kept columns and B rows per step (a plain step: 6 B O D):
project: 4 O D K per retraction; gradient: the same at every step, beside retractions; input-side: 4 B D K, beside
retractions; null space: 4 B O D + 4 B D K + 6 B O K instead of 6 B O D.

Where moments divide steps (Adam and its like), retractions alone learn badly, and worse the more seldom they come: the
moments count gradients that are then taken out. So such an optimizer is always shown permitted gradients alone, by the
cheapest of the other three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

Form = Literal["project", "gradient", "input", "null"]
FORMS: tuple[Form, ...] = ("project", "gradient", "input", "null")

OPERATIONS = 5
"""Operations of one retraction, each of which costs its launch, however small it is."""

FEWEST = 3
"""Weights that are worth a retraction together: two take as long as one after the other."""

SHOWN_BUDGET = 0.03
"""Share of a step for retractions where gradients are permitted ones already: little is left to be taken out."""

LONGEST = 64
"""Most steps between two retractions: what waits longer is taken out of a network that has learned to lean on it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Rough speeds: flops of a matrix product per second, bytes moved per second, seconds lost per operation.

    copies: what it costs to put a weight beside others and back, in times that it moves through memory. It moves four
    times; a GPU would have hidden some launches behind its work, and a CPU has to find new memory (as measured).
    They only rank forms of very different cost, so a factor of two in them changes little.
    """

    flops: float
    bytes: float
    overhead: float
    copies: float = 8.0

    @staticmethod
    def of(device: torch.device) -> Machine:
        if device.type == "cpu":
            return Machine(1.5e11 * torch.get_num_threads(), 2.8e10, 4e-6, 16.0)
        return Machine(3e13, 1.5e12, 8e-6)


@dataclass(frozen=True, slots=True)
class Layer:
    """What a decision needs: outputs, inputs, rows per step, kept columns, and whether the free side is what is kept.

    passes: times that the optimizer's step moves each weight through memory (SGD 3, with momentum 5, Adam 14);
    linear: its step is a linear map of gradients, so that a projected gradient stays projected; divides: by moments of
    them, or the like; plain: the weight is used by one `nn.Linear` alone, whose forward pass can be replaced; alike:
    weights that share the launches of a retraction.
    """

    outputs: int
    inputs: int
    rows: int
    columns: int
    complement: bool
    passes: float
    linear: bool
    divides: bool
    plain: bool
    alike: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How a weight is held: the form, and the number of steps after which it is retracted."""

    form: Form
    every: int


def plan(layer: Layer, machine: Machine, form: Form | None = None, budget: float = 0.1) -> Plan:
    """The form that costs least, and how often to retract so that this stays within `budget` of a plain step's time.

    For optimizers that divide by moments: of those that show them permitted gradients, with few retractions. For
    others: of those that are exact at every step, if one stays within the budget.

    form: take this one, and choose only how often to retract. Raises ValueError for one that the layer does not allow.
    """
    if form is not None and form not in possible(layer):
        others = ", ".join(possible(layer))
        raise ValueError(f"form={form!r} needs {_NEEDS[form]}; this weight can be held by {others}.")
    plain = plain_step(layer, machine)
    extra = {f: held_step(layer, machine, f) - plain for f in possible(layer)}
    seldom, often = (_patience(layer, extra["project"], share * plain) for share in (SHOWN_BUDGET, budget))
    fitting: dict[Form, float]
    if form is None and layer.divides:
        retraction = extra["project"] / seldom
        fitting = {f: t if f == "null" else t + retraction for f, t in extra.items() if f != "project"}
        form = _cheapest(fitting)
    elif form is None:
        exact: dict[Form, bool] = {"project": often == 1, "input": layer.linear, "null": True}
        fitting = {f: t for f, t in extra.items() if exact.get(f, False) and t <= budget * plain}
        form = _cheapest(fitting)
    if form == "input" and layer.linear:
        # With SGD an input-side projection leaves rounding only: what it needs is a retraction now and then.
        return Plan("input", LONGEST)
    return Plan(form, seldom if form in ("gradient", "input") else often)


def _cheapest(costs: dict[Form, float]) -> Form:
    return min(costs, key=lambda form: costs[form]) if costs else "project"


def _patience(layer: Layer, retraction: float, budget: float) -> int:
    """Steps between two retractions of so many seconds, so that each step pays no more than the budget for them."""
    steps = max(1, math.ceil(retraction / budget))
    if layer.alike > 1:
        # Weights that wait alike can be retracted together.
        steps = 2 ** math.ceil(math.log2(steps))
    return min(LONGEST, steps)


def possible(layer: Layer) -> list[Form]:
    """The forms that this weight can be held by."""
    forms: list[Form] = ["project", "gradient"]
    if layer.plain:
        forms.append("input")
    if layer.plain and layer.complement:
        forms.append("null")
    return forms


_NEEDS = {
    "project": "nothing",
    "gradient": "nothing",
    "input": "a weight of one nn.Linear alone, with its bias in the same group of the optimizer, no LBFGS or Muon, and "
    "a method that shuts directions and does not only weaken them",
    "null": "a method that shuts directions, and does not only weaken them",
}


def joins(weights: int, columns: int, widest: int, machine: Machine) -> bool:
    """Whether a weight of so many numbers is better retracted together with others, filled up to the widest's columns.

    What that saves is launches.
    """
    copies = 4 * machine.copies * weights / machine.bytes
    filling = 4 * weights * (widest - columns) / machine.flops
    return copies + filling < OPERATIONS * machine.overhead


def plain_step(layer: Layer, machine: Machine) -> float:
    """Seconds of forward, backward and optimizer for one layer."""
    o, d, b = layer.outputs, layer.inputs, layer.rows
    return 6 * b * o * d / machine.flops + 4 * layer.passes * o * d / machine.bytes + 9 * machine.overhead


def held_step(layer: Layer, machine: Machine, form: Form) -> float:
    """The same for a layer that is held, without retractions; a projecting one is retracted at every step."""
    o, d, b, k = layer.outputs, layer.inputs, layer.rows, layer.columns
    if form in ("project", "gradient"):
        operations = (OPERATIONS if form == "project" else 3) / layer.alike
        work = 4 * o * d * k / machine.flops + 12 * o * d / machine.bytes + operations * machine.overhead
        return plain_step(layer, machine) + work
    if form == "input":
        return plain_step(layer, machine) + 4 * b * d * k / machine.flops + 8 * machine.overhead
    products = 4 * b * o * d + 4 * b * d * k + 6 * b * o * k
    return products / machine.flops + 4 * layer.passes * o * k / machine.bytes + 19 * machine.overhead
