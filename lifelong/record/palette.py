"""Colours that colour-blind people can tell apart, and that turn with the reader's light or dark screen.

Figures are drawn in the light colours; in the page each of them becomes a CSS variable with a light and a
dark value.
"""

from __future__ import annotations

INK = "#1b1c1e"
MUTED = "#65676c"
GRID = "#dcdde1"
SURFACE = "#fffffe"
REFERENCE = "#85878f"
ALARM = "#b3261e"

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b88a00", "#3fa0dc", "#6b4fa0")
"""Line and band colours, after Okabe & Ito; yellow is darkened so that it can be read on white."""

Dash = str | tuple[int, tuple[float, ...]]

DASHES: tuple[Dash, ...] = ("-", (0, (1.2, 1.2)), (0, (7, 1.2, 1.2, 1.2)), (0, (2.5, 2.5)))
"""Line styles, so that more tasks than colours can still be told apart."""

ASIDE: Dash = (0, (4, 1.5))
"""The line style of what stands back: references."""

DARK = {
    INK: "#eceef1",
    MUTED: "#a5a9b1",
    GRID: "#363a41",
    SURFACE: "#1b1e23",
    REFERENCE: "#8b8f98",
    ALARM: "#ff8a80",
    SERIES[0]: "#5ab0ee",
    SERIES[1]: "#ff8f4d",
    SERIES[2]: "#35c99d",
    SERIES[3]: "#e59fc7",
    SERIES[4]: "#e6b933",
    SERIES[5]: "#8fd0f7",
    SERIES[6]: "#b49be6",
}

VARIABLES = {colour: f"--c{place}" for place, colour in enumerate(DARK)}
"""The CSS variable of each colour."""


def colour(place: int) -> str:
    """The colour of the task or run in this place; colours come round again."""
    return SERIES[place % len(SERIES)]


def dash(place: int) -> Dash:
    """The line style of the task or run in this place: another one for each round of the colours."""
    return DASHES[place // len(SERIES) % len(DASHES)]


def key_of(place: int, dashes: Dash) -> str:
    """The CSS background of a key in the legend: the colour of this place, with gaps as in its line."""
    tint = f"var({VARIABLES[colour(place)]})"
    if isinstance(dashes, str):
        return tint
    stops, at = [], 0.0
    for number, length in enumerate(dashes[1]):
        stops.append(f"{'transparent' if number % 2 else tint} {2 * at:g}px {2 * (at + length):g}px")
        at += length
    return f"repeating-linear-gradient(90deg,{','.join(stops)})"


def variables() -> str:
    """The CSS that gives every variable its value, for light and for dark screens."""
    light = "".join(f"{name}:{colour};" for colour, name in VARIABLES.items())
    dark = "".join(f"{name}:{DARK[colour]};" for colour, name in VARIABLES.items())
    return (
        f":root{{color-scheme:light dark;{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f"@media print{{:root{{{light}}}}}"
    )
