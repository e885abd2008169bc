"""What a network knew it still knows, to the last digits, after it has learned something else under its memory."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.subspace.choose import Wish
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Method
from lifelong.subspace.null_space import NullSpace
from lifelong.subspace.protection import Protection
from lifelong.subspace.report import Growth

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(40, 32), nn.ReLU(), nn.LayerNorm(32), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 5))


def cnn() -> nn.Module:
    """(B, 4, 8, 8) -> (B, 5), through padding, stride, a norm and a bias-free convolution."""
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1, stride=2),
        nn.GroupNorm(4, 8),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12 * 16, 5),
    )


class Attentive(nn.Module):
    """(B, 6, 16) -> (B, 6, 16): attention runs its output layer's weight without calling the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(16))
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.last = nn.Linear(16, 16)

    def forward(self, inputs: Tensor) -> Tensor:
        inputs = inputs + self.start
        outputs: Tensor = self.last(self.attention(inputs, inputs, inputs, need_weights=False)[0])
        return outputs


Answer = Callable[[Tensor], Tensor]


def whole(parts: list[tuple[str, nn.Module]]) -> Answer:
    """The parts, one after the other."""

    def answer(inputs: Tensor) -> Tensor:
        for _, part in parts:
            inputs = part(inputs)
        return inputs

    return answer


Parts = list[tuple[str, nn.Module]]


def learn(parts: Parts, inputs: Tensor, memory: Protection | None) -> float:
    """Fit a random constant for 60 steps with momentum and decay; the share of the loss that is left."""
    answer = whole(parts)
    parameters = [p for _, part in parts for p in part.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.02, momentum=0.9, weight_decay=0.01)
    if memory is not None:
        memory.attach(optimizer, every=1)
    wanted = torch.randn(answer(inputs[:1]).shape).expand_as(answer(inputs)) * 3
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.mse_loss(answer(inputs), wanted)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses[-1] / losses[0]


def protection(parts: Parts, first: float = 1.0, energy: float = 1.0, samples: int | None = 1000) -> Protection:
    return Protection(lambda: parts, Gpm(energy, first, samples=samples), norms="refuse")


def remember(parts: Parts, old: Tensor, memory: Protection | None = None) -> tuple[Protection, list[Growth]]:
    memory = memory if memory is not None else protection(parts)
    return memory, memory.consolidate([old], whole(parts))


def held(memory: Protection, parts: Parts) -> set[int]:
    """The parameters of the parts that one of the holds works on, each of them once."""
    optimizer = torch.optim.SGD([p for _, part in parts for p in part.parameters()], lr=0.1)
    ids = [
        id(p)
        for hold in memory.holds(optimizer, Wish("project", 1))
        for t in hold.tensors()
        for _, part in parts
        for p in part.parameters()
        if p.data_ptr() == t.data_ptr()
    ]
    assert len(ids) == len(set(ids))
    return set(ids)


CASES = {
    "mlp": (mlp, (40,), 12),
    "cnn": (cnn, (4, 8, 8), 2),
    "attention": (Attentive, (6, 16), 1),
    "one-dimensional convolution": (
        lambda: nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 36)),
        (4, 8),
        1,
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("split", [False, True])
def test_old_outputs_survive_new_learning(case: str, split: bool) -> None:
    make, shape, count = CASES[case]
    net = make()
    if split and isinstance(net, nn.Sequential):
        # As in a grown network: an encoder, which may hold no layer that has a basis, and a trunk.
        parts: list[tuple[str, nn.Module]] = [("encoders.x", net[:1]), ("trunk", net[1:])]
    else:
        parts = [("net", net)]
    old, new = torch.randn(count, *shape), torch.randn(64, *shape)
    answer = whole(parts)
    before = answer(old).detach()
    memory, grown = remember(parts, old)
    assert grown
    assert all(0 < g.rank < g.size and g.energy > 1 - 1e-6 for g in grown)
    learned = learn(parts, new, memory)
    assert learned < 0.95
    assert float((answer(old).detach() - before).norm() / before.norm()) < 1e-4


@pytest.mark.parametrize("case", CASES)
def test_without_the_memory_old_outputs_are_lost(case: str) -> None:
    make, shape, count = CASES[case]
    parts = [("net", make())]
    old, new = torch.randn(count, *shape), torch.randn(64, *shape)
    before = whole(parts)(old).detach()
    learn(parts, new, None)
    assert float((whole(parts)(old).detach() - before).norm() / before.norm()) > 0.05


def test_a_second_task_is_kept_beside_the_first() -> None:
    parts = [("net", mlp())]
    answer = whole(parts)
    first, second, new = torch.randn(8, 40), torch.randn(8, 40), torch.randn(64, 40)
    memory, (one, *_) = remember(parts, first)
    learn(parts, second, memory)
    before = answer(torch.cat([first, second])).detach()
    two, *_ = memory.consolidate([second], answer)
    # 8 inputs with the constant one: the second task brings 8 more directions in all.
    assert (one.rank, two.rank) == (8, 16)
    learn(parts, new, memory)
    after = answer(torch.cat([first, second])).detach()
    assert float((after - before).norm() / before.norm()) < 1e-4


