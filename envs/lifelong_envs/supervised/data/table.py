"""Reading a text table into cells that still know the line they come from."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lifelong_envs.supervised.data.few import few, shortened
from lifelong_envs.supervised.data.files import existing_file, read_bytes


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of equally many cells, the line of each row (from 1), and the header (empty if there is none)."""

    file: Path
    header: tuple[str, ...]
    lines: tuple[int, ...]
    rows: tuple[list[str], ...]

    @property
    def width(self) -> int:
        return len(self.rows[0])

    def column(self, which: str | int) -> int:
        """Position of a column given by its name or its number, from 0 or from the end. Raises ValueError."""
        if isinstance(which, str):
            if which in self.header:
                return self.header.index(which)
            known = few(self.header) or "without names: give a number, or header: true"
            raise ValueError(f"{self.file} has no column {which!r}. Its columns are {known}.")
        if not -self.width <= which < self.width:
            raise ValueError(f"{self.file} has {self.width} columns, there is no column {which}.")
        return which % self.width

    def title(self, column: int) -> str:
        """How to call a column in an error: its number from 0, and its name where it has one."""
        return f"{column} ({shortened(self.header[column], quoted=False)})" if self.header else str(column)

    def texts(self, column: int) -> list[str]:
        """The cells of one column. Raises ValueError naming the line of an empty one."""
        for line, row in zip(self.lines, self.rows, strict=True):
            if not row[column]:
                raise ValueError(f"{self.file}, line {line}, column {self.title(column)}: the cell is empty.")
        return [row[column] for row in self.rows]

    def numbers(self, columns: list[int]) -> np.ndarray:
        """(rows, columns) float64. A ValueError names line and column of what is not a finite number."""
        try:
            values = np.array([[float(row[c]) for c in columns] for row in self.rows])
            if np.isfinite(values).all():
                return values
        except ValueError:
            pass
        raise ValueError(self._first_fault(columns))

    def _first_fault(self, columns: list[int]) -> str:
        for line, row in zip(self.lines, self.rows, strict=True):
            for c in columns:
                if not _is_finite_number(row[c]):
                    return (
                        f"{self.file}, line {line}, column {self.title(c)}: {shortened(row[c])} is not a finite "
                        "number. Fill it, encode it as a number, or drop the column."
                    )
        raise AssertionError("numbers() found a fault that is not there")


def read_table(path: Path, delimiter: str, header: bool) -> Table:
    """Read a text file, plain or .gz; `delimiter` is one character or "whitespace". Blank lines are skipped.

    Raises ValueError where the file is missing, damaged, empty or ragged, and where the header seems to be
    data.
    """
    file = existing_file(path)
    try:
        text = read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text ({error}). Convert it, or check that it is a table.") from error
    try:
        cells = list(_split(file, text.splitlines(keepends=True), delimiter))
    except MemoryError as error:
        raise ValueError(
            f"{file} holds {len(text):,} characters, too many for the memory that there is. Leave out rows, or save "
            "it as .npz."
        ) from error
    names = tuple(cells.pop(0)[1]) if header and cells else ()
    if not cells:
        raise ValueError(f"{file} holds no rows of data.")
    if names and all(_is_finite_number(name) for name in names):
        raise ValueError(f"{file}: the first line holds only numbers, so it is no header. Set header: false.")
    width = len(names) or len(cells[0][1])
    for line, row in cells:
        if len(row) != width:
            raise ValueError(
                f"{file}, line {line}: {len(row)} column(s), expected {width} as before. "
                f"Check the delimiter ({delimiter!r} was given)."
            )
    return Table(file, names, tuple(line for line, _ in cells), tuple(row for _, row in cells))


def _split(file: Path, lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    if delimiter == "whitespace":
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line.split()
        return
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise ValueError(
            f"{file}, line {reader.line_num}: this is no table ({error}). Is a quotation mark left open there?"
        ) from error


def _is_finite_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
