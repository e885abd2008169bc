"""The fused calls of recurrent layers: rows are what each weight multiplied, as a cell unrolled by hand shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lifelong.subspace.protection import Protection
from lifelong.subspace.use import Use
from lifelong.subspace.watch import Watch


@pytest.fixture(autouse=True)
def a_seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class Notes:
    """A watcher that keeps the rows of each weight, with its bias."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Tensor]] = defaultdict(list)
        self.biases: dict[str, str | None] = {}
        self.reasons: dict[str, str] = {}

    def used(self, weight: str, bias: str | None, use: Use) -> None:
        self.rows[weight].append(use.rows()[0])
        self.biases[weight] = bias

    def misunderstood(self, name: str, why: str) -> None:
        self.reasons[name] = why


def watched(layer: nn.RNNBase, *inputs: Any) -> tuple[Notes, Any]:
    notes = Notes()
    with torch.no_grad(), Watch(dict(layer.named_parameters()), notes):
        outputs = layer(*inputs)
    return notes, outputs


def by_hand(layer: nn.RNNBase, sequences: list[Tensor]) -> dict[str, Tensor]:
    """Sorted rows of every weight, from one cell at a time, for (T, D) sequences that begin with zeros."""
    cells = {"LSTM": nn.LSTMCell, "GRU": nn.GRUCell, "RNN_TANH": nn.RNNCell, "RNN_RELU": nn.RNNCell}
    rows: dict[str, list[Tensor]] = defaultdict(list)
    for sequence in sequences:
        inputs = sequence
        for depth in range(layer.num_layers):
            ways = []
            for suffix in ["", "_reverse"][: 2 if layer.bidirectional else 1]:
                cell = cells[layer.mode](inputs.shape[1], layer.hidden_size, bias=layer.bias)
                if isinstance(cell, nn.RNNCell):
                    cell.nonlinearity = layer.mode.removeprefix("RNN_").lower()
                for name, p in cell.named_parameters():
                    p.data = getattr(layer, f"{name}_l{depth}{suffix}").detach()
                hidden, state, answers = torch.zeros(1, layer.hidden_size), None, []
                for step in inputs.flip(0) if suffix else inputs:
                    rows[f"weight_ih_l{depth}{suffix}"].append(step)
                    rows[f"weight_hh_l{depth}{suffix}"].append(hidden[0])
                    with torch.no_grad():
                        state = cell(step[None], state)
                    hidden = state[0] if isinstance(state, tuple) else state
                    answers.append(hidden)
                ways.append(torch.cat(answers[::-1] if suffix else answers))
            inputs = torch.cat(ways, dim=1)
    return {name: in_order(torch.stack(kept)) for name, kept in rows.items()}


def in_order(rows: Tensor) -> Tensor:
    """The rows sorted by all that they hold, give or take rounding."""
    return torch.tensor(sorted(rows.mul(1e4).round().div(1e4).tolist()))


LAYERS: Mapping[str, nn.RNNBase] = {
    "lstm": nn.LSTM(3, 5),
    "lstm without bias": nn.LSTM(3, 5, bias=False),
    "lstm, deep and both ways": nn.LSTM(3, 3, num_layers=3, bidirectional=True),
    "gru both ways": nn.GRU(3, 5, bidirectional=True),
    "rnn": nn.RNN(3, 5, num_layers=2),
    "rnn with relu": nn.RNN(3, 5, nonlinearity="relu"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_rows_are_those_of_a_cell_that_is_unrolled_by_hand(name: str, packed: bool) -> None:
    layer = LAYERS[name]
    data, lengths = torch.randn(6, 4, 3), [6, 3, 3, 1] if packed else [6] * 4
    given: Tensor | PackedSequence = pack_padded_sequence(data, torch.tensor(lengths)) if packed else data
    notes, _ = watched(layer, given)
    assert notes.reasons == {}
    wanted = by_hand(layer, [data[:length, i] for i, length in enumerate(lengths)])
    assert notes.rows.keys() == wanted.keys()
    for weight, rows in wanted.items():
        assert torch.allclose(in_order(torch.cat(notes.rows[weight])), rows, atol=3e-4)
        assert notes.biases[weight] == (weight.replace("weight", "bias") if layer.bias else None)


def test_without_a_batch_and_with_a_state_of_ones_own() -> None:
    layer, inputs = nn.GRU(3, 5, batch_first=True), torch.randn(7, 3)
    state = torch.randn(1, 5)
    notes, (outputs, _) = watched(layer, inputs, state)
    assert torch.allclose(torch.cat(notes.rows["weight_hh_l0"]), torch.cat([state, outputs[:-1]]), atol=1e-6)
    first, _ = watched(layer, inputs[None], state[None])
    assert torch.equal(first.rows["weight_ih_l0"][0], inputs)


def test_dropout_between_layers_is_what_it_was_in_the_call() -> None:
    layer, inputs = nn.LSTM(3, 5, num_layers=3, dropout=0.5), torch.randn(4, 2, 3)
    notes, (outputs, _) = watched(layer.train(), inputs)
    hidden = notes.rows["weight_hh_l2"][0]
    assert torch.allclose(hidden[2:].view(3, 2, 5), outputs[:-1], atol=1e-6)
    assert float((notes.rows["weight_ih_l1"][0] == 0).float().mean()) > 0.2
    torch.manual_seed(5)
    with torch.no_grad():
        plain = layer(inputs)[0]
    torch.manual_seed(5)
    assert torch.equal(watched(layer, inputs)[1][0], plain)


def test_the_inputs_of_a_projection_leave_no_trace_so_it_is_frozen_alone() -> None:
    layer = nn.LSTM(3, 5, proj_size=2)
    protection = Protection(layer)
    protection.consolidate([torch.randn(2, 2, 3)])
    how = {row.parameter: row.how for row in protection.report().rows}
    assert how.pop("weight_hr_l0") == "frozen"
    assert set(how.values()) == {"protected"}
    assert "used by lstm" in protection.report().of("weight_hr_l0").why


def test_weights_that_lie_in_one_piece_of_memory_are_told_apart() -> None:
    """As a GPU has them: one flat buffer, of which every weight is a part."""
    layer = nn.GRU(4, 4)
    apart, _ = watched(layer, torch.ones(3, 2, 4))
    flat, start = torch.cat([p.detach().flatten() for p in layer.parameters()]), 0
    for p in layer.parameters():
        p.data = flat[start : start + p.numel()].view(p.shape)
        start += p.numel()
    together, _ = watched(layer, torch.ones(3, 2, 4))
    assert together.biases == apart.biases == {"weight_ih_l0": "bias_ih_l0", "weight_hh_l0": "bias_hh_l0"}
    for weight, rows in apart.rows.items():
        assert torch.equal(together.rows[weight][0], rows[0])
    assert together.reasons == {}
