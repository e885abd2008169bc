"""Well-formed originals that are small: data sets by the names that configurations give them, and lives of a second."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRAIN, TEST, ROWS = 60, 30, 120


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """An array of unsigned bytes as an idx file."""
    head = (0x0800 + array.ndim).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.tobytes()


def images() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(N, 28, 28) handwritten digits, enlarged, and their labels; each class is among any twenty of them."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    chosen = np.concatenate([np.flatnonzero(labels == k)[: (TRAIN + TEST) // 10] for k in range(10)])
    chosen = chosen.reshape(10, -1).T.ravel()
    large = np.kron(pixels[chosen].reshape(-1, 8, 8) * 15.9, np.ones((3, 3)))
    return np.pad(large, ((0, 0), (2, 2), (2, 2))).astype(np.uint8), labels[chosen].astype(np.uint8)


def table() -> list[list[str]]:
    """Rows of eight numbers and a class, with a header."""
    draw = np.random.default_rng(0)
    rows = [[f"{x:.4f}" for x in draw.normal(size=8)] + [str(k % 2)] for k in range(ROWS)]
    return [[*(f"c{n}" for n in range(8)), "class"], *rows]


def csv_text(rows: list[list[str]], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_idx(folder: Path, packed: bool = True) -> None:
    """The four files of the MNIST family."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels, labels = images()
    for part, rows in (("train", slice(0, TRAIN)), ("t10k", slice(TRAIN, TRAIN + TEST))):
        for kind, array in (("images-idx3-ubyte", pixels[rows]), ("labels-idx1-ubyte", labels[rows])):
            raw = idx_bytes(array)
            (folder / f"{part}-{kind}{'.gz' if packed else ''}").write_bytes(gzip.compress(raw) if packed else raw)


def write_npz(file: Path) -> None:
    pixels, labels = images()
    arrays = {"x_train": pixels[:TRAIN], "y_train": labels[:TRAIN], "x_test": pixels[TRAIN:], "y_test": labels[TRAIN:]}
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def write_data(folder: Path) -> None:
    """All that the project's configurations look for in $LIFELONG_DATA, in a few kilobytes."""
    write_idx(folder / "mnist")
    rows = table()[1:]
    numbers, classes = [row[:-1] for row in rows], [row[-1:] for row in rows]
    spaced, commas, labels = csv_text(numbers, " "), csv_text(numbers), csv_text(classes)
    for name, text in {
        "elec2/elec2_data.dat.gz": spaced,
        "elec2/elec2_label.dat": labels,
        "outdoor/outdoorStream.data.gz": spaced,
        "outdoor/outdoorStream.labels": labels,
        "noaa_weather/NEweather_data.csv.gz": commas,
        "noaa_weather/NEweather_class.csv": labels,
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


QUIET = ("record.wandb=disabled", "record.console=false", "record.frames=false", "threads=1", "evaluation.within=1")
SHORT = "stream.timetable={order: A B, epochs: 1, batch_size: 32, samples: 64}"
NET = "{name: mlp, hidden: [8]}"
ACT = (
    "stream.timetable={order: A B, steps: 64, lanes: 2, experience: 32, change: now}",
    "stream.episodes=1",
    "evaluation.within=0",
)
PPO = "settings: {n_steps: 8, batch_size: 16, n_epochs: 1, policy_kwargs: {net_arch: [8]}}"
LIVES: dict[str, tuple[str, ...]] = {
    "experts": ("digits.yaml", SHORT, f"agent.network={NET}", "reference=null"),
    "beside a reference": ("digits.yaml", SHORT, "agent=finetune", "record.report=false"),
    "retained": (
        "digits.yaml", SHORT, "reference=null", "stream.scenario.boundaries=shown", "record.report=false",
        f"agent={{name: retain, network: {NET}, retention: [{{name: er, capacity: 20}}, ewc]}}",
    ),
    "one subspace": ("digits.yaml", SHORT, f"agent={{name: gpm, network: {NET}}}", "reference=null"),
    "rows": ("elec2.yaml", "reference=null"),
    "kinds": (
        "mixed.yaml", "reference=null", f"agent.network={NET}",
        "stream.timetable={order: [wine, diabetes], epochs: 1, batch_size: 32}",
    ),
    "acting": ("rl/cartpole_flip.yaml", *ACT, "reference=null", f"agent={{name: lifelong_rl, algorithm: ppo, {PPO}}}"),
}  # fmt: skip
"""Lives of about a second: a configuration, and what is put over it."""
