"""ReDo: units that are dormant are recycled, so that the network can go on learning (Sokar et al. 2023)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.experience import Batch
from lifelong.retention.layers import Layer, Run, runs
from lifelong.retention.method import Keeper, Silent, whole
from lifelong.retention.model import Model
from lifelong.retention.needs import Needs


@dataclass(frozen=True, slots=True)
class Redo:
    """Draws the weights of dormant units anew, so that a network does not lose the power to learn (Sokar et al. 2023).

    Every `every` steps, a unit whose mean absolute activation on the batch is at most `threshold` times the mean of its
    layer is dormant (eq. 1). Its incoming weights are drawn as its layer draws them at first, its outgoing ones become
    zero, the optimizer's moments of both too (alg. 1), and a norm between them begins anew for it. With threshold=0
    these are units that are silent on the whole batch, and the answers on it stay what they were.

    A unit's activation is what the next layer is given of it, so layers must run one after another, each once; outputs
    are no units. Where several heads follow a layer, only that of the current task forgets what it made of the unit.
    Raises ValueError, as it learns, for networks whose layers do not fit together in the order in which they run.
    """

    every: int = 200
    threshold: float = 0.025

    def __post_init__(self) -> None:
        if not whole(self.every) or not 0.0 <= self.threshold < math.inf:
            raise ValueError(
                f"every must be at least 1 step, a whole number, and threshold at least 0, got every={self.every}, "
                f"threshold={self.threshold}."
            )

    @property
    def needs(self) -> Needs:
        return Needs(steps=self.every)

    def keeper(self, model: Model, seed: int) -> Keeper:
        return Recycler(self, model, seed)


class Recycler(Silent):
    """What ReDo does to one network. `dormant` and `revived` count the units of the latest look and of all looks."""

    def __init__(self, settings: Redo, model: Model, seed: int) -> None:
        self._settings, self._model, self._seed = settings, model, seed
        # On the host, where reading the number of steps costs nothing; tensors, to be put back with the parameters.
        self._steps = torch.zeros((), dtype=torch.int64)
        self._dormant = torch.zeros((), dtype=torch.int64)
        self._revived = torch.zeros((), dtype=torch.int64)
        self._batch: Batch | None = None

    @property
    def revived(self) -> int:
        return int(self._revived)

    @property
    def dormant(self) -> int:
        return int(self._dormant)

    def observe(self, batch: Batch, outputs: Tensor) -> None:
        self._steps += 1
        self._batch = batch if int(self._steps) % self._settings.every == 0 else None

    @torch.no_grad()
    def restart(self, optimizer: torch.optim.Optimizer) -> None:
        if self._batch is None:
            return
        found = runs(self._model, self._batch)
        self._batch = None
        if len({id(run.layer) for run in found}) < len(found):
            raise ValueError("ReDo needs layers that run once for each answer, and one of these runs more than once.")
        trained = {id(p) for p in self._model.named().values()}
        # Draws depend on the step alone: a step that is taken back and made again draws the same.
        random = torch.Generator().manual_seed(self._seed + 1_000_003 * int(self._steps))
        masks = []
        for run, after in pairwise(found):
            dormant = _dormant(run, after, self._settings.threshold)
            for p, where, value in _changes(run, after, dormant, random):
                if id(p) in trained:
                    p.copy_(torch.where(where, value, p))
                    for moment in optimizer.state.get(p, {}).values():
                        if torch.is_tensor(moment) and moment.shape == p.shape:
                            moment.masked_fill_(where, 0.0)
            masks.append(dormant.sum())
        if masks:
            self._dormant.copy_(torch.stack(masks).sum())
            self._revived += self._dormant

    def tensors(self) -> list[Tensor]:
        return [self._steps, self._dormant, self._revived]

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps.clone(), "dormant": self._dormant.clone(), "revived": self._revived.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps.copy_(state["steps"])
        self._dormant.copy_(state["dormant"])
        self._revived.copy_(state["revived"])


def _dormant(run: Run, after: Run, threshold: float) -> Tensor:
    """(units of the layer,) whether each is dormant, by what the next layer is given."""
    units, wide = run.layer.weight.shape[0], after.layer.weight.shape[1]
    if wide % units or getattr(run.layer, "groups", 1) != 1 or getattr(after.layer, "groups", 1) != 1:
        raise ValueError(
            f"ReDo needs layers that run one after another, without groups, and here a layer of {units} units is "
            f"followed by one that is given {wide} values: {run.layer}, {after.layer}."
        )
    # Of a convolution's channel, the next linear layer is given a block of values.
    heard = after.inputs.movedim(-1 if isinstance(after.layer, nn.Linear) else 1, 0).reshape(units, -1)
    score = heard.abs().mean(1)
    return score <= threshold * score.mean()


def _changes(run: Run, after: Run, dormant: Tensor, random: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Parameters, where they change, and to what."""
    fresh = _fresh(run.layer, random)
    for p, value in zip(run.layer.parameters(), fresh.parameters(), strict=True):
        yield p, dormant.view(-1, *[1] * (p.dim() - 1)).expand_as(p), value.to(p.device)
    weight = after.layer.weight
    blocks = dormant.repeat_interleave(weight.shape[1] // len(dormant))
    yield weight, blocks.view(1, -1, *[1] * (weight.dim() - 2)).expand_as(weight), torch.zeros_like(weight)
    for norm in run.norms:
        for name, start in (("weight", 1.0), ("bias", 0.0)):
            affine = getattr(norm, name, None)
            if isinstance(affine, nn.Parameter) and affine.shape == dormant.shape:
                yield affine, dormant, torch.full_like(affine.detach(), start)


def _fresh(layer: Layer, random: torch.Generator) -> Layer:
    """The layer as it might have been at first, on the host: draws are the same on every device."""
    fresh = copy.deepcopy(layer).cpu()
    state = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=random)))
        fresh.reset_parameters()
    finally:
        torch.set_rng_state(state)
    return fresh