def test_the_layer_that_sees_the_data_and_the_rest_keep_their_own_share_of_energy() -> None:
    # Ten directions of equal energy: a share of 0.45 takes five of them, one of 0.85 nine.
    inputs = torch.eye(10)
    encoder, trunk = nn.Linear(10, 10, bias=False), nn.Linear(10, 4, bias=False)
    encoder.weight.data.copy_(torch.eye(10))
    parts: Parts = [("trunk", trunk), ("encoders.x", encoder)]
    memory = protection(parts, first=0.45, energy=0.85)
    grown = memory.consolidate([inputs], lambda batch: trunk(encoder(batch)))
    assert [(g.layer, g.rank, g.size, round(g.energy, 6)) for g in grown] == [
        ("encoders.x", 5, 10, 0.5),
        ("trunk", 9, 10, 0.9),
    ]
    assert memory.used() == pytest.approx(0.9)


def test_nothing_is_held_or_used_before_the_first_consolidation() -> None:
    parts: Parts = [("net", cnn())]
    memory = protection(parts)
    assert held(memory, parts) == set()
    assert memory.used() == 0.0
    with memory.watching():
        whole(parts)(torch.randn(2, 4, 8, 8))
    assert held(memory, parts) == set()


def test_after_it_every_parameter_of_what_ran_is_held_once() -> None:
    parts: Parts = [("net", cnn())]
    memory, _ = remember(parts, torch.randn(2, 4, 8, 8))
    assert held(memory, parts) == {id(p) for p in parts[0][1].parameters()}


def test_norms_are_frozen_after_the_first_consolidation() -> None:
    net = cnn()
    norm = net.get_submodule("1")
    assert isinstance(norm, nn.GroupNorm)
    first = norm.weight.detach().clone()
    learn([("net", net)], torch.randn(8, 4, 8, 8), protection([("net", net)]))
    before = norm.weight.detach().clone()
    assert not torch.equal(before, first)
    memory, _ = remember([("net", net)], torch.randn(2, 4, 8, 8))
    learn([("net", net)], torch.randn(8, 4, 8, 8), memory)
    assert torch.equal(norm.weight, before)


def test_an_encoder_that_came_later_is_free() -> None:
    def encoder(size: int) -> nn.Module:
        return nn.Sequential(nn.Linear(size, 8), nn.LayerNorm(8))

    trunk = nn.Linear(8, 4)
    old: list[tuple[str, nn.Module]] = [("encoders.1x28x28", encoder(784)), ("trunk", trunk)]
    everything = list(old)
    memory, _ = remember(everything, torch.randn(3, 784), protection(everything))
    # Its name is the beginning of the other's name, which must not make it old.
    later = encoder(56)
    everything.append(("encoders.1x28x2", later))
    ids = held(memory, everything)
    assert ids == {id(p) for _, part in old for p in part.parameters()}
    assert ids.isdisjoint(id(p) for p in later.parameters())


def test_a_layer_that_did_not_run_is_not_protected() -> None:
    used, idle = nn.Linear(6, 3), nn.Linear(6, 3)
    parts: Parts = [("heads.0", used), ("heads.1", idle)]
    memory = protection(parts)
    grown = memory.consolidate([torch.randn(2, 6)], used)
    assert [g.layer for g in grown] == ["heads.0"]
    assert held(memory, parts) == {id(p) for p in used.parameters()}


def test_a_restored_memory_holds_alike_and_grows_alike() -> None:
    net = cnn()
    parts: Parts = [("net", net)]
    memory, _ = remember(parts, torch.randn(2, 4, 8, 8))
    twin = protection(parts)
    twin.load_state_dict(copy.deepcopy(memory.state_dict()))
    ends = []
    start = copy.deepcopy(net.state_dict())
    for one in (memory, twin):
        net.load_state_dict(start)
        torch.manual_seed(5)
        learn(parts, torch.randn(8, 4, 8, 8), one)
        ends.append(copy.deepcopy(net.state_dict()))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in start)
    more = torch.randn(1, 4, 8, 8)
    assert twin.used() == memory.used() > 0
    assert str(twin.report()) == str(memory.report())
    assert memory.consolidate([more], net) == twin.consolidate([more], net)


