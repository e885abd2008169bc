"""Values that nobody means, and plain data with such values in it."""

from __future__ import annotations

import copy
import random
import string
from collections.abc import Sequence
from typing import Any

Key = tuple[str | int, ...]

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, 3, 7, -(10**6), 10**9, 10**12, 2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 10**400,
    0.0, -0.0, 0.5, 1.0, 1.5, -0.5, 1e-9, 1e-300, 1e300, -1e300, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
WORDS: tuple[str, ...] = (
    "", " ", "\n", "\t", "a", "name", "null", "A B", "A B A", "x" * 300, "x" * 100_000, "é", "日本語", "🙂",
    "\u202e", "\ufeff",
    "\x00", "\x1b[2J", "\ud800", "../../x", "/etc/passwd", "/", ".", "..", "/dev/null", "/dev/zero", "~",
    "~nobody/x", "$NOPE/x",
    "${HOME}", "$", "a/b", "con", "a\\b", "1e999", "nan", "0x10", "<script>alert(1)</script>", "{}", "%s", "{0}",
    "cuda", "cuda:7", "cpu:1", "auto", "CPU", "*", "?", "!!python/name:os.system", "&a", "*a", "-", "--help",
)  # fmt: skip
NAMES: tuple[str, ...] = (
    "flagship", "finetune", "joint", "independent", "gpm", "tame", "tracker", "persistence", "retain", "both",
    "lifelong_rl", "finetune_rl", "digits", "idx", "npz", "csv", "bundled", "permuted", "rotated", "class_split",
    "label_permuted", "datasets", "drifting", "relay", "worlds", "cartpole_flip", "cusum", "adwin", "bocpd", "ewma",
    "page_hinkley", "river", "mmd", "gaussian", "trained", "latest", "mlp", "cnn", "lenet", "compact", "ewc", "er",
    "der", "packnet", "ridge", "osft", "nothing", "Flagship", "flagshp", "no_module:Class", "lifelong:Nothing",
    "lifelong.events:Skipped", "collections:Counter", "pathlib:Path", "torch:Tensor", "builtins:dict", "a:b:c", ":",
    "a:", ":b", "..:x", "os.path:", "no such:X", "lifelong.config.load:", "lifelong_agents.flagship", "json:loads",
)  # fmt: skip
"""Of components: right ones in the wrong place, and such that are none."""


def value(draw: random.Random, depth: int = 0) -> Any:
    """Anything that plain data can be."""
    kind = draw.randrange(10 if depth < 3 else 8)
    if kind < 3:
        return draw.choice(NUMBERS)
    if kind < 5:
        return draw.choice(WORDS)
    if kind < 6:
        return draw.choice((None, True, False))
    if kind < 7:
        return draw.choice(NAMES)
    if kind < 8:
        return "".join(chr(draw.randrange(1, 0x3000)) for _ in range(draw.randrange(1, 20)))
    if kind < 9:
        return [value(draw, depth + 1) for _ in range(draw.randrange(4))]
    return {key(draw): value(draw, depth + 1) for _ in range(draw.randrange(4))}


def key(draw: random.Random) -> str:
    """A name that may be nobody's."""
    return draw.choice(
        ("name", "seed", "device", "file", "", "x" * 200, "a.b", "é", "<<", "1", "null", "\x1b[31m", "__class__")
    )


def typo(draw: random.Random, word: str) -> str:
    """A word that is not quite the same."""
    at = draw.randrange(len(word) + 1)
    put = draw.choice((draw.choice(string.ascii_letters), "", "_", " "))
    return word[:at] + put + word[at + (draw.random() < 0.5) :]


def places(tree: Any, at: Key = ()) -> list[Key]:
    """Where there is something in plain data, itself left out."""
    inner: Sequence[tuple[str | int, Any]] = ()
    if isinstance(tree, dict):
        inner = list(tree.items())
    elif isinstance(tree, list):
        inner = list(enumerate(tree))
    return [place for name, part in inner for place in ((*at, name), *places(part, (*at, name)))]


def part(tree: Any, at: Key) -> Any:
    for step in at:
        tree = tree[step]
    return tree


def spoiled(draw: random.Random, tree: Any, others: Sequence[Any]) -> Any:
    """The same data, but for a few things in it; parts of `others` may come in."""
    tree = copy.deepcopy(tree)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        where = places(tree)
        if where:
            _spoil(draw, tree, draw.choice(where), others)
    return tree


def _spoil(draw: random.Random, tree: Any, at: Key, others: Sequence[Any]) -> None:
    parent, last = part(tree, at[:-1]), at[-1]
    there = parent[last]
    kind = draw.randrange(18)
    if kind > 8:
        fresh = alike(draw, there, last, others)
    elif kind < 3:
        fresh = value(draw)
    elif kind == 3:
        fresh = draw.choice(NAMES) if last == "name" or draw.random() < 0.5 else draw.choice(NUMBERS)
    elif kind == 4:
        fresh = draw.choice(([there], {"name": there}, [there, there], {str(last): there}, str(there)))
    elif kind == 5:
        other = draw.choice(others)
        fresh = copy.deepcopy(part(other, draw.choice(places(other))))
    elif kind == 6:
        del parent[last]
        return
    elif isinstance(parent, dict):
        renamed = kind == 7 and isinstance(last, str)
        parent[typo(draw, str(last)) if renamed else key(draw)] = parent.pop(last) if renamed else value(draw)
        return
    else:
        parent.insert(last, value(draw))
        return
    parent[last] = fresh


def alike(draw: random.Random, there: Any, name: str | int, others: Sequence[Any]) -> Any:
    """Something of the same kind, such as passes for it at first sight: a number for a number, a name for a name."""
    if isinstance(there, bool):
        return not there
    if isinstance(there, int):
        return draw.choice([number for number in NUMBERS if isinstance(number, int)])
    if isinstance(there, float):
        return draw.choice(NUMBERS)
    if isinstance(there, str) and draw.random() < 0.3:
        return draw.choice(WORDS)
    if isinstance(there, list) and draw.random() < 0.5:
        return draw.choice(
            (there * 2, there[:1], [], [alike(draw, item, name, others) for item in there], there * 1000)
        )
    # What stands elsewhere under the same key.
    known = [part(tree, at) for tree in others for at in places(tree) if at[-1] == name]
    return copy.deepcopy(draw.choice(known)) if known else value(draw)
