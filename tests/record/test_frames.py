"""Pictures and their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lifelong.record.frames import BETWEEN, GAP, picture_name, sized, write_strip


def plain(height: int, width: int, shade: int) -> np.ndarray:
    return np.full((height, width, 3), shade, np.uint8)


def test_a_large_frame_is_shrunk_in_shape_and_a_small_one_grows_by_whole_pixels() -> None:
    assert sized(plain(400, 600, 7)).shape == (107, 160, 3)
    assert sized(plain(2, 3000, 7)).shape == (1, 160, 3)
    fits = plain(100, 90, 7)
    assert sized(fits) is fits
    small = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    large = sized(small)
    assert large.shape == (2 * 53, 3 * 53, 3)
    assert np.array_equal(large[::53, ::53], small)
    assert np.array_equal(large[52::53, 52::53], small)
    # However narrow, it does not become taller than a strip is meant to be.
    assert sized(plain(70, 3, 7)).shape == (140, 6, 3)
    assert np.all(sized(plain(400, 600, 7)) == 7)


def test_a_strip_holds_the_frames_in_order_with_gaps(tmp_path: Path) -> None:
    path = tmp_path / "frames" / "x.png"
    write_strip([plain(10, 20, shade) for shade in (0, 90, 180)], path)
    strip = np.asarray(Image.open(path).convert("RGB"))
    assert strip.shape == (10, 3 * 20 + 2 * GAP, 3)
    assert [int(strip[5, 10 + k * (20 + GAP), 0]) for k in range(3)] == [0, 90, 180]
    assert np.all(strip[:, 20 : 20 + GAP] == BETWEEN)
    again = tmp_path / "again.png"
    write_strip([plain(10, 20, shade) for shade in (0, 90, 180)], again)
    assert again.read_bytes() == path.read_bytes()


def test_no_frame_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no frame"):
        write_strip([], tmp_path / "x.png")


ODD = [
    "CartPole", "cartpole", "CARTPOLE", "a/b", "a\\b", "a b", "a-b", "a--b", "../../etc/passwd", "..", ".", "", " ",
    "é", "e", "名前", "con", "CON", "nul.txt", "x" * 300, "x" * 301, "push-v3", "task", "a:b", "a\nb", "end.",
    "a?", "a*",
]  # fmt: skip


def test_every_task_has_a_name_of_its_own_that_every_system_takes() -> None:
    names = [picture_name(task) for task in ODD]
    assert len({name.casefold() for name in names}) == len(ODD)
    for name in names:
        stem = name.removesuffix(".png")
        assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
        assert stem[0] not in ".-"
        assert stem[-1] not in ".-"
        assert len(name) < 80
        assert stem.split(".")[0] not in ("con", "nul")


def test_plain_names_stay_as_they_are() -> None:
    assert [picture_name(task) for task in ("push-v3", "cartpole", "a_b.c")] == [
        "push-v3.png",
        "cartpole.png",
        "a_b.c.png",
    ]
