"""Who answers is the learner of the newest good checkpoint, exactly, and nothing in the run's folder is touched."""

from __future__ import annotations

import gc
import logging
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from served_run import body_of, copied, live, predicted, study_of, tasks_of

from lifelong.checkpoint import Mark, checkpoints_in, save_checkpoint
from lifelong.experience import Query
from lifelong.serving import answerer as module
from lifelong.serving.answerer import Answerer, NothingYet
from lifelong.serving.asking import Refused

STEPS = [100, 80, 40]


def looked(folder: Path) -> Answerer:
    answerer = Answerer(folder)
    assert answerer.look()
    return answerer


def question(run: Path) -> bytes:
    return body_of(tasks_of(run)[0].test_inputs[:2])


@pytest.mark.parametrize("place", [0, 2])
def test_answers_are_those_of_the_learner_to_the_last_digit(place: int, run: Path, tmp_path: Path) -> None:
    folder, _ = copied(run, tmp_path / "run", 3 - place)
    answerer = looked(folder)
    for task in tasks_of(run):
        inputs = task.test_inputs[:100]
        said = answerer.answer(body_of(inputs))
        wanted = predicted(run, place, Query(inputs, task.contract))
        assert wanted.known is not None
        sure = wanted.outputs.double().softmax(1).amax(1)
        assert [one["class"] for one in said["answers"]] == wanted.outputs.argmax(1).tolist()
        assert [one["confidence"] for one in said["answers"]] == sure.tolist()
        assert [one["expert"] for one in said["answers"]] == wanted.experts.tolist()
        assert [one["known"] for one in said["answers"]] == wanted.known.tolist()
        assert said["checkpoint"]["step"] == STEPS[place]
        assert (folder / "checkpoints" / said["checkpoint"]["name"]).is_file()
        if place == 0:
            # Each world has an expert of its own by then.
            number = tasks_of(run).index(task)
            assert sum(one["expert"] == number for one in said["answers"]) > 90


def test_before_the_first_checkpoint_nobody_answers(run: Path, tmp_path: Path) -> None:
    folder, later = copied(run, tmp_path / "run", 0)
    answerer = Answerer(folder)
    assert not answerer.look()
    assert answerer.describe()["checkpoint"] is None
    with pytest.raises(NothingYet, match=r"there is no checkpoint to answer from yet\. Ask again"):
        answerer.answer(question(run))
    shutil.copy(later[0], folder / "checkpoints")
    assert answerer.look()
    assert answerer.answer(question(run))["checkpoint"]["step"] == 40


def test_a_newer_checkpoint_takes_over_and_an_older_one_never(run: Path, tmp_path: Path) -> None:
    folder, later = copied(run, tmp_path / "run", 2)
    answerer = looked(folder)
    assert answerer.served is not None
    former = weakref.ref(answerer.served.learner)
    assert answerer.served.step == 80
    assert not answerer.look()
    shutil.copy(later[0], folder / "checkpoints")
    assert answerer.look()
    assert answerer.describe()["checkpoint"]["step"] == 100
    gc.collect()
    assert former() is None
    # The one that is served may be removed: it is in memory, and better than one from before.
    (folder / "checkpoints" / later[0].name).unlink()
    assert not answerer.look()
    assert answerer.answer(question(run))["checkpoint"]["step"] == 100


