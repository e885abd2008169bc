"""The command line: run a study, report on it, list what there is. Heavy modules load where they are used."""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from lifelong import cli_recorded, cli_studies
from lifelong.blame import is_for_people
from lifelong.exits import INTERRUPTED, OK, RECORD_LOST, STOPPED, USER_ERROR
from lifelong.record.jsonl import RecordLost
from lifelong.saying import printable
from lifelong.shortage import is_shortage, said_of
from lifelong.stopping import GridStopped, RunStopped

if TYPE_CHECKING:
    from lifelong.config import Resolved

RUNS = Path("runs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code: 0 fine, 1 runs of a study failed, 2 a mistake to put right, 130 Ctrl-C.

    75: a run was asked to stop and is saved; 74: its record could not be written any more. A defect passes through as
    the exception that it is, with which Python exits with 1.
    """
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    said, warnings.formatwarning = warnings.formatwarning, _warning
    try:
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("lifelong: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; Python must not complain about it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (RunStopped, GridStopped) as stopped:
        _say(stopped)
        return STOPPED
    except RecordLost as lost:
        _say(lost)
        return RECORD_LOST
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        _say(said_of(error))
        return USER_ERROR
    except (ValueError, OSError) as error:
        if not is_for_people(error):
            raise
        _say(error)
        return USER_ERROR
    finally:
        warnings.formatwarning = said


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lifelong",
        description="Agents that never stop learning: run studies on streams of tasks and report on them.",
        epilog="Exit codes: 0 fine, 1 a defect, 2 a mistake to put right, 74 the record could not be written, "
        "75 stopped and saved (`lifelong resume` goes on), 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"lifelong {version('lifelong')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a configuration", description="Run a configuration.")
    run.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file")
    run.add_argument("overrides", nargs="*", metavar="key.path=value", help="settings put over the file's")
    run.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (default: a new one in runs/)")
    run.add_argument("--seed", type=int, metavar="N", help="short for seed=N")
    run.add_argument(
        "--resume",
        choices=("never", "auto"),
        default="never",
        help="auto: go on with the run in the folder where there is one, else begin it (default: never)",
    )
    run.add_argument("--dry-run", action="store_true", help="show what would be run and run nothing")
    run.add_argument(
        "--sweep",
        action="store_true",
        help="take settings from the open W&B run too, as `wandb agent` has it done by itself",
    )
    run.set_defaults(command=_run)

    resume = commands.add_parser("resume", help="go on with an interrupted run from its last checkpoint")
    resume.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    resume.set_defaults(command=_resume)

    references = commands.add_parser(
        "references",
        help="measure each world of a configuration: at random, and by an agent alone",
        description="Measure each world of a configuration: a random policy's return, and what an agent comes to that "
        "has this world to itself, for as long as its first visit. What was measured before is not measured again.",
    )
    references.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file")
    references.add_argument("overrides", nargs="*", metavar="key.path=value", help="settings put over the file's")
    references.add_argument("--of", choices=("agent", "reference"), default="agent", help="whose, of the file's two")
    references.add_argument("--episodes", type=int, default=100, metavar="N", help="of the random policy (100)")
    references.add_argument("--cache", type=Path, metavar="DIR", help="what was measured before (default: the user's)")
    references.add_argument("--out", type=Path, metavar="FILE", help="a JSON file for `lifelong report RUN --alone`")
    references.set_defaults(command=_references)

    cli_recorded.add(commands)
    with_overrides = (_run, _references, *cli_studies.add(commands))

    listing = commands.add_parser("list", help="list streams, agents and other components")
    listing.add_argument("group", nargs="?", metavar="GROUP", help="data, streams, agents, detectors, ...")
    listing.set_defaults(command=_list)

    schema = commands.add_parser("schema", help="print the JSON schema of configurations, for editors")
    schema.add_argument("--all", action="store_true", help="also name what other installed packages bring")
    schema.set_defaults(command=_schema)

    options, rest = parser.parse_known_args(arguments)
    # argparse gives up on `key=value` words that come after an option.
    late = [word for word in rest if not word.startswith("-")]
    if len(late) < len(rest) or (late and options.command not in with_overrides):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if late:
        options.overrides += late
    return options


def _run(options: argparse.Namespace) -> int:
    from lifelong.config import load_config

    seed = [] if options.seed is None else [f"seed={options.seed}"]
    overrides = [*options.overrides, *seed]
    if not options.dry_run and (options.sweep or os.environ.get("WANDB_SWEEP_ID")):
        return _run_swept(options, overrides)
    resolved = load_config(options.config, overrides)
    goes_on = options.resume == "auto"
    out: Path = options.out or (_folder(resolved) if goes_on else _free_folder(resolved))
    if options.dry_run:
        _show(resolved, out)
        return OK
    from lifelong.runs import run_config

    run_config(resolved, out, goes_on)
    return OK


def _run_swept(options: argparse.Namespace, overrides: Sequence[str]) -> int:
    """Run what a W&B sweep asks for, within its run."""
    from lifelong.config import load_config
    from lifelong.runs import run_config
    from lifelong.sweep import swept_run

    with swept_run(options.out or RUNS) as swept:
        # A sweep goes by what it is told there.
        resolved = load_config(options.config, [*overrides, "record.wandb=auto"], swept.overrides)
        # Agents that run at the same time must not choose the same folder.
        out: Path = options.out or _free_folder(resolved, f"-{swept.run}")
        run_config(resolved, out)
    return OK


def _show(resolved: Resolved, out: Path) -> None:
    """What `run` would do: the settings, the segments of the stream, and where the record would go."""
    from lifelong.beforehand import look_ahead

    study = resolved.build()
    print(resolved.to_yaml())
    print(f"# device {study.device}; stream {study.stream.name!r}:")
    start = 0
    for number, segment in enumerate(study.stream.segments):
        print(f"#   segment {number}: task {segment.task}, steps {start} to {start + segment.steps - 1}")
        start += segment.steps
    if study.stream.segments:
        print(f"# {len(study.stream.tasks)} tasks, {len(study.stream.segments)} segments, {start} steps.")
    else:
        print("#   as long as anything comes")
    for section, plan in reversed(study.plans):
        look_ahead(study.stream, plan.build(), f"{section} {plan.name}")
    who = [plan.name for _, plan in study.plans]
    print(f"# {' and then '.join(who)} would live through it, and {out} would hold the record.")


def _resume(options: argparse.Namespace) -> int:
    from lifelong.runs import resume

    resume(options.run)
    return OK


def _references(options: argparse.Namespace) -> int:
    from lifelong.config import load_config
    from lifelong.runs import measure_references

    resolved = load_config(options.config, options.overrides)
    measure_references(resolved, options.of == "reference", options.episodes, options.cache, options.out)
    return OK


def _list(options: argparse.Namespace) -> int:
    from lifelong.config.errors import nearest
    from lifelong.config.locate import GROUPS, listing

    short = {group.partition(".")[2]: group for group in GROUPS.values()}
    if options.group is not None and options.group not in short:
        close = nearest(options.group, short)
        raise ValueError(f"there is no group {options.group!r}. {close} There are: {', '.join(short)}.")
    for name, group in short.items() if options.group is None else [(options.group, short[options.group])]:
        print(f"{name}:")
        found = listing(group)
        width = max((len(item.name) for item in found), default=0)
        for item in found:
            foreign = "" if item.package == "lifelong" else f" [{item.package}]"
            said = f"BROKEN: {item.error}" if item.error else item.summary
            print(f"  {item.name:{width}}  {said}{foreign}")
    return OK


def _schema(options: argparse.Namespace) -> int:
    import json

    from lifelong.config.schema import BUILT_IN, config_schema

    print(json.dumps(config_schema(None if options.all else BUILT_IN), indent=2, ensure_ascii=False))
    return OK


def _folder(resolved: Resolved, end: str = "") -> Path:
    """`runs/<config>-<agent>-s<seed><end>`."""
    return RUNS / re.sub(r"[^\w.-]+", "-", f"{resolved.path.stem}-{resolved.agent_name}-s{resolved.seed}{end}")


def _free_folder(resolved: Resolved, end: str = "") -> Path:
    """The same, with -2, -3, ... behind it where that is taken."""
    first = _folder(resolved, end)
    candidates = (first if n == 1 else first.with_name(f"{first.name}-{n}") for n in count(1))
    return next(folder for folder in candidates if not folder.exists())


def _say(what: object) -> None:
    # A whole configuration's problems, each of which is cut by itself.
    print(f"lifelong: {printable(str(what), 50_000)}", file=sys.stderr)


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Warnings to users as they read; all others with where they come from."""
    if category is UserWarning:
        return f"lifelong: warning: {printable(str(message))}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


if __name__ == "__main__":
    sys.exit(main())
