"""Environments that fail do not end a life: they are made anew, so often, and everything about that is on record."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import broken_worlds
import gymnasium
import pytest
import yaml
from acting import live
from broken_worlds import Dying
from gymnasium.error import ResetNeeded
from rambler import Rambler

from lifelong import cli
from lifelong.checkpoint import checkpoints_in, read_checkpoint
from lifelong.evaluation.schedule import Schedule
from lifelong.events import EpisodeFailed, LaneFailed, TaskScored
from lifelong.interaction import LaneFault, WorldLost
from lifelong.lifetime import Result, run
from lifelong.record.jsonl import read_events
from lifelong.saving import Saving
from lifelong.stopping import RunStopped, Stop
from lifelong_envs.rl import restarts
from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.bodies import seeded
from lifelong_envs.rl.lane import Lane
from lifelong_envs.rl.places import look_at
from lifelong_envs.rl.timetable import Change, Timetable
from lifelong_envs.rl.world import World
from lifelong_envs.rl.worlds import worlds

STEPS, LANES = 960, 4
OPTIONS: dict[str, Any] = {"evaluation": Schedule(within=0), "frames": False, "report": False, "name": "x"}

FAULTS = {
    "reset": r"^broken_worlds:Faulty raised KeyError in reset\(\): 'no start' \(broken_worlds.py:\d+\)$",
    "raises": r"^broken_worlds:Faulty raised ZeroDivisionError in step\([01]\): nothing left \(broken_worlds.py:\d+\)$",
    "leaves": r"^broken_worlds:Faulty raised SystemExit in step\([01]\): 3 \(broken_worlds.py:\d+\)$",
    "nan": r"^observation\[1\] is nan$",
    "inf reward": r"^the reward is inf$",
    "no reward": r"^the reward is None, expected a number$",
    "shape": r"^observation is of shape \(2,\), expected \(3,\)$",
    "dtype": r"^observation is of type complex128, expected float32$",
    "done": r"^terminated is 'no', expected True or False$",
    "missing": r"^observation has no 'y'$",
    "info": r"^info is None, expected a dict$",
    "four": r"raised ValueError in step\([01]\): not enough values to unpack \(expected 5, got 4\)",
    "hangs": r"^broken_worlds:Faulty took longer than 0\.3 s in step\([01]\)$",
    "dies": r"^the process of broken_worlds:Faulty died in step\([01]\) \(exit code 7\)$",
}
APART = {"hangs": 0.3, "dies": 10.0}
"""Those that need a process of their own, and their time-outs."""


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited, without waiting."""
    taken: list[float] = []
    monkeypatch.setattr(restarts, "sleep", taken.append)
    return taken


def faulty(how: str, often: float, task: str = "A", **settings: Any) -> World:
    make = {"how": how, "named": how == "missing"}
    options = {"make": make, "set": {"often": often}, "timeout": APART.get(how), "restarts": 100, **settings}
    return World(task, options.pop("env", "broken_worlds:Faulty"), **options)


def stream(how: str, often: float, steps: int = STEPS, episodes: int = 3, **settings: Any) -> ActingStream:
    pair = faulty(how, 0.0, "A", **settings), faulty(how, often, "B", **settings)
    return worlds(pair, Timetable("A B", steps, lanes=LANES, experience=80), episodes=episodes)


def failures(result: Result, kind: Any = LaneFailed) -> list[Any]:
    return [event for _, event in result.events if isinstance(event, kind)]


