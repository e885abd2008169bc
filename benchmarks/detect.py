"""Shift detectors compared: what each finds, how late, how often it cries wolf, and what a value costs.

python -m benchmarks.detect [--quick] [--json FILE] [--picture FILE.svg] [--detector module:Class]
"""

from __future__ import annotations

import importlib
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.detect_streams import Series, recorded, simulated, strange_inputs
from benchmarks.harness import Table, data_folder, finish, parser
from lifelong.evaluation.shifts import match_shifts
from lifelong.shift.adwin import Adwin
from lifelong.shift.bocpd import Bocpd
from lifelong.shift.confirmed import Confirmed
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector, Shift
from lifelong.shift.ewma import Ewma
from lifelong.shift.falling import Falling
from lifelong.shift.frozen_cusum import FrozenCusum
from lifelong.shift.page_hinkley import PageHinkley
from lifelong.shift.river_adapter import River
from lifelong.shift.tame_band import TameBand
from lifelong.shift.vote import Vote

SEEDS = (0, 1, 2)
EVERY = 50

Factory = Callable[[], Any]
Watch = Callable[[Any, Series], list[int]]


class Dummy:
    """Fires every 50 values, whatever they are: what any detector has to beat."""

    def __init__(self) -> None:
        self._seen = 0

    def update(self, value: float) -> Shift | None:
        self._seen += 1
        return None if self._seen % EVERY else Shift(1, 1.0, 0.5)

    def reset(self) -> None:
        self._seen = 0


def either() -> Vote:
    """Rises and falls: any of two detectors that watch one side each."""
    return Vote((Cusum(), Falling()), needed=1)


SCALAR: list[tuple[str, Factory]] = [
    ("cusum", Cusum),
    ("page_hinkley", PageHinkley),
    ("ewma", Ewma),
    ("tame_band", TameBand),
    ("adwin", Adwin),
    ("bocpd", Bocpd),
    ("vote", Vote),
    ("confirmed", Confirmed),
    ("frozen_cusum", FrozenCusum),
    ("falling", Falling),
    ("cusum or falling", either),
    ("river ADWIN", River),
    (f"every {EVERY}", Dummy),
]
"""Name and factory of every detector of losses."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table: contenders that are shown the same series. `watch` shows one of them a series: steps of its alarms.

    What a series holds and what a contender is are known to `watch` alone, so that contenders that look at rows
    instead of losses make a section of their own.
    """

    title: str
    contenders: Sequence[tuple[str, Factory]]
    series: Sequence[Series]
    watch: Watch


@dataclass(frozen=True, slots=True)
class Score:
    """How one contender did on all series of a family; None where it is not defined."""

    section: str
    contender: str
    family: str
    shifts: int
    recall: float | None
    delay: float | None
    false_per_1000: float
    microseconds: float

    @property
    def cell(self) -> str:
        found = "-" if self.recall is None else f"{self.recall:.0%}"
        late = "-" if self.delay is None else f"{self.delay:g}"
        return f"{found} {late} {self.false_per_1000:.2g}"


def alarms(detector: Detector, series: Series) -> list[int]:
    """Steps of the alarms, counted from 1; after each the detector is told that another world begins."""
    found = []
    for step, value in enumerate(series.values, 1):
        if detector.update(float(value)) is not None:
            found.append(step)
            detector.reset()
    return found


def scored(section: Section, contender: str, factory: Factory, family: str) -> Score:
    """All series of the family, each with a new contender; delays are those of the shifts that were found."""
    series = [s for s in section.series if s.family == family]
    shifts = false = values = 0
    delays: list[int] = []
    seconds = 0.0
    for one in series:
        made = factory()
        start = time.process_time()
        found = section.watch(made, one)
        seconds += time.process_time() - start
        report = match_shifts(one.onsets, found, len(one.values))
        shifts, false, values = shifts + report.true, false + report.false_alarms, values + len(one.values)
        delays += report.delays
    return Score(
        section.title,
        contender,
        family,
        shifts,
        round(len(delays) / shifts, 4) if shifts else None,
        statistics.median(delays) if delays else None,
        round(1000 * false / values, 4),
        round(1e6 * seconds / values, 2),
    )


def scalar_section(own: Sequence[tuple[str, Factory]], quick: bool) -> Section:
    """Detectors of losses, on simulated losses and on those of a network in training."""
    series: list[Series] = []
    for seed in SEEDS[:1] if quick else SEEDS:
        series += simulated(seed, 2 if quick else 10)
        series += recorded(seed, data_folder(), quick)
    return Section("losses", [*_there(SCALAR), *own], series, alarms)


