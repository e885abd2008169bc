"""What the record shows of a run in worlds to act in: returns, experiences, families, findings and pictures."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from test_report import Page, recorded
from world_run import NAN, A, B, Records, world_run

from lifelong.evaluation.continual_world import cw_interval
from lifelong.evaluation.families import measured
from lifelong.evaluation.matrix import ScoreMatrix, matrix_of
from lifelong.evaluation.summary import summarize
from lifelong.evaluation.trace import trace_of
from lifelong.events import FramesDrawn, Learned, RunStarted, TaskEntered, TaskFacts
from lifelong.record import wandb_sink
from lifelong.record.console import ConsoleView
from lifelong.record.curves import prequential_curve, score_figure
from lifelong.record.families import LINES
from lifelong.record.frames import write_strip
from lifelong.record.heatmap import heatmap_figure
from lifelong.record.measures import MEASURES
from lifelong.record.report import write_report
from lifelong.record.runs import read_run
from lifelong.record.scores import ScoresCsv
from lifelong.record.svg import drawing
from lifelong.record.tables import matrix_table


def text_of(path: Path) -> str:
    return " ".join(" ".join(Page(path.read_text(encoding="utf-8")).text).split())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = recorded(tmp_path / "run", world_run())
    write_strip([np.full((8, 16, 3), shade, np.uint8) for shade in (0, 128)], folder / "frames/plain.png")
    return folder


def measure(name: str) -> Any:
    return next(m for m in MEASURES if m.name == name)


def test_returns_while_learning_are_kept_apart_from_scores() -> None:
    summary = summarize(world_run(), 1.0, {})
    assert summary.prequential_accuracy is None
    # Experiences in which no episode ended do not count.
    assert summary.return_while_learning == pytest.approx((20 + 40 + 0 + 60) / 4)
    assert measure("Return while learning").write(summary) == "30"
    assert not measure("Prequential").applies(summary)


def test_a_supervised_run_has_no_return(make_run: Any) -> None:
    summary = summarize(make_run(), 1.0, {})
    assert (summary.return_while_learning, summary.families) == (None, {})
    assert (summary.env_steps, summary.env_steps_per_experience) == (0, None)
    assert measure("Prequential").applies(summary)
    assert not measure("Return while learning").applies(summary)
    assert summary.prequential_accuracy is not None


def test_a_stream_of_both_kinds_has_both() -> None:
    records: Records = []
    for step, event in world_run():
        if isinstance(event, RunStarted):
            event = replace(event, tasks=(event.tasks[0], TaskFacts(B, "accuracy", True, 0.0, 1.0, 10)))
        if isinstance(event, Learned) and step > 3:
            event = replace(event, scores=(0.0, 0.25) if step == 5 else (0.75,))
        records.append((step, event))
    summary = summarize(records, 1.0, {})
    assert summary.return_while_learning == pytest.approx(30.0)
    assert summary.prequential_accuracy == pytest.approx((0.0 + 0.25 + 0.75) / 3)
    # Only what was lived in a world is counted in its steps.
    assert (summary.env_steps, summary.env_steps_per_experience) == (3 * 256, 256)
    assert measure("Delay").write(summary) == "2.0 steps"


def test_the_delay_says_steps_of_the_stream_and_of_the_world() -> None:
    summary = summarize(world_run(), 1.0, {})
    assert (summary.steps, summary.env_steps, summary.env_steps_per_experience) == (6, 6 * 256, 256)
    assert summary.detection_delay == 2.0
    assert measure("Delay").write(summary) == "2.0 steps (512 env steps)"


def test_the_summary_names_every_measure_by_its_family() -> None:
    assert summarize(world_run(), 1.0, {}).families == {
        "cw_p": pytest.approx(0.7),
        "cw_f": pytest.approx(0.15),
        "l2_pm": pytest.approx(-0.3),
        "l2_ft": pytest.approx(1.0),
        "l2_bt": pytest.approx(-0.3 / 1.3),
        "cora_f": pytest.approx(0.3 / 0.8),
        "cora_zsft": pytest.approx(0.1 / 0.9),
    }


def test_a_report_of_worlds_says_it_all(run: Path, tmp_path: Path) -> None:
    write_report(run, tmp_path / "report.html")
    text = text_of(tmp_path / "report.html")
    for said in (
        "experiences 6 (each 256 environment steps) environment steps 1,536",
        "experiences learned (each 256 environment steps)",
        "Continual World P ↑ 70.0 % 2 of 2",
        "Continual World F ↓ +15.0 pt 2 of 2",
        "l2metrics PM ↑ −30.0 pt 1 of 2",
        "l2metrics FT ↑ +1.000 1 of 1",
        "CORA F ↓ +0.375 1 of 1",
        "Return of episodes while learning",
        "in per cent of the way from a random policy's return to that of an expert",
        "80.0 % (400)",
        f"Judged on {A}: expert 0 took over from 1 after 2.5 steps in 3 of 10 episodes.",
        f"Judged on {B}: expert 1 took over from 0 after 3.2 steps in 10 of 10 episodes.",
        f"{A}: return 488",
        f"There are no pictures of {B}.",
        "Delay ↓ 2.0 steps 512 env steps Mean number",
    ):
        assert said in text, said
    assert "Score on new samples" not in text
    assert "7.0 steps in 2 of" not in text
    assert "ep_rew_mean" not in text


def test_pictures_are_in_the_page_itself_and_the_page_stays_whole(run: Path, tmp_path: Path) -> None:
    write_report(run, tmp_path / "report.html")
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    images = re.findall(r'<img src="([^"]{20})[^"]*" alt="([^"]*)">', source)
    assert images == [("data:image/png;base6", f"Frames of an episode of {A}, from its first to its last step")]
    page = Page(source)
    assert len(page.ids) == len(set(page.ids))
    assert "odd" not in page.tags
    write_report(run, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "report.html").read_bytes()


def test_pictures_that_are_gone_or_lie_elsewhere_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    records = [*world_run(), (6, FramesDrawn(B, "../secret.png", 1.0))]
    write_report(recorded(tmp_path / "run", records), tmp_path / "report.html")
    assert "<img" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"There are no pictures of {A}, {B}." in text_of(tmp_path / "report.html")


def test_raw_returns_stay_returns(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "run", world_run("return")[:-1])
    write_report(folder, tmp_path / "report.html")
    text = text_of(tmp_path / "report.html")
    assert "in return, higher is better" in text
    assert "CORA F ↓ +0.375" in text
    assert "Of returns as they are only CORA" in text
    assert "Continual World P" not in text
    assert "Worlds As the run" not in text
    panels = score_figure(read_run(folder), None).axes[3:]
    # Worlds of unlike returns: every panel has its own scale.
    assert panels[0].get_ylim() != panels[1].get_ylim()


def test_the_matrix_of_raw_returns_can_be_read(tmp_path: Path) -> None:
    run = read_run(recorded(tmp_path / "run", world_run("return")))
    with drawing():
        texts = heatmap_figure(run.matrix, percent=False).axes[0].texts
    # Column by column: A, then B; the digits of a column end at one place.
    assert [text.get_text() for text in texts] == ["0", "400", "250", "0", "50", "450"]
    assert [len({text.get_position()[0] for text in part}) for part in (texts[:3], texts[3:])] == [1, 1]
    assert '<td class="n">400.0</td>' in matrix_table(run)


def test_every_column_of_raw_returns_has_its_own_shades() -> None:
    scores = np.array([[-1000.0, 0.1], [-500.0, NAN], [-1000.0, 0.3]])
    with drawing():
        cells = heatmap_figure(ScoreMatrix((A, B), (A, B), scores), percent=False).axes[0].collections[0]
    shades = np.ma.filled(cells.get_array(), NAN).reshape(3, 2)
    assert shades[1, 0] == shades[2, 1] == 1.0
    assert np.isnan(shades[1, 1])
    assert max(shades[0, 0], shades[2, 0], shades[0, 1]) <= 0.0


def test_a_normalised_return_above_the_expert_s_is_not_cut_off(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "run", world_run(gain=0.5))
    with drawing():
        axes = score_figure(read_run(folder), None).axes[-1]
    assert axes.get_ylim()[1] > 1.4


@pytest.mark.parametrize("length", range(1, 22, 3))
def test_a_run_of_worlds_stopped_anywhere_has_a_report(tmp_path: Path, length: int) -> None:
    write_report(recorded(tmp_path / "run", world_run()[:length], whole=False), tmp_path / "report.html")
    assert "did not finish" in text_of(tmp_path / "report.html")


def test_the_curve_of_returns_is_over_experiences_in_which_an_episode_ended(run: Path) -> None:
    steps, returns = prequential_curve(read_run(run), in_worlds=True)
    assert steps.tolist() == [2, 3, 4, 6]
    assert returns.tolist() == [20, 40, 0, 60]
    assert len(prequential_curve(read_run(run))[0]) == 0


def test_a_curve_is_broken_where_the_other_kind_of_task_was_lived(tmp_path: Path) -> None:
    names, kinds = (A, B), ("normalised_return", "accuracy")
    tasks = tuple(TaskFacts(*each, True, 0.0, 1.0, 10) for each in zip(names, kinds, strict=True))
    segments = (A, B, A, B)
    records: Records = [(0, RunStarted("relay", "both", 0, "cpu", tasks, segments, (0, 3, 6, 9), 12, 15.0))]
    for number, task in enumerate(segments):
        start = 3 * number
        scores = (10.0 + number, NAN, 30.0) if task == A else (0.1, 0.2, 0.3 + number / 10)
        records += [(start, TaskEntered(task, number)), (start + 3, Learned(0, 30, (0.1,) * 3, scores, (0.0,) * 3))]
    run = read_run(recorded(tmp_path / "run", records, whole=False))
    steps, returns = prequential_curve(run, in_worlds=True)
    np.testing.assert_array_equal(steps, [1, 3, NAN, 7, 9])
    np.testing.assert_array_equal(returns, [10, 30, NAN, 12, 30])
    steps, scores = prequential_curve(run)
    np.testing.assert_array_equal(steps, [4, 5, 6, NAN, 10, 11, 12])
    np.testing.assert_allclose(scores, [0.1, 0.2, 0.4, NAN, 0.1, 0.2, 0.6])
    # No mean is over both sides of a gap.
    steps, _ = prequential_curve(run, bins=1)
    np.testing.assert_array_equal(steps, [5, NAN, 11])


def test_several_runs_are_compared_by_family_and_over_seeds(tmp_path: Path) -> None:
    gains = (0.0, 0.05, -0.1)
    runs = [recorded(tmp_path / str(k), world_run(seed=k, gain=gain)) for k, gain in enumerate(gains)]
    runs.append(recorded(tmp_path / "other", world_run(agent="naive")))
    write_report(runs, tmp_path / "report.html")
    text = text_of(tmp_path / "report.html")
    finals = [0.7 + gain / 2 for gain in gains]
    low, high = cw_interval(finals)
    mean = sum(finals) / 3
    assert f"Continual World P ↑ {100 * mean:.1f} % [{100 * low:.1f} %, {100 * high:.1f} %]" in text
    assert "rl, 3 runs" in text
    assert "naive, " not in text


def test_supervised_runs_have_no_families(tmp_path: Path, make_run: Any) -> None:
    runs = [recorded(tmp_path / agent, make_run(agent)) for agent in ("finetune", "flagship")]
    for folders in (runs, runs[:1]):
        write_report(folders, tmp_path / "report.html")
        assert "l2metrics" not in text_of(tmp_path / "report.html")


def test_every_measure_has_a_line() -> None:
    trace = trace_of(world_run())
    assert set(measured(trace, matrix_of(trace))) | {"cw_ft", "l2_rp", "l2_se"} == set(LINES)


def test_scores_hold_the_raw_value_too(tmp_path: Path) -> None:
    sheet = ScoresCsv(tmp_path / "scores.csv")
    for step, event in world_run():
        sheet.on(step, event)
    sheet.close()
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[0] == "step,task,score,seen,value"
    assert lines[3] == f"2,{A},0.4,1,200.0"
    assert lines[-1] == f"6,{B},0.9,1,450.0"


def test_the_table_of_a_success_rate_needs_no_raw_value(tmp_path: Path) -> None:
    assert "(" not in matrix_table(read_run(recorded(tmp_path / "run", world_run("success"))))


def test_the_terminal_says_who_was_found_at_the_end_of_a_segment_only() -> None:
    out = io.StringIO()
    # A log has no width at which its lines would have to be broken.
    view = ConsoleView(Console(file=out, width=40, color_system=None))
    for step, event in world_run():
        view.on(step, event)
    assert [line for line in out.getvalue().splitlines() if "judged" in line] == [
        f"step         6  judged on {A}: expert 0 took over from 1 after 2.5 steps in 3 of 10 episodes",
        f"step         6  judged on {B}: expert 1 took over from 0 after 3.2 steps in 10 of 10 episodes",
    ]


class FakeRun:
    """Stands in for a W&B run, and keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.charts: list[str] = []

    def define_metric(self, name: str, step_metric: str | None = None, summary: str | None = None) -> None:
        self.charts.append(name)

    def log(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    run = FakeRun()
    monkeypatch.setattr(wandb_sink, "open_run", lambda *_: (run, None, 0))
    return run


def logged(fake: FakeRun, tmp_path: Path, records: Records) -> list[dict[str, Any]]:
    wandb_sink.WandbSink(tmp_path, before=records).close()
    return fake.rows


def test_what_an_algorithm_says_of_itself_is_logged_beside_the_step(fake: FakeRun, tmp_path: Path) -> None:
    rows = logged(fake, tmp_path, world_run())
    said = [row for row in rows if "sb3/train/loss" in row]
    assert said == [{"stream_step": 2, "sb3/train/loss": 0.25, "sb3/rollout/ep_rew_mean": 20.0}]
    assert "sb3/*" in fake.charts


def test_returns_are_logged_as_returns_and_never_as_nan(fake: FakeRun, tmp_path: Path) -> None:
    rows = logged(fake, tmp_path, [*world_run(), (7, Learned(1, 256, (0.1,), (NAN,), (0.5,)))])
    returns = [(row["stream_step"], row.get("train/return")) for row in rows if "train/loss" in row]
    assert returns == [(2, 20.0), (3, 40.0), (5, 0.0), (6, 60.0), (7, None)]
    assert not any("train/score" in row for row in rows)


def test_families_are_logged_at_the_ends_of_segments(fake: FakeRun, tmp_path: Path) -> None:
    rows = logged(fake, tmp_path, world_run())
    assert [(row["stream_step"], row["cl/cw_p"]) for row in rows if "cl/cw_p" in row] == [
        (3, pytest.approx(0.8)),
        (6, pytest.approx(0.7)),
    ]
    last = next(row for row in rows if row["stream_step"] == 6 and "cl/cw_p" in row)
    assert {name for name in last if name.split("/")[-1] in LINES} == {
        f"cl/{name}" for name in ("cw_p", "cw_f", "l2_pm", "l2_ft", "l2_bt", "cora_f", "cora_zsft")
    }
    assert fake.summary["return_while_learning"] == pytest.approx(30.0)
    marks = next(row["marks"] for row in rows if "marks" in row)
    assert [(mark[0], mark[1], mark[2]) for mark in marks.data if mark[1] == "found"] == [
        (6, "found", 0),
        (6, "found", 1),
    ]


@pytest.mark.parametrize(
    ("metrics", "each", "said"),
    [
        (("return", "return"), 256, "rl on worlds: 6 steps, each 256 environment steps"),
        (("return", "accuracy"), 256, "rl on worlds: 6 steps, each a batch or a stretch of time in a world"),
        (("accuracy", "accuracy"), None, "rl on worlds: 6 steps"),
    ],
)
def test_the_terminal_says_first_who_runs_and_what_a_step_is(
    metrics: tuple[str, str], each: int | None, said: str
) -> None:
    step, started = world_run()[0]
    assert isinstance(started, RunStarted)
    tasks = tuple(TaskFacts(name, metric, True, 0.0, 1.0, 10) for name, metric in zip((A, B), metrics, strict=True))
    out = io.StringIO()
    view = ConsoleView(Console(file=out, width=40, color_system=None))
    view.on(step, replace(started, tasks=tasks, env_steps_per_experience=each))
    assert out.getvalue() == f"{said}\n"
