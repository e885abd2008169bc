"""The schema that editors use: current, complete, and of one mind with the loader."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from schema_oracle import meets
from test_locate import plant
from toy_study import MINIMAL, Load

from lifelong.config import ConfigError
from lifelong.config.locate import GROUPS, listing
from lifelong.config.schema import config_schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def built_in() -> dict[str, Any]:
    """The schema of all that is installed."""
    return config_schema()


@cache
def schema_of_toys(folder: Path) -> dict[str, Any]:
    return config_schema("toys")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package that brings the toy parts is installed."""
    folder = tmp_path_factory.mktemp("toys")
    plant(
        folder,
        "toys",
        "[lifelong.data]\nnumbers = toy_parts:Numbers\n[lifelong.streams]\ntoys = toy_parts:toy_stream\n"
        "blend = toy_parts:blend\n[lifelong.agents]\ntoy = toy_parts:ToyAgent\n",
    )
    return folder


@pytest.fixture
def schema(place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The schema of the package that brings the toy parts, which is installed meanwhile."""
    monkeypatch.syspath_prepend(str(place))
    return schema_of_toys(place)


def test_the_published_schema_is_current(built_in: dict[str, Any]) -> None:
    published = json.loads((ROOT / "configs" / "schema.json").read_text(encoding="utf-8"))
    assert published == built_in, "run `lifelong schema > configs/schema.json`"


def test_every_built_in_component_is_named_and_described(built_in: dict[str, Any]) -> None:
    definitions = built_in["$defs"]
    for group in GROUPS.values():
        items = listing(group, "lifelong")
        assert items
        for item in items:
            named = definitions[f"{group}.{item.name}"]["properties"]["name"]
            assert named == {"const": item.name, "description": item.summary}
            assert item.summary


def test_a_component_s_parameters_are_its_properties(schema: dict[str, Any]) -> None:
    agent = schema["$defs"]["lifelong.agents.toy"]
    assert agent["description"] == "A learner made by a class."
    assert agent["required"] == ["name"]
    assert not agent["additionalProperties"]
    assert agent["properties"]["lr"] == {"type": "number", "default": 1e-3}
    assert agent["properties"]["mode"] == {"enum": ["slow", "fast"], "type": "string", "default": "slow"}
    assert agent["properties"]["gadget"]["default"] == {"name": "toy_parts:Knob", "turns": 5}
    assert schema["$defs"]["lifelong.streams.toys"]["required"] == ["name", "data"]
    assert schema["required"] == ["stream", "agent"]


SHORT = """
    stream: {name: toys, data: numbers}
    agent: toy
"""
LONG = """
    stream: {name: blend, streams: [{name: toys, data: {name: numbers, count: 3}, hours: {order: [A]}}, toys]}
    agent: {name: toy, widths: [], detector: {threshold: 3}, gadget: {turns: 2}}
    reference: toy_parts:needs_nothing
    threads: 1
"""


@pytest.mark.parametrize("text", [MINIMAL, SHORT, LONG.replace(", toys]", "]")])
def test_what_the_loader_takes_meets_the_schema_before_and_after(load: Load, schema: dict[str, Any], text: str) -> None:
    from lifelong.config.errors import Report
    from lifelong.config.source import read_text

    assert meets(read_text(text, Report(""), lines={}), schema, schema)
    assert meets(load(text).as_dict(), schema, schema)


@pytest.mark.parametrize(
    "text",
    [
        SHORT + "    sede: 1\n",
        SHORT + "    seed: x\n",
        SHORT + "    evaluation: {withn: 1}\n",
        SHORT.replace("data: numbers", "date: numbers"),
        SHORT.replace("data: numbers", "data: {name: numbers, count: true}"),
        SHORT.replace("agent: toy", "agent: ty"),
        SHORT.replace("agent: toy", "agent: {name: toy, mode: middle}"),
        SHORT.replace("agent: toy", "agent: {name: toy, detector: {threshold: x}}"),
        SHORT.replace("agent: toy", ""),
        "seed: 1\n",
    ],
)
def test_what_the_loader_refuses_does_not_meet_the_schema(load: Load, schema: dict[str, Any], text: str) -> None:
    from lifelong.config.errors import Report
    from lifelong.config.source import read_text

    assert not meets(read_text(text, Report(""), lines={}), schema, schema)
    with pytest.raises(ConfigError):
        load(text)
