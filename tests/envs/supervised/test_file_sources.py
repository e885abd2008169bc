"""Idx and npz files: read to the byte, and every fault named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from lifelong.objective import Classification, Regression
from lifelong_envs.supervised.data import Idx, Npz

CPU = torch.device("cpu")
IMAGES = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3) * 10
LABELS = np.array([2, 0, 1, 2], dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small").mkdir()
    for part, count in (("train", 4), ("t10k", 2)):
        images, labels = idx(IMAGES[:count]), idx(LABELS[:count])
        (tmp_path / "small" / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (tmp_path / "small" / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    return tmp_path / "small"


def test_idx_files_are_read_packed_or_plain(folder: Path) -> None:
    loaded = Idx(folder).load(CPU)
    assert (loaded.name, loaded.outputs, loaded.objective) == ("small", 3, Classification())
    assert torch.equal(loaded.train_inputs, torch.from_numpy(IMAGES)[:, None].float() / 255)
    assert loaded.train_targets.tolist() == [2, 0, 1, 2]
    assert loaded.test_inputs.shape == (2, 1, 2, 3)


def test_idx_files_with_a_dot_in_their_names_are_found(folder: Path) -> None:
    for file in list(folder.iterdir()):
        file.rename(folder / file.name.replace("-idx", ".idx"))
    assert len(Idx(folder).load(CPU).train_inputs) == 4


def test_train_limit_keeps_the_first(folder: Path) -> None:
    loaded = Idx(folder, train_limit=3).load(CPU)
    assert loaded.train_targets.tolist() == [2, 0, 1]
    assert len(loaded.test_inputs) == 2
    with pytest.raises(ValueError, match="train_limit=0"):
        Idx(folder, train_limit=0)


def test_variables_and_home_in_a_path_are_filled_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_DATA", str(folder.parent))
    assert Idx(Path("$SOME_DATA/small")).load(CPU).name == "small"
    monkeypatch.setenv("HOME", str(folder.parent))
    assert Idx(Path("~/small")).load(CPU).name == "small"
    monkeypatch.delenv("SOME_DATA")
    with pytest.raises(ValueError, match=r"\$SOME_DATA/small: an environment variable in this path is not set"):
        Idx(Path("$SOME_DATA/small")).load(CPU)


def test_a_missing_folder_or_file_is_named_beside_what_there_is(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"Expected train-images-idx3-ubyte.gz .*nowhere does not exist"):
        Idx(folder / "nowhere").load(CPU)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(
        ValueError,
        match=r"Expected t10k-labels-idx1-ubyte.gz or .* has: t10k-images-idx3-ubyte.gz, train-images",
    ):
        Idx(folder).load(CPU)


def test_a_wrong_magic_number_is_refused(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(IMAGES))
    with pytest.raises(ValueError, match=r"train-labels.* with the magic number 2051, expected 2049"):
        Idx(folder).load(CPU)
    (folder / "train-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(ValueError, match="with the magic number 0, expected 2049"):
        Idx(folder).load(CPU)


def test_a_truncated_gz_is_refused(folder: Path) -> None:
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is cut short or damaged .*Fetch the file again"):
        Idx(folder).load(CPU)
    file.write_bytes(b"no gzip at all")
    with pytest.raises(ValueError, match="is cut short or damaged"):
        Idx(folder).load(CPU)


def test_content_that_the_header_does_not_promise_is_refused(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(LABELS)[:-1])
    with pytest.raises(ValueError, match="header promises 4 = 4 bytes, but 3 follow"):
        Idx(folder).load(CPU)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES) + b"x"))
    with pytest.raises(ValueError, match="header promises 4 x 2 x 3 = 24 bytes, but 25 follow"):
        Idx(folder).load(CPU)


def test_images_and_labels_that_do_not_match_are_refused(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:3]))
    with pytest.raises(ValueError, match="holds 4 images but train-labels-idx1-ubyte 3 labels"):
        Idx(folder).load(CPU)


def test_files_without_images_are_refused(folder: Path) -> None:
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES[:0])))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:0]))
    with pytest.raises(ValueError, match="holds no images"):
        Idx(folder).load(CPU)


COLOUR = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)


def save(file: Path, x: np.ndarray, y: np.ndarray) -> Npz:
    np.savez(file, x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    return Npz(file)


def test_npz_images_become_channels_first_between_0_and_1(tmp_path: Path) -> None:
    loaded = save(tmp_path / "colour.npz", COLOUR, np.array([[0], [1], [2], [1], [0]])).load(CPU)
    assert (loaded.name, loaded.outputs, loaded.input_shape) == ("colour", 3, (3, 4, 6))
    assert loaded.train_targets.tolist() == [0, 1, 2, 1, 0]
    assert torch.equal(loaded.train_inputs, torch.from_numpy(COLOUR).permute(0, 3, 1, 2).float() / 255)
    assert loaded.train_inputs.is_contiguous()


def test_npz_grey_images_get_a_channel_and_floats_pass(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, 1, 0], dtype=np.uint8)
    assert save(tmp_path / "grey.npz", COLOUR[..., 0], labels).load(CPU).input_shape == (1, 4, 6)
    first = save(tmp_path / "first.npz", COLOUR.transpose(0, 3, 1, 2).copy(), labels).load(CPU)
    assert first.input_shape == (3, 4, 6)
    values = np.linspace(-3, 3, 15).reshape(5, 3)
    loaded = save(tmp_path / "floats.npz", values, values).load(CPU)
    assert isinstance(loaded.objective, Regression)
    assert torch.equal(loaded.train_inputs, torch.from_numpy(values).float())


def test_npz_files_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file .*absent.npz. The folder .* has: nothing"):
        Npz(tmp_path / "absent.npz").load(CPU)
    np.savez(tmp_path / "other.npz", images=COLOUR, y_train=COLOUR)
    with pytest.raises(ValueError, match=r"lacks x_train, x_test, y_test. Expected .* it has images, y_train"):
        Npz(tmp_path / "other.npz").load(CPU)
    (tmp_path / "broken.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"broken\.np. is not an \.npz archive, or it is cut short"):
        Npz(tmp_path / "broken.npz").load(CPU)
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(ValueError, match=r"text\.np. is not an \.npz archive, or it is cut short"):
        Npz(tmp_path / "text.npz").load(CPU)
    np.save(tmp_path / "single.npy", COLOUR)
    with pytest.raises(ValueError, match=r"single\.np. is not an \.npz archive, or it is cut short"):
        Npz(tmp_path / "single.npy").load(CPU)
    words = save(tmp_path / "words.npz", COLOUR, np.array(["a", "b", "c", "d", "e"]))
    with pytest.raises(ValueError, match=r"words\.npz: y_train cannot be read as an array of numbers"):
        words.load(CPU)
    objects = save(tmp_path / "objects.npz", COLOUR, np.array([None] * 5))
    with pytest.raises(ValueError, match=r"objects\.npz: y_train cannot be read as an array of numbers"):
        objects.load(CPU)
    raw = bytearray((tmp_path / "words.npz").read_bytes())
    raw[100] ^= 255
    (tmp_path / "flipped.npz").write_bytes(raw)
    with pytest.raises(ValueError, match=r"flipped\.npz: x_train cannot be read .* Write the file again"):
        Npz(tmp_path / "flipped.npz").load(CPU)