def is_gone(pid: int) -> bool:
    """Whether a process has ended, also where nobody has taken note of that."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("how", FAULTS)
def test_a_life_goes_on_where_worlds_fail(how: str, tmp_path: Path, naps: list[float]) -> None:
    # What takes its time is lived in for a shorter time.
    steps = STEPS // 4 if how == "hangs" else STEPS
    lived, learner = stream(how, 0.2, steps), Rambler()
    result = run(lived, learner, out=tmp_path, **OPTIONS)
    failed = failures(result)
    assert failed
    for event in failed:
        assert (event.task, steps <= LANES * event.at <= 2 * steps) == ("B", True)
        assert re.search(FAULTS[how], event.why), event.why
    # Each lane counts its own.
    for number in range(LANES):
        counts = [event.restarts for event in failed if event.lane == number]
        assert counts == list(range(1, 1 + len(counts)))
    summary = result.summary
    assert (summary.finished, summary.failures, summary.env_steps) == (True, len(failed), 2 * steps)
    assert [lane.steps for lane in lived._lanes] == [2 * steps // LANES] * LANES
    # Whole episodes earn 20, and none that failed is judged by.
    assert {e.value for _, e in result.events if isinstance(e, TaskScored)} == {20.0}
    assert all(e.left_out and e.tries == 3 for e in failures(result, EpisodeFailed))
    assert naps == [0.0] * len(failed) or how == "reset"
    own = os.getpid() in learner.pids
    assert own is (how not in APART)
    assert all(is_gone(pid) for pid in learner.pids - {0, os.getpid()})


def lane(world: World, seed: int = 3, number: int | None = 2) -> Lane:
    return Lane(look_at([world]), (Change(0, world.task),), seed, number=number)


@pytest.mark.parametrize("env", ["Faulty", "Reusing"])
def test_an_episode_that_fails_is_cut_and_the_next_one_is_another(env: str) -> None:
    if "Reusing-v0" not in gymnasium.registry:
        # Those with an id are trusted; one's own class would not come through gymnasium's checker.
        gymnasium.register("Reusing-v0", broken_worlds.Reusing)
    one = lane(faulty("nan", 1.0, env="Reusing-v0" if env == "Reusing" else f"broken_worlds:{env}"))
    first = one.reset()[0].copy()
    shown = [one.step(0) for _ in range(4)]
    before = shown[-1][0].copy()
    observation, reward, ended, cut, info = one.step(0)
    assert observation.tolist() == one.observation.tolist() == before.tolist()
    assert (reward, ended, cut, info["failed"]) == (0.0, False, True, "observation[1] is nan")
    assert (info["episode"]["r"], info["episode"]["l"]) == (4.0, 5)
    with pytest.raises(ResetNeeded, match="episode is over"):
        one.step(0)
    fresh = getattr(broken_worlds, env)()
    assert one.reset()[0].tolist() == fresh.reset(seed=seeded(3, 1))[0].tolist()
    assert (one.reset()[0].tolist() == first.tolist()) is (env == "Reusing")
    assert one.told() == [LaneFailed(2, "A", 5, "observation[1] is nan", 1)]
    assert one.told() == []


def test_seeds_of_environments_made_anew_follow_from_the_lanes_and_from_how_often_that_was() -> None:
    assert seeded(7, 0) == 7
    others = [seeded(seed, anew) for seed in range(20) for anew in range(1, 20)]
    assert len(set(others)) == len(others)
    assert others == [seeded(seed, anew) for seed in range(20) for anew in range(1, 20)]


def test_who_judges_is_told_at_once_and_begins_again_with_the_same_seed() -> None:
    one = lane(faulty("raises", 1.0), number=None)
    first = one.reset(seed=9)[0].tolist()
    for _ in range(4):
        one.step(1)
    with pytest.raises(LaneFault, match=r"^world 'A', judging, step 5: .*nothing left .*\. Mend") as caught:
        one.step(1)
    assert re.search(FAULTS["raises"], caught.value.why)
    assert one.reset(seed=9)[0].tolist() == first
    assert one.told() == []


@pytest.mark.parametrize("steps", [5, 6, 9])
def test_a_lane_whose_environment_was_made_anew_is_taken_up(steps: int) -> None:
    """In the step that failed, in the one after, and later."""
    lanes = [lane(faulty("nan", 0.6)) for _ in range(2)]
    for one in lanes:
        one.reset()
    while not lanes[0].step(0)[4].get("failed"):
        if lanes[0]._wake < 0:
            lanes[0].reset()
    for _ in range(steps - 5):
        lanes[0].reset() if lanes[0]._wake < 0 else lanes[0].step(1)
    lanes[1].load_state_dict(json.loads(json.dumps(lanes[0].state_dict()), object_hook=_numbered))
    assert lanes[0].observation.tolist() == lanes[1].observation.tolist()
    lanes[0].told()
    ways = []
    for one in lanes:
        if one._wake < 0:
            one.reset()
        ways.append((live(one, 200), one.told()))
    assert ways[0] == ways[1]
    assert len(ways[0][1]) > 3


def _numbered(state: dict[str, Any]) -> dict[Any, Any]:
    """Keys of JSON are text."""
    return {int(key) if key.isdigit() else key: value for key, value in state.items()}


def test_the_same_life_fails_in_the_same_way() -> None:
    one, other = (run(stream("raises", 0.3), Rambler(), **OPTIONS) for _ in range(2))
    assert one.events == other.events
    assert len(failures(one)) > 5


@pytest.mark.parametrize(("how", "stops"), [("raises", (7, 2, 1)), ("reset", (6, 1, 1)), ("dies", (9,))])
def test_what_is_stopped_and_gone_on_with_fails_where_it_would_have(how: str, stops: Any, tmp_path: Path) -> None:
    def made() -> ActingStream:
        return stream(how, 0.3, 480, episodes=1)

    run(made(), Rambler(), out=tmp_path / "whole", **OPTIONS)
    for count, after in enumerate(stops):
        stop = Stop()
        with pytest.raises(RunStopped):
            run(made(), Rambler(0, stop, after), out=tmp_path / "torn", stop=stop, resume=count > 0, **OPTIONS)
    result = run(made(), Rambler(), out=tmp_path / "torn", resume=True, **OPTIONS)
    assert (tmp_path / "torn/events.jsonl").read_bytes() == (tmp_path / "whole/events.jsonl").read_bytes()
    failed = [step for step, event in result.events if isinstance(event, LaneFailed)]
    assert min(failed) <= sum(stops) < max(failed)


def test_what_fails_too_often_ends_the_run(naps: list[float]) -> None:
    said = (
        r"^world 'B', lane \d, step \d+: observation\[1\] is nan\. It was made anew once within 999 steps of this "
        r"lane, as often as `restarts` allows\. Mend the environment, .* a `view` .*; `lifelong resume` goes on"
    )
    with pytest.raises(WorldLost, match=said):
        run(stream("nan", 0.3, restarts=1, within=999), Rambler(), **OPTIONS)


def test_failures_that_are_far_apart_may_be_as_many_as_they_like() -> None:
    assert failures(run(stream("nan", 0.2, restarts=3, within=40), Rambler(), **OPTIONS))


STUDY = {
    "stream": {
        "name": "worlds",
        "worlds": [
            {"task": t, "env": "broken_worlds:Dying", "restarts": 3, "make": {"at": k}} for k, t in enumerate("AB")
        ],
        "timetable": {"order": "A B", "steps": 480, "lanes": 4, "experience": 80},
        "episodes": 2,
    },
    "agent": {"name": "finetune_rl", "algorithm": "ppo", "settings": {"n_steps": 20, "batch_size": 40, "n_epochs": 1}},
    "evaluation": {"within": 0},
    "record": {"wandb": "disabled", "frames": False, "report": False, "console": False},
}


def test_a_world_that_always_fails_ends_the_run_and_once_it_is_mended_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], naps: list[float]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(yaml.safe_dump(STUDY))
    monkeypatch.setattr(Dying, "left", 10**9)
    assert cli.main(["run", "study.yaml", "--out", "whole"]) == 0
    lived = 10**9 - Dying.left
    monkeypatch.setattr(Dying, "left", lived - 300)
    assert cli.main(["run", "study.yaml", "--out", "torn"]) == 2
    told = capsys.readouterr().err
    assert re.search(
        r"lifelong: world 'B', lane 0, step \d+: .*Dying raised ConnectionError in .*the simulator is gone", told
    )
    assert "It was made anew 3 times within 10,000 steps" in told
    assert naps == [0.0, 0.5, 2.0]
    # What happened in the end is on record, and what was learned before the world was entered is saved.
    assert [e.restarts for _, e in read_events(Path("torn/events.jsonl")) if isinstance(e, LaneFailed)] == [1, 2, 3, 4]
    assert list(Path("torn/checkpoints").glob("step-000000000006-*.pt"))
    assert '"did": "failed"' in Path("torn/operations.jsonl").read_text()
    # Not mended yet: nothing is lost by trying.
    assert cli.main(["resume", "torn"]) == 2
    assert "the simulator is gone" in capsys.readouterr().err
    monkeypatch.setattr(Dying, "left", 10**9)
    assert cli.main(["resume", "torn"]) == 0
    assert Path("torn/events.jsonl").read_bytes() == Path("whole/events.jsonl").read_bytes()


def test_a_checkpoint_is_not_to_blame_for_a_world_that_cannot_be_gone_on_with(tmp_path: Path) -> None:
    """It is not passed over for an older one, since it is as it should be."""
    run(stream("nan", 0.3, 240), Rambler(), out=tmp_path, saving=Saving(every=2), **OPTIONS)
    path = checkpoints_in(tmp_path / "checkpoints")[0]
    broken = stream("reset", 0.0, 240, restarts=2)
    for task in "AB":
        place = broken._places.by_task[task]
        object.__setattr__(place, "values", (1.0,))
    with pytest.raises(WorldLost, match=r"^world 'B', lane 0, step \d+: .*no start.* It was made anew 2 times within"):
        read_checkpoint(path).restore(Rambler(), broken)
