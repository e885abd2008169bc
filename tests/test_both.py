"""Batches and worlds in one life: one record, one numbering, and a resumed life equal to an uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lifelong.both import Numbers
from lifelong.evaluation.schedule import Schedule
from lifelong.events import ExpertSpawned, ShiftSeen, TaskScored
from lifelong.lifetime import run
from lifelong_agents.both import both
from lifelong_agents.flagship import flagship
from lifelong_envs.relay import Relay, relay
from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.timetable import Timetable as Lessons

PPO = {"n_steps": 16, "batch_size": 64, "n_epochs": 2}


def stream(seed: int = 0) -> Relay:
    from lifelong_envs.rl.timetable import Timetable
    from lifelong_envs.rl.world import World
    from lifelong_envs.rl.worlds import worlds

    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(256, 12, generator=generator)
    data = Arrays(inputs, (inputs[:, :6].sum(1) > inputs[:, 6:].sum(1)).long(), inputs[:32], torch.zeros(32).long())
    lessons = permuted(data, Lessons(order="A B A", samples=256, batch_size=32), tasks=2, seed=seed)
    poles = (World("pole", "CartPole-v1"), World("swapped", "CartPole-v1", actions=(1, 0)))
    return relay((lessons, worlds(poles, Timetable(steps=512, lanes=4, experience=64), episodes=2, seed=seed)))


def agent():  # type: ignore[no-untyped-def]
    from lifelong_agents.sb3.lifelong_rl import lifelong_rl

    return both(flagship(), lifelong_rl("ppo", PPO, seed=1))


def test_visits_take_turns_and_nobody_is_served_twice() -> None:
    made = stream()
    assert [s.task for s in made.segments] == ["A", "pole", "B", "swapped", "A"]
    assert [s.steps for s in made.segments] == [8, 8, 8, 8, 8]
    assert {t.name for t in made.tasks} == {"A", "B", "pole", "swapped"}


def test_two_streams_with_one_name_for_two_tasks_are_refused() -> None:
    part = stream()._streams[0]
    with pytest.raises(ValueError, match="Two streams of the relay have a task called"):
        relay((part, part))


def test_every_expert_has_a_number_of_its_own_and_the_first_world_is_plain_to_see() -> None:
    result = run(stream(), agent(), evaluation=Schedule(within=0))
    spawned = [event.expert for _, event in result.events if isinstance(event, ExpertSpawned)]
    assert spawned[:2] == [0, 1]
    assert spawned == sorted(set(spawned))
    assert [(step, event.expert) for step, event in result.events if isinstance(event, ShiftSeen)] == [(9, 0)]
    scored = {e.task: dict(e.routed) for _, e in result.events if isinstance(e, TaskScored) and e.segment == 5}
    assert not set(scored["pole"]) & set(scored["A"])


def test_a_resumed_life_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = run(stream(), agent(), out=tmp_path / "whole", evaluation=Schedule(within=0), frames=False)
    whole_log = (tmp_path / "whole" / "events.jsonl").read_bytes()

    class Stop:
        def on(self, step: int, event: object) -> None:
            if step >= 27:
                raise SystemExit

        def close(self) -> None:
            """Nothing is pending."""

    with pytest.raises(SystemExit):
        run(stream(), agent(), out=tmp_path / "part", evaluation=Schedule(within=0), frames=False, subscribers=[Stop()])
    run(stream(), agent(), out=tmp_path / "part", evaluation=Schedule(within=0), frames=False, resume=True)
    assert (tmp_path / "part" / "events.jsonl").read_bytes() == whole_log
    assert whole.folder is not None


def test_numbers_are_given_in_the_order_of_first_mention_and_nobody_stays_nobody() -> None:
    numbers = Numbers()
    assert [numbers.of("a", 0), numbers.of("b", 0), numbers.of("a", 3), numbers.of("b", 0)] == [0, 1, 2, 1]
    assert numbers.of("b", -1) == -1
