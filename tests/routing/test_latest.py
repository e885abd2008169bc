"""Whoever was active last answers, whatever is asked."""

from __future__ import annotations

import torch
from asking import describe, route

from lifelong.routing.latest import Latest


def test_the_first_entry_answers_everything_and_nothing_is_foreign() -> None:
    router = Latest()
    known = [(number, describe(router, torch.rand(5, 3) + number)) for number in (4, 2, 9)]
    match = route(router, torch.rand(6, 3) + 9, known)
    assert match.experts.tolist() == [4] * 6
    assert bool(match.known.all())
    assert all(not kept for _, kept in known)
