"""Messages of a live stream that say nothing, or something else than was announced: left out, and that is all."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.fuzz import nasty
from benchmarks.fuzz.datafiles import spoiled
from benchmarks.fuzz.trial import Fault, Try
from lifelong.events import Refused
from lifelong_envs.live.jsonl import Jsonl
from lifelong_envs.live.stream import live

CLASSES, SHAPE = 3, (2, 2)


def written() -> list[dict[str, Any]]:
    """Samples with labels, samples whose labels follow, and these labels."""
    draw = np.random.default_rng(0)
    told: list[dict[str, Any]] = []
    for number in range(40):
        row = {"id": f"n{number}", "input": draw.normal(size=SHAPE).round(3).tolist(), "label": number % CLASSES}
        if number % 4 == 0:
            told.append({"for": row["id"], "label": row.pop("label")})
        told.insert(len(told) - (number % 4 == 0), row)
    return told


def lines(place: Path) -> Try:
    """A file of messages, read to its end in batches."""
    known = written()

    def tried(draw: random.Random, here: Path) -> bool:
        rows = [json.dumps(row) for row in known]
        kind = draw.randrange(4)
        for _ in range(draw.choice((1, 1, 3, 20)) if kind else 0):
            at = draw.randrange(len(rows))
            rows[at] = draw.choice((json.dumps(nasty.spoiled(draw, known[at], known)), draw.choice(ODD), rows[at - 1]))
        raw = "\n".join(rows).encode("utf-8", "surrogatepass") + b"\n"
        if kind < 2:
            raw = spoiled(draw, raw)
        file = here / "messages.jsonl"
        file.write_bytes(raw)
        classes = draw.choice((CLASSES, CLASSES, None))
        stream = live(Jsonl(str(file), follow=False), SHAPE, classes, batch_size=draw.choice((1, 7, 1000)), waiting=5)
        refused = served = 0
        for moment in stream.moments():
            refused += sum(isinstance(fact, Refused) for fact in stream.facts())
            if moment is None:
                continue
            batch, _ = moment
            served += len(batch.targets)
            outputs = torch.zeros(len(batch.inputs), batch.contract.outputs)
            if tuple(batch.inputs.shape[1:]) != SHAPE or not torch.isfinite(batch.inputs).all():
                raise Fault("inputs that were not announced are served")
            if not torch.isfinite(batch.contract.objective.loss(outputs, batch.targets)):
                raise Fault("a label without a place is served")
        if served > raw.count(b"\n") + 1:
            raise Fault("more is served than came")
        return refused == 0

    return tried


ODD = (
    "", " ", "{}", "[]", "null", "1", '"x"', "{", "[" * 100_000, '{"a":' * 5000, "9" * 5000, '{"input": 1e999}',
    '{"input": [[1, 2], [3]], "label": 0}', '{"input": [[1, 2], [3, NaN]], "label": 0}', '{"for": "no", "label": 0}',
    '{"input": [[1, 2], [3, 4]], "label": 1e30}', '{"id": "n1", "input": [[1, 2], [3, 4]], "label": true}',
    '{"input": [[1, 2], [3, 4]], "label": 0, "label": 1}', '{"for": {"x": 1}, "label": [0]}', "\ufeff{}", "\x00",
    "\ud800",
)  # fmt: skip
"""Lines that are no message."""
