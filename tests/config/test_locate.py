"""Components by name, also those that other packages bring, and what is said of broken ones."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from lifelong.config.errors import ConfigError
from lifelong.config.load import load_config
from lifelong.config.locate import NotFound, listing, locate, name_of, points
from lifelong.places import import_named, look_in
from lifelong.shift.cusum import Cusum


def plant(folder: Path, package: str, entry_points: str) -> None:
    """What an installer leaves behind for a package that declares entry points."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_a_built_in_is_found_by_its_entry_point_and_knows_its_name() -> None:
    assert locate("cusum", "lifelong.detectors") is Cusum
    assert name_of(Cusum, "lifelong.detectors") == "cusum"
    assert name_of(Cusum, None) == "lifelong.shift.cusum:Cusum"
    assert locate("lifelong.shift.cusum:Cusum", None) is Cusum


def test_a_class_inside_a_function_has_no_name() -> None:
    class Hidden:
        pass

    assert name_of(Hidden, None) is None


def test_a_plug_in_package_stands_beside_the_built_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted_plugin.py").write_text(
        'class Siren:\n    """Goes off at once."""\n\ndef undocumented() -> None: ...\n'
    )
    plant(
        tmp_path,
        "planted",
        "[lifelong.detectors]\nsiren = planted_plugin:Siren\ngone = planted_plugin:Gone\n"
        "plain = planted_plugin:undocumented\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {item.name: item for item in listing("lifelong.detectors")}
    assert (found["siren"].summary, found["siren"].package) == ("Goes off at once.", "planted")
    assert found["gone"].error.endswith("is not there: planted_plugin has no 'Gone'.")
    assert (found["plain"].summary, found["plain"].error) == ("", "")
    assert found["cusum"].package == "lifelong"
    assert "siren" not in points("lifelong.detectors", "lifelong")


def test_two_packages_that_claim_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "usurper", "[lifelong.detectors]\ncusum = usurper:Cusum\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(NotFound, match=r"two packages claim 'cusum' .* lifelong \(.*usurper \(usurper:Cusum\)"):
        locate("cusum", "lifelong.detectors")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("def", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_module_that_breaks_on_import_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, told: str
) -> None:
    (tmp_path / "breaks_on_import.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(NotFound, match=told):
        locate("breaks_on_import:X", None)


def test_modules_lie_beside_the_configuration_or_where_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    code, studies = tmp_path / "code", tmp_path / "studies"
    code.mkdir()
    studies.mkdir()
    (code / "lies_elsewhere.py").write_text("class Mine:\n    pass\n")
    text = "stream: toy_parts:toy_stream\nagent: lies_elsewhere:Mine\n"
    (studies / "study.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"No module named 'lies_elsewhere'\. It was looked for beside"):
        load_config(studies / "study.yaml")
    (studies / "study.yaml").write_text(text.replace("toy_stream\n", "toy_stream\nmodules_from: [../code]\n"))
    with pytest.raises(ConfigError) as caught:
        load_config(studies / "study.yaml")
    assert [problem.key for problem in caught.value.problems] == [("stream",)]


def test_a_folder_is_put_on_the_path_once_and_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ["elsewhere"]
    monkeypatch.setattr("sys.path", path)
    look_in([tmp_path, tmp_path / "b"])
    look_in([tmp_path])
    assert path == ["elsewhere", str(tmp_path), str(tmp_path / "b")]


def test_only_what_is_named_is_looked_for_there_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
        for name in ("stands_twice", "stands_twice_too"):
            (folder / f"{name}.py").write_text(f"WHERE = {folder.name!r}\n")
    monkeypatch.setattr("sys.path", [str(theirs), *sys.path])
    look_in([ours])
    assert import_named("stands_twice").WHERE == "ours"
    assert importlib.import_module("stands_twice_too").WHERE == "theirs"
    assert sys.path[0] == str(theirs)
