"""The pieces of a report page: tiles, tables, sections. Everything that a user named is escaped here."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from lifelong.record.palette import variables


def page(title: str, body: str, wide: bool = False) -> str:
    """A whole page that needs nothing from outside itself. wide: its tables have many columns."""
    style = (files("lifelong.record") / "report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{variables()}{style}</style></head>"
        f"<body{' class=wide' if wide else ''}><main>{body}</main></body></html>\n"
    )


def header(title: str, facts: Sequence[tuple[str, str]], verdict: str) -> str:
    """The title, what ran, and what came out in one sentence."""
    items = "".join(f"<li>{escape(name)} <b>{escape(value)}</b></li>" for name, value in facts)
    return (
        f'<header><h1>{escape(title)}</h1><ul class="facts">{items}</ul>'
        f'<p class="verdict">{escape(verdict)}</p></header>'
    )


def warning(text: str) -> str:
    """A sentence that must not be overlooked."""
    return f'<p class="warn">{escape(text)}</p>'


def tile(name: str, value: str, what: str, beside: str = "") -> str:
    """One headline number with its plain meaning; `beside` is the same number of a reference run."""
    other = f'<span class="beside">{escape(beside)}</span>' if beside else ""
    return (
        f'<div class="tile"><span class="name">{escape(name)}</span>'
        f'<span class="value">{escape(value)}</span>{other}<span class="what">{escape(what)}</span></div>'
    )


def tiles(items: Sequence[str]) -> str:
    return f'<div class="tiles">{"".join(items)}</div>'


def section(title: str, note: str, body: str) -> str:
    """A card with a title and a note that says how to read it; `body` is HTML."""
    return f'<section><h2>{escape(title)}</h2><p class="note">{escape(note)}</p>{body}</section>'


def figure(svg: str, own_width: bool = False) -> str:
    """A figure that fills the card, or keeps its own width; on a phone it scrolls sideways."""
    return f'<div class="scroll figure{" own" if own_width else ""}">{svg}</div>'


def picture(png: bytes, what: str, beneath: str) -> str:
    """A picture that is in the page itself, with a line beneath it; `what` says what is to be seen."""
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    return f'<figure><img src="{source}" alt="{escape(what)}"><figcaption>{escape(beneath)}</figcaption></figure>'


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Coloured keys with their names; colours are CSS backgrounds. A key and its name stay together."""
    keys = " ".join(
        f'<span class="entry"><span class="key" style="background:{colour}"></span>{escape(name)}</span>'
        for colour, name in entries
    )
    return f'<p class="note">{keys}</p>'


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], best: Sequence[set[int]] = (), text: tuple[int, ...] = (0,)
) -> str:
    """A table of numbers, but for the columns `text`; `best` holds for each row the cells to stress."""
    top = "".join(f"<th{_classes(k not in text)}>{escape(cell)}</th>" for k, cell in enumerate(head))
    lines = []
    for place, row in enumerate(rows):
        stressed = best[place] if best else set()
        cells = "".join(
            f"<td{_classes(k not in text, k in stressed)}>{escape(cell)}</td>" for k, cell in enumerate(row)
        )
        lines.append(f"<tr>{cells}</tr>")
    rest = "".join(lines)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{rest}</tbody></table></div>'


def code(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"


def folded(title: str, body: str) -> str:
    """HTML that opens on a click."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def _classes(number: bool, best: bool = False) -> str:
    names = " ".join(name for name, is_so in (("n", number), ("best", best)) if is_so)
    return f' class="{names}"' if names else ""
