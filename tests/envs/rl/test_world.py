"""Worlds: what is set in an environment, environments of one's own, and what is said of mistakes."""

from __future__ import annotations

import sys
import textwrap
import tomllib
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import yaml
from acting import lane, live

from lifelong.config.load import load_config
from lifelong_envs.rl.attributes import Attribute, settle
from lifelong_envs.rl.packages import EXTRAS, installing
from lifelong_envs.rl.places import look_at
from lifelong_envs.rl.timetable import Change, Timetable
from lifelong_envs.rl.world import World
from lifelong_envs.rl.worlds import worlds


class Holder:
    def __init__(self) -> None:
        self.gravity = 9.8
        self.count = 3
        self.wind = True
        self.model = Model()


class Model:
    def __init__(self) -> None:
        self.mass = np.array([[1.0, 2.0], [3.0, 4.0]])
        self.parts = [5, 6]


@pytest.mark.parametrize(
    ("path", "old", "value", "new"),
    [
        ("gravity", 9.8, 1.5, 1.5),
        ("count", 3, 4.4, 4),
        ("model.mass[1][0]", 3.0, 7.5, 7.5),
        ("model.parts[1]", 6, 2.0, 2),
    ],
)
def test_a_path_reads_and_writes_one_number(path: str, old: float, value: float, new: float) -> None:
    holder, attribute = Holder(), Attribute(path)
    assert attribute.read(holder) == old
    attribute.write(holder, value)
    assert attribute.read(holder) == new
    assert isinstance(holder.count, int)
    untouched = [name for name in ("gravity", "count", "model.mass[0][1]", "model.parts[0]") if name != path]
    assert [Attribute(name).read(holder) for name in untouched] == [
        Attribute(name).read(Holder()) for name in untouched
    ]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gravty", "Holder has no attribute 'gravty'. Did you mean 'gravity'?"),
        ("model.mas[0]", "Model has no attribute 'mas'. Did you mean 'mass'?"),
        ("model.mass[7][0]", r"\[7\] of a ndarray"),
        ("gravity[0]", r"\[0\] of a float"),
        ("model.mass", "expected the path of a number"),
        ("wind", "expected the path of a number"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Attribute(path).read(Holder())


def test_only_numbers_are_offered_for_a_number_and_some_where_none_is_close() -> None:
    with pytest.raises(ValueError, match=r"no attribute 'winds'\. Numbers that it has: count, gravity\.$"):
        Attribute("winds").read(Holder())
    with pytest.raises(ValueError, match=r"no attribute 'modl'\. Did you mean 'model'\?"):
        Attribute("modl.parts[0]").read(Holder())


def test_the_world_is_named_that_sets_what_is_not_there() -> None:
    worlds = [World("A", "Pendulum-v1", set={"g": 5}), World("B", "Pendulum-v1", set={"g": 7, "pul": 3})]
    with pytest.raises(ValueError, match=r"^world 'B': set: 'pul' leads nowhere: .*Numbers that it has: dt, g, l, m"):
        look_at(worlds)


@pytest.mark.parametrize("path", ["", "a b", "model.", "mass[-1]", "mass[x]", "[0]"])
def test_text_that_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no path to an attribute"):
        Attribute(path)


def test_what_cartpole_derives_follows() -> None:
    env: Any = gymnasium.make("CartPole-v1").unwrapped
    env.masspole, env.length = 0.3, 2.0
    settle(env)
    assert env.total_mass == pytest.approx(1.3)
    assert env.polemass_length == pytest.approx(0.6)
    long = lane([World("A", "CartPole-v1", set={"length": "x4", "masspole": 0.3})], Change(0, "A"))
    bare: Any = gymnasium.make("CartPole-v1")
    bare.unwrapped.masspole, bare.unwrapped.length = 0.3, 2.0
    bare.unwrapped.total_mass, bare.unwrapped.polemass_length = 1.3, 0.6
    long.reset(), bare.reset(seed=0)
    for _ in range(10):
        assert long.step(1)[0].tolist() == bare.step(1)[0].tolist()


def test_a_multiple_is_of_what_the_environment_has() -> None:
    places = look_at([World("A", "Pendulum-v1", set={"g": "x1.5", "m": 2}), World("B", "Pendulum-v1")])
    assert places.by_task["A"].values == (15.0, 2.0)
    assert places.by_task["B"].values == (10.0, 1.0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"task": ""}, "needs a name"),
        ({"set": {"g": "twice"}}, "world 'A': set g to a number, or to a multiple.*got 'twice'"),
        ({"set": {"g": "x"}}, "world 'A': set g to a number"),
        ({"actions": (1, 1)}, r"world 'A': actions must be a permutation of 0 to 1, got \[1, 1\]"),
        ({"observations": (1, 2)}, r"world 'A': observations must be a permutation of 0 to 1, got \[1, 2\]"),
    ],
)
def test_a_world_that_cannot_be_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        World(**{"task": "A", "env": "Pendulum-v1", **more})


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (World("A", "CartPoel-v1"), "world 'A': CartPoel-v1 cannot be made with .*CartPole"),
        (World("A", "CartPole-v1", make={"gravity": 1}), "world 'A': CartPole-v1 cannot be made with {'gravity': 1}"),
        (World("A", "CartPole-v1", set={"gravty": 1.0}), "world 'A': set: 'gravty'.*Did you mean 'gravity'"),
        (World("A", "no_such_module:Env"), "world 'A': 'no_such_module' cannot be imported.*beside the configuration"),
        (World("A", "toy_worlds:Nobody"), "world 'A': 'toy_worlds:Nobody' is not there: toy_worlds has no 'Nobody'"),
        (World("A", "toy_worlds:Teltale"), "toy_worlds has no 'Teltale'. Did you mean 'Telltale'?"),
        (World("A", "CartPole-v1", needs="no_such_pkg"), "world 'A': 'no_such_pkg' cannot.*pip install no_such_pkg"),
        (
            World("A", "toy_worlds:Picky", make={"view": "bx"}),
            "Picky cannot be made with {'view': 'bx'}: KeyError: 'bx'",
        ),
        (World("A", "CartPole-v1", view=("toy_worlds:np",)), "world 'A': 'toy_worlds:np' is .*expected a class"),
        (World("A", "toy_worlds:Broken"), "world 'A': toy_worlds:Broken is not an environment as gymnasium wants it"),
    ],
)
def test_what_is_wrong_is_said_of_the_world(world: World, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        look_at([world])


@pytest.mark.parametrize(
    ("world", "module", "said"),
    [
        (World("A", "ALE/Pong-v5", needs="ale_py"), "ale_py", r"'ale_py' cannot be.*pip install 'lifelong\[atari\]'"),
        (World("A", "ALE/Pong-v5"), "ale_py", r"needs: ale_py \(pip install 'lifelong\[atari\]'\)"),
        (World("A", "MiniGrid-Nowhere-v0"), "minigrid", r"needs: minigrid \(pip install 'lifelong\[minigrid\]'\)"),
        (World("A", "Meta-World/MT1"), "metaworld", r"needs: metaworld \(pip install 'lifelong\[metaworld\]'\)"),
    ],
)
def test_the_package_that_is_missing_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, world: World, module: str, said: str
) -> None:
    registry = {k: v for k, v in gymnasium.registry.items() if not k.startswith(("ALE/", "MiniGrid-", "Meta-World/"))}
    monkeypatch.setattr("gymnasium.envs.registration.registry", registry)
    monkeypatch.delitem(sys.modules, module, raising=False)
    if world.needs is not None:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=said):
        look_at([world])


