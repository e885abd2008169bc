"""A stream with probes is the same stream, with more to be judged."""

from __future__ import annotations

import pytest
import torch
from toys import toy_stream

from lifelong.check import check_stream
from lifelong.evaluation.schedule import Schedule
from lifelong.lifetime import run
from lifelong.network import Mlp
from lifelong_agents.finetune import Finetune
from lifelong_envs.probed import probed, with_probe
from lifelong_envs.relay import Relay


def test_it_keeps_the_laws_of_streams() -> None:
    check_stream(probed(toy_stream("A B", steps=10), toy_stream("G", steps=10)))


def test_numbers_and_losses_are_those_without_a_probe(tmp_path) -> None:
    def live(stream, name):
        torch.manual_seed(0)
        return run(stream, Finetune(Mlp(hidden=(16,))), out=tmp_path / name, evaluation=Schedule(within=1))

    plain = live(toy_stream("A B A", steps=20), "plain")
    more = live(probed(toy_stream("A B A", steps=20), toy_stream("G H", steps=20)), "more")
    assert more.matrix.tasks == ("A", "B", "G", "H")
    for name in ("acc", "bwt", "fwt", "forgetting", "learning_accuracy", "prequential_accuracy", "steps"):
        assert getattr(more.summary, name) == getattr(plain.summary, name), name
    assert plain.matrix.scores.tolist() == more.matrix.scores[:, :2].tolist()


def test_what_is_lived_in_is_kept() -> None:
    inner = Relay([toy_stream("A B", steps=5)])
    stream = with_probe(inner, *toy_stream("G", steps=5).tasks)
    stream.load_state_dict(stream.state_dict())
    assert stream.name == inner.name
    assert len(list(stream.experiences(7))) == 3


def test_a_probe_needs_a_name_of_its_own() -> None:
    with pytest.raises(ValueError, match="has tasks called A itself"):
        probed(toy_stream("A B", steps=5), toy_stream("A", steps=5))
    with pytest.raises(ValueError, match="got no probe"):
        with_probe(toy_stream("A", steps=5))
