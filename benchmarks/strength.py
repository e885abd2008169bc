"""Does a penalty's strength mean the same at every batch size? EWC and SI, trained in batches of 10 and of 128.

python -m benchmarks.strength [--quick] [--json FILE]

scikit-learn's digits, MLP 64-100-100-10, 20 epochs; strength: the sum of all importances after one task. Under "same
way" the learning rate is in proportion to the batch size, so that both trainings take the same way through the weights;
at the "same rate" they do not, and end in networks of which one is surer than the other.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.harness import Table, arguments, finish
from lifelong.experience import Batch
from lifelong.objective import Classification, Contract
from lifelong.retention.ewc import Ewc
from lifelong.retention.method import Retention
from lifelong.retention.retained import Retained
from lifelong.retention.si import Si
from lifelong_envs.supervised.data import Digits

METHODS: dict[str, Retention] = {
    "EWC": Ewc(samples=None),
    "SI": Si(),
    "SI, the paper's sum": Si(scale="path"),
}
Rate = Callable[[int], float]
OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], Rate]] = {
    "SGD, same way": (torch.optim.SGD, lambda size: 0.001 * size),
    "Adam, same rate": (torch.optim.Adam, lambda size: 1e-3),
    "Adam, rate by the root": (torch.optim.Adam, lambda size: 5e-4 * (size / 10) ** 0.5),
}
CONTRACT = Contract((64,), 10, Classification())


def strength(method: Retention, optimizer: str, size: int, seed: int, epochs: int) -> float:
    digits = Digits().load(torch.device("cpu"))
    inputs, targets = digits.train_inputs.flatten(1), digits.train_targets
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))
    kind, rate = OPTIMIZERS[optimizer]
    steps = kind(model.parameters(), lr=rate(size))  # type: ignore[call-arg]
    retained = Retained(model, [method], seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(size):
            batch = Batch(inputs[rows], targets[rows], CONTRACT)
            steps.zero_grad()
            retained.step(steps, batch, model(batch.inputs))
    retained.consolidate([Batch(inputs, targets, CONTRACT)])
    return sum(float(weight.sum()) for weight in retained.keepers[0].penalty.weights.values())  # type: ignore[attr-defined]


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    table = Table("method", "optimizer", "seed", "batches of 10", "batches of 128", "ratio")
    for name, method in METHODS.items():
        for optimizer in OPTIMIZERS:
            for seed in range(1 if options.quick else 5):
                small, large = (strength(method, optimizer, size, seed, 20) for size in (10, 128))
                table.add(name, optimizer, seed, f"{small:.4g}", f"{large:.4g}", f"{small / large:.2f}")
    finish(table, options)


if __name__ == "__main__":
    main()
