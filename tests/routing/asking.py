"""A router asked as the pool asks it, for routers that look at nothing but inputs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lifelong.routing.router import Description, Match, Router, Voice, per_sample


def voice(number: int) -> Voice:
    def silent(inputs: Tensor) -> Tensor:
        raise AssertionError("this router has no business with what an expert answers")

    return Voice(number, silent, silent)


def describe(router: Router, inputs: Tensor) -> Description:
    return router.describe(inputs, voice(0))


def route(router: Router, inputs: Tensor, known: Sequence[tuple[int, Description]]) -> Match:
    finder = router.gather([(voice(number), kept) for number, kept in known])
    return per_sample(finder, inputs, [number for number, _ in known])
