"""What cannot be measured here can at least be run here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

# Benchmarks are no part of what is packed with the tests.
gpu_cost = pytest.importorskip("benchmarks.gpu_cost")


def test_the_cost_on_a_gpu_can_be_tried_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_cost, "LONGEST", 4)
    found = tmp_path / "found.json"
    gpu_cost.main(["--device", "cpu", "--quick", "--json", str(found)])
    rows = json.loads(found.read_text())
    assert [(row["network"], row["share"], row["retracted"]) for row in rows] == [
        (network, share, way)
        for network in ("tiny ViT layers", "tiny ResNet")
        for share in (0.1, 0.5, 0.9)
        for way in ("by cost", "every step")
    ]
    assert all(row["plain ms"] > 0 and row["protected"] > 0 for row in rows)
    assert all("weights together" in row["held by"] for row in rows if "ViT" in row["network"])


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu_cost.main([])
    assert "no CUDA device" in capsys.readouterr().out