def test_no_hook_stays_behind_also_when_the_forward_pass_fails() -> None:
    layer = nn.Linear(4, 2)

    def fail(batch: Tensor) -> None:
        raise RuntimeError("no such data")

    memory = Protection(layer)
    memory.consolidate([torch.randn(3, 4)])
    with pytest.raises(RuntimeError, match="no such data"):
        memory.consolidate([torch.randn(3, 4)], fail)
    assert not layer._forward_pre_hooks
    assert torch.equal(layer(torch.zeros(1, 4)), layer.bias[None])


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4), nn.BatchNorm1d(4)])
def test_moving_statistics_can_be_refused_by_name(norm: nn.Module) -> None:
    parts: Parts = [("net", nn.Sequential(norm))]
    refusal = protection(parts).refuses()
    assert refusal is not None
    assert refusal.startswith("net.0: BatchNorm's running statistics")
    assert "GroupNorm or LayerNorm" in refusal
    with pytest.raises(ValueError, match=r"net\.0: BatchNorm's"):
        protection(parts).consolidate([torch.zeros(2, 4)], lambda batch: None)
    assert Protection(lambda: parts).refuses() is None


def test_settings_other_than_those_there_are_refused() -> None:
    with pytest.raises(ValueError, match="norms must be 'freeze' or 'refuse', got 'keep'"):
        Protection(nn.Linear(2, 2), norms="keep")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give `forward`, or use `watching`"):
        protection([("net", nn.Linear(2, 2))]).consolidate([torch.zeros(1, 2)])


@pytest.mark.parametrize(
    ("first", "energy", "samples", "message"),
    [
        (0.0, 0.9, 10, r"first_energy must be in \(0, 1\], got 0.0"),
        (0.9, 1.1, 10, r"energy must be in \(0, 1\], got 1.1"),
        (0.9, 0.9, 0, "samples must be at least 1, .*got 0"),
    ],
)
def test_bad_settings_are_refused_with_their_numbers(first: float, energy: float, samples: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Gpm(energy, first, samples=samples)


def test_parts_with_optimizers_of_their_own_are_held_each_by_its_own() -> None:
    model = nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 4))
    old, new = torch.randn(6, 20), torch.randn(64, 20)
    memory = Protection(model, Gpm(energy=1.0, first_energy=None))
    memory.consolidate([old])
    before = model(old).detach()
    optimizers = [torch.optim.AdamW(part.parameters(), lr=1e-2) for part in (model[0], model[2])]
    for optimizer in optimizers:
        memory.attach(optimizer)
    for _ in range(50):
        for optimizer in optimizers:
            optimizer.zero_grad()
        model(new).sub(1).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
    model.eval()
    assert float((model(old).detach() - before).norm() / before.norm()) < 1e-4


@pytest.mark.parametrize("every", [1, 50])
@pytest.mark.parametrize("method", [Gpm(energy=1.0, first_energy=None), NullSpace(Gpm(energy=1.0, first_energy=None))])
def test_steps_and_answers_under_autocast_are_held_exactly(method: Method, every: int) -> None:
    hidden = [module for _ in range(4) for module in (nn.Linear(16, 16), nn.ReLU())]
    model = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), *hidden, nn.Linear(16, 4))
    old, new = torch.randn(6, 20), torch.randn(64, 20)
    memory = Protection(model, method)
    memory.consolidate([old])
    before = model(old).detach()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    memory.attach(optimizer, every=every)
    for _ in range(60):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            model(new).float().sub(1).square().mean().backward()
            optimizer.step()
    model.eval()
    with torch.autocast("cpu", torch.bfloat16):
        model(new)
    assert float((model(old).detach() - before).norm() / before.norm()) < 1e-4


def test_an_optimizer_of_another_model_is_refused() -> None:
    memory = Protection(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="None of the optimizer's parameters belongs to the model"):
        memory.attach(torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1))


def test_to_detach_twice_is_to_detach_once() -> None:
    layer = nn.Linear(6, 2)
    memory = Protection(layer, Gpm(energy=1.0, first_energy=None))
    memory.consolidate([torch.randn(5, 6)])
    optimizer = torch.optim.Adam(layer.parameters())
    handle = memory.attach(optimizer, "null")
    handle.detach()
    handle.detach()
    memory.attach(optimizer, "null").detach()
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_mistakes_are_answered_in_words() -> None:
    layer = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="a torch module or a function that gives parts, got 3"):
        Protection(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"made first, as in Gpm\(\), got the class"):
        Protection(layer, Gpm)  # type: ignore[arg-type]
    for batches in (None, []):
        with pytest.raises(ValueError, match="Nothing has passed the model since the last consolidation"):
            Protection(layer).consolidate(batches)
    with pytest.raises(ValueError, match="weight: what was seen holds NaN or infinite values"):
        Protection(layer).consolidate([torch.full((2, 3), float("nan"))])


def test_a_tensor_is_one_batch() -> None:
    one, other = Protection(nn.Linear(3, 2)), Protection(nn.Linear(3, 2))
    batch = torch.randn(2, 3)
    assert one.consolidate(batch) == other.consolidate([batch])
