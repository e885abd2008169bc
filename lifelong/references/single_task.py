"""What a learner comes to that has one task to itself: the one of a normalised return, and what transfer is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from lifelong.evaluation.alone import Alone, alone_of
from lifelong.evaluation.schedule import Schedule
from lifelong.evaluation.trace import trace_of
from lifelong.learner import Agent
from lifelong.lifetime import EVALUATION, run
from lifelong.record.plain import decode, encode
from lifelong.record.subscriber import Subscriber
from lifelong.references.cache import Cache, Plain
from lifelong.stream import Stream

PACKAGES = ("lifelong", "torch", "numpy", "gymnasium", "stable-baselines3")
"""Whose versions the outcome of a run depends on, wherever it runs."""


def single_task(
    stream: Callable[[], Stream],
    learner: Callable[[], Agent],
    described: Mapping[str, Plain],
    cache: Cache,
    seed: int = 0,
    evaluation: Schedule = EVALUATION,
    subscribers: Sequence[Subscriber] = (),
) -> Alone:
    """Let a new learner live through a stream of one task, unless that was done before; what came out.

    described: plain data that tell this run from all others: world, algorithm, settings and budget. Seed, evaluation
    and the versions of packages are added here. Nothing is made where the cache knows the outcome. Raises ValueError
    for a stream of several tasks.
    """

    def measure() -> Plain:
        events = run(stream(), learner(), seed=seed, evaluation=evaluation, subscribers=subscribers).events
        return encode(alone_of(trace_of(events)))

    whole = {"run": dict(described), "seed": seed, "evaluation": encode(evaluation), "versions": installed()}
    alone = decode(Alone, cache.measured(whole, measure))
    assert isinstance(alone, Alone)
    return alone


def installed(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The versions of the packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
