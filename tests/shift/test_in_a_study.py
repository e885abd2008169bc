"""Every detector by its name in a configuration, those made of others included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifelong.config import load_config
from lifelong.shift.adwin import Adwin
from lifelong.shift.bocpd import Bocpd
from lifelong.shift.confirmed import Confirmed
from lifelong.shift.cusum import Cusum
from lifelong.shift.ewma import Ewma
from lifelong.shift.falling import Falling
from lifelong.shift.frozen_cusum import FrozenCusum
from lifelong.shift.page_hinkley import PageHinkley
from lifelong.shift.tame_band import TameBand
from lifelong.shift.vote import Vote

STUDY = """
stream: {{name: permuted, data: digits, timetable: {{order: A B, samples: 320}}}}
agent: {{name: 'holding_agent:Holding', detector: {detector}}}
"""


def study(folder: Path, detector: str) -> Any:
    file = folder / "study.yaml"
    file.write_text(STUDY.format(detector=detector), encoding="utf-8")
    return load_config(file).build()


@pytest.mark.parametrize(
    ("detector", "wanted"),
    [
        ("cusum", Cusum()),
        ("{name: page_hinkley, cooldown: 20}", PageHinkley(cooldown=20)),
        ("{name: tame_band, start: 2.3026, warmup: 0}", TameBand(start=2.3026, warmup=0)),
        ("{name: ewma, sides: both}", Ewma(sides="both")),
        ("{name: adwin, span: 3}", Adwin(span=3.0)),
        ("{name: bocpd, expected: 500}", Bocpd(expected=500.0)),
        ("{name: frozen_cusum, warmup: 100}", FrozenCusum(warmup=100)),
        ("falling", Falling()),
        ("{name: falling, detector: {name: ewma, weight: 0.1}}", Falling(Ewma(weight=0.1))),
        ("{name: confirmed, trigger: {name: ewma, threshold: 4}, least: 8}", Confirmed(Ewma(threshold=4.0), least=8)),
        ("{name: vote, needed: 1, detectors: [cusum, {name: adwin, clock: 8}]}", Vote((Cusum(), Adwin(clock=8)), 1)),
    ],
)
def test_a_detector_is_made_as_it_is_written(tmp_path: Path, detector: str, wanted: object) -> None:
    assert study(tmp_path, detector).agent.build().detector == wanted


def test_bad_settings_deep_in_a_section_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"agent\.detector\.trigger.*weight=7"):
        study(tmp_path, "{name: confirmed, trigger: {name: ewma, weight: 7}}")


def test_rivers_are_written_by_their_names(tmp_path: Path) -> None:
    pytest.importorskip("river", reason="River is not installed")
    river = "{name: river, detector: KSWIN, settings: {alpha: 0.001, seed: 1}}"
    made = study(tmp_path, river).agent.build().detector
    assert made.detector == "KSWIN"
    assert made.settings == {"alpha": 0.001, "seed": 1}