def test_extras_are_those_that_the_package_has() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert set(EXTRAS.values()) <= set(extras)
    assert {"ale-py", "minigrid", "metaworld"} <= {
        line.partition(">")[0] for lines in extras.values() for line in lines
    }
    assert installing("torchvision") == "pip install torchvision"


def test_a_module_that_fails_while_it_is_imported_is_named_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "my_failing.py").write_text("a = 1\nb = a / 0\n")
    (tmp_path / "study.yaml").write_text(STUDY.replace("OWN", "my_failing"))
    with pytest.raises(ValueError, match=r"'my_failing' cannot be imported: ZeroDivisionError: .*my_failing.py:2"):
        load_config(tmp_path / "study.yaml").build()


def test_worlds_of_one_name_are_told_apart_by_no_order() -> None:
    for order in (None, "A B"):
        with pytest.raises(ValueError, match=r"Several worlds would be called 'A'\. Give each a name"):
            worlds((World("A", "CartPole-v1"), World("A", "Pendulum-v1")), Timetable(order))


def test_views_are_wrapped_around_an_environment_innermost_first() -> None:
    view = "gymnasium.wrappers:FlattenObservation", "toy_worlds:Doubled"
    one = lane([World("A", "CartPole-v1", view=view)], Change(0, "A"), seed=3)
    bare = gymnasium.make("CartPole-v1").reset(seed=3)[0]
    assert one.reset()[0].tolist() == (2 * bare).tolist()


