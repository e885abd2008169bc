"""The commands of the command line on runs that are recorded. Heavy modules load where they are used."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lifelong.exits import OK

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add(commands: Commands) -> None:
    """Add these commands."""
    report = commands.add_parser("report", help="write the report of one run, or of several side by side")
    report.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of recorded runs")
    report.add_argument(
        "--out", type=Path, metavar="FILE", help="where (default: in the run; for several, beside the first)"
    )
    report.add_argument("--naive", type=Path, metavar="RUN", help="a run to draw in grey, to compare with")
    report.add_argument("--alone", type=Path, metavar="FILE", help="what `lifelong references` wrote, to compare with")
    report.set_defaults(command=_report)

    analyse = commands.add_parser(
        "analyse",
        help="plasticity, stability gap, transfer between tasks, settings: what papers ask of runs",
        description="Write analysis.html and analysis.json: plasticity, stability gap, capacity and probes of each "
        "run; of several, transfer between pairs of tasks and a metric by the one setting that they differ in.",
    )
    analyse.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of recorded runs")
    analyse.add_argument(
        "--out", type=Path, metavar="FILE", help="an .html file (default: in the run; for several, beside the first)"
    )
    analyse.add_argument(
        "--similarity", choices=("subspace", "means"), help="also: forgetting against how alike the tasks' inputs are"
    )
    analyse.set_defaults(command=_analyse)

    wandb = commands.add_parser(
        "wandb",
        help="log a recorded run to Weights & Biases",
        description="Log a recorded run, and the reference run inside it, to Weights & Biases, as if it had been "
        "logged while it ran.",
    )
    wandb.add_argument("run", type=Path, metavar="RUN", help="folder of a recorded run, also of a stopped one")
    wandb.add_argument("--project", metavar="P", help="default: the run's own setting")
    wandb.add_argument("--group", metavar="G", help="default: the run's own setting")
    wandb.add_argument("--mode", choices=("auto", "online", "offline"), default="auto", help="auto: online with a key")
    wandb.add_argument("--name", metavar="N", help="of the run there (default: its agent and seed)")
    wandb.set_defaults(command=_wandb)

    serve = commands.add_parser(
        "serve",
        help="answer questions over HTTP from a run's last good checkpoint, also while it goes on",
        description="Answer questions over HTTP from the last good checkpoint of a run, also while the run goes on in "
        "another process: POST /predict, GET / and GET /health. Whoever can reach the port may ask.",
    )
    serve.add_argument("run", type=Path, metavar="RUN", help="folder of a run, also of the reference inside one")
    serve.add_argument(
        "--host", default="127.0.0.1", metavar="H", help="address to listen on (127.0.0.1: this machine)"
    )
    serve.add_argument("--port", type=_port, default=8000, metavar="P", help="0 for any that is free (8000)")
    serve.add_argument(
        "--refresh", type=_seconds, default=1.0, metavar="S", help="seconds between two looks for checkpoints (1)"
    )
    serve.set_defaults(command=_serve)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0.05 <= float(text) <= 86_400:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected seconds, from 0.05 to 86,400, got {text!r}")


def _report(options: argparse.Namespace) -> int:
    from lifelong.runs import write_report

    print(write_report(options.runs, options.out, options.naive, options.alone))
    return OK


def _analyse(options: argparse.Namespace) -> int:
    from lifelong.runs import analyse

    print(analyse(options.runs, options.out, options.similarity))
    return OK


def _wandb(options: argparse.Namespace) -> int:
    from lifelong.replay import replay

    for name in replay(options.run, options.mode, options.project, options.group, options.name):
        print(f"logged: {name}")
    return OK


def _serve(options: argparse.Namespace) -> int:
    from lifelong.serving.server import serve

    serve(options.run, options.host, options.port, options.refresh)
    return OK
