"""Looking at a run must not wait for the libraries that made it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "wandb", "matplotlib", "rich", "sklearn", "gymnasium")
LIGHT = (
    "lifelong.evaluation.summary, lifelong.record.report, lifelong.record.table, lifelong.record.console, "
    "lifelong.record.jsonl, lifelong.record.folder, lifelong.record.scores, lifelong.record.wandb_sink"
)


def test_the_record_and_the_evaluation_load_without_torch_or_any_drawing_library() -> None:
    code = f"import sys, {LIGHT}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
