"""Experts that share a trunk: what one used of it stays, and each has its own heads, memory and place to go back to."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from marked_worlds import Marked, marked, pairs_lived
from test_chunks import OFF, ON, Watching
from test_put_back import pairs_held
from test_several_kinds import Wide

from lifelong.acting.learner import LifelongActor
from lifelong.check.law import same
from lifelong.interaction import Interaction, Stage
from lifelong.shift.cusum import Cusum
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.sgp import Sgp
from lifelong_agents.sb3.algorithm import Sb3
from lifelong_agents.sb3.memory import emptied
from lifelong_agents.sb3.shared import SharingPolicy

PPO = ON | {"batch_size": 16, "n_epochs": 1, "learning_rate": 1e-2}
DQN = OFF | {"train_freq": 4}


def two(algorithm: str, settings: dict[str, Any], subspace: Any) -> tuple[list[SharingPolicy], tuple[Marked, ...]]:
    """Two experts, of which the first has lived and been left."""
    lanes = marked()
    made = Sb3(algorithm, settings, seed=1, share="trunk", subspace=subspace)
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, 4)
    policies: list[Any] = [made.spawn(number, stage) for number in range(2)]
    policies[0].enter()
    policies[0].live(lanes, 256, 64, Watching())
    policies[1].enter()
    return policies, lanes


def everything(policy: SharingPolicy) -> Any:
    model = policy._trunk.inner.model
    return deepcopy([model.get_parameters(), policy._trunk.held(), model.num_timesteps])


@pytest.mark.parametrize("subspace", [Gpm(), Sgp(), None], ids=str)
@pytest.mark.parametrize(("algorithm", "settings"), [("ppo", PPO), ("dqn", DQN)])
def test_one_that_is_put_back_goes_on_as_if_it_had_not_lived_since(
    algorithm: str, settings: dict[str, Any], subspace: Any
) -> None:
    ends = []
    for detour in (False, True):
        policies, lanes = two(algorithm, settings, subspace)
        policies[1].live(lanes, 256, 64, Watching())
        kept, stood, before = policies[1].keep(), deepcopy(lanes), everything(policies[1])
        if detour:
            policies[1].live(lanes, 256, 64, Watching())
            policies[1].put_back(kept)
            same("all that moved is back", before, everything(policies[1]))
        policies[1].enter()
        torch.manual_seed(5)
        np.random.seed(5)
        policies[1]._trunk.inner.model.action_space.seed(5)
        policies[1].live(stood, 256, 64, Watching())
        ends.append(everything(policies[1]))
    same("both go on alike", *ends)


def answers(policy: SharingPolicy, observations: Any) -> Any:
    model = policy._trunk.inner.model
    with torch.no_grad(), policy._trunk.wearing(policy._number):
        tensors, _ = model.policy.obs_to_tensor(observations)
        if hasattr(model.policy, "q_net"):
            return model.policy.q_net(tensors)
        return model.policy.get_distribution(tensors).distribution.logits


@pytest.mark.parametrize(("algorithm", "settings"), [("ppo", PPO), ("dqn", DQN)])
def test_what_an_expert_answers_stays_where_its_trunk_is_protected_and_moves_where_it_is_not(
    algorithm: str, settings: dict[str, Any]
) -> None:
    moved = []
    for subspace in (Gpm(energy=0.99999, first_energy=0.99999), None):
        policies, lanes = two(algorithm, settings, subspace)
        met = np.array([row[0] for lane in lanes for row in lane.lived[:64]], np.float32)
        before = answers(policies[0], met)
        policies[1].live(lanes, 512, 64, Watching())
        moved.append(float((answers(policies[0], met) - before).abs().max()))
        assert not torch.equal(answers(policies[1], met), before)
    assert moved[0] < 0.02 * moved[1]


def test_each_has_a_memory_of_its_own() -> None:
    lanes = marked(visits=((0, 0), (608, 1), (1216, 0)))
    learner = LifelongActor(Sb3("dqn", DQN, seed=1, share="trunk"), Cusum(), look=64)
    for _ in range(1664 * 4 // 256):
        learner.live(Interaction(lanes, 256))
    trunk: Any = learner.actor(Stage(lanes[0].observation_space, lanes[0].action_space, 1))._experts[0].policy._trunk
    assert (trunk.seated, set(trunk._buffers)) == (0, {1})
    for world, buffer in ((0, trunk.inner.model.replay_buffer), (1, trunk._buffers[1])):
        end = buffer.buffer_size if buffer.full else buffer.pos
        assert end > 200
        assert set(np.round(buffer.rewards[:end].ravel()).tolist()) == {float(world)}
        assert pairs_held(buffer) <= pairs_lived(lanes)


def test_worlds_with_other_spaces_have_a_trunk_of_their_own() -> None:
    made = Sb3("ppo", PPO, seed=1, share="trunk")
    learner = LifelongActor(made, Cusum(), look=64)
    narrow, wide = marked(), tuple(Wide(lane) for lane in range(2))
    for lanes in (narrow, wide, narrow, wide):
        learner.live(Interaction(lanes, 256))
    policies: Any = [learner.actor(Stage(k.observation_space, k.action_space, 1))._experts[0].policy for k in (
        narrow[0], wide[0]
    )]  # fmt: skip
    assert policies[0]._trunk is not policies[1]._trunk
    twin = LifelongActor(Sb3("ppo", PPO, seed=1, share="trunk"), Cusum(), look=64)
    twin.load_state_dict(deepcopy(learner.state_dict()))
    same("both are saved and loaded", learner.state_dict(), twin.state_dict())
    size = sum(p.numel() for policy in policies for p in policy._trunk.inner.model.policy.parameters())
    assert learner.size().parameters == size


def test_another_buffer_of_the_same_kind_keeps_its_settings() -> None:
    lanes = marked()
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, 4)
    made: Any = Sb3("dqn", DQN | {"n_steps": 5, "gamma": 0.5}, seed=1).spawn(0, stage)
    made.live(lanes, 256, 64, Watching())
    buffer = made.model.replay_buffer
    other: Any = emptied(buffer)
    assert type(other) is type(buffer)
    assert (other.n_steps, other.gamma, other.pos, other.full) == (5, 0.5, 0, False)
    assert other.rewards.shape == buffer.rewards.shape
    other.rewards[:] = 7.0
    assert buffer.pos == 64
    assert buffer.rewards.max() < 7.0


@pytest.mark.parametrize(("algorithm", "settings"), [("ppo", PPO), ("dqn", DQN)])
def test_who_inherits_begins_with_the_heads_of_the_parent_seated_or_not(
    algorithm: str, settings: dict[str, Any]
) -> None:
    policies, lanes = two(algorithm, settings, Gpm())
    made = policies[0]._trunk
    met = np.array([row[0] for lane in lanes for row in lane.lived[:16]], np.float32)
    policies[1].live(lanes, 128, 64, Watching())
    assert not torch.equal(answers(policies[1], met), answers(policies[0], met))
    for number, parent in ((2, policies[0]), (3, policies[1])):
        child = SharingPolicy(made, number)
        child.inherit(parent)
        assert torch.equal(answers(child, met), answers(parent, met))
        child.enter()
        assert torch.equal(answers(child, met), answers(parent, met))
