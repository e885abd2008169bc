"""Whatever a model is made of: the rows that are kept are those that the weight multiplied, and old outputs stay."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.subspace.gpm import Gpm
from lifelong.subspace.protection import Protection
from lifelong.subspace.use import Use
from lifelong.subspace.watch import Watch

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")


class Notes:
    """A watcher that writes everything down."""

    def __init__(self) -> None:
        self.uses: list[tuple[str, str | None, Use]] = []
        self.reasons: dict[str, str] = {}

    def used(self, weight: str, bias: str | None, use: Use) -> None:
        self.uses.append((weight, bias, use))

    def misunderstood(self, name: str, why: str) -> None:
        self.reasons[name] = why


def watched(module: nn.Module, *inputs: Any) -> tuple[Notes, Any]:
    notes = Notes()
    with torch.no_grad(), Watch(dict(module.named_parameters()), notes):
        outputs = module(*inputs)
    return notes, outputs


CONVOLUTIONS: Mapping[str, tuple[nn.Module, tuple[int, ...]]] = {
    "1d": (nn.Conv1d(3, 4, 3, stride=2, padding=1), (2, 3, 9)),
    "1d same": (nn.Conv1d(3, 4, 4, padding="same", dilation=2), (2, 3, 12)),
    "2d": (nn.Conv2d(3, 5, (3, 2), stride=(2, 1), padding=(0, 1), dilation=(1, 2)), (2, 3, 9, 10)),
    "2d groups": (nn.Conv2d(4, 6, 3, groups=2), (2, 4, 6, 6)),
    "2d depthwise": (nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), (2, 4, 6, 6)),
    "2d valid": (nn.Conv2d(2, 3, 3, padding="valid"), (2, 2, 6, 6)),
    "3d": (nn.Conv3d(2, 3, 2, stride=2, padding=1, groups=1), (2, 2, 5, 4, 6)),
    "no batch": (nn.Conv2d(2, 3, 3), (2, 6, 6)),
} | {
    f"2d {mode}": (nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode), (2, 2, 6, 6))  # type: ignore[arg-type]
    for mode in ("reflect", "replicate", "circular")
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_rows_times_the_weight_are_the_convolution(name: str) -> None:
    layer, shape = CONVOLUTIONS[name]
    notes, outputs = watched(layer, torch.randn(shape))
    ((weight, bias, use),) = notes.uses
    assert (weight, bias) == ("weight", None if layer.bias is None else "bias")
    matrix = use.geometry.matrix(layer.weight.detach())
    if layer.bias is not None:
        matrix = torch.cat([matrix, layer.bias.detach().reshape(*matrix.shape[:2], 1)], dim=2)
    rows = use.rows(None, constant=layer.bias is not None)
    assert rows.shape[1] == use.count()
    made = (rows @ matrix.transpose(1, 2)).transpose(0, 1).flatten(1)
    batched = outputs if len(shape) == layer.weight.ndim else outputs[None]
    assert torch.allclose(made, batched.movedim(1, -1).flatten(0, -2), atol=1e-5)
    some = torch.tensor([0, use.count() - 1, 1])
    assert torch.equal(use.rows(some), use.rows()[:, some])


@pytest.mark.parametrize("groups", [1, 2])
def test_rows_times_the_weight_are_what_a_transposed_convolution_folds(groups: int) -> None:
    layer = nn.ConvTranspose2d(4, 6, 1, groups=groups)
    notes, outputs = watched(layer, torch.randn(2, 4, 5, 5))
    ((_, bias, use),) = notes.uses
    assert bias is None
    assert set(notes.reasons) == {"bias"}
    made = use.rows() @ use.geometry.matrix(layer.weight.detach()).transpose(1, 2)
    wanted = (outputs - layer.bias[:, None, None]).movedim(1, -1).flatten(0, -2)
    assert torch.allclose(made.transpose(0, 1).flatten(1), wanted, atol=1e-5)


class Written(nn.Module):
    """A model of one parameter and whatever is done with it."""

    def __init__(self, shape: tuple[int, ...], do: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape))
        self._do = do

    def forward(self, inputs: Tensor) -> Tensor:
        return self._do(inputs, self.weight)


PRODUCTS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...], Callable[[Tensor, Tensor], Tensor]]] = {
    "x @ W": ((4, 3), (5, 2, 4), lambda x, w: x @ w),
    "x @ W.T": ((3, 4), (5, 4), lambda x, w: x @ w.T),
    "matmul": ((4, 3), (5, 4), lambda x, w: torch.matmul(x, w)),
    "mm": ((4, 3), (5, 4), lambda x, w: x.mm(w)),
    "one vector": ((4, 3), (4,), lambda x, w: x @ w),
    "linear": ((3, 4), (2, 5, 4), lambda x, w: F.linear(x, w)),
    "linear of a transpose": ((4, 3), (5, 4), lambda x, w: F.linear(x, w.T)),
    "linear of another shape": ((3, 4, 1, 1), (5, 4), lambda x, w: F.linear(x, w.view(3, 4))),
    "a cast": ((3, 4), (5, 4), lambda x, w: F.linear(x.double(), w.double())),
    "detached and contiguous": ((3, 4), (5, 4), lambda x, w: F.linear(x, w.contiguous().clone())),
    "bmm": ((2, 4, 3), (2, 5, 4), lambda x, w: torch.bmm(x, w)),
    "stacked matmul": ((2, 4, 3), (2, 5, 4), lambda x, w: x @ w),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_way_to_write_a_product_is_understood(name: str) -> None:
    shape, given, do = PRODUCTS[name]
    module = Written(shape, do)
    notes, outputs = watched(module, torch.randn(given))
    assert notes.reasons == {}
    ((_, _, use),) = notes.uses
    made = use.rows() @ use.geometry.matrix(module.weight.detach()).transpose(1, 2).to(use.rows())
    assert torch.allclose(made.flatten(), outputs.flatten().to(made), atol=1e-5)


def test_a_weight_on_the_left_meets_columns() -> None:
    module = Written((3, 4), lambda x, w: w @ x)
    notes, outputs = watched(module, torch.randn(4, 5))
    ((_, _, use),) = notes.uses
    made = use.rows()[0] @ use.geometry.matrix(module.weight.detach())[0].T
    assert torch.allclose(made, outputs.T, atol=1e-5)


NOT_UNDERSTOOD: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda x, w: x + w[0],
    "a sum that leaves a diagonal": lambda x, w: torch.einsum("bi,oi->b", x, w)[:, None].repeat(1, 3),
    "tensordot": lambda x, w: torch.tensordot(x, w, dims=([1], [1])),
    "a product of parameters": lambda x, w: x @ (w @ w.T),
    "a strided view": lambda x, w: F.linear(x[:, ::2], w[:, ::2]),
    "a part of the columns": lambda x, w: F.linear(x[:, :2], w[:, :2]),
    "a copy that is changed": lambda x, w: F.linear(x, w * 2),
}


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_said_and_frozen(name: str) -> None:
    module = Written((4, 4), NOT_UNDERSTOOD[name])
    protection = Protection(module)
    protection.consolidate([torch.randn(5, 4)])
    row = protection.report().of("weight")
    assert (row.how, row.left) == ("frozen", 0.0)
    assert "used by" in row.why
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    protection.attach(optimizer)
    before = module.weight.detach().clone()
    module(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    assert torch.equal(module.weight, before)


def test_every_half_of_a_block_counts_for_the_whole() -> None:
    module = Written((6, 4), lambda x, w: torch.cat([F.linear(x, w[:3]), F.linear(-2 * x + 1, w[3:])], dim=1))
    protection = Protection(module, Gpm(energy=1.0, first_energy=None))
    (growth,) = protection.consolidate([torch.eye(4)[:1]])
    assert (growth.rank, growth.size) == (2, 4)


class Tied(nn.Module):
    """(B, 3) words -> (B, 3, 30) next words; the table of words is the last layer's weight too."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(30, 8)
        self.middle = nn.Linear(8, 8)
        self.last = nn.Linear(8, 30, bias=bias)
        self.last.weight = self.table.weight

    def forward(self, words: Tensor) -> Tensor:
        outputs: Tensor = self.last(torch.tanh(self.middle(self.table(words))))
        return outputs


