"""Every law of routers lets the built-in ones pass and catches the one that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from lifelong.check import LawBroken, check_router
from lifelong.network import Mlp
from lifelong.routing.all_lanes import AllLanes
from lifelong.routing.confidence import Confidence
from lifelong.routing.gaussian import GaussianRouter
from lifelong.routing.latest import Latest
from lifelong.routing.mahalanobis import Mahalanobis
from lifelong.routing.nearest_mean import NearestMean
from lifelong.routing.router import Description, Router, Voice
from lifelong.routing.trained import Trained


@pytest.mark.parametrize(
    "factory", [GaussianRouter, Mahalanobis, NearestMean, lambda: Trained(samples=200, network=Mlp((32,)))]
)
def test_the_built_in_routers_pass(factory: Callable[[], Router]) -> None:
    check_router(factory)


@pytest.mark.parametrize("factory", [Confidence, AllLanes, Latest])
def test_those_that_go_by_what_experts_answer_pass_but_for_what_these_do_not_know(
    factory: Callable[[], Router],
) -> None:
    check_router(factory, found=0.0, accepted=0.0)


@dataclass
class Planted:
    """A good router, by the nearest mean, of which a test bends one part."""

    draws: bool = False
    plain: bool = True
    scales: float = 1.0
    touches: bool = False
    refuses: bool = False
    names: bool = False
    nobody: bool = True
    flat: bool = False

    def describe(self, inputs: Tensor, voice: Voice) -> Description:
        if self.draws:
            torch.randn(1)
        if self.touches:
            inputs += 1.0
        mean = inputs.mean(0)
        return {"mean": mean if self.plain else mean.tolist()}

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> PlantedFinder:
        if not known and self.nobody:
            raise ValueError("nobody")
        return PlantedFinder(self, known)


@dataclass
class PlantedFinder:
    router: Planted
    known: Sequence[tuple[Voice, Description]]

    def scores(self, inputs: Tensor) -> Tensor:
        means = torch.stack([kept["mean"] for _, kept in self.known])
        scores = -self.router.scales * torch.cdist(inputs, means)
        if self.router.names:
            scores = scores + torch.tensor([float(voice.number) for voice, _ in self.known])
        return scores[:, :1] if self.router.flat else scores

    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        return torch.full((len(inputs),), not self.router.refuses)


def test_the_planted_router_is_good_until_it_is_bent() -> None:
    check_router(Planted)


@pytest.mark.parametrize(
    ("law", "culprit"),
    [
        ("generator stays", lambda: Planted(draws=True)),
        ("a dict of tensors", lambda: Planted(plain=False)),
        ("scores are numbers", lambda: Planted(scales=float("inf"))),
        ("worlds are found", lambda: Planted(scales=-1.0)),
        ("rows stay as they are", lambda: Planted(touches=True)),
        ("are known to it", lambda: Planted(refuses=True)),
        ("number changes no scores", lambda: Planted(names=True)),
        ("refuses to route to nobody", lambda: Planted(nobody=False)),
        (r"scores are \(B, E\)", lambda: Planted(flat=True)),
    ],
)
def test_each_law_catches_its_culprit(law: str, culprit: Callable[[], Planted]) -> None:
    with pytest.raises(LawBroken, match=law):
        check_router(culprit)
