"""What protection costs on a GPU: time of a protected training step divided by that of a plain one, for whole networks.

python -m benchmarks.gpu_cost [--quick] [--json FILE] [--device cpu]

(a) the twelve layers of a ViT-B (width 768, 12 heads, 8k tokens a step), bfloat16 autocast, AdamW; (b) ResNet-18, 128
images of 32x32, SGD with momentum. In every weight a share of the directions is protected, drawn at random: what they
are costs nothing. Both sides have the same weights and take turns in blocks, timed by CUDA events; a ratio is the
median over the rounds. A block is as long as the longest interval between retractions. `by cost`: held as the cost
model has it; `every step`: retracted after each. With --device cpu all is tiny: it only shows that the code runs.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchmarks.harness import Table, finish, parser
from benchmarks.models import ResNet
from lifelong.subspace.cost import LONGEST, Form
from lifelong.subspace.factor import Factor, Projection
from lifelong.subspace.method import Site
from lifelong.subspace.protection import Protection
from lifelong.subspace.use import Use

SHARES = (0.1, 0.5, 0.9)
WAYS: dict[str, tuple[Form | None, int | None]] = {"by cost": (None, None), "every step": ("project", 1)}


def encoder(width: int, depth: int, heads: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


def adamw(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-5)


def sgd(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=1e-4, momentum=0.9)


@dataclass(frozen=True, slots=True)
class Case:
    """A network, the shape of its batch, its optimizer, and the ratio that is sought."""

    name: str
    network: Callable[[], nn.Module]
    batch: tuple[int, ...]
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]
    autocast: bool
    goal: float


CASES = (
    Case("ViT-B layers", lambda: encoder(768, 12, 12), (32, 256, 768), adamw, True, 1.05),
    Case("ResNet-18", ResNet, (128, 3, 32, 32), sgd, False, 1.08),
)
TINY = (
    Case("tiny ViT layers", lambda: encoder(16, 3, 2), (2, 4, 16), adamw, True, 1.05),
    Case("tiny ResNet", lambda: ResNet(8, (1, 1)), (2, 3, 8, 8), sgd, False, 1.08),
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A method that protects random directions: this share of all, in every weight."""

    share: float
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False
    form: ClassVar[Form | None] = None

    def keeper(self, site: Site) -> DrawnKeeper:
        return DrawnKeeper(self.share, site)


class DrawnKeeper:
    """Random directions, or those that are left free where these are fewer."""

    def __init__(self, share: float, site: Site) -> None:
        self.size, self.rank = site.size, float(max(1, int(share * site.size)))
        self._groups, self._columns = site.geometry.groups, torch.zeros(0)

    def see(self, use: Use) -> None:
        pass

    def feel(self, gradient: Tensor) -> None:
        pass

    def consolidate(self, weight: Tensor) -> float:
        kept = min(int(self.rank), self.size - int(self.rank))
        drawn = torch.randn(self._groups, self.size, kept, device=weight.device)
        self._columns = torch.linalg.qr(drawn).Q
        return 1.0

    def projection(self) -> Projection:
        return Projection(Factor(self._columns, complement=2 * self.rank > self.size))

    def state_dict(self) -> dict[str, Any]:
        return {"columns": self._columns}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._columns = state["columns"]


class Contender:
    """One network in training on one batch again and again."""

    def __init__(self, case: Case, network: nn.Module, inputs: Tensor) -> None:
        self.network = network
        self.optimizer = case.optimizer(list(network.parameters()))
        self._inputs, self._autocast = inputs, case.autocast

    def block(self, steps: int) -> float:
        """Seconds per step; on a GPU those of the device."""
        if self._inputs.device.type == "cpu":
            began = time.perf_counter()
            self._train(steps)
            return (time.perf_counter() - began) / steps
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        first.record()
        self._train(steps)
        last.record()
        last.synchronize()
        return float(first.elapsed_time(last)) / 1e3 / steps

    def _train(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            with torch.autocast(self._inputs.device.type, torch.bfloat16, enabled=self._autocast):
                outputs = self.network(self._inputs)
            (outputs.float() - 1.0).square().mean().backward()
            self.optimizer.step()


def measure(case: Case, share: float, way: str, device: str, rounds: int) -> tuple[float, float, str]:
    """Seconds of a plain step, the ratio, and how the protected one is held."""
    torch.manual_seed(0)
    inputs = torch.randn(case.batch, device=device)
    network = case.network().to(device).train()
    plain, held = (Contender(case, copy.deepcopy(network), inputs) for _ in range(2))
    protection = Protection(held.network, Drawn(share))
    protection.consolidate([inputs])
    form, every = WAYS[way]
    handle = protection.attach(held.optimizer, form, every)
    how = "; ".join(f"{n} x {kind}" for kind, n in Counter(handle.describe().split("; ")).items())
    steps = LONGEST if every is None else LONGEST // 4
    for contender in (plain, held):
        contender.block(steps)
    pairs = [(plain.block(steps), held.block(steps)) for _ in range(rounds)]
    return statistics.median(p for p, _ in pairs), statistics.median(h / p for p, h in pairs), how


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: tiny networks, to try the code")
    options = made.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("Skipped: there is no CUDA device here. --device cpu tries the code on tiny networks.")
        return
    if options.device == "cuda":
        torch.backends.cudnn.benchmark = True
        print(torch.cuda.get_device_name())
    table = Table("network", "share", "retracted", "plain ms", "protected", "goal", "met", "held by")
    for case in CASES if options.device == "cuda" else TINY:
        for share in SHARES:
            for way in WAYS:
                seconds, ratio, how = measure(case, share, way, options.device, 1 if options.quick else 7)
                table.add(
                    case.name, share, way, round(seconds * 1e3, 3), round(ratio, 3), case.goal, ratio <= case.goal, how
                )
                print(table.rows[-1], flush=True)
    finish(table, options)


if __name__ == "__main__":
    main()
