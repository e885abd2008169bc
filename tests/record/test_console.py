"""What a person reads in the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from lifelong.evaluation.numbers import change, decimals, duration, fixed, number, score
from lifelong.evaluation.summary import Summary, summarize
from lifelong.events import (
    DriftDetected,
    DriftFollowed,
    Event,
    ExpertChosen,
    ExpertDissolved,
    ExpertSpawned,
    RunStarted,
    ShiftDetected,
)
from lifelong.record.console import ConsoleView
from lifelong.record.measures import MEASURES, best, names_of, verdict
from lifelong.record.table import show, table

MakeRun = Callable[..., list[tuple[int, Event]]]


def watched(records: list[tuple[int, Event]], terminal: bool) -> str:
    out = io.StringIO()
    view = ConsoleView(Console(file=out, force_terminal=terminal, width=140, color_system=None))
    for step, event in records:
        view.on(step, event)
    view.close()
    return out.getvalue()


def shown(summaries: list[Summary]) -> str:
    out = io.StringIO()
    show(summaries, Console(file=out, width=140))
    return out.getvalue()


def pair(make_run: MakeRun) -> list[Summary]:
    return [summarize(make_run(agent), seconds, {}) for agent, seconds in (("finetune", 31.2), ("flagship", 66.2))]


def test_without_a_terminal_there_is_one_line_for_each_turn_of_events(make_run: MakeRun) -> None:
    lines = watched(make_run(), terminal=False).splitlines()
    assert lines == [
        "flagship on made-up images: 2,000 steps",
        "step       403  shift found, began at step 400",
        "step       403  expert 1 is new, 89,610 parameters",
        "step       640  shift found, began at step 636",
        "step       803  shift found, began at step 800",
        "step       803  expert 2 is new, 89,610 parameters",
        "step     1,203  shift found, began at step 1,200",
        "step     1,203  expert 0 takes over again (2.0 % unexplained)",
        "step     1,360  alarm dismissed, expert 0 still explains the data",
        "step     1,603  shift found, began at step 1,600",
        "step     1,603  expert 3 is new, 89,610 parameters",
    ]
    assert watched(make_run("finetune"), terminal=False) == "finetune on made-up images: 2,000 steps\n"


def test_in_a_terminal_there_is_a_bar_with_loss_score_and_experts(make_run: MakeRun) -> None:
    text = watched(make_run(), terminal=True)
    assert "2000/2000" in text
    assert "mean score 95.3 %" in text
    assert "4 experts" in text
    assert "shift found, began at step 400" in text


def test_names_with_markup_are_shown_as_they_are(make_run: MakeRun) -> None:
    started = next(event for _, event in make_run() if isinstance(event, RunStarted))
    odd = replace(started, agent="[bold]me[/bold]", stream="[red]s")
    assert "[bold]me[/bold] on [red]s" in watched([(0, odd), (5, ShiftDetected(0, 1, 9.0, 5.0))], terminal=True)
    summary = replace(pair(make_run)[0], agent="[bold]me[/bold]", stream="[red]s")
    assert "[bold]me[/bold]" in shown([summary])
    assert "[red]s" in shown([summary])


def test_the_table_has_every_measure_and_the_verdict_in_plain_words(make_run: MakeRun) -> None:
    text = shown(pair(make_run))
    rows = {line.split("│")[1].strip(): line.split("│")[2:4] for line in text.splitlines() if line.count("│") == 4}
    cells = {name: tuple(cell.strip() for cell in row) for name, row in rows.items()}
    assert cells["ACC ↑"] == ("38.0 %", "95.3 %")
    assert cells["BWT ↑"] == ("−75.7 pt", "+0.1 pt")
    assert cells["Forgetting ↓"] == ("+75.9 pt", "+0.3 pt")
    assert cells["Shifts found ↑"] == ("–", "4 of 4")
    assert cells["False alarms ↓"] == ("–", "1")
    assert cells["Alarms dismissed"] == ("–", "1")
    assert cells["Delay ↓"] == ("–", "3.0 steps")
    assert cells["Routing ↑"] == ("–", "97.0 %")
    assert cells["Parameters ↓"] == ("89,610", "358,440")
    assert cells["Time ↓"] == ("31.2 s", "1 min 06 s")
    said = " ".join(text.split())
    assert "finetune learned its tasks to 94.8 % and lost 75.7 points on old ones;" in said
    assert "flagship learned its tasks to 95.2 % and kept old ones within 1 point." in said


def test_rows_that_no_run_has_are_left_out_and_told_learners_are_marked(make_run: MakeRun) -> None:
    alone = replace(pair(make_run)[0], labels_shown=True)
    text = shown([alone])
    assert "Routing" not in text
    assert "finetune *" in text
    assert "is told which task" in text
    with pytest.raises(ValueError, match="no run"):
        table([])


def test_the_verdict_does_not_let_a_learner_that_learned_nothing_look_good(make_run: MakeRun) -> None:
    lazy, good = pair(make_run)
    lazy = replace(lazy, agent="lazy", bwt=0.0, learning_accuracy=0.3)
    assert verdict([lazy, good]).startswith("lazy learned its tasks to 30.0 % and lost nothing on old ones; flagship")
    many = [replace(lazy, agent=f"a{k}", acc=k / 10) for k in range(6)]
    said = verdict(many)
    assert said.startswith("The best 4 of 6: a5 learned")
    assert [f"a{k}" in said for k in range(6)] == [False, False, True, True, True, True]


@pytest.mark.parametrize(
    ("bwt", "fate"),
    [
        (-0.0004, "lost nothing on old ones"),
        (-0.0042, "kept old ones within 1 point"),
        (0.0104, "kept old ones within 1 point"),
        (-0.0106, "lost 1.1 points on old ones"),
        (0.02, "gained 2.0 points on old ones"),
        (-0.757, "lost 75.7 points on old ones"),
    ],
)
def test_the_words_follow_the_size_of_what_was_lost(make_run: MakeRun, bwt: float, fate: str) -> None:
    assert verdict([replace(pair(make_run)[1], bwt=bwt)]).endswith(f" and {fate}.")


@pytest.mark.parametrize(("bwt", "fate"), [(-1.9, "kept old ones within 1 %"), (-2.1, "lost 2.1 on old ones")])
def test_of_raw_returns_a_share_of_what_was_learned_counts_as_kept(make_run: MakeRun, bwt: float, fate: str) -> None:
    raw = replace(pair(make_run)[1], percent=False, learning_accuracy=-200.0, bwt=bwt)
    assert verdict([raw]) == f"flagship learned its tasks to −200 and {fate}."


def test_the_verdict_of_a_run_that_has_no_old_task_or_no_end_says_so(make_run: MakeRun) -> None:
    records = [record for record in make_run() if record[0] <= 400]
    assert verdict([summarize(records, 1.0, {})]) == (
        "flagship scored 95.3 %, with no old task to lose yet (unfinished)."
    )
    assert "was not judged" in verdict([summarize(records[:2], 1.0, {})])


def test_the_best_of_a_row_follows_its_direction(make_run: MakeRun) -> None:
    summaries = pair(make_run)
    winners = {measure.name: best(measure, summaries) for measure in MEASURES}
    assert winners["ACC"] == winners["BWT"] == winners["Forgetting"] == {1}
    assert winners["Parameters"] == winners["Time"] == {0}
    assert winners["Experts"] == winners["Routing"] == set()
    assert best(MEASURES[0], [summaries[0]] * 2) == set()


def test_numbers_are_written_for_people() -> None:
    assert score(0.9724, True) == "97.2 %"
    assert score(-1.5, False) == "−1.5"
    assert score(None, True) == "–"
    assert change(0.0132, True) == "+1.3 pt"
    assert change(-0.0004, True) == "0.0 pt"
    assert change(-0.25, False) == "−0.25"
    assert [duration(s) for s in (4.21, 59.97, 185, 7620)] == ["4.2 s", "1 min 00 s", "3 min 05 s", "2 h 07 min"]


def test_runs_get_the_shortest_names_that_tell_them_apart(make_run: MakeRun) -> None:
    one = pair(make_run)[1]
    assert names_of([one, replace(one, agent="other")]) == ["flagship", "other"]
    assert names_of([one, replace(one, seed=8)]) == ["flagship, seed 7", "flagship, seed 8"]
    assert names_of([one, replace(one, stream="s")]) == ["flagship on made-up images", "flagship on s"]
    assert names_of([one, one]) == ["flagship (1)", "flagship (2)"]


def test_the_first_expert_is_no_news_and_a_return_to_it_is_one_without_a_choice_noted_before() -> None:
    told = watched([(1, ExpertSpawned(0, 10)), (5, ExpertSpawned(1, 10)), (9, ExpertChosen(0, 0.1))], terminal=False)
    assert told.splitlines() == [
        "step         5  expert 1 is new, 10 parameters",
        "step         9  expert 0 takes over again (10.0 % unexplained)",
    ]


def test_drift_and_a_pool_without_room_are_said() -> None:
    told = watched(
        [
            (1, ExpertSpawned(0, 10)),
            (5, DriftDetected(0, 0.01, 0.12)),
            (7, DriftFollowed(0, 0.0, 0.3)),
            (8, ExpertChosen(0, 2.8, full=True)),
            (9, ExpertDissolved(1, 0)),
        ],
        terminal=False,
    )
    assert told.splitlines() == [
        "step         5  slow drift found: 12.0 % is new",
        "step         7  the drift goes on, and expert 0 with it",
        "step         8  no room for another expert: 0 learns a world that is not its own (max_experts)",
        "step         9  expert 1 is gone: expert 0 knows its world as well",
    ]


def test_parameters_that_pruning_put_to_zero_do_not_count(make_run: MakeRun) -> None:
    parameters = next(measure for measure in MEASURES if measure.name == "Parameters")
    whole = pair(make_run)[1]
    assert parameters.value(replace(whole, nonzero=None)) == whole.parameters
    assert parameters.value(replace(whole, nonzero=7)) == 7


def test_returns_of_any_size_are_written_without_powers_of_ten() -> None:
    written = [number(v) for v in (-220.4, 12.34, 0.876, 0.0, 1234.5, -250_000.0, 999.6, 0.00012)]
    assert written == ["−220", "12.3", "0.876", "0", "1,234", "−250,000", "1,000", "0.00012"]
    assert score(-1234.5, False) == "−1,234"
    assert change(1234.5, False) == "+1,234"


def test_numbers_below_each_other_have_as_many_decimals() -> None:
    nan = float("nan")
    for column, wanted in (
        ([-220.4, 12.34, 0.876, nan], ["−220", "12", "1", "–"]),
        ([22.41, 9.9], ["22.4", "9.9"]),
        ([0.876, -0.0001, 0.5], ["0.876", "0.000", "0.500"]),
        ([-1234.5, 0.2], ["−1,234", "0"]),
        ([nan, 0.0], ["–", "0.00"]),
    ):
        places = decimals(column, 3)
        assert [fixed(value, places) for value in column] == wanted
