"""Lanes: the world changes at the right step in the right way, and an episode can be taken up where it was left."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
import pytest
from acting import act, lane, live, rewards, telltale
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from lifelong.interaction import LaneFault, WorldLost
from lifelong_envs.rl.lane import Lane
from lifelong_envs.rl.places import look_at
from lifelong_envs.rl.timetable import Change
from lifelong_envs.rl.world import World

A, B = telltale("A", 1.0), telltale("B", 2.0)
CARTPOLE = World("A", "CartPole-v1")


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1", "MountainCar-v0"])
def test_a_lane_of_one_world_is_the_environment_itself(env: str) -> None:
    bare = gymnasium.make(env)
    one = lane([World("A", env)], Change(0, "A"), seed=5)
    first, _ = bare.reset(seed=5)
    assert one.reset()[0].tolist() == first.tolist()
    for k in range(450):
        action = act(bare.action_space, 1, k)
        wanted, seen = bare.step(action), one.step(action)
        assert wanted[0].tolist() == seen[0].tolist() == one.observation.tolist()
        assert wanted[1:4] == seen[1:4]
        if wanted[2] or wanted[3]:
            assert bare.reset()[0].tolist() == one.reset()[0].tolist()


def test_now_changes_in_the_middle_of_an_episode_and_keeps_its_state() -> None:
    one = lane([A, B], Change(0, "A"), Change(7, "B", "now"))
    shown = live(one, 12)
    assert rewards(shown) == [1.0] * 7 + [2.0] * 5
    assert [step[0][0] for step in shown] == [1, 2, 3, 4, 5] * 2 + [1, 2]
    still = live(lane([A], Change(0, "A")), 12)
    assert [step[0] for step in shown] == [step[0] for step in still]


def test_episode_changes_with_the_first_episode_that_begins_at_the_step_or_later() -> None:
    for at, enters in ((4, 5), (5, 5), (6, 10), (7, 10)):
        shown = rewards(live(lane([A, B], Change(0, "A"), Change(at, "B", "episode")), 12))
        assert shown == [1.0] * enters + [2.0] * (12 - enters), at


def test_reset_cuts_the_episode_with_the_step_before() -> None:
    shown = live(lane([A, B], Change(0, "A"), Change(7, "B", "reset")), 12)
    assert rewards(shown) == [1.0] * 7 + [2.0] * 5
    ends = [(terminated, truncated) for _, _, terminated, truncated in shown]
    assert [k for k, end in enumerate(ends, 1) if end == (True, False)] == [5, 12]
    assert [k for k, end in enumerate(ends, 1) if end == (False, True)] == [7]


def test_an_episode_that_ends_by_itself_as_the_world_changes_is_not_cut_as_well() -> None:
    shown = live(lane([A, B], Change(0, "A"), Change(5, "B", "reset")), 6)
    assert shown[4][2:] == (True, False)
    assert rewards(shown) == [1.0] * 5 + [2.0]


def test_gradual_moves_numbers_step_by_step() -> None:
    shown = rewards(live(lane([A, B], Change(0, "A"), Change(6, "B", "gradual", over=3)), 12))
    assert shown == [1.0] * 6 + [1.25, 1.5, 1.75] + [2.0] * 3


def test_gradual_swaps_actions_in_more_and_more_episodes() -> None:
    short = World("A", "toy_worlds:Telltale", make={"length": 1})
    flipped = World("B", "toy_worlds:Telltale", make={"length": 1}, actions=(1, 0))
    swapped = []
    for seed in range(40):
        one = lane([short, flipped], Change(0, "A"), Change(10, "B", "gradual", over=100), seed=seed)
        one.reset()
        swapped.append([])
        for _ in range(120):
            swapped[-1].append(one.step(0)[0][1])
            one.reset()
    share = np.mean(swapped, axis=0)
    assert share[:10].tolist() == [0] * 10
    assert share[110:].tolist() == [1] * 10
    expected = np.arange(1, 101) / 101
    assert np.abs(share[10:110].reshape(10, 10).mean(1) - expected.reshape(10, 10).mean(1)).max() < 0.09


def test_gradual_between_two_environments_is_by_episodes() -> None:
    other = World("B", "toy_worlds:Telltale", make={"length": 2, "gain": 3.0})
    shown = rewards(live(lane([A, other], Change(0, "A"), Change(10, "B", "gradual", over=60)), 100))
    assert shown[:10] == [1.0] * 10
    assert set(shown[10:75]) == {1.0, 3.0}
    assert set(shown[75:]) == {3.0}


def test_worlds_come_back_with_their_numbers() -> None:
    changes = Change(0, "A"), Change(5, "B", "now"), Change(10, "A", "now"), Change(15, "B", "reset")
    assert rewards(live(lane([A, B], *changes), 20)) == [1.0] * 5 + [2.0] * 5 + [1.0] * 5 + [2.0] * 5


def test_what_only_another_world_sets_is_as_it_was() -> None:
    odd = World("C", "toy_worlds:Telltale", set={"weights[1]": "x3"})
    one = lane([A, odd], Change(0, "A"), Change(5, "C", "now"), Change(10, "A", "now"))
    one.reset()
    env: Any = one._body.env.unwrapped
    seen = []
    for k in range(12):
        one.step(0)
        seen.append((env.gain, env.weights.tolist()))
        if k % 5 == 4:
            one.reset()
    assert seen == [(1.0, [1.0, 2.0])] * 5 + [(1.0, [1.0, 6.0])] * 5 + [(1.0, [1.0, 2.0])] * 2


def test_now_between_different_environments_is_refused() -> None:
    other = World("B", "toy_worlds:Telltale", view=("toy_worlds:Doubled",))
    with pytest.raises(ValueError, match=r"'A' and 'B' are made of different environments \(view\).*Change by episode"):
        lane([A, other], Change(0, "A"), Change(5, "B", "now"))


def test_now_between_worlds_that_differ_in_how_they_are_made_says_in_what_and_what_to_do() -> None:
    short = World("B", "toy_worlds:Telltale", make={"length": 2})
    said = r"'A' and 'B' are one environment .*\(make: \{\} and \{length: 2\}\).* under `set` \(set: \{length: 2\}\)"
    with pytest.raises(ValueError, match=said):
        lane([A, short], Change(0, "A"), Change(5, "B", "now"))
    drawn = World("B", "toy_worlds:Telltale", make={"render_mode": None})
    with pytest.raises(ValueError, match=r"in the middle of an episode\. Change by episode, reset or gradually\.$"):
        lane([A, drawn], Change(0, "A"), Change(5, "B", "now"))


def test_an_episodes_last_info_sums_it_up() -> None:
    one = lane([A, B], Change(0, "A"), Change(7, "B", "now"))
    one.reset()
    infos = []
    for k in range(10):
        infos.append(one.step(0)[4])
        if k % 5 == 4:
            one.reset()
    assert [k for k, info in enumerate(infos) if "episode" in info] == [4, 9]
    first, second = infos[4]["episode"], infos[9]["episode"]
    assert (first["r"], first["l"], second["r"], second["l"]) == (5.0, 5, 8.0, 5)
    assert second["t"] >= first["t"] >= 0.0


def test_stepping_without_an_episode_is_refused() -> None:
    one = lane([A], Change(0, "A"))
    assert one.observation is None
    with pytest.raises(ResetNeeded, match="has not begun"):
        one.step(0)
    live(one, 4)
    one.step(0)
    with pytest.raises(ResetNeeded, match="episode is over"):
        one.step(0)


@pytest.mark.filterwarnings("ignore:.*Box observation space")
def test_a_lane_is_an_environment_as_gymnasium_wants_it() -> None:
    check_env(lane([CARTPOLE], Change(0, "A")), skip_render_check=True)


FLIPPED = World("B", "CartPole-v1", actions=(1, 0), set={"gravity": 20.0, "length": "x2"})


@pytest.mark.parametrize("way", ["now", "episode", "reset", "gradual"])
@pytest.mark.parametrize("lived", [0, 1, 37, 60, 61, 75, 90, 200])
def test_a_lane_that_is_taken_up_goes_on_to_the_last_bit(way: Any, lived: int) -> None:
    changes = (
        Change(0, "A"),
        Change(60, "B", way, 30 * (way == "gradual")),
        Change(120, "A", way, 20 * (way == "gradual")),
    )
    places = look_at([CARTPOLE, FLIPPED])
    one = Lane(places, changes, seed=3)
    live(one, lived)
    state = one.state_dict()
    again = Lane(places, changes, seed=3)
    again.load_state_dict(state)
    assert again.steps == one.steps == lived
    assert live(again, 150, seed=8) == live(one, 150, seed=8)


def test_a_state_is_plain_data() -> None:
    one = lane([World("A", "Pendulum-v1")], Change(0, "A"))
    live(one, 9)
    state = one.state_dict()
    assert json.loads(json.dumps(state, sort_keys=True))["played"] == state["played"]


def test_several_environments_are_taken_up_each_where_it_was() -> None:
    other = World("B", "toy_worlds:Telltale", make={"length": 3})
    changes = Change(0, "A"), Change(10, "B", "reset"), Change(20, "A", "reset"), Change(28, "B", "gradual", 30)
    for lived in (9, 12, 24, 40):
        one = lane([A, other], *changes)
        live(one, lived)
        again = lane([A, other], *changes)
        again.load_state_dict(one.state_dict())
        assert live(again, 60, seed=8) == live(one, 60, seed=8), lived


def test_an_episode_begun_with_a_seed_and_options_is_taken_up() -> None:
    one = lane([CARTPOLE], Change(0, "A"))
    one.reset(seed=11, options={"low": -0.01, "high": 0.01})
    one.step(1)
    again = lane([CARTPOLE], Change(0, "A"))
    again.load_state_dict(one.state_dict())
    assert live(again, 100) == live(one, 100)


def test_an_environment_that_remembers_other_episodes_goes_on_with_a_new_episode() -> None:
    ageing = World("A", "toy_worlds:Ageing")
    one = lane([ageing], Change(0, "A"))
    live(one, 13)
    again = lane([ageing], Change(0, "A"))
    with pytest.warns(UserWarning, match="does not do the same again.*Going on with a new episode"):
        again.load_state_dict(one.state_dict())
    assert again.steps == 13
    assert again.observation[0] == 0
    assert len(live(again, 5)) == 5


def test_the_state_of_another_timetable_is_refused() -> None:
    one = lane([A, B], Change(0, "A"), Change(5, "B"))
    live(one, 3)
    with pytest.raises(ValueError, match="state is of a lane that lives through"):
        lane([A, B], Change(0, "A"), Change(6, "B")).load_state_dict(one.state_dict())


def test_stable_baselines3_learns_the_same_in_lanes_as_in_its_own_environments() -> None:
    torch = pytest.importorskip("torch")
    sb3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import DummyVecEnv

    places = look_at([CARTPOLE])
    own = make_vec_env("CartPole-v1", 2)
    ours = DummyVecEnv([lambda i=i: Lane(places, (Change(0, "A"),), i) for i in range(2)])
    found = []
    for env in (own, ours):
        model = sb3.PPO("MlpPolicy", env, n_steps=32, batch_size=64, n_epochs=2, seed=3, device="cpu")
        model.learn(256)
        found.append((model.policy.state_dict(), [(e["r"], e["l"]) for e in model.ep_info_buffer]))
    (wanted, episodes), (seen, lived) = found
    assert episodes == lived
    assert len(lived) > 4
    assert all(torch.equal(wanted[name], seen[name]) for name in wanted)


def failing(how: str, **make: Any) -> World:
    return World("broken", "broken_worlds:Failing", make={"how": how, **make}, set={"sound": 0}, restarts=0)


@pytest.mark.parametrize(
    ("how", "said", "cause"),
    [
        (
            "raises",
            r"raised ZeroDivisionError in step\(1\): nothing left \(.*broken_worlds.py:\d+\)\. Mend",
            ZeroDivisionError,
        ),
        ("reward", r"the reward is nan\. Mend the environment, .* a `view` .*; `lifelong resume` goes on", None),
    ],
)
def test_an_environment_that_fails_is_named_with_its_world_lane_and_step(how: str, said: str, cause: Any) -> None:
    sound = World("sound", "broken_worlds:Failing", make={"how": how})
    places = look_at([sound, failing(how)])
    one = Lane(places, (Change(0, "sound"), Change(50, "broken", "now")), number=3)
    live(one, 56)
    with pytest.raises(WorldLost, match=rf"^world 'broken', lane 3, step 57: .*{said}") as caught:
        one.step(1)
    assert isinstance(caught.value.__cause__, cause or type(None))


@pytest.mark.parametrize("what", [np.inf, -np.inf])
def test_rewards_without_bounds_are_refused_too(what: float) -> None:
    one = lane([failing("reward", at=1, what=what)], Change(0, "broken"))
    one.reset()
    with pytest.raises(LaneFault, match=rf"world 'broken', judging, step 1: the reward is {what}"):
        one.step(0)


def test_an_environment_that_cannot_be_begun_is_named() -> None:
    one = Lane(look_at([failing("reset", at=50)]), (Change(0, "broken"),), number=0)
    with pytest.raises(
        WorldLost, match=r"^world 'broken', lane 0, step 50: .* raised KeyError in reset\(\): 'no start'"
    ):
        live(one, 50)


def test_a_lane_knows_where_it_was() -> None:
    one = Lane(look_at([A, B]), (Change(0, "A"), Change(7, "B", "now")), number=1)
    live(one, 9)
    said = [one.whereabouts(ago) for ago in (0, 1, 2, 3, 8)]
    assert said == [f"world '{w}', lane 1, step {k}" for w, k in (("B", 9), ("B", 8), ("A", 7), ("A", 6), ("A", 1))]
