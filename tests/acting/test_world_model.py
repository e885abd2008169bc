"""What a model of a world knows, held to ridge regression in float64, and whom it takes for a stranger."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import pytest
from any_spaces import Anything
from gymnasium import spaces
from random_life import random_life

from lifelong.acting.encoding import Encoding
from lifelong.acting.evidence import FOREIGN
from lifelong.acting.features import Features
from lifelong.acting.world_model import CLEAN, PLENTY, PRIOR, YOUNG, WorldModel
from lifelong.interaction import Transitions

CARTPOLE = gymnasium.make("CartPole-v1")
PENDULUM = gymnasium.make("Pendulum-v1")
SEED = 3


def model(env: Any = CARTPOLE, *blocks: Transitions, **settings: int) -> WorldModel:
    made = WorldModel(Encoding(env.observation_space, env.action_space), seed=SEED, **settings)
    for block in blocks:
        made.learn(block)
    return made


def blocks(data: Transitions, size: int = 128) -> list[Transitions]:
    return [data.rows(slice(first, first + size)) for first in range(0, len(data), size)]


def targets_of(data: Transitions) -> np.ndarray:
    assert isinstance(data.observations, np.ndarray)
    assert isinstance(data.next_observations, np.ndarray)
    change = data.next_observations.astype(np.float64) - data.observations
    return np.column_stack((change, data.rewards, data.terminated))


def ridge(made: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(F, Y) by least squares: the prior is one more row for each feature."""
    rows = np.vstack((made, np.sqrt(PRIOR) * np.eye(made.shape[1])))
    wanted = np.vstack((targets, np.zeros((made.shape[1], targets.shape[1]))))
    found: np.ndarray = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    return found


def by_hand(young: Transitions, known: Transitions, asked: Transitions, members: int, waves: int) -> np.ndarray:
    """(B, Y) squared errors on `asked` of what regressions know that have seen `known`, divided by 1 + doubt."""
    space = CARTPOLE.observation_space
    features = Features(4, members, waves, SEED)
    features.fit(young.observations.astype(np.float64))
    made, made_asked = (features(t.observations.astype(np.float64)) for t in (known, asked))
    assert space.shape == (4,)
    squares = np.empty((len(asked), 6))
    for action in (0, 1):
        of, to = known.actions == action, asked.actions == action
        foreseen, doubts = [], []
        for k in range(members):
            weights = ridge(made[k, of], targets_of(known)[of])
            foreseen.append(made_asked[k, to] @ weights)
            inverse = np.linalg.inv(made[k, of].T @ made[k, of] + PRIOR * np.eye(made.shape[2]))
            doubts.append([x @ inverse @ x for x in made_asked[k, to]])
        errors = targets_of(asked)[to] - np.mean(foreseen, axis=0)
        squares[to] = errors**2 / (1.0 + np.mean(doubts, axis=0))[:, None]
    return squares


def in_rows(model: WorldModel, asked: Transitions) -> np.ndarray:
    seen = model.see(asked)
    squares = np.empty((len(asked), len(model.expected)))
    for (_, rows, _, _), part in zip(seen.parts, seen.squares, strict=True):
        squares[rows] = part
    return squares


@pytest.mark.parametrize(("members", "waves"), [(3, 24), (1, 0)])
def test_what_it_foresees_and_how_sure_it_is_are_those_of_ridge_regression(members: int, waves: int) -> None:
    data, asked = random_life("CartPole-v1", YOUNG), random_life("CartPole-v1", 64, seed=7)
    found = in_rows(model(CARTPOLE, data, members=members, waves=waves), asked)
    np.testing.assert_allclose(found, by_hand(data, data, asked, members, waves), rtol=1e-6, atol=1e-12)


def test_what_came_later_counts_as_much_as_what_came_first() -> None:
    data, asked = random_life("CartPole-v1", 1024), random_life("CartPole-v1", 64, seed=7)
    young = data.rows(slice(0, YOUNG))
    found = in_rows(model(CARTPOLE, young, data.rows(slice(YOUNG, None))), asked)
    np.testing.assert_allclose(found, by_hand(young, data, asked, 3, 24), rtol=1e-6, atol=1e-12)


