"""What it costs to grow the bases of a network from 2,000 samples, beside an epoch over them and the published way.

python -m benchmarks.consolidate [--quick] [--json FILE]    (--quick: 200 samples, smaller networks)

`consolidate` is the whole call: the forward pass over all samples and the growth of every layer's basis, for a first
and a second task. `epoch` is forward, backward and step over the same samples. `numpy` is the published way for the
same rows: an SVD of (D, N) in numpy for every layer. CPU seconds, one thread. The growth alone costs the same for any
number of samples: beside the epoch of --quick, over a tenth of them, it looks ten times as large.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.harness import Table, arguments, finish
from benchmarks.models import ResNet, Vit
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.protection import Protection

MODELS: dict[str, Callable[[bool], nn.Module]] = {
    "ResNet-18, 32x32": lambda quick: ResNet(16 if quick else 64),
    "ViT, 12 layers of 192, 64 patches": lambda quick: Vit(depth=2 if quick else 12),
}
SETTINGS: dict[str, Gpm] = {
    "1,000 rows": Gpm(energy=0.97, first_energy=None),
    "streamed": Gpm(energy=0.97, first_energy=None, samples=None),
}


def epoch(model: nn.Module, batches: list[Tensor]) -> float:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    # A step before the clock starts: the first one of a process loads parts of torch.
    for i, batch in enumerate([batches[0], *batches]):
        if i == 1:
            start = time.process_time()
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
    return time.process_time() - start


def reference(model: nn.Module, batches: list[Tensor]) -> float:
    """The SVDs alone: the rows of every layer are collected before the clock starts."""
    protection = Protection(model, Gpm(energy=0.97, first_energy=None))
    rows: list[np.ndarray] = []
    with torch.no_grad(), protection.watching():
        for batch in batches:
            model(batch)
    for account in protection._ledger.accounts.values():
        keeper = account.keeper
        seen = keeper._sample.moments()[0].factor  # type: ignore[attr-defined]
        rows.append(seen.numpy().T)
    start = time.process_time()
    for matrix in rows:
        np.linalg.svd(matrix, full_matrices=False)
    return time.process_time() - start


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    count = 200 if options.quick else 2000
    table = Table("model", "rows", "epoch s", "first task s", "second task s", "of an epoch", "numpy SVD s")
    for name, make in MODELS.items():
        torch.manual_seed(0)
        model = make(options.quick)
        tasks = [list(torch.split(torch.randn(count, 3, 32, 32) * scale, 100)) for scale in (1.0, 2.0)]
        one = epoch(model, tasks[0])
        numpy = reference(model, tasks[0])
        for rows, settings in SETTINGS.items():
            protection = Protection(model, settings)
            times = []
            for batches in tasks:
                start = time.process_time()
                protection.consolidate(batches)
                times.append(time.process_time() - start)
            worst = f"{max(times) / one:.2f}"
            table.add(
                f"small {name}" if options.quick else name,
                rows,
                f"{one:.1f}",
                *(f"{t:.1f}" for t in times),
                worst,
                f"{numpy:.1f}",
            )
            print(table.rows[-1], flush=True)
    finish(table, options)


if __name__ == "__main__":
    main()
