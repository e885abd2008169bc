from __future__ import annotations

import pytest
import torch
from toys import batches, toy_stream

from lifelong.check import check_learner
from lifelong.evaluation.schedule import Schedule
from lifelong.experience import Query
from lifelong.lifetime import Result, run
from lifelong.network import Cnn, Mlp
from lifelong.optimizer import Optimizer
from lifelong.subspace.coso import Coso
from lifelong.subspace.method import Method
from lifelong.subspace.null_space import NullSpace
from lifelong.subspace.osft import Osft
from lifelong.subspace.owm import Owm
from lifelong.subspace.ridge import Ridge
from lifelong.subspace.sgp import Sgp
from lifelong_agents.finetune import Finetune
from lifelong_agents.flagship import flagship
from lifelong_agents.gpm import gpm
from lifelong_agents.independent import Independent
from lifelong_agents.joint import Joint
from lifelong_envs.supervised.class_split import class_split
from lifelong_envs.supervised.data import Arrays, Bundled, Digits
from lifelong_envs.supervised.datasets import datasets
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.task_stream import TaskStream
from lifelong_envs.supervised.timetable import Timetable

FAST, NETWORK = Optimizer("adam", lr=0.01), Mlp(hidden=(16, 16))
STABLE = Optimizer("sgd", lr=0.05, momentum=0.5)
ENDS = Schedule(within=0)
AGENTS = {
    "flagship": lambda: flagship(NETWORK, FAST),
    "flagship sharing": lambda: flagship(NETWORK, FAST, share="always"),
    "flagship bending": lambda: flagship(NETWORK, FAST, share="adapters", rank=4),
    "gpm": lambda: gpm(NETWORK, FAST),
    "finetune": lambda: Finetune(NETWORK, FAST),
    "joint": lambda: Joint(NETWORK, FAST),
    "independent": lambda: Independent(NETWORK, FAST),
}


@pytest.mark.parametrize("agent", AGENTS)
def test_agents_keep_the_laws(agent):
    labels = "judging" if agent == "independent" else "never"
    check_learner(AGENTS[agent], toy_stream("A B A", labels=labels), steps=80)


@pytest.fixture(scope="module")
def lived() -> dict[str, Result]:
    """Every agent on the same stream, on which fine-tuning forgets."""
    return {
        name: run(
            toy_stream("A B C A", labels="judging" if name == "independent" else "never", steps=80),
            make(),
            evaluation=ENDS,
        )
        for name, make in AGENTS.items()
    }


@pytest.mark.parametrize("agent", ["flagship", "independent", "joint", "gpm"])
def test_every_method_forgets_less_than_finetuning(lived, agent):
    assert lived["finetune"].summary.forgetting > 0.15
    assert lived[agent].summary.forgetting < 0.5 * lived["finetune"].summary.forgetting
    assert lived[agent].summary.acc > lived["finetune"].summary.acc


def test_the_flagship_is_as_good_as_the_oracle_that_is_told(lived):
    told, found = lived["independent"].summary, lived["flagship"].summary
    assert found.experts == told.experts == 3
    assert found.acc > told.acc - 0.02
    assert found.routing_accuracy > 0.97


def test_no_method_is_finetuning_in_disguise(lived):
    naive = lived["finetune"].matrix.scores
    for name, result in lived.items():
        assert name == "finetune" or (abs(result.matrix.scores - naive) > 0.05).any()


def test_a_shared_trunk_is_smaller_and_keeps_what_it_learned():
    results = {
        share: run(
            class_split(Digits(), Timetable(epochs=20), Scenario(labels="judging", head="per_task")),
            flagship(Mlp(hidden=(64, 64)), STABLE, share=share),
            evaluation=ENDS,
        ).summary
        for share in ("never", "always")
    }
    naive = run(
        class_split(Digits(), Timetable(epochs=20), Scenario(labels="judging", head="per_task")),
        Finetune(Mlp(hidden=(64, 64)), STABLE),
        evaluation=ENDS,
    ).summary
    assert results["always"].parameters < 0.3 * results["never"].parameters
    assert results["always"].parameters == naive.parameters
    assert results["always"].acc > 0.95
    assert results["always"].forgetting < 0.5 * naive.forgetting


def assert_bent_is_nearly_as_good(stream: TaskStream, network: Mlp, optimizer: Optimizer, share_of_size: float):
    never, bent = (
        run(stream, flagship(network, optimizer, share=share), evaluation=ENDS).summary
        for share in ("never", "adapters")
    )
    assert (bent.experts, bent.shifts_detected, bent.false_alarms) == (never.experts, never.shifts_detected, 0)
    assert bent.acc > never.acc - 0.03
    assert bent.forgetting < 0.005
    assert bent.parameters < share_of_size * never.parameters


def test_experts_that_bend_one_body_are_nearly_as_good_as_bodies_of_their_own():
    permutations = permuted(Digits(), Timetable(order="A B C A D", epochs=10))
    assert_bent_is_nearly_as_good(permutations, Mlp(), Optimizer(), 0.5)


