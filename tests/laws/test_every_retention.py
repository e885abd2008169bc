"""What every retention method promises where fine-tuning forgets: that it is another method, and a better one.

A method that equals fine-tuning to the last digit has been published more than once.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from toys import toy_stream

from lifelong.check import check_learner
from lifelong.evaluation.schedule import Schedule
from lifelong.lifetime import Result, run
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.retention.agem import Agem
from lifelong.retention.der import Der
from lifelong.retention.er import Er
from lifelong.retention.er_ace import ErAce
from lifelong.retention.ewc import Ewc
from lifelong.retention.gem import Gem
from lifelong.retention.l2 import L2
from lifelong.retention.lwf import Lwf
from lifelong.retention.mas import Mas
from lifelong.retention.method import Retention
from lifelong.retention.nearest_mean import NearestMean
from lifelong.retention.si import Si
from lifelong_agents.finetune import Finetune
from lifelong_agents.frozen import Frozen
from lifelong_agents.retain import Retain

SEEDS = (0, 1, 2)
NETWORK, FAST = Mlp(hidden=(24, 24)), Optimizer("adam", lr=0.005)
ENDS = Schedule(within=0)

METHODS: dict[str, tuple[tuple[Retention, ...], float]] = {
    "EWC": ((Ewc(),), 0.1),
    "EWC online": ((Ewc(form="online"),), 0.1),
    "SI": ((Si(),), 0.2),
    "SI by paths": ((Si(scale="path"),), 0.2),
    "MAS": ((Mas(),), 0.2),
    "LwF": ((Lwf(),), 0.15),
    "ER": ((Er(capacity=100),), 0.4),
    "ER by class": ((Er(capacity=100, balance="class"),), 0.4),
    "ER-ACE": ((ErAce(capacity=100),), 0.4),
    "DER": ((Der(capacity=100, beta=0.0),), 0.4),
    "DER++": ((Der(capacity=100),), 0.4),
    "nearest mean": ((NearestMean(capacity=100),), 0.4),
    "A-GEM": ((Agem(capacity=100),), 0.05),
    "GEM": ((Gem(capacity=100),), 0.4),
    "ER and EWC": ((Er(capacity=100), Ewc()), 0.4),
    "ER-ACE, LwF and SI": ((ErAce(capacity=100), Lwf(), Si()), 0.4),
}
"""Each with the least by which its backward transfer must be better than fine-tuning's, in the mean over the seeds."""


def weights(learner: Finetune | Retain) -> torch.Tensor:
    parts = learner.state_dict()
    found = parts.get("inner", parts)["parts"]["weights"]
    return torch.cat([value.flatten() for value in found.values()])


def live(make: Callable[[int], Finetune | Retain], order: str = "A B C D") -> list[Result]:
    return [run(toy_stream(order, seed, boundaries="shown", steps=80), make(seed), evaluation=ENDS) for seed in SEEDS]


@pytest.fixture(scope="module")
def naive() -> list[Result]:
    return live(lambda seed: Finetune(NETWORK, FAST, seed))


def mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    assert len(known) == len(values)
    return sum(known) / len(known)


@pytest.mark.parametrize("name", METHODS)
def test_it_forgets_less_than_finetuning(name: str, naive: list[Result]) -> None:
    methods, margin = METHODS[name]
    lived = live(lambda seed: Retain(methods, NETWORK, FAST, seed=seed))
    worst = mean([result.summary.bwt for result in naive])
    assert worst < -0.4
    assert mean([result.summary.bwt for result in lived]) > worst + margin
    # Who learns nothing forgets nothing.
    assert mean([result.summary.acc for result in lived]) > mean([result.summary.acc for result in naive])


@pytest.mark.parametrize("name", [*METHODS, "L2"])
def test_after_the_second_task_its_weights_are_others_than_those_of_finetuning(name: str) -> None:
    methods = (L2(),) if name == "L2" else METHODS[name][0]
    told, plain = Retain(methods, NETWORK, FAST), Finetune(NETWORK, FAST)
    for learner in (told, plain):
        run(toy_stream("A B", boundaries="shown"), learner, evaluation=ENDS)
    assert float((weights(told) - weights(plain)).norm()) > 0.01 * float(weights(plain).norm())


@pytest.mark.parametrize("name", [*METHODS, "L2"])
def test_it_keeps_the_laws_of_learners(name: str) -> None:
    methods = (L2(),) if name == "L2" else METHODS[name][0]
    check_learner(lambda: Retain(methods, NETWORK, FAST), toy_stream("A B A", boundaries="shown", steps=24), steps=60)


@pytest.mark.parametrize("name", ["EWC", "SI", "ER-ACE, LwF and SI"])
def test_it_keeps_the_laws_of_learners_where_it_finds_the_ends_itself(name: str) -> None:
    check_learner(lambda: Retain(METHODS[name][0], NETWORK, FAST), toy_stream("A B A", steps=60), steps=100)


def test_frozen_features_keep_the_laws_of_learners() -> None:
    check_learner(lambda: Frozen(NETWORK), toy_stream("A B A"), steps=120)


@pytest.mark.parametrize("name", ["EWC", "SI", "MAS", "LwF", "A-GEM", "GEM"])
def test_nobody_needs_to_tell_when_a_task_ends(name: str, naive: list[Result]) -> None:
    """The ends that are found serve as well as those that are shown."""
    methods, margin = METHODS[name]
    found = [
        run(toy_stream("A B C D", seed, steps=80), Retain(methods, NETWORK, FAST, seed=seed), evaluation=ENDS).summary
        for seed in SEEDS
    ]
    assert [summary.shifts_detected - summary.false_alarms for summary in found] == [3, 3, 3]
    assert mean([summary.bwt for summary in found]) > mean([result.summary.bwt for result in naive]) + margin


@pytest.mark.parametrize("name", ["EWC", "SI", "MAS", "LwF", "A-GEM", "GEM"])
def test_who_must_know_ends_is_refused_where_nobody_tells(name: str) -> None:
    with pytest.raises(ValueError, match="does not show where tasks end"):
        run(toy_stream("A B"), Retain(METHODS[name][0], NETWORK, FAST, detector=None), evaluation=ENDS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", METHODS)
def test_on_a_gpu_it_forgets_less_too(name: str) -> None:
    from lifelong_envs.supervised.data import Digits
    from lifelong_envs.supervised.permuted import permuted
    from lifelong_envs.supervised.scenario import Scenario
    from lifelong_envs.supervised.timetable import Timetable

    def lived(make: Callable[[], Finetune | Retain]) -> float | None:
        stream = permuted(Digits(), Timetable("A B", epochs=8), Scenario(boundaries="shown"), device="cuda")
        return run(stream, make(), evaluation=ENDS).summary.bwt

    plain = lived(lambda: Finetune(NETWORK, FAST, device="cuda"))
    kept = lived(lambda: Retain(METHODS[name][0], NETWORK, FAST, device="cuda"))
    assert plain is not None
    assert kept is not None
    assert kept > plain + METHODS[name][1] / 2