def test_the_order_of_the_data_and_their_blocks_do_not_matter() -> None:
    """Once the units are fixed, by the first data."""
    data, asked = random_life("CartPole-v1", YOUNG + 960), random_life("CartPole-v1", 64, seed=7)
    young, rest = data.rows(slice(0, YOUNG)), data.rows(slice(YOUNG, None))
    shuffled = rest.rows(np.random.default_rng(0).permutation(960))
    at_once = in_rows(model(CARTPOLE, young, rest), asked)
    np.testing.assert_allclose(in_rows(model(CARTPOLE, young, shuffled), asked), at_once, rtol=1e-6, atol=1e-12)
    # What is known is worked out anew where the data have grown by a tenth: the last block is large enough.
    in_parts = [young, *blocks(rest.rows(slice(0, 640)), 64), rest.rows(slice(640, None))]
    np.testing.assert_allclose(in_rows(model(CARTPOLE, *in_parts), asked), at_once, rtol=1e-6, atol=1e-12)


def test_surprise_is_in_the_order_of_the_rows_whatever_the_actions() -> None:
    learned = model(CARTPOLE, random_life("CartPole-v1", 512))
    asked = random_life("CartPole-v1", 64, seed=7)
    surprise = learned.surprise(learned.see(asked))
    order = np.random.default_rng(0).permutation(64)
    shuffled = learned.surprise(learned.see(asked.rows(order)))
    np.testing.assert_allclose(shuffled, surprise[order], rtol=1e-9)
    one_by_one = [learned.surprise(learned.see(asked.rows(slice(i, i + 1))))[0] for i in range(64)]
    np.testing.assert_allclose(one_by_one, surprise, rtol=1e-9)
    foreign = Transitions(
        asked.observations, 1 - asked.actions, *(getattr(asked, n) for n in Transitions.__slots__[2:])
    )
    odd = np.arange(64) % 2 == 1
    mixed = Transitions(asked.observations, np.where(odd, foreign.actions, asked.actions), *(
        getattr(asked, n) for n in Transitions.__slots__[2:]
    ))  # fmt: skip
    found = learned.surprise(learned.see(mixed))
    np.testing.assert_allclose(found[~odd], surprise[~odd], rtol=1e-9)
    assert found[odd].min() > found[~odd].max()


WORLDS = {"swapped": {"swap": True}, "long pole": {"length": 1.0}, "strong": {"force_mag": 20.0}}


@pytest.fixture(scope="module")
def cartpole() -> WorldModel:
    return model(CARTPOLE, *blocks(random_life("CartPole-v1", 1024)))


@pytest.mark.parametrize("seed", range(100, 105))
def test_it_knows_its_own_world_again_and_no_other(seed: int, cartpole: WorldModel) -> None:
    own = cartpole.see(random_life("CartPole-v1", 256, seed=seed))
    assert cartpole.hindrance(own) <= 0.0
    for name, change in WORLDS.items():
        other = cartpole.see(random_life("CartPole-v1", 256, seed=seed, **change))
        assert cartpole.hindrance(other) > FOREIGN, name
        assert cartpole.surprise(other).mean() > 5 * cartpole.surprise(own).mean(), name


def test_new_states_of_its_own_world_are_not_foreign(cartpole: WorldModel) -> None:
    """Poles that fall the same way all the time, from further out: states that a random policy seldom shows."""
    far = random_life("CartPole-v1", 512, seed=9, theta_threshold_radians=1.5, x_threshold=10.0)
    late = far.rows(np.abs(far.observations[:, 2]) > 0.21)
    assert len(late) > 100
    assert cartpole.hindrance(cartpole.see(late)) <= FOREIGN


def mirrored() -> Any:
    return gymnasium.wrappers.TransformAction(gymnasium.make("Pendulum-v1"), lambda a: -a, PENDULUM.action_space)


@pytest.mark.parametrize("seed", range(100, 103))
def test_actions_that_are_numbers_tell_worlds_apart_too(seed: int) -> None:
    learned = model(PENDULUM, *blocks(random_life("Pendulum-v1", 1024)))
    assert learned.hindrance(learned.see(random_life("Pendulum-v1", 1024, seed=seed))) <= FOREIGN / 4
    assert learned.hindrance(learned.see(random_life(mirrored, 1024, seed=seed))) > FOREIGN


