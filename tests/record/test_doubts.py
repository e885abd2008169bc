"""A run whose numbers are worth less than they look says so, wherever they are shown."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from toys import toy_stream

from lifelong.evaluation.schedule import Schedule
from lifelong.events import Consolidated, RunStarted
from lifelong.learner import Learner
from lifelong.lifetime import Result, run
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.record.analysis import write_analysis
from lifelong.record.console import ConsoleView
from lifelong.record.doubts import doubted, doubts
from lifelong.record.report import write_report
from lifelong.record.table import show
from lifelong.retention.er import Er
from lifelong.retention.ewc import Ewc
from lifelong.retention.packnet import PackNet
from lifelong.shift.cusum import Cusum
from lifelong_agents.finetune import Finetune
from lifelong_agents.flagship import flagship
from lifelong_agents.gpm import gpm
from lifelong_agents.retain import Retain

NEVER = "no end of a task was found, so that what shall keep old tasks never began to work"
DEAF = Cusum(threshold=1e9)
ENDS = Schedule(within=0)


def lived(
    learner: Retain | Finetune, order: str = "A B", out: Path | None = None, boundaries: str = "hidden"
) -> Result:
    return run(toy_stream(order, steps=12, boundaries=boundaries), learner, out=out, evaluation=ENDS)


def test_methods_that_never_began_are_no_methods(tmp_path: Path) -> None:
    summary = lived(Retain((Ewc(),), Mlp((8,)), detector=DEAF), out=tmp_path / "run").summary
    assert summary.consolidated == 0
    assert doubts(summary) == [NEVER]
    write_report([tmp_path / "run"], tmp_path / "report.html")
    assert NEVER in (tmp_path / "report.html").read_text(encoding="utf-8")
    screen = io.StringIO()
    show([summary], Console(file=screen, width=200))
    assert f"Retain: {NEVER}." in screen.getvalue()


def test_one_protected_network_that_finds_no_end_is_fine_tuning_and_says_so() -> None:
    deaf = lived(gpm(Mlp((8,), bias=False), detector=DEAF, drift_every=None))
    assert (deaf.summary.consolidated, doubts(deaf.summary)) == (0, [NEVER])
    keen = lived(gpm(Mlp((8,), bias=False), detector=Cusum(threshold=4.0, warmup=5)))
    assert keen.summary.shifts_detected
    assert keen.summary.consolidated
    assert doubts(keen.summary) == []


def test_ends_that_were_shown_to_methods_are_on_record() -> None:
    result = lived(Retain((Ewc(),), Mlp((8,)), memory=20), "A B A", boundaries="shown")
    facts = [(step, event) for step, event in result.events if isinstance(event, Consolidated)]
    assert [step for step, _ in facts] == [12, 24, 36]
    assert all(event.expert == 0 and 20 <= event.samples < 40 for _, event in facts)
    assert (result.summary.consolidated, doubts(result.summary)) == (3, [])
    started = next(event for _, event in result.events if isinstance(event, RunStarted))
    assert started.awaits_ends


@pytest.mark.parametrize(
    "learner",
    [
        Retain((Er(),), Mlp((8,)), detector=DEAF),
        Finetune(Mlp((8,))),
        flagship(Mlp((8,)), share="never", detector=DEAF, falls=None, inputs=None),
    ],
)
def test_who_waits_for_no_end_is_not_doubted(learner: Learner) -> None:
    summary = lived(learner).summary
    assert (summary.consolidated, doubts(summary)) == (None, [])


@pytest.mark.parametrize(("prune", "spent"), [(0.05, "PackNet"), (0.5, None)])
def test_a_network_without_free_weights_is_told_of(tmp_path: Path, prune: float, spent: str | None) -> None:
    screen = io.StringIO()
    stream = toy_stream("A B C D", steps=12, boundaries="shown", labels="judging")
    learner = Retain((PackNet(prune=prune, retrain=0),), Mlp((32,)))
    view = ConsoleView(Console(file=screen, width=200))
    result = run(stream, learner, out=tmp_path / "run", evaluation=ENDS, subscribers=[view])
    facts = [(step, event.spent) for step, event in result.events if isinstance(event, Consolidated) and event.spent]
    assert facts == ([(24, ("PackNet",))] if spent else [])
    assert result.summary.spent == spent
    said = "PackNet had hardly any weights left to give to the latest tasks"
    assert (said in doubts(result.summary)) == bool(spent)
    write_report([tmp_path / "run"], tmp_path / "report.html")
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (said in report) == bool(spent)
    assert ("PackNet has hardly any weights left for further tasks." in report) == bool(spent)
    assert ("step        24  PackNet has hardly any weights left for further tasks" in screen.getvalue()) == bool(spent)


def test_a_single_task_has_no_end_to_be_missed() -> None:
    assert doubts(lived(Retain((Ewc(),), Mlp((8,)), detector=DEAF), "A").summary) == []


def test_a_network_that_diverged_is_said_to_have() -> None:
    torch.manual_seed(0)
    result = lived(Finetune(Mlp((8,)), Optimizer("sgd", lr=1e30)))
    losses = [loss for _, event in result.events for loss in getattr(event, "losses", ())]
    first = next(place for place, loss in enumerate(losses) if not math.isfinite(loss))
    assert result.summary.diverged == first + 1
    assert "a loss was no number" in doubts(result.summary)[0]


def test_of_several_runs_it_is_said_how_many() -> None:
    good = lived(Finetune(Mlp((8,)))).summary
    bad = replace(good, diverged=3)
    assert doubted({"a": [good, bad, bad], "b": [good]}) == [
        "a: in 2 of 3 runs a loss was no number, and what was scored since means nothing (a smaller learning rate may "
        "help)."
    ]


def test_who_never_learned_has_nothing_to_forget() -> None:
    still = lived(Finetune(Mlp((8,)), Optimizer("sgd", lr=1e-9))).summary
    assert doubts(still) == [
        "what was taught is answered no better than before any lesson: there is nothing to forget",
    ]
    assert still.untrained == pytest.approx(still.learning_accuracy, abs=0.01)
    learned = lived(Finetune(Mlp((8,)), Optimizer(lr=0.01))).summary
    assert learned.untrained is not None
    assert learned.learning_accuracy is not None
    assert learned.learning_accuracy > learned.untrained + 0.02
    assert doubts(learned) == []


def test_an_analysis_says_it_too(tmp_path: Path) -> None:
    lived(Finetune(Mlp((8,)), Optimizer("sgd", lr=1e30)), out=tmp_path / "run")
    write_analysis([tmp_path / "run"], tmp_path / "analysis.html")
    assert "a loss was no number" in (tmp_path / "analysis.html").read_text(encoding="utf-8")
