"""What an algorithm says is said the same, in the same order, by one that was taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from lifelong_agents.sb3.sayings import Sayings

Word = Callable[[Sayings], None]
WORDS: list[Word] = [
    lambda s: s.logger.record("train/loss", np.float32(0.25)),
    lambda s: s.logger.record_mean("rollout/gain", 1.0),
    lambda s: s.logger.record("time/fps", 77),
    lambda s: s.logger.record("a/word", "not a number"),
    lambda s: s.logger.dump(1),
    lambda s: s.logger.record("time/total_timesteps", 8),
    lambda s: s.logger.record_mean("rollout/gain", 2.0),
    lambda s: s.logger.record_mean("rollout/gain", 4.0),
    lambda s: s.logger.record("train/a_loss", 0.5),
    lambda s: s.logger.record_mean("rollout/gain", 9.0),
    lambda s: s.logger.record("train/loss", 0.125),
    lambda s: s.logger.dump(2),
    lambda s: s.logger.record("train/after", 3),
]


def said(sayings: Sayings) -> str:
    """As the record writes it: with the order of its keys."""
    return json.dumps(sayings.taken())


@pytest.mark.parametrize("stop", range(len(WORDS) + 1))
def test_a_stop_anywhere_changes_nothing_of_what_is_said(stop: int) -> None:
    whole, before, after = Sayings(), Sayings(), Sayings()
    for word in WORDS:
        word(whole)
    for word in WORDS[:stop]:
        word(before)
    after.logger.record("left/over", 1.0)
    after.load_state_dict(before.state_dict())
    for word in WORDS[stop:]:
        word(after)
    wanted = '{"train/loss": 0.125, "rollout/gain": 5.0, "time/total_timesteps": 8.0, "train/a_loss": 0.5}'
    assert said(whole) == said(after) == wanted
    # What was noted and not said yet is said with the next.
    for sayings in (whole, after):
        sayings.logger.dump(3)
    assert said(whole) == said(after) == '{"train/after": 3.0}'
