"""What protection costs: CPU time of a protected training step divided by that of a plain one, for one linear layer.

python -m benchmarks.step_cost [--quick] [--json FILE]

A step is forward, backward (with the gradient of the inputs, as in the middle of a network) and the optimizer's. All
contenders have the same weights and take turns in blocks, one thread; a ratio is the median over the rounds. `dense` is
the way of the published code: a D x D projector for the gradient, at every step. `steps alone`: Adam's steps are
retracted, and its gradients left as they are, which costs less and learns worse. Blocks are a multiple of the longest
interval between retractions, so each ratio holds its full share of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.harness import Table, arguments, finish
from lifelong.subspace.cost import LONGEST
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.protection import Protection

SHAPES = ((784, 100, 10), (784, 100, 128), (1024, 1024, 64), (1024, 1024, 256), (4096, 1024, 64), (4096, 1024, 256))
SHARES = (0.1, 0.5, 0.9)
MAKERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-4),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-5),
}


@dataclass(slots=True)
class Contender:
    """One layer in training on one batch again and again."""

    layer: nn.Linear
    optimizer: torch.optim.Optimizer
    inputs: torch.Tensor
    error: torch.Tensor
    dense: torch.Tensor | None = None

    def block(self, steps: int) -> float:
        start = time.process_time()
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.inputs.grad = None
            self.layer(self.inputs).backward(self.error)
            if self.dense is not None:
                gradient = self.layer.weight.grad
                assert gradient is not None
                self.layer.weight.grad = gradient - gradient @ self.dense
            self.optimizer.step()
        return time.process_time() - start


def contenders(d: int, out: int, batch: int, share: float, kind: str) -> tuple[list[Contender], str]:
    """Plain, protected, dense, with steps alone held, and how the protected one is."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(out, d, generator=generator) / d**0.5
    inputs, error = torch.randn(batch, d, generator=generator), torch.randn(batch, out, generator=generator)
    rank = int(share * d)
    past = torch.randn(rank, d, generator=generator)
    made, how = [], ""
    for name in ("plain", "protected", "dense", "steps alone"):
        layer = nn.Linear(d, out, bias=False)
        with torch.no_grad():
            layer.weight.copy_(weight)
        optimizer = MAKERS[kind](list(layer.parameters()))
        contender = Contender(layer, optimizer, inputs.clone().requires_grad_(), error)
        if name in ("protected", "steps alone"):
            protection = Protection(layer, Gpm(energy=1.0, first_energy=None, samples=rank))
            protection.consolidate([past])
            handle = protection.attach(optimizer, None if name == "protected" else "project", rows=batch)
            how = how or handle.describe()
        if name == "dense":
            basis = torch.linalg.qr(past.T).Q
            contender.dense = basis @ basis.T
        made.append(contender)
    return made, how


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    table = Table(
        "in", "out", "batch", "optimizer", "share", "held by", "plain ms", "protected", "steps alone", "dense"
    )
    ratios = []
    for d, out, batch in SHAPES:
        for kind in MAKERS:
            for share in SHARES:
                (plain, held, dense, alone), how = contenders(d, out, batch, share, kind)
                steps = LONGEST
                slow = max(1, steps // 8 if d < 1024 else 2)
                for contender in (plain, held, alone):
                    contender.block(LONGEST if d < 1024 else 4)
                rounds = []
                for _ in range(3 if options.quick else 7):
                    base = plain.block(steps) / steps
                    some = alone.block(steps) / steps / base if kind == "Adam" else 0.0
                    rounds.append((base, held.block(steps) / steps / base, some, dense.block(slow) / slow / base))
                    if d >= 4096 and not options.quick and len(rounds) == 5:
                        break
                base, ratio, some, reference = (statistics.median(values) for values in zip(*rounds, strict=True))
                ratios.append((kind, share, ratio))
                table.add(
                    d,
                    out,
                    batch,
                    kind,
                    share,
                    how,
                    f"{base * 1e3:.3f}",
                    f"{ratio:.2f}",
                    f"{some:.2f}" if some else "-",
                    f"{reference:.2f}",
                )
                print(table.rows[-1], flush=True)
    finish(table, options)
    for name, values in (
        ("all", [ratio for _, _, ratio in ratios]),
        ("SGD", [ratio for kind, _, ratio in ratios if kind == "SGD"]),
        ("Adam", [ratio for kind, _, ratio in ratios if kind == "Adam"]),
        ("at 90 %", [ratio for _, share, ratio in ratios if share == 0.9]),
    ):
        print(f"{name}: worst {max(values):.2f}, median {statistics.median(values):.2f}")


if __name__ == "__main__":
    main()
