"""Algorithms by name with their own settings, and what is said of those that cannot be had."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from marked_worlds import marked
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from test_chunks import OFF, Watching

from lifelong.interaction import Stage
from lifelong_agents.sb3.algorithm import Sb3
from lifelong_agents.sb3.failures import is_its_own
from lifelong_agents.sb3.finetune_rl import finetune_rl
from lifelong_agents.sb3.lifelong_rl import lifelong_rl
from lifelong_agents.sb3.policy import Sb3Policy

ROWS = spaces.Box(-1, 1, (3,), np.float32)
SIDES, FORCE = spaces.Discrete(2), spaces.Box(-1, 1, (2,), np.float32)


def spawn(algorithm: str, settings: Any = None, seen: Any = ROWS, act: Any = SIDES, lanes: int = 2, **more: Any) -> Any:
    return Sb3(algorithm, settings, seed=1, **more).spawn(0, Stage(seen, act, lanes)).model


@pytest.mark.parametrize("name", ["ppo", "PPO", "a2c", "dqn"])
def test_an_algorithm_goes_by_its_name(name: str) -> None:
    assert type(spawn(name)).__name__ == name.upper()


@pytest.mark.parametrize("name", ["sac", "td3", "ddpg"])
def test_so_do_those_whose_actions_are_numbers(name: str) -> None:
    assert type(spawn(name, act=FORCE)).__name__ == name.upper()


@pytest.mark.parametrize(("name", "act"), [("tqc", FORCE), ("trpo", SIDES), ("qrdqn", SIDES), ("crossq", FORCE)])
def test_so_do_those_of_the_other_library(name: str, act: Any) -> None:
    pytest.importorskip("sb3_contrib")
    assert type(spawn(name, act=act)).__name__.lower() == name


class Mine(PPO):
    """An algorithm of one's own."""


def test_an_algorithm_of_ones_own_is_named_by_its_module() -> None:
    assert type(spawn(f"{__name__}:Mine", {"n_steps": 32})) is Mine


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pp0", r"no algorithm 'pp0'\. Did you mean 'ppo'\? Take one of a2c, .*dqn, .*ppo, .*module:Class"),
        ("her", "no algorithm 'her'"),
        ("", "no algorithm ''"),
        ("nowhere:Mine", "nowhere:Mine cannot be found: No module named 'nowhere'"),
        ("stable_baselines3:Mine", "stable_baselines3 has no 'Mine'.$"),
        (f"{__name__}:Mina", f"{__name__} has no 'Mina'. Did you mean '{__name__}:Mine'"),
        # What is near and no algorithm is not offered for one.
        (f"{__name__}:falliing", f"{__name__} has no 'falliing'.$"),
        ("numpy:array", "must be a subclass of Stable-Baselines3's OnPolicyAlgorithm or OffPolicyAlgorithm"),
        (f"{__name__}:Sb3", "must be a subclass of Stable-Baselines3's"),
    ],
)
def test_names_that_are_none_are_refused_with_what_there_is(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Sb3(name)


def test_without_the_other_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(ValueError, match="pip install sb3-contrib"):
        Sb3("tqc")
    assert Sb3("ppo")


@pytest.mark.parametrize("name", ["sb3_contrib:RecurrentPPO", "recurrentppo", "sb3_contrib:MaskablePPO"])
def test_who_needs_a_memory_or_masks_is_refused(name: str) -> None:
    pytest.importorskip("sb3_contrib")
    with pytest.raises(ValueError, match="needs more than an observation to act"):
        Sb3(name)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_step": 8}, r"PPO takes no 'n_step'\. Did you mean 'n_steps'\? It takes: learning_rate, n_steps, "),
        ({"zzz": 8}, "PPO takes no 'zzz'. It takes: "),
        ({1: 8}, "PPO takes no 1"),
        ({"seed": 8}, "cannot hold 'seed': it follows from the run"),
        ({"env": 8}, "cannot hold 'env'"),
        (
            {"policy_kwargs": {"activation_fn": "torch.nn:ReLUU"}},
            "torch.nn:ReLUU cannot be found: .*Did you mean 'torch.nn:ReLU'",
        ),
    ],
)
def test_settings_that_are_none_are_refused_at_once(settings: Any, said: str) -> None:
    for make in (Sb3, finetune_rl, lifelong_rl):
        with pytest.raises(ValueError, match=said):
            make("ppo", settings)


