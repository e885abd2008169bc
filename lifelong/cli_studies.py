"""The commands of the command line that run many runs. Heavy modules load where they are used."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lifelong.exits import DEFECT, OK

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

Command = Callable[[argparse.Namespace], int]


def add(commands: Commands) -> tuple[Command, ...]:
    """Add these commands; returns those that take settings as key.path=value."""
    _add_study(commands)
    _add_tune(commands)
    return _study, _tune


def _add_study(commands: Commands) -> None:
    study = commands.add_parser(
        "study",
        help="run a grid of agents and seeds, and compare them",
        description="Run a configuration's agents on several seeds, beside references, each cell an ordinary run. What "
        "is finished is not run again, what was stopped goes on: give the same command once more.",
    )
    study.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file; its `agents` are the ones compared")
    study.add_argument("overrides", nargs="*", metavar="key.path=value", help="settings put over the file's")
    study.add_argument("--agents", metavar="A,B", help="labels of the file's agents, or names of others (default: all)")
    study.add_argument("--seeds", default="0-4", metavar="SEEDS", help="such as 0-4 or 0,3,7-9 (0-4)")
    study.add_argument("--jobs", type=int, metavar="N", help="runs at a time (default: one to a GPU, or to a core)")
    study.add_argument("--engine", choices=("local", "ray"), default="local", help="what runs them (local)")
    study.add_argument("--out", type=Path, metavar="DIR", help="folder of the study (default: studies/CONFIG)")
    study.add_argument("--baseline", metavar="LABEL", help="whom differences are to (default: naive)")
    study.add_argument(
        "--references",
        default="all",
        metavar="WHICH",
        help="agents added to compare with: all, none, or some of naive,joint,independent,frozen,replay (all)",
    )
    study.set_defaults(command=_study)


def _add_tune(commands: Commands) -> None:
    tune = commands.add_parser(
        "tune",
        help="find an agent's settings on the first tasks of a stream",
        description="Find an agent's settings on the first segments of a stream alone, judged on samples held out from "
        "their training data. Writes best.yaml, to be run. The same command once more goes on with the search.",
    )
    tune.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file")
    tune.add_argument("overrides", nargs="*", metavar="key.path=value", help="settings put over the file's")
    tune.add_argument("--agent", metavar="NAME", help="a label of the file's agents, or another's name (its `agent`)")
    tune.add_argument(
        "--space", nargs="+", action="extend", default=[], metavar="KEY=VALUES", help="low:high[:log], a,b,c"
    )
    tune.add_argument("--trials", type=int, default=20, metavar="N", help="in all (20)")
    tune.add_argument("--tasks", type=int, default=3, metavar="K", help="segments of the stream's beginning (3)")
    tune.add_argument("--seeds", default="100-101", metavar="SEEDS", help="such as 100-101 (100-101)")
    tune.add_argument("--objective", choices=("acc", "acc+budget"), default="acc", help="what is to be best (acc)")
    tune.add_argument("--budget", type=float, metavar="X", help="forgetting allowed: acc+budget (0.05)")
    tune.add_argument("--held-out", type=float, default=0.1, metavar="X", help="share judged on; 0: test sets (0.1)")
    tune.add_argument("--jobs", type=int, default=1, metavar="N", help="seeds of a trial at a time (1)")
    tune.add_argument("--out", type=Path, metavar="DIR", help="folder of the search (default: tuning/CONFIG-AGENT)")
    tune.set_defaults(command=_tune)


def _study(options: argparse.Namespace) -> int:
    from lifelong.config import load_config
    from lifelong.study.plan import seeds_of
    from lifelong.study.references import references_of
    from lifelong.study.run import engine_of, study

    resolved = load_config(options.config, options.overrides)
    out: Path = options.out or Path("studies") / options.config.stem
    if options.agents is not None and not options.agents.strip(", "):
        raise ValueError("got --agents without any: name some, or leave it out for all of the configuration.")
    results = study(
        resolved,
        out,
        seeds_of(options.seeds),
        engine_of(options.engine, resolved, out, options.jobs),
        asked=tuple(filter(None, (options.agents or "").split(","))),
        references=references_of(options.references),
        baseline=options.baseline,
    )
    return DEFECT if results.failed else OK


def _tune(options: argparse.Namespace) -> int:
    from lifelong.config import load_config
    from lifelong.study.plan import contender_of, seeds_of
    from lifelong.study.run import engine_of
    from lifelong.tuning.space import dimension
    from lifelong.tuning.tune import BEST, Search, tune

    resolved = load_config(options.config, options.overrides)
    if options.agent is not None:
        resolved = contender_of(resolved, {}, options.agent).config
    name = re.sub(r"[^\w.-]+", "-", f"{resolved.path.stem}-{options.agent or resolved.agent_name}")
    out: Path = options.out or Path("tuning") / name
    space = tuple(map(dimension, options.space))
    seeds = seeds_of(options.seeds)
    search = Search(space, options.trials, options.tasks, seeds, options.objective, options.budget, options.held_out)
    engine = engine_of("here" if options.jobs == 1 else "local", resolved, out, options.jobs)
    best = tune(resolved, out, search, engine)
    if best is None:
        print("No trial came to an end.", file=sys.stderr)
        return DEFECT
    values = " ".join(f"{key}={value}" for key, value in best.values.items())
    print(f"Best: trial {best.number}: {values}\nTo be run: lifelong run {out / BEST}")
    return OK
