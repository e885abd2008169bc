"""Bad input by the ten thousand: does anything show a traceback, hang, run code, or leave a half-written folder?

python -m benchmarks.fuzz [--quick] [--json FILE] [--seed N] [--jobs N] [--family NAME] [--only FAMILY:NUMBER]

Each case is well-formed input that is spoiled at random: configurations, settings on the command line, data files,
checkpoints, and the files of recorded runs. It is tried in a process that may take 10 seconds and 3 GiB for it.
`accepted`: nothing is wrong with it, or nothing that matters. `refused`: by a ValueError or OSError in our own words,
and by the command with exit code 2. `bad` is everything else, and is to be 0: another exception, one of somebody else's
that names neither file nor key, a hang, a process that dies, code that ran, a folder that is neither whole nor gone.
What is bad is listed with its number; --only tries that case alone, and shows where it happened.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.fuzz.families import FAMILIES
from benchmarks.fuzz.trial import Family, Outcome
from benchmarks.fuzz.workers import Limits, outcomes
from benchmarks.harness import Table, finish, parser

SHOWN = 20
"""Bad cases of a family that are listed."""


def tried(
    family: Family, numbers: Sequence[int], seed: int, place: Path, jobs: int = 1, limits: Limits | None = None
) -> list[Outcome]:
    """The outcomes of these cases of a family."""
    made = family.prepare(place)
    found = outcomes(made, family.name, numbers, seed, place, jobs, limits or Limits())
    return sorted(found, key=lambda one: one.number)


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn (0)")
    made.add_argument("--jobs", type=int, default=1, metavar="N", help="cases at a time (1)")
    made.add_argument("--family", metavar="NAME", action="append", help=f"of {', '.join(one.name for one in FAMILIES)}")
    made.add_argument("--cases", type=int, metavar="N", help="of each family")
    made.add_argument("--only", metavar="FAMILY:NUMBER", help="one case, and where it ended")
    options: argparse.Namespace = made.parse_args(arguments)
    torch.set_num_threads(1)
    os.environ["WANDB_MODE"] = "offline"
    name, _, number = (options.only or "").partition(":")
    chosen = [family for family in FAMILIES if family.name in ([name] if name else options.family or [family.name])]
    table = Table("family", "cases", "accepted", "refused", "bad", "s")
    worst: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for family in chosen:
            count = options.cases or (family.quick if options.quick else family.cases)
            began = time.monotonic()
            place = Path(folder) / family.name
            place.mkdir()
            found = tried(family, [int(number)] if number else range(count), options.seed, place, options.jobs)
            became = Counter(one.verdict for one in found)
            took = f"{time.monotonic() - began:.0f}"
            table.add(family.name, len(found), became["accepted"], became["refused"], became["bad"], took)
            bad = [one for one in found if one.verdict == "bad"]
            worst += [f"{family.name}:{one.number}: {one.why.strip()}" for one in bad[:SHOWN]]
            if number:
                print(found[0].verdict, found[0].why, found[0].where, sep="\n")
    finish(table, options)
    print(*worst, sep="\n")
    if worst:
        sys.exit(1)


if __name__ == "__main__":
    main()
