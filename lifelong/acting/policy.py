"""The contract of what an expert does in its world: it acts, and learns by acting.

Whoever brings reinforcement-learning algorithms implements an `Algorithm`, which makes `Policy` objects; the learner
above them never sees how they learn. N lanes, B rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lifelong.acting.encoding import Rows
from lifelong.interaction import Array, Observations, Stage, Transitions

if TYPE_CHECKING:
    from lifelong.interaction import Lane

Watcher = Callable[[Transitions], bool]
"""Is shown what the latest steps did, before the policy learns from them; True: stop at once."""


class Policy(Protocol):
    """One expert's way to act. All of an algorithm's policies act in the same lanes, in turn."""

    def enter(self) -> None:
        """Take over in the lanes, where another policy has acted, in the middle of their episodes."""
        ...

    def live(self, lanes: Sequence[Lane], steps: int, look: int, watch: Watcher) -> int:
        """Act and learn for exactly `steps` environment steps, or fewer where `watch` says stop; returns how many.

        `watch` is shown every `look` transitions (rounded up to whole steps of all lanes), each exactly once, lane by
        lane within a step.
        """
        ...

    def act(self, observations: Observations) -> Array:
        """(B, ...) observations -> (B, ...) actions, without learning and without changing anything."""
        ...

    def keep(self) -> dict[str, Any]:
        """A copy of what it knows now: plain data and tensors."""
        ...

    def put_back(self, kept: dict[str, Any]) -> None:
        """Become what it was when `kept` was kept; what it saw since was not its own, and is forgotten, too."""
        ...

    def inherit(self, parent: Policy) -> None:
        """Begin with what another policy of the algorithm knows, one for the same spaces."""
        ...

    def adopt(self, transitions: Transitions, lanes: int) -> None:
        """Transitions of its world that another policy made, in any order: of use where there is a replay buffer."""
        ...

    def temporal_differences(self, transitions: Transitions) -> Rows | None:
        """(B,) errors of its value function, |r + gamma v(s') - v(s)|; None where it has none."""
        ...

    def logged(self) -> dict[str, float]:
        """What its algorithm had to say since it was last asked."""
        ...

    def parameters(self) -> int:
        """Trainable numbers."""
        ...

    def bytes(self) -> int:
        """What it takes in memory, with all that it remembers."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Algorithm(Protocol):
    """Makes policies for a world."""

    def spawn(self, number: int, stage: Stage) -> Policy:
        """The policy of expert `number`, as untouched as the first. Raises ValueError where the algorithm cannot act
        in such a world, which is tried out with a copy of the algorithm before anything runs."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What its policies share, such as where the lanes stand."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...
