"""Permuted MNIST in the setting of GPM's authors: 10 permutations, one network, one head, no task at judging.

python -m benchmarks.pmnist_gpm [--quick] [--json FILE] [--seeds N ...] [--epochs N] [--only NAME ...]

MLP 784-100-100-10 without biases, batch 10, 5 epochs a task, boundaries given (Saha et al. 2021, section 5). A plain
loop of torch: nothing of the framework runs but the subspace engine. --quick: one epoch, seed 0, five tasks.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import Table, data_folder, finish
from lifelong.evaluation.matrix import ScoreMatrix, acc, bwt, learning_accuracy
from lifelong.subspace.coso import Coso
from lifelong.subspace.cost import Form
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.inflora import InfLora
from lifelong.subspace.method import Method
from lifelong.subspace.nscl import Nscl
from lifelong.subspace.null_space import NullSpace
from lifelong.subspace.o_lora import OLora
from lifelong.subspace.osft import Osft
from lifelong.subspace.owm import Owm
from lifelong.subspace.protection import Protection
from lifelong.subspace.ridge import Ridge
from lifelong.subspace.sgp import Sgp
from lifelong.subspace.trgp import Trgp
from lifelong_envs.supervised.data.idx import Idx

Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True, slots=True)
class Variant:
    """A method (None: nothing is protected), an optimizer, and how steps are held (None: what costs least).

    chunk: samples in a batch of those that are consolidated; methods that look at batch means want batches of training.
    """

    name: str
    method: Method | None
    optimizer: Make
    form: Form | None = None
    every: int | None = None
    chunk: int = 500


def published(p: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(p, lr=0.01)


def adam(p: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(p, lr=1e-4)


GPM = Gpm(energy=0.99, first_energy=0.95, samples=300)
MORE = Gpm(energy=0.99, first_energy=0.95, samples=1000)
VARIANTS = (
    Variant("fine-tuning", None, published),
    Variant("GPM as published", GPM, published, "project", 1),
    Variant("GPM, held as is cheapest", GPM, published),
    Variant("GPM, 1000 samples", MORE, published),
    Variant("SGP, 1000 samples", Sgp(alpha=10.0, samples=1000), published),
    Variant("null space, Adam", NullSpace(MORE), adam),
    Variant("Adam-NSCL", Nscl(), adam, chunk=10),
    Variant("OWM, alpha 10", Owm(alpha=10.0), published, chunk=10),
    Variant("ridge", Ridge(), published),
    Variant("OSFT", Osft(), published),
    Variant("CoSO, output side", Coso(side="output", sketch=60), adam),
    Variant("CoSO, input side", Coso(side="input", sketch=60), adam),
    Variant("InfLoRA, rank 30", InfLora(rank=30, gpm=MORE), adam),
    Variant("O-LoRA, rank 30", OLora(rank=30), adam),
    Variant("TRGP, task told", Trgp(threshold=0.2, gpm=GPM), published),
)
"""GPM has its authors' settings; those of SGP, OWM, the ridge and what has Adam were chosen on seed 100."""


@dataclass(slots=True)
class World:
    """MNIST under the permutations of one seed."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    permutations: list[Tensor]

    @staticmethod
    def of(folder: Path, seed: int, tasks: int) -> World:
        data = Idx(folder / "mnist").load(torch.device("cpu"))
        generator = torch.Generator().manual_seed(1000 + seed)
        orders = [torch.randperm(784, generator=generator) for _ in range(tasks)]
        # Mean and deviation of MNIST's pixels, by which the authors' loader normalises.
        train, test = ((part.flatten(1) - 0.1307) / 0.3081 for part in (data.train_inputs, data.test_inputs))
        return World(train, data.train_targets, test, data.test_targets, orders)


def live(variant: Variant, world: World, seed: int, epochs: int) -> tuple[ScoreMatrix, float, float]:
    """The scores after each task, CPU seconds of training, and the share of the first layer's inputs that is taken."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(784, 100, bias=False), nn.ReLU(), nn.Linear(100, 100, bias=False), nn.ReLU(),
        nn.Linear(100, 10, bias=False),
    )  # fmt: skip
    optimizer = variant.optimizer(net.parameters())
    protection = None if variant.method is None else Protection(net, variant.method)
    tasks = len(world.permutations)
    scores = np.zeros((tasks + 1, tasks))
    scores[0] = judge(net, world)
    seconds = 0.0
    for task, order in enumerate(world.permutations):
        inputs = world.train[:, order]
        start = time.process_time()
        if protection is not None:
            if protection.feels and task == 0:
                with protection.watching():
                    net(inputs[:10])
            # Low-rank adaptation is for networks that know something: the first task trains the whole one.
            if task > 0:
                protection.begin(
                    [(inputs[:300], world.train_labels[:300])], loss=lambda b: F.cross_entropy(net(b[0]), b[1])
                )
            protection.attach(optimizer, variant.form, variant.every, rows=10)
        net.train()
        for _ in range(epochs):
            for chosen in torch.randperm(len(inputs)).split(10):  # type: ignore[no-untyped-call]
                optimizer.zero_grad()
                F.cross_entropy(net(inputs[chosen]), world.train_labels[chosen]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        if protection is not None:
            protection.consolidate(inputs[torch.randperm(len(inputs))[:5000]].split(variant.chunk))  # type: ignore[no-untyped-call]
        seconds += time.process_time() - start
        scores[task + 1] = judge(net, world, protection if isinstance(variant.method, Trgp) else None)
    names = tuple(f"p{i}" for i in range(tasks))
    return (
        ScoreMatrix(names, names, scores),
        seconds,
        0.0 if protection is None else protection.protected()[0].rank / 784,
    )


@torch.no_grad()
def judge(net: nn.Module, world: World, told: Protection | None = None) -> list[float]:
    """Accuracy on every permutation; `told`: with the weights of the task, where it was learned already."""
    net.eval()
    rights = []
    for task, order in enumerate(world.permutations):
        known = told is not None and task < told.tasks
        with told.as_of(task) if told is not None and known else nullcontext():
            rights.append(net(world.test[:, order]).argmax(1) == world.test_labels)
    return [float(right.float().mean()) for right in rights]


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def main(variants: tuple[Variant, ...] = VARIANTS) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch, five tasks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[v.name for v in variants], metavar="NAME")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print("Skipped: there is no MNIST here. Set LIFELONG_DATA to a folder that has it.")
        return
    torch.set_num_threads(1)
    seeds, epochs, tasks = ([0], 1, 5) if options.quick else (options.seeds, options.epochs, 10)
    table = Table("variant", "seed", "epochs", "ACC %", "BWT %", "learning %", "first layer used", "CPU s")
    for variant in variants:
        if variant.name not in options.only:
            continue
        for seed in seeds:
            matrix, seconds, used = live(variant, World.of(folder, seed, tasks), seed, epochs)
            values = [percent(of(matrix)) for of in (acc, bwt, learning_accuracy)]
            table.add(variant.name, seed, epochs, *values, f"{used:.2f}", round(seconds))
            print(json.dumps(table.rows[-1]), flush=True)
    finish(table, options)


if __name__ == "__main__":
    main()
