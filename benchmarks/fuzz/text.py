"""Text that is spoiled byte by byte, and YAML that means something that nobody would."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path


def spoiled(draw: random.Random, raw: bytes, canary: Path) -> bytes:
    """The same text, but for one or a few things in it. Whoever runs what is in it makes the file `canary`."""
    if draw.random() < 0.6:
        for _ in range(draw.choice((1, 1, 2, 5))):
            raw = draw.choice(BYTES)(draw, raw)
        return raw
    return draw.choice(MEANINGS)(draw, raw.decode(), canary).encode("utf-8", "surrogatepass")


def flipped(draw: random.Random, raw: bytes) -> bytes:
    """One bit is another."""
    if not raw:
        return raw
    at = draw.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << draw.randrange(8)]) + raw[at + 1 :]


def cut(draw: random.Random, raw: bytes) -> bytes:
    return raw[: draw.randrange(len(raw) + 1)]


def lost(draw: random.Random, raw: bytes) -> bytes:
    """Some bytes are missing in the middle."""
    at = draw.randrange(len(raw) + 1)
    return raw[:at] + raw[at + draw.choice((1, 4, 50)) :]


def stuttered(draw: random.Random, raw: bytes) -> bytes:
    """A stretch is there twice."""
    at, long = draw.randrange(len(raw) + 1), draw.choice((1, 10, 200))
    return raw[:at] + raw[at : at + long] + raw[at:]


def inserted(draw: random.Random, raw: bytes) -> bytes:
    at = draw.randrange(len(raw) + 1)
    return raw[:at] + draw.choice(INSERTED) + raw[at:]


def noise(draw: random.Random, raw: bytes) -> bytes:
    at = draw.randrange(len(raw) + 1)
    return raw[:at] + draw.randbytes(draw.choice((1, 8, 64))) + raw[at + 8 :]


INSERTED = (
    b"\t", b"\n", b"\r", b"\r\n", b"\x00", b"\x07", b"\x1b[31m", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3\x28",
    b"\x85", b"\xe2\x80\xa8", b"\xed\xa0\x80", b": ", b":", b"- ", b"{", b"}", b"[", b"]", b"'", b'"', b"|\n", b">\n",
    b"&a ", b"*a ", b"!!int ", b"!!binary ", b"!!set ", b"!!omap ", b"!!timestamp ", b"!x ", b"!<x> ", b"@", b"`", b"%",
    b"? ", b"# ", b"---\n", b"...\n", b"%YAML 1.1\n---\n", b"%TAG ! tag:x\n", b"<<: *a\n", b"\\", b'"\\ud800"',
    b'"\\U0010ffff"', b'"\\UFFFFFFFF"', b'"\\U00110000"', b'"\\x00"', b"~", b"=", b"1_000", b"0x1F", b"0o17",
    b"12:30:45", b"2020-01-01", b"1" * 5000, b"1e400", b".inf", b"-.INF", b".NaN", b"x" * 2000,
)  # fmt: skip

BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (flipped, cut, lost, stuttered, inserted, inserted, noise)


def bomb(draw: random.Random, text: str, canary: Path) -> str:
    """A few lines that mean thousands of millions of values."""
    wide, deep = draw.choice((2, 10, 30)), draw.choice((5, 9, 40))
    lines = [f"a0: &a0 [{', '.join(['x'] * wide)}]"]
    kind = draw.choice(("[{}]", "{{{}}}"))
    for n in range(1, deep):
        inner = [f"*a{n - 1}" if kind == "[{}]" else f"k{k}: *a{n - 1}" for k in range(wide)]
        lines.append(f"a{n}: &a{n} {kind.format(', '.join(inner))}")
    return _placed(draw, text, "\n".join(lines) + "\n")


def nested(draw: random.Random, text: str, canary: Path) -> str:
    """Levels within levels."""
    depth = draw.choice((49, 51, 200, 2000, 20_000, 200_000))
    way = draw.choice(
        ("[" * depth, "[" * depth + "]" * depth, "{a: " * depth, "- " * depth, "? " * depth, "{" * depth, "!a " * depth)
    )
    if depth < 2001 and draw.random() < 0.3:
        way = "\n".join(" " * n + "a:" for n in range(depth))
    return _placed(draw, text, f"deep: {way}\n" if draw.random() < 0.7 else way + "\n")


def itself(draw: random.Random, text: str, canary: Path) -> str:
    """Something that is inside itself."""
    kind = draw.choice(
        ("a: &a [*a]\n", "a: &a {b: *a}\n", "a: &a\n  <<: *a\n", "&a a: *a\n", "? &a [*a]\n: 1\n", "a: *nobody\n")
    )
    return _placed(draw, text, kind)


def merged(draw: random.Random, text: str, canary: Path) -> str:
    """Merge keys and keys given twice."""
    kind = draw.choice(
        (
            "base: &b {seed: 3}\n<<: *b\n",
            "<<: {seed: 1}\n",
            "<<: [1, 2]\n",
            "seed: 1\nseed: 2\n",
            "agent: {name: a, name: b}\n",
        )
    )
    return _placed(draw, text, kind)


def tagged(draw: random.Random, text: str, canary: Path) -> str:
    """Tags by which other loaders of YAML run things."""
    run = f"touch {canary}"
    kind = draw.choice(
        (
            f"!!python/object/apply:os.system ['{run}']",
            f"!!python/object/new:os.system ['{run}']",
            f"!!python/object/apply:subprocess.check_output [['touch', '{canary}']]",
            "!!python/name:os.system",
            "!!python/module:os",
            "!!python/object:lifelong.events.Skipped {}",
            "!!python/tuple [1, 2]",
            "!!python/object/apply:builtins.eval ['1']",
            "!!binary aGVsbG8=",
            "!!set {a, b}",
            "!!omap [a: 1]",
            "!!timestamp 2020-01-01",
            "!!int x",
            "!!float abc",
            "!!bool maybe",
            "!!null x",
            "!!map [1]",
            "!!seq {a: 1}",
            "!!str [1]",
            "!<tag:yaml.org,2002:python/object/apply:os.system> ['true']",
            "!include /etc/passwd",
            "!ENV ${HOME}",
        )
    )
    key = draw.choice(("seed", "device", "agent", "stream", "record", "x"))
    lines = [line for line in text.splitlines() if not line.startswith(f"{key}:")] if draw.random() < 0.5 else [text]
    return "\n".join([*lines, f"{key}: {kind}", ""])


def recoded(draw: random.Random, text: str, canary: Path) -> str:
    """The same in another encoding, with other ends of lines, or many times over."""
    kind = draw.randrange(6)
    if kind == 0:
        return text.encode("utf-16").decode("latin-1")
    if kind == 1:
        return "\ufeff" + text
    if kind == 2:
        return text.replace("\n", draw.choice(("\r\n", "\r", "\u2028", "\x85")))
    if kind == 3:
        return text * draw.choice((2, 50))
    if kind == 4:
        return draw.choice(
            ("", " ", "\n" * 100, "# nothing", "---", "...", "null", "3", "[]", "{}", "stream", "--- a\n--- b")
        )
    return _placed(draw, text, "#" + "x" * draw.choice((1000, 1_100_000)) + "\n")


def long(draw: random.Random, text: str, canary: Path) -> str:
    """Very long names, numbers and lists."""
    count = draw.choice((1000, 5000, 120_000))
    kind = draw.choice(
        (f"{'k' * count}: 1\n", f"seed: {'9' * count}\n", f"seed: -{'1' * count}.5\n", f"device: {'c' * count}\n",
         f"x: [{'1,' * count}]\n", "".join(f"k{n}: 1\n" for n in range(count // 10)), f"threads: 1e{'9' * 9}\n")
    )  # fmt: skip
    return _placed(draw, text, kind)


def _placed(draw: random.Random, text: str, more: str) -> str:
    return draw.choice((text + more, more + text, more))


MEANINGS: tuple[Callable[[random.Random, str, Path], str], ...] = (
    bomb, nested, itself, merged, tagged, tagged, recoded, long,
)  # fmt: skip