class ByHand(nn.Module):
    """(B, 5, 8) -> (B, 5, 8): attention with projections of its own making."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(8, 8, bias=i == 3) for i in range(4))

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.out(F.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x)))
        return outputs


class Cross(nn.Module):
    """Attention whose queries, keys and values are of different widths and come from different places."""

    def __init__(self, packed: bool) -> None:
        super().__init__()
        width = {} if packed else {"kdim": 6, "vdim": 7}
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **width)
        self.packed = packed

    def forward(self, x: Tensor) -> Tensor:
        key = x.roll(1, 1) if self.packed else x[..., :6]
        value = x.flip(1) if self.packed else x[..., :7]
        outputs: Tensor = self.attention(x, key, value, need_weights=False)[0]
        return outputs


class Twice(nn.Module):
    """One layer in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.layer(torch.relu(self.layer(x)))
        return outputs


class LowRank(nn.Module):
    """A frozen weight with two trained factors beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(24, 12).requires_grad_(False)
        self.down, self.up = nn.Parameter(torch.randn(4, 24) / 5), nn.Parameter(torch.randn(12, 4) / 5)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.base(x) + x @ self.down.T @ self.up.T
        return outputs


class Recurrent(nn.Module):
    """(B, 4, 6) -> (B, 10), through a cell that is unrolled by hand."""

    def __init__(self, cell: type[nn.GRUCell] | type[nn.LSTMCell] | type[nn.RNNCell]) -> None:
        super().__init__()
        self.cell = cell(6, 40)
        self.is_lstm = cell is nn.LSTMCell
        self.last = nn.Linear(40, 10)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        outputs: Tensor = self.last(state[0] if self.is_lstm else state)
        return outputs


class Spelled(nn.Module):
    """(B, 2, 20) -> (B, 5), by products that are written out."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Parameter(torch.randn(20, 16) / 5), nn.Parameter(torch.randn(12, 16) / 4)
        self.last, self.bias = nn.Parameter(torch.randn(24, 5) / 5), nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(torch.einsum("bti,io->bto", x, self.one))
        hidden = torch.tanh(torch.einsum("oi, bti -> bot", self.two, hidden))
        return torch.addmm(self.bias, hidden.flatten(1), self.last)


