"""Watch who acts: one episode of each world in an environment that can be rendered, as a strip of pictures."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lifelong.episodes import play
from lifelong.events import FramesDrawn
from lifelong.interaction import WorldLost
from lifelong.learner import ActingLearner
from lifelong.record.frames import Frame, picture_name, sized, write_strip
from lifelong.stream import EnvTask

if TYPE_CHECKING:
    from lifelong.interaction import Lane

FRAMES = 6
"""In a strip, evenly spaced over the episode."""


class CannotRender(RuntimeError):
    """A world gave no picture: a display, a library or a render mode is missing."""


def watch(learner: ActingLearner, tasks: Sequence[EnvTask], folder: Path) -> Iterator[FramesDrawn]:
    """Let a learner live one episode of each task that can be watched, and draw it into `folder`/frames.

    The episode is the first of the task's judging. Nothing is learned. A world that turns out not to give pictures is
    named on stderr and passed over.
    """
    for task in tasks:
        if task.watched is None:
            continue
        path = folder / "frames" / picture_name(task.name)
        try:
            with _no_display():
                frames, value = _filmed(learner, task, task.watched)
        except (CannotRender, WorldLost) as error:
            print(f"lifelong: there are no pictures of {task.name!r}: {error}.", file=sys.stderr)
            continue
        write_strip(frames, path)
        yield FramesDrawn(task.name, path.relative_to(folder).as_posix(), value)


@contextmanager
def _no_display() -> Iterator[None]:
    """Keep SDL, which pygame draws with, from looking for a display: none is needed for pictures. MuJoCo without a
    display is told to do without as well: it would look for one, and take the whole process down."""
    wanted = {"SDL_VIDEODRIVER": "dummy"}
    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        wanted["MUJOCO_GL"] = "egl"
    set_here = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(set_here)
    try:
        yield
    finally:
        for name in set_here:
            os.environ.pop(name, None)


def _filmed(learner: ActingLearner, task: EnvTask, make: Callable[[], Lane]) -> tuple[list[Frame], float]:
    """Frames of one episode, and its return."""
    film = Film(_made(make))
    try:
        # The film stands in for the lane that it goes through.
        judged = replace(task, lanes=lambda count: [cast("Lane", film)], episodes=1, measure="return")
        value = play(learner, judged).value
        return film.frames(FRAMES), value
    finally:
        with suppress(Exception):
            film.lane.close()


class Film:
    """A lane that keeps pictures of itself, at ever larger distances so that they never become many."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.observation_space, self.action_space = lane.observation_space, lane.action_space
        self._kept: list[Frame] = []
        self._steps, self._every = 0, 1

    def reset(self, seed: int) -> tuple[Any, dict[str, Any]]:
        try:
            # Some environments are made only now.
            begun = self.lane.reset(seed=seed)
        except Exception as error:
            raise CannotRender(f"it cannot be begun where it is to be rendered ({_reason(error)})") from error
        # Where an episode is begun again, nothing is to be seen of the one that failed.
        self._kept, self._steps, self._every = [], 0, 1
        self._keep()
        return begun

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        result = self.lane.step(action)
        self._steps += 1
        ended = bool(result[2] or result[3])
        if ended or self._steps % self._every == 0:
            self._keep()
        return result

    def frames(self, count: int) -> list[Frame]:
        """At most `count` of the frames, evenly spaced, the first and the last among them."""
        places = np.linspace(0, len(self._kept) - 1, min(count, len(self._kept))).round().astype(int)
        return [self._kept[place] for place in places]

    def _keep(self) -> None:
        self._kept.append(sized(_picture(self.lane)))
        if len(self._kept) > 8 * FRAMES:
            self._kept = self._kept[::2]
            self._every *= 2


def _made(make: Callable[[], Lane]) -> Lane:
    try:
        return make()
    except Exception as error:
        # Displays, GL and optional packages fail in all kinds of ways.
        raise CannotRender(f"it cannot be made to be rendered ({_reason(error)})") from error


def _picture(lane: Lane) -> Frame:
    try:
        picture = lane.render()
    except Exception as error:
        raise CannotRender(f"it cannot be rendered ({_reason(error)})") from error
    if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[2] != 3:
        raise CannotRender(f"rendered, it gives no picture (H, W, 3) but {type(picture).__name__}")
    return picture.astype(np.uint8, copy=False)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(". ")
