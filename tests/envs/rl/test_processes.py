"""Environments in processes of their own: they do what others do, and their ends are noticed, and never forgotten."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from acting import lane as bare
from acting import live, telltale
from broken_worlds import Faulty
from test_world_faults import faulty, is_gone

from lifelong.check import check_acting_stream
from lifelong_envs.rl.lane import Lane
from lifelong_envs.rl.places import look_at
from lifelong_envs.rl.processes import Failed, Processes
from lifelong_envs.rl.timetable import Change, Timetable
from lifelong_envs.rl.world import World
from lifelong_envs.rl.worlds import worlds

SEEN = pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    kept = Processes()
    yield kept
    kept.end()


def seen_within(seconds: float, what: Any) -> bool:
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(what())


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("way", ["now", "gradual", "episode"])
def test_a_lane_lives_there_as_it_does_here(way: Any) -> None:
    """Numbers are set, seeds are given, generators and episodes are taken up: to the last bit."""
    changes = Change(0, "A"), Change(23, "B", way, 20 * (way == "gradual"))
    here = bare([telltale("A", 1.0), telltale("B", 2.0)], *changes, seed=5)
    places = look_at([telltale("A", 1.0, timeout=5.0), telltale("B", 2.0, timeout=5.0)])
    there, later = Lane(places, changes, 5), Lane(places, changes, 5)
    assert live(there, 37) == live(here, 37)
    later.load_state_dict(there.state_dict())
    assert live(later, 40, seed=2) == live(here, 40, seed=2)
    places.processes.end()


def test_what_they_are_asked_for_beside_that_is_answered(processes: Processes) -> None:
    body = processes.born(World("A", "CartPole-v1", timeout=5.0), "rgb_array")
    assert body.look().observation_space == gymnasium.make("CartPole-v1").observation_space
    assert "rgb_array" in body.look().metadata["render_modes"]
    body.check()
    assert body.read("gravity") == 9.8
    body.write([("gravity", 5.0)])
    assert body.read("gravity") == 5.0
    body.reset(3, None)
    assert body.render().shape[2] == 3
    with pytest.raises(ValueError, match=r"^'gravty' leads nowhere: CartPoleEnv has .* Did you mean 'gravity'"):
        body.read("gravty")
    with pytest.raises(Failed, match=r"CartPole-v1 raised AssertionError in step\(7\): .*\(cartpole.py:\d+\)"):
        body.step(7)
    # It goes on: that was the action's fault.
    assert len(body.step(1)) == 5
    body.close()
    assert is_gone(body._pid)


def test_what_hangs_is_killed_and_what_dies_is_buried(processes: Processes) -> None:
    hanging = processes.born(faulty("hangs", 1.0, make={"how": "hangs", "at": 1}))
    hanging.write([("often", 1.0)])
    hanging.reset(0, None)
    began = time.monotonic()
    with pytest.raises(Failed, match=r"^broken_worlds:Faulty took longer than 0\.3 s in step\(0\)$"):
        hanging.step(0)
    assert 0.3 <= time.monotonic() - began < 5
    assert is_gone(hanging._pid)
    killed = processes.born(faulty("", 0.0, timeout=5.0))
    os.kill(killed._pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(Failed, match=r"the process of broken_worlds:Faulty died in reset\(\)"):
            killed.reset(0, None)
    killed.close()
    assert is_gone(killed._pid)


def test_signals_that_are_meant_for_the_run_leave_them_alone(processes: Processes) -> None:
    body = processes.born(faulty("", 0.0, timeout=5.0))
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        os.kill(body._pid, getattr(signal, name))
    assert body.reset(0, None)[1] == {"pid": body._pid}
    body.close()


@SEEN
def test_a_nursery_that_was_killed_is_followed_by_another(processes: Processes) -> None:
    one = processes.born(faulty("", 0.0, timeout=5.0))
    os.kill(parent_of(one._pid), signal.SIGKILL)
    other = processes.born(faulty("", 0.0, timeout=5.0))
    assert other.reset(0, None)[1] == {"pid": other._pid}
    # Nobody is its parent any more, and it is found all the same.
    one.close()
    assert seen_within(5, lambda: is_gone(one._pid))
    other.close()


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (
            {"make": {"how": lambda: 0}},
            r"^world 'A': with a time-out .* cannot be sent there .*`make` by text",
        ),
        ({"make": {"nothing": 1}}, r"^world 'A': broken_worlds:Faulty cannot be made with {'nothing': 1}: .*'nothing'"),
        ({"env": "Known-Here-v0", "make": {}}, r"does not run the program's own file: put the class into a module"),
        ({"env": "broken_worlds:Faulti", "make": {}}, "has no 'Faulti'. Did you mean 'Faulty'"),
        ({"env": "toy_worlds:Broken", "make": {}, "set": {}}, "is not an environment as gymnasium wants it"),
        ({"set": {"offen": 1.0}}, "^world 'A': set: 'offen' leads nowhere.* Did you mean 'often'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(world: dict[str, Any], said: str) -> None:
    if "Known-Here-v0" not in gymnasium.registry:
        gymnasium.register("Known-Here-v0", Faulty)
    with pytest.raises(ValueError, match=said):
        look_at([faulty("", 0.0, **{"timeout": 5.0, **world})])


def test_a_stream_of_them_keeps_the_laws_of_all_streams() -> None:
    pair = telltale("A", 1.0, timeout=5.0), telltale("B", 2.0, timeout=5.0)
    stream = worlds(pair, Timetable("A B", 16, lanes=2, experience=8), episodes=1)
    check_acting_stream(stream)
    stream.release()


@pytest.mark.parametrize(("setting", "said"), [("timeout", "seconds"), ("restarts", "0 or more"), ("within", "1 step")])
def test_settings_that_mean_nothing_are_refused(setting: str, said: str) -> None:
    with pytest.raises(ValueError, match=rf"^world 'A': .*{said}"):
        World("A", "CartPole-v1", **{setting: {"timeout": 0.0, "restarts": -1, "within": 0}[setting]})  # type: ignore[arg-type]


ORPHANED = """
import sys
sys.path.insert(0, sys.argv[1])
from lifelong_envs.rl.processes import Processes
from lifelong_envs.rl.world import World
from lifelong_envs.rl.worlds import worlds
body = Processes().born(World("A", "broken_worlds:Faulty", {"how": "hangs", "at": 1}, timeout=60.0))
body.write([("often", 1.0)])
body.reset(0, None)
print(body._pid, flush=True)
body.step(0)
"""


@SEEN
def test_nobody_is_left_behind_where_the_run_is_killed_while_an_environment_hangs() -> None:
    command = [sys.executable, "-c", ORPHANED, str(Path(__file__).parents[2])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        pids = pid, parent_of(pid)
        # It is in its step now.
        time.sleep(0.2)
        assert not any(map(is_gone, pids))
        run.kill()
    assert seen_within(10, lambda: all(map(is_gone, pids)))
