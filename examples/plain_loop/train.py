"""Three tasks, one network, a plain loop of torch: with and without protection.

python examples/plain_loop/train.py

The digits come under three permutations of their pixels, one after the other. Nothing of the framework runs here but
the subspace engine: three lines, marked below.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from lifelong import NullSpace, Protection


def accuracies(protected: bool, seed: int = 0) -> list[float]:
    """Accuracy on each of the three tasks after the last one was learned."""
    torch.manual_seed(seed)
    digits = load_digits()
    inputs = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    tasks = [inputs[:, torch.randperm(64)] for _ in range(3)]

    model = nn.Sequential(nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    protection = Protection(model, NullSpace())  # 1: which model, by which method

    for task in tasks:
        model.train()
        for _ in range(15):
            for chosen in torch.randperm(1500).split(32):
                optimizer.zero_grad()
                F.cross_entropy(model(task[chosen]), labels[chosen]).backward()
                optimizer.step()
        if protected:
            protection.consolidate([task[:1500]])  # 2: what this task uses shall stay
            protection.attach(optimizer)  # 3: every step from now on spares it

    if protected:
        print(protection.report())
    model.eval()
    with torch.no_grad():
        return [float((model(task[1500:]).argmax(1) == labels[1500:]).float().mean()) for task in tasks]


if __name__ == "__main__":
    for protected in (False, True):
        scores = ", ".join(f"{score:.1%}" for score in accuracies(protected))
        print(f"{'protected' if protected else 'plain'}: accuracy on the three tasks in the end {scores}")
