"""Ten permutations of MNIST for one network and one head: retention methods and references beside published values.

python -m benchmarks.pmnist [--quick] [--json FILE] [--epochs N] [--jobs N] [--seeds N] [--agents A,B]

The setting is that of GPM (Saha et al. 2021), who train five epochs: --epochs 5 is theirs, the default is one.
Settings of the methods were chosen on seed 100: strengths and rates of penalties on all ten permutations, the others'
strengths on the first five.
"""

from __future__ import annotations

from benchmarks.compared import Published, compare, finish, sources, study_parser

CUBER = "the table of CUBER (Lin et al. 2022), which restates GPM's: five epochs, seeds of their own"
PUBLISHED = {
    "EWC separate": Published(90.0, 90.0, CUBER),
    "EWC online": Published(90.0, 90.0, CUBER),
    "ER": Published(87.2, 87.2, CUBER),
    "A-GEM": Published(83.6, 83.6, CUBER),
    "gpm": Published(93.9, 93.9, CUBER),
    "joint": Published(96.7, 96.7, CUBER),
}


def main() -> None:
    made = study_parser(__doc__)
    made.add_argument("--epochs", type=int, default=1, metavar="N", help="of each permutation (1)")
    options = made.parse_args()
    epochs = options.epochs
    name = "pmnist" if epochs == 1 else f"pmnist-{epochs}-epochs"
    table = compare("pmnist.yaml", PUBLISHED, options, f"stream.timetable.epochs={epochs}", name=name)
    finish(table, options)
    print(sources(PUBLISHED))


if __name__ == "__main__":
    main()
