"""Agents for drifting tables: their laws, and what each of them must be able to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys import toy_stream

from lifelong.check import check_learner
from lifelong.evaluation.schedule import Schedule
from lifelong.events import ExpertChosen, ExpertSpawned, ShiftDetected
from lifelong.experience import Batch, Query
from lifelong.lifetime import Result, run
from lifelong.objective import Classification, Contract, MultiLabel, Regression
from lifelong.shift.cusum import Cusum
from lifelong.tracking.fixed_share import FixedShare
from lifelong_agents.persistence import Persistence
from lifelong_agents.tracker import Tracker
from lifelong_agents.window_knn import WindowKnn
from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.drifting import DriftingStream, drifting

AGENTS = {
    "persistence": Persistence,
    "window_knn": lambda: WindowKnn(window=100),
    "tracker": lambda: Tracker(hidden=20),
    "tracker, bare": lambda: Tracker(levels=(), labels=0, hidden=0, forgetting=(), combiner=FixedShare()),
    # So quick to see shifts that the laws are held while specialists come and go.
    "tracker, nervous": lambda: Tracker(hidden=5, detector=Cusum(0.5, 0.1, warmup=2), block=8, max_experts=6),
}


def worlds(order: str = "A B A B", each: int = 500, seed: int = 1) -> DriftingStream:
    """A table of 4 columns in which each letter stands for another linear rule."""
    draw = np.random.default_rng(seed)
    rules = {letter: draw.standard_normal(4) for letter in sorted(set(order.split()))}
    inputs = draw.standard_normal((each * len(order.split()) + 1, 4))
    labels = np.concatenate([inputs[i * each : (i + 1) * each] @ rules[w] > 0 for i, w in enumerate(order.split())])
    labels = np.append(labels, True).astype(np.int64)
    return drifting(Arrays(inputs[:-1], labels[:-1], inputs[-1:], labels[-1:], name="worlds"))


def lived(stream: DriftingStream, agent: object) -> Result:
    return run(stream, agent, evaluation=Schedule(within=0))  # type: ignore[arg-type]


@pytest.mark.parametrize("agent", AGENTS)
def test_agents_keep_the_laws(agent: str) -> None:
    check_learner(AGENTS[agent], toy_stream("A B A", steps=30), steps=40)
    check_learner(AGENTS[agent], worlds("A B", 60), steps=120)


def test_persistence_repeats_the_last_answer_of_any_kind() -> None:
    agent, contract = Persistence(), Contract((2,), 3, Classification())
    assert agent.predict(Query(torch.zeros(2, 2), contract)).outputs.tolist() == [[0, 0, 0], [0, 0, 0]]
    labels = torch.tensor([2, 2, 0, 1, 1])
    scores = []
    for label in labels.split(1):
        update, *_ = agent.learn(Batch(torch.zeros(1, 2), label, contract))
        scores.append(float(update.per_sample(update.outputs, update.targets)))
    assert scores[1:] == [1, 0, 0, 1]
    for objective, target, wanted in (
        (Regression(), torch.tensor([[0.5, 2.0]]), [0.5, 2.0]),
        (MultiLabel(), torch.tensor([[0.0, 1.0]]), [-1.0, 1.0]),
    ):
        kind, agent = Contract((2,), 2, objective), Persistence()
        agent.learn(Batch(torch.zeros(1, 2), torch.tensor([2]), contract))
        # What was shown before was of another kind: no answer to repeat.
        assert agent.predict(Query(torch.zeros(1, 2), kind)).outputs.tolist() == [[0.0, 0.0]]
        agent.learn(Batch(torch.zeros(1, 2), target, kind))
        assert agent.predict(Query(torch.zeros(1, 2), kind)).outputs.tolist() == [wanted]


def test_the_windowed_learner_votes_as_scikit_learn_s_neighbours_do() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    draw = np.random.default_rng(0)
    inputs, labels = draw.standard_normal((300, 3)).astype(np.float32), draw.integers(3, size=300)
    contract, agent = Contract((3,), 3, Classification()), WindowKnn(window=80, neighbours=5)
    for t in range(299):
        agent.learn(Batch(torch.from_numpy(inputs[t : t + 1]), torch.from_numpy(labels[t : t + 1]), contract))
    oracle = KNeighborsClassifier(5, weights="distance").fit(inputs[219:299], labels[219:299])
    queries = draw.standard_normal((50, 3)).astype(np.float32)
    found = agent.predict(Query(torch.from_numpy(queries), contract)).outputs.exp() - 0.01
    np.testing.assert_allclose(found.numpy(), oracle.predict_proba(queries), atol=1e-5)


def test_a_tracker_finds_shifts_spawns_and_takes_specialists_back() -> None:
    stream = worlds("A B A B")
    result = lived(stream, Tracker(hidden=10, block=10))
    kinds = (ShiftDetected, ExpertSpawned, ExpertChosen)
    happened = [(step, event) for step, event in result.events if isinstance(event, kinds) and step > 1]
    assert [type(event) for _, event in happened] == [ShiftDetected, ExpertSpawned] + [ShiftDetected, ExpertChosen] * 2
    found = [(step, event.delay) for step, event in happened if isinstance(event, ShiftDetected)]
    for (step, delay), true in zip(found, (500, 1000, 1500), strict=True):
        assert true < step <= true + 80
        assert abs(step - delay - true) <= 20
    first, child = 0, next(event.expert for _, event in happened if isinstance(event, ExpertSpawned))
    assert [event.expert for _, event in happened if isinstance(event, ExpertChosen)] == [first, child]
    blind = lived(stream, Tracker(hidden=10, block=10, detector=Cusum(threshold=1e9)))
    assert (blind.summary.shifts_detected, blind.summary.experts) == (0, 5)
    assert result.summary.prequential_accuracy > blind.summary.prequential_accuracy + 0.05


def test_a_calm_world_has_one_specialist() -> None:
    calm = lived(worlds("A A A A"), Tracker(hidden=10, block=10)).summary
    assert (calm.shifts_detected, calm.experts) == (0, 5)
    assert calm.prequential_accuracy > 0.9


def test_the_pool_is_bounded_and_who_was_longest_out_of_charge_goes() -> None:
    agent = Tracker(hidden=5, detector=Cusum(0.5, 0.1, warmup=2), block=8, max_experts=7)
    result = lived(worlds("A B A B", 300), agent)
    spawned = [event.expert for step, event in result.events if isinstance(event, ExpertSpawned) and step > 1]
    assert len(spawned) > 4
    assert agent.size().experts == result.summary.experts == 7


def test_a_tracker_uses_how_long_labels_last_unless_it_may_not_remember_them() -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(100) % 2, 6)
    inputs = draw.standard_normal((600, 2))
    stream = drifting(Arrays(inputs[:-1], labels[:-1], inputs[-1:], labels[-1:]))
    repeats = lived(stream, Persistence()).summary.prequential_accuracy
    assert repeats == pytest.approx(5 / 6, abs=5e-3)
    assert lived(stream, Tracker(hidden=5)).summary.prequential_accuracy > 0.95
    assert lived(stream, Tracker(hidden=5, labels=0)).summary.prequential_accuracy < 0.6


def test_rows_of_a_batch_are_answered_before_any_of_them_is_learned() -> None:
    stream = worlds("A", 64)
    inputs, labels = (
        torch.cat(part) for part in zip(*((b.inputs, b.targets) for b, _ in stream.experiences()), strict=True)
    )
    contract = stream.tasks[0].contract
    agent = Tracker(hidden=5)
    agent.learn(Batch(inputs[:32], labels[:32], contract))
    wanted = agent.predict(Query(inputs[32:], contract)).outputs
    update, *_ = agent.learn(Batch(inputs[32:], labels[32:], contract))
    assert torch.equal(update.outputs, wanted)
    # Row by row, what is learned is the same; only the answers come later.
    single = Tracker(hidden=5)
    for x, y in zip(inputs.split(1), labels.split(1), strict=True):
        single.learn(Batch(x, y, contract))
    probe = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        single.predict(Query(probe, contract)).outputs, agent.predict(Query(probe, contract)).outputs
    )


def test_what_agents_cannot_do_they_say() -> None:
    number = Contract((2,), 1, Regression())
    rows = Batch(torch.zeros(1, 2), torch.zeros(1, 1), number)
    with pytest.raises(ValueError, match="Tracker tells classes apart"):
        Tracker().learn(rows)
    with pytest.raises(ValueError, match="WindowKnn votes on classes"):
        WindowKnn().learn(rows)
    agent = Tracker(hidden=0)
    agent.learn(Batch(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64), Contract((2,), 2, Classification())))
    with pytest.raises(ValueError, match="Tracker lives in one table"):
        agent.predict(Query(torch.zeros(1, 3), Contract((3,), 2, Classification())))
    for settings in ({"max_experts": 5}, {"block": 0}, {"hidden": -1}, {"levels": (0,)}, {"ridge": 0.0}):
        with pytest.raises(ValueError, match=r"needs|must be"):
            Tracker(**settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 <= neighbours <= window"):
        WindowKnn(window=3)
