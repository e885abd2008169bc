"""A model of one world: what a step there does to the observation, what it earns, and whether it ends an episode.

An ensemble of Bayesian linear regressions (Bishop 2006, 3.3) on fixed random features, one for each action where
actions are discrete. Its memory is the sums of a regression: nothing is forgotten, the order of the data does not
matter, and there is no learning rate. Beside what it foresees it knows how sure it is, so that a state that it has not
met is not yet a surprise.

B transitions, K members, A actions (1 where they are numbers), F features, Y targets: the change of each of D
observed numbers, the reward, and 1 where the episode terminated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lifelong.acting.encoding import Encoding, Rows
from lifelong.acting.features import Features
from lifelong.acting.saved import plain, unplain
from lifelong.interaction import Transitions

PRIOR = 1e-2
"""Weight of the belief that everything stays as it is, in transitions."""
YOUNG = 192
"""Transitions from which units are learned."""
RENEWED = 1.1
"""What is known is worked out anew when the data have grown by this factor."""
PLENTY = 4096
"""Transitions after which some of those that come are enough."""
STILL = 1e-9
"""A target that moves less has not moved."""
CLEAN = 1024
"""Transitions beyond doubt after which what is doubtful can be done without."""
LEAST_KNOWN = 2.0
"""States that must have been known for what was known of them to speak with full weight."""
LEAST_NOISE = 1e-4
"""Share of a target's own variance below which a squared error is none."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Transitions as regressions see them: for each action that was taken the (n,) rows in which it was, (K, n, F)
    features and (n, Y) targets. squares: (n, Y) squared errors for each part, sureness taken into account."""

    parts: tuple[tuple[int, NDArray[np.int64], Rows, Rows], ...]
    squares: tuple[Rows, ...]

    def __len__(self) -> int:
        return sum(len(rows) for _, rows, _, _ in self.parts)


class WorldModel:
    """What is known of one world. `members` and `waves` (random features of each) set how fine it is."""

    def __init__(self, encoding: Encoding, members: int = 3, waves: int = 24, seed: int = 0) -> None:
        if members < 1 or waves < 0:
            raise ValueError(f"A world model needs members >= 1 and waves >= 0, got {members} and {waves}.")
        self._encoding, actions = encoding, encoding.choices or 1
        width = encoding.width + (0 if encoding.choices else encoding.action_width)
        pairs = None if encoding.choices else (encoding.width, encoding.action_width)
        self._features = Features(width, members, waves, seed, pairs)
        size, targets = self._features.count, encoding.width + 2
        self._square = np.zeros((actions, members, size, size))
        self._cross = np.zeros((actions, members, size, targets))
        self._young: list[Transitions] | None = []
        self._spread, self._noise = np.ones(targets), np.ones(targets)
        # How many targets vary at all: what stands still in every world tells nothing, and does not dilute the others.
        self._varies, self._alive = np.zeros(targets, dtype=bool), targets
        self._heard = 0
        self.learned, self._solved_at = 0, 0
        self._weights, self._doubt = np.zeros_like(self._cross), np.zeros_like(self._square)
        self._doubtful: _Sums | None = None
        self._clean = 0

    @property
    def is_ready(self) -> bool:
        """Whether it has seen enough to be asked."""
        return self._young is None

    def see(self, transitions: Transitions) -> Seen:
        """Transitions as this model sees them; only one that is ready can."""
        encoding = self._encoding
        states = encoding.observations(transitions.observations)
        change = encoding.observations(transitions.next_observations) - states
        targets = np.column_stack((change, transitions.rewards, transitions.terminated))
        if encoding.choices is None:
            both = np.concatenate((states, encoding.actions(transitions.actions)), axis=1)
            return self._seen([(0, np.arange(len(both)), self._features(both), targets)])
        made, choice = self._features(states), encoding.choice(transitions.actions)
        chosen = [(a, np.flatnonzero(choice == a)) for a in range(encoding.choices)]
        return self._seen([(a, rows, made[:, rows], targets[rows]) for a, rows in chosen if len(rows)])

    def surprise(self, seen: Seen) -> Rows:
        """(n,) how badly each was foreseen: log(1 + e), mean over targets that vary; e is a squared error in units of
        what the model expects of itself. About 0.5 where all is as foreseen; an outlier counts little."""
        noise = self.expected
        surprise = np.empty(len(seen))
        for (_, rows, _, _), squares in zip(seen.parts, seen.squares, strict=True):
            surprise[rows] = np.log1p(squares / noise).sum(1) / self._alive
        return surprise

    def hindrance(self, evidence: Seen, spared: float = 0.0) -> float:
        """Does what is known help to foresee the second half of the evidence, given the first, or hinder?

        Half of it is learned twice, by a copy of this model and by one that knows nothing else; the other half is
        foreseen by both. What comes back is how much more surprised the copy is, in the units of `surprise`. About 0 or
        less in its own world, however new the states there are: both see these for the first time. Far above 0 in
        another world. A state of which nothing was known can neither help nor hinder: the surer the model was of one,
        the more it counts. spared: the share of the evidence that may be another world's; so much of what hinders most
        is left out.
        """
        noise = self.expected
        more, weights = [np.empty(0)], [np.empty(0)]
        for action, _, made, targets in evidence.parts:
            shown, asked, wanted = made[:, ::2], made[:, 1::2], targets[1::2]
            if not len(wanted):
                continue
            square, cross = _sums(shown, targets[::2])
            informed = solved(square + self._square[action], cross + self._cross[action])[0]
            counts = 1.0 / (1.0 + _doubt(asked, self._doubt[action]))
            surprised = [
                np.log1p(np.square(wanted - (asked @ known).mean(0)) / noise).sum(1) / self._alive
                for known in (informed, solved(square, cross)[0])
            ]
            more.append(surprised[0] - surprised[1])
            weights.append(counts)
        each, weight = np.concatenate(more), np.concatenate(weights)
        if spared:
            kept = np.argsort(each, kind="stable")[: math.ceil(len(each) * (1.0 - spared))]
            each, weight = each[kept], weight[kept]
        return float(each @ weight) / max(float(weight.sum()), LEAST_KNOWN)

    def learn(self, transitions: Transitions, seen: Seen | None = None, doubtful: bool = False) -> None:
        """Take in transitions of its own world. `seen`: some of them, as the model saw them: once it has learned
        plenty, these are enough. doubtful: some may be another world's; they are unlearned once there are better."""
        if doubtful:
            self._clean = 0
            if self._doubtful is None:
                self._doubtful = _Sums(np.zeros_like(self._square), np.zeros_like(self._cross))
        elif self._doubtful is not None:
            self._clean += len(transitions)
        if self._young is not None:
            self._young.append(transitions)
            if sum(map(len, self._young)) >= YOUNG:
                self._grow_up(Transitions.joined(self._young))
            return
        some = seen if seen is not None and self.learned > PLENTY else self.see(transitions)
        self._take(some, len(transitions), self._doubtful if doubtful else None)
        if self._doubtful is not None and self._clean >= CLEAN:
            self._unlearn(self._doubtful)

    def _unlearn(self, doubtful: _Sums) -> None:
        """A sum forgets exactly: a few outliers would spoil what is known where little else was seen."""
        self._square -= doubtful.square
        self._cross -= doubtful.cross
        self.learned -= doubtful.count
        self._doubtful = None
        self._solve()

    def _grow_up(self, young: Transitions) -> None:
        self._young = None
        encoding = self._encoding
        rows = encoding.observations(young.observations)
        change = encoding.observations(young.next_observations) - rows
        if encoding.choices is None:
            rows = np.concatenate((rows, encoding.actions(young.actions)), axis=1)
        self._features.fit(rows)
        variance = np.column_stack((change, young.rewards, young.terminated)).var(0)
        self._spread = np.where(variance > 1e-12, variance, 1.0)
        self._noise = self._spread.copy()
        half = len(young) // 2
        for part in (slice(0, half), slice(half, None)):
            self._take(self.see(young.rows(part)), len(young.rows(part)), self._doubtful)

    def _take(self, seen: Seen, count: int, doubtful: _Sums | None) -> None:
        if self.learned:
            self._listen(np.concatenate(seen.squares))
        for action, _, made, targets in seen.parts:
            if self._alive < len(self._varies) or not self._varies.any():
                self._varies |= np.ptp(targets, axis=0) > STILL
                self._alive = max(1, int(self._varies.sum()))
            square, cross = _sums(made, targets)
            self._square[action] += square
            self._cross[action] += cross
            if doubtful is not None:
                doubtful.square[action] += square
                doubtful.cross[action] += cross
        self.learned += count
        if doubtful is not None:
            doubtful.count += count
        if self.learned > RENEWED * self._solved_at:
            self._solve()

    def _solve(self) -> None:
        self._weights, self._doubt = solved(self._square, self._cross)
        self._solved_at = self.learned

    def _seen(self, parts: list[tuple[int, NDArray[np.int64], Rows, Rows]]) -> Seen:
        """With the squared errors of the members' mean, in units of how sure the members are."""
        found = []
        for action, _, made, targets in parts:
            error = targets - (made @ self._weights[action]).mean(0)
            doubt = _doubt(made, self._doubt[action])
            found.append(np.square(error) / (1.0 + doubt)[:, None])
        return Seen(tuple(parts), tuple(found))

    @property
    def expected(self) -> Rows:
        """(Y,) squared errors that it expects of itself."""
        return np.maximum(self._noise, LEAST_NOISE * self._spread)

    def bytes(self) -> int:
        """What it takes in memory."""
        return 2 * (self._square.nbytes + self._cross.nbytes)

    def state_dict(self) -> dict[str, Any]:
        return {
            "square": torch.from_numpy(self._square.copy()),
            "cross": torch.from_numpy(self._cross.copy()),
            "weights": torch.from_numpy(self._weights.copy()),
            "doubt": torch.from_numpy(self._doubt.copy()),
            "features": self._features.state_dict(),
            "spread": self._spread.tolist(),
            "noise": self._noise.tolist(),
            "varies": self._varies.tolist(),
            "young": None if self._young is None else [plain(part) for part in self._young],
            "counts": [self._heard, self.learned, self._solved_at, self._clean],
            "doubtful": None if self._doubtful is None else self._doubtful.state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._square, self._cross = state["square"].cpu().numpy().copy(), state["cross"].cpu().numpy().copy()
        self._weights, self._doubt = state["weights"].cpu().numpy().copy(), state["doubt"].cpu().numpy().copy()
        self._features.load_state_dict(state["features"])
        self._spread, self._noise = np.array(state["spread"]), np.array(state["noise"])
        self._varies = np.array(state["varies"])
        self._alive = max(1, int(self._varies.sum())) if self._varies.any() else len(self._varies)
        self._young = None if state["young"] is None else [unplain(part) for part in state["young"]]
        self._heard, self.learned, self._solved_at, self._clean = state["counts"]
        self._doubtful = None if state["doubtful"] is None else _Sums.of(state["doubtful"])

    def _listen(self, squares: Rows) -> None:
        """How wrong the model is in its own world, of late."""
        rate = max(len(squares) / 4096.0, len(squares) / (self._heard + len(squares)))
        self._noise = (1.0 - rate) * self._noise + rate * squares.mean(0)
        self._heard += len(squares)


@dataclass(slots=True)
class _Sums:
    """What some transitions added to the sums of the regressions."""

    square: Rows
    cross: Rows
    count: int = 0

    def state(self) -> list[Any]:
        return [torch.from_numpy(self.square.copy()), torch.from_numpy(self.cross.copy()), self.count]

    @classmethod
    def of(cls, state: list[Any]) -> _Sums:
        square, cross, count = state
        return cls(square.cpu().numpy().copy(), cross.cpu().numpy().copy(), count)


def _doubt(made: Rows, doubt: Rows) -> Rows:
    """(n,) how unsure the members are on the average, in units of the noise."""
    unsure: Rows = np.einsum("kbf,kbf->b", made @ doubt, made) / len(made)
    return unsure


def _sums(made: Rows, targets: Rows) -> tuple[Rows, Rows]:
    turned = made.transpose(0, 2, 1)
    return turned @ made, turned @ targets


def solved(square: Rows, cross: Rows) -> tuple[Rows, Rows]:
    """Weights (..., F, Y) and doubt (..., F, F) of regressions, from their sums."""
    doubt = np.linalg.inv(square + PRIOR * np.eye(square.shape[-1])).astype(np.float64, copy=False)
    return doubt @ cross, doubt
