"""Parts of a network come from one ancestor whatever happens around them, meet in one trunk, and can be made again."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from lifelong.assembly import Assembly
from lifelong.network import Cnn, Mlp, Network
from lifelong.objective import Classification, Contract, Regression

DIGITS = Contract((1, 8, 8), 10, Classification())
LARGE = Contract((1, 28, 28), 10, Classification())
COLOUR = Contract((3, 16, 12), 10, Classification())
TABLE = Contract((7,), 3, Regression())
OWN = Contract((1, 8, 8), 2, Classification(), own_head=True)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def asked(contract: Contract, count: int = 5) -> Tensor:
    return torch.randn(count, *contract.input_shape, generator=torch.Generator().manual_seed(3))


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def answers(assembly: Assembly, contract: Contract, lane: str = "a", task: str | None = None) -> Tensor:
    with torch.no_grad():
        outputs: Tensor = assembly(asked(contract), contract, lane, task)
    return outputs


def test_a_part_starts_alike_whatever_was_made_before_it_and_whatever_chance_did() -> None:
    one, other = Assembly(Mlp(), 0, "cpu"), Assembly(Mlp(), 0, "cpu")
    for contract in (DIGITS, LARGE, TABLE):
        one.grow(contract, "a")
    for contract in (TABLE, LARGE, DIGITS):
        torch.rand(17)
        other.grow(contract, "b")
    assert same(one.trunk, other.trunk)
    assert all(same(one.encoders[name], other.encoders[name]) for name in one.encoders)
    # Lanes are experts: all of them start from the ancestor's head.
    for contract in (DIGITS, LARGE, TABLE):
        assert torch.equal(answers(one, contract, "a"), answers(other, contract, "b"))


def test_lanes_and_tasks_start_alike_and_kinds_of_answers_do_not() -> None:
    assembly = Assembly(Mlp(hidden=(12,)), 0, "cpu")
    assembly.grow(DIGITS, "a")
    assembly.grow(DIGITS, "b")
    assembly.grow(Contract((1, 8, 8), 10, Regression()), "a")
    first, second, third = (assembly.heads[str(i)] for i in range(3))
    assert same(first, second)
    assert not same(first, third)


def test_another_seed_gives_other_weights() -> None:
    one, other = Assembly(Mlp(), 0, "cpu"), Assembly(Mlp(), 1, "cpu")
    for assembly in (one, other):
        assembly.grow(DIGITS, "a")
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert not torch.equal(mine, theirs)


@pytest.mark.parametrize("network", [Mlp(), Cnn()])
def test_making_parts_leaves_the_global_generator_alone(network: Network) -> None:
    state = torch.random.get_rng_state()
    assembly = Assembly(network, 5, "cpu")
    assembly.grow(DIGITS, "a")
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_making_parts_leaves_the_accelerators_generator_alone() -> None:
    state = torch.cuda.get_rng_state()
    on_gpu, on_cpu = Assembly(Mlp(), 5, "cuda"), Assembly(Mlp(), 5, "cpu")
    for assembly in (on_gpu, on_cpu):
        assembly.grow(DIGITS, "a")
    assert torch.equal(torch.cuda.get_rng_state(), state)
    assert same(on_gpu.cpu(), on_cpu)


@pytest.mark.parametrize(
    ("network", "contracts"),
    [(Mlp(hidden=(20, 9)), (DIGITS, LARGE, COLOUR, TABLE)), (Cnn(channels=(6, 10), hidden=9), (DIGITS, LARGE, COLOUR))],
)
def test_inputs_of_every_shape_meet_in_one_trunk(network: Network, contracts: tuple[Contract, ...]) -> None:
    assembly = Assembly(network, 0, "cpu")
    trunk = {id(p) for p in assembly.trunk.parameters()}
    for contract in contracts:
        assert not assembly.takes(contract)
        assert assembly.grow(contract, "a")
        assert assembly.takes(contract)
        assert assembly.features(asked(contract)).shape == (5, 9)
        assert answers(assembly, contract).shape == (5, contract.outputs)
    assert {id(p) for p in assembly.trunk.parameters()} == trunk
    assert [name for name, _ in assembly.body()] == [f"encoders.{name}" for name in assembly.encoders] + ["trunk"]


def test_features_are_what_heads_are_given() -> None:
    assembly = Assembly(Mlp(hidden=(20, 9)), 0, "cpu")
    assembly.grow(DIGITS, "a")
    wanted = assembly.heads["0"](assembly.features(asked(DIGITS)))
    assert torch.equal(answers(assembly, DIGITS), wanted)


def test_the_mlp_is_the_function_that_it_says_it_is() -> None:
    assembly = Assembly(Mlp(hidden=(20, 9), bias=False), 0, "cpu")
    assembly.grow(DIGITS, "a")
    first, second, third = (p.detach() for p in assembly.lane_parameters("a"))
    assert [tuple(w.shape) for w in (first, second, third)] == [(20, 64), (9, 20), (10, 9)]
    rows = asked(DIGITS).flatten(1)
    wanted = (rows @ first.T).relu() @ second.T
    assert torch.allclose(answers(assembly, DIGITS), wanted.relu() @ third.T, atol=1e-6)


def test_every_lane_has_a_head_of_its_own_and_growing_again_makes_nothing() -> None:
    assembly = Assembly(Mlp(hidden=(12,)), 0, "cpu")
    assert assembly.grow(DIGITS, "a")
    assert not assembly.grow(DIGITS, "a")
    assert assembly.serves(DIGITS, "a")
    assert not assembly.serves(DIGITS, "b")
    assert assembly.grow(DIGITS, "b")
    assert len(assembly.heads) == 2
    before = answers(assembly, DIGITS, "b")
    with torch.no_grad():
        for p in assembly.heads["0"].parameters():
            p.add_(1.0)
    assert torch.equal(answers(assembly, DIGITS, "b"), before)
    assert not torch.equal(answers(assembly, DIGITS, "a"), before)


def test_a_lane_trains_the_body_and_its_own_heads() -> None:
    assembly = Assembly(Mlp(hidden=(12,)), 0, "cpu")
    for lane in ("a", "b"):
        assembly.grow(DIGITS, lane)
    assembly.grow(TABLE, "b")
    mine, others = ({id(p) for p in assembly.lane_parameters(lane)} for lane in ("a", "b"))
    body = {id(p) for _, part in assembly.body() for p in part.parameters()}
    assert mine & others == body
    assert mine - body == {id(p) for p in assembly.heads["0"].parameters()}
    assert len(others - body) == 4
    assert mine | others == {id(p) for p in assembly.parameters()}


def test_tasks_have_heads_of_their_own_only_where_outputs_mean_something_else() -> None:
    assembly = Assembly(Mlp(hidden=(12,)), 0, "cpu")
    assert assembly.grow(OWN, "a", "first")
    assert assembly.grow(OWN, "a", "second")
    assert not assembly.serves(OWN, "a", "third")
    assert assembly.grow(DIGITS, "a", "first")
    assert not assembly.grow(DIGITS, "a", "second")
    assert assembly.serves(DIGITS, "a", "third")
    assert len(assembly.heads) == 3
    before = answers(assembly, OWN, "a", "second")
    with torch.no_grad():
        for p in assembly.heads["0"].parameters():
            p.add_(1.0)
    # Asked in turns, each task gets the answer of its own head.
    for _ in range(2):
        assert torch.equal(answers(assembly, OWN, "a", "second"), before)
        assert not torch.equal(answers(assembly, OWN, "a", "first"), before)


def grown() -> Assembly:
    assembly = Assembly(Cnn(channels=(4, 6), hidden=9), 0, "cpu")
    assembly.grow(DIGITS, "a")
    assembly.grow(COLOUR, "b")
    assembly.grow(OWN, "a", "first")
    with torch.no_grad():
        for number, p in enumerate(assembly.parameters()):
            p.add_(0.01 * number)
    return assembly


def test_parts_rebuilt_elsewhere_give_equal_outputs() -> None:
    assembly, twin = grown(), Assembly(Cnn(channels=(4, 6), hidden=9), 0, "cpu")
    # It has lived a little, in another order: what it had must not be taken for what is restored.
    twin.grow(OWN, "a", "first")
    twin.grow(LARGE, "c")
    answers(twin, OWN, "a", "first")
    twin.rebuild(copy.deepcopy(assembly.parts()))
    for contract, lane, task in ((DIGITS, "a", None), (COLOUR, "b", None), (OWN, "a", "first")):
        assert torch.equal(answers(twin, contract, lane, task), answers(assembly, contract, lane, task))
    assert not twin.takes(LARGE)
    assert [n for n, _ in twin.named_parameters()] == [n for n, _ in assembly.named_parameters()]
    # And it grows on alike.
    assert twin.grow(OWN, "a", "second") == assembly.grow(OWN, "a", "second")
    assert torch.equal(answers(twin, OWN, "a", "second"), answers(assembly, OWN, "a", "second"))


def test_a_mask_restricts_the_outputs_to_those_allowed() -> None:
    assembly = Assembly(Mlp(hidden=(12,)), 0, "cpu")
    masked = Contract((1, 8, 8), 10, Classification(), mask=(2, 7))
    assembly.grow(DIGITS, "a")
    assert not assembly.grow(masked, "a")
    free, bound = answers(assembly, DIGITS), answers(assembly, masked)
    assert torch.equal(bound[:, [2, 7]], free[:, [2, 7]])
    rest = [i for i in range(10) if i not in (2, 7)]
    assert bool((bound[:, rest] == torch.finfo(torch.float32).min).all())


@pytest.mark.parametrize("hidden", [(), (10, 0), (-1,)])
def test_an_mlp_without_positive_widths_is_refused(hidden: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"at least one positive width, got \["):
        Mlp(hidden=hidden)


@pytest.mark.parametrize(("channels", "hidden"), [((), 8), ((4, 0), 8), ((4,), 0)])
def test_a_cnn_without_positive_widths_is_refused(channels: tuple[int, ...], hidden: int) -> None:
    with pytest.raises(ValueError, match="channels and hidden must be positive"):
        Cnn(channels=channels, hidden=hidden)


def test_a_cnn_says_which_network_takes_inputs_that_are_no_images() -> None:
    with pytest.raises(ValueError, match=r"got \(7,\): use Mlp"):
        Assembly(Cnn(), 0, "cpu").grow(TABLE, "a")
