"""Draw docs/pictures/*.svg, the pictures of docs/concepts.md, in the palette of the reports.

python docs/draw_concepts.py

Each picture turns with the reader's light or dark screen, and needs no font but the reader's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lifelong.record.palette import ALARM, INK, MUTED, SERIES, SURFACE, VARIABLES, variables

PICTURES = Path(__file__).resolve().parent / "pictures"
WIDTH = 760
COLOURS = dict(zip("ABCD", SERIES, strict=False))


def paint(colour: str) -> str:
    return f"var({VARIABLES[colour]})"


def text(x: float, y: float, said: str, colour: str = INK, size: int = 13, anchor: str = "middle") -> str:
    escaped = said.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x}" y="{y}" fill="{paint(colour)}" font-size="{size}" text-anchor="{anchor}">{escaped}</text>'


def box(x: float, y: float, width: float, height: float, lines: Sequence[str], colour: str = INK) -> str:
    """A box with a bold first line, and smaller ones below."""
    middle, top = x + width / 2, y + height / 2 - 8 * (len(lines) - 1) + 4
    said = [f'<g font-weight="600">{text(middle, top, lines[0])}</g>']
    said += [text(middle, top + 17 * at, line, MUTED, 12) for at, line in enumerate(lines[1:], start=1)]
    frame = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="none" stroke="{paint(colour)}"/>'
    return frame + "".join(said)


def block(x: float, y: float, width: float, height: float, colour: str, opacity: float = 0.85) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{paint(colour)}" opacity="{opacity}"/>'


def line(points: Sequence[tuple[float, float]], colour: str = INK, dashed: bool = False, head: bool = True) -> str:
    way = " ".join(f"{x},{y}" for x, y in points)
    marker = f' marker-end="url(#head{list(VARIABLES).index(colour)})"' if head else ""
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<polyline points="{way}" fill="none" stroke="{paint(colour)}" stroke-width="1.5"{dashes}{marker}/>'


def svg(height: int, title: str, parts: Sequence[str]) -> str:
    heads = "".join(
        f'<marker id="head{at}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{paint(colour)}"/></marker>'
        for at, colour in enumerate(VARIABLES)
    )
    # Room above, for words that stand over the first row.
    body, room, tall = "\n".join(parts), 12, height + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -{room} {WIDTH} {tall}" width="{WIDTH}" height="{tall}" '
        f'role="img" font-family="system-ui, sans-serif">\n<title>{title}</title>\n<style>{variables()}</style>\n'
        f'<defs>{heads}</defs>\n<rect y="-{room}" width="{WIDTH}" height="{tall}" fill="{paint(SURFACE)}"/>\n'
        f"{body}\n</svg>\n"
    )


def stream() -> str:
    """Segments in a row, the experiences of one of them, and the shifts between."""
    parts, left, width = [], 40, 136
    for at, task in enumerate("ABCAD"):
        x = left + at * width
        parts += [
            block(x, 60, width, 44, COLOURS[task]),
            f'<g font-weight="600">{text(x + 68, 87, task, SURFACE, 16)}</g>',
        ]
        if at:
            parts += [line([(x, 116), (x, 108)], ALARM), text(x, 132, "shift", ALARM, 12)]
    for at in range(18):
        parts.append(line([(left + width + 4 + at * 7.5, 50), (left + width + 4 + at * 7.5, 58)], MUTED, head=False))
    parts.append(text(left + 1.5 * width, 42, "experiences: batches, or steps in a world", MUTED, 12))
    parts += [
        line([(left, 150), (left, 156), (left + width, 156), (left + width, 150)], MUTED, head=False),
        text(left + width / 2, 174, "a segment", MUTED, 12),
        line(
            [(left + 68, 196), (left + 68, 208), (left + 3.5 * width, 208), (left + 3.5 * width, 196)],
            COLOURS["A"],
            head=False,
        ),
        text(left + 2 * width, 226, "one task, in two segments: A recurs", INK, 12),
        text(left, 20, "the stream, in the order A B C A D; time goes to the right", MUTED, 12, "start"),
    ]
    return svg(240, "A stream: tasks, segments, experiences and shifts", parts)


def loop() -> str:
    """Experience to the learner, the truth past it, and everything that happened into the record."""
    return svg(
        270,
        "The loop: the learner gets the experience, the record and the evaluation get the truth",
        [
            box(20, 40, 150, 60, ["Stream", "experiences(start)"]),
            box(290, 40, 180, 60, ["Agent", "learn, predict"], SERIES[0]),
            box(590, 40, 150, 60, ["Judging", "test sets, episodes"]),
            box(290, 180, 180, 60, ["Record", "events.jsonl"], SERIES[2]),
            line([(170, 70), (286, 70)]),
            text(228, 60, "Batch", MUTED, 12),
            line([(586, 60), (474, 60)]),
            text(530, 50, "Query", MUTED, 12),
            line([(470, 82), (586, 82)]),
            text(530, 98, "Prediction", MUTED, 12),
            line([(380, 100), (380, 176)]),
            text(390, 142, "what happened: Update, ShiftDetected, ...", MUTED, 12, "start"),
            line([(95, 100), (95, 210), (286, 210)], ALARM, dashed=True),
            text(105, 152, "the truth: task and segment,", ALARM, 12, "start"),
            text(105, 168, "never to the agent", ALARM, 12, "start"),
            line([(665, 100), (665, 210), (474, 210)]),
            text(655, 200, "TaskScored", MUTED, 12, "end"),
        ],
    )


def step() -> str:
    """One batch in the agent: from surprise to an update by the right expert."""
    return svg(
        300,
        "A step: surprise, shift, rewind, judge, reuse or spawn, update",
        [
            box(20, 30, 150, 62, ["Learn", "the active expert"], SERIES[0]),
            box(215, 30, 150, 62, ["Surprise", "its loss before that"]),
            box(410, 30, 150, 62, ["Shift?", "the detector"], SERIES[1]),
            line([(170, 61), (211, 61)]),
            line([(365, 61), (406, 61)]),
            line([(485, 30), (485, 14), (95, 14), (95, 26)], MUTED),
            text(290, 8, "no: the next batch", MUTED, 12),
            line([(560, 61), (670, 61), (670, 116)], ALARM),
            text(615, 52, "alarm", ALARM, 12),
            box(590, 120, 160, 62, ["Rewind", "to before the onset"], SERIES[1]),
            line([(590, 151), (549, 151)]),
            box(365, 120, 180, 62, ["Who explains it?", "judged on the evidence"]),
            line([(365, 151), (326, 151)]),
            text(345, 142, "one", MUTED, 12),
            box(142, 120, 180, 62, ["Reuse", "it relearns the evidence"], SERIES[2]),
            line([(455, 182), (455, 235), (326, 235)]),
            text(465, 215, "none", MUTED, 12, "start"),
            box(142, 204, 180, 62, ["Spawn", "a new one relearns it"], SERIES[2]),
            line([(142, 151), (95, 151), (95, 96)]),
            line([(142, 235), (95, 235), (95, 96)]),
            line([(545, 166), (570, 166), (570, 285), (50, 285), (50, 96)], MUTED, dashed=True),
            text(310, 280, "the active one does: a false alarm, dismissed", MUTED, 12),
        ],
    )


def pool() -> str:
    """An unlabelled sample finds its expert by what the router remembers of their inputs."""
    parts = [
        box(20, 108, 130, 62, ["Query", "inputs, no label"]),
        line([(150, 139), (196, 139)]),
        box(200, 96, 170, 86, ["Router", "whose inputs", "look like these?"], SERIES[1]),
    ]
    for at, task in enumerate("ABC"):
        y = 30 + at * 82
        parts += [
            box(470, y, 190, 54, [f"Expert {at}", f"learned {task}"], COLOURS[task]),
            line([(370, 139), (466, y + 27)], COLOURS[task] if at == 1 else MUTED, dashed=at != 1),
        ]
    parts += [
        line([(660, 139), (700, 139)], COLOURS["B"]),
        text(704, 143, "answer", INK, 12, "start"),
        line([(285, 182), (285, 234)], ALARM),
        text(285, 252, "foreign to all: the answer is marked as a guess", ALARM, 12),
    ]
    return svg(280, "The pool: a router sends an unlabelled query to one expert", parts)


def subspace() -> str:
    """A step, the directions that old inputs use, and what of the step is permitted."""
    return svg(
        270,
        "A protected subspace: of a step only what old inputs cannot see is permitted",
        [
            line([(60, 220), (360, 220)], ALARM),
            text(210, 244, "directions that the old tasks' inputs use", ALARM, 12),
            line([(60, 220), (60, 40)], SERIES[2]),
            text(70, 40, "free directions", SERIES[2], 12, "start"),
            line([(60, 220), (250, 90)], MUTED),
            text(256, 88, "the optimizer's step", MUTED, 12, "start"),
            line([(60, 220), (60, 92)], SERIES[2]),
            line([(250, 90), (64, 90)], MUTED, dashed=True, head=False),
            text(70, 112, "the permitted step", SERIES[2], 12, "start"),
            box(450, 60, 280, 64, ["consolidate", "which input directions does this task use?"], ALARM),
            box(450, 150, 280, 64, ["attach", "(W + dW) x = W x for every x in their span"], SERIES[2]),
            line([(590, 124), (590, 146)]),
        ],
    )


def retention() -> str:
    """Where in a step of training a retention method has its say."""
    parts = []
    stations = [
        ("loss", "terms beside the batch's", "replay, distillation", SERIES[0]),
        ("bend", "gradients changed", "penalties, GEM", SERIES[1]),
        ("step", "the optimizer's", "any of torch", INK),
        ("observe", "the batch is noted", "memories", SERIES[2]),
    ]
    for at, (name, what, who, colour) in enumerate(stations):
        parts.append(box(20 + at * 185, 40, 160, 78, [name, what, who], colour))
        if at:
            parts.append(line([(20 + at * 185 - 25, 79), (20 + at * 185 - 4, 79)]))
    parts += [
        line([(655, 118), (655, 140), (100, 140), (100, 122)], MUTED),
        text(380, 134, "the next batch", MUTED, 12),
        box(275, 176, 210, 60, ["consolidate", "a task has ended: samples of it"], SERIES[3]),
        line([(380, 144), (380, 172)], ALARM, dashed=True),
        text(390, 164, "told, or found by the detector", ALARM, 12, "start"),
    ]
    return svg(
        256, "A step with retention methods: loss, bend, step, observe, and consolidate at the end of a task", parts
    )


def record() -> str:
    """What is made from events.jsonl."""
    made = ["scores.csv", "summary.json", "report.html", "analysis.html", "Weights & Biases"]
    parts = [
        box(20, 112, 130, 60, ["run", "flushed as it goes"]),
        line([(150, 142), (216, 142)]),
        box(220, 102, 190, 80, ["events.jsonl", "what happened,", "with the truth beside it"], SERIES[2]),
    ]
    for at, name in enumerate(made):
        y = 20 + at * 50
        parts += [line([(410, 142), (516, y + 20)], MUTED), box(520, y, 200, 40, [name])]
    return svg(280, "The record: all that is shown is a function of events.jsonl", parts)


DRAWN = {f.__name__: f for f in (stream, loop, step, pool, subspace, retention, record)}

if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for name, draw in DRAWN.items():
        (PICTURES / f"{name}.svg").write_text(draw(), encoding="utf-8")
