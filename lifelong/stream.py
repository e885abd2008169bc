"""Where experience comes from: a stream of tasks that can be started again at any step.

A stream is a pure function of its own settings and seed: `experiences(start)` yields the same things whether the steps
before were walked through or skipped, which is what makes a resumed run equal to an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from torch import Tensor

from lifelong.events import Event
from lifelong.experience import Batch, Truth
from lifelong.interaction import Interaction, Stage
from lifelong.objective import Contract
from lifelong.scale import References as References

if TYPE_CHECKING:
    from lifelong.interaction import Lane


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to be learned, and how it is judged: held-out inputs (N, ...) and targets (N, ...) on the device.

    `contract` is what a judged learner may know; `label` is the task's name where the scenario shows it in judging.
    judged: False where there are no held-out samples; the score on what is new is then all that is known.
    """

    name: str
    contract: Contract
    test_inputs: Tensor
    test_targets: Tensor
    label: str | None = None
    judged: bool = True

    def __post_init__(self) -> None:
        if len(self.test_inputs) != len(self.test_targets) or bool(len(self.test_inputs)) != self.judged:
            raise ValueError(
                f"Task {self.name!r} needs as many test targets as test inputs and at least one, "
                f"got {len(self.test_inputs)} inputs and {len(self.test_targets)} targets."
            )


LONGEST = 10_000
"""Steps after which an episode of judging is cut, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class EnvTask:
    """A world to be lived in, and how it is judged: by whole episodes, without learning.

    lanes: gives N environments of this world and of no other, apart from those that are learned in. Episode k of a
    judging starts from `reset(seed=seed + k)`, every time. measure: the mean "return" of an episode, or the share
    (0..1) of episodes with "success" (`info["success"]` or `info["is_success"]` true at any of their steps).
    references: score returns by these (None: as they are). `longest`: steps after which an episode is cut. watched:
    gives one more environment of this world, which can be rendered as rgb_array (None: it cannot be watched). lived,
    env_steps: how it is lived in while it is learned, and the environment steps of an experience, so that a learner can
    be held against it before anything runs (None: nothing is known beforehand). release: lets go of what stands behind
    these worlds, such as processes, once a run is over; whoever asks for lanes later gets such as have not begun.
    """

    name: str
    lanes: Callable[[int], Sequence[Lane]]
    episodes: int = 10
    seed: int = 0
    measure: Literal["return", "success"] = "return"
    references: References | None = None
    label: str | None = None
    longest: int = LONGEST
    watched: Callable[[], Lane] | None = None
    lived: Stage | None = None
    env_steps: int | None = None
    release: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.longest < 1:
            raise ValueError(
                f"Task {self.name!r} needs at least one episode of at least one step to be judged by, "
                f"got episodes={self.episodes}, longest={self.longest}."
            )

    def score(self, value: float) -> float:
        """A return or success rate as it stands in the score matrix."""
        return value if self.references is None else self.references.normalised(value)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the stream that serves one task: its name, and how many experiences it lasts."""

    task: str
    steps: int


@runtime_checkable
class Stream(Protocol):
    """A sequence of experiences drawn from tasks that change, recur and are, as a rule, not named."""

    @property
    def name(self) -> str: ...

    @property
    def tasks(self) -> Sequence[Task | EnvTask]:
        """The distinct tasks in order of their first appearance, and then those that are judged and never served."""
        ...

    @property
    def segments(self) -> Sequence[Segment]:
        """The truth: which task is served when. For the loop, the evaluation and the record, never for a learner.

        Empty where nobody knows it, as of a stream that is `Live`.
        """
        ...

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch | Interaction, Truth]]:
        """Experiences from step `start` (0-based) to the end, each with the truth beside it."""
        ...


@runtime_checkable
class Lived(Protocol):
    """A stream that depends on what was done in it: where its worlds stand is part of a checkpoint.

    After `load_state_dict`, `experiences(start)` goes on as it would have from the step at which the state was taken.
    """

    def state_dict(self) -> dict[str, Any]:
        """Plain data and tensors."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Live(Stream, Lived, Protocol):
    """A stream of what happens elsewhere, in its own time: nobody can look into it before, and it has no segments."""

    def moments(self, start: int = 0) -> Iterator[tuple[Batch | Interaction, Truth] | None]:
        """Its experiences, and None wherever nothing has come for a moment: whoever asks may see to something else."""
        ...

    def excuse(self) -> str:
        """Why it gave nothing to learn, as the end of a sentence; empty where it does not know."""
        ...

    def facts(self) -> Sequence[Event]:
        """What it has to say since it was asked last, for the record."""
        ...

    def acknowledge(self) -> None:
        """All that it has given is in a checkpoint that lasts. Does not fail where that cannot be passed on."""
        ...