def test_worlds_of_pictures_are_told_apart() -> None:
    pytest.importorskip("minigrid")
    from minigrid.wrappers import ImgObsWrapper

    def room(turned: bool) -> Any:
        env = ImgObsWrapper(gymnasium.make("MiniGrid-Empty-Random-5x5-v0"))
        order = [1, 0, 2, 3, 4, 5, 6] if turned else list(range(7))
        return gymnasium.wrappers.TransformAction(env, lambda a: order[a], env.action_space)

    learned = model(room(False), *blocks(random_life(lambda: room(False), 2048)))
    assert learned.hindrance(learned.see(random_life(lambda: room(False), 384, seed=5))) <= FOREIGN
    assert learned.hindrance(learned.see(random_life(lambda: room(True), 384, seed=5))) > FOREIGN


def test_what_is_saved_and_loaded_answers_the_same_to_the_bit() -> None:
    asked = random_life("CartPole-v1", 256, seed=7)
    for learned_from in (random_life("CartPole-v1", 128), random_life("CartPole-v1", 1024)):
        one = model(CARTPOLE, *blocks(learned_from))
        other = model()
        other.load_state_dict(deepcopy(one.state_dict()))
        assert other.is_ready == one.is_ready
        for more in blocks(asked):
            one.learn(more)
            other.learn(more)
        assert one.surprise(one.see(asked)).tobytes() == other.surprise(other.see(asked)).tobytes()
        assert one.hindrance(one.see(asked)) == other.hindrance(other.see(asked))


def test_looking_changes_nothing(cartpole: WorldModel) -> None:
    before = deepcopy(cartpole.state_dict())
    seen = cartpole.see(random_life("CartPole-v1", 256, seed=7, swap=True))
    cartpole.surprise(seen)
    cartpole.hindrance(seen)
    after = cartpole.state_dict()
    for name in ("square", "cross", "weights", "doubt"):
        assert (before[name] == after[name]).all()
    assert (before["noise"], before["counts"]) == (after["noise"], after["counts"])


SPACES: dict[str, tuple[Any, Any]] = {
    "discrete with start": (spaces.Box(-1, 1, (3,)), spaces.Discrete(3, start=5)),
    "multi-discrete": (spaces.MultiDiscrete([3, 4]), spaces.MultiDiscrete([2, 3])),
    "multi-discrete with start": (
        spaces.MultiDiscrete([3, 4], start=[2, -1]),
        spaces.MultiDiscrete([2, 3], start=[1, 7]),
    ),
    "multi-discrete in rows": (spaces.MultiDiscrete([[3, 4], [2, 2]]), spaces.Discrete(2)),
    "multi-binary": (spaces.MultiBinary(5), spaces.MultiBinary((2, 2))),
    "discrete states": (spaces.Discrete(6, start=-2), spaces.Discrete(2)),
    "dict": (
        spaces.Dict({"b": spaces.Box(-1, 1, (2,)), "a": spaces.Discrete(3), "c": spaces.MultiBinary(2)}),
        spaces.Discrete(2),
    ),
    "picture": (spaces.Box(0, 255, (9, 9, 3), np.uint8), spaces.Discrete(3)),
    "box actions": (spaces.Box(-1, 1, (3,)), spaces.Box(-1, 1, (2, 2))),
    "a single number": (spaces.Box(-1, 1, ()), spaces.Box(-1, 1, (1,))),
    "very many numbers to act by": (spaces.Box(-1, 1, (3,)), spaces.MultiDiscrete([100] * 10)),
    "a thousand actions": (spaces.Box(-1, 1, (3,)), spaces.Discrete(1000)),
}


@pytest.mark.parametrize("kind", SPACES)
def test_worlds_of_every_kind_can_be_learned_and_told_apart(kind: str) -> None:
    """A world that pays by state and action is told from one that pays the opposite."""
    observation_space, action_space = SPACES[kind]

    def world(sign: float = 1.0) -> Anything:
        return Anything(observation_space, action_space, sign)

    learned = model(world(), *blocks(random_life(world, 1024)))
    own, other = random_life(world, 384, seed=5), random_life(lambda: world(-1.0), 384, seed=5)
    assert learned.surprise(learned.see(own)).shape == (384,)
    assert learned.hindrance(learned.see(own)) <= FOREIGN
    assert learned.hindrance(learned.see(other)) > learned.hindrance(learned.see(own)) + 0.02
    assert learned.surprise(learned.see(other)).mean() > learned.surprise(learned.see(own)).mean() + 0.02