def sections(own: Sequence[tuple[str, Factory]], quick: bool) -> Iterator[Section]:
    """Every table of this bench, in turn: what the next one is made of need not be there while this one runs."""
    yield scalar_section(own, quick)
    inputs = [one for seed in (SEEDS[:1] if quick else SEEDS) for one in strange_inputs(seed, data_folder(), quick)]
    yield Section("inputs", [*_there(SCALAR), *own], inputs, alarms)


def _there(contenders: Sequence[tuple[str, Factory]]) -> list[tuple[str, Factory]]:
    """Those that can be made here: one may need a package that is not installed."""
    found = []
    for name, factory in contenders:
        try:
            factory()
        except ImportError as error:
            print(f"{name} is left out: {error}\n")
        else:
            found.append((name, factory))
    return found


def table_of(section: Section, scores: Sequence[Score]) -> Table:
    """Families down, contenders across; a last row for what a value costs."""
    names = [name for name, _ in section.contenders]
    table = Table(section.title, *names)
    cells = {(s.family, s.contender): s.cell for s in scores}
    for family in dict.fromkeys(s.family for s in scores):
        table.add(family, *(cells[family, name] for name in names))
    cost = {name: [s.microseconds for s in scores if s.contender == name] for name in names}
    table.add("us a value (median)", *(f"{statistics.median(cost[name]):.1f}" for name in names))
    return table


def picture(section: Section, scores: Sequence[Score], file: Path) -> None:
    """Two maps: the share of shifts that were found with the delay written in, and false alarms per 1,000 values."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.colors import SymLogNorm

    names = [name for name, _ in section.contenders]
    families = list(dict.fromkeys(s.family for s in scores))
    at = {(s.family, s.contender): s for s in scores}
    recalls = [[at[f, n].recall if at[f, n].recall is not None else float("nan") for n in names] for f in families]
    false = [[at[f, n].false_per_1000 for n in names] for f in families]
    fig, (left, right) = plt.subplots(
        1, 2, figsize=(5 + 1.15 * len(names), 2.2 + 0.34 * len(families)), sharey=True, layout="constrained"
    )
    shown = left.imshow(recalls, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    fig.colorbar(shown, ax=left, shrink=0.5, pad=0.01)
    wolf = right.imshow(false, cmap="Oranges", norm=SymLogNorm(0.1, vmin=0, vmax=20), aspect="auto")
    fig.colorbar(wolf, ax=right, shrink=0.5, pad=0.01, ticks=[0, 0.1, 1, 10], format="%g")
    # Where there is no shift to find.
    left.set_facecolor("0.85")
    left.set_title("share of shifts found; written in: median delay in values")
    right.set_title("false alarms per 1,000 values")
    for axes in (left, right):
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(families)), families)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    for row, family in enumerate(families):
        for column, name in enumerate(names):
            score = at[family, name]
            dark = (score.recall or 0.0) > 0.6
            text = "" if score.delay is None else f"{score.delay:g}"
            left.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
            rate = f"{score.false_per_1000:.2g}" if score.false_per_1000 else ""
            dark = score.false_per_1000 > 4
            right.text(column, row, rate, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    fig.savefig(file)
    plt.close(fig)


def own_detector(reference: str) -> tuple[str, Factory]:
    """A detector of one's own, by module:Class. Raises: ValueError where there is none."""
    module, _, name = reference.partition(":")
    try:
        return name, partial(getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"--detector {reference!r}: expected module:Class that can be imported ({error}).") from error


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--picture", type=Path, metavar="FILE", help="draw the table here (.svg, .png)")
    options.add_argument(
        "--detector", action="append", default=[], metavar="MODULE:CLASS", help="one more, of your own"
    )
    given = options.parse_args(arguments)
    own = [own_detector(reference) for reference in given.detector]
    print("share of shifts found, median delay in values (1: with the first), false alarms per 1,000 values\n")
    # The tables are for people, the file has a row for every cell.
    file, given.json = given.json, None
    every: list[Score] = []
    for place, section in enumerate(sections(own, given.quick)):
        families = dict.fromkeys(s.family for s in section.series)
        scores = [scored(section, name, factory, family) for family in families for name, factory in section.contenders]
        finish(table_of(section, scores), given)
        every += scores
        if given.picture is not None:
            # A picture for every table; the first has the name that was asked for.
            named = given.picture.with_stem(f"{given.picture.stem}-{section.title}") if place else given.picture
            picture(section, scores, named)
    if file is not None:
        file.write_text(json.dumps([asdict(score) for score in every], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
