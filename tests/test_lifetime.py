from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import pytest
import torch
from toys import toy_stream, walk

from lifelong.checkpoint import CheckpointError, checkpoints_in, read_checkpoint
from lifelong.evaluation.schedule import Schedule
from lifelong.events import Event, TaskScored
from lifelong.experience import Batch, Prediction
from lifelong.lifetime import Result, run
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.pruning import Gradual
from lifelong.saving import Saving
from lifelong.shift.falling import Falling
from lifelong.shift.unlabelled.watch import Unlabelled
from lifelong_agents.finetune import Finetune
from lifelong_agents.flagship import flagship
from lifelong_agents.gpm import gpm
from lifelong_agents.independent import Independent
from lifelong_agents.joint import Joint

FAST = Optimizer("adam", lr=0.01)
NETWORK = Mlp(hidden=(16, 16))
AGENTS = {
    "flagship": lambda: flagship(NETWORK, FAST),
    "flagship sharing": lambda: flagship(NETWORK, FAST, share="always"),
    "flagship bending": lambda: flagship(NETWORK, FAST, share="adapters", rank=4),
    "flagship that watches all": lambda: flagship(
        NETWORK,
        FAST,
        falls=Falling(),
        inputs=Unlabelled(),
        drift_every=25,
        share="never",
        prune=Gradual(0.5, 10, 60, 5),
    ),
    "flagship reading rarely": lambda: flagship(NETWORK, FAST, read_every=8),
    "gpm": lambda: gpm(NETWORK, FAST),
    "gpm lazy": lambda: gpm(NETWORK, Optimizer("sgd", lr=0.05, momentum=0.9), sync_every=16),
    "finetune": lambda: Finetune(NETWORK, FAST),
    "joint": lambda: Joint(NETWORK, FAST),
}
SCHEDULE = Schedule(within=2)


class Stopped(RuntimeError):
    """The process is gone."""


class Mortal:
    """A learner that dies before it has learned `after` experiences."""

    def __init__(self, inner, after):
        self._inner, self._left = inner, after

    def learn(self, batch: Batch):
        self._left -= 1
        if self._left < 0:
            raise Stopped
        return self._inner.learn(batch)

    def __getattr__(self, name):
        return getattr(self._inner, name)


OPTIONS = {"evaluation": SCHEDULE, "saving": Saving(every=20), "flush_every": 7, "report": False}


