"""One pair of spaces for all worlds of a stream, and what turns each world's own into them.

n is the size of a world's own vector, N the largest of all worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray

from lifelong_envs.rl.world import World

Join = Literal["none", "pad", "project"]
Adapter = Callable[[Any], Any] | None
"""What is done to an observation or an action on its way; None: nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the agent is given to see and to do, and by which ways, for each world by its name."""

    observations: Space[Any]
    actions: Space[Any]
    observe: Mapping[str, Adapter]
    act: Mapping[str, Adapter]


def joined(worlds: Sequence[World], own: Mapping[str, tuple[Space[Any], Space[Any]]], join: Join = "none") -> Shown:
    """Spaces that do for all worlds, given each one's own (observations, actions).

    "none": they must be alike; Boxes of one shape take the widest bounds. "pad": vectors get zeros up to the largest
    size. "project": each is turned into the largest size by an orthonormal random matrix (N, n), the same one for the
    same sizes, so that lengths and angles stay. Where shapes differ, both flatten. With either, Discrete actions go up
    to the largest n, and in a world with fewer, action a is its action a modulo n; Box actions run from -1 to 1 where
    bounds or sizes differ, are stretched to a world's own bounds, and the last ones do nothing in a smaller world.

    Raises ValueError for spaces that cannot be joined, and for permutations that do not fit a world's space.
    """
    if join not in get_args(Join):
        raise ValueError(f"join={join!r}, expected one of {', '.join(map(repr, get_args(Join)))}.")
    shown = {world.task: _permuted_space(world, own[world.task][0]) for world in worlds}
    actions = {world.task: own[world.task][1] for world in worlds}
    observation_space = _joint_observations(shown, join)
    action_space = _joint_actions(actions, join)
    turned = join == "project" and len({space.shape for space in shown.values()}) > 1
    observe = {w.task: _observe(w, own[w.task][0], observation_space, turned) for w in worlds}
    act = {w.task: _act(w, actions[w.task], action_space) for w in worlds}
    return Shown(observation_space, action_space, observe, act)


def _joint_observations(spaces: Mapping[str, Space[Any]], join: Join) -> Space[Any]:
    first, *others = spaces.values()
    if all(space == first for space in others):
        return first
    boxes = [space for space in spaces.values() if isinstance(space, Box)]
    if len(boxes) == len(spaces):
        dtypes = {box.dtype for box in boxes}
        dtype: Any = dtypes.pop() if len(dtypes) == 1 else np.float32
        if len({box.shape for box in boxes}) == 1 and not dtypes:
            return Box(np.min([b.low for b in boxes], axis=0), np.max([b.high for b in boxes], axis=0), dtype=dtype)
        size = max(_size(box) for box in boxes)
        if join == "project":
            return Box(-np.inf, np.inf, (size,), np.float32)
        if join == "pad":
            low = np.min([_padded(box.low, size) for box in boxes], axis=0)
            high = np.max([_padded(box.high, size) for box in boxes], axis=0)
            return Box(low.astype(dtype), high.astype(dtype), dtype=dtype)
    discrete = [space for space in spaces.values() if isinstance(space, Discrete) and space.start == 0]
    if join == "pad" and len(discrete) == len(spaces):
        return Discrete(max(int(space.n) for space in discrete))
    raise _refused("observations", spaces, join, len(boxes) == len(spaces))


def _joint_actions(spaces: Mapping[str, Space[Any]], join: Join) -> Space[Any]:
    first, *others = spaces.values()
    if not isinstance(first, Box | Discrete | MultiDiscrete | MultiBinary):
        task = next(iter(spaces))
        raise ValueError(
            f"world {task!r}: its actions are {first}. Actions must be a Box, Discrete, MultiDiscrete or MultiBinary: "
            "give a view that flattens them."
        )
    if all(space == first for space in others):
        return first
    discrete = [space for space in spaces.values() if isinstance(space, Discrete) and space.start == 0]
    boxes = [space for space in spaces.values() if isinstance(space, Box)]
    if join != "none" and len(discrete) == len(spaces):
        return Discrete(max(int(space.n) for space in discrete))
    if join != "none" and len(boxes) == len(spaces) and all(box.is_bounded() for box in boxes):
        return Box(-1.0, 1.0, (max(_size(box) for box in boxes),), np.float32)
    raise _refused("actions", spaces, join, len(discrete) == len(spaces) or len(boxes) == len(spaces))


def _refused(what: str, spaces: Mapping[str, Space[Any]], join: Join, alike: bool) -> ValueError:
    listed = ", ".join(f"{task!r} {space}" for task, space in spaces.items())
    way = (
        "Set join to pad or project."
        if alike and join == "none"
        else "Only Boxes with Boxes (bounded ones, for actions), and Discrete with Discrete, can be joined: give a "
        "view that makes them alike, or live in these worlds in streams of their own."
    )
    return ValueError(f"The worlds of one stream must have the same {what}, got {listed}. {way}")


def _permuted_space(world: World, space: Space[Any]) -> Space[Any]:
    """The space of what a world shows, once its vector is permuted and signs are turned."""
    index, signs = _order(world, space)
    if index is None or not isinstance(space, Box):
        return space
    ends = np.sort(np.stack([space.low[index] * signs, space.high[index] * signs]), axis=0)
    return Box(ends[0].astype(space.dtype), ends[1].astype(space.dtype), dtype=space.dtype)


def _order(world: World, space: Space[Any]) -> tuple[NDArray[Any] | None, NDArray[Any] | float]:
    """Which entry is shown in each place, and with which sign; (None, 1) where nothing is changed."""
    if world.observations is None and not world.flip_observations:
        return None, 1.0
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise ValueError(
            f"world {world.task!r}: observations can be permuted and turned only where they are a vector, got {space}."
        )
    size = space.shape[0]
    order = np.array(range(size) if world.observations is None else world.observations)
    if len(order) != size:
        raise ValueError(f"world {world.task!r}: observations permutes {len(order)} entries, but there are {size}.")
    return order, _signs(world, "flip_observations", world.flip_observations, size).astype(space.dtype)


def _observe(world: World, own: Space[Any], joint: Space[Any], turned: bool) -> Adapter:
    index, signs = _order(world, own)
    if not isinstance(own, Box) or not isinstance(joint, Box):
        return None
    if not turned and (own.shape, own.dtype) == (joint.shape, joint.dtype):
        return None if index is None else lambda observation: observation[index] * signs
    n, size, dtype = _size(own), _size(joint), joint.dtype
    if turned:
        matrix = _orthonormal(size, n)
        if index is not None:
            permuted = np.zeros_like(matrix)
            permuted[:, index] = matrix * signs
            matrix = permuted
        return lambda observation: (matrix @ np.asarray(observation, np.float64).ravel()).astype(np.float32)

    def pad(observation: Any) -> NDArray[Any]:
        padded = np.zeros(size, dtype)
        flat = np.ravel(observation)
        padded[:n] = flat if index is None else flat[index] * signs
        return padded

    return pad


def _act(world: World, own: Space[Any], joint: Space[Any]) -> Adapter:
    if isinstance(own, Discrete):
        return _act_discrete(world, own, joint)
    if isinstance(own, Box) and isinstance(joint, Box):
        return _act_box(world, own, joint)
    if world.actions is not None or world.flip_actions:
        raise ValueError(f"world {world.task!r}: only Discrete and Box actions can be changed, got {own}.")
    return None


def _act_discrete(world: World, own: Discrete[Any], joint: Space[Any]) -> Adapter:
    assert isinstance(joint, Discrete), "joined to another kind"
    n = int(own.n)
    if world.flip_actions:
        raise ValueError(f"world {world.task!r}: flip_actions turns components of a Box, but its actions are {own}.")
    if world.actions is None:
        order: Sequence[int] = range(n)
    elif own.start != 0:
        raise ValueError(f"world {world.task!r}: actions can be permuted where they start at 0, got {own}.")
    else:
        order = world.actions
    if len(order) != n:
        raise ValueError(f"world {world.task!r}: actions permutes {len(order)} of them, but there are {n}.")
    table = tuple(order[action % n] for action in range(int(joint.n)))
    return None if table == tuple(range(n)) else table.__getitem__


def _act_box(world: World, own: Box, joint: Box) -> Adapter:
    """From joint component i to own component j = actions[i]: stretched from the range of one to that of the other."""
    n = _size(own)
    order = np.array(range(n) if world.actions is None else world.actions)
    if len(order) != n:
        raise ValueError(f"world {world.task!r}: actions permutes {len(order)} of them, but there are {n}.")
    flipped = _signs(world, "flip_actions", world.flip_actions, n) < 0
    if own == joint and world.actions is None and not flipped.any():
        return None
    given_low, given_high = joint.low.ravel()[:n], joint.high.ravel()[:n]
    low, high = own.low.ravel()[order], own.high.ravel()[order]
    first, last = np.where(flipped, high, low), np.where(flipped, low, high)
    with np.errstate(invalid="ignore"):
        scale = (last - first) / (given_high - given_low)
        shift = first - scale * given_low
    free = ~np.isfinite(scale)
    if free.any() and not np.all((low == given_low) & (high == given_high) & (low == -high) | ~free):
        raise ValueError(
            f"world {world.task!r}: actions without bounds can change places only with such as have none, got {own}."
        )
    scale, shift = np.where(free, np.where(flipped, -1.0, 1.0), scale), np.where(free, 0.0, shift)
    at = np.argsort(order)
    factors, shifts = scale[at].astype(own.dtype), shift[at].astype(own.dtype)
    low, high, shape = own.low, own.high, own.shape

    def stretch(action: NDArray[Any]) -> NDArray[Any]:
        moved = (action.ravel()[at] * factors + shifts).reshape(shape)
        # Rounding may leave the range by a bit, which some environments refuse.
        return np.clip(moved, low, high)  # type: ignore[no-any-return]

    return stretch


def _signs(world: World, what: str, flipped: Sequence[int], size: int) -> NDArray[Any]:
    signs = np.ones(size)
    for place in flipped:
        if not 0 <= place < size:
            raise ValueError(f"world {world.task!r}: {what} names {place}, but there are 0 to {size - 1}.")
        signs[place] = -1.0
    return signs


def _orthonormal(size: int, n: int) -> NDArray[np.float64]:
    """(N, n), columns of length 1 at right angles: the Q of a Gaussian matrix's QR."""
    q, r = np.linalg.qr(np.random.default_rng([size, n]).standard_normal((size, n)))
    turned: NDArray[np.float64] = q * np.sign(np.diag(r))
    return turned


def _padded(bound: NDArray[Any], size: int) -> NDArray[Any]:
    return np.concatenate([bound.ravel(), np.zeros(size - bound.size, bound.dtype)])


def _size(box: Box) -> int:
    return int(np.prod(box.shape))
