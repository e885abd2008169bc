"""Pictures of an episode: a few frames of it side by side, as one PNG for each task in the run's folder.

H, W: height and width in pixels; a frame is (H, W, 3) uint8.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]

WIDTH = 160
"""Pixels of a frame in the strip."""
GAP = 4
BETWEEN = 226
"""Grey of the bars between frames, which tells them apart where they are white."""
COLOURS = 128
"""In a picture's palette: a strip of six frames stays well below 100 kB."""


def sized(frame: Frame, width: int = WIDTH) -> Frame:
    """A frame made smaller to a width, its shape kept; of a small one every pixel becomes a square of pixels."""
    from PIL import Image

    height, wide = frame.shape[:2]
    if wide <= width:
        times = max(1, width // max(wide, height))
        return frame if times == 1 else frame.repeat(times, axis=0).repeat(times, axis=1)
    size = (width, max(1, round(height * width / wide)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def write_strip(frames: Sequence[Frame], path: Path) -> None:
    """Write frames of equal size side by side into one PNG. Raises ValueError where there is none."""
    from PIL import Image

    if not frames:
        raise ValueError(f"There is no frame to write into {path}.")
    height, width = frames[0].shape[:2]
    strip = np.full((height, len(frames) * (width + GAP) - GAP, 3), BETWEEN, dtype=np.uint8)
    for place, frame in enumerate(frames):
        strip[:, place * (width + GAP) : place * (width + GAP) + width] = frame
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(strip).quantize(COLOURS).save(path, format="PNG", optimize=True)


def picture_name(task: str) -> str:
    """A file's name for a task of any name: the same for the same task, another one for another, on every system.

    Names of small letters, digits, dots, dashes and underscores stay; others get part of a digest of the whole behind
    what is left of them.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,62}[a-z0-9]|[a-z0-9]", task) and not _reserved(task):
        return f"{task}.png"
    left = re.sub(r"[^a-z0-9]+", "-", task.lower()).strip("-")[:40]
    digest = hashlib.sha256(task.encode()).hexdigest()[:12]
    return f"{left or 'task'}--{digest}.png"


def _reserved(name: str) -> bool:
    """Windows takes these for devices, also with an ending. A digest of ours cannot be anybody's name either."""
    return bool(re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)) or "--" in name
