"""One agent for batches and worlds: what it is surprised by differs, what it does about it does not."""

from __future__ import annotations

from lifelong.both import Both
from lifelong.learner import ActingLearner, Learner


def both(supervised: Learner, acting: ActingLearner) -> Both:
    """An agent that learns from batches and one that acts, in one life, such as flagship and lifelong_rl."""
    return Both(supervised, acting)
