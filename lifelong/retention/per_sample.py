"""How much each parameter matters: squares or sizes of gradients, sample by sample.

The gradient of a batch's mean loss is small where samples disagree, and the smaller the larger the batch: its square
is no Fisher information, and an importance made of it depends on the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from lifelong.experience import Batch
from lifelong.retention.kinds import merged
from lifelong.retention.model import Model, detached

ROOM = 2**25
"""Numbers of per-sample gradients that are held at once: 128 MiB of float32."""

Measure = Callable[[Tensor, Tensor], Tensor]
"""(1, C) outputs and (1, ...) targets of one sample -> a scalar whose gradient counts."""


def importance(
    model: Model,
    batches: Sequence[Batch],
    measure: Callable[[Batch], Measure],
    weigh: Callable[[Tensor], Tensor],
    targets: Callable[[Batch, Tensor], Tensor],
    samples: int | None,
) -> dict[str, Tensor]:
    """Mean over samples of `weigh` (a square, an absolute value) of each one's gradient, for each trained parameter.

    measure: what is derived, for a batch's objective. targets: gives the targets from a batch and its (B, C) outputs.
    samples: how many are looked at, evenly over the batches; None: all. In evaluation mode. Raises ValueError where
    there is no sample.
    """
    batches = merged(batches)
    total = sum(len(batch.targets) for batch in batches)
    if not total:
        raise ValueError("Importance is measured on samples of the task that ended, got none.")
    sums = {name: torch.zeros_like(p) for name, p in detached(model.named()).items()}
    step = 1.0 if samples is None or samples >= total else total / samples
    wanted = [int(step * place) for place in range(total if step == 1.0 else samples or 0)]
    first = 0
    with model.evaluating():
        for batch in batches:
            rows = [place - first for place in wanted if first <= place < first + len(batch.targets)]
            first += len(batch.targets)
            if rows:
                _add(sums, model, _part(batch, rows), measure(batch), weigh, targets)
    return {name: value / len(wanted) for name, value in sums.items()}


def _part(batch: Batch, rows: list[int]) -> Batch:
    if len(rows) == len(batch.targets):
        return batch
    return Batch(batch.inputs[rows], batch.targets[rows], batch.contract, batch.task)


def _add(
    sums: dict[str, Tensor],
    model: Model,
    batch: Batch,
    measure: Measure,
    weigh: Callable[[Tensor], Tensor],
    targets: Callable[[Batch, Tensor], Tensor],
) -> None:
    with torch.no_grad():
        outputs = model.outputs(batch.inputs, batch.contract, batch.task)
    if not bool(outputs.isfinite().all()):
        raise ValueError(
            "The network answers with numbers that are not finite, so no importance can be measured: its training has "
            "diverged. A penalty this strong needs a smaller learning rate, or take a smaller strength."
        )
    wanted = targets(batch, outputs)
    extras = model.extras(batch.contract, batch.task)
    values = {name: p.detach() for name, p in model.named().items()}
    numbers = sum(p.numel() for p in values.values())

    def one(values: dict[str, Tensor], inputs: Tensor, target: Tensor) -> Tensor:
        return measure(functional_call(model.module, values, (inputs[None], *extras)), target[None])

    chunk = max(1, min(len(wanted), ROOM // max(numbers, 1)))
    for inputs, some in zip(torch.split(batch.inputs, chunk), torch.split(wanted, chunk), strict=True):
        try:
            gradients = vmap(grad(one), in_dims=(None, 0, 0))(values, inputs, some)
        except RuntimeError:
            # Some layers, such as torch's GRU, cannot be mapped over samples: one after the other then.
            each = [grad(one)(values, x, y) for x, y in zip(inputs, some, strict=True)]
            gradients = {name: torch.stack([found[name] for found in each]) for name in values}
        for name, gradient in gradients.items():
            sums[name] += weigh(gradient).sum(0)