def test_a_horizon_is_a_number_of_steps() -> None:
    with pytest.raises(ValueError, match="horizon counts environment steps"):
        Sb3("ppo", horizon=0)


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "actions are numbers": ("dqn", {"act": FORCE}),
    "actions are sides": ("sac", {}),
    "numbers without an end": ("sac", {"act": spaces.Box(-np.inf, np.inf, (2,), np.float32)}),
    "text": ("ppo", {"seen": spaces.Text(4)}),
    "nested": ("ppo", {"seen": spaces.Dict({"a": spaces.Dict({"b": ROWS})})}),
    "choices from 1": ("ppo", {"act": spaces.Discrete(3, start=1)}),
    "several choices from 1": ("ppo", {"act": spaces.MultiDiscrete([3, 2], start=[0, 1])}),
    "states from 1": ("dqn", {"seen": spaces.Dict({"a": spaces.Discrete(3, start=1)})}),
    "a network for something else": ("ppo", {"policy": "CnnPolicy"}),
    "a device that is none": ("ppo", {"device": "quantum"}),
    "no steps": ("a2c", {"settings": {"n_steps": 0}}),
    "no numbers": ("ppo", {"settings": {"n_steps": "many"}}),
    "no dictionary": ("ppo", {"settings": {"policy_kwargs": [1, 2]}}),
    "a network's setting that is none": ("ppo", {"settings": {"policy_kwargs": {"net_arc": [4]}}}),
    "a rate below zero": ("ppo", {"settings": {"learning_rate": -1.0}}),
    "never training": ("dqn", {"settings": {"train_freq": 0}}),
    "training by the moon": ("dqn", {"settings": {"train_freq": [1, "moon"]}}),
    "by episodes in two lanes": ("dqn", {"settings": {"train_freq": [1, "episode"]}}),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_an_algorithm_cannot_do_is_said_before_it_begins(why: str) -> None:
    name, asked = REFUSED[why]
    with pytest.raises(ValueError, match=f"{name.upper()} cannot act in this world or with these settings: "):
        spawn(name, **asked)


@pytest.mark.parametrize(
    ("name", "act", "instead"),
    [
        ("sac", SIDES, ["a2c", "dqn", "ppo"]),
        ("dqn", FORCE, ["a2c", "ddpg", "ppo", "sac", "td3"]),
        ("td3", spaces.MultiDiscrete([2, 3]), ["a2c", "ppo"]),
    ],
)
def test_who_could_act_instead_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, act: Any, instead: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(ValueError, match=r"does not take actions that are .*\. Algorithms that do: ") as said:
        spawn(name, act=act)
    assert str(said.value).endswith(f"{act}. Algorithms that do: {', '.join(instead)}.")


def test_settings_are_named_where_they_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not supported.*\. Settings given: n_steps: many, gamma: 0.9\.$"):
        spawn("ppo", {"n_steps": "many", "gamma": 0.9})


def test_a_network_that_is_none_is_refused_with_those_that_there_are() -> None:
    for make in (Sb3, finetune_rl, lifelong_rl):
        with pytest.raises(
            ValueError,
            match=r"PPO has no policy 'MlpPolicyy'\. Did you mean 'MlpPolicy'\? Take one of CnnPolicy, MlpPolicy, Mult",
        ):
            make("ppo", policy="MlpPolicyy")


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value encountered")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"n_epochs": 0},
            r"PPO failed while it learned: UnboundLocalError: .*ppo\.py:\d+\).*Settings given: .*n_epochs: 0",
        ),
        ({"ent_coef": "abc"}, r"PPO failed while it learned: TypeError: .*Check its settings.*ent_coef: abc\.$"),
    ],
)
def test_what_is_found_out_only_while_it_learns_is_said_with_the_settings(settings: dict[str, Any], said: str) -> None:
    policy = Sb3("ppo", {"n_steps": 8, "batch_size": 8} | settings).spawn(
        0, Stage(marked()[0].observation_space, SIDES, 2)
    )
    policy.enter()
    with pytest.raises(ValueError, match=said) as caught:
        policy.live(marked(2), 32, 8, lambda block: False)
    assert isinstance(caught.value.__cause__, UnboundLocalError | TypeError)


@pytest.mark.parametrize(
    ("module", "own"), [("stable_baselines3.ppo", True), ("mine", True), ("lifelong.acting.x", False)]
)
def test_a_failure_of_who_watches_is_not_laid_on_the_algorithm(module: str, own: bool) -> None:
    space: dict[str, Any] = {"__name__": module}
    exec("def fail(): return {}[1]", space)
    with pytest.raises(KeyError) as caught:
        space["fail"]()
    assert is_its_own(caught.value) is own


