"""Opening a Weights & Biases run that never blocks, never asks, and always ends up somewhere."""

from __future__ import annotations

import netrc
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse

from lifelong.record.wandb_kept import NOWHERE, Kept, kept_for

if TYPE_CHECKING:
    from wandb import Run

Mode = Literal["auto", "online", "offline", "disabled"]
PATIENCE = 10.0
"""Seconds to wait for the server before going on offline."""
_GIVEN_UP: set[str] = set()
"""Runs that W&B could not finish, and still takes for open."""


def open_run(
    folder: Path,
    mode: Mode,
    project: str,
    group: str | None,
    tags: Sequence[str],
    name: str | None,
    job_type: str | None,
    config: Mapping[str, object],
) -> tuple[Run, Kept | None, int]:
    """A run to log to; what is kept of it (None: the user has started it, and it is joined); rows that it has already.

    auto: online with a key, unless WANDB_MODE says otherwise, else offline. Where the server cannot be reached, or an
    online run has no key, the run goes on offline and says so. A folder that was logged before goes on in the same run:
    online behind the rows of its record that the server has; offline it is written anew.
    """
    import wandb

    joined: Any = _open_one()
    if joined is not None:
        joined.config.update(dict(config), allow_val_change=True)
        return joined, None, 0

    folder.mkdir(parents=True, exist_ok=True)
    # A run that is named from outside, as those of sweeps are, is no business of this folder.
    named = os.environ.get("WANDB_RUN_ID") or os.environ.get("WANDB_SWEEP_ID")
    kept, again = (NOWHERE, False) if named else kept_for(folder, project)

    def start(actual: Literal["online", "offline", "disabled"]) -> Run:
        with kept_in(folder):
            return wandb.init(
                project=project,
                dir=folder,
                group=group,
                tags=list(tags),
                name=name,
                id=kept.id or None,
                # Offline it is ignored, with a warning.
                resume="allow" if actual == "online" and again else None,
                job_type=job_type,
                # A run that could not be finished would be given back here.
                reinit="create_new" if wandb.run is not None else None,
                config=dict(config),
                mode=actual,
                settings=wandb.Settings(init_timeout=PATIENCE, silent=actual == "offline"),
            )

    if mode == "auto":
        mode = _asked_for() or ("online" if _has_key() else "offline")
    if mode == "online":
        if _has_key():
            try:
                run = start("online")
                kept.save(folder)
                return run, kept, max(0, run.step - kept.closing) if again and run.resumed else 0
            except (wandb.errors.Error, OSError, TimeoutError) as error:
                _say(f"cannot be reached ({str(error).splitlines()[0]}), so this run is logged offline")
        else:
            _say("has no API key (WANDB_API_KEY, or `wandb login`), so this run is logged offline")
    elif mode == "disabled":
        return start("disabled"), NOWHERE, 0
    kept = kept.anew(folder)
    return start("offline"), kept, 0


def is_open() -> bool:
    """Whether somebody has started a W&B run in this process already, so that ours would join it."""
    return _open_one() is not None


def finish(run: Run, exit_code: int) -> None:
    """Finish a run; where W&B fails in that too, nobody joins this run any more. Raises what W&B raises."""
    try:
        run.finish(exit_code=exit_code)
    except BaseException:
        _GIVEN_UP.add(run.id)
        raise


def _open_one() -> Run | None:
    wandb: Any = sys.modules.get("wandb")
    run: Run | None = None if wandb is None else wandb.run
    return None if run is None or run.id in _GIVEN_UP else run


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Let W&B put its working files into `folder`/wandb too, and not into the user's home, unless told otherwise."""
    places = {name: str(folder / "wandb") for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR") if name not in os.environ}
    os.environ.update(places)
    try:
        yield
    finally:
        for name in places:
            os.environ.pop(name, None)


def _asked_for() -> Mode | None:
    wanted = os.environ.get("WANDB_MODE", "")
    known: dict[str, Mode] = {"online": "online", "offline": "offline", "disabled": "disabled", "dryrun": "offline"}
    return known.get(wanted)


def _has_key() -> bool:
    """Whether a login is set up, in the environment or in the netrc file that `wandb login` writes."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    places = [os.environ.get("NETRC"), "~/.netrc", "~/_netrc"]
    for place in (Path(place).expanduser() for place in places if place):
        try:
            if netrc.netrc(place).authenticators(host) is not None:
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def _say(what: str) -> None:
    print(f"lifelong: Weights & Biases {what}; upload it later with `wandb sync`.", file=sys.stderr)
