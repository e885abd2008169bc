"""What happened: frozen facts in the past tense, plain data, the vocabulary of every record.

A fact carries no step: the journal stamps it with the number of experiences learned by then. What a learner says of a
step, an `Update`, is settled into `Learned` facts with one transfer for many, so that none waits for the device."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.mishaps import EpisodeFailed as EpisodeFailed
from lifelong.mishaps import LaneFailed as LaneFailed
from lifelong.mishaps import Refused as Refused
from lifelong.mishaps import Restored as Restored
from lifelong.mishaps import Skipped as Skipped
from lifelong.update import Update as Update


@dataclass(frozen=True, slots=True)
class Learned:
    """A run of consecutive updates of one expert; its last update happened at the stamped step."""

    expert: int
    samples: int
    losses: tuple[float, ...]
    scores: tuple[float, ...]
    statistics: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What the record keeps of a task: its name and the metric that its scores are given in.

    test_samples: or episodes, of a world to act in. random, expert: the returns that its scores are normalised by.
    """

    name: str
    metric: str
    higher_is_better: bool
    low: float
    high: float
    test_samples: int
    random: float | None = None
    expert: float | None = None


@dataclass(frozen=True, slots=True)
class RunStarted:
    """What is about to be lived through. `oracle`: the learner is told which task it is in.

    awaits_ends: methods begin to work as a task has ended. env_steps_per_experience: of the first one (None: a batch).
    """

    stream: str
    agent: str
    seed: int
    device: str
    tasks: tuple[TaskFacts, ...]
    segments: tuple[str, ...]
    segment_starts: tuple[int, ...]
    steps: int
    threshold: float | None = None
    oracle: bool = False
    env_steps_per_experience: int | None = None
    awaits_ends: bool = False


@dataclass(frozen=True, slots=True)
class TaskEntered:
    """The truth, for the record alone: from the next experience on, the stream serves this task."""

    task: str
    segment: int


@dataclass(frozen=True, slots=True)
class ShiftDetected:
    """The learner found out by itself that its world changed `delay` experiences ago (1: with the latest one).

    by: what gave it away, "loss" (it rose), "fall" (it fell all at once) or "inputs" (they changed); where the learner
    acts, "surprise" (what happens is not foreseen) or "starts" (episodes begin in another way).
    """

    expert: int
    delay: int
    statistic: float
    threshold: float
    by: str = "loss"


@dataclass(frozen=True, slots=True)
class DriftDetected:
    """The world drifted, and the expert learned bit by bit what it did not know.

    lost, gained: shares of what there is to know (0..1), against what the expert was before. Where it lost what it was,
    that is kept and a new expert goes on; where it did not, it serves both worlds and stays.
    """

    expert: int
    lost: float
    gained: float


@dataclass(frozen=True, slots=True)
class DriftFollowed:
    """A drift that was detected before went on, and the expert with it: it was still on its way, nobody to keep."""

    expert: int
    lost: float
    gained: float


@dataclass(frozen=True, slots=True)
class ShiftSeen:
    """The change was plain to see, with the latest experience: another contract, a shown label or boundary."""

    expert: int


@dataclass(frozen=True, slots=True)
class ShiftDismissed:
    """The detector fired, but the active expert explains the evidence: nothing was changed."""

    expert: int
    delay: int
    statistic: float
    threshold: float


@dataclass(frozen=True, slots=True)
class RolledBack:
    """An expert was put back to what it was before `experiences` experiences that were not its own."""

    expert: int
    experiences: int


@dataclass(frozen=True, slots=True)
class ExpertSpawned:
    expert: int
    parameters: int
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class ExpertDissolved:
    """An expert is gone: `into` knows its world as well as it did."""

    expert: int
    into: int


@dataclass(frozen=True, slots=True)
class ExpertChosen:
    """The expert that will learn from now on; `unexplained` is the share (0..1) of the evidence it leaves open.

    full: it does not know this world, and learns it because there is no room for another expert.
    """

    expert: int
    unexplained: float
    full: bool = False


@dataclass(frozen=True, slots=True)
class Consolidated:
    """A task was taken to have ended, and an expert's retention methods were shown `samples` of it.

    spent: those of them that have no room left by that for tasks to come; said once.
    """

    expert: int
    samples: int
    spent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SubspaceGrown:
    """A layer now protects `rank` of its `size` input directions, which hold `energy` of the squared activations."""

    expert: int
    layer: str
    rank: int
    size: int
    energy: float


@dataclass(frozen=True, slots=True)
class ParameterHeld:
    """What holds one parameter of a network that experts share, as the run ends.

    `how` is "protected", "frozen", "per expert" or "free", and `why` says more; the parameter may not move any more in
    `rank` of its `size` directions. `foundation` counts the networks.
    """

    foundation: int
    parameter: str
    shape: tuple[int, ...]
    how: str
    why: str
    rank: float
    size: int


@dataclass(frozen=True, slots=True)
class TaskScored:
    """A task's test set was judged without learning. `value` is in the task's metric, `score` is higher-is-better.

    `segment` counts the finished segments (0: the untrained learner); `at_end` is True for the row of the score matrix
    that belongs to that segment's end and False for a look within a task. `routed` holds (expert, samples) pairs, and
    `foreign` counts the samples that the learner took for foreign to all its experts (None: it does not judge that).
    `cut` counts the episodes, of a world to act in, that did not end and were cut.
    """

    task: str
    value: float
    score: float
    samples: int
    segment: int
    at_end: bool
    seen: bool
    routed: tuple[tuple[int, int], ...] = ()
    foreign: int | None = None
    cut: int = 0


@dataclass(frozen=True, slots=True)
class ExpertFound:
    """While it was judged in a task, without learning, the learner found out who knows this world.

    In `episodes` of its episodes `expert` took over from `instead_of`, after `steps` steps on the average.
    """

    task: str
    expert: int
    instead_of: int
    episodes: int
    steps: float


@dataclass(frozen=True, slots=True)
class Logged:
    """What an expert's own algorithm had to say of itself: names and values, such as ("train/loss", 0.1)."""

    expert: int
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class FramesDrawn:
    """Pictures of one episode of a task lie in the run's folder, at `path`; the episode's return was `value`."""

    task: str
    path: str
    value: float


@dataclass(frozen=True, slots=True)
class RunFinished:
    """How large the learner is in the end (see `lifelong.learner.Size`)."""

    experts: int
    parameters: int
    bytes: int | None = None
    archived: int | None = None
    nonzero: int | None = None
    stored_samples: int | None = None
    stored_bytes: int | None = None


Event = (
    RunStarted
    | TaskEntered
    | Learned
    | ShiftDetected
    | DriftDetected
    | DriftFollowed
    | ShiftSeen
    | ShiftDismissed
    | RolledBack
    | ExpertSpawned
    | ExpertChosen
    | ExpertDissolved
    | Consolidated
    | SubspaceGrown
    | ParameterHeld
    | TaskScored
    | ExpertFound
    | Logged
    | FramesDrawn
    | Skipped
    | Restored
    | LaneFailed
    | EpisodeFailed
    | Refused
    | RunFinished
)
"""Every fact that a subscriber can be given."""
