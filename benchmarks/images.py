"""Three tasks of real images, boundaries given: a ResNet with GroupNorm, a ViT and an MLP, protected and fine-tuned.

python -m benchmarks.images [--quick] [--json FILE] [--seeds N ...] [--energy SHARE] [--only METHOD ...]

Tasks: MNIST digits 0-4 and 5-9 with 1,500 training images each, and five classes of a CIFAR-10 subset; all as 3x32x32,
each with a head of its own that is known at judging. Settings were chosen on seeds 100 and 101.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import Table, data_folder, finish, parser
from benchmarks.models import ResNet, Vit
from lifelong.evaluation.matrix import ScoreMatrix, acc, bwt, learning_accuracy
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Method
from lifelong.subspace.null_space import NullSpace
from lifelong.subspace.protection import Protection
from lifelong_envs.supervised.data.idx import Idx

EPOCHS, BATCH = 6, 32


@dataclass(frozen=True, slots=True)
class Task:
    """Images (N, 3, 32, 32) and labels from 0."""

    train: Tensor
    labels: Tensor
    test: Tensor
    test_labels: Tensor

    @staticmethod
    def of(train: Tensor, labels: Tensor, test: Tensor, test_labels: Tensor, classes: range, count: int) -> Task:
        mine = torch.isin(labels, torch.tensor(list(classes))).nonzero().flatten()[:count]
        theirs = torch.isin(test_labels, torch.tensor(list(classes))).nonzero().flatten()[:1000]
        first = classes.start
        return Task(train[mine], labels[mine] - first, test[theirs], test_labels[theirs] - first)


def tasks_of(folder: Path) -> list[Task]:
    mnist = Idx(folder / "mnist").load(torch.device("cpu"))
    digits = [
        F.pad(images[:n], (2, 2, 2, 2)).expand(-1, 3, -1, -1)
        for images, n in ((mnist.train_inputs, 6000), (mnist.test_inputs, 4000))
    ]
    numbers = (digits[0], mnist.train_targets[:6000], digits[1], mnist.test_targets[:4000])
    kept = np.load(folder / "cifar10_subset_4000_1000" / "cifar10_subset_4000_1000.npz")
    images = [torch.from_numpy(kept[k]).permute(0, 3, 1, 2).float() / 255 for k in ("x_train", "x_test")]
    labels = [torch.from_numpy(kept[k]).flatten().long() for k in ("y_train", "y_test")]
    things = (images[0], labels[0], images[1], labels[1])
    return [
        Task.of(*numbers, range(5), 1500),
        Task.of(*numbers, range(5, 10), 1500),
        Task.of(*things, range(5), 1500),
    ]


class Body(nn.Module):
    """A trunk (B, 3, 32, 32) -> (B, F) and one head of five classes for each task."""

    def __init__(self, trunk: nn.Module, features: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleList(nn.Linear(features, 5) for _ in range(3))

    def forward(self, images: Tensor, task: int) -> Tensor:
        outputs: Tensor = self.heads[task](self.trunk(images))
        return outputs


def mlp() -> Body:
    return Body(nn.Sequential(nn.Flatten(), nn.Linear(3072, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU()), 200)


NETWORKS: dict[str, Callable[[], Body]] = {
    "MLP": mlp,
    "ResNet, GroupNorm": lambda: Body(ResNet(width=16, blocks=(1, 1, 1)), 64),
    "ViT": lambda: Body(Vit(image=32, patch=8, width=64, depth=3, heads=4), 64),
}
ENERGY = 0.98


def methods(energy: float) -> dict[str, Method | None]:
    gpm = Gpm(energy=energy, first_energy=energy)
    return {"fine-tuning": None, "GPM": gpm, "null space": NullSpace(gpm)}


def live(make: Callable[[], Body], method: Method | None, tasks: list[Task], seed: int, epochs: int) -> ScoreMatrix:
    torch.manual_seed(seed)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    protection = None if method is None else Protection(model.trunk, method)
    scores = [judge(model, tasks)]
    for number, task in enumerate(tasks):
        if protection is not None:
            protection.attach(optimizer)
        else:
            optimizer.state.clear()
        model.train()
        for _ in range(epochs):
            for chosen in torch.split(torch.randperm(len(task.train)), BATCH):
                optimizer.zero_grad()
                F.cross_entropy(model(task.train[chosen], number), task.labels[chosen]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        if protection is not None:
            protection.consolidate(torch.split(task.train[:500], 100))
        scores.append(judge(model, tasks))
    names = ("digits 0-4", "digits 5-9", "CIFAR subset 0-4")
    return ScoreMatrix(names, names, np.array(scores))


@torch.no_grad()
def judge(model: Body, tasks: list[Task]) -> list[float]:
    model.eval()
    return [
        float((model(task.test, number).argmax(1) == task.test_labels).float().mean())
        for number, task in enumerate(tasks)
    ]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    made.add_argument("--energy", type=float, default=ENERGY, help="share of what tasks use that is protected")
    made.add_argument("--only", nargs="+", metavar="METHOD", help="these methods alone")
    options = made.parse_args()
    folder = data_folder()
    if folder is None:
        print("Skipped: there are no images here. Set LIFELONG_DATA to a folder that has them.")
        return
    tasks = tasks_of(folder)
    table = Table("network", "method", "seed", "ACC %", "BWT %", "learning %", "last task %")
    for name, make in NETWORKS.items():
        for method, settings in methods(options.energy).items():
            if options.only is not None and method not in options.only:
                continue
            for seed in [0] if options.quick else options.seeds:
                matrix = live(make, settings, tasks, seed, 2 if options.quick else EPOCHS)
                values = (acc(matrix), bwt(matrix), learning_accuracy(matrix), float(matrix.scores[-1, -1]))
                table.add(name, method, seed, *(f"{100 * v:.1f}" for v in values if v is not None))
                print(table.rows[-1], flush=True)
    finish(table, options)


if __name__ == "__main__":
    main()
