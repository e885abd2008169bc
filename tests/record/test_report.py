"""The report: whole, safe, the same every time, and quick also for long runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lifelong.evaluation.summary import summarize
from lifelong.events import Event, RunStarted
from lifelong.record.curves import mean_curve, prequential_curve, task_curve
from lifelong.record.folder import RunFolder
from lifelong.record.inside import envelope
from lifelong.record.jsonl import EventLog
from lifelong.record.marks import shortened, spread
from lifelong.record.report import write_report
from lifelong.record.runs import read_run

Records = list[tuple[int, Event]]
MakeRun = Callable[..., Records]
CONFIG = "# lifelong run config.yaml\nseed: 7  # <not a tag>\n"
VOID = {"meta", "br", "img", "path", "use", "rect", "line"}


def recorded(path: Path, records: Records, whole: bool = True) -> Path:
    folder = RunFolder(path).create()
    log = EventLog(folder.events)
    for step, event in records:
        log.on(step, event)
    log.close()
    if whole:
        folder.config.write_text(CONFIG)
        folder.write_summary(summarize(records, 66.0, {"torch": "2.13.0"}))
    return path


class Page(HTMLParser):
    """The text, the ids and the outside addresses of a page; fails where tags do not close."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(source)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                self.addresses.append(value or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> str:
    folder = tmp_path_factory.mktemp("written")
    run = recorded(folder / "run", make_run())
    naive = recorded(folder / "naive", make_run("finetune"))
    write_report(run, folder / "report.html", naive=naive)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_a_report_says_what_ran_and_what_came_out(written: str) -> None:
    text = " ".join(" ".join(Page(written).text).split())
    for said in (
        "flagship on made-up images",
        "flagship learned its tasks to 95.2 % and kept old ones within 1 point;",
        "and lost 75.7 points on old ones.",
        "95.3 %",
        "finetune: 38.0 %",
        "4 of 4",
        "Shift found (right): it began at step 400",
        "Shift found (false alarm): it began at step 636",
        "Alarm dismissed",
        "Protected directions",
        "74.9 % of what experts share was still free to learn",
        "196 of 784 75.0 % Gpm",
        "frozen - 0.0 % used by <relu>",
        "per expert - - of expert-0 alone",
        "threshold 15",
        "lifelong run config.yaml",
        "torch 2.13.0",
        "1 min 06 s",
        "hidden from the learner",
    ):
        assert said in text, said


def test_a_page_needs_nothing_from_outside_and_runs_nothing(written: str) -> None:
    page = Page(written)
    assert "script" not in page.tags
    assert not page.tags & {"link", "img", "iframe", "object"}
    assert all(address.startswith("#") for address in page.addresses)
    assert not re.search(r"url\((?!#)", written)
    assert "@import" not in written


def test_ids_are_unique_and_every_reference_has_its_target(written: str) -> None:
    page = Page(written)
    assert len(page.ids) == len(set(page.ids)) > 50
    used = {address[1:] for address in page.addresses} | set(re.findall(r"url\(#([^)]+)\)", written))
    assert used <= set(page.ids)


def test_what_users_named_is_escaped_everywhere(tmp_path: Path, make_run: MakeRun) -> None:
    evil = '<script>alert("x")</script>&amp;$x$'
    records: Records = [
        (step, replace(event, agent=evil, stream=evil) if isinstance(event, RunStarted) else event)
        for step, event in make_run()
    ]
    write_report(recorded(tmp_path / "run", records), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "marks" not in page.tags
    assert f"{evil} on {evil}" in "".join(page.text)
    assert "letters & <marks>" in "".join(page.text)
    assert CONFIG in "".join(page.text)


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path, make_run: MakeRun) -> None:
    run = recorded(tmp_path / "run", make_run())
    for name in ("a", "b"):
        write_report([run], tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


STOPS = [
    pytest.param(agent, length, marks=[] if length in few else pytest.mark.slow)
    for agent, few in (("flagship", (1, 2, 6, 7, 60)), ("finetune", (7, 60)))
    for length in (1, 2, 6, 7, 12, 30, 60)
]


@pytest.mark.parametrize(("agent", "length"), STOPS)
def test_a_run_stopped_anywhere_has_a_report_that_says_so(
    tmp_path: Path, make_run: MakeRun, agent: str, length: int
) -> None:
    run = recorded(tmp_path / "run", make_run(agent)[:length], whole=False)
    write_report(run, tmp_path / "report.html")
    text = "".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).text)
    assert "did not finish" in text
    assert "holds no config.yaml" in text


