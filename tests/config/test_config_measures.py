"""Measures without labels, and the watch around one, from a configuration."""

from __future__ import annotations

import pytest
from toy_study import MINIMAL, Load
from toy_watching import MeasuringAgent, WatchingAgent

from lifelong.cli import main
from lifelong.config import ConfigError, load_config
from lifelong.shift.cusum import Cusum
from lifelong.shift.page_hinkley import PageHinkley
from lifelong.shift.unlabelled.classifier import ClassifierTwoSample
from lifelong.shift.unlabelled.energy import Energy
from lifelong.shift.unlabelled.entropy import Entropy
from lifelong.shift.unlabelled.kolmogorov_smirnov import KolmogorovSmirnov
from lifelong.shift.unlabelled.mmd import Mmd
from lifelong.shift.unlabelled.reconstruction import Reconstruction
from lifelong.shift.unlabelled.watch import Unlabelled

MEASURING = MINIMAL.replace("toy_parts:ToyAgent", "toy_watching:MeasuringAgent")
WATCHING = MINIMAL.replace("toy_parts:ToyAgent", "toy_watching:WatchingAgent")
NAMES = {
    "mmd": Mmd,
    "energy": Energy,
    "ks": KolmogorovSmirnov,
    "classifier": ClassifierTwoSample,
    "entropy": Entropy,
    "reconstruction": Reconstruction,
}


def watch(load: Load, *overrides: str) -> Unlabelled | None:
    agent = load(WATCHING, *overrides).build().agent.build()
    assert isinstance(agent, WatchingAgent)
    return agent.inputs


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_measure_has_a_name(load: Load, name: str) -> None:
    agent = load(MEASURING, f"agent.measure={name}").build().agent.build()
    assert isinstance(agent, MeasuringAgent)
    assert type(agent.measure) is NAMES[name]


def test_a_measure_s_settings_and_the_run_s_seed_reach_it(load: Load) -> None:
    agent = load(MEASURING, "seed=5", "agent.measure={name: ks, sight: outputs, grace: 7}").build().agent.build()
    assert isinstance(agent, MeasuringAgent)
    assert isinstance(agent.measure, KolmogorovSmirnov)
    assert (agent.measure.sight, agent.measure.grace, agent.measure.seed) == ("outputs", 7, 5)


def test_a_default_measure_is_written_out_and_may_be_changed_in_part(load: Load) -> None:
    assert load(MEASURING).as_dict()["agent"]["measure"] == {
        "name": "energy", "directions": 8, "grace": 20, "rows": 512, "sight": "inputs",
    }  # fmt: skip
    agent = load(MEASURING, "agent.measure={rows: 99}").build().agent.build()
    assert isinstance(agent, MeasuringAgent)
    assert isinstance(agent.measure, Energy)
    assert (agent.measure.directions, agent.measure.rows) == (8, 99)


def test_a_watch_is_a_nested_section(load: Load) -> None:
    assert watch(load) is None
    found = watch(load, "agent.inputs={measure: mmd, detector: {name: cusum, threshold: 20}}")
    assert isinstance(found, Unlabelled)
    assert isinstance(found.measure, Mmd)
    assert found.detector == Cusum(threshold=20)
    found = watch(load, "agent.inputs={measure: {name: entropy, memory: null}, detector: page_hinkley}")
    assert isinstance(found, Unlabelled)
    assert isinstance(found.measure, Entropy)
    assert found.measure.memory is None
    assert found.detector == PageHinkley()


def test_what_a_watch_leaves_out_has_its_default(load: Load) -> None:
    plain = watch(load, "agent.inputs={}")
    assert isinstance(plain, Unlabelled)
    assert isinstance(plain.measure, Mmd)
    assert plain.detector == Unlabelled().detector
    # A detector without a name is the default one, changed.
    changed = watch(load, "agent.inputs={detector: {threshold: 20}}")
    assert isinstance(changed, Unlabelled)
    assert changed.detector == Cusum(threshold=20, memory=200, warmup=10)


def test_the_written_configuration_is_the_same_when_it_is_read_back(load: Load) -> None:
    first = load(WATCHING, "agent.inputs={measure: classifier, detector: {name: cusum, threshold: 20}}")
    assert first.as_dict()["agent"]["inputs"]["measure"]["window"] == 256
    with open("again.yaml", "w", encoding="utf-8") as file:
        file.write(first.to_yaml())
    assert load_config("again.yaml").as_dict() == first.as_dict()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("agent.inputs.measure=mdm", "agent.inputs.measure.name: got 'mdm', which is not among lifelong.measures. Did"),
        ("agent.inputs={measure: {name: mmd, directions: 3}}", "agent.inputs.measure.directions: unknown key."),
        ("agent.inputs={measure: {name: ks, sight: both}}", "agent.inputs.measure.sight: got 'both', expected one of"),
        ("agent.inputs=mmd", "agent.inputs: got 'mmd', expected a section with settings of Unlabelled."),
    ],
)
def test_mistakes_are_told(load: Load, override: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(WATCHING, override)
    assert str(caught.value.problems[0]).partition(": ")[2].startswith(told)


def test_bad_numbers_are_told_where_they_stand(load: Load) -> None:
    with pytest.raises(
        ConfigError, match=r"agent\.inputs\.measure: mmd: Mmd needs frequencies >= 1, got frequencies=0"
    ):
        load(WATCHING, "agent.inputs={measure: {name: mmd, frequencies: 0}}").build()


def test_measures_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "measures"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "measures:"
    assert {line.split()[0] for line in lines[1:]} >= set(NAMES)
    assert not [line for line in lines if "BROKEN" in line]
