"""A sample is fair whatever batches rows come in, gathers only what it keeps, and is nobody else's memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.subspace.gpm import Gpm
from lifelong.subspace.protection import Protection
from lifelong.subspace.sampling import PER_CALL, Sample
from lifelong.subspace.use import Geometry, Use


@pytest.fixture(autouse=True)
def a_seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def use(inputs: Tensor) -> Use:
    return Use(Geometry(1, 2, inputs.shape[-1]), inputs, False)


def numbered(first: int, count: int) -> Tensor:
    """(N, 1) rows that say which they are."""
    return torch.arange(first, first + count, dtype=torch.float32)[:, None] + 1.0


def kept(sample: Sample) -> list[int]:
    (seen,) = sample.moments()
    assert seen.factor is not None
    return sorted(int(value) for value in seen.factor[:, 0])


@pytest.mark.parametrize("sizes", [[500], [100] * 5, [3, 497], [480, 1, 19], [50, 450]])
def test_the_same_rows_stay_whatever_batches_they_come_in(sizes: list[int]) -> None:
    sample, first = Sample(60, constant=False), 0
    for size in sizes:
        sample.add(use(numbered(first, size)))
        first += size
    draws = torch.rand(500, generator=torch.Generator().manual_seed(0))
    assert kept(sample) == sorted((draws.topk(60, largest=False).indices + 1).tolist())


def test_rows_that_do_not_stay_are_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered: list[int] = []
    rows = Use.rows

    def counted(self: Use, chosen: Tensor | None = None, constant: bool = False) -> Tensor:
        gathered.append(self.count() if chosen is None else len(chosen))
        return rows(self, chosen, constant)

    monkeypatch.setattr(Use, "rows", counted)
    sample = Sample(50, constant=False)
    for batch in range(40):
        sample.add(use(numbered(100 * batch, 100)))
    # Fifty of the first hundred, and of a later one fifty in as many hundreds as have passed.
    assert sum(gathered) < 50 * (1 + np.log(40)) * 1.3
    assert len(kept(sample)) == 50


@pytest.mark.parametrize("samples", [50, None])
def test_what_a_model_changes_in_place_is_kept_as_it_was(samples: int | None) -> None:
    model = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Flatten(), nn.Linear(6, 6, bias=False))
    inputs = torch.randn(4, 6)
    protection = Protection(model, Gpm(energy=1.0, first_energy=None, samples=samples))
    with torch.no_grad(), protection.watching():
        hidden = model[0](inputs)
        model[2](hidden)
        old = hidden.clone()
        hidden.zero_()
    protection.consolidate()
    basis = protection._ledger.accounts["2.weight"].keeper.directions()[0]  # type: ignore[attr-defined]
    assert basis.shape == (6, 4)
    assert (old - old @ basis @ basis.T).abs().max() < 1e-5


@pytest.mark.parametrize("samples", [20, None])
def test_the_chance_of_others_is_not_touched(samples: int | None) -> None:
    before = torch.get_rng_state()
    samplers = [Sample(samples, constant=False) for _ in range(2)]
    for sample in samplers:
        for _ in range(2):
            sample.add(use(numbered(0, PER_CALL + 7).expand(-1, 2000)))
    assert torch.equal(torch.get_rng_state(), before)
    one, other = (sample.moments()[0].factor for sample in samplers)
    assert one is not None
    assert other is not None
    assert torch.equal(one, other)


@pytest.mark.parametrize("samples", [5000, None])
@pytest.mark.parametrize("channels", [2, 8])
def test_the_basis_of_a_convolution_is_that_of_the_svd_of_its_patches(channels: int, samples: int | None) -> None:
    layer = nn.Conv2d(channels, 4, 3, padding=1, bias=False)
    protection = Protection(layer, Gpm(energy=0.9, first_energy=None, samples=samples))
    wanted = np.zeros((9 * channels, 0))
    for seed in range(3):
        smooth = F.avg_pool2d(torch.randn(12, channels, 14, 14) * (1 + seed), 5, 1)
        (growth,) = protection.consolidate(torch.split(smooth, 4))
        patches = F.unfold(smooth, 3, padding=1).transpose(1, 2).flatten(0, 1).double().numpy()
        rest = patches - patches @ wanted @ wanted.T
        _, values, right = np.linalg.svd(rest, full_matrices=False)
        # What is held with no new direction, with one, with two, and so on.
        held = 1 - ((rest**2).sum() - np.cumsum([0.0, *values**2])) / (patches**2).sum()
        wanted = np.concatenate([wanted, right[: int((held < 0.9).sum())].T], axis=1)
        assert growth.rank == wanted.shape[1]
        assert growth.energy >= 0.9
        basis = protection._ledger.kept()[0].keeper.directions()[0].double().numpy()  # type: ignore[attr-defined]
        assert np.abs(basis @ basis.T - wanted @ wanted.T).max() < 1e-5
