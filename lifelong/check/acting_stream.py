"""The laws of streams of worlds: the same life again, nothing told, judged beside it, and taken up as it was left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from lifelong.check.law import equal, global_seed, holds, saved
from lifelong.experience import Truth
from lifelong.interaction import Interaction
from lifelong.stream import EnvTask, Lived, Stream

Print = tuple[str, int, str | None, bool, Truth]
"""What identifies an experience: a digest of all that its steps showed, and everything beside them."""


def check_acting_stream(stream: Stream) -> None:
    """Hold a stream of worlds to its laws; it is lived through some ten times at random, so give it a small one.

    Raises: LawBroken, and ValueError where an experience is a batch or a task is judged by test samples.
    """
    _names(stream)
    for task in _worlds(stream):
        _judging(task)
    with global_seed(1):
        prints = [_lived(step, *item) for step, item in enumerate(_walk(stream))]
    _truths(stream, prints)
    _hiding(stream, prints)
    with global_seed(2):
        again = [_lived(step, *item) for step, item in enumerate(_walk(stream))]
    name = "a second life with the same actions is the same, whatever the global seeds"
    equal(name, "the same", _difference(prints, again))
    beside = []
    for step, item in enumerate(_walk(stream)):
        for task in _worlds(stream):
            _episode(task, steps=3)
        beside.append(_lived(step, *item))
    equal("judging changes nothing in the worlds that are lived in", "the same", _difference(prints, beside))
    if isinstance(stream, Lived):
        _taken_up(stream, prints)


def _names(stream: Stream) -> None:
    tasks = _worlds(stream)
    equal("tasks have names of their own", len(tasks), len({task.name for task in tasks}))
    seen = list(dict.fromkeys(segment.task for segment in stream.segments))
    equal("tasks stand in order of their first appearance", seen, [task.name for task in tasks][: len(seen)])
    for segment in stream.segments:
        holds("segments have steps", "1 or more", segment.steps, segment.steps >= 1)


def _judging(task: EnvTask) -> None:
    lanes = task.lanes(2)
    equal(f"{task.name!r} gives as many lanes as it is asked for", 2, len(lanes))
    holds(f"the lanes of {task.name!r} are different ones", "two", "one twice", lanes[0] is not lanes[1])
    name = f"{task.name!r} is judged by the same episodes each time"
    equal(name, _episode(task, steps=20), _episode(task, steps=20))


def _truths(stream: Stream, prints: Sequence[Print]) -> None:
    wanted = [Truth(s.task, i) for i, s in enumerate(stream.segments) for _ in range(s.steps)]
    seen = [truth for *_, truth in prints]
    equal("there are as many experiences as segments have steps", len(wanted), len(seen))
    for step, (true, told) in enumerate(zip(wanted, seen, strict=True)):
        equal(f"step {step}: the truth beside an experience is its segment", true, told)


def _hiding(stream: Stream, prints: Sequence[Print]) -> None:
    """What is told is true, and told always or never."""
    starts = list(accumulate((s.steps for s in stream.segments), initial=0))[:-1]
    for step, (_, _, label, boundary, truth) in enumerate(prints):
        holds(f"step {step}: a label is the true task's name", truth.task, label, label in (None, truth.task))
        holds(f"step {step}: a boundary begins a segment", False, True, not boundary or step in starts)
    tasks = _worlds(stream)
    for task in tasks:
        holds("a label in judging is the task's name", task.name, task.label, task.label in (None, task.name))
    shown = {
        "labels in training": [label is not None for _, _, label, _, _ in prints],
        "labels in judging": [task.label is not None for task in tasks],
        "boundaries": [prints[step][3] for step in starts[1:]],
    }
    for what, told in shown.items():
        some = any(told) and not all(told)
        holds(f"{what} are shown always or never", "all or none", f"{sum(told)} of {len(told)}", not some)
    if prints[0][2] is None:
        equal("who hides labels in training hides them in judging", None, tasks[0].label)


def _taken_up(stream: Stream, prints: Sequence[Print]) -> None:
    """At ends, segment borders and middles: a state that is loaded goes on as the life from which it was taken."""
    assert isinstance(stream, Lived)
    borders = list(accumulate((s.steps for s in stream.segments), initial=0))
    stops = sorted({*borders, *((a + b) // 2 for a, b in pairwise(borders))})
    states = {0: saved(stream)} if 0 in stops else {}
    for step, item in enumerate(_walk(stream), 1):
        _lived(step - 1, *item)
        if step in stops:
            states[step] = saved(stream)
    for stop, state in states.items():
        stream.load_state_dict(deepcopy(state))
        rest = [_lived(step, *item) for step, item in enumerate(_walk(stream, stop), stop)]
        name = f"a state of step {stop} goes on as the life from which it was taken"
        equal(name, "the same", _difference(prints[stop:], rest))


def _walk(stream: Stream, start: int = 0) -> Iterator[tuple[Interaction, Truth]]:
    """Its experiences; all in the same lanes."""
    lanes = None
    for interaction, truth in stream.experiences(start):
        if not isinstance(interaction, Interaction):
            raise ValueError(f"These laws are about worlds; {stream.name!r} gave a {type(interaction).__name__}.")
        same = lanes is None or all(a is b for a, b in zip(lanes, interaction.lanes, strict=True))
        holds("a life is in the same lanes from the first step to the last", "the same", "others", same)
        lanes = interaction.lanes
        yield interaction, truth


def _difference(wanted: Sequence[Print], seen: Sequence[Print]) -> str:
    if len(wanted) != len(seen):
        return f"{len(seen)} experiences instead of {len(wanted)}"
    at = next((i for i, pair in enumerate(zip(wanted, seen, strict=True)) if pair[0] != pair[1]), None)
    return "the same" if at is None else f"another experience at position {at}"


def _lived(step: int, interaction: Interaction, truth: Truth) -> Print:
    """Take the steps of an experience at random, the same ones whenever it is this step of a stream."""
    digest = hashlib.blake2b(digest_size=16)
    for number, lane in enumerate(interaction.lanes):
        space: Any = deepcopy(lane.action_space)
        space.seed(1000 * step + number)
        observation = _observation(lane)
        if observation is None:
            _feed(digest, lane.reset()[0])
        for _ in range(interaction.steps // len(interaction.lanes)):
            observation, reward, terminated, truncated, _ = lane.step(space.sample())
            _feed(digest, [observation, float(reward), bool(terminated), bool(truncated)])
            if terminated or truncated:
                observation, _ = lane.reset()
                _feed(digest, observation)
        shown = _observation(lane)
        name = "a lane shows its latest observation, so that an episode can be gone on with"
        holds(name, observation, shown, _digest(shown) == _digest(observation))
    return digest.hexdigest(), interaction.steps, interaction.task, interaction.boundary, truth


def _episode(task: EnvTask, steps: int) -> str:
    """Some steps of the first episode that a task is judged by, as a digest."""
    lane = task.lanes(1)[0]
    space: Any = deepcopy(lane.action_space)
    space.seed(0)
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, lane.reset(seed=task.seed)[0])
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = lane.step(space.sample())
        _feed(digest, [observation, float(reward), bool(terminated), bool(truncated)])
        if terminated or truncated:
            break
    return digest.hexdigest()


def _worlds(stream: Stream) -> list[EnvTask]:
    found = []
    for task in stream.tasks:
        if not isinstance(task, EnvTask):
            raise ValueError(f"These laws are about worlds; {task.name!r} is judged by test samples.")
        found.append(task)
    return found


def _observation(lane: Any) -> Any:
    holds("a lane has an `observation`, None before its first reset", "one", "none", hasattr(lane, "observation"))
    return lane.observation


def _digest(value: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, dict):
        value = [item for key in sorted(value) for item in (key, value[key])]
    if isinstance(value, list | tuple):
        for item in value:
            _feed(digest, item)
    elif isinstance(value, str):
        digest.update(value.encode())
    else:
        array = np.ascontiguousarray(value)
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
