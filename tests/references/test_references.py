"""What a random policy earns, what is learned alone, and both of every world of a stream."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from sides import Habit, Sides, ToyWorlds, sides
from toys import toy_stream

from lifelong.evaluation.alone import Alone, alone_of
from lifelong.evaluation.schedule import Schedule
from lifelong.evaluation.trace import trace_of
from lifelong.events import Learned, TaskEntered, TaskFacts
from lifelong.lifetime import run
from lifelong.network import Mlp
from lifelong.references.cache import Cache
from lifelong.references.one_world import OneWorld
from lifelong.references.random_policy import random_value
from lifelong.references.single_task import single_task
from lifelong.references.table import show_references
from lifelong.references.worlds import Reference, read_references, references_of, write_references
from lifelong.stream import EnvTask, References
from lifelong_agents.finetune import Finetune


def test_a_random_policy_earns_what_chance_gives() -> None:
    # Five steps, each paid with probability 1/2: mean 2.5, deviation sqrt(5) / 2 an episode.
    value = random_value(sides("left", 0), episodes=400)
    assert value == pytest.approx(2.5, abs=4 * np.sqrt(5) / 2 / np.sqrt(400))


def test_the_measure_is_the_task_s_own_and_not_normalised() -> None:
    plain = random_value(sides("left", 0), episodes=20)
    assert random_value(sides("left", 0, references=References(0.0, 50.0)), episodes=20) == plain
    # An episode fails where none of its steps pays: a share of 1/32.
    rate = random_value(sides("left", 0, measure="success"), episodes=400)
    assert rate == pytest.approx(31 / 32, abs=4 * np.sqrt(31) / 32 / np.sqrt(400))


def test_success_that_nothing_tells_of_is_said() -> None:
    with pytest.warns(UserWarning, match="'cartpole' is measured by success, but no info in 3 episodes") as said:
        assert random_value(replace(cartpole(), measure="success"), episodes=3, at_once=1) == 0.0
    assert len(said) == 1


def test_the_heading_says_which_measure_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    alone = Alone("A", 4, 20, (4,), (0.75,))
    both = Reference("A", 0.25, alone, "success"), Reference("B", 3.0, alone)
    show_references(both[:1], "agent")
    show_references(both, "agent")
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert told[0] == "Success rates (0 to 1), as they are:"
    assert told[2].startswith("A 0.25")
    assert told[3] == "Mean returns; Success rates (0 to 1), as they are:"
    assert [row.split(" ")[:2] for row in told[5:]] == [["A", "(success)"], ["B", "(return)"]]


@pytest.mark.parametrize("at_once", [1, 3, 10, 64])
def test_how_many_episodes_run_side_by_side_changes_nothing(at_once: int) -> None:
    assert random_value(cartpole(), episodes=23, at_once=at_once) == random_value(cartpole(), episodes=23, at_once=7)


def cartpole() -> EnvTask:
    return EnvTask("cartpole", lambda count: [gymnasium.make("CartPole-v1") for _ in range(count)], seed=5)


def test_it_is_the_same_every_time_and_another_one_for_another_seed() -> None:
    assert random_value(cartpole(), 10) == random_value(cartpole(), 10)
    assert random_value(cartpole(), 10) != random_value(cartpole(), 10, seed=1)
    # Known from elsewhere: about 22 steps.
    assert random_value(cartpole(), 100) == pytest.approx(22, abs=4)


def test_boxes_are_sampled_too_and_the_lane_s_own_space_is_left_alone() -> None:
    lanes: list[Any] = []

    def make(count: int) -> Any:
        lanes.extend(Pointing() for _ in range(count))
        return lanes[-count:]

    random_value(EnvTask("point", make, seed=1), episodes=4, at_once=2)
    taken = np.array([lane.taken for lane in lanes])
    assert taken.shape == (4, 3, 2)
    assert len(np.unique(taken)) == taken.size
    assert all(lane.action_space._np_random is None for lane in lanes)


class Pointing(gymnasium.Env[Any, Any]):
    """Three steps, any two numbers."""

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(-1, 1, (1,))
        self.action_space = gymnasium.spaces.Box(-1, 1, (2,))
        self.taken: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.taken.append(np.array(action))
        return np.zeros(1, np.float32), 0.0, len(self.taken) == 3, False, {}


@pytest.mark.parametrize("odd", [{"episodes": 0}, {"at_once": 0}])
def test_less_than_one_episode_is_refused(odd: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one episode"):
        random_value(sides("left", 0), **odd)


def test_one_world_is_the_task_and_nothing_else() -> None:
    task = sides("left", 0, label="left")
    world = OneWorld(task, experiences=4, env_steps=20, lanes=2, seed=3)
    assert (world.name, [task.name for task in world.tasks]) == ("left alone", ["left"])
    assert [(segment.task, segment.steps) for segment in world.segments] == [("left", 4)]
    served = list(world.experiences())
    assert len(served) == 4
    assert {(len(i.lanes), i.steps, i.task, truth.task, truth.segment) for i, truth in served} == {
        (2, 20, "left", "left", 0)
    }
    assert len({id(lane) for i, _ in served for lane in i.lanes}) == 2


def test_lanes_that_are_judged_in_are_not_lived_in() -> None:
    pool: list[Sides] = []

    def lanes(count: int) -> list[Sides]:
        pool.extend(Sides(0) for _ in range(count - len(pool)))
        return pool[:count]

    task = EnvTask("pooled", lanes, episodes=3)
    world = OneWorld(task, 2, 20, lanes=2)
    interaction, _ = next(world.experiences())
    assert not {id(lane) for lane in interaction.lanes} & {id(lane) for lane in task.lanes(3)}


def test_one_world_begins_the_same_every_time_and_never_in_the_middle() -> None:
    def first() -> list[Any]:
        interaction, _ = next(OneWorld(sides("left", 0), 2, 20, 2, seed=3).experiences())
        return [lane.step(0)[0].tolist() for lane in interaction.lanes]

    assert first() == first()
    world = OneWorld(sides("left", 0), 2, 20)
    with pytest.raises(ValueError, match="cannot be taken up at step 1"):
        list(world.experiences(1))
    with pytest.raises(ValueError, match="needs experiences and lanes"):
        OneWorld(sides("left", 0), 0, 20)


FACTS = TaskFacts("left", "normalised_return", True, -np.inf, 1.0, 4, 1.0, 5.0)
SCHEDULE = Schedule(within=2)


def test_alone_is_what_the_run_was_judged_to_be() -> None:
    events = run(OneWorld(sides("left", 1), 6, 20, 2), Habit(), evaluation=SCHEDULE).events
    alone = alone_of(trace_of(events))
    assert (alone.task, alone.experiences, alone.env_steps_per_experience) == ("left", 6, 20)
    assert alone.steps == (0, 2, 4, 6)
    assert (alone.values[0], alone.final) == (0.0, 5.0)
    course = alone.course(FACTS)
    assert course.scores[:, 0].tolist() == [(value - 1.0) / 4.0 for value in alone.values]
    assert [(visit.task, visit.start, visit.stop) for visit in course.visits] == [("left", 0, 6)]


def test_a_metric_that_is_better_when_lower_is_turned() -> None:
    facts = TaskFacts("left", "absolute_error", False, 0.0, np.inf, 4)
    assert Alone("left", 2, None, (0, 2), (3.0, 1.0)).course(facts).scores[:, 0].tolist() == [-3.0, -1.0]


def test_a_run_of_several_tasks_or_one_that_broke_off_is_refused() -> None:
    both = run(ToyWorlds([sides("left", 0), sides("right", 1)]), Habit()).events
    with pytest.raises(ValueError, match="whole run of one task"):
        alone_of(trace_of(both))
    alone = run(OneWorld(sides("left", 0), 6, 20), Habit()).events
    with pytest.raises(ValueError, match="judged until step 0 of 6"):
        alone_of(
            trace_of([record for record in alone if record[0] == 0 or isinstance(record[1], TaskEntered | Learned)])
        )


class Counter:
    """Makes learners and streams, and counts them."""

    def __init__(self) -> None:
        self.learners = self.streams = 0

    def learner(self) -> Habit:
        self.learners += 1
        return Habit()

    def stream(self) -> OneWorld:
        self.streams += 1
        return OneWorld(sides("left", 1), 6, 20)


def test_a_task_is_learned_alone_once(tmp_path: Path) -> None:
    made, cache = Counter(), Cache(tmp_path)
    described = {"world": "left", "agent": "habit", "experiences": 6}
    first = single_task(made.stream, made.learner, described, cache, evaluation=SCHEDULE)
    assert first.final == 5.0
    assert single_task(made.stream, made.learner, described, cache, evaluation=SCHEDULE) == first
    assert (made.learners, made.streams) == (1, 1)
    single_task(made.stream, made.learner, described, cache, seed=1, evaluation=SCHEDULE)
    single_task(made.stream, made.learner, described, cache, evaluation=Schedule(within=1))
    single_task(made.stream, made.learner, {**described, "experiences": 7}, cache, evaluation=SCHEDULE)
    assert made.learners == 4


def test_both_references_of_every_world_of_a_stream(tmp_path: Path) -> None:
    made = Counter()
    stream = ToyWorlds([sides("left", 0), sides("right", 1)], order=(0, 0, 1, 0))
    described = {"stream": "toy worlds", "agent": "habit"}
    found = [
        references_of(stream, made.learner, described, Cache(tmp_path), evaluation=SCHEDULE, episodes=40)
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert made.learners == 2
    left, right = found[0]
    assert (left.task, right.task) == ("left", "right")
    # As long as the first visit, which two segments make.
    assert (left.alone.experiences, right.alone.experiences) == (12, 6)
    assert (left.alone.final, right.alone.final) == (5.0, 5.0)
    assert left.random == pytest.approx(2.5, abs=0.8)
    assert left.measure == "return"
    # What was kept of returns is not taken for success.
    rated = ToyWorlds([sides("left", 0, measure="success")], order=(0,))
    (rate,) = references_of(rated, made.learner, described, Cache(tmp_path), evaluation=SCHEDULE, episodes=40)
    assert (rate.measure, rate.alone.final) == ("success", 1.0)
    assert rate.random <= 1.0
    write_references(found[0], tmp_path / "out.json")
    assert read_references(tmp_path / "out.json") == found[0]
    # A file that does not say by which measure is of returns.
    said = json.loads((tmp_path / "out.json").read_text())
    (tmp_path / "out.json").write_text(json.dumps([{k: v for k, v in one.items() if k != "measure"} for one in said]))
    assert read_references(tmp_path / "out.json") == found[0]


def test_a_file_of_something_else_and_a_stream_without_a_world_are_told(tmp_path: Path) -> None:
    for text in ("{", "[1]", '{"a": 1}', json.dumps([{"task": "A", "random": 1.0}])):
        (tmp_path / "odd.json").write_text(text)
        with pytest.raises(ValueError, match="holds no references"):
            read_references(tmp_path / "odd.json")
    with pytest.raises(ValueError, match="does not begin with a world"):
        references_of(toy_stream(), lambda: Finetune(Mlp(hidden=(4,))), {}, Cache(tmp_path))


CONFIG = """
stream: references_parts:stream
agent: references_parts:agent
reference: {name: references_parts:agent, rate: 0.5}
evaluation: {within: 1}
record: {console: false, wandb: disabled}
"""
PARTS = """
from sides import Habit, ToyWorlds, sides
from lifelong.stream import References

