"""The first rows of a world: how many of them, which ones, and for how long."""

from __future__ import annotations

import pytest
import torch

from lifelong.shift.unlabelled import gathering
from lifelong.shift.unlabelled.gathering import Gathering
from lifelong.shift.unlabelled.standard import Standard, random_directions


def numbered(first: int, count: int) -> torch.Tensor:
    return torch.arange(first, first + count).float()[:, None]


def test_all_rows_of_the_grace_are_given_once_and_in_order() -> None:
    kept = Gathering(grace=3, rows=100)
    assert kept.take(numbered(0, 10)) is None
    assert kept.take(numbered(10, 5)) is None
    found = kept.take(numbered(15, 10))
    assert found is not None
    assert torch.equal(found, numbered(0, 25))
    assert kept.state_dict() == {"batches": 0, "kept": []}


def test_of_large_batches_a_share_is_kept_from_all_over_each() -> None:
    kept = Gathering(grace=2, rows=16)
    kept.take(numbered(0, 80))
    found = kept.take(numbered(100, 8))
    assert found is not None
    assert found[:, 0].tolist() == [0, 10, 20, 30, 40, 50, 60, 70, *range(100, 108)]


def test_small_batches_prolong_the_grace() -> None:
    kept = Gathering(grace=2, rows=100)
    found = [kept.take(numbered(at, 1)) for at in range(16)]
    assert found[:15] == [None] * 15
    assert found[15] is not None


def test_very_wide_rows_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST_NUMBERS", 40 * 50)
    found = Gathering(grace=1, rows=100).take(torch.ones(90, 50))
    assert found is not None
    assert len(found) == 40


def test_rows_are_copied_out_of_what_they_are_views_of() -> None:
    kept, chunk = Gathering(grace=2, rows=100), torch.zeros(64, 2)
    kept.take(chunk[:32])
    chunk.fill_(7.0)
    found = kept.take(chunk[32:])
    assert found is not None
    assert found[:, 0].tolist() == [0.0] * 32 + [7.0] * 32


def test_standard_rows_by_hand() -> None:
    standard = Standard.of(torch.tensor([[1.0, 5.0, 1e7], [3.0, 5.0, 1e7 + 1]]))
    rows = standard(torch.tensor([[2.0, 5.0, 1e7], [4.0, 5.1, 2e7], [100.0, 4.9, 1e7]]))
    # The second number never varied; the third did by a rounding of itself alone, which counts for a twentieth.
    assert rows[:, :2].tolist() == [[0.0, 0.0], [2.0, 3.0], [3.0, -3.0]]
    assert rows[1, 2] == 3.0
    assert abs(rows[0, 2]) <= 0.11


def test_directions_are_the_axes_or_unit_vectors() -> None:
    assert torch.equal(random_directions(5, 8, seed=0), torch.eye(5))
    drawn = random_directions(50, 8, seed=3)
    torch.testing.assert_close(drawn.norm(dim=0), torch.ones(8))
    assert torch.equal(drawn, random_directions(50, 8, seed=3))
    assert not torch.equal(drawn, random_directions(50, 8, seed=4))
