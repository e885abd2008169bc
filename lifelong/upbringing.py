"""How experts are made, and how many of them there may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lifelong.network import Network
from lifelong.optimizer import Optimizer
from lifelong.pruning import Gradual
from lifelong.retention.method import Retention
from lifelong.shelf import Shelf
from lifelong.start import Start
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Method
from lifelong.watch import Watch

Sharing = Literal["never", "always", "auto", "adapters"]


@dataclass(frozen=True, slots=True)
class Upbringing:
    """How experts are made: network, optimizer, what they look out for, and what their foundations protect.

    share: whether a new expert builds on an existing foundation: never; always (one foundation for all); auto (when a
    linear probe on an old foundation's features errs at most 0.6 times as much as one on the inputs and one on the
    ancestor's features, and less than `full` of its directions are taken); adapters (one foundation for all: its first
    expert trains it whole, until a second one joins; from then on it stands still, and each expert, the first one too,
    trains adapters of this `rank`, norms and heads of its own). start: the first weights of one that does not share
    (see `lifelong.start`). limit: most experts in the pool. budget: most parameters, of all experts together.
    tolerance: the unexplained share up to which an expert is taken to know the evidence. heads_too: protect heads
    as well, for one network whose head serves every task. subspace: how shared parts are protected. prune: how experts
    become small while they learn, where they share nothing. shelf: where
    experts are put away, but for the `hot` ones that were used last (None: all stay in memory). retention: what reminds
    each expert of what it learned before; with share: never. See `Expert` for the others.
    """

    network: Network
    optimizer: Optimizer
    watch: Watch | None = None
    subspace: Method = Gpm()
    sync_every: int = 1
    share: Sharing = "never"
    start: Start = "auto"
    limit: int | None = None
    budget: int | None = None
    tolerance: float = 0.1
    full: float = 0.9
    prune: Gradual | None = None
    heads_too: bool = False
    rank: int = 8
    shelf: Shelf | None = None
    hot: int = 8
    retention: tuple[Retention, ...] = ()

    @property
    def is_alone(self) -> bool:
        """Whether there is room for one expert, which then learns every world."""
        return self.limit == 1

    @property
    def is_guarded_alone(self) -> bool:
        """Whether the subspaces of one network for everything, head and all, are what keeps it from forgetting."""
        return self.is_alone and self.heads_too

    def __post_init__(self) -> None:
        for what, given, known in (("share", self.share, get_args(Sharing)), ("start", self.start, get_args(Start))):
            if given not in known:
                raise ValueError(f"{what} must be one of {', '.join(known)}, got {given!r}.")
        if self.limit is not None and not isinstance(self.limit, int):
            raise ValueError(
                f"There can only be a whole number of experts (max_experts), or null for no limit, got {self.limit!r}."
            )
        if self.limit is not None and self.limit < 1:
            raise ValueError(
                f"There must be room for at least 1 expert (max_experts), or null for no limit, got {self.limit}."
            )
        if self.budget is not None and self.budget < 1:
            raise ValueError(f"max_parameters must be positive, or null for no limit, got {self.budget}.")
        if not 0.0 <= self.tolerance < 1.0:
            raise ValueError(f"tolerance must be in [0, 1), got {self.tolerance}.")
        if self.subspace.feels or self.subspace.looks_ahead:
            raise ValueError(
                f"{type(self.subspace).__name__} must be told when a task begins, which nobody knows here. Take a "
                "method that looks at tasks as they end, such as Gpm, Sgp or NullSpace, or use it through Protection."
            )
        if self.sync_every < 1:
            raise ValueError(f"sync_every must be at least 1 step, got {self.sync_every}.")
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, got {self.rank}.")
        if self.prune is not None and self.share != "never":
            raise ValueError(f"Experts that share parts cannot be pruned: set share to never, got {self.share!r}.")
        if self.retention and self.share != "never":
            raise ValueError(
                f"Retention methods keep what one network learned by itself: set share to never, got {self.share!r}."
            )
        if self.hot < 1:
            raise ValueError(f"hot must leave at least 1 expert in memory, got {self.hot}.")
