"""YAML the way people expect it: the scalars of YAML 1.2, read and written by the same rules.

PyYAML follows YAML 1.1, where `1e-3` is text, `no` is false, `010` is eight and `12:30` is 750. Here `1e-3`
is a number, only `true` and `false` are booleans, and what is written reads back as what it was.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from lifelong.config.errors import shown

PREFIX = "tag:yaml.org,2002:"
TRUE, FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}

_SCALARS: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9][0-9_]*", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
)


class Loader(yaml.SafeLoader):
    """Parses text into nodes; `scalar` turns the leaves into values."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class Dumper(yaml.SafeDumper):
    """Writes plain data: mappings in blocks, lists of scalars on one line, no aliases."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _kind, _pattern, _first in _SCALARS:
    for _user in (Loader, Dumper):
        _firsts = [*_first, ""] if _kind == "null" else list(_first)
        _user.add_implicit_resolver(PREFIX + _kind, re.compile(f"^(?:{_pattern})$"), _firsts)


def scalar(node: yaml.ScalarNode) -> Any:
    """The value of a leaf.

    Raises: ValueError when the leaf carries a tag that is not plain data, or text that its tag cannot hold.
    """
    text: str = node.value
    try:
        match node.tag.removeprefix(PREFIX):
            case "null":
                return None
            case "bool" if text in TRUE | FALSE:
                return text in TRUE
            case "int":
                return int(text.replace("_", ""))
            case "float":
                return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
            case "str":
                text.encode()
                return text
    except UnicodeEncodeError:
        raise ValueError(f"{shown(text)} holds half a character, which cannot be written: give plain text.") from None
    except ValueError:
        raise ValueError(f"{shown(text)} is no number, or has more digits than any that is counted with.") from None
    raise ValueError(f"the tag {shown(node.tag)} does not belong in a configuration: give plain text or a number.")


def dump(data: Any) -> str:
    """Plain data as text that reads back as the same data."""
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True)
