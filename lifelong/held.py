"""What holds the parameters of a network that no subspace protects: one expert's alone, or standing still."""

from __future__ import annotations

from collections.abc import Iterator

from lifelong.adapters import layers
from lifelong.assembly import Assembly
from lifelong.lanes import owners
from lifelong.subspace.report import Kept, Report


def report_of(assembly: Assembly) -> Report:
    """Of a network that protects nothing; empty where nobody is to join its expert, who moves it all."""
    return Report(() if assembly.bending is None else (*body_rows(assembly), *lane_rows(assembly)))


def lane_rows(assembly: Assembly) -> Iterator[Kept]:
    """Norms and adapters in the body, and heads: each trained by one expert."""
    for part, module in assembly.body():
        owned = owners(module)
        for name, p in module.named_parameters():
            if id(p) in owned:
                why = f"of {owned[id(p)]} alone"
                yield Kept(f"{part}.{name}", tuple(p.shape), "per expert", why, 0, 1)
    for number, head in assembly.heads.items():
        why = f"of {assembly.lane_of(number)} alone"
        for name, p in head.named_parameters():
            yield Kept(f"heads.{number}.{name}", tuple(p.shape), "per expert", why, 0, 1)


def body_rows(assembly: Assembly) -> Iterator[Kept]:
    """The body that experts bend by adapters: it moves with its first expert until a second one joins."""
    for part, module in assembly.body():
        owned, lanes = owners(module), assembly.lanes_of(part)
        bent = {id(layer.weight) for _, layer in layers(module)}
        for name, p in module.named_parameters():
            if id(p) in owned:
                continue
            if len(lanes) < 2:
                yield Kept(f"{part}.{name}", tuple(p.shape), "free", "its only expert moves freely", 0, 1)
                continue
            how = "later experts bend it by adapters" if id(p) in bent else "later experts take it as it is"
            yield Kept(f"{part}.{name}", tuple(p.shape), "frozen", f"of {lanes[0]}; {how}", 1, 1)
