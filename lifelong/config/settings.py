"""What a configuration holds at its top level, and the objects that it stands for once it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from lifelong.evaluation.schedule import Schedule
from lifelong.learner import Agent
from lifelong.saving import Saving
from lifelong.stream import Stream


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """What is kept of a run beside its events, and how often the record is settled.

    `wandb`: auto logs online where a key and a network are there and offline where not. `group`: of the run and of its
    reference there (None: the configuration's name). `artifacts`: which files go there at the end: all, the record
    without the last checkpoint (record), or none. `flush_every`:
    experiences between two transfers from the device. `checkpoint_every`: experiences between two checkpoints (None:
    only time counts); `checkpoint_minutes`: minutes between two (None: only experiences count), and more where saving
    takes long; `checkpoints_kept`: how many of the latest. One is saved in any case at the end, and when the run is
    asked to stop. `frames`: draw an episode of each world to act in, at the end. `report`: draw
    report.html (false: `lifelong report RUN` draws it later). Raises ValueError for numbers below 1.
    """

    console: bool = True
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "lifelong"
    group: str | None = None
    tags: tuple[str, ...] = ()
    artifacts: Literal["all", "record", "none"] = "all"
    flush_every: int = 256
    checkpoint_every: int | None = None
    checkpoint_minutes: float | None = 1.0
    checkpoints_kept: int = 2
    frames: bool = True
    report: bool = True

    def __post_init__(self) -> None:
        if self.flush_every < 1:
            raise ValueError(f"flush_every must be at least 1, got {self.flush_every}.")
        # Numbers that mean nothing are refused here, and not as the run begins.
        Saving(self.checkpoint_every, self.checkpoint_minutes, self.checkpoints_kept)

    @property
    def saving(self) -> Saving:
        return Saving(self.checkpoint_every, self.checkpoint_minutes, self.checkpoints_kept)


@dataclass(frozen=True, slots=True)
class Layout:
    """The top level of a configuration: which keys there are, of what kind, and their defaults.

    `reference` is a second agent that lives through the same stream first, to be compared with. `agents`: those that
    `lifelong study` lets live through it, by labels of your own; a single run leaves them out. `device`:
    auto, cpu, cuda or cuda:N. `threads`: torch's CPU threads (null: as torch decides). `modules_from`:
    folders in which module:Class names are looked for; the configuration's own folder where it is left out.
    """

    stream: Stream
    agent: Agent
    reference: Agent | None = None
    agents: dict[str, Agent] = field(default_factory=dict)
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    evaluation: Schedule = field(default_factory=Schedule)
    record: RecordSettings = field(default_factory=RecordSettings)
    modules_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """An agent that can be made anew any number of times, each as untouched as the first."""

    name: str
    build: Callable[[], Agent]


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that a run needs, as objects. `device` is a real one: cpu or cuda:N."""

    stream: Stream
    agent: AgentPlan
    reference: AgentPlan | None
    schedule: Schedule
    record: RecordSettings
    seed: int
    device: str
    threads: int | None

    @property
    def plans(self) -> tuple[tuple[str, AgentPlan], ...]:
        """Who lives through the stream, in order, each with the name of its section."""
        both = ("reference", self.reference), ("agent", self.agent)
        return tuple((section, plan) for section, plan in both if plan is not None)