def stream(seed: int = 0) -> ToyWorlds:
    return ToyWorlds([sides(n, p, references=References(2.5, 5.0)) for n, p in (("left", 0), ("right", 1))], seed=seed)

def agent(seed: int = 0, rate: float = 0.05) -> Habit:
    return Habit(seed, rate)
"""


def test_the_command_measures_and_the_report_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lifelong.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "references_parts.py").write_text(PARTS)
    (tmp_path / "study.yaml").write_text(CONFIG)
    command = ["references", "study.yaml", "--episodes", "20", "--cache", "cache", "--out", "alone.json"]
    assert main(command) == 0
    told = capsys.readouterr().out
    caption, head, *rows = told.splitlines()[:4]
    assert caption == "Mean returns, as they are:"
    assert " ".join(head.split()) == "random policy agent alone environment steps"
    # Columns end at one place.
    assert {len(line) for line in (head, *rows)} == {len(head)}
    cells = [row.split() for row in rows]
    assert [(task, float(alone)) for task, _, alone, _ in cells] == [("left", 5.0), ("right", 5.0)]
    assert [float(value) for _, value, _, _ in cells] == pytest.approx([2.5, 2.5], abs=1.0)
    assert len(list((tmp_path / "cache").iterdir())) == 4
    assert main(["references", "study.yaml", "--of", "reference", "--cache", "cache", "seed=1"]) == 0
    assert main(["run", "study.yaml", "--out", "run"]) == 0
    # Two agents of one name: the record tells them apart.
    names = [
        json.loads((tmp_path / folder / "summary.json").read_text())["agent"] for folder in ("run", "run/reference")
    ]
    assert names == ["agent", "reference: agent"]
    assert main(["report", "run", "--alone", "alone.json"]) == 0
    assert "Head start over learning a task alone" in (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert main(["report", "run", "run", "--alone", "alone.json"]) == 2
    assert main(["report", "run", "--alone", "study.yaml"]) == 2
    assert "holds no references" in capsys.readouterr().err


def test_without_a_reference_agent_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lifelong.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "references_parts.py").write_text(PARTS)
    (tmp_path / "study.yaml").write_text(CONFIG)
    assert main(["references", "study.yaml", "--of", "reference", "reference=null"]) == 2
    assert "has no reference agent" in capsys.readouterr().err