@pytest.mark.parametrize("env", [CARTPOLE, PENDULUM])
def test_single_steps_are_learned_however_much_was_learned_before(env: Any) -> None:
    data = random_life(env.spec.id, 512)
    learned = model(env, *[data] * (PLENTY // 512 + 1))
    assert learned.learned > PLENTY
    for k in range(8):
        learned.learn(data.rows(slice(k, k + 1)), learned.see(data.rows(slice(k, k + 1))) if k % 2 else None)
    assert np.isfinite(learned.surprise(learned.see(data))).all()
    assert learned.learned == 512 * (PLENTY // 512 + 1) + 8


def test_once_it_has_learned_plenty_what_it_looked_at_is_enough() -> None:
    data, more = random_life("CartPole-v1", 1024), random_life("CartPole-v1", 512, seed=5)
    part = more.rows(slice(None, None, 4))

    def taught(rounds: int, *what: Any) -> WorldModel:
        learned = model(CARTPOLE, *[data] * rounds)
        learned.learn(more, *(learned.see(each) for each in what))
        # So much that all of it is worked out anew.
        learned.learn(random_life("CartPole-v1", 2048, seed=8))
        return learned

    for rounds, taken in ((PLENTY // 1024, more), (PLENTY // 1024 + 1, part)):
        wanted = model(CARTPOLE, *[data] * rounds, taken, random_life("CartPole-v1", 2048, seed=8))
        asked = random_life("CartPole-v1", 64, seed=7)
        np.testing.assert_allclose(in_rows(taught(rounds, part), asked), in_rows(wanted, asked), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("settings", [{"members": 0}, {"waves": -1}])
def test_a_model_of_nothing_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="members >= 1 and waves >= 0"):
        model(CARTPOLE, **settings)


def test_what_is_doubtful_is_unlearned_as_if_it_had_never_been_there() -> None:
    """Steps of another world among the first ones: they spoil the young model, and leave no trace in the old one."""
    young, later = random_life("CartPole-v1", 256), random_life("CartPole-v1", 2 * CLEAN, seed=5)
    mixed = random_life("CartPole-v1", 64, seed=6, swap=True)
    made, pure = model(), model()
    for kept in (made, pure):
        kept.learn(young)
    made.learn(mixed, doubtful=True)
    near, far = blocks(later)[: CLEAN // 128 - 1], blocks(later)[CLEAN // 128 - 1 :]
    for block in near:
        made.learn(block)
        pure.learn(block)
    assert made.learned == pure.learned + 64
    assert abs(made.state_dict()["cross"] - pure.state_dict()["cross"]).max() > 1.0
    for block in far:
        made.learn(block)
        pure.learn(block)
    assert made.learned == pure.learned
    for name in ("square", "cross"):
        np.testing.assert_allclose(made.state_dict()[name], pure.state_dict()[name], rtol=1e-9, atol=1e-9)
    assert made.state_dict()["doubtful"] is None


@pytest.mark.parametrize("doubt_again", [False, True])
def test_doubtful_young_ones_and_what_is_saved_meanwhile_go_the_same_way(doubt_again: bool) -> None:
    young, later = random_life("CartPole-v1", 256, swap=True), random_life("CartPole-v1", 4 * CLEAN, seed=5)
    one, other = model(), model()
    for number, block in enumerate([*blocks(young), *blocks(later)]):
        one.learn(block, doubtful=number < 2 or (doubt_again and number == 6))
        if number in (0, 3):
            other.load_state_dict(deepcopy(one.state_dict()))
        elif number > 0:
            other.learn(block, doubtful=number < 2 or (doubt_again and number == 6))
    assert one.learned == len(later) - 128 * doubt_again
    assert other.learned == one.learned
    asked = random_life("CartPole-v1", 256, seed=7)
    assert one.surprise(one.see(asked)).tobytes() == other.surprise(other.see(asked)).tobytes()
    # Nothing of the other world is left in it.
    assert one.hindrance(one.see(asked)) <= 0.0


def test_a_tenth_of_another_world_in_the_evidence_can_be_spared(cartpole: WorldModel) -> None:
    own = [random_life("CartPole-v1", 360, seed=100), random_life("CartPole-v1", 24, seed=101, swap=True)]
    evidence = cartpole.see(Transitions.joined(own))
    assert cartpole.hindrance(evidence, spared=0.1) < 0.5 * cartpole.hindrance(evidence)
    assert cartpole.hindrance(evidence, spared=0.1) <= FOREIGN
    foreign = cartpole.see(random_life("CartPole-v1", 384, seed=100, swap=True))
    assert cartpole.hindrance(foreign, spared=0.1) > FOREIGN
