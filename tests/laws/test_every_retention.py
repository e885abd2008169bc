"""What every retention method promises where fine-tuning forgets: that it is another method, and a better one.

A method that equals fine-tuning to the last digit has been published more than once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from toys import toy_stream

from lifelong.check import check_learner
from lifelong.evaluation.schedule import Schedule
from lifelong.evaluation.summary import Summary
from lifelong.lifelong_learner import LifelongLearner
from lifelong.lifetime import run
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
from lifelong.retention.nearest_mean import NearestMeanHead
from lifelong.retention.si import Si
from lifelong.subspace.ridge import Ridge
from lifelong_agents.finetune import Finetune
from lifelong_agents.flagship import flagship
from lifelong_agents.frozen import Frozen
from lifelong_agents.gpm import gpm
from lifelong_agents.retain import Retain
from lifelong_envs.supervised.data import Digits
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.task_stream import TaskStream
from lifelong_envs.supervised.timetable import Timetable

SEEDS = ((0,), (0, 1, 2))
"""One where it must be quick. All of them hold to the same numbers."""

NETWORK, FAST = Mlp(hidden=(64, 64)), Optimizer("adam", lr=0.003)
ENDS = Schedule(within=0)

METHODS: dict[str, tuple[tuple[Retention, ...], float]] = {
    "EWC": ((Ewc(),), 0.1),
    "EWC separate": ((Ewc(form="separate"),), 0.1),
    "SI": ((Si(),), 0.2),
    "SI by paths": ((Si(scale="path"),), 0.2),
    "MAS": ((Mas(),), 0.2),
    "LwF": ((Lwf(),), 0.15),
    "ER": ((Er(capacity=100),), 0.3),
    "ER by class": ((Er(capacity=100, balance="class"),), 0.3),
    "ER-ACE": ((ErAce(capacity=100),), 0.3),
    "DER": ((Der(capacity=100, beta=0.0),), 0.3),
    "DER++": ((Der(capacity=100),), 0.3),
    "nearest mean": ((NearestMeanHead(capacity=100),), 0.3),
    "A-GEM": ((Agem(capacity=100),), 0.05),
    "GEM": ((Gem(capacity=100),), 0.3),
    "ER and EWC": ((Er(capacity=100), Ewc()), 0.3),
    "ER-ACE, LwF and SI": ((ErAce(capacity=100), Lwf(), Si()), 0.3),
}
"""Each with the least by which its backward transfer must be better than fine-tuning's, in the mean over the seeds."""


VARIANTS = ("EWC separate", "SI by paths", "ER by class", "DER")
ALL = [pytest.param(name, marks=pytest.mark.slow) if name in VARIANTS else name for name in METHODS]
seeds_few_and_all = pytest.mark.parametrize(
    "seeds", [SEEDS[0], pytest.param(SEEDS[1], marks=pytest.mark.slow)], ids=len
)


def weights(learner: Finetune | Retain) -> torch.Tensor:
    parts = learner.state_dict()
    found = parts.get("inner", parts)["parts"]["weights"]
    return torch.cat([value.flatten() for value in found.values()])


def digits(order: str, seed: int = 0, boundaries: str = "shown", device: str = "cpu", epochs: int = 5) -> TaskStream:
    scenario = Scenario(boundaries=boundaries)  # type: ignore[arg-type]
    return permuted(Digits(), Timetable(order=order, epochs=epochs, batch_size=32), scenario, seed=seed, device=device)


def live(make: Callable[[int], Finetune | Retain], seeds: tuple[int, ...], boundaries: str = "shown") -> list[Summary]:
    return [run(digits("A B C", seed, boundaries), make(seed), evaluation=ENDS).summary for seed in seeds]


@cache
def naive(seeds: tuple[int, ...]) -> list[Summary]:
    """Fine-tuning, to which nobody's boundaries matter."""
    return live(lambda seed: Finetune(NETWORK, FAST, seed), seeds)


def mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    assert len(known) == len(values)
    return sum(known) / len(known)


@pytest.mark.parametrize("name", ALL)
@seeds_few_and_all
def test_it_forgets_less_than_finetuning(name: str, seeds: tuple[int, ...]) -> None:
    methods, margin = METHODS[name]
    lived = live(lambda seed: Retain(methods, NETWORK, FAST, seed=seed), seeds)
    worst = mean([summary.bwt for summary in naive(seeds)])
    assert worst < -0.25
    assert mean([summary.bwt for summary in lived]) > worst + margin
    # Who learns nothing forgets nothing.
    assert mean([summary.learning_accuracy for summary in lived]) > 0.65


