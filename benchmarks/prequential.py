"""Three real tables that drift, row by row, test then learn: prequential accuracy and the CPU time of a row.

python -m benchmarks.prequential [--quick] [--json FILE] [--picture FILE] [--river] [--only STREAM ...]
    [--lags N ...] [--seeds N ...]

Each table is learned to its last row but one, in the order of time. Rows "River" are River 0.26.1's, in its own loop:
figures that were measured once on the machine of the results, or measured now with --river. The time of a row of ours
includes the loop and the record (JSONL). `label lags` are latest labels among the inputs of every learner; `memory`
says which labels, or what else of the past, a learner has beside them when it answers.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import prequential_river
from benchmarks.harness import Table, data_folder, finish, parser
from lifelong.evaluation.schedule import Schedule
from lifelong.events import Learned, ShiftDetected
from lifelong.learner import Learner
from lifelong.lifetime import Result, run
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.record.jsonl import EventLog
from lifelong_agents.finetune import Finetune
from lifelong_agents.flagship import flagship
from lifelong_agents.persistence import Persistence
from lifelong_agents.tracker import Tracker
from lifelong_agents.window_knn import WindowKnn
from lifelong_envs.supervised.data import Arrays, Csv
from lifelong_envs.supervised.drifting import drifting

QUICK_ROWS = 1000
PICTURED = ("persistence", "finetune", "window_knn", "tracker")


@dataclass(frozen=True, slots=True)
class Files:
    """Where a table lies in the data folder."""

    rows: str
    labels: str
    delimiter: str
    drop: tuple[int, ...] = ()


ELEC2 = ("elec2/elec2_data.dat.gz", "elec2/elec2_label.dat", "whitespace")
STREAMS = {
    "elec2, 8 columns": Files(*ELEC2),
    "elec2 without date and price": Files(*ELEC2, drop=(0, 3)),
    "weather": Files("noaa_weather/NEweather_data.csv.gz", "noaa_weather/NEweather_class.csv", ","),
    "outdoor": Files("outdoor/outdoorStream.data.gz", "outdoor/outdoorStream.labels", "whitespace"),
}


@dataclass(frozen=True, slots=True)
class Entrant:
    """A learner for a seed; `seeds` False where nothing is random. `memory`: of labels, beside what it was taught."""

    make: Callable[[int], Learner]
    seeds: bool
    memory: str
    batch: int = 1


ONLINE = Mlp(hidden=(100,))
# Widths, step sizes and the batch were chosen on seed 100 and the first fifth of the tables.
ENTRANTS = {
    "persistence": Entrant(lambda seed: Persistence(), False, "last label"),
    "finetune": Entrant(lambda seed: Finetune(ONLINE, Optimizer("sgd", lr=0.1), seed), True, "none"),
    "window_knn": Entrant(lambda seed: WindowKnn(), False, "none"),
    "flagship, batch 8": Entrant(
        lambda seed: flagship(Mlp(hidden=(32,)), Optimizer("adam", lr=0.01), max_experts=8, seed=seed), True, "none", 8
    ),
    "tracker, no recall": Entrant(lambda seed: Tracker(levels=(), labels=0, seed=seed), True, "none"),
    "tracker, no label memory": Entrant(lambda seed: Tracker(labels=0, seed=seed), True, "levels"),
    "tracker": Entrant(lambda seed: Tracker(seed=seed), True, "levels, last label, run"),
}


def table_of(stream: str, folder: Path) -> tuple[Tensor, Tensor]:
    """All rows (N, D) as they are in the file, and labels (N,), in the order of time."""
    files = STREAMS[stream]
    data = Csv(
        folder / files.rows,
        labels_file=folder / files.labels,
        delimiter=files.delimiter,
        header=False,
        split="time",
        drop=list(files.drop),
        standardise="never",
    ).load(torch.device("cpu"))
    rows = torch.cat([data.train_inputs, data.test_inputs])
    return rows, torch.cat([data.train_targets, data.test_targets])


def live(name: str, entrant: Entrant, rows: Tensor, labels: Tensor, lags: int, seed: int) -> tuple[Result, float]:
    """A life through the table, and CPU microseconds a row."""
    data = Arrays(rows[:-1], labels[:-1], rows[-1:], labels[-1:], name="table")
    stream, learner = drifting(data, entrant.batch, lags), entrant.make(seed)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        record = EventLog(Path(folder) / "events.jsonl")
        result = run(stream, learner, seed=seed, name=name, evaluation=Schedule(within=0), subscribers=[record])
    return result, 1e6 * (time.process_time() - began) / (len(rows) - 1)


def spread(values: Sequence[float]) -> str:
    """The mean, and the lowest and the highest where there are several."""
    mean = f"{np.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} to {max(values):.2f})"


def draw(lives: dict[str, dict[str, Result]], file: Path) -> None:
    """Accuracy over the latest fiftieth of each table, and the shifts that the tracker found."""
    import matplotlib.pyplot as plt

    from lifelong.record.palette import REFERENCE, colour
    from lifelong.record.svg import drawing

    with drawing():
        figure, axes = plt.subplots(len(lives), 1, figsize=(9, 2.1 * len(lives)), squeeze=False, layout="constrained")
        for axis, (stream, results) in zip(axes[:, 0], lives.items(), strict=True):
            for place, (name, result) in enumerate(results.items()):
                scores = np.concatenate([event.scores for _, event in result.events if isinstance(event, Learned)])
                window = max(1, len(scores) // 50)
                latest = 100 * np.convolve(scores, np.full(window, 1 / window), mode="valid")
                steps = np.arange(window, len(scores) + 1)
                thin = slice(None, None, max(1, len(latest) // 300))
                ink = REFERENCE if name == "persistence" else colour(place - 1)
                axis.plot(steps[thin], latest[thin], color=ink, label=name, lw=1.8 if name == "tracker" else 1.1)
                if name == "tracker":
                    found = [step for step, event in result.events if isinstance(event, ShiftDetected)]
                    axis.plot(found, [1.0] * len(found), "v", color=ink, transform=axis.get_xaxis_transform())
            axis.set_title(f"{stream}: prequential accuracy of the latest {window} rows, %", loc="left")
            axis.grid(axis="y", alpha=0.4)
        lines, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(lines, names, ncols=len(PICTURED), frameon=False, loc="outside upper left")
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--picture", type=Path, metavar="FILE", help="draw accuracy over time here (svg)")
    made.add_argument("--river", action="store_true", help="measure River's learners again (it must be installed)")
    made.add_argument("--only", nargs="+", metavar="STREAM", choices=list(STREAMS), help="these tables alone")
    made.add_argument("--lags", type=int, nargs="+", default=[0, 1], help="latest labels among the inputs")
    made.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = made.parse_args()
    folder = data_folder()
    if folder is None:
        print("Skipped: the tables are not here. Set LIFELONG_DATA to the folder that has them.")
        return
    torch.set_num_threads(1)
    rows, labels = table_of(next(iter(STREAMS)), folder)
    for name, entrant in ENTRANTS.items():
        live(
            name, entrant, rows[:100], labels[:100], 0, 0
        )  # What a process does for the first time is not a row's cost.
    seeds = options.seeds[:1] if options.quick else options.seeds
    table = Table("stream", "label lags", "learner", "memory", "accuracy %", "us a row", "experts", "shifts")
    pictured: dict[str, dict[str, Result]] = {}
    for stream in options.only or STREAMS:
        rows, labels = (part[: QUICK_ROWS if options.quick else None] for part in table_of(stream, folder))
        for lags in options.lags:
            for name, entrant in ENTRANTS.items():
                lived = [
                    live(name, entrant, rows, labels, lags, seed) for seed in (seeds if entrant.seeds else seeds[:1])
                ]
                sums = [result.summary for result, _ in lived]
                accuracy = spread([100 * s.prequential_accuracy for s in sums if s.prequential_accuracy is not None])
                cost = round(float(np.mean([cost for _, cost in lived])))
                experts, shifts = (
                    "/".join(str(n) for n in counts)
                    for counts in ([s.experts for s in sums], [s.shifts_detected for s in sums])
                )
                table.add(stream, lags, name, entrant.memory, accuracy, cost, experts, shifts)
                print(table.rows[-1], flush=True)
                if name in PICTURED and lags == options.lags[0]:
                    pictured.setdefault(stream, {})[name] = lived[0][0]
            taken = (
                prequential_river.measured(rows, labels, lags)
                if options.river
                else prequential_river.FIGURES.get((stream, lags), [])
            )
            for figure in taken:
                table.add(
                    stream, lags, f"River {figure.learner}", figure.memory, figure.accuracy, figure.cost or "", "", ""
                )
                print(table.rows[-1], flush=True)
    if options.picture is not None:
        draw(pictured, options.picture)
    finish(table, options)


if __name__ == "__main__":
    main()
