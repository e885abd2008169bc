"""What an expert was is what it is again, to the last number; and what it takes over is its world's alone."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from marked_worlds import Marked, marked, pairs_lived, plain, worlds_of
from test_chunks import CASES, OFF, ON, Watching, live, policy

from lifelong.acting.learner import LifelongActor
from lifelong.check.law import same
from lifelong.interaction import Interaction, Stage, Transitions
from lifelong.shift.cusum import Cusum
from lifelong_agents.sb3.algorithm import Sb3


def everything(model: Any) -> dict[str, Any]:
    """All that learning moves."""
    tuned = getattr(model, "log_ent_coef", None)
    return deepcopy(
        {
            "parameters": model.get_parameters(),
            "tuned": None if tuned is None else tuned.detach(),
            "steps": model.num_timesteps,
            "updates": model._n_updates,
        }
    )


@pytest.mark.parametrize("case", CASES)
def test_parameters_moments_and_counts_are_what_they_were(case: str) -> None:
    made, lanes = policy(case)
    live(made, lanes, 64, Watching())
    kept, before = made.keep(), everything(made.model)
    assert before["parameters"]["policy"]
    for again in range(2):
        live(made, lanes, 64, Watching())
        moved = everything(made.model)
        assert moved["updates"] > before["updates"]
        made.put_back(kept)
        same(f"what was kept, put back for the {again + 1}. time", before, everything(made.model))
        made.enter()


@pytest.mark.parametrize("case", ["ppo", "dqn", "sac", "td3"])
def test_an_untouched_policy_can_be_put_back_too(case: str) -> None:
    made, lanes = policy(case)
    kept, before = made.keep(), everything(made.model)
    live(made, lanes, 100, Watching())
    made.put_back(kept)
    same("an untouched one", before, everything(made.model))
    # And learns on as the untouched one would: its optimizer has no moments.
    torch.manual_seed(0)
    made.enter()
    live(made, lanes, 100, Watching())


def test_entropy_is_tuned_and_put_back() -> None:
    made, lanes = policy("sac")
    live(made, lanes, 64, Watching())
    kept, before = made.keep(), made.model.log_ent_coef.item()  # type: ignore[attr-defined]
    live(made, lanes, 64, Watching())
    assert made.model.log_ent_coef.item() != before  # type: ignore[attr-defined]
    made.put_back(kept)
    assert made.model.log_ent_coef.item() == before  # type: ignore[attr-defined]


def test_what_it_learns_after_being_put_back_is_what_it_would_have_learned() -> None:
    """Off-policy: same parameters, same memory, same steps and same draws give the same updates."""
    ends = []
    for detour in (False, True):
        made, lanes = policy("dqn")
        live(made, lanes, 64, Watching())
        kept, stood = made.keep(), deepcopy(lanes)
        if detour:
            live(made, lanes, 32, Watching())
            made.put_back(kept)
        torch.manual_seed(5)
        np.random.seed(5)
        made.model.action_space.seed(5)
        made.enter()
        live(made, stood, 40, Watching())
        ends.append(everything(made.model))
    same("the same", *ends)


def lifelong(algorithm: str, settings: dict[str, Any], lanes: tuple[Marked, ...], steps: int) -> LifelongActor:
    learner = LifelongActor(Sb3(algorithm, settings, seed=1), Cusum(), look=64)
    for _ in range(steps * len(lanes) // 256):
        learner.live(Interaction(lanes, 256))
    return learner


@pytest.mark.parametrize("algorithm", ["ppo", pytest.param("a2c", marks=pytest.mark.slow), "dqn"])
def test_an_expert_that_is_left_is_what_it_was_when_its_world_changed(algorithm: str) -> None:
    """To the last bit what one would be that had met its own world alone, the last updates included."""
    settings = OFF | {"train_freq": 16, "buffer_size": 8000} if algorithm == "dqn" else ON
    lanes, alone = marked(visits=((0, 0), (512, 1))), marked()
    left = lifelong(algorithm, settings, lanes, 704)
    assert len(left.experts) == 2
    stayed = LifelongActor(Sb3(algorithm, settings, seed=1), None)
    for _ in range(8):
        stayed.live(Interaction(alone, 256))
    one, other = (learner.experts[0].policy.model for learner in (left, stayed))  # type: ignore[attr-defined]
    same("the same", everything(other), everything(one))
    if algorithm == "dqn":
        assert one.replay_buffer.pos == other.replay_buffer.pos == 512
        assert pairs_held(one.replay_buffer) == pairs_held(other.replay_buffer)


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [
        pytest.param("dqn", 100_000, marks=pytest.mark.slow),
        ("dqn", 4 * 622),
        ("dqn", 4 * 300),
        pytest.param("sac", 4 * 300, marks=pytest.mark.slow),
    ],
)
def test_no_buffer_holds_a_transition_of_another_experts_world(algorithm: str, size: int) -> None:
    """Also where the ring was full, or fills up just then, 14 steps after the change."""
    settings = OFF | {"buffer_size": size, "train_freq": 16}
    lanes = marked(visits=((0, 0), (608, 1), (1216, 0)), numbers=algorithm == "sac")
    learner = lifelong(algorithm, settings, lanes, 1664)
    assert len(learner.experts) == 2
    for expert in learner.experts:
        buffer = expert.policy.model.replay_buffer  # type: ignore[attr-defined]
        end = buffer.buffer_size if buffer.full else buffer.pos
        assert end > 200
        assert set(np.round(buffer.rewards[:end].ravel()).tolist()) == {float(expert.number)}
        assert pairs_held(buffer) <= pairs_lived(lanes)


def test_the_new_experts_buffer_begins_with_the_evidence() -> None:
    lanes = marked(visits=((0, 0), (608, 1)))
    learner = LifelongActor(Sb3("dqn", OFF, seed=1), Cusum(), look=64)
    while len(learner.experts) < 2:
        learner.live(Interaction(lanes, 64))
    buffer = learner.experts[1].policy.model.replay_buffer  # type: ignore[attr-defined]
    before = {(*row[0], *row[3]) for lane in lanes for row in [plain(*step) for step in lane.lived[:608]]}
    held = pairs_held(buffer)
    assert held <= pairs_lived(lanes)
    assert not {row[:8] for row in held} & before
    assert len(held) >= 192
    # It never learned anything else: the evidence alone has been its model's, too.
    assert learner.experts[1].model.learned == len(held)


def pairs_held(buffer: Any) -> set[tuple[float, ...]]:
    end = buffer.buffer_size if buffer.full else buffer.pos
    parts = buffer.observations, buffer.next_observations, buffer.rewards[..., None]
    return {tuple(row) for row in np.concatenate([p[:end].reshape(-1, p.shape[-1]) for p in parts], axis=1).tolist()}


class Pictures(gymnasium.Env[Any, Any]):
    """A picture that says by its brightness what the last action was; beside it a number, where there is a dict."""

    def __init__(self, beside: bool) -> None:
        picture = Box(0, 255, (36, 36, 3), np.uint8)
        self.beside = beside
        self.observation_space = Dict({"p": picture, "x": Box(-1, 1, (2,))}) if beside else picture
        self.action_space = Discrete(2)
        self.steps, self.observation = 0, None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.observation = self._seen(0)
        return self.observation, {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.observation = self._seen(int(action))
        return self.observation, float(action), self.steps % 10 == 0, False, {}

    def _seen(self, action: int) -> Any:
        picture = np.zeros((36, 36, 3), np.uint8)
        picture[:18] = 100 * (action + 1)
        picture[..., 1] = self.steps % 250
        return {"p": picture, "x": np.full(2, action, np.float32)} if self.beside else picture


@pytest.mark.parametrize("beside", [False, True])
def test_pictures_are_taken_over_the_way_the_network_sees_them(beside: bool) -> None:
    lanes = tuple(Pictures(beside) for _ in range(2))
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, 2)
    settings = {"learning_starts": 4, "batch_size": 4, "buffer_size": 200, "train_freq": 8}
    algorithm = Sb3("dqn", settings, seed=1)
    one, other = algorithm.spawn(0, stage), algorithm.spawn(1, stage)
    watch = Watching()
    assert one.live(lanes, 48, 16, watch) == 48
    other.adopt(Transitions.joined(watch.blocks), 2)
    for name in ("observations", "next_observations", "actions", "rewards", "dones"):
        of_one, of_other = (getattr(p.model.replay_buffer, name) for p in (one, other))  # type: ignore[attr-defined]
        if isinstance(of_one, dict):
            same(name, {k: v.tolist() for k, v in of_one.items()}, {k: v.tolist() for k, v in of_other.items()})
        else:
            assert (of_one == of_other).all()
    errors = one.temporal_differences(watch.blocks[0])
    assert errors is not None
    assert errors.shape == (16,)
    other.enter()
    assert other.live(lanes, 48, 16, watch) == 48


def test_marks_of_worlds_can_be_read() -> None:
    lanes = marked(visits=((0, 0), (10, 1)))
    made = Sb3("a2c", {}, seed=1).spawn(0, Stage(lanes[0].observation_space, lanes[0].action_space, 4))
    watch = Watching()
    live(made, lanes, 20, watch, look=40)
    assert [set(worlds_of(block)) for block in watch.blocks] == [{0}, {1}]


@pytest.mark.parametrize("case", ["ppo", "dqn", "sac", "td3"])
def test_who_inherits_answers_as_the_parent_and_learns_on_its_own(case: str) -> None:
    name, settings, lanes, numbers = CASES[case]
    made = marked(lanes, numbers=numbers)
    algorithm = Sb3(name, settings, seed=1)
    stage = Stage(made[0].observation_space, made[0].action_space, lanes)
    parent, child = algorithm.spawn(0, stage), algorithm.spawn(1, stage)
    live(parent, made, 64, Watching())
    before = everything(parent.model)
    child.inherit(parent)
    networks = child.model.get_parameters()["policy"]
    same("what is inherited", before["parameters"]["policy"], networks)
    assert child.model.num_timesteps == 0
    # Moments, and what is tuned beside the networks, are of the parent's world.
    assert not any(optimizer.state for optimizer in child.optimizers)
    assert everything(child.model)["tuned"] == everything(algorithm.spawn(2, stage).model)["tuned"]
    child.enter()
    live(child, made, 64, Watching())
    same("the parent", before, everything(parent.model))