@pytest.mark.parametrize("name", [*ALL, "L2"])
def test_after_the_second_task_its_weights_are_others_than_those_of_finetuning(name: str) -> None:
    methods = (L2(),) if name == "L2" else METHODS[name][0]
    told, plain = Retain(methods, NETWORK, FAST), Finetune(NETWORK, FAST)
    for learner in (told, plain):
        run(digits("A B", epochs=1), learner, evaluation=ENDS)
    assert float((weights(told) - weights(plain)).norm()) > 0.01 * float(weights(plain).norm())


@pytest.mark.parametrize("name", [*ALL, "L2"])
def test_it_keeps_the_laws_of_learners(name: str) -> None:
    methods = (L2(),) if name == "L2" else METHODS[name][0]
    check_learner(lambda: Retain(methods, NETWORK, FAST), toy_stream("A B A", boundaries="shown", steps=24), steps=60)


@pytest.mark.parametrize("name", ["EWC", pytest.param("SI", marks=pytest.mark.slow), "ER-ACE, LwF and SI"])
def test_it_keeps_the_laws_of_learners_where_it_finds_the_ends_itself(name: str) -> None:
    check_learner(lambda: Retain(METHODS[name][0], NETWORK, FAST), toy_stream("A B A", steps=60), steps=100)


BESIDE: dict[str, tuple[Callable[[int, tuple[Retention, ...]], LifelongLearner], tuple[Retention, ...]]] = {
    "GPM and ER": (lambda seed, r: gpm(NETWORK, FAST, retention=r, seed=seed), (Er(capacity=100),)),
    "ridge, LwF and SI": (lambda seed, r: gpm(NETWORK, FAST, subspace=Ridge(), retention=r, seed=seed), (Lwf(), Si())),
    "experts, EWC and ER": (
        lambda seed, r: flagship(NETWORK, FAST, share="never", retention=r, seed=seed),
        (Ewc(), Er(capacity=50)),
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "ridge, LwF and SI")) for n in BESIDE]
)
def test_methods_work_beside_subspaces_and_experts(name: str) -> None:
    make, methods = BESIDE[name]
    check_learner(lambda: make(0, methods), toy_stream("A B A", steps=60), steps=100)
    (plain,) = naive((0,))
    without, beside = (run(digits("A B C", 0, "hidden"), make(0, r), evaluation=ENDS) for r in ((), methods))
    assert plain.bwt is not None
    assert beside.summary.bwt is not None
    assert beside.summary.bwt > plain.bwt + 0.25
    assert beside.summary.shifts_detected - beside.summary.false_alarms == 2
    # They did something that is not done without them.
    assert (beside.matrix.scores != without.matrix.scores).any()
    assert beside.summary.stored_bytes is not None
    assert without.summary.stored_bytes is not None
    assert beside.summary.stored_bytes > without.summary.stored_bytes


def test_experts_that_share_a_trunk_have_no_room_for_methods_that_hold_all_of_it() -> None:
    with pytest.raises(ValueError, match="set share to never, got 'auto'"):
        flagship(NETWORK, FAST, retention=(Ewc(),))


def test_frozen_features_keep_the_laws_of_learners() -> None:
    check_learner(lambda: Frozen(NETWORK), toy_stream("A B A"), steps=120)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("SI", "MAS", "LwF", "A-GEM")]


@pytest.mark.parametrize("name", ["EWC", "GEM", *SLOW])
@seeds_few_and_all
def test_nobody_needs_to_tell_when_a_task_ends(name: str, seeds: tuple[int, ...]) -> None:
    """The ends that are found serve as well as those that are shown."""
    methods, margin = METHODS[name]
    found = live(lambda seed: Retain(methods, NETWORK, FAST, seed=seed), seeds, "hidden")
    assert [summary.shifts_detected - summary.false_alarms for summary in found] == [2] * len(seeds)
    assert mean([summary.bwt for summary in found]) > mean([summary.bwt for summary in naive(seeds)]) + margin / 2


@pytest.mark.parametrize("name", ["EWC", "SI", "MAS", "LwF", "A-GEM", "GEM"])
def test_who_must_know_ends_is_refused_where_nobody_tells(name: str) -> None:
    with pytest.raises(ValueError, match="must know where tasks end, and the stream does not show it"):
        run(toy_stream("A B"), Retain(METHODS[name][0], NETWORK, FAST, detector=None), evaluation=ENDS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", METHODS)
def test_on_a_gpu_it_forgets_less_too(name: str) -> None:
    def lived(make: Callable[[], Finetune | Retain]) -> float | None:
        return run(digits("A B", device="cuda"), make(), evaluation=ENDS).summary.bwt

    plain = lived(lambda: Finetune(NETWORK, FAST, device="cuda"))
    kept = lived(lambda: Retain(METHODS[name][0], NETWORK, FAST, device="cuda"))
    assert plain is not None
    assert kept is not None
    assert kept > plain + METHODS[name][1] / 2
