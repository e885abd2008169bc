"""Weights that are made of others, fused recurrent layers, sparse tables: held as exactly as any weight.

A model has learned a few inputs; then it takes 200 steps on new data. The change of its old outputs is measured
relative to them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.optim import SGD, Adam, AdamW, Optimizer, SparseAdam

from lifelong.subspace.gpm import Gpm
from lifelong.subspace.protection import Protection

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")

FULL = Gpm(energy=1.0, first_energy=None)
Make = Callable[[Iterable[nn.Parameter]], Optimizer]

OPTIMIZERS: Mapping[str, Make] = {
    "SGD with momentum": lambda p: SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: Adam(p, lr=0.01),
    "AdamW": lambda p: AdamW(p, lr=0.01, weight_decay=0.1),
}


def weight_normed() -> nn.Module:
    first = parametrizations.weight_norm(nn.Linear(24, 32))
    return nn.Sequential(first, nn.ReLU(), parametrizations.weight_norm(nn.Linear(32, 8, bias=False), dim=None))


def weight_normed_of_old() -> nn.Module:
    return nn.Sequential(nn.utils.weight_norm(nn.Conv1d(3, 8, 5)), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4))


def attention_of_made_weights() -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.0, batch_first=True)
    parametrizations.weight_norm(layer.self_attn, "in_proj_weight")
    parametrizations.weight_norm(layer.self_attn.out_proj)
    parametrizations.weight_norm(layer.linear1)
    return layer


def made_bias() -> nn.Module:
    return parametrizations.weight_norm(nn.Linear(24, 8), "bias")


def made_both() -> nn.Module:
    layer = parametrizations.weight_norm(nn.Linear(24, 8), "bias")
    return parametrizations.weight_norm(layer, "weight")


class Read(nn.Module):
    """(B, T, 6) -> (B, T, 4): a recurrent layer and a linear one."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer
        width = (layer.proj_size or layer.hidden_size) * (2 if layer.bidirectional else 1)
        self.last = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.layer(x)[0])
        return outputs


MODELS: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "weight norm": (weight_normed, (24,), 6),
    "weight norm of old": (weight_normed_of_old, (3, 8), 2),
    "weight norm in attention": (attention_of_made_weights, (3, 16), 2),
    "weight norm of a bias": (made_bias, (24,), 6),
    "weight norm of weight and bias": (made_both, (24,), 6),
    "lstm": (lambda: Read(nn.LSTM(6, 32, batch_first=True)), (4, 6), 1),
    "lstm of two layers, both ways": (
        lambda: Read(nn.LSTM(6, 24, num_layers=2, bidirectional=True, batch_first=True)),
        (4, 6),
        1,
    ),
    "projected lstm": (lambda: Read(nn.LSTM(6, 32, proj_size=20, batch_first=True)), (4, 6), 1),
    "gru": (lambda: Read(nn.GRU(6, 32, batch_first=True)), (4, 6), 1),
    "rnn": (lambda: Read(nn.RNN(6, 32, batch_first=True, bias=False)), (4, 6), 1),
    "rnn of two layers": (lambda: Read(nn.RNN(6, 32, 2, nonlinearity="relu", batch_first=True)), (4, 6), 1),
}


class World:
    """A model with a past, and new data that asks for something else."""

    def __init__(self, name: str) -> None:
        make, shape, count = MODELS[name]
        self.model = make()
        self.old, self.new = torch.randn(count, *shape), torch.randn(48, *shape)
        with torch.no_grad():
            self.before = self.model(self.old).clone()
            self.wanted = torch.randn(self.model(self.new).shape) + 1.0

    def change(self) -> float:
        with torch.no_grad():
            return float((self.model(self.old) - self.before).norm() / self.before.norm())

    def train(self, optimizer: Optimizer, steps: int = 200) -> float:
        """The share of the loss that is left."""
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = F.mse_loss(self.model(self.new), self.wanted)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses[-1] / losses[0]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    "optimizer", ["AdamW", *(pytest.param(name, marks=pytest.mark.slow) for name in OPTIMIZERS if name != "AdamW")]
)
@pytest.mark.parametrize("name", MODELS)
def test_old_outputs_stay_while_the_new_is_learned(name: str, optimizer: str) -> None:
    world = World(name)
    free = copy.copy(world)
    free.model = copy.deepcopy(world.model)
    protection = Protection(world.model, FULL)
    protection.consolidate([world.old])
    made = OPTIMIZERS[optimizer](world.model.parameters())
    # In training mode all along: exact at every step.
    protection.attach(made, every=1)
    assert world.train(made) < 0.95
    assert world.change() < 1e-4
    free.train(OPTIMIZERS[optimizer](free.model.parameters()))
    assert free.change() > 0.1


@pytest.mark.parametrize("every", [1, 16])
def test_a_made_weight_is_exact_after_every_sync_and_free_after_detach(every: int) -> None:
    world = World("weight norm")
    protection = Protection(world.model, FULL)
    protection.consolidate([world.old])
    optimizer = Adam(world.model.parameters(), lr=0.01)
    handle = protection.attach(optimizer, every=every)
    for _ in range(3):
        world.train(optimizer, 9)
        handle.sync()
        assert world.change() < 1e-5
    handle.detach()
    assert world.change() < 1e-5
    world.train(optimizer, 50)
    assert world.change() > 0.05


class Words(nn.Module):
    """(B, 3) words -> (B, 4), by a table with sparse gradients."""

    def __init__(self, table: nn.Embedding | nn.EmbeddingBag) -> None:
        super().__init__()
        self.table = table

    def forward(self, words: Tensor) -> Tensor:
        found: Tensor = self.table(words)
        return found if found.ndim == 2 else found.sum(1)


TABLES: Mapping[str, Callable[[], nn.Embedding | nn.EmbeddingBag]] = {
    "embedding": lambda: nn.Embedding(30, 4, sparse=True),
    "bag": lambda: nn.EmbeddingBag(30, 4, mode="sum", sparse=True),
}


@pytest.mark.parametrize("every", [1, 8])
@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("table", TABLES)
def test_rows_that_were_looked_up_stay_under_sparse_gradients(table: str, held: bool, every: int) -> None:
    model = Words(TABLES[table]())
    old, new = torch.randint(0, 12, (6, 3)), torch.randint(0, 30, (48, 3))
    wanted = torch.randn(48, 4)
    optimizer = SparseAdam(list(model.parameters()), lr=0.02)
    protection = Protection(model, FULL)
    protection.consolidate([old])
    assert protection.report().of("table.weight").rank == len(old.unique())
    handle = protection.attach(optimizer, every=every) if held else None
    before, start = model(old).detach(), model.table.weight.detach().clone()
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = F.mse_loss(model(new), wanted)
        loss.backward()  # type: ignore[no-untyped-call]
        assert model.table.weight.grad is not None
        assert model.table.weight.grad.is_sparse
        optimizer.step()
        losses.append(float(loss.detach()))
    if handle is not None:
        handle.sync()
        assert torch.equal(model.table.weight[old.unique()], start[old.unique()])
        assert torch.equal(model(old), before)
        assert losses[-1] < 0.8 * losses[0]
    else:
        assert (model(old) - before).norm() > 0.1 * before.norm()
