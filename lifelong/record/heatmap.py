"""The score matrix as a heat map with its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.matrix import ScoreMatrix
from lifelong.evaluation.numbers import decimals, fixed
from lifelong.record.marks import shortened
from lifelong.record.palette import MUTED
from lifelong.record.stage import WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALE = ("#fdf3e3", "#f3c98b", "#dd8a52", "#a94b4a", "#5a2350")
"""Low to high, in even steps of lightness."""
FRAME = "#1e90ff"
"""Stands out from both ends of the scale."""
LETTER = 0.062
"""Width of a letter of the names in inches, roundly."""
DIGIT = 0.6 / 72
"""Width of a digit in inches, for each point of its size, roundly."""


def heatmap_figure(matrix: ScoreMatrix, percent: bool) -> Figure:
    """After each segment (down) the score on each task (across); the task just taught is framed."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows, columns = matrix.scores.shape
    after = ["untrained", *(f"{k}  {shortened(task, 20)}" for k, task in enumerate(matrix.segments, start=1))]
    left = LETTER * max(map(len, after)) + 0.2
    cell = min(0.8, (WIDTH - left - 0.2) / columns)
    height = 0.32 if rows <= 14 else 0.24
    slanted = LETTER * max(map(len, matrix.tasks)) > cell
    width, tall = left + cell * columns + (0.6 if slanted else 0.1), height * rows + (0.75 if slanted else 0.3)
    figure = Figure(figsize=(width, tall))
    axes = figure.add_axes((left / width, 0.05 / tall, cell * columns / width, height * rows / tall))
    shades = matrix.scores if percent else np.stack([_shades(scores) for scores in matrix.scores.T], axis=1)
    colours = LinearSegmentedColormap.from_list("scores", SCALE)
    shown = np.ma.masked_invalid(shades)
    axes.pcolormesh(shown, cmap=colours, vmin=0.0, vmax=1.0, edgecolors="#ffffff", linewidth=0.6)
    letters = 7.5 if cell > 0.42 else 6.0
    for column, scores in enumerate(matrix.scores.T):
        texts = _texts(scores, percent)
        # Digits of one place stand below each other, and the longest number in the middle.
        right = column + 0.5 + DIGIT * letters / cell * max(map(len, texts)) / 2
        for row, text in enumerate(texts):
            tint = "#ffffff" if shades[row, column] >= 0.55 else "#2a1526"
            axes.text(right, row + 0.5, text, ha="right", va="center", size=letters, color=tint)
    for row, task in enumerate(matrix.segments, start=1):
        corner = (matrix.tasks.index(task), row)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=FRAME, linewidth=1.6, clip_on=False, zorder=3))
    axes.invert_yaxis()
    axes.set_yticks(np.arange(rows) + 0.5, after)
    axes.xaxis.tick_top()
    axes.set_xticks(np.arange(columns) + 0.5, [shortened(task, 20) for task in matrix.tasks])
    if slanted:
        for label in axes.get_xticklabels():
            label.set(rotation=28, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0, labelcolor=MUTED, labelsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def _texts(scores: NDArray[np.float64], percent: bool) -> list[str]:
    """The numbers of a column: whole per cents, or as many decimals as give the largest three significant digits."""
    shown = 100 * scores if percent else scores
    places = 0 if percent else decimals(shown, 3)
    return [fixed(value, places) for value in shown.tolist()]


def _shades(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where scores of one task lie between its own low and high ones: unlike tasks have no scale in common."""
    known = scores[np.isfinite(scores)]
    if not len(known) or known.min() == known.max():
        return np.where(np.isfinite(scores), 0.0, np.nan)
    low, high = np.quantile(known, [0.05, 1.0])
    low = low if low < high else known.min()
    shades: NDArray[np.float64] = (scores - low) / (high - low)
    return shades
