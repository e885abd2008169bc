"""Numbers that are none: what cannot be learned from is left out and on record, and does not spoil what was learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import CONTRACT, toy_stream

from lifelong.evaluation.schedule import Schedule
from lifelong.events import Restored, Skipped
from lifelong.experience import Batch
from lifelong.health import PATIENCE, RESTORES, Health
from lifelong.lifetime import Result, run
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.saving import Saving
from lifelong.stopping import RunStopped, Stop
from lifelong_agents.finetune import Finetune
from lifelong_agents.flagship import flagship

NETWORK = Mlp(hidden=(16,))
OFTEN = Saving(every=20, minutes=None)
OPTIONS: dict[str, Any] = {"evaluation": Schedule(within=0), "report": False, "name": "x", "flush_every": 16}


class Spoiled:
    """A stream with extra batches, or others in place of its own, at some steps."""

    def __init__(self, change: dict[int, Any], order: str = "A B") -> None:
        self._inner, self._change = toy_stream(order), change
        self.name, self.tasks, self.segments = self._inner.name, self._inner.tasks, self._inner.segments

    def experiences(self, start: int = 0) -> Any:
        for step, (batch, truth) in enumerate(self._inner.experiences(start), start):
            yield (self._change[step](batch) if step in self._change else batch), truth


def holed(batch: Batch) -> Batch:
    inputs = batch.inputs.clone()
    inputs[1, 3], inputs[4, 0] = float("nan"), float("inf")
    return replace(batch, inputs=inputs)


class Passing:
    """A learner that never sees the batches of these steps."""

    def __init__(self, inner: Any, steps: tuple[int, ...]) -> None:
        self._inner, self._steps, self._at = inner, steps, -1

    def learn(self, batch: Batch) -> Any:
        self._at += 1
        real = self._inner.learn(batch) if self._at not in self._steps else self._last
        self._last = real
        return real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize("make", [lambda: Finetune(NETWORK), lambda: flagship(NETWORK, share="never")])
def test_batches_with_holes_are_left_out_and_leave_no_trace_in_the_learner(make: Any) -> None:
    steps = (7, 8, 61, 119)
    found = run(Spoiled(dict.fromkeys(steps, holed)), make(), **OPTIONS)
    passed = run(toy_stream("A B"), Passing(make(), steps), **OPTIONS)
    assert found.matrix.scores.tolist() == passed.matrix.scores.tolist()
    skipped = [(step, event) for step, event in found.events if isinstance(event, Skipped)]
    assert skipped == [(s + 1, Skipped("inputs of 2 of 16 samples are not finite", 16)) for s in steps]
    assert (found.summary.diverged, found.summary.skipped) == (None, 4)
    assert found.summary.steps == 120


def test_samples_are_counted_whatever_the_shape_of_their_targets() -> None:
    for shape in ((6,), (6, 2), (6, 2, 2)):
        targets = torch.zeros(shape)
        targets[1], targets[4] = float("nan"), float("inf")
        unfit = Health().unfit(Batch(torch.zeros(6, 3), targets, CONTRACT))
        assert unfit == Skipped("targets of 2 of 6 samples are not finite", 6)


def test_a_batch_that_is_huge_and_finite_is_learned() -> None:
    huge = run(Spoiled({5: lambda b: replace(b, inputs=b.inputs * 0 + 3e38)}), Finetune(NETWORK), **OPTIONS)
    assert not [e for _, e in huge.events if isinstance(e, Skipped)]


class Wrecked(Finetune):
    """Its weights become no numbers as it learns its `at`-th batch, and again after each time that it was put back."""

    def __init__(self, at: int, times: int = 1) -> None:
        super().__init__(NETWORK, Optimizer("sgd", lr=0.01))
        self._left, self._times, self.learned = at, times, 0

    def learn(self, batch: Batch) -> Any:
        self._left -= 1
        happened = super().learn(batch)
        if self._left == 0 and self._times:
            self._times -= 1
            self._left = 2 * PATIENCE
            for tensor in self._parameters():
                tensor.data.fill_(float("nan"))
        return happened

    def _parameters(self) -> list[torch.Tensor]:
        return [p for expert in [self._expert] for p in expert.foundation.assembly.parameters()]


def test_a_run_with_holes_that_is_stopped_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    holes = dict.fromkeys((7, 8, 61, 119), holed)
    run(Spoiled(holes), Finetune(NETWORK), out=tmp_path / "whole", **OPTIONS)
    stop = Stop()

    def ask(batch: Batch) -> Batch:
        stop.asked = "SIGTERM"
        return holed(batch)

    with pytest.raises(RunStopped):
        run(Spoiled({**holes, 61: ask}), Finetune(NETWORK), out=tmp_path / "torn", stop=stop, **OPTIONS)
    run(Spoiled(holes), Finetune(NETWORK), out=tmp_path / "torn", resume=True, **OPTIONS)
    assert (tmp_path / "torn/events.jsonl").read_bytes() == (tmp_path / "whole/events.jsonl").read_bytes()


def restored(result: Result) -> list[tuple[int, int]]:
    return [(step, event.experiences) for step, event in result.events if isinstance(event, Restored)]


def test_a_learner_whose_losses_are_no_numbers_is_put_back(tmp_path: Path) -> None:
    result = run(toy_stream("A B"), Wrecked(25), out=tmp_path / "run", saving=OFTEN, **OPTIONS)
    assert restored(result) == [(25 + PATIENCE, 25 + PATIENCE - 20)]
    assert result.summary.diverged == 26
    assert result.matrix.scores[-1, 1] > 0.8
    assert result.summary.restored == 1


def test_who_is_wrecked_again_and_again_is_not_put_back_for_ever(tmp_path: Path) -> None:
    class Hopeless(Wrecked):
        def load_state_dict(self, state: Any) -> None:
            super().load_state_dict(state)
            for tensor in self._parameters():
                tensor.data.fill_(float("nan"))

    result = run(toy_stream("A B"), Hopeless(25), out=tmp_path / "run", saving=OFTEN, **OPTIONS)
    assert len(restored(result)) == RESTORES
    assert result.summary.finished
    # Without a folder there is nothing to go back to.
    assert restored(run(toy_stream("A B"), Wrecked(25), **OPTIONS)) == []
