"""Runs of a W&B sweep: the sweep's settings as overrides of a configuration."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifelong.record.wandb_run import finish, is_open, kept_in, open_run

if TYPE_CHECKING:
    from wandb import Run


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep wants to be run: its settings as `key.path=value`, and the id of the W&B run that waits for it."""

    overrides: tuple[str, ...]
    run: str


def is_swept() -> bool:
    """Whether `wandb agent` has started this process."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


@contextmanager
def swept_run(folder: Path) -> Iterator[Swept]:
    """Inside, the W&B run of a sweep is open, and whatever is logged joins it; W&B's files lie in `folder`/wandb.

    A run that is open already is taken as it is, and left open. Raises ValueError where nobody sweeps: there is no such
    run and no `wandb agent`.
    """
    if not is_open() and not is_swept():
        raise ValueError(
            "A sweep's settings come from Weights & Biases, and no sweep has started this: write a sweep file such as "
            "configs/sweeps/digits.yaml, then `wandb sweep FILE` and the `wandb agent ...` that it names; or open a "
            "W&B run with the settings in its config before."
        )
    with kept_in(folder):
        run, ours, _ = open_run(folder, "auto", "lifelong", None, (), None, "agent", {})
        failed = True
        try:
            config: Any = run.config
            yield Swept(overrides_of(config.as_dict()), run.id)
            failed = False
        finally:
            if ours is not None:
                _finish(run, int(failed))


def _finish(run: Run, exit_code: int) -> None:
    """The run and its record are whole, whatever W&B makes of the end."""
    try:
        finish(run, exit_code)
    except Exception as error:
        warnings.warn(f"Weights & Biases could not finish the sweep's run: {error}", stacklevel=2)


def overrides_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """A W&B configuration as overrides: keys are paths with dots, or sections within sections.

    Keys with a leading underscore are W&B's own.
    """
    return tuple(
        f"{path}={json.dumps(value, ensure_ascii=False)}"
        for name, given in config.items()
        if not name.startswith("_")
        for path, value in _leaves(name, given)
    )


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}", inner)
    else:
        yield path, value
