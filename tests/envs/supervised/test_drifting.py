"""Tables in the order of time: nothing looks ahead, labels lag as they become known, every start gives the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lifelong.check import check_stream
from lifelong.objective import Regression
from lifelong_envs.supervised.data import Arrays, Csv, Digits
from lifelong_envs.supervised.drifting import DriftingStream, drifting, latest, standardised

CPU = torch.device("cpu")


def table(rows: int = 60, ahead: int = 5, seed: int = 0) -> Arrays:
    draw = torch.Generator().manual_seed(seed)
    inputs = 3.0 + 2.0 * torch.randn(rows, 3, generator=draw)
    labels = torch.randint(3, (rows,), generator=draw)
    return Arrays(inputs[:-ahead], labels[:-ahead], inputs[-ahead:], labels[-ahead:], name="table")


def served(stream: DriftingStream) -> tuple[Tensor, Tensor]:
    batches = [batch for batch, _ in stream.experiences()]
    return torch.cat([b.inputs for b in batches]), torch.cat([b.targets for b in batches])


@pytest.mark.parametrize(("batch", "lags"), [(1, 0), (1, 2), (7, 1), (100, 3)])
def test_it_keeps_the_laws_of_streams(batch: int, lags: int) -> None:
    check_stream(drifting(table(), batch, lags))


def test_rows_come_once_in_order_and_the_last_ones_are_never_learned() -> None:
    data = table()
    stream = drifting(data, batch_size=8)
    inputs, labels = served(stream)
    assert labels.tolist() == data.train_targets.tolist()
    (task,) = stream.tasks
    assert task.test_targets.tolist() == data.test_targets.tolist()
    both = torch.cat([torch.as_tensor(data.train_inputs), torch.as_tensor(data.test_inputs)])
    torch.testing.assert_close(torch.cat([inputs, task.test_inputs]), standardised(both))
    assert [(s.task, s.steps) for s in stream.segments] == [("table", 7)]


def test_standardising_is_by_the_rows_so_far() -> None:
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 100.0, 1e-3, 1.0]) + 50.0
    rows[:, 3] = 7.0
    found = standardised(rows)
    for t in range(50):
        past = rows[: t + 1].double()
        deviation = past.std(0, correction=0)
        wanted = torch.where(deviation > 0, (past[-1] - past.mean(0)) / deviation.where(deviation > 0, 1.0), 0.0)
        torch.testing.assert_close(found[t], wanted.float(), atol=1e-5, rtol=1e-4)
    assert (found[:, 3] == 0).all()


@pytest.mark.parametrize("lags", [0, 2])
def test_no_row_depends_on_what_comes_after_it(lags: int) -> None:
    first = table()
    changed = table()
    inputs, labels = torch.as_tensor(changed.train_inputs), torch.as_tensor(changed.train_targets)
    inputs[30:] *= -50.0
    labels[30:] = 2 - labels[30:]
    before, after = served(drifting(first, lags=lags))[0], served(drifting(changed, lags=lags))[0]
    assert torch.equal(before[:30], after[:30])
    # The row's own inputs count from row 30 on, its own label from row 31 on.
    assert not torch.equal(before[30:], after[30:])
    labels_only = table()
    torch.as_tensor(labels_only.train_targets)[30] += 1
    torch.as_tensor(labels_only.train_targets)[30] %= 3
    other = served(drifting(labels_only, lags=lags))[0]
    differing = (before != other).any(1).nonzero().flatten().tolist()
    assert differing == list(range(31, 31 + lags))


def test_lags_are_the_latest_labels_known_when_the_batch_comes() -> None:
    answers = torch.eye(5)
    one_by_one = latest(answers, lags=2, batch=1)
    assert one_by_one[:, :5].tolist() == [[0.0] * 5, *answers[:4].tolist()]
    assert one_by_one[:, 5:].tolist() == [[0.0] * 5, [0.0] * 5, *answers[:3].tolist()]
    in_twos = latest(answers, lags=1, batch=2)
    assert in_twos.tolist() == [[0.0] * 5, [0.0] * 5, answers[1].tolist(), answers[1].tolist(), answers[3].tolist()]


def test_lags_of_a_regression_are_numbers_and_the_name_tells_the_variant() -> None:
    draw = torch.Generator().manual_seed(0)
    inputs, values = torch.randn(30, 2, generator=draw), torch.randn(30, generator=draw)
    stream = drifting(Arrays(inputs[:25], values[:25], inputs[25:], values[25:], name="prices"), lags=1)
    assert isinstance(stream.tasks[0].contract.objective, Regression)
    assert stream.tasks[0].name == stream.name == "prices, 1 label lag"
    torch.testing.assert_close(served(stream)[0][1:, 2], values[:24])


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be 1 or more"):
        drifting(table(), batch_size=0)
    with pytest.raises(ValueError, match="lags 0 or more"):
        drifting(table(), lags=-1)
    with pytest.raises(ValueError, match=r"expected rows of shape \(columns,\)"):
        drifting(Digits())
    with pytest.raises(ValueError, match="has 55 steps, it cannot start at step 56"):
        drifting(table()).experiences(56)


def test_a_csv_can_leave_the_numbers_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("1,5,a\n2,6,b\n3,7,a\n4,8,b\n")
    data = Csv(file, header=False, split="time", test_share=0.25, standardise="never").load(CPU)
    assert data.train_inputs.tolist() == [[1, 5], [2, 6], [3, 7]]
    assert data.test_inputs.tolist() == [[4, 8]]
    with pytest.raises(ValueError, match="standardise='test'"):
        Csv(file, standardise="test")  # type: ignore[arg-type]


def test_units_do_not_matter_so_a_table_standardised_before_gives_the_same() -> None:
    data = table()
    other = Arrays(
        1000.0 * torch.as_tensor(data.train_inputs) - 3.0, data.train_targets, data.test_inputs, data.test_targets
    )
    torch.testing.assert_close(served(drifting(data))[0], served(drifting(other))[0], atol=2e-4, rtol=1e-3)


def test_the_real_tables_have_their_known_rows_and_dummy(real: Callable[[str], Path]) -> None:
    def stream(rows: str, labels: str, delimiter: str, drop: list[str | int] | None = None) -> DriftingStream:
        data = Csv(
            real(rows),
            labels_file=real(labels),
            delimiter=delimiter,
            header=False,
            split="time",
            test_share=0.01,
            drop=drop,
            standardise="never",
        )
        return drifting(data, batch_size=64)

    outdoor = stream("outdoor/outdoorStream.data.gz", "outdoor/outdoorStream.labels", "whitespace")
    weather = stream("noaa_weather/NEweather_data.csv.gz", "noaa_weather/NEweather_class.csv", ",")
    for found, rows, columns, dummy in ((outdoor, 3960, 21, 0.902), (weather, 17977, 8, 0.680)):
        inputs, labels = served(found)
        assert inputs.shape == (rows, columns)
        assert (labels[1:] == labels[:-1]).float().mean() == pytest.approx(dummy, abs=2e-3)
