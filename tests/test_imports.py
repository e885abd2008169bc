"""The direction of imports: who may know whom, no cycles, and nothing heavy before it is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"lifelong": ROOT, "lifelong_envs": ROOT / "envs", "lifelong_agents": ROOT / "agents"}
MADE_OF_HEAVY = ("lifelong_envs.rl", "lifelong_agents.sb3", "lifelong.serving.app")
HEAVY = {"wandb", "stable_baselines3", "matplotlib", "sklearn", "scipy", "river", "gymnasium", "starlette", "uvicorn"}

ABOVE = {
    "beforehand", "check", "checkpoint", "cli", "cli_recorded", "cli_studies", "config", "episodes", "evaluation",
    "facts", "lifetime", "loop", "record", "references", "replay", "returning", "runs", "saver", "saving", "serving",
    "stopping", "stream", "study", "sweep", "tuning", "watching",
}  # fmt: skip
"""Parts of lifelong that know of truth, judging and running: what learns must not know them."""

ONLY: dict[str, set[str]] = {
    "__main__": {"cli"},
    "events": {"mishaps", "update"},
    "mishaps": set(),
    "scale": set(),
    "source": set(),
    "update": set(),
    "objective": set(),
    "optimizer": set(),
    "experience": {"objective"},
    "finite": {"interaction"},
    "interaction": {"mishaps"},
    "stream": {"events", "experience", "interaction", "objective", "scale"},
    "learner": {"events", "experience", "interaction"},
    "episodes": {"finite", "interaction", "learner", "mishaps", "stream"},
    "evaluation": {"events"},
    "record": {"events", "evaluation"},
    "shift": {"events"},
    "routing": {"augment", "fit", "network", "optimizer", "selector", "thinning"},
    "retention": {"experience", "objective"},
    "updates": set(),
    "subspace": {"updates"},
    "check": {"events", "experience", "interaction", "learner", "objective", "routing", "shift", "stream"},
    "config": {"evaluation", "learner", "places", "saving", "saying", "stream"},
    "cli": {
        "beforehand",
        "blame",
        "cli_recorded",
        "cli_studies",
        "config",
        "exits",
        "record",
        "runs",
        "saying",
        "shortage",
        "stopping",
        "sweep",
    },
    "cli_recorded": {"exits", "replay", "runs", "serving"},
    "cli_studies": {"config", "exits", "study", "tuning"},
    "exits": set(),
    "blame": set(),
    "places": set(),
    "saving": set(),
    "saying": set(),
    "shortage": set(),
    "stopping": set(),
    "facts": {"events", "interaction", "learner", "stream"},
    "replay": {"config", "events", "record"},
    "serving": {
        "checkpoint",
        "config",
        "experience",
        "facts",
        "learner",
        "loop",
        "objective",
        "record",
        "shortage",
        "stopping",
        "stream",
    },
    "sweep": {"record"},
    "loop": {
        "health",
        "episodes",
        "evaluation",
        "events",
        "experience",
        "interaction",
        "labels",
        "learner",
        "patience",
        "record",
        "stream",
    },
    "health": {"events", "experience"},
    "labels": {"experience", "interaction", "objective"},
    "patience": {"experience", "interaction", "stream"},
    "lifelong_envs": {
        "events",
        "experience",
        "finite",
        "interaction",
        "mishaps",
        "objective",
        "places",
        "scale",
        "saying",
        "source",
        "stream",
    },
}
"""Parts that may know these parts and themselves alone. All others may know everything that is not above them."""

RUNS_THINGS = {
    "beforehand", "checkpoint", "cli", "lifetime", "references", "returning", "runs", "saver", "study", "tuning",
    "watching",
}  # fmt: skip
"""What ties the parts together: it may know all of lifelong except what stands above itself."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """Module `source` imports module `target`; `top`: when it is itself imported; `real`: not for types only."""

    source: str
    target: str
    top: bool
    real: bool


def modules() -> dict[str, Path]:
    """Every module of the three packages by its dotted name."""
    found = {}
    for package, base in PACKAGES.items():
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def arrows(name: str, source: str, known: set[str], is_package: bool) -> list[Arrow]:
    """The imports of one module; `from package import module` points at the module."""
    return list(_arrows(ast.parse(source), name, known, is_package, top=True, real=True))


def _arrows(node: ast.AST, name: str, known: set[str], is_package: bool, top: bool, real: bool) -> Iterator[Arrow]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Arrow(name, alias.name, top, real) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = name.split(".")
            start = base[: len(base) - child.level + is_package] if child.level else []
            package = ".".join([*start, *([child.module] if child.module else [])])
            for alias in child.names:
                inner = f"{package}.{alias.name}"
                yield Arrow(name, inner if inner in known else package, top, real)
        else:
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _arrows(child, name, known, is_package, top and not inside, real and not typing_only)


def part_of(module: str) -> str:
    """`lifelong.record.jsonl` -> `record`; the other two packages are a part each."""
    names = module.split(".")
    return names[0] if names[0] != "lifelong" else names[1] if len(names) > 1 else "lifelong"


def forbidden(found: list[Arrow]) -> list[str]:
    """Arrows between our own modules that the plan does not have."""
    wrong = []
    for arrow in found:
        if arrow.target.split(".")[0] not in PACKAGES:
            continue
        source, target = part_of(arrow.source), part_of(arrow.target)
        if source == target or target == "lifelong":
            continue
        if source == "lifelong" and not arrow.real:
            # The package's front names what it re-exports for type checkers, and loads each on first use.
            continue
        if target in PACKAGES:
            allowed = False
        elif source in ONLY:
            allowed = target in ONLY[source]
        elif source in RUNS_THINGS:
            above = {"runs", "config", "study", "tuning"}
            above -= {"runs": {"runs", "config"}, "study": {"runs", "config"}, "tuning": above}.get(source, set())
            allowed = target not in {"cli", "cli_recorded", "cli_studies"} | above
        else:
            allowed = target not in ABOVE
        if not allowed:
            wrong.append(f"{arrow.source} -> {arrow.target}")
    return sorted(set(wrong))


def cycle(found: list[Arrow]) -> list[str]:
    """Modules that import each other in a ring, else an empty list. Imports for types only do not count."""
    graph: dict[str, set[str]] = {}
    for arrow in found:
        if arrow.real and arrow.target.split(".")[0] in PACKAGES and arrow.source != arrow.target:
            graph.setdefault(arrow.source, set()).add(arrow.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring: list[str] = error.args[1]
        return ring
    return []


def heavy(found: list[Arrow]) -> list[str]:
    """Heavy packages that load with one of our modules, and modules that load one which is made of them."""

    def weighs(module: str) -> bool:
        return module.split(".")[0] in HEAVY or _is_heavy(module)

    return sorted(
        f"{arrow.source} -> {arrow.target}"
        for arrow in found
        if arrow.top and arrow.real and weighs(arrow.target) and not _is_heavy(arrow.source)
    )


def _is_heavy(module: str) -> bool:
    """Modules that subclass what a heavy package gives; they are loaded where one of them is named."""
    return any(module == package or module.startswith(f"{package}.") for package in MADE_OF_HEAVY)


@cache
def ours() -> list[Arrow]:
    paths = modules()
    return [
        arrow
        for name, path in paths.items()
        for arrow in arrows(name, path.read_text(encoding="utf-8"), set(paths), path.name == "__init__.py")
    ]


def test_imports_point_the_way_of_the_plan() -> None:
    assert forbidden(ours()) == []


def test_no_modules_import_each_other_in_a_ring() -> None:
    assert cycle(ours()) == []


def test_heavy_packages_load_where_they_are_used() -> None:
    assert heavy(ours()) == []


def test_all_three_packages_are_looked_at() -> None:
    seen = {arrow.source.split(".")[0] for arrow in ours()}
    assert seen == set(PACKAGES)
    assert {"lifelong.events", "lifelong.record.jsonl", "lifelong_envs.supervised"} <= set(modules())


def planted(**sources: str) -> list[Arrow]:
    """Arrows of made-up modules; `__` in a name stands for a dot."""
    named = {name.replace("__", "."): source for name, source in sources.items()}
    return [arrow for name, source in named.items() for arrow in arrows(name, source, set(named), False)]


def test_planted_wrong_arrows_are_found() -> None:
    found = planted(
        lifelong__events="from lifelong.objective import Contract",
        lifelong__pool="def f():\n    from lifelong.record import jsonl\n",
        lifelong__record__jsonl="import lifelong.learner",
        lifelong__shift__cusum="from ..expert import Expert\nfrom .detector import Shift",
        lifelong__loop="import lifelong_envs",
        lifelong__expert="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lifelong import stream\n",
        lifelong__stream="from lifelong.experience import Batch",
        lifelong__lifetime="import lifelong.config.load\nimport lifelong.record.jsonl",
        lifelong_agents__mine="import lifelong_envs.supervised\nimport lifelong.pool\nimport torch",
        lifelong_envs__mine="import lifelong.stream\nimport lifelong.pool",
    )
    assert forbidden(found) == [
        "lifelong.events -> lifelong.objective",
        "lifelong.expert -> lifelong.stream",
        "lifelong.lifetime -> lifelong.config.load",
        "lifelong.loop -> lifelong_envs",
        "lifelong.pool -> lifelong.record.jsonl",
        "lifelong.record.jsonl -> lifelong.learner",
        "lifelong.shift.cusum -> lifelong.expert",
        "lifelong_agents.mine -> lifelong_envs.supervised",
        "lifelong_envs.mine -> lifelong.pool",
    ]


def test_a_planted_ring_is_found_and_one_for_types_only_is_not() -> None:
    ring = {"lifelong__a": "import lifelong.b", "lifelong__b": "def f():\n    from lifelong import a\n"}
    assert set(cycle(planted(**ring))) == {"lifelong.a", "lifelong.b"}
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lifelong import a\n"
    assert cycle(planted(**(ring | {"lifelong__b": types}))) == []


def test_a_planted_heavy_import_is_found_and_one_in_a_function_is_not() -> None:
    found = planted(
        lifelong__a="import os\nimport sklearn.datasets",
        lifelong__b="class A:\n    from matplotlib import pyplot\n",
        lifelong__c="def f():\n    import wandb\n",
    )
    assert heavy(found) == ["lifelong.a -> sklearn.datasets", "lifelong.b -> matplotlib"]
