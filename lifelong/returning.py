"""Going on with a run: the newest checkpoint that can be trusted, and the record cut back to it."""

from __future__ import annotations

import warnings

from lifelong.checkpoint import Checkpoint, CheckpointError, checkpoints_in, read_checkpoint
from lifelong.health import Health
from lifelong.learner import Agent
from lifelong.record.folder import RunFolder
from lifelong.record.journal import Journal
from lifelong.record.jsonl import begins_with, truncate_to
from lifelong.record.operations import Operations
from lifelong.record.parts import cut
from lifelong.stream import Stream


def go_back(folder: RunFolder, stream: Stream, learner: Agent, device: str) -> Checkpoint | None:
    """Restore everything from the newest checkpoint that is whole and that the record agrees with.

    None: the run was stopped before its first checkpoint, so that nothing that lasts was learned; the record is empty
    then. Each checkpoint that is passed over is warned of. Raises CheckpointError where none of them serves.
    """
    operations = Operations(folder.operations)
    for half in folder.checkpoints.glob("*.pending"):
        # Of a process that was killed as it saved.
        half.unlink()
    refused = []
    for path in checkpoints_in(folder.checkpoints):
        try:
            checkpoint = read_checkpoint(path, stream, device)
            _must_agree(folder, checkpoint)
            checkpoint.restore(learner, stream)
        except CheckpointError as error:
            refused.append(str(error))
            operations.note("refused", 0, str(error))
            continue
        assert checkpoint.noted is not None
        truncate_to(folder.events, checkpoint.noted.cursor)
        for why in refused:
            warnings.warn(f"{why} Going on from {path.name}, the newest one that is whole", stacklevel=2)
        operations.note("resumed", checkpoint.mark.step, path.name)
        return checkpoint
    if refused:
        raise CheckpointError(
            f"{folder.path} holds no checkpoint to go on from. {' '.join(refused)} Put a copy of the folder in its "
            "place, or start the run anew in another folder."
        )
    saved = operations.last("saved")
    if saved is not None:
        raise CheckpointError(
            f"{folder.checkpoints} holds no checkpoint any more, and one was saved last as {saved}. Put a copy back, "
            "or start the run anew in another folder."
        )
    cut(folder.events, 0)
    operations.note("began", 0, "anew, as there was no checkpoint yet")
    return None


def _must_agree(folder: RunFolder, checkpoint: Checkpoint) -> None:
    if checkpoint.noted is None:
        raise CheckpointError(f"{checkpoint.path} was saved without a record, and is not of this run.")
    try:
        Journal([]).load_state_dict(checkpoint.noted.pending["journal"])
        Health().load_state_dict(checkpoint.noted.pending["health"])
    except Exception as error:
        raise CheckpointError(
            f"{checkpoint.path} does not hold what was pending of the record ({type(error).__name__}: {error})."
        ) from error
    if not begins_with(folder.events, checkpoint.noted.cursor):
        raise CheckpointError(
            f"{folder.events} is not what it was when {checkpoint.path.name} was saved: its first "
            f"{checkpoint.noted.cursor.bytes:,} bytes were changed, or are not all there."
        )
