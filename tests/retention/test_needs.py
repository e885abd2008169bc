"""What methods cannot work without: said before anything runs, and by the learner itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from toys import toy_stream

from lifelong.beforehand import look_ahead
from lifelong.experience import Batch
from lifelong.learner import Learner
from lifelong.network import Mlp
from lifelong.objective import Classification, Contract
from lifelong.optimizer import Optimizer
from lifelong.retention.agem import Agem
from lifelong.retention.der import Der
from lifelong.retention.er import Er
from lifelong.retention.er_ace import ErAce
from lifelong.retention.ewc import Ewc
from lifelong.retention.gem import Gem
from lifelong.retention.l2 import L2
from lifelong.retention.logit_swap import LogitSwap
from lifelong.retention.lwf import Lwf
from lifelong.retention.mas import Mas
from lifelong.retention.method import Retention
from lifelong.retention.model import Model
from lifelong.retention.nearest_mean import NearestMeanHead
from lifelong.retention.packnet import PackNet
from lifelong.retention.prd import Prd
from lifelong.retention.redo import Redo
from lifelong.retention.retained import Retained
from lifelong.retention.si import Si
from lifelong.retention.zscl import Zscl
from lifelong.stream import Stream
from lifelong_agents.both import both
from lifelong_agents.flagship import flagship
from lifelong_agents.independent import Independent
from lifelong_agents.retain import Retain
from lifelong_envs.supervised.class_split import class_split
from lifelong_envs.supervised.data import Bundled, Digits
from lifelong_envs.supervised.datasets import datasets
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.timetable import Timetable

TINY, ADAM = Mlp((8,)), Optimizer()


def retain(*methods: Retention, **rest: Any) -> Retain:
    return Retain(methods, TINY, ADAM, **rest)


def experts(*methods: Retention) -> Learner:
    return flagship(TINY, ADAM, share="never", retention=methods)


def split(**scenario: Any) -> Stream:
    if scenario == {"boundaries": "shown"}:
        timetable = Timetable(order=["digits", "diabetes"], samples=64, batch_size=16)
        return datasets([Digits(), Bundled("diabetes")], timetable, Scenario(**scenario))
    order = scenario.pop("order", None)
    return class_split(Digits(), Timetable(order=order, samples=64, batch_size=16), Scenario(**scenario))


HIDDEN, SHOWN = {"labels": "never"}, {"labels": "never", "boundaries": "shown"}
OWN = {"labels": "judging", "head": "per_task"}

REFUSED: dict[str, tuple[dict[str, str], Any, str]] = {
    "no detector": (HIDDEN, lambda: retain(Ewc(), detector=None), "Ewc .*must know where tasks end"),
    "no detector finds": (HIDDEN, lambda: retain(Prd()), "Prd .*must be shown where tasks end"),
    "experts find": (HIDDEN, lambda: experts(Prd()), "Prd .*must be shown where tasks end"),
    "beside one that acts": (HIDDEN, lambda: both(experts(Prd()), None), "Prd .*must be shown"),  # type: ignore[arg-type]
    "no labels": (SHOWN, lambda: retain(PackNet()), "PackNet .*samples do not say which task they are of"),
    "labels in training alone": ({"labels": "training"}, lambda: retain(PackNet()), "PackNet .*questions do not say"),
    "heads of their own": (OWN, lambda: retain(Er(), LogitSwap()), "LogitSwap .*a head of its own"),
    "a later task": (
        {"boundaries": "shown"},
        lambda: retain(Prd()),
        "Prd .*for classes, and a task asks for regression",
    ),
    "too short a stream": (
        HIDDEN,
        lambda: retain(Redo()),
        "Redo .*acts for the first time at step 200, and the stream",
    ),
    "no room for each task": (SHOWN, lambda: retain(Gem(3)), "Gem .*of 3 in all, and in the stream 5 tasks end"),
    "no room where ends are found": (HIDDEN, lambda: retain(Agem(3)), "Agem .*at least one sample of each task"),
    "no room for visits": (
        {"labels": "training", "order": "A B A B"},
        lambda: retain(Gem(2), detector=None),
        "Gem .*in the stream 3 tasks end",
    ),
    "the oracle": ({"labels": "training"}, lambda: Independent(TINY, ADAM), "it needs the task's name"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_stream_does_not_give_is_missed_before_anything_runs(name: str) -> None:
    scenario, make, said = REFUSED[name]
    with pytest.raises(ValueError, match=f"the agent cannot live through '.*{said}"):
        look_ahead(split(**scenario), make(), "the agent")


@pytest.mark.parametrize(
    "name", ["no detector", "no detector finds", "experts find", "no labels", "heads of their own"]
)
def test_the_learner_says_it_too(name: str) -> None:
    scenario, make, said = REFUSED[name]
    batch, _ = next(iter(split(**scenario).experiences()))
    with pytest.raises(ValueError, match=said):
        make().learn(batch)


@pytest.mark.parametrize(
    ("scenario", "made"),
    [
        (HIDDEN, lambda: retain(Ewc())),
        (HIDDEN, lambda: retain(Er(), detector=None)),
        (SHOWN, lambda: retain(Prd(), detector=None)),
        ({"labels": "training"}, lambda: retain(Ewc(), detector=None)),
        (SHOWN, lambda: retain(LogitSwap())),
        (SHOWN, lambda: experts(Prd())),
        (SHOWN, lambda: retain(Gem(5))),
        ({"labels": "training", "order": "A A B"}, lambda: retain(Gem(1), detector=None)),
        # Each has a task of its own.
        (SHOWN, lambda: experts(Gem(1))),
        ({"labels": "judging"}, lambda: retain(PackNet(), detector=None)),
        (OWN, lambda: Independent(TINY, ADAM)),
    ],
)
def test_what_it_gives_is_not_missed(scenario: dict[str, str], made: Any) -> None:
    look_ahead(split(**scenario), made(), "the agent")


def test_a_loop_of_ones_own_tells_ends_by_itself_and_nothing_else() -> None:
    torch.manual_seed(0)
    module = nn.Linear(4, 2)
    own = Contract((4,), 2, Classification(), own_head=True)
    batch = Batch(torch.randn(3, 4), torch.tensor([0, 1, 0]), Contract((4,), 2, Classification()))
    Retained(module, [Prd()]).loss(batch, module(batch.inputs))
    swap = Retained(Model(module, extras=lambda *_: ()), [LogitSwap()])
    swap.loss(batch, module(batch.inputs))
    with pytest.raises(ValueError, match="each task has a head of its own"):
        swap.loss(Batch(batch.inputs, batch.targets, own), module(batch.inputs))
    with pytest.raises(ValueError, match="samples do not say which task they are of"):
        Retained(module, [PackNet()]).loss(batch, module(batch.inputs))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (Ewc, "strength"),
        (Si, "strength"),
        (Si, "damping"),
        (Mas, "strength"),
        (L2, "strength"),
        (Lwf, "strength"),
        (Lwf, "temperature"),
        (Zscl, "strength"),
        (Er, "weight"),
        (Der, "alpha"),
        (Der, "beta"),
        (Gem, "margin"),
        (LogitSwap, "weight"),
        (PackNet, "lr"),
        (Prd, "alpha"),
        (Prd, "beta"),
        (Redo, "threshold"),
    ],
)
def test_settings_are_numbers(kind: Any, setting: str, wrong: float) -> None:
    with pytest.raises(ValueError, match=setting):
        kind(**{setting: wrong})


@pytest.mark.parametrize("wrong", [2.5, math.nan, math.inf, 0, -1, "3"])
@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (Er, "capacity"),
        (Er, "batch_size"),
        (ErAce, "capacity"),
        (Der, "capacity"),
        (Der, "batch_size"),
        (NearestMeanHead, "capacity"),
        (Gem, "capacity"),
        (Gem, "batch_size"),
        (Agem, "capacity"),
        (Agem, "batch_size"),
        (Ewc, "samples"),
        (Mas, "samples"),
        (Zscl, "every"),
        (Zscl, "batch_size"),
        (Redo, "every"),
    ],
)
def test_settings_that_count_are_whole_numbers(kind: Any, setting: str, wrong: object) -> None:
    with pytest.raises(ValueError, match=f"{setting}.*whole number.*got .*{wrong}"):
        kind(**{setting: wrong})


def test_settings_of_other_kinds_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"strength must be positive, got much"):
        Ewc(strength="much")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"retrain a whole number of at least 0 epochs.*retrain=0\.5"):
        PackNet(retrain=0.5)  # type: ignore[arg-type]
    assert PackNet(retrain=0).retrain == 0


def test_weights_that_are_made_of_others_cannot_be_pruned_nor_copied() -> None:
    made = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)))
    with pytest.raises(ValueError, match=r"sets weights to zero, and '0\.parametrizations\.weight\.original0' is"):
        Retained(made, [PackNet()])
    with pytest.raises(ValueError, match=r"ReDo draws weights anew, and '0\.parametrizations\.weight\.original0' is"):
        Retained(made, [Redo()])
    with pytest.warns(FutureWarning):
        old = nn.utils.weight_norm(nn.Linear(4, 2))
    with pytest.raises(ValueError, match="PackNet sets weights to zero, and 'weight_g' is"):
        Retained(old, [PackNet()])
    retained = Retained(old, [Lwf()])
    batch = Batch(torch.randn(3, 4), torch.tensor([0, 1, 0]), Contract((4,), 2, Classification()))
    retained.step(torch.optim.SGD(old.parameters(), 0.1), batch, old(batch.inputs))
    with pytest.raises(ValueError, match="cannot be copied, and the method keeps a copy"):
        retained.consolidate([batch])


def test_toys_are_refused_as_well() -> None:
    with pytest.raises(ValueError, match="must know where tasks end"):
        look_ahead(toy_stream("A B"), retain(Ewc(), detector=None), "it")
