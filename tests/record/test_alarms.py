"""How alarms and takeovers are marked: those that were right, false or dismissed, and experts found again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from test_report import Page, recorded
from world_run import Records, world_run

from lifelong.events import ExpertChosen, ExpertSpawned, Learned, ShiftDetected, ShiftDismissed
from lifelong.record.curves import score_figure
from lifelong.record.inside import detector_curve, detector_figure
from lifelong.record.marks import ROWS
from lifelong.record.report import write_report
from lifelong.record.runs import read_run
from lifelong.record.svg import drawing
from lifelong.record.takeovers import Takeovers, takeovers_of

MakeRun = Callable[..., Records]
HITS, FALSE, DISMISSED = [403, 803, 1203, 1603], [640], [1360]


def test_every_kind_of_alarm_has_its_marks_in_both_figures(tmp_path: Path, make_run: MakeRun) -> None:
    run = read_run(recorded(tmp_path / "run", make_run()))
    with drawing():
        lane, above = score_figure(run, None).axes[1], detector_figure(run).axes[1]
    for axes in (lane, above):
        triangles = [line for line in axes.lines if line.get_marker() == "v"]
        assert [np.asarray(line.get_xdata()).tolist() for line in triangles] == [HITS, FALSE, DISMISSED]
        assert len({(line.get_markeredgecolor(), line.get_markerfacecolor()) for line in triangles}) == 3
    assert [text.get_text() for text in lane.texts] == ["+0", "+1", "+2", "↺0", "+3"]


def test_the_page_says_how_many_alarms_were_dismissed(tmp_path: Path, make_run: MakeRun) -> None:
    write_report(recorded(tmp_path / "run", make_run()), tmp_path / "report.html")
    text = " ".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).text)
    assert "Alarms dismissed 1 Alarms after which" in text


def test_the_statistic_of_an_alarm_is_the_one_that_fired_also_where_the_last_look_shows_another(tmp_path: Path) -> None:
    records = [
        (
            step,
            Learned(0, 512, (0.1, 0.1), (0.0, 0.0), (11.5, 0.0)) if step == 5 and isinstance(event, Learned) else event,
        )
        for step, event in world_run()
    ]
    records.insert(-3, (6, ShiftDismissed(1, 1, 17.0, 15.0)))
    run = read_run(recorded(tmp_path / "run", records))
    assert any(step == 5 and isinstance(event, ShiftDetected) for step, event in records)
    assert run.trace.statistics.tolist() == [1.0, 1.0, 1.0, 11.5, 0.0, 0.5]
    assert detector_curve(run).tolist() == [1.0, 1.0, 1.0, 11.5, 20.0, 17.0]


def test_only_another_expert_takes_over_again(tmp_path: Path, make_run: MakeRun) -> None:
    takeovers = Takeovers()
    told = [
        ExpertSpawned(0, 10),
        ExpertChosen(0, 0.1),
        ExpertSpawned(1, 10),
        ExpertChosen(1, 0.9),
        ExpertChosen(0, 0.0),
        ShiftDetected(0, 1, 9.0, 5.0),
        ExpertChosen(0, 0.0),
        ExpertChosen(1, 0.0),
    ]
    assert [takeovers.again(event) for event in told] == [False, False, False, False, True, False, False, True]
    assert takeovers_of(read_run(recorded(tmp_path / "run", make_run())).trace) == [(1203, 0)]


def test_labels_of_experts_that_follow_each_other_at_once_do_not_cover_each_other(tmp_path: Path) -> None:
    records = [record for record in world_run() if not isinstance(record[1], ExpertSpawned)]
    experts = [(1, 1), (400, 2), (410, 3), (420, 4), (600, 5)]
    records += [(1, Learned(0, 1, (0.1,), (0.0,), (0.0,))), *((step, ExpertSpawned(n, 10)) for step, n in experts)]
    records.append((1000, ExpertSpawned(6, 10)))
    records.sort(key=lambda record: record[0])
    with drawing():
        lane = score_figure(read_run(recorded(tmp_path / "run", records, whole=False)), None).axes[1]
    upper, lower = ROWS
    assert [(text.get_text(), text.get_position()[1]) for text in lane.texts] == [
        ("+1", upper), ("+2", upper), ("+3", lower), ("+4", upper), ("+5", upper), ("+6", upper),
    ]  # fmt: skip
