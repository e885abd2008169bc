"""MNIST in five pairs of classes: all retention methods and references, beside published values.

python -m benchmarks.split_mnist [--quick] [--json FILE] [--scenario class|task] [--jobs N] [--seeds N] [--out DIR]

Class-incremental: one head for all ten classes, no task labels, one epoch in batches of 10, memories of 500 samples, as
in Buzzega et al. 2020. Task-incremental: labels shown, a head for each task. Settings were chosen on seed 100.
"""

from __future__ import annotations

from benchmarks.compared import Published, compare, finish, sources, study_parser

DER = "Buzzega et al. 2020 (dark experience replay), memory of 500, one epoch, 10 seeds"
KNOWN = "well-known range of re-runs with a memory of 500"
PUBLISHED = {
    "naive": Published(19.5, 19.6, DER),
    "EWC online": Published(20.5, 20.5, DER),
    "SI": Published(19.3, 19.3, DER),
    "LwF": Published(19.6, 19.6, DER),
    "ER": Published(86.1, 93.0, f"{DER}; {KNOWN}"),
    "replay": Published(86.1, 93.0, f"{DER}; {KNOWN}"),
    "DER": Published(90.5, 90.5, DER),
    "DER++": Published(91.0, 94.0, f"{DER}; {KNOWN}"),
    "GEM": Published(86.0, 86.0, DER),
    "A-GEM": Published(46.7, 46.7, DER),
    "nearest mean": Published(70.1, 70.1, f"{DER}, iCaRL"),
    "joint": Published(95.6, 95.6, DER),
}


def main() -> None:
    made = study_parser(__doc__)
    made.add_argument("--scenario", choices=("class", "task"), default="class", help="what is incremental (class)")
    options = made.parse_args()
    if options.scenario == "class":
        table = compare("split_mnist.yaml", PUBLISHED, options)
    else:
        table = compare("split_mnist_task.yaml", {}, options)
    finish(table, options)
    if options.scenario == "class":
        print(sources(PUBLISHED))


if __name__ == "__main__":
    main()