def test_a_view_of_ones_own_can_be_put_around_an_environment_of_ones_own() -> None:
    one, bare = (
        lane([World("A", "toy_worlds:Telltale", view=v)], Change(0, "A")) for v in (("toy_worlds:Doubled",), ())
    )
    assert [seen for seen, *_ in live(one, 4)] == [[2 * number for number in seen] for seen, *_ in live(bare, 4)]


def test_an_environment_of_ones_own_can_be_given_a_time_limit() -> None:
    short = World("A", "toy_worlds:Telltale", make={"max_episode_steps": 3})
    assert [(e, c) for *_, e, c in live(lane([short], Change(0, "A")), 4)] == [(False, k == 2) for k in range(4)]


OWN = """
import gymnasium
import numpy as np


class Corridor(gymnasium.Env):
    def __init__(self, cells=4):
        self.cells, self.at, self.pay = cells, 0, 1.0
        self.observation_space = gymnasium.spaces.Box(0, 10, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return self.seen(), {}

    def step(self, action):
        self.at = max(0, self.at + (1 if action else -1))
        done = self.at >= self.cells
        return self.seen(), self.pay * done, done, False, {}

    def seen(self):
        return np.array([self.at], np.float32)


class Careless(Corridor):
    def seen(self):
        return np.array([self.at - 5], np.float32)
"""

STUDY = """
stream:
  name: lifelong_envs.rl.worlds:worlds
  worlds:
    - {task: short, env: "OWN:Corridor", make: {max_episode_steps: 20}, references: &of {random: 0, expert: 1}}
    - {task: paid, env: "OWN:Corridor", make: {max_episode_steps: 20}, references: *of, set: {pay: x3, cells: 5},
       actions: [1, 0]}
  timetable: {order: short paid, steps: 80, lanes: 2, experience: 20, change: now}
agent: {name: finetune}
"""


def test_an_environment_beside_the_configuration_is_lived_in(tmp_path: Path) -> None:
    (tmp_path / "my_corridor.py").write_text(OWN)
    (tmp_path / "study.yaml").write_text(STUDY.replace("OWN", "my_corridor"))
    resolved = load_config(tmp_path / "study.yaml")
    assert resolved.as_dict()["modules_from"] == [str(tmp_path)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream: Any = resolved.build().stream
    assert [task.name for task in stream.tasks] == ["short", "paid"]
    assert stream.tasks[0].score(0.5) == 0.5
    paid = []
    for interaction, _ in stream.experiences():
        for one in interaction.lanes:
            if one.observation is None:
                one.reset()
            for _ in range(10):
                _, reward, ended, cut, _ = one.step(1)
                paid.append(reward)
                if ended or cut:
                    one.reset()
    assert set(paid[:80]) == {0.0, 1.0}
    assert set(paid[80:]) == {0.0}


def test_a_careless_environment_beside_the_configuration_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "my_careless.py").write_text(OWN)
    given = yaml.safe_load(STUDY.replace("OWN", "my_careless"))
    given["stream"]["worlds"][1]["env"] = "my_careless:Careless"
    (tmp_path / "study.yaml").write_text(textwrap.dedent(yaml.safe_dump(given)))
    said = "world 'paid': my_careless:Careless is not an environment as gymnasium wants it: AssertionError.*observation"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=said):
            load_config(tmp_path / "study.yaml").build()
