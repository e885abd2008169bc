"""What `import lifelong` offers: all that YAML can name for noticing and routing, and the same to type checkers."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import lifelong

ROOT = Path(__file__).resolve().parents[1]
ENTRIES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]


@pytest.mark.parametrize("group", ["detectors", "signals", "measures", "routers"])
def test_whatever_yaml_can_name_is_at_the_front(group: str) -> None:
    for place in ENTRIES[f"lifelong.{group}"].values():
        module, name = place.split(":")
        assert name in lifelong.__all__
        assert getattr(lifelong, name) is getattr(import_module(module), name)


def test_type_checkers_see_the_names_that_load() -> None:
    tree = ast.parse(Path(lifelong.__file__).read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in checked.body if isinstance(node, ast.ImportFrom)]
    seen = {(alias.asname, node.module) for node in imports for alias in node.names}
    assert seen == {(name, f"lifelong.{lifelong._HOME_OF[name]}") for name in lifelong.__all__}
    assert [node.module for node in imports] == sorted(node.module or "" for node in imports)


def test_the_front_loads_nothing_before_it_is_used() -> None:
    script = "import sys, lifelong; print({'torch', 'numpy', 'scipy', 'river'} & set(sys.modules) or 'nothing')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "nothing"
