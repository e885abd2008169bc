"""Experts on the disk: no weights in memory, the same answers, and a checkpoint that stays true."""

from __future__ import annotations

import copy

import pytest
import torch
from toys import CONTRACT, batches

from lifelong.experience import Query
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.shelf import Shelf
from lifelong_agents.flagship import flagship

FAST = Optimizer("adam", lr=0.01)


def learner(archive, hot=1, **settings) -> LifelongLearner:
    settings = {"share": "never", **settings}
    return flagship(Mlp(hidden=(16, 16)), FAST, archive=None if archive is None else str(archive), hot=hot, **settings)


def lived(agent: LifelongLearner, worlds=(1, 2, 3)) -> LifelongLearner:
    for world in worlds:
        for batch in batches(world, 80):
            agent.learn(batch)
    return agent


def answers(agent: LifelongLearner) -> list[torch.Tensor]:
    return [agent.predict(Query(batches(world, 4)[3].inputs, CONTRACT)).outputs for world in (1, 2, 3)]


def test_what_is_put_on_a_shelf_comes_back_and_the_same_thing_is_kept_once(tmp_path):
    shelf = Shelf(tmp_path / "made")
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5), "none": torch.empty(0)}
    ticket = shelf.put(tensors)
    assert shelf.put({name: t.clone() for name, t in reversed(tensors.items())}) == ticket
    assert len(list((tmp_path / "made").iterdir())) == 1
    back = shelf.take(ticket, torch.device("cpu"))
    assert all(torch.equal(back[name], t) for name, t in tensors.items())
    assert shelf.put({**tensors, "b": torch.arange(1, 6)}) != ticket
    assert shelf.bytes(ticket) == (tmp_path / "made" / f"{ticket}.pt").stat().st_size
    (tmp_path / "made" / f"{ticket}.pt").unlink()
    with pytest.raises(ValueError, match="Put the file back"):
        shelf.take(ticket, torch.device("cpu"))


@pytest.mark.parametrize("place", [0, 40, 300, 1500, 3000, -20])
def test_a_damaged_file_is_no_expert(tmp_path, place):
    shelf, tensors = Shelf(tmp_path), {"a": torch.arange(1000.0)}
    ticket = shelf.put(tensors)
    path = tmp_path / f"{ticket}.pt"
    whole = path.read_bytes()
    place %= len(whole)
    cut, blank, junk = whole[:place], whole[:place] + bytes(64) + whole[place + 64 :], whole[:place] + b"junk" * 9
    # What another one holds is not what this one was.
    other = (tmp_path / f"{shelf.put({'a': torch.arange(999.0)})}.pt").read_bytes()
    for damaged in (cut, blank, junk, other, bytes(100), b"\x80\x02K\x01."):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{path}, and the file is damaged"):
            shelf.take(ticket, torch.device("cpu"))
    path.write_bytes(whole)
    assert torch.equal(shelf.take(ticket, torch.device("cpu"))["a"], tensors["a"])


def test_an_archive_is_a_folder_that_can_be_made_wherever_the_run_goes_later(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    shelves = Shelf("here/and/there"), Shelf("~/kept"), Shelf(tmp_path / "new")
    assert [s.folder for s in shelves] == [
        tmp_path / "here" / "and" / "there",
        tmp_path / "home" / "kept",
        tmp_path / "new",
    ]
    # Nothing is made before there is something to put.
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for shelf in shelves:
        ticket = shelf.put({"a": torch.ones(1)})
        assert (shelf.folder / f"{ticket}.pt").exists()


def test_a_place_that_can_be_no_archive_is_refused_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(ValueError, match=f"archive: .*{place} cannot be a folder .*file is a file. Set archive to"):
            learner(tmp_path / place)
    with pytest.raises(ValueError, match=r"archive: .* cannot be a folder for experts .* Set archive to another one"):
        learner(tmp_path / ("x" * 5000))
    (tmp_path / "locked").mkdir()
    # Who may do everything is refused nothing: the answer is made up.
    monkeypatch.setattr("os.access", lambda place, mode: place != tmp_path / "locked")
    for place in ("locked", "locked/below"):
        with pytest.raises(ValueError, match=f"archive: nothing can be written to .*{place}, for .*locked may not be"):
            learner(tmp_path / place)
    learner(tmp_path / "open")


def test_experts_that_nobody_asks_for_have_no_weights_in_memory_and_answer_the_same(tmp_path):
    plain, away = lived(learner(None)), lived(learner(tmp_path))
    assert [f.is_away for f in away._pool._foundations] == [True, True, False]
    sizes = plain.size(), away.size()
    assert sizes[0].experts == sizes[1].experts == 3
    assert sizes[0].parameters == sizes[1].parameters
    assert sizes[0].archived == 0
    assert sizes[1].archived == sum(path.stat().st_size for path in tmp_path.iterdir())
    weights = sizes[0].parameters * 4
    assert sizes[0].bytes - sizes[1].bytes == weights * 2 // 3
    for ours, theirs in zip(answers(plain), answers(away), strict=True):
        assert torch.equal(ours, theirs)
    # Whoever was asked has been put away again.
    assert [f.is_away for f in away._pool._foundations] == [True, True, False]


def test_a_world_that_comes_back_wakes_its_expert_and_goes_on_alike(tmp_path):
    plain, away = (lived(learner(archive), (1, 2, 3, 1, 2)) for archive in (None, tmp_path))
    assert away.size().experts == 3
    for ours, theirs in zip(answers(plain), answers(away), strict=True):
        assert torch.equal(ours, theirs)


def test_a_learner_with_experts_on_the_disk_is_restored_exactly(tmp_path):
    ours = lived(learner(tmp_path))
    state = copy.deepcopy(ours.state_dict())
    theirs = learner(tmp_path)
    theirs.load_state_dict(state)
    for a, b in zip(answers(ours), answers(theirs), strict=True):
        assert torch.equal(a, b)
    # The files that the state names stay what they are, whatever is learned later.
    lived(ours, (1, 2))
    again = learner(tmp_path)
    again.load_state_dict(state)
    for a, b in zip(answers(theirs), answers(again), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="set archive"):
        learner(None).load_state_dict(state)


def test_no_more_parameters_than_allowed(tmp_path):
    one = lived(learner(None), (1,)).size().parameters
    agent = lived(learner(None, max_parameters=2 * one + 5), (1, 2, 3, 4))
    assert agent.size().experts == 2
    assert agent.size().parameters <= 2 * one + 5
    for settings, said in (({"max_parameters": 0}, "max_parameters"), ({"hot": 0}, "hot must leave")):
        with pytest.raises(ValueError, match=said):
            learner(tmp_path, **settings)
