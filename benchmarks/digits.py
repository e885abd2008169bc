"""Permuted digits A B C A D with hidden boundaries: shifts, experts, scores and routing, and a stationary stream.

python -m benchmarks.digits [--quick] [--json FILE]
"""

from __future__ import annotations

from benchmarks.harness import Table, arguments, finish, rounded, summary_of

STATIONARY = "stream.timetable.order=A A A A A"


def main() -> None:
    options = arguments(__doc__)
    table = Table(
        "stream", "agent", "seed", "ACC", "BWT", "FWT", "forgetting", "experts", "shifts", "found", "false", "missed",
        "dismissed", "delay", "routing",
    )  # fmt: skip
    for seed in range(1 if options.quick else 3):
        for stream, overrides in (("A B C A D", ()), ("A A A A A", (STATIONARY,))):
            for agent in ("agent", "reference"):
                s = summary_of("digits.yaml", seed, *overrides, agent=agent)
                scores = [rounded(value) for value in (s.acc, s.bwt, s.fwt, s.forgetting)]
                shifts = [s.shifts_true, s.shifts_detected, s.false_alarms, s.missed_shifts, s.shifts_dismissed]
                row = [s.experts, *shifts, s.detection_delay, rounded(s.routing_accuracy)]
                table.add(stream, s.agent, seed, *scores, *row)
    finish(table, options)


if __name__ == "__main__":
    main()
