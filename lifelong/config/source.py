"""A configuration file as plain data, with the line on which every key was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lifelong.config.errors import Key, Report, nearest, shown
from lifelong.config.yaml12 import PREFIX, Loader, scalar

LARGEST_BYTES = 1_000_000
MOST_VALUES = 100_000
DEEPEST = 50
TEXT = PREFIX + "str"
PLAIN = (PREFIX + "map", PREFIX + "seq")
EXPECTED = "could not find expected ':'"
SPACE = "Is a space missing behind a colon?"


def read_file(path: Path, report: Report) -> dict[str, Any]:
    """The mapping that a file holds; what is wrong with it goes into the report, the lines of its keys too.

    Raises: ConfigError when the file cannot be read at all.
    """
    text = _text_of(path, report)
    report.stop_if_any()
    data = read_text(text, report, lines=report.lines)
    report.stop_if_any()
    if data is None:
        report.add((), "the file is empty; it needs at least the sections `stream` and `agent`.")
    elif not isinstance(data, dict):
        hints = [SPACE] if isinstance(data, str) and ":" in data else []
        report.refuse((), data, "a mapping with the sections `stream` and `agent`", *hints)
    report.stop_if_any()
    assert isinstance(data, dict)
    return data


def read_text(text: str, report: Report, lines: dict[Key, int], at: Key = ()) -> Any:
    """YAML text as plain data. `lines` receives each key's line (from 1); `at` is where the data belongs."""
    try:
        # Text that holds what no YAML may is refused as it is handed over.
        loader = Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except RecursionError:
        report.add(at, f"more than {DEEPEST} levels: nothing here is nested so deeply.")
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        lines[at] = mark.line + 1 if mark else 1
        said = error.problem or error.context or ""
        report.add(at, f"this is not YAML: {said}.", *([SPACE] if EXPECTED in said else []))
        return None
    except yaml.YAMLError as error:
        report.add(at, f"this is not YAML: {str(error).splitlines()[0]}.")
        return None
    except (ValueError, OverflowError):
        report.add(at, "this is not YAML: it names a character, behind a backslash, that there is not.")
        return None
    walker = _Walker(report, lines)
    return None if node is None else walker.value(node, at, depth=0)


class _Walker:
    """Turns nodes into data. It counts the values, because aliases can make a small file mean a huge one."""

    def __init__(self, report: Report, lines: dict[Key, int]) -> None:
        self._report, self._lines, self._count = report, lines, 0

    def value(self, node: yaml.Node, key: Key, depth: int) -> Any:
        self._count += 1
        self._lines.setdefault(key, node.start_mark.line + 1)
        if self._count > MOST_VALUES or depth > DEEPEST:
            if self._count < 2 * MOST_VALUES:
                self._count = 2 * MOST_VALUES
                self._report.add(
                    key,
                    f"more than {MOST_VALUES:,} values or {DEEPEST} levels: do aliases refer to themselves?",
                )
            return None
        if not isinstance(node, yaml.ScalarNode) and node.tag not in PLAIN:
            # Whatever other loaders make of it, here it would mean nothing.
            self._report.add(key, f"the tag {shown(node.tag)} does not belong in a configuration: leave it out.")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*key, i), depth + 1) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        try:
            return scalar(node)
        except ValueError as error:
            self._report.add(key, str(error))
            return None

    def _mapping(self, node: yaml.MappingNode, key: Key, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._report.add(key, f"a key on line {line} is a list or a mapping; keys must be plain names.")
                continue
            try:
                name = str(scalar(key_node)) if key_node.tag == TEXT else key_node.value
            except ValueError as error:
                self._report.add(key, f"a key on line {line}: {error}")
                continue
            if name in first:
                self._report.add(key, f"the key {name!r} is given twice, on lines {first[name]} and {line}: keep one.")
                continue
            first[name] = self._lines[(*key, name)] = line
            found[name] = self.value(value_node, (*key, name), depth + 1)
        return found


def _text_of(path: Path, report: Report) -> str:
    try:
        if not path.is_file():
            there = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
            listed = f"YAML files in {path.parent}: {', '.join(there) or 'none'}."
            what = "is a folder, not a file." if path.is_dir() else "there is no such file."
            report.add((), what, nearest(path.name, there), listed)
            return ""
        if path.stat().st_size > LARGEST_BYTES:
            report.add(
                (),
                f"the file has {path.stat().st_size:,} bytes; a configuration has at most {LARGEST_BYTES:,}.",
            )
            return ""
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        report.add((), f"the file cannot be read as UTF-8 text: {error}.")
        return ""
