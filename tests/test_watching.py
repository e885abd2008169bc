"""Pictures of episodes: which, from which world, and what happens where there are none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sides import Habit, Sides, ToyWorlds, sides

from lifelong.config.settings import RecordSettings
from lifelong.events import FramesDrawn, RunFinished
from lifelong.lifetime import run
from lifelong.record.frames import GAP
from lifelong.watching import FRAMES, Film, watch


def watchable(name: str, pays: int, length: int = 5, mode: str | None = "rgb_array") -> Any:
    return sides(name, pays, watched=lambda: Sides(pays, length, mode))


def left_hand() -> Habit:
    return Habit(values=np.array([1.0, 0.0]))


def test_each_world_is_drawn_with_the_return_of_the_episode(tmp_path: Path) -> None:
    drawn = list(watch(left_hand(), [watchable("left", 0), watchable("Right", 1, 3)], tmp_path))
    assert [(fact.task, fact.value) for fact in drawn] == [("left", 5.0), ("Right", 0.0)]
    assert drawn[0].path == "frames/left.png"
    wide = [Image.open(tmp_path / fact.path).size for fact in drawn]
    # Six frames of five steps and the start, four of three steps.
    assert wide == [(6 * (160 + GAP) - GAP, 80), (4 * (160 + GAP) - GAP, 80)]


def test_a_success_rate_is_drawn_with_its_return_too(tmp_path: Path) -> None:
    task = sides("left", 0, measure="success", watched=lambda: Sides(0, 7, "rgb_array"))
    (drawn,) = watch(left_hand(), [task], tmp_path)
    assert drawn.value == 7.0


def test_watching_teaches_nothing_and_closes_the_world(tmp_path: Path) -> None:
    made = []

    def make() -> Sides:
        made.append(Closing(0, 5, "rgb_array"))
        return made[-1]

    learner = left_hand()
    before = learner.state_dict()
    list(watch(learner, [sides("left", 0, watched=make)], tmp_path))
    assert learner.state_dict() == before
    assert [lane.closed for lane in made] == [True]


def test_no_display_is_looked_for_while_watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def make() -> Sides:
        seen.append(os.environ.get("SDL_VIDEODRIVER"))
        return Sides(0, 5, "rgb_array")

    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    list(watch(left_hand(), [sides("left", 0, watched=make)], tmp_path))
    assert "SDL_VIDEODRIVER" not in os.environ
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    list(watch(left_hand(), [sides("left", 0, watched=make)], tmp_path))
    assert seen == ["dummy", "x11"]
    assert os.environ["SDL_VIDEODRIVER"] == "x11"


class Closing(Sides):
    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("length", [1, 2, 5, 6, 7, 48, 49, 50, 333])
def test_frames_are_evenly_spaced_and_hold_the_first_and_the_last(length: int) -> None:
    film = Film(Sides(0, length, "rgb_array", size=160))
    film.reset(seed=0)
    ended = False
    while not ended:
        _, _, ended, _, _ = film.step(0)
    frames = film.frames(FRAMES)
    assert len(frames) == min(FRAMES, length + 1)
    shown = [float((frame[0, :, 0] == 40).mean()) for frame in frames]
    assert shown[0] == 0.0
    assert shown[-1] == 1.0
    steps = np.diff(shown) * length
    assert np.all(steps > 0)
    # No two gaps differ by more than the distance at which frames are kept, and the rounding to it.
    assert np.ptp(steps) <= 2 * max(1, length / (4 * FRAMES)) + 0.1


def test_a_long_film_keeps_few_pictures() -> None:
    film = Film(Sides(0, 10_000, "rgb_array", size=8))
    film.reset(seed=0)
    for _ in range(5000):
        film.step(0)
    assert len(film._kept) <= 8 * FRAMES


def broken() -> Any:
    raise ImportError("pygame is not installed.")


class MadeLate(Sides):
    """Made only when it begins, as a lane makes its environments."""

    def reset(self, **_: Any) -> Any:
        raise ValueError("it takes no render_mode")


class Crashing(Sides):
    def render(self) -> Any:
        raise OSError("no display")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (MadeLate, "it cannot be begun where it is to be rendered (ValueError: it takes no render_mode)."),
        (broken, "it cannot be made to be rendered (ImportError: pygame is not installed)."),
        (lambda: Crashing(0, 5, "rgb_array"), "it cannot be rendered (OSError: no display)."),
        (lambda: Sides(0), "rendered, it gives no picture (H, W, 3) but NoneType."),
    ],
)
def test_a_world_that_cannot_be_rendered_is_passed_over_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, why: str
) -> None:
    drawn = list(watch(left_hand(), [sides("dark", 0, watched=make), watchable("left", 0)], tmp_path))
    assert [fact.task for fact in drawn] == ["left"]
    assert capsys.readouterr().err == f"lifelong: there are no pictures of 'dark': {why}\n"


def test_an_actor_that_fails_is_not_taken_for_a_world_that_cannot_be_rendered(tmp_path: Path) -> None:
    class Clumsy(Habit):
        def actor(self, stage: Any) -> Any:
            raise RuntimeError("defect")

    with pytest.raises(RuntimeError, match="defect"):
        list(watch(Clumsy(), [watchable("left", 0)], tmp_path))


def worlds() -> ToyWorlds:
    return ToyWorlds([watchable("left", 0), sides("dark", 1)])


def test_a_run_ends_with_pictures_of_the_worlds_that_can_be_watched(tmp_path: Path) -> None:
    result = run(worlds(), Habit(), out=tmp_path / "run")
    kinds = [type(event) for _, event in result.events]
    assert kinds[-2:] == [RunFinished, FramesDrawn]
    (step, fact) = result.events[-1]
    assert isinstance(fact, FramesDrawn)
    assert (step, fact.task) == (12, "left")
    assert (tmp_path / "run" / fact.path).is_file()
    report = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in report
    assert "There are no pictures of dark." in report


def test_without_a_folder_or_without_frames_nothing_is_drawn(tmp_path: Path) -> None:
    for result in (run(worlds(), Habit()), run(worlds(), Habit(), out=tmp_path / "run", frames=False)):
        assert not any(isinstance(event, FramesDrawn) for _, event in result.events)
    assert not (tmp_path / "run/frames").exists()
    assert RecordSettings().frames


def test_a_run_in_worlds_is_the_same_every_time_and_after_a_stop(tmp_path: Path) -> None:
    whole = run(worlds(), Habit(), out=tmp_path / "whole")
    again = run(worlds(), Habit(), out=tmp_path / "again")
    assert (tmp_path / "whole/events.jsonl").read_bytes() == (tmp_path / "again/events.jsonl").read_bytes()
    resumed = run(worlds(), Habit(), out=tmp_path / "again", resume=True)
    assert resumed.events == whole.events == again.events
