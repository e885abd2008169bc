"""Streams with known shifts that detectors are compared on: simulated losses, and those of a network in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from lifelong.shift.unlabelled.mmd import Mmd
from lifelong.shift.unlabelled.watch import LIFT
from lifelong_agents.finetune import Finetune
from lifelong_envs.supervised.class_split import class_split
from lifelong_envs.supervised.data import DataSource, Digits, Idx
from lifelong_envs.supervised.label_permuted import label_permuted
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.rotated import rotated
from lifelong_envs.supervised.task_stream import TaskStream
from lifelong_envs.supervised.timetable import Timetable

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Noise = Callable[[np.random.Generator, int], Values]

CALM = 300
"""Values of the first world of a simulated stream, except where it says otherwise."""

AFTER = 200
"""Values of the world that follows."""


@dataclass(frozen=True, slots=True)
class Series:
    """What a detector is shown, one thing at a time, and before which of them the world changed."""

    family: str
    values: Sequence[Any] | Values
    onsets: tuple[int, ...]


def simulated(seed: int, repeats: int) -> Iterator[Series]:
    """Losses of level 1 and spread 0.1, or learning curves; each family so many times, each with its own noise."""
    rng = np.random.default_rng(seed)
    for _ in range(repeats):
        yield Series("no shift", 1.0 + 0.1 * gauss(rng, 2000), ())
        for size in (10, 4, 2):
            yield Series(f"jump of {size} sd", _jump(rng, gauss, size), (CALM,))
        yield Series("t3 noise, 10", _jump(rng, student, 10), (CALM,))
        yield Series("AR(0.5), 10 sd", _jump(rng, autoregressive(0.5), 10), (CALM,))
        yield Series("AR(0.9), 10 sd", _jump(rng, autoregressive(0.9), 10), (CALM,))
        yield Series("curve, then jump", np.concatenate([_curve(rng, 600, 100), _curve(rng, AFTER, 100)]), (600,))
        short = [_curve(rng, 64, 20) for _ in range(8)]
        yield Series("segments of 64", np.concatenate(short), tuple(range(64, 512, 64)))
        bursts = _jump(rng, gauss, 10)
        for at in range(60, CALM - 20, 60):
            # One value or two, twenty deviations away: no world.
            bursts[at : at + 1 + at // 60 % 2] += 2.0
        yield Series("outliers, 10 sd", bursts, (CALM,))
        ramp = 1.0 + 0.1 * gauss(rng, 2500)
        ramp[1000:] += 0.3 * np.minimum(np.arange(1500) / 1000, 1.0)
        yield Series("ramp 3 sd in 1000", ramp, (1000,))
        yield Series("easier: -6 sd", _jump(rng, gauss, -6), (CALM,))


def gauss(rng: np.random.Generator, count: int) -> Values:
    return rng.normal(0.0, 1.0, count)


def student(rng: np.random.Generator, count: int) -> Values:
    """Heavy tails: three degrees of freedom."""
    return rng.standard_t(3, count)


def autoregressive(share: float) -> Noise:
    """First order, of unit spread: each value keeps that share of the one before."""

    def noise(rng: np.random.Generator, count: int) -> Values:
        fresh = rng.normal(0.0, np.sqrt(1.0 - share**2), count)
        fresh[0] = rng.normal()
        for i in range(1, count):
            fresh[i] += share * fresh[i - 1]
        return fresh

    return noise


def _jump(rng: np.random.Generator, noise: Noise, size: float) -> Values:
    values = 1.0 + 0.1 * noise(rng, CALM + AFTER)
    values[CALM:] += 0.1 * size
    return values


def _curve(rng: np.random.Generator, count: int, pace: float) -> Values:
    """A loss that falls from 2.3 towards 0.3, with noise in proportion."""
    return (0.3 + 2.0 * np.exp(-np.arange(count) / pace)) * (1.0 + 0.1 * rng.normal(0.0, 1.0, count))


def recorded(seed: int, data: Path | None, quick: bool) -> Iterator[Series]:
    """The loss per batch of one network that fine-tunes on A B C A D, on digits, and on MNIST where it is there."""
    digits = Timetable(order="A B C A D", epochs=2 if quick else 5)
    # A fifth of the samples is in each task: as many steps in five times the passes.
    classes = replace(digits, epochs=5 * digits.epochs)
    for kind, stream in _streams(Digits(), digits, classes, seed):
        yield _lived_through(f"digits {kind}", stream, seed)
    if quick:
        return
    short = Timetable(order="A B C A D", epochs=2)
    yield _lived_through("digits permuted, short", permuted(Digits(), short, seed=seed), seed)
    if data is not None:
        mnist = Timetable(order="A B C A D", batch_size=64, samples=11_200)
        for kind, stream in _streams(Idx(data / "mnist"), mnist, mnist, seed):
            yield _lived_through(f"MNIST {kind}", stream, seed)


def strange_inputs(seed: int, data: Path | None, quick: bool) -> Iterator[Series]:
    """How strange each batch's inputs are to someone who saw the first ones, A B and A alone: no labels, no model."""
    sources = [("digits", Digits(), Timetable(order="A B", epochs=4))]
    if data is not None and not quick:
        sources.append(("MNIST", Idx(data / "mnist"), Timetable(order="A B", batch_size=64, samples=11_200)))
    for name, source, timetable in sources:
        # Pairs of classes have a fifth of the samples of digits; of MNIST, all that are asked for.
        classes = timetable if timetable.samples else replace(timetable, epochs=5 * timetable.epochs)
        turned = rotated(source, timetable, angles=[0.0, 45.0], seed=seed)
        yield _strangeness(f"inputs, {name} permuted", permuted(source, timetable, seed=seed))
        yield _strangeness(f"inputs, {name} by 45 degrees", turned)
        yield _strangeness(f"inputs, {name} class split", class_split(source, classes, seed=seed))
        still = replace(timetable, order="A", epochs=10 * timetable.epochs)
        yield _strangeness(f"inputs, {name}, no shift", permuted(source, still, seed=seed))


def _strangeness(family: str, stream: TaskStream) -> Series:
    """What a detector of `Unlabelled` is shown, from the end of the measure's grace."""
    measure, values, tasks = Mmd(), [], []
    for batch, truth in stream.experiences():
        value = measure.observe(batch.inputs)
        if value is not None:
            values.append(LIFT + max(value, 0.0))
            tasks.append(truth.task)
    return Series(family, np.array(values), _onsets(tasks))


def _streams(
    source: DataSource, timetable: Timetable, classes: Timetable, seed: int
) -> Iterator[tuple[str, TaskStream]]:
    yield "permuted", permuted(source, timetable, seed=seed)
    yield "rotated", rotated(source, timetable, seed=seed)
    yield "labels permuted", label_permuted(source, timetable, seed=seed)
    yield "class split", class_split(source, classes, seed=seed)


def _lived_through(family: str, stream: TaskStream, seed: int) -> Series:
    """What the naive learner's loss was before each of its steps."""
    torch.set_num_threads(1)
    learner = Finetune(seed=seed)
    losses, tasks = [], []
    for batch, truth in stream.experiences():
        update = learner.learn(batch)[0]
        losses.append(float(update.loss))
        tasks.append(truth.task)
    return Series(family, np.array(losses), _onsets(tasks))


def _onsets(tasks: Sequence[str]) -> tuple[int, ...]:
    return tuple(at for at, (old, new) in enumerate(pairwise(tasks), 1) if old != new)
