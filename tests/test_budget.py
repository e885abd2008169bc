"""A budget of parameters holds, whatever experts share, and says so when it is smaller than one expert."""

from __future__ import annotations

import pytest
from toys import batches, kinds, live

from lifelong.events import ExpertChosen
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.pruning import Gradual
from lifelong_agents.flagship import flagship

ALONE = 16 * 16 + 16 + 16 * 16 + 16 + 16 * 6 + 6


def learner(**settings) -> LifelongLearner:
    return flagship(Mlp(hidden=(16, 16)), Optimizer("adam", lr=0.01), **settings)


@pytest.mark.parametrize("share", ["never", "always", "auto", "adapters"])
@pytest.mark.parametrize("budget", [ALONE + 50, 2 * ALONE + 50])
def test_no_way_of_sharing_exceeds_it(share, budget):
    agent = learner(share=share, max_parameters=budget)
    events = live(agent, *(batches(seed, 60) for seed in (1, 2, 3, 4)))
    assert agent.size().parameters <= budget
    # Whoever learned a world that is not its own says so.
    assert agent.size().experts == 4 or any(event.full for _, event in kinds(events, ExpertChosen))


def test_what_will_be_left_of_experts_counts():
    agent = learner(share="never", max_parameters=2 * ALONE, prune=Gradual(0.75, begin=5, end=50))
    live(agent, *(batches(seed, 60) for seed in (1, 2, 3, 4)))
    assert agent.size().experts == 4
    assert agent.size().nonzero == 4 * (ALONE - round(0.75 * ALONE))


def test_one_that_is_smaller_than_an_expert_is_refused():
    with pytest.raises(ValueError, match=f"max_parameters is 100, but one expert alone has {ALONE}"):
        learner(max_parameters=100).learn(batches(1, 1)[0])
