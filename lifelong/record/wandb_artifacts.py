"""A run's files as W&B artifacts: the record, and the learner as it was saved last."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from lifelong.record.folder import RunFolder
from lifelong.record.parts import parts_of

if TYPE_CHECKING:
    from wandb import Run

Artifacts = Literal["all", "record", "none"]
FINAL, STOPPED = "final", "interrupted"


def log_artifacts(run: Run, folder: RunFolder, name: str, which: Artifacts, finished: bool) -> None:
    """Log `run-<name>` of type run and, where `which` is all, `model-<name>` of type model.

    Both have the alias `final`, or `interrupted` where the run did not finish, and `latest`. W&B takes copies of the
    record's small files, which a later command may write anew; a checkpoint is read where it lies when it is uploaded,
    for an offline run at `wandb sync`. Nothing is logged where nothing was recorded in the folder.
    """
    import wandb

    if which == "none" or not folder.has_record:
        return
    known = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII)[:120]
    aliases = [FINAL if finished else STOPPED, "latest"]
    record = wandb.Artifact(f"run-{known}", type="run", description="The record of one run, as lifelong wrote it.")
    for path in (folder.config, *parts_of(folder.events), folder.scores, folder.summary, folder.report):
        if path.is_file():
            record.add_file(str(path))
    run.log_artifact(record, aliases=aliases)
    checkpoints = sorted(folder.checkpoints.glob("step-*.pt"))
    if which == "all" and checkpoints:
        model = wandb.Artifact(f"model-{known}", type="model", description="The learner, as it was saved last.")
        model.add_file(str(checkpoints[-1]), policy="immutable")
        run.log_artifact(model, aliases=aliases)
