"""Draw docs/forgetting.svg, the README's picture, from the run that `make demo` left in runs/demo.

python docs/draw_readme_picture.py
"""

from __future__ import annotations

from pathlib import Path

from lifelong.record.curves import score_figure
from lifelong.record.runs import read_run
from lifelong.record.svg import drawing

ROOT = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    demo = ROOT / "runs" / "demo"
    with drawing():
        figure = score_figure(read_run(demo), read_run(demo / "reference"))
        figure.savefig(ROOT / "docs" / "forgetting.svg", facecolor="white", metadata={"Date": None})