def normed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10), nn.LayerNorm(10)
    )


def encoder() -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 48, dropout=0.1, batch_first=True)


def numbers(*shape: int) -> Callable[[int], Tensor]:
    return lambda n: torch.randn(n, *shape)


def words(n: int) -> Tensor:
    return torch.randint(0, 12 if n < 10 else 30, (n, 3))


MODELS: Mapping[str, tuple[Callable[[], nn.Module], Callable[[int], Tensor], int]] = {
    "linear at every position": (lambda: nn.Linear(16, 4), numbers(2, 3, 16), 1),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(4, 6, 3, padding_mode="circular", padding=1)), numbers(4, 8), 1),
    "conv3d": (lambda: nn.Conv3d(3, 4, 3, groups=1), numbers(3, 4, 4, 4), 2),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), numbers(4, 4, 4), 1),
    "transposed": (lambda: nn.ConvTranspose1d(12, 6, 3, stride=2, groups=2), numbers(12, 2), 1),
    "norms": (normed, numbers(2, 6, 6), 1),
    "transformer": (encoder, numbers(3, 8), 1),
    "attention by hand": (ByHand, numbers(5, 8), 1),
    "cross attention": (lambda: Cross(True), numbers(2, 8), 1),
    "cross attention of other widths": (lambda: Cross(False), numbers(3, 8), 1),
    "tied": (lambda: Tied(False), words, 2),
    "tied with a bias": (lambda: Tied(True), words, 2),
    "a bag of words": (lambda: nn.Sequential(nn.EmbeddingBag(30, 8), nn.Linear(8, 4)), words, 4),
    "called twice": (Twice, numbers(16), 3),
    "einsum and addmm": (Spelled, numbers(2, 20), 4),
    "low rank": (LowRank, numbers(24), 2),
    "gru": (lambda: Recurrent(nn.GRUCell), numbers(4, 6), 1),
    "lstm": (lambda: Recurrent(nn.LSTMCell), numbers(4, 6), 1),
    "rnn": (lambda: Recurrent(nn.RNNCell), numbers(4, 6), 1),
}


