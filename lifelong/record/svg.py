"""Figures as inline SVG: text stays text, ids are unique in the page, equal figures give equal bytes."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lifelong.record.palette import GRID, INK, MUTED, VARIABLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 1.36
"""Pixels of the page to a point of the figure, so that figures of any width have letters of one size."""

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lifelong",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's own style inside this context, whatever the user's matplotlib is set to."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def to_svg(figure: Figure, name: str, alt: str) -> str:
    """The figure as an `<svg>` element; `name` is unique in the page, `alt` says what the figure shows."""
    out = io.StringIO()
    figure.savefig(
        out,
        format="svg",
        transparent=True,
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    text = out.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(
        r"#[0-9a-f]{6}\b",
        lambda found: f"var({VARIABLES[found[0]]})" if found[0] in VARIABLES else found[0],
        text,
    )
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"'DejaVu Sans'(, [\w' -]+)*", "var(--font)", text)
    text = re.sub(r"\s*\n\s*", " ", text)
    opening = re.search(r'<svg[^>]*?(viewBox="[^"]+")[^>]*>', text)
    assert opening is not None
    width = round(float(opening[1].split()[2]) * PIXELS)
    head = f'<svg {opening[1]} width="{width}" role="img" aria-label="{html.escape(alt)}">'
    return head + text[opening.end() :]