@pytest.mark.slow
def test_so_they_are_where_they_are_told_their_task():
    told = class_split(Digits(), Timetable(epochs=20), Scenario(labels="judging", head="per_task"))
    assert_bent_is_nearly_as_good(told, Mlp(hidden=(64, 64)), STABLE, 0.45)


VARIANTS = ("flagship sharing", "flagship bending")


@pytest.mark.parametrize(
    "agent",
    # Joint rehearses everything at every step: the same code, five times as long.
    [pytest.param(n, marks=[pytest.mark.slow] if n in VARIANTS else []) for n in AGENTS if n != "joint"],
)
def test_tasks_of_all_kinds_live_in_one_stream_for_every_agent(agent):
    sources = [Digits(), Bundled("diabetes"), Bundled("linnerud"), Bundled("wine")]
    order = ["digits", "diabetes", "linnerud", "wine", "digits"]
    scenario = Scenario(labels="judging" if agent == "independent" else "never")
    stream = datasets(sources, Timetable(order=order, epochs=8, batch_size=16), scenario)
    result = run(stream, AGENTS[agent](), evaluation=ENDS)
    final = dict(zip(result.matrix.tasks, result.matrix.scores[-1], strict=True))
    assert final["digits"] > 0.85
    assert final["wine"] > 0.9
    # One network that forgets, or is frozen, may lose it; a network of its own keeps it.
    assert final["diabetes"] > (0.2 if agent in ("flagship", "independent") else -1.0)
    assert 0.0 <= final["linnerud"] <= 1.0


def test_convolutions_with_group_norm_can_share_a_protected_trunk():
    stream = class_split(Digits(), Timetable(epochs=6), Scenario(labels="judging", head="per_task"))
    network, fast = Cnn(channels=(8, 16), hidden=32), Optimizer("adam", lr=3e-3)
    ours = run(stream, flagship(network, fast, share="always"), evaluation=ENDS).summary
    naive = run(stream, Finetune(network, fast), evaluation=ENDS).summary
    assert ours.acc > 0.9
    assert ours.forgetting < naive.forgetting


def test_joint_rehearses_what_it_has_seen_and_keeps_no_view_of_a_larger_tensor():
    agent = Joint(NETWORK, FAST)
    large = torch.zeros(10_000, 16)
    (first,) = batches(1, 1)
    large[:16] = first.inputs
    agent.learn(type(first)(large[:16], first.targets, first.contract))
    assert agent.state_dict()["seen"][0].inputs.untyped_storage().nbytes() == 16 * 16 * 4


def test_asked_without_a_label_finetuning_uses_its_latest_head():
    stream = class_split(Digits(), Timetable(epochs=4), Scenario(labels="training", head="per_task"))
    agent = Finetune(NETWORK, FAST)
    for batch, _ in stream.experiences():
        agent.learn(batch)
    last = stream.tasks[-1]
    assert last.label is None
    answer = agent.predict(Query(last.test_inputs, last.contract))
    assert (answer.outputs.argmax(1) == last.test_targets).float().mean() > 0.9


def test_arrays_of_ones_own_are_a_stream_too():
    inputs = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    targets = (inputs[:, 0] > 0).long()
    data = Arrays(inputs[:200].numpy(), targets[:200].numpy(), inputs[200:].numpy(), targets[200:].numpy())
    stream = datasets([data], Timetable(epochs=20, batch_size=10))
    assert run(stream, Finetune(NETWORK, FAST), evaluation=ENDS).summary.acc > 0.93


def test_with_labels_in_training_alone_an_expert_answers_with_the_head_that_it_has():
    stream = class_split(Digits(), Timetable(epochs=15), Scenario(labels="training", head="per_task"))
    summary = run(stream, flagship(NETWORK, FAST), evaluation=ENDS).summary
    assert summary.labels_shown
    assert summary.routing_accuracy > 0.9
    assert summary.acc > 0.9


def test_the_oracle_does_not_guess_when_judging_hides_the_label():
    with pytest.raises(ValueError, match=r"stream\.scenario\.labels=judging"):
        run(toy_stream(labels="training"), Independent(NETWORK), evaluation=ENDS)


@pytest.mark.parametrize("setting", [{"sync_every": 0}, {"subspace": Coso()}])
def test_settings_out_of_range_are_refused_when_the_agent_is_made(setting):
    (name,) = setting
    for agent in (flagship, gpm):
        with pytest.raises(ValueError, match=name if name != "subspace" else "Coso must be told when a task begins"):
            agent(**setting)


@pytest.mark.parametrize("subspace", [Sgp(), NullSpace(), Owm(), Ridge(), Osft()], ids=lambda m: type(m).__name__)
def test_one_network_forgets_less_under_every_method(subspace: Method):
    stream = toy_stream()
    plain = run(stream, Finetune(NETWORK), evaluation=ENDS).summary
    held = run(stream, gpm(NETWORK, subspace=subspace), evaluation=ENDS).summary
    assert held.bwt > plain.bwt + 0.02
    assert held.learning_accuracy > 0.6
