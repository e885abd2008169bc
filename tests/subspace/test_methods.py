"""Each method against its definition, in float64: importances, recursion, null spaces, singular triples."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from lifelong.subspace.coso import Coso
from lifelong.subspace.factor import Projection, Span, weighted
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.inflora import InfLora
from lifelong.subspace.method import Keeper, Method
from lifelong.subspace.nscl import Nscl
from lifelong.subspace.null_space import NullSpace
from lifelong.subspace.o_lora import OLora
from lifelong.subspace.osft import Osft
from lifelong.subspace.owm import Owm
from lifelong.subspace.protection import Protection
from lifelong.subspace.ridge import Ridge
from lifelong.subspace.sgp import Sgp


@pytest.fixture(autouse=True)
def a_seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def spectrum(n: int, d: int) -> Tensor:
    mixing: Tensor = torch.linalg.qr(torch.randn(d, d)).Q
    return torch.randn(n, d) * torch.linspace(1.0, -2.0, d).exp() @ mixing


def kept(method: Method, layer: nn.Module, *tasks: Tensor) -> Keeper:
    protection = Protection(layer, method)
    for batches in tasks:
        protection.consolidate([batches] if batches.ndim == 2 else list(batches))
    return protection._ledger.kept()[0].keeper


def operator(projection: Projection, size: int) -> Tensor:
    """(D, D): what a step is multiplied by from the right."""
    return projection.permit(torch.eye(size)[None])[0].double()


def test_sgp_weighs_directions_as_its_equations_say() -> None:
    first, second, alpha, energy = spectrum(60, 24), spectrum(60, 24), 5.0, 0.9
    keeper = kept(Sgp(alpha, energy, None), nn.Linear(24, 3, bias=False), first, second)
    _, values, right = torch.linalg.svd(first.double(), full_matrices=False)
    taken = int((values.square().cumsum(0) / values.square().sum() < energy).sum()) + 1
    u, weights = right[:taken].T, (alpha + 1) * values[:taken] / (alpha * values[:taken] + values[0])
    rest = second.double() - second.double() @ u @ u.T
    _, fresh, right = torch.linalg.svd(rest, full_matrices=False)
    total = second.double().square().sum()
    held = 1 - rest.square().sum() / total
    more = int((held + fresh.square().cumsum(0) / total < energy).sum()) + 1
    strengths = torch.cat([(second.double() @ u).norm(dim=0), fresh[:more]])
    again = (alpha + 1) * strengths / (alpha * strengths + strengths.max())
    again[:taken] += weights
    u, weights = torch.cat([u, right[:more].T], dim=1), again.clamp_max(1.0)
    wanted = torch.eye(24).double() - u @ torch.diag(weights) @ u.T
    assert torch.allclose(operator(keeper.projection(), 24), wanted, atol=1e-5)
    assert keeper.rank == pytest.approx(float(weights.sum()), abs=1e-5)
    assert 0 < keeper.rank < taken + more


def test_owm_is_the_recursion_of_its_authors() -> None:
    alpha, batches = 0.3, torch.randn(40, 16, 12) + torch.randn(12)
    keeper = kept(Owm(alpha), nn.Linear(12, 3, bias=False), batches[:25], batches[25:])
    p = torch.eye(12).double()
    for x in batches.double().mean(dim=1):
        k = p @ x / (alpha + x @ p @ x)
        p = p - torch.outer(k, x @ p)
    assert torch.allclose(operator(keeper.projection(), 12), p, atol=1e-5)


@pytest.mark.parametrize("samples", [None, 200])
@pytest.mark.parametrize("size", [20, 90])
def test_a_ridge_is_its_closed_form_whatever_the_scale_of_a_task(size: int, samples: int | None) -> None:
    data = [spectrum(60, size) for _ in range(3)]
    keeper = kept(Ridge(0.3, samples), nn.Linear(size, 3, bias=False), *data)
    total = sum(size * part.double().T @ part.double() / part.double().square().sum() for part in data)
    assert torch.is_tensor(total)
    wanted = 0.3 * torch.linalg.inv(total + 0.3 * torch.eye(size))
    p = operator(keeper.projection(), size)
    assert torch.allclose(p, wanted, atol=1e-5)
    scaled = kept(Ridge(0.3, samples), nn.Linear(size, 3, bias=False), data[0], 100.0 * data[1], 0.01 * data[2])
    assert torch.allclose(operator(scaled.projection(), size), p, atol=1e-5)
    # Its promise: what a movement does to old outputs is bounded by the ridge, in every direction.
    assert float(torch.linalg.eigvalsh(p @ total @ p).max()) <= 0.3 / 4 + 1e-6


@pytest.mark.parametrize("tasks", [1, 2])
def test_nscl_leaves_free_what_its_covariance_says(tasks: int) -> None:
    data = [spectrum(50, 20)[:, None, :].expand(50, 2, 20) for _ in range(tasks)]
    keeper = kept(Nscl(spread=10.0), nn.Linear(20, 3, bias=False), *data)
    means = torch.cat([part.double().mean(1) for part in data])
    values, vectors = torch.linalg.eigh(means.T @ means)
    free = vectors[:, values <= 10.0 * values[0]]
    assert 0 < free.shape[1] < 20
    assert torch.allclose(operator(keeper.projection(), 20), free @ free.T, atol=1e-5)
    shrunk = kept(Nscl(spread=10.0, shrinks=True), nn.Linear(20, 3, bias=False), *data)
    assert torch.allclose(operator(shrunk.projection(), 20), free @ free.T / free.shape[1] ** 0.5, atol=1e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_osft_keeps_the_leading_triples_of_the_weight(bias: bool) -> None:
    layer = nn.Linear(16, 10, bias=bias)
    protection = Protection(layer, Osft(least=0.2, most=0.6))
    (growth,) = protection.consolidate([torch.randn(30, 16)])
    assert (growth.rank, growth.size) == (4, 10)
    u, s, v = torch.linalg.svd(layer.weight.detach().double(), full_matrices=False)
    start = layer.weight.detach().clone()
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-2, weight_decay=0.1)
    protection.attach(optimizer)
    for _ in range(50):
        optimizer.zero_grad()
        layer(torch.randn(32, 16)).sub(1).square().mean().backward()
        optimizer.step()
    now = layer.weight.detach().double()
    assert (now - start).norm() > 0.1
    assert torch.allclose(now @ v[:4].T, u[:, :4] * s[:4], atol=1e-5)
    assert torch.allclose(u[:, :4].T @ now, s[:4, None] * v[:4], atol=1e-5)


def test_osft_keeps_more_of_a_layer_that_passes_its_inputs_on() -> None:
    through, across = nn.Linear(12, 12, bias=False), nn.Linear(12, 12, bias=False)
    through.weight.data.copy_(torch.eye(12))
    across.weight.data.copy_(torch.linalg.qr(torch.randn(12, 12)).Q)
    ranks = [kept(Osft(), layer, torch.randn(100, 12)).rank for layer in (through, across)]
    assert ranks[0] == round(0.8 * 12)
    assert ranks[1] < 5


def test_inflora_learns_in_the_leading_free_directions_of_the_new_inputs() -> None:
    layer, old, new = nn.Linear(20, 4, bias=False), torch.randn(6, 20), spectrum(50, 20)
    protection = Protection(layer, InfLora(rank=3, gpm=Gpm(energy=1.0, first_energy=None)))
    protection.consolidate([old])
    protection.begin([new])
    inside = protection._ledger.kept()[0].keeper.projection().coordinates
    assert isinstance(inside, Span)
    columns = inside.columns
    u = torch.linalg.qr(old.double().T).Q
    rest = new.double() - new.double() @ u @ u.T
    wanted = torch.linalg.svd(rest, full_matrices=False)[2][:3].T
    assert torch.allclose(columns[0].double() @ columns[0].double().T, wanted @ wanted.T / 3, atol=1e-5)
    start = layer.weight.detach().clone()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    protection.attach(optimizer)
    layer(new).square().mean().backward()
    optimizer.step()
    assert torch.linalg.matrix_rank(layer.weight.detach() - start, atol=1e-5) == 3
    # What was looked at as the task began is no sample of the task that is kept at its end.
    protection.consolidate([old[:1]])
    assert protection.protected()[0].rank == 6


def overlap(penalty: float) -> float:
    """|A_new A_old^T| at the end of a second task."""
    torch.manual_seed(2)
    layer = nn.Linear(16, 6)
    protection = Protection(layer, OLora(rank=3, penalty=penalty))
    for _ in range(2):
        inputs, wanted = torch.randn(64, 16), torch.randn(64, 6)
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        protection.begin([inputs])
        protection.attach(optimizer)
        start, first = layer.weight.detach().clone(), float((layer(inputs) - wanted).square().mean().detach())
        for _ in range(150):
            optimizer.zero_grad()
            (layer(inputs) - wanted).square().mean().backward()
            optimizer.step()
        assert int(torch.linalg.matrix_rank(layer.weight.detach() - start, atol=1e-4)) == 3
        assert float((layer(inputs) - wanted).square().mean().detach()) < 0.95 * first
        protection.consolidate([inputs])
    past = protection._ledger.kept()[0].keeper.state_dict()["past"][0]
    assert past.shape == (6, 17)
    return float((past[3:] @ past[:3].T).abs().sum())


def test_o_lora_learns_in_low_rank_and_away_from_what_was_learned() -> None:
    assert overlap(0.5) < 0.3 * overlap(0.0)


@pytest.mark.parametrize("thinner", [False, True])
@pytest.mark.parametrize("rank", [3, 9])
def test_a_weighted_factor_is_the_same_in_both_forms(rank: int, thinner: bool) -> None:
    u = torch.linalg.qr(torch.randn(10, rank)).Q
    weights = torch.linspace(1.0, 0.2, rank)
    factor = weighted(u, weights, thinner)
    wanted = torch.eye(10) - u @ torch.diag(weights) @ u.T
    assert torch.allclose(factor.permit(torch.eye(10)[None])[0], wanted, atol=1e-6)
    assert not factor.hard


METHODS: list[Method] = [Gpm(), Sgp(), Nscl(), Owm(), Ridge(), Osft(), NullSpace(), InfLora(rank=2), Coso(side="input")]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_a_restored_protection_is_the_same_and_goes_on_the_same(method: Method) -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten(), nn.Linear(16, 8))
    first, second = torch.randn(4, 2, 4, 4), torch.randn(4, 2, 4, 4)
    protection, twin = Protection(model, method), Protection(model, method)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with protection.watching():
        model(first)
    handle = protection.attach(optimizer)
    model(first).square().mean().backward()
    optimizer.step()
    handle.detach()
    protection.consolidate([first])
    twin.load_state_dict(copy.deepcopy(protection.state_dict()))
    assert str(twin.report()) == str(protection.report())
    assert protection.used() > 0
    for one in (protection, twin):
        if method.feels:
            handle = one.attach(optimizer)
            optimizer.zero_grad()
            model(second).square().mean().backward()
            optimizer.step()
            handle.detach()
        one.consolidate([second])
    assert str(twin.report()) == str(protection.report())
    for mine, theirs in zip(protection._ledger.kept(), twin._ledger.kept(), strict=True):
        geometry = mine.site.geometry
        step = torch.randn(geometry.groups, geometry.outputs, mine.site.size)
        assert torch.equal(mine.keeper.projection().permit(step), theirs.keeper.projection().permit(step))


BAD: list[tuple[type, dict[str, object], str]] = [
    (Sgp, {"alpha": -1.0}, "alpha must not be negative, got -1.0"),
    (Sgp, {"energy": 0.0}, r"energy must be in \(0, 1\], got 0.0"),
    (Nscl, {"spread": 0.5}, "spread must be at least 1, .*got 0.5"),
    (Owm, {"alpha": 0.0}, "alpha must be positive, got 0.0"),
    (Ridge, {"ridge": 0.0}, "ridge must be positive, got 0.0"),
    (Ridge, {"samples": 0}, "samples must be at least 1, or None .*got 0"),
    (Osft, {"least": 0.9}, "0 <= least <= most <= 1, got least=0.9, most=0.8"),
    (Osft, {"samples": 0}, "samples must be at least 1, got 0"),
    (InfLora, {"rank": 0}, "rank must be at least 1, got 0"),
    (OLora, {"rank": 0}, "rank must be at least 1, got 0"),
    (OLora, {"penalty": -1.0}, "penalty must not be negative, got -1.0"),
    (Coso, {"side": "left"}, "side must be 'output' or 'input', got 'left'"),
    (Coso, {"sketch": 0}, "sketch must have at least one row, got 0"),
]


@pytest.mark.parametrize(("method", "settings", "message"), BAD)
def test_bad_settings_are_refused_with_their_numbers(method: type, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(**settings)