def test_texts_in_settings_stand_for_what_they_name_and_lists_for_pairs() -> None:
    model = spawn("ppo", {"policy_kwargs": {"net_arch": [5], "activation_fn": "torch.nn:ELU"}})
    assert [type(layer) for layer in model.policy.mlp_extractor.policy_net] == [torch.nn.Linear, torch.nn.ELU]
    off = spawn("dqn", OFF | {"train_freq": [3, "step"]})
    assert (off.train_freq.frequency, off.train_freq.unit.value) == (3, "step")


@pytest.mark.parametrize(
    ("seen", "network"),
    [
        (ROWS, "ActorCriticPolicy"),
        (spaces.Box(0, 255, (36, 40, 3), np.uint8), "ActorCriticCnnPolicy"),
        # Too small for the convolutions, as MiniGrid's are.
        (spaces.Box(0, 255, (7, 7, 3), np.uint8), "ActorCriticPolicy"),
        (spaces.Dict({"a": ROWS}), "MultiInputActorCriticPolicy"),
        (spaces.Discrete(4), "ActorCriticPolicy"),
    ],
)
def test_the_network_follows_from_what_is_seen(seen: Any, network: str) -> None:
    assert type(spawn("ppo", {"n_steps": 4, "batch_size": 8}, seen=seen).policy).__name__ == network


def test_all_experts_begin_from_the_same_weights_and_later_ones_disturb_nothing() -> None:
    algorithm, stage = Sb3("ppo", {"n_steps": 4, "batch_size": 8}, seed=1), Stage(ROWS, SIDES, 2)
    first = algorithm.spawn(0, stage).model.policy.state_dict()
    draws = torch.rand(3), np.random.rand(3)
    algorithm.spawn(0, stage)
    second = algorithm.spawn(1, stage).model.policy.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    # The first one seeds the generators, as Stable-Baselines3 does; the second leaves them alone.
    assert torch.equal(torch.rand(3), draws[0])
    assert np.random.rand(3).tolist() == draws[1].tolist()


def falling(progress: float) -> float:
    return 1e-3 * progress


def plain(kind: Any, total: int, **settings: Any) -> Any:
    """Stable-Baselines3 alone."""
    (lane,) = marked(1)
    model = kind("MlpPolicy", DummyVecEnv([lambda: Monitor(lane)]), seed=1, device="cpu", **settings)
    seen: list[tuple[float, float]] = []
    model.learn(total, callback=lambda known, _: seen.append(rates(known["self"])) is None)
    return model, seen


def rates(model: Any) -> tuple[float, float]:
    rate: float = model.policy.optimizer.param_groups[0]["lr"]
    return rate, getattr(model, "exploration_rate", 0.0)


def chunks(name: str, horizon: int, steps: list[int], **settings: Any) -> Sb3Policy:
    lanes = marked(1)
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, 1)
    made = Sb3(name, settings, seed=1, horizon=horizon).spawn(0, stage)
    for count in steps:
        made.live(lanes, count, 64, Watching())
    return made


def test_schedules_run_by_the_experts_own_steps() -> None:
    explore = {"exploration_fraction": 0.5, "exploration_final_eps": 0.1, "learning_starts": 10, "buffer_size": 1000}
    _, seen = plain(DQN, 400, learning_rate=falling, policy_kwargs={"net_arch": [4]}, **explore)
    for at in (100, 200, 300):
        made = chunks("dqn", 400, [at - 4, 4], learning_rate=falling, policy_kwargs={"net_arch": [4]}, **explore)
        assert rates(made.model) == (pytest.approx(seen[at][0], rel=1e-9), pytest.approx(seen[at][1], rel=1e-9))
    assert seen[100][1] == pytest.approx(1.0 - 0.9 * 100 / 200)
    made = chunks("dqn", 400, [100, 300, 100], learning_rate=falling, policy_kwargs={"net_arch": [4]}, **explore)
    # After the horizon they stay where they ended.
    assert rates(made.model) == (0.0, pytest.approx(0.1))


def test_an_on_policy_rate_falls_over_the_horizon_and_not_over_each_chunk() -> None:
    settings: dict[str, Any] = {"n_steps": 16, "batch_size": 16, "n_epochs": 1, "learning_rate": falling}
    model, _ = plain(PPO, 160, **settings)
    made = chunks("ppo", 160, [48, 48, 64], **settings)
    assert rates(made.model) == rates(model) == (0.0, 0.0)
    half = chunks("ppo", 160, [48, 32], **settings)
    assert rates(half.model)[0] == pytest.approx(0.5e-3)
    # A policy that is put back counts from where it was.
    kept = half.keep()
    half.live(marked(1), 64, 64, Watching())
    half.put_back(kept)
    half.live(marked(1), 16, 64, Watching())
    assert rates(half.model)[0] == pytest.approx(0.4e-3)
