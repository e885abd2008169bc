"""The streams that have names: what is in them, and that they keep the laws where their packages are installed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import yaml
from acting import act, flat, lane, live

from lifelong.check import check_acting_stream
from lifelong.config.load import load_config
from lifelong_envs.rl.cartpole_flip import cartpole_flip
from lifelong_envs.rl.cartpole_physics import cartpole_physics
from lifelong_envs.rl.continual_world import TEN, continual_world
from lifelong_envs.rl.lunar_lander import lunar_lander
from lifelong_envs.rl.minigrid import minigrid
from lifelong_envs.rl.mujoco_bodies import ROBOTS, mujoco_bodies
from lifelong_envs.rl.timetable import Change, Timetable
from lifelong_envs.rl.world import World
from lifelong_envs.rl.worlds import worlds

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted((ROOT / "configs" / "rl").glob("*.yaml"))
PACKAGES = {"minigrid": "minigrid", "mujoco_bodies": "mujoco", "lunar_lander": "Box2D", "continual_world": "metaworld"}


def short(change: Any = "now", **more: Any) -> Timetable:
    return Timetable(steps=64, lanes=2, experience=32, change=change, **more)


def test_cartpole_flip_swaps_what_actions_do() -> None:
    one, other = (task.lanes(1)[0] for task in cartpole_flip().tasks)
    assert one.reset(seed=4)[0].tolist() == other.reset(seed=4)[0].tolist()
    for action in (0, 1, 1, 0, 1):
        assert one.step(action)[0].tolist() == other.step(1 - action)[0].tolist()


def test_cartpole_physics_falls_as_it_should() -> None:
    """A pole that is let go, without a push on average: it falls up, and faster where it is short."""
    fallen = {}
    for task in cartpole_physics().tasks:
        one = task.lanes(1)[0]
        one.reset(seed=1)
        env: Any = one._body.env.unwrapped
        env.state = np.array([0.0, 0.0, 0.05, 0.0])
        env.force_mag = 0.0
        for _ in range(10):
            observation = one.step(0)[0]
        fallen[task.name] = float(observation[2])
    assert fallen["hanging"] < 0.05 < fallen["standard"] < fallen["short"]
    assert fallen["forceful"] == fallen["standard"]


@pytest.mark.parametrize("change", ["now", "gradual"])
def test_cartpole_physics_keeps_the_laws(change: Any) -> None:
    check_acting_stream(cartpole_physics(short(change, over=32 * (change == "gradual"))))


def test_pendulum_keeps_the_laws() -> None:
    bodies = World("A", "Pendulum-v1"), World("B", "Pendulum-v1", set={"g": "x1.5"}, flip_actions=(0,))
    check_acting_stream(worlds(bodies, short("now")))


def test_minigrid_keeps_the_laws_and_shows_one_hot_views() -> None:
    pytest.importorskip("minigrid")
    stream = minigrid(short("reset", order="empty lava"))
    seen = stream.tasks[0].lanes(1)[0].reset(seed=0)[0]
    assert seen.shape == (7 * 7 * 20,)
    assert seen.reshape(7, 7, 20)[..., :11].sum(-1).tolist() == np.ones((7, 7)).tolist()
    check_acting_stream(stream)


def test_an_image_view_of_minigrid_stays_an_image() -> None:
    pytest.importorskip("minigrid")
    world = World("A", "MiniGrid-Empty-5x5-v0", needs="minigrid", view=("minigrid.wrappers:ImgObsWrapper",))
    one = lane([world], Change(0, "A"))
    assert one.observation_space.shape == (7, 7, 3)
    assert one.reset()[0].dtype == np.uint8


@pytest.mark.parametrize("lived", [5, 140])
def test_a_dict_of_observations_is_taken_up(lived: int) -> None:
    pytest.importorskip("minigrid")
    world = World("A", "MiniGrid-DoorKey-5x5-v0", needs="minigrid", make={"max_steps": 60})
    one, again = lane([world], Change(0, "A")), lane([world], Change(0, "A"))
    live(one, lived)
    again.load_state_dict(one.state_dict())
    assert flat(again.observation).tolist() == flat(one.observation).tolist()
    assert live(again, 80) == live(one, 80)


def test_mujoco_changes_in_the_middle_of_an_episode_and_keeps_the_laws() -> None:
    pytest.importorskip("mujoco")
    stream = mujoco_bodies(
        "inverted_pendulum", Timetable("standard reversed", 64, lanes=2, experience=32, change="now")
    )
    check_acting_stream(stream)
    one, other = (task.lanes(1)[0] for task in stream.tasks)
    one.reset(seed=0), other.reset(seed=0)
    push = np.array([0.5], np.float32)
    for _ in range(3):
        assert one.step(push)[0].tolist() == other.step(-push)[0].tolist()


@pytest.mark.parametrize("robot", sorted(ROBOTS))
def test_what_is_set_in_a_robot_is_what_mujoco_has_then(robot: Any) -> None:
    pytest.importorskip("mujoco")
    stream = mujoco_bodies(robot)
    env: Any = gymnasium.make(ROBOTS[robot][0]).unwrapped
    for task in stream.tasks:
        one = task.lanes(1)[0]
        one.reset()
        model, changed = one._body.env.unwrapped.model, ROBOTS[robot][1][task.name]
        for path, times in changed.items():
            assert str(times).startswith("x")
            name, *index = path.removeprefix("model.").replace("]", "").split("[")
            old, new = env.model, model
            for part in name.split("."):
                old, new = getattr(old, part), getattr(new, part)
            place = tuple(int(i) for i in index)
            assert new[place] == pytest.approx(float(str(times)[1:]) * old[place])
    with pytest.raises(ValueError, match="robot='ant', expected one of 'inverted_pendulum'"):
        mujoco_bodies("ant")  # type: ignore[arg-type]


def test_lunar_lander_keeps_the_laws_but_cannot_change_in_the_middle() -> None:
    pytest.importorskip("Box2D")
    check_acting_stream(lunar_lander(short("reset", order="standard windy")))
    with pytest.raises(
        ValueError, match=r"'standard' and 'light' are one environment made .*\(set: \{gravity: -3.0\}\)"
    ):
        lunar_lander(short("now"))


def test_continual_world_places_things_anew_and_the_same_for_the_same_seed() -> None:
    pytest.importorskip("metaworld")
    stream = continual_world(timetable=Timetable("push faucet-close", 64, lanes=1, experience=64, change="reset"))
    assert [(task.name, task.measure) for task in stream.tasks] == [("push", "success"), ("faucet-close", "success")]
    one = stream.tasks[0].lanes(1)[0]
    first, other, again = (one.reset(seed=seed)[0] for seed in (1, 2, 1))
    assert first.shape == (39,)
    assert first.tolist() == again.tolist()
    goal = slice(36, 39)
    assert np.abs(first[goal] - other[goal]).max() > 0.01
    assert one.observation_space.contains(first)
    ends = [one.step(act(one.action_space, 0, k))[2:4] for k in range(200)]
    assert ends == [(False, False)] * 199 + [(False, True)]
    assert np.abs(one.reset()[0][goal] - first[goal]).max() > 0.01


def test_a_lane_of_continual_world_is_taken_up() -> None:
    pytest.importorskip("metaworld")
    table = Timetable("push", 256, lanes=1, experience=256, change="reset")
    stream, again = continual_world(timetable=table), continual_world(timetable=table)
    (one,), (other,) = (next(iter(s.experiences()))[0].lanes for s in (stream, again))
    live(one, 220)
    other.load_state_dict(one.state_dict())  # type: ignore[attr-defined]
    assert live(other, 10) == live(one, 10)


def test_continual_world_is_ten_tasks_of_a_million_steps_once_or_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("metaworld")
    monkeypatch.setattr(World, "built", lambda self, render_mode=None: gymnasium.make("Pendulum-v1"))
    ten, twenty = continual_world(), continual_world("CW20")
    assert [segment.task for segment in ten.segments] == list(TEN)
    assert [segment.task for segment in twenty.segments] == [*TEN, *TEN]
    assert {segment.steps * 8000 for segment in twenty.segments} == {1_000_000}
    assert len(twenty.tasks) == 10
    with pytest.raises(ValueError, match="tasks='CW5', expected 'CW10' or 'CW20'"):
        continual_world("CW5")  # type: ignore[arg-type]


def drift(update: dict[str, Any]) -> dict[str, Any]:
    schedule = {"name": "PeriodicScheduler", "period": 5}
    return {"env": "CartPole-v1", "drifts": {"masspole": {"update": update, "schedule": schedule}}}


def test_a_world_of_ns_gym_drifts_within_its_episodes() -> None:
    pytest.importorskip("ns_gym")
    env = "lifelong_envs.rl.non_stationary:non_stationary"
    slow = World("slow", env, make=drift({"name": "IncrementUpdate", "k": 0.01}))
    fast = World("fast", env, make=drift({"name": "IncrementUpdate", "k": 0.5}))
    stream = worlds((slow, fast), short("reset"))
    check_acting_stream(stream)
    one = stream.tasks[1].lanes(1)[0]
    one.reset(seed=0)
    masses = []
    for _ in range(7):
        assert one.step(0)[0].shape == (4,)
        masses.append(one._body.env.unwrapped.masspole)
    assert masses == pytest.approx([0.6] * 5 + [1.1] * 2)
    one.reset()
    assert one._body.env.unwrapped.masspole == pytest.approx(0.1)
    with pytest.raises(ValueError, match=r"world 'odd'.*NS-Gym's .* has no 'Grow'\. It has: .*IncrementUpdate"):
        worlds((World("odd", env, make=drift({"name": "Grow"})),), short("reset"))


def test_frames_are_drawn_where_an_environment_draws_and_only_when_asked() -> None:
    pytest.importorskip("pygame")
    task = cartpole_flip().tasks[0]
    assert task.lanes(1)[0].render_mode is None
    assert task.watched is not None
    one = task.watched()
    one.reset(seed=0)
    first = one.render()
    for _ in range(5):
        one.step(1)
    assert first.shape == (400, 600, 3)
    assert first.dtype == np.uint8
    assert not np.array_equal(one.render(), first)
    silent = worlds((World("A", "toy_worlds:Telltale"),), short("reset")).tasks[0]
    assert silent.watched is None


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_says_how_to_run_it_and_its_stream_can_be_made(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == f"# lifelong run configs/rl/{path.name}"
    given = yaml.safe_load(text)
    name = given["stream"]["name"]
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    given["stream"]["name"] = declared["project"]["entry-points"]["lifelong.streams"][name]
    if name == "continual_world":
        given["stream"]["timetable"] |= {"order": "push window-close", "steps": 80_000}
    (tmp_path / "stream.yaml").write_text(yaml.safe_dump({"stream": given["stream"], "agent": {"name": "finetune"}}))
    stream: Any = load_config(tmp_path / "stream.yaml").build().stream
    assert stream.name.split()[0] == name
    assert sum(segment.steps for segment in stream.segments) > 0
    agents = declared["project"]["entry-points"]["lifelong.agents"]
    named = [one if isinstance(one, str) else one["name"] for one in (given["agent"], given["reference"])]
    assert set(named) <= agents.keys()