def test_while_a_checkpoint_is_loaded_the_former_one_answers(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, later = copied(run, tmp_path / "run", 1)
    answerer = looked(folder)
    meanwhile: list[dict[str, Any]] = []
    before = answerer.answer(question(run))
    read, restore = module.read_checkpoint, module.learning

    def asked_in_between(real: Any) -> Any:
        def call(*given: Any) -> Any:
            meanwhile.append(answerer.answer(question(run)))
            return real(*given)

        return call

    monkeypatch.setattr(module, "read_checkpoint", asked_in_between(read))
    monkeypatch.setattr(module, "learning", asked_in_between(restore))
    shutil.copy(later[-1], folder / "checkpoints")
    assert answerer.look()
    assert meanwhile == [before, before]
    assert answerer.answer(question(run)) != before


def broken(path: Path) -> bytes:
    """Change one bit of a file; what it held."""
    held = path.read_bytes()
    path.write_bytes(held[:999] + bytes([held[999] ^ 1]) + held[1000:])
    return held


def test_a_damaged_checkpoint_is_passed_over_and_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = copied(run, tmp_path / "run", 3)
    newest = checkpoints_in(folder / "checkpoints")[0]
    held = broken(newest)
    tried: list[str] = []
    real = module.read_checkpoint
    monkeypatch.setattr(module, "read_checkpoint", lambda path, *more: tried.append(path.name) or real(path, *more))
    answerer = looked(folder)
    assert answerer.served is not None
    assert answerer.served.step == 80
    (refused,) = answerer.describe()["refused"]
    assert refused["name"] == newest.name
    assert refused["why"].startswith(f"{newest.name} is damaged: it is not what was written")
    # It is not read again and again, and not told again and again.
    assert not answerer.look()
    assert tried == [newest.name, answerer.served.name]
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == [f"passed over: {refused['why']}"]
    # Somebody puts a copy in its place.
    newest.write_bytes(held)
    assert answerer.look()
    assert answerer.describe()["checkpoint"]["step"] == 100
    assert answerer.describe()["refused"] == []


def test_where_all_are_damaged_it_is_said_why_nobody_answers(run: Path, tmp_path: Path) -> None:
    folder, _ = copied(run, tmp_path / "run", 1)
    broken(checkpoints_in(folder / "checkpoints")[0])
    answerer = Answerer(folder)
    assert not answerer.look()
    with pytest.raises(NothingYet, match=r"no checkpoint to answer from yet: step-0+40-\w+\.pt is damaged"):
        answerer.answer(question(run))


@pytest.mark.parametrize("when", ["before it is opened", "before it is looked at"])
def test_a_checkpoint_that_vanishes_makes_room_for_the_next(
    when: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = copied(run, tmp_path / "run", 3)
    listed = checkpoints_in(folder / "checkpoints")
    # What is there when the folder is listed, and not any more when its date is asked for.
    (folder / "checkpoints" / f"step-{999:012d}-{'0' * 16}.pt").symlink_to("nowhere")
    if when == "before it is looked at":
        monkeypatch.setattr(module, "checkpoints_in", lambda place: listed)
        listed[0].unlink()
    else:
        real = module.read_checkpoint

        def late(path: Path, *more: Any) -> Any:
            if path == listed[0]:
                path.unlink()
            return real(path, *more)

        monkeypatch.setattr(module, "read_checkpoint", late)
    answerer = looked(folder)
    assert answerer.describe()["checkpoint"]["step"] == 80
    assert answerer.describe()["refused"] == []


def test_what_may_pass_is_tried_again_and_told_once(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = copied(run, tmp_path / "run", 1)
    answerer = Answerer(folder)
    real = Path.open

    def fail(path: Path, *more: Any) -> Any:
        raise OSError(5, "Input/output error") if path.suffix == ".pt" else AssertionError(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        assert not answerer.look()
        assert not answerer.look()
    assert Path.open is real
    assert len([r for r in caplog.records if "Input/output error" in r.message]) == 1
    assert answerer.look()


def test_a_checkpoint_of_another_agent_is_refused(run: Path, tmp_path: Path) -> None:
    folder, _ = copied(run, tmp_path / "run", 3)
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    (folder / "config.yaml").write_text(text.replace("name: flagship", "name: tame").split("agent:")[0] + "agent: er\n")
    answerer = Answerer(folder)
    assert not answerer.look()
    assert len(answerer.describe()["refused"]) == 3
    assert "does not fit" in answerer.describe()["refused"][0]["why"]


def test_a_learner_that_has_diverged_is_not_served(tmp_path: Path) -> None:
    folder = live(tmp_path / "live", "agent=finetune")
    study = study_of(folder)
    learner: Any = study.agent.build()
    learner.learn(next(iter(study.stream.experiences()))[0])
    for tensor in learner.state_dict()["parts"]["weights"].values():
        tensor.fill_(float("nan"))
    save_checkpoint(folder / "checkpoints", Mark(101, 0.0), learner)
    answerer = looked(folder)
    assert answerer.describe()["checkpoint"]["step"] == 100
    assert "it has diverged" in answerer.describe()["refused"][0]["why"]
    # A number that is far from everything makes a sound learner answer no number.
    with pytest.raises(Refused, match="sample 1 is so far from all that was learned"):
        answerer.answer(body_of(torch.stack([torch.zeros(64), torch.full((64,), 3e38)])))


def test_nothing_in_the_folder_is_touched(run: Path, tmp_path: Path) -> None:
    folder, _ = copied(run, tmp_path / "run", 3)
    broken(checkpoints_in(folder / "checkpoints")[0])

    def found() -> dict[Path, tuple[int, bytes]]:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = found()
    answerer = looked(folder)
    answerer.answer(question(run))
    assert found() == before


def test_a_learner_that_is_told_the_task_is_told_it(tmp_path: Path) -> None:
    scenario = "stream.scenario={labels: judging, head: per_task}"
    folder = live(tmp_path / "live", "agent=independent", scenario)
    answerer = looked(folder)
    assert answerer.describe()["task_needed"]
    for number, task in enumerate(tasks_of(folder)):
        said = answerer.answer(body_of(task.test_inputs[:50], task.name))["answers"]
        wanted = predicted(folder, 0, Query(task.test_inputs[:50], task.contract, task.name))
        assert [one["class"] for one in said] == wanted.outputs.argmax(1).tolist()
        assert {one["expert"] for one in said} == {number}
    with pytest.raises(Refused, match='add "task", one of A, B'):
        answerer.answer(question(folder))


def test_what_acts_and_what_is_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no config\.yaml: give the folder of a run"):
        Answerer(tmp_path)
    acting = "stream: {name: cartpole_flip, timetable: {order: A B, steps: 512, lanes: 2, experience: 256}}\n"
    (tmp_path / "config.yaml").write_text(acting + "agent: finetune_rl\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has worlds to act in alone, and what acts has no predictions to give"):
        Answerer(tmp_path)


def test_the_reference_in_a_run_is_served_too(tmp_path: Path) -> None:
    folder = live(tmp_path / "live", "reference=finetune") / "reference"
    answerer = looked(folder)
    assert answerer.describe()["agent"] == "finetune"
    assert {one["expert"] for one in answerer.answer(question(folder))["answers"]} == {0}