def train(model: nn.Module, new: Tensor, protection: Protection | None, steps: int = 60) -> float:
    """Fit noise with AdamW and decay; the share of the loss that is left."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.1)
    if protection is not None:
        protection.attach(optimizer)
    model.train()
    wanted = torch.randn(model(new).shape)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.mse_loss(model(new), wanted)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses[-1] / losses[0]


def change(model: nn.Module, old: Tensor, before: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return float((model(old) - before).norm() / before.norm())


@pytest.mark.parametrize("name", MODELS)
def test_old_outputs_stay_whatever_the_model_is_made_of(name: str) -> None:
    make, inputs, count = MODELS[name]
    model = make()
    old, new = inputs(count), inputs(32)
    model.train()
    model(new)
    model.eval()
    with torch.no_grad():
        before = model(old).clone()
    free = copy.deepcopy(model)
    protection = Protection(model, Gpm(energy=1.0, first_energy=None))
    protection.consolidate([old])
    assert all(row.how != "free" for row in protection.report().rows)
    assert train(model, new, protection) < 0.999
    assert change(model, old, before) < 1e-4
    train(free, new, None)
    assert change(free, old, before) > 0.05


HIDDEN: Mapping[str, tuple[Callable[[], nn.Module], str]] = {
    "spectral norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(6, 4)), "made by spectral_norm"),
    "spectral norm of old": (lambda: nn.utils.spectral_norm(nn.Linear(6, 4)), "used by"),
    "orthogonal": (lambda: nn.utils.parametrizations.orthogonal(nn.Linear(6, 4)), "made by orthogonal"),
    "script": (lambda: torch.jit.script(nn.Linear(6, 4)), "scripted"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
@pytest.mark.parametrize("name", HIDDEN)
def test_what_cannot_be_looked_into_is_frozen_with_a_reason(name: str) -> None:
    make, reason = HIDDEN[name]
    model = make()
    protection = Protection(model)
    protection.consolidate([torch.randn(3, 6)])
    rows = protection.report().rows
    assert rows
    assert all(row.how == "frozen" and reason in row.why for row in rows)


def test_autocast_and_a_compiled_model_show_the_same_as_the_plain_one() -> None:
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4))
    inputs = torch.randn(3, 12)
    plain = Protection(model, Gpm(energy=1.0, first_energy=None))
    plain.consolidate([inputs])
    compiled = Protection(torch.compile(model, backend="eager"), Gpm(energy=1.0, first_energy=None))  # type: ignore[arg-type]
    compiled.consolidate([inputs])
    assert [g.rank for g in compiled.protected()] == [g.rank for g in plain.protected()]
    half = Protection(model, Gpm(energy=0.999, first_energy=None))
    with torch.autocast("cpu", torch.bfloat16):
        half.consolidate([inputs])
    assert [g.rank for g in half.protected()] == [g.rank for g in plain.protected()]


def test_a_model_in_half_precision_is_held_as_well_as_it_can_say() -> None:
    model = nn.Linear(64, 8).bfloat16()
    old, new = torch.randn(4, 64).bfloat16(), torch.randn(64, 64).bfloat16()
    protection = Protection(model, Gpm(energy=1.0, first_energy=None))
    protection.consolidate([old])
    with torch.no_grad():
        before = model(old).clone()
    train(model, new, protection)
    # A number of bfloat16 has eight bits: its own rounding is all that may be seen.
    assert change(model, old, before) < 0.02


def test_watching_training_sees_it_and_not_the_optimizer() -> None:
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4))
    protection = Protection(model, Gpm(energy=1.0, first_energy=None, samples=None))
    optimizer = torch.optim.Adam(model.parameters())
    data = torch.randn(5, 12)
    for _ in range(2):
        protection.attach(optimizer, every=2)
        with protection.watching():
            for _ in range(3):
                optimizer.zero_grad()
                model(data).square().mean().backward()
                optimizer.step()
        grown = protection.consolidate()
    assert [g.layer for g in grown] == ["0", "2"]
    # Five samples with their constant; the second layer has seen what six states of the first made of them.
    assert grown[0].rank == 5
    assert all(row.how == "protected" for row in protection.report().rows)
