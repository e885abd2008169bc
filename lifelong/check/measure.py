"""The laws of shift measures: about zero in their world, large in another, and unmoved by what is broken."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lifelong.check.law import equal, holds, saved
from lifelong.shift.unlabelled.measure import Measure

GRACE = 200
"""Batches in which a measure must have made its reference."""

Draw = Callable[[int, int], Tensor]
"""(seed, rows) -> (rows, D) of one world."""


def check_measure(factory: Callable[[], Measure], known: Draw | None = None, other: Draw | None = None) -> None:
    """Hold measures that `factory` makes to their laws, on batches of 32 of two worlds.

    known, other: (seed, rows) -> (rows, D) of either world. By default 16 normal numbers, moved by three deviations in
    the other world; for a measure that looks at outputs, logits of 16 classes that are unsure there. Raises: LawBroken.
    """
    logits = factory().sight == "outputs"
    equal("sight is inputs or outputs", True, factory().sight in ("inputs", "outputs"))
    known = known or (lambda seed, rows: _normal(seed, rows) * (4.0 if logits else 1.0))
    other = other or (lambda seed, rows: _normal(seed, rows) * 0.1 if logits else _normal(seed, rows) + 3.0)
    for seed in range(3):
        shown = [known(1000 * seed + at, 32) for at in range(GRACE + 60)]
        before, state = shown[0].clone(), torch.random.get_rng_state()
        measure = factory()
        grace = _grace(measure, shown)
        untouched = torch.equal(shown[0], before) and torch.equal(torch.random.get_rng_state(), state)
        holds("rows and torch's generator stay as they are", "untouched", "changed", untouched)
        for rows in (8, 32, 128):
            values = _values(measure, [known(1000 * seed + 500 + at, rows) for at in range(60)])
            mean = sum(values) / len(values)
            # The reference itself has luck, which large batches see.
            law = f"values in the known world are about 0, with batches of {rows} (seed {seed})"
            holds(law, "a mean within -2..2", mean, abs(mean) <= 2.0)
        _unmoved_by_what_is_broken(factory, shown, grace)
        _round_trip(factory, shown, grace)
        strange = _values(measure, [other(1000 * seed + at, 32) for at in range(10)])
        holds(f"another world is strange (seed {seed})", "a mean above 5", strange, sum(strange) / len(strange) > 5.0)


def _normal(seed: int, rows: int) -> Tensor:
    return torch.randn(rows, 16, generator=torch.Generator().manual_seed(seed))


def _grace(measure: Measure, shown: Sequence[Tensor]) -> int:
    """How many batches say nothing at first."""
    for at, rows in enumerate(shown):
        if measure.observe(rows) is not None:
            holds("the first batch says nothing: there is nothing to compare it with", "a grace", "none", at > 0)
            return at
    holds(f"the grace ends within {GRACE} batches", "a value", "none", False)
    return 0


def _values(measure: Measure, batches: Sequence[Tensor]) -> list[float]:
    values = [measure.observe(rows) for rows in batches]
    said = [value for value in values if value is not None]
    equal("once the grace is over every batch has a value", len(values), len(said))
    return said


def _unmoved_by_what_is_broken(factory: Callable[[], Measure], shown: Sequence[Tensor], grace: int) -> None:
    measure, twin = factory(), factory()
    for rows in shown[: grace + 5]:
        measure.observe(rows)
        twin.observe(rows)
    broken = shown[0].clone()
    broken[3, 1] = math.nan
    equal("a batch that is not finite is infinitely strange", math.inf, measure.observe(broken))
    equal("rows of another width are infinitely strange", math.inf, measure.observe(shown[0][:, :-1]))
    ours, theirs = (_values(one, shown[grace + 5 : grace + 20]) for one in (measure, twin))
    equal("what is broken teaches nothing", theirs, ours)


def _round_trip(factory: Callable[[], Measure], shown: Sequence[Tensor], grace: int) -> None:
    for past in (grace // 2, grace + 10):
        measure, twin, fresh, used = factory(), factory(), factory(), factory()
        for rows in shown[:past]:
            measure.observe(rows)
            used.observe(rows)
        twin.load_state_dict(saved(measure))
        used.reset()
        for law, one, other in (
            ("a measure with the state goes on alike", measure, twin),
            ("a measure that was reset is like a new one", fresh, used),
        ):
            wanted, seen = ([it.observe(rows) for rows in shown[past : past + grace + 10]] for it in (one, other))
            equal(law, wanted, seen)
