"""Different data sets as tasks: other shapes, heads and objectives in one stream."""

from __future__ import annotations

from collections import Counter

import torch

from lifelong_envs.supervised.data import DataSet, DataSource
from lifelong_envs.supervised.scenario import HIDDEN, Scenario
from lifelong_envs.supervised.task_stream import Lesson, TaskStream
from lifelong_envs.supervised.timetable import ONCE, Timetable


def datasets(
    data: list[DataSource],
    timetable: Timetable = ONCE,
    scenario: Scenario = HIDDEN,
    names: list[str] | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> TaskStream:
    """A stream whose tasks are data sets, called by `names` or by their own names.

    Each task keeps its data set's shape, outputs and objective. Contracts therefore differ, whatever the
    scenario hides, unless the data sets are alike. Raises ValueError where names are not one for each data
    set, or not unique.
    """
    if not data:
        raise ValueError("datasets: the list of data sets is empty. Give at least one.")
    sources = [source.load(torch.device(device)) for source in data]
    titles = names or [source.name for source in sources]
    if len(titles) != len(sources):
        raise ValueError(f"datasets: {len(sources)} data sets but {len(titles)} names. Give one name for each.")
    twice = [title for title, count in Counter(titles).items() if count > 1]
    if twice:
        raise ValueError(f"datasets: several tasks would be called {', '.join(map(repr, twice))}. Give unique names.")
    lessons = [_lesson(title, source, scenario) for title, source in zip(titles, sources, strict=True)]
    return TaskStream(f"datasets {', '.join(titles)}", lessons, timetable, scenario, seed)


def _lesson(name: str, source: DataSet, scenario: Scenario) -> Lesson:
    return Lesson(
        name,
        scenario.contract(source.input_shape, source.outputs, source.objective),
        source.train_inputs,
        source.train_targets,
        source.test_inputs,
        source.test_targets,
    )
