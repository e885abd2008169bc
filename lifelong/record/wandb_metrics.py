"""What W&B is told of our metrics beforehand, so that its charts and tables are right without handwork.

Everything has the axis `stream_step`, the experiences learned. In the runs' table a metric `m` has `m.last` and, where
one end of it is the good one, `m.max` or `m.min`. The headline numbers stand there plainly: `acc`, `bwt`, `experts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wandb import Run

AXIS = "stream_step"

KEPT: dict[str, str] = {
    "train/loss": "last,min",
    "train/score": "last,max",
    "train/return": "last,max",
    "shift/statistic": "last,max",
    "cl/acc": "last,max",
    "cl/bwt": "last,max",
    "cl/fwt": "last,max",
    "cl/learning_accuracy": "last,max",
    "cl/mean_seen": "last,max",
    "cl/forgetting": "last,min",
    "task/*": "last,max",
    "mark/*": "none",
}
"""What is kept of a metric's values in the runs' table. All scores are higher-is-better."""

REST = ("train/*", "shift/*", "cl/*", "sb3/*", "expert")


def define_metrics(run: Run) -> None:
    """Tell a run's charts their axis, and its row in the table what to keep. Names go before patterns."""
    run.define_metric(AXIS)
    for name, kept in KEPT.items():
        run.define_metric(name, step_metric=AXIS, summary=kept)
    for name in REST:
        run.define_metric(name, step_metric=AXIS)