def test_several_runs_are_compared_side_by_side(tmp_path: Path, make_run: MakeRun) -> None:
    runs = [recorded(tmp_path / agent, make_run(agent)) for agent in ("finetune", "flagship")]
    write_report(runs, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    text = "".join(page.text)
    assert "2 runs on made-up images" in text
    assert "finetune: each task over time" in text
    assert "flagship: each task over time" in text
    assert "finetune 38.0 %" in text
    assert len(page.ids) == len(set(page.ids))


def test_a_metric_without_bounds_and_better_when_lower_is_drawn(tmp_path: Path, make_run: MakeRun) -> None:
    records: Records = []
    for step, event in make_run():
        if isinstance(event, RunStarted):
            facts = [
                replace(f, metric="absolute_error", higher_is_better=False, high=float("inf")) for f in event.tasks
            ]
            event = replace(event, tasks=tuple(facts))
        records.append((step, event))
    write_report(recorded(tmp_path / "run", records), tmp_path / "report.html")
    text = "".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).text)
    assert "absolute_error" in text
    assert "95.3 %" not in text
    assert "0.953" in text


def test_a_threshold_that_nothing_passes_is_not_drawn(tmp_path: Path, make_run: MakeRun) -> None:
    texts = []
    for bound in (15.0, float("inf")):
        started = [
            (step, replace(event, threshold=bound) if isinstance(event, RunStarted) else event)
            for step, event in make_run()
        ]
        write_report(recorded(tmp_path / f"run {bound}", started), tmp_path / "report.html")
        texts.append(" ".join("".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).text).split()))
    with_it, without = texts
    assert "threshold 15" in with_it
    assert "Above the threshold the learner" in with_it
    assert "By other signs than this one the learner" in without
    assert "threshold inf" not in without
    # All of the statistic is shown: nothing stands above a line that is not there.
    assert "Detector statistic (peaks are cut off)" not in without
    assert "Detector statistic" in without


def test_sixty_thousand_steps_are_drawn_fast_and_small(tmp_path: Path, make_run: MakeRun) -> None:
    run = recorded(tmp_path / "run", make_run(segments="ABCDEFGHIJABCDEFGHIJ", steps=3000))
    start = time.perf_counter()
    write_report(run, tmp_path / "report.html")
    assert time.perf_counter() - start < 10
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_no_run_at_all_and_a_folder_without_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        write_report([], tmp_path / "report.html")
    with pytest.raises(FileNotFoundError, match="holds no events"):
        write_report(tmp_path, tmp_path / "report.html")


def test_curves_are_those_of_the_record(tmp_path: Path, make_run: MakeRun) -> None:
    run = read_run(recorded(tmp_path / "run", make_run()))
    steps, scores = task_curve(run, "digits")
    assert steps[0] == 0
    assert steps[-1] == 2000
    assert len(steps) == 26
    assert scores[-1] == run.matrix.column("digits")[-1]
    steps, means = mean_curve(run)
    assert steps[0] == 80
    assert means[-1] == pytest.approx(run.matrix.scores[-1].mean())
    steps, smooth = prequential_curve(run, bins=10)
    assert len(smooth) == 10
    assert smooth[0] == pytest.approx(run.trace.scores[:200].mean())
    assert steps[0] == pytest.approx(100.5)


def test_thinning_keeps_every_peak_and_the_order() -> None:
    steps, values = np.arange(10_000), np.random.default_rng(0).normal(size=10_000)
    values[7_777] = 99.0
    values[1_234] = -99.0
    thin_steps, thin = envelope(steps, values, 100)
    assert len(thin) <= 200
    assert thin.max() == 99.0
    assert thin.min() == -99.0
    assert np.all(np.diff(thin_steps) >= 0)
    assert np.array_equal(values[thin_steps], thin)
    assert envelope(steps[:50], values[:50], 100)[1] is not None
    assert len(envelope(steps[:50], values[:50], 100)[1]) == 50


def test_labels_are_moved_apart_only_as_far_as_needed() -> None:
    assert spread([1.0, 5.0], 2.0, 0.0, 10.0) == [1.0, 5.0]
    assert spread([5.0, 5.0], 2.0, 0.0, 10.0) == [4.0, 6.0]
    assert spread([9.9, 9.9, 10.0], 2.0, 0.0, 10.0) == pytest.approx([6.0, 8.0, 10.0])
    crowded = spread(sorted(np.random.default_rng(1).uniform(0, 10, 9)), 1.0, 0.0, 10.0)
    assert all(after - before > 1.0 - 1e-6 for before, after in pairwise(crowded))
    assert min(crowded) >= -1e-9
    assert max(crowded) <= 10 + 1e-9


def test_long_names_are_cut() -> None:
    assert [shortened("permutation", room) for room in (11, 6, 4)] == ["permutation", "permu…", ""]
