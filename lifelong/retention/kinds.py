"""Batches that ask for the same kind of answer, put together."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lifelong.experience import Batch


def merged(batches: Sequence[Batch]) -> list[Batch]:
    """One batch for each kind."""
    kinds: list[list[Batch]] = []
    for batch in batches:
        like = next((k for k in kinds if k[0].contract == batch.contract and k[0].task == batch.task), None)
        if like is None:
            kinds.append([batch])
        else:
            like.append(batch)
    return [
        Batch(torch.cat([b.inputs for b in k]), torch.cat([b.targets for b in k]), k[0].contract, k[0].task)
        for k in kinds
    ]
