"""Worlds with other spaces in between: everybody goes on where the lanes stand, also in another process."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from marked_worlds import Marked, marked, rows_lived, rows_of
from test_chunks import OFF, ON, Watching

from lifelong.acting.learner import LifelongActor
from lifelong.check.law import same, saved
from lifelong.interaction import Interaction, Stage, Transitions
from lifelong.shift.cusum import Cusum
from lifelong_agents.sb3.algorithm import Sb3

SETTINGS = {"ppo": ON | {"batch_size": 16, "n_epochs": 1}, "dqn": OFF | {"train_freq": 8}}


class Wide(Marked):
    """Shows one more number."""

    def __init__(self, lane: int) -> None:
        super().__init__(lane)
        self.observation_space = Box(-np.inf, np.inf, (5,), np.float32)

    def _seen(self) -> Any:
        return np.append(super()._seen(), np.float32(0.0))


class Shown(LifelongActor):
    """Keeps what it watches."""

    blocks: list[Transitions] | None = None

    def live(self, interaction: Interaction) -> Any:
        watch = type(self._stay).watch

        def watched(block: Transitions) -> bool:
            self.blocks = [*(self.blocks or []), block]
            return watch(self._stay, block)

        self._stay.watch = watched  # type: ignore[method-assign]
        return super().live(interaction)


def learner(algorithm: str, look: int = 64) -> Shown:
    return Shown(Sb3(algorithm, SETTINGS[algorithm], seed=1), Cusum(), look=look)


def live(learner: LifelongActor, lanes: Any, interactions: int) -> list[Any]:
    return [[*learner.live(Interaction(lanes, 256))[1:]] for _ in range(interactions)]


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_an_expert_that_comes_back_sees_where_its_lanes_have_come_meanwhile(algorithm: str) -> None:
    made = learner(algorithm)
    narrow, wide = marked(visits=((0, 0), (512, 1), (1024, 0))), tuple(Wide(i) for i in range(2))
    live(made, narrow, 6)
    live(made, wide, 2)
    live(made, narrow, 15)
    # Two for the narrow worlds, of which the first came back, and one for the wide one between them.
    assert [e.kind.observation_space.shape for e in made.experts] == [(4,), (5,), (4,)]
    assert made._stay.expert is made.experts[0]
    shown = rows_of([b for b in made.blocks or [] if b.observations.shape[1] == 4])  # type: ignore[union-attr]
    assert shown == rows_lived(narrow)
    assert len({lane.steps for lane in narrow}) == 1
    assert [lane.episode for lane in narrow] == [narrow[0].steps // 25] * 4


@pytest.mark.parametrize(
    ("algorithm", "look"),
    [
        pytest.param("ppo", 64, marks=pytest.mark.slow),
        ("ppo", 96),
        ("dqn", 64),
        pytest.param("dqn", 96, marks=pytest.mark.slow),
    ],
)
def test_another_process_goes_on_where_lanes_of_all_kinds_stand(algorithm: str, look: int) -> None:
    one, other = learner(algorithm, look), learner(algorithm, look)
    narrow, wide = marked(), tuple(Wide(i) for i in range(2))
    live(one, narrow, 3)
    live(one, wide, 3)
    live(one, narrow, 1)
    live(one, wide, 1)
    other.load_state_dict(saved(one))
    narrow_too, wide_too = deepcopy((narrow, wide))
    ends = []
    for learned, first, second in ((one, narrow, wide), (other, narrow_too, wide_too)):
        torch.manual_seed(3)
        np.random.seed(3)
        said = live(learned, first, 2) + live(learned, second, 2) + live(learned, first, 2)
        ends.append((said, saved(learned)))
    same("both go on alike", *ends)


def test_another_number_of_lanes_is_named() -> None:
    lanes = marked(4)
    made = Sb3("a2c", {}, seed=1).spawn(0, Stage(lanes[0].observation_space, lanes[0].action_space, 4))
    with pytest.raises(ValueError, match=r"made for 4 lanes .* got 2"):
        made.live(lanes[:2], 64, 64, Watching())
