"""Terms and answers against numbers made by hand."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import CONTRACT, batches

from lifelong.experience import Batch
from lifelong.objective import Classification, Contract, MultiLabel, Regression
from lifelong.retention.agem import Agem
from lifelong.retention.der import Der
from lifelong.retention.distance import distance
from lifelong.retention.er import Er
from lifelong.retention.er_ace import ErAce
from lifelong.retention.ewc import Ewc
from lifelong.retention.gem import Gem
from lifelong.retention.gradients import gradients
from lifelong.retention.l2 import L2
from lifelong.retention.lwf import Lwf
from lifelong.retention.model import Model
from lifelong.retention.nearest_mean import NearestMeanHead
from lifelong.retention.retained import Retained
from lifelong.retention.si import Si

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")


def net() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 6))


def test_replay_adds_the_loss_of_what_is_kept() -> None:
    model, (old, new) = net(), batches(1, 2)
    retained = Retained(Model(model), [Er(capacity=16, weight=0.5)])
    first = retained.loss(old, model(old.inputs))
    assert torch.equal(first, F.cross_entropy(model(old.inputs), old.targets))
    retained.observe(old, model(old.inputs).detach())
    wanted = F.cross_entropy(model(new.inputs), new.targets) + 0.5 * F.cross_entropy(model(old.inputs), old.targets)
    assert torch.allclose(retained.loss(new, model(new.inputs)), wanted)


def test_dark_replay_holds_to_the_answers_of_then() -> None:
    model, (old, new) = net(), batches(1, 2)
    retained = Retained(Model(model), [Der(capacity=16, alpha=0.3, beta=0.7)])
    then = model(old.inputs).detach()
    retained.observe(old, then)
    with torch.no_grad():
        model[0].weight += 0.1
    now = model(old.inputs)
    wanted = F.cross_entropy(model(new.inputs), new.targets)
    wanted = wanted + 0.3 * (now - then).square().mean() + 0.7 * F.cross_entropy(now, old.targets)
    assert torch.allclose(retained.loss(new, model(new.inputs)), wanted)


def test_new_samples_compete_among_their_own_classes_alone() -> None:
    model = net()
    inputs, targets = torch.randn(5, 16), torch.tensor([1, 1, 4, 4, 1])
    batch = Batch(inputs, targets, CONTRACT)
    wanted = F.cross_entropy(model(inputs)[:, [1, 4]], torch.tensor([0, 0, 1, 1, 0]))
    retained = Retained(Model(model), [ErAce()])
    assert torch.allclose(retained.loss(batch, model(inputs)), wanted)


def test_lwf_holds_classes_met_before_to_their_answers() -> None:
    model, (old, new) = net(), batches(1, 2)
    old = Batch(old.inputs, old.targets % 3, CONTRACT)
    retained = Retained(Model(model), [Lwf(strength=2.0, temperature=3.0)])
    retained.consolidate([old])
    teacher = copy.deepcopy(model)
    with torch.no_grad():
        model[2].weight += 0.2 * torch.randn(6, 12)
    before, now = teacher(new.inputs)[:, :3] / 3.0, model(new.inputs)[:, :3] / 3.0
    divergence = (before.softmax(-1) * (before.log_softmax(-1) - now.log_softmax(-1))).sum(-1).mean()
    wanted = F.cross_entropy(model(new.inputs), new.targets) + 2.0 * 9.0 * divergence
    assert torch.allclose(retained.loss(new, model(new.inputs)), wanted, atol=1e-6)


def test_names_of_tasks_that_share_a_head_change_nothing_for_lwf() -> None:
    found = []
    for told in (False, True):
        model, (shown,) = net(), batches(1, 1)
        model.append(nn.BatchNorm1d(6))
        retained = Retained(Model(model), [Lwf()])
        for task in "ABC":
            retained.consolidate([replace(shown, task=task if told else None)])
        with torch.no_grad():
            model[2].weight += 0.2 * torch.randn(6, 12, generator=torch.Generator().manual_seed(0))
        new = replace(shown, task="D" if told else None)
        found.append((retained.loss(new, model(new.inputs)).detach(), model[3].running_mean.clone()))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1]), "it is asked no more often"


@pytest.mark.parametrize("objective", [Classification(), MultiLabel(), Regression()])
def test_a_student_that_says_the_same_is_at_no_distance_and_any_other_is(objective) -> None:
    teacher = torch.randn(8, 4)
    student = nn.Parameter(teacher.clone())
    same = distance(objective, teacher, student, None, 2.0)
    same.backward()
    assert float(same.detach()) == pytest.approx(0.0, abs=1e-6)
    assert student.grad is not None
    assert float(student.grad.abs().max()) < 1e-6
    assert float(distance(objective, teacher, teacher + torch.randn(8, 4), None, 2.0)) > 0.01


def test_the_nearest_mean_answers_in_place_of_the_network() -> None:
    model, shown = net(), batches(1, 20)
    retained = Retained(Model(model), [NearestMeanHead(capacity=60)])
    query = torch.randn(7, 16)
    assert retained.answer(query, CONTRACT) is None
    for batch in shown:
        retained.observe(Batch(batch.inputs, batch.targets % 5, CONTRACT), model(batch.inputs).detach())
    ((kept, _),) = retained.keepers[0].memory.all()  # type: ignore[attr-defined]
    features = F.normalize(model[:2](kept.inputs), dim=1)
    means = torch.stack([F.normalize(features[kept.targets == k].mean(0), dim=0) for k in range(5)])
    asked = F.normalize(model[:2](query), dim=1)
    wanted = torch.cdist(asked, means).argmin(1)
    said = retained.answer(query, CONTRACT)
    assert said is not None
    assert torch.equal(said.argmax(1), wanted)
    assert float(said[:, 5].max()) < float(said[:, :5].min())
    # A step of the network moves the features of all that is kept.
    with torch.no_grad():
        model[0].weight.copy_(torch.randn(12, 16))
    retained.observe(kept, model(kept.inputs).detach())
    again = retained.answer(query, CONTRACT)
    assert again is not None
    assert not torch.allclose(again, said)


@pytest.mark.parametrize("towards", ["start", "zero"])
def test_regularisation_draws_to_where_it_says(towards) -> None:
    model, (batch,) = net(), batches(1, 1)
    first = [p.detach().clone() for p in model.parameters()]
    retained = Retained(Model(model), [L2(0.1, towards)])
    retained.meet()
    with torch.no_grad():
        for p in model.parameters():
            p += 1.0
    anchors = first if towards == "start" else [torch.zeros_like(p) for p in first]
    penalty = sum(0.1 * (p - a).square().sum() for p, a in zip(model.parameters(), anchors, strict=True))
    (F.cross_entropy(model(batch.inputs), batch.targets) + penalty).backward()
    wanted = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    retained.loss(batch, model(batch.inputs)).backward()
    retained.bend(torch.optim.SGD(model.parameters(), lr=0.1))
    ours = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, wanted, strict=True))


def test_two_methods_that_replace_the_same_thing_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="ErAce and ErAce each replace the loss of new batches"):
        Retained(Model(net()), [ErAce(), Er(), ErAce()])
    with pytest.raises(ValueError, match="NearestMeanHead and NearestMeanHead each replace the answers"):
        Retained(Model(net()), [NearestMeanHead(), NearestMeanHead()])
    with pytest.raises(ValueError, match="Agem and Gem each have the last word on the gradient: take one"):
        Retained(Model(net()), [Agem(), Gem()])


@pytest.mark.parametrize(
    "methods", [(Agem(40), Ewc(1e4)), (Ewc(1e4), Agem(40)), (Ewc(1e4), Gem(40)), (Gem(40), L2(5.0))]
)
def test_the_last_word_on_the_gradient_is_the_last_wherever_the_method_stands(methods) -> None:
    model = net()
    retained = Retained(Model(model), methods)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for batch in batches(10, 1):
        optimizer.zero_grad()
        retained.step(optimizer, batch, model(batch.inputs))
    (old,) = batches(1, 1)
    retained.consolidate([old])
    against = 0
    for taught in batches(10, 2):
        # What is learned now contradicts what was.
        batch = replace(taught, targets=(taught.targets + 1) % 5)
        optimizer.zero_grad()
        retained.loss(batch, model(batch.inputs)).backward()
        retained.bend(optimizer)
        new = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        of_old = gradients(Model(model), [old])
        assert float(new @ of_old) > -1e-4 * float(new.norm() * of_old.norm())
        own = torch.autograd.grad(F.cross_entropy(model(batch.inputs), batch.targets), list(model.parameters()))
        against += float(torch.cat([g.flatten() for g in own]) @ of_old) < 0
        optimizer.step()
    assert against


def test_the_path_integral_is_of_the_loss_alone_wherever_the_method_stands() -> None:
    found = []
    for methods in ((Si(strength=1e-9), L2(0.5)), (L2(0.5), Si(strength=1e-9))):
        torch.manual_seed(1)
        model = net()
        retained = Retained(Model(model), methods)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for batch in (taught := batches(20, 1)):
            optimizer.zero_grad()
            retained.step(optimizer, batch, model(batch.inputs))
        retained.consolidate(taught)
        with torch.no_grad():
            for p in model.parameters():
                p += 1.0
        # Every parameter is one away from its centre, so the penalty is half the sum of all importances.
        si = next(keeper for keeper in retained.keepers if hasattr(keeper, "penalty"))
        found.append(si.penalty.value(Model(model).named(), 2.0))
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert found[0] > 0


def test_a_prediction_is_the_networks_or_that_of_a_method_which_answers_for_it() -> None:
    model, (batch,) = net(), batches(1, 1)
    model.append(torch.nn.Dropout(0.5))
    plain, means = Retained(model, [Er()]), Retained(model, [NearestMeanHead(capacity=60)])
    assert torch.equal(plain.predict(batch.inputs, CONTRACT), plain.predict(batch.inputs, CONTRACT))
    assert model.training
    # Nothing is kept yet, so that there are no means.
    assert torch.equal(means.predict(batch.inputs, CONTRACT), plain.predict(batch.inputs, CONTRACT))
    means.observe(batch, model(batch.inputs).detach())
    said = means.answer(batch.inputs, CONTRACT)
    assert said is not None
    assert torch.equal(means.predict(batch.inputs, CONTRACT), said)
    assert not torch.equal(said, plain.predict(batch.inputs, CONTRACT))
    with pytest.raises(ValueError, match=r"lifelong\.Batch or more in a list, got a single one"):
        plain.consolidate(batch)  # type: ignore[arg-type]


def test_features_of_a_plain_module_are_what_its_last_linear_layer_is_given() -> None:
    model, inputs = net(), torch.randn(3, 16)
    contract = Contract((16,), 6, Classification())
    assert torch.equal(Model(model).features(inputs, contract), model[:2](inputs))
    with pytest.raises(ValueError, match="no linear layer"):
        Model(nn.Flatten()).features(inputs, contract)


@pytest.mark.parametrize("methods", [Er(), [Er], ["er"], None])
def test_what_is_no_list_of_methods_is_refused_in_words(methods) -> None:
    with pytest.raises(ValueError, match="must be"):
        Retained(net(), methods)


@pytest.mark.parametrize("shown", [[], [(torch.zeros(2, 16), torch.zeros(2))]])
@pytest.mark.parametrize("method", [Er(), Lwf(), L2()])
def test_an_end_without_samples_is_refused_by_every_method(method, shown) -> None:
    with pytest.raises(ValueError, match="one lifelong.Batch or more".replace(".", r"\.")):
        Retained(net(), [method]).consolidate(shown)


def test_a_module_with_a_head_for_each_task_must_say_how_it_is_asked() -> None:
    contract = Contract((16,), 6, Classification(), own_head=True)
    batch = Batch(torch.randn(4, 16), torch.zeros(4, dtype=torch.int64), contract, "A")
    retained = Retained(net(), [Er()])
    retained.observe(batch, torch.zeros(4, 6))
    with pytest.raises(ValueError, match=r"Model\(module, extras="):
        retained.loss(batch, torch.zeros(4, 6))