@cache
def lived(agent: str, folder: Path) -> Result:
    """A run from its beginning to its end."""
    return run(toy_stream("A B A"), AGENTS[agent](), out=folder / agent, name=agent, **OPTIONS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where runs are that several tests compare theirs with."""
    return tmp_path_factory.mktemp("whole")


@pytest.mark.parametrize(
    # To be taken up again alike, as all of them are below, they must do the same anyway.
    "agent",
    [pytest.param(n, marks=[] if n in ("flagship", "gpm", "joint") else pytest.mark.slow) for n in AGENTS],
)
def test_the_same_seed_writes_the_same_bytes(agent, tmp_path, folder):
    lived(agent, folder)
    torch.rand(17)  # The state of the global generator must not matter.
    run(toy_stream("A B A"), AGENTS[agent](), out=tmp_path, name=agent, **OPTIONS)
    for name in ("events.jsonl", "scores.csv"):
        assert (tmp_path / name).read_bytes() == (folder / agent / name).read_bytes()


STOPS = [
    pytest.param(agent, stop, marks=[] if stop == 64 or agent in ("finetune", "flagship") else pytest.mark.slow)
    for agent in AGENTS
    for stop in (45, 64, 130)
]


@pytest.mark.parametrize(("agent", "stop_at"), STOPS)
def test_a_resumed_run_equals_the_uninterrupted_one(agent, stop_at, tmp_path, folder):
    options, whole = {"name": agent, **OPTIONS}, lived(agent, folder)
    with pytest.raises(Stopped):
        run(toy_stream("A B A"), Mortal(AGENTS[agent](), stop_at), out=tmp_path / "torn", **options)
    torn = run(toy_stream("A B A"), AGENTS[agent](), out=tmp_path / "torn", resume=True, **options)
    assert torn.events == whole.events
    # Blocks of updates do not tell where checkpoints were, so even the bytes agree.
    for name in ("events.jsonl", "scores.csv"):
        assert (tmp_path / "torn" / name).read_bytes() == (folder / agent / name).read_bytes()


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, folder):
    options, whole = {"name": "flagship", **OPTIONS}, lived("flagship", folder)
    with pytest.raises(Stopped):
        run(toy_stream("A B A"), Mortal(flagship(NETWORK, FAST), 70), out=tmp_path / "torn", **options)
    newest = max((tmp_path / "torn/checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"step-0+60-.*is damaged.*Going on from step-0+40-"):
        torn = run(toy_stream("A B A"), flagship(NETWORK, FAST), out=tmp_path / "torn", resume=True, **options)
    assert torn.events == whole.events
    assert (tmp_path / "torn/events.jsonl").read_bytes() == (folder / "flagship/events.jsonl").read_bytes()


def test_a_run_that_was_stopped_before_its_first_checkpoint_starts_over(tmp_path):
    whole = run(toy_stream(), Finetune(NETWORK), out=tmp_path / "whole")
    with pytest.raises(Stopped):
        run(toy_stream(), Mortal(Finetune(NETWORK), 5), out=tmp_path / "torn")
    torn = run(toy_stream(), Finetune(NETWORK), out=tmp_path / "torn", resume=True)
    assert torn.events == whole.events
    assert (tmp_path / "torn/events.jsonl").read_bytes() == (tmp_path / "whole/events.jsonl").read_bytes()


def test_checkpoints_that_are_gone_are_named(tmp_path):
    run(toy_stream(), Finetune(NETWORK), out=tmp_path / "run")
    for checkpoint in (tmp_path / "run/checkpoints").iterdir():
        checkpoint.unlink()
    with pytest.raises(CheckpointError, match=r"no checkpoint any more, and one was saved last as step-000000000180-"):
        run(toy_stream(), Finetune(NETWORK), out=tmp_path / "run", resume=True)


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ("code ran",))

    options = {"evaluation": SCHEDULE, "saving": Saving(every=20)}
    with pytest.raises(Stopped):
        run(toy_stream(), Mortal(Finetune(NETWORK), 25), out=tmp_path / "torn", **options)
    (checkpoint,) = (tmp_path / "torn/checkpoints").iterdir()
    torch.save({"format": 1, "step": 20, "learner": Trap()}, checkpoint)
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:16]
    checkpoint.rename(checkpoint.with_name(f"step-000000000020-{digest}.pt"))
    with pytest.raises(CheckpointError, match="cannot be read"):
        run(toy_stream(), Finetune(NETWORK), out=tmp_path / "torn", resume=True, **options)


def test_only_the_last_checkpoints_are_kept(tmp_path):
    result = run(toy_stream(), Finetune(NETWORK), out=tmp_path / "run", saving=Saving(every=20))
    assert [read_checkpoint(p).mark.step for p in checkpoints_in(tmp_path / "run/checkpoints")] == [180, 160]
    assert result.folder is not None


def test_a_run_is_never_written_over(tmp_path):
    run(toy_stream(), Finetune(NETWORK), out=tmp_path / "run")
    with pytest.raises(FileExistsError, match="already holds a run"):
        run(toy_stream(), Finetune(NETWORK), out=tmp_path / "run")


def test_the_matrix_has_the_untrained_learner_in_row_0_and_every_task_as_a_column():
    result = run(toy_stream("A B A"), Finetune(NETWORK, FAST), evaluation=SCHEDULE)
    assert result.folder is None
    assert result.matrix.tasks == ("A", "B")
    assert result.matrix.segments == ("A", "B", "A")
    untrained = result.matrix.scores[0]
    assert (untrained < 0.7).all()
    assert result.matrix.scores[1, 0] > 0.95 > result.matrix.scores[1, 1]
    looks = {step for step, e in result.events if isinstance(e, TaskScored)}
    assert looks == {0, 20, 40, 60, 80, 100, 120, 140, 160, 180}


def test_the_folder_has_every_file_and_the_summary_every_number(tmp_path):
    run(toy_stream("A B A"), flagship(NETWORK, FAST), out=tmp_path / "run", config="seed: 0\n")
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names >= {"config.yaml", "events.jsonl", "scores.csv", "summary.json", "report.html", "checkpoints"}
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    promised = (
        "acc bwt fwt forgetting learning_accuracy prequential_accuracy experts shifts_true shifts_detected "
        "false_alarms missed_shifts detection_delay routing_accuracy steps wall_seconds seed versions"
    )
    assert all(summary[name] is not None for name in promised.split(" "))
    assert summary["experts"] == summary["shifts_detected"] == summary["shifts_true"] == 2
    assert summary["false_alarms"] == summary["missed_shifts"] == 0


class Spy:
    """Keeps everything that a learner is handed, by whatever method."""

    def __init__(self, inner):
        self._inner, self.handed = inner, []

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*given):
            self.handed += given
            return found(*given)

        return call


VARIANTS = ("flagship bending", "flagship reading rarely", "gpm lazy")


@pytest.mark.parametrize("agent", [pytest.param(n, marks=[pytest.mark.slow] * (n in VARIANTS)) for n in AGENTS])
def test_agents_never_see_a_task_id(agent):
    spy = Spy(AGENTS[agent]())
    stream = toy_stream("A B A")
    run(stream, spy, evaluation=SCHEDULE)
    handed = list(walk(spy.handed))
    assert sum(isinstance(thing, Batch) for thing in handed) == 180
    names = {task.name for task in stream.tasks}
    assert not [thing for thing in handed if isinstance(thing, str) and thing in names]
    assert len({id(thing.contract) for thing in handed if isinstance(thing, Batch)}) == 1
    assert not any(thing.boundary or thing.ends for thing in handed if isinstance(thing, Batch))


def test_the_spy_would_notice_a_label():
    spy = Spy(Finetune(NETWORK))
    run(toy_stream("A B A", labels="judging"), spy, evaluation=SCHEDULE)
    assert {"A", "B"} <= {thing for thing in walk(spy.handed) if isinstance(thing, str)}


def test_the_oracle_needs_labels_and_says_how_to_give_them():
    with pytest.raises(ValueError, match=r"stream\.scenario\.labels=judging"):
        run(toy_stream(), Independent(NETWORK))
    result = run(toy_stream("A B A", labels="judging"), Independent(NETWORK, FAST))
    assert result.summary.experts == 2
    assert result.summary.labels_shown


def test_a_subscriber_sees_the_run_in_order():
    class Watch:
        def __init__(self):
            self.steps: list[int] = []
            self.closed = 0

        def on(self, step: int, event: Event) -> None:
            self.steps.append(step)

        def close(self) -> None:
            self.closed += 1

    watch = Watch()
    run(toy_stream(), Finetune(NETWORK), subscribers=[watch])
    assert watch.steps == sorted(watch.steps)
    assert watch.closed == 1


class Faulty:
    """An agent that breaks one promise."""

    def __init__(self, learn=lambda real: real, predict=lambda real: real):
        self._inner, self._learn, self._predict = Finetune(NETWORK), learn, predict

    def learn(self, batch):
        return self._learn(self._inner.learn(batch))

    def predict(self, query):
        return self._predict(self._inner.predict(query))

    def __getattr__(self, name):
        return getattr(self._inner, name)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"learn": iter}, "must return a list or tuple"),
        ({"learn": lambda real: ()}, "exactly one Update"),
        ({"predict": lambda real: Prediction(real.outputs[:, 0], real.experts)}, r"outputs of shape \(200, 6\)"),
        ({"predict": lambda real: Prediction(real.outputs, real.experts[:1])}, r"experts of shape \(200,\)"),
    ],
)
def test_an_agent_that_breaks_its_contract_is_told_so_at_once(fault, said):
    with pytest.raises(ValueError, match=said):
        run(toy_stream(), Faulty(**fault))


def test_a_stream_that_ends_before_its_segments_do_is_not_a_finished_run():
    class Short:
        def __init__(self, inner):
            self.name, self.tasks, self.segments = inner.name, inner.tasks, inner.segments
            self._inner = inner

        def experiences(self, start=0):
            for step, served in enumerate(self._inner.experiences(start)):
                if step < 50:
                    yield served

    with pytest.raises(ValueError, match="promises 180 experiences in its segments and gave 50"):
        run(Short(toy_stream()), Finetune(NETWORK))


def test_a_record_that_lost_its_checkpoints_is_not_silently_started_over(tmp_path):
    run(toy_stream(), Finetune(NETWORK), out=tmp_path / "run")
    (tmp_path / "run/events.jsonl").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"events\.jsonl is not what it was when step-0+180-"):
        run(toy_stream(), Finetune(NETWORK), out=tmp_path / "run", resume=True)


@pytest.mark.parametrize("labels", ["training", "judging"])
def test_labels_shown_anywhere_are_on_record(labels):
    assert run(toy_stream(labels=labels), Finetune(NETWORK)).summary.labels_shown
