"""A W&B sweep's settings: put over the file's, held to the same rules, recorded, and logged where they came from."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml
from wandb_log import config_of, history, logged, summary_of

from lifelong.cli import main
from lifelong.config import load_config
from lifelong.evaluation.summary import Summary
from lifelong.sweep import overrides_of

pytestmark = pytest.mark.usefixtures("quiet_wandb")
ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "configs" / "digits.yaml"
SHORT = ["stream.timetable.order=A", "stream.timetable.epochs=1", "evaluation.within=0", "reference=null"]
RUN = ["run", str(DIGITS), *SHORT, "record.console=false", "record.wandb=disabled"]


def test_a_configuration_becomes_overrides() -> None:
    config = {"agent.optimizer.lr": 1e-5, "agent": {"network": {"hidden": [8, 8]}, "name": "gpm"}, "_wandb": {"a": 1}}
    assert overrides_of(config) == ("agent.optimizer.lr=1e-05", "agent.network.hidden=[8, 8]", 'agent.name="gpm"')
    assert overrides_of({"reference": None, "a": {}, "b": True}) == ("reference=null", "a={}", "b=true")
    assert load_config(DIGITS, swept=["agent.optimizer.lr=1e-05"]).as_dict()["agent"]["optimizer"]["lr"] == 1e-5


def test_an_open_run_brings_its_settings_and_gets_the_numbers(tmp_path: Path) -> None:
    config = {"agent.optimizer.lr": 0.02, "agent": {"network": {"hidden": [16]}}, "seed": 3}
    theirs = wandb.init(mode="offline", dir=tmp_path, config=config)
    assert main([*RUN, "agent.optimizer.lr=0.5", "--sweep", "--out", str(tmp_path / "run")]) == 0
    theirs.finish()
    written = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert (written["agent"]["optimizer"]["lr"], written["agent"]["network"]["hidden"], written["seed"]) == (
        0.02,
        [16],
        3,
    )
    records = logged(tmp_path)
    assert summary_of(records)["acc"] == pytest.approx(history(records)[-2]["cl/acc"])
    assert config_of(records)["stream"]["timetable"]["order"] == "A"


def test_an_agent_of_wandb_is_noticed_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "params.yaml"
    settings.write_text("wandb_version: 1\nagent.optimizer.lr:\n  value: 0.03\n")
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc123")
    monkeypatch.setenv("WANDB_RUN_ID", "run7")
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(settings))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    assert main(RUN) == 0
    out = tmp_path / "runs" / "digits-flagship-s0-run7"
    assert yaml.safe_load((out / "config.yaml").read_text())["agent"]["optimizer"]["lr"] == 0.03
    assert wandb.run is None
    records = logged(tmp_path / "runs")
    assert "acc" in summary_of(records)
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [0]


def test_what_a_sweep_gets_wrong_is_told_as_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = wandb.init(mode="offline", dir=tmp_path, config={"agent.optimiser.lr": 0.02, "seed": "many"})
    assert main([*RUN, "--sweep", "--out", str(tmp_path / "run")]) == 2
    theirs.finish()
    told = capsys.readouterr().err
    assert "W&B sweep: agent.optimiser: unknown key. Did you mean 'optimizer'?" in told
    assert "W&B sweep: seed: got 'many'" in told
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_nobody_sweeps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--sweep"]) == 2
    assert "no sweep has started this" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((ROOT / "configs/sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_sweep_files_ask_for_what_there_is(path: Path) -> None:
    """W&B reads them as YAML 1.1; every value that they can draw is one that the configuration takes."""
    sweep: dict[str, Any] = yaml.safe_load(path.read_text())
    program, command, config, *overrides = sweep["command"]
    assert (program, command, sweep["program"]) == ("lifelong", "run", "lifelong")
    for name, given in sweep["parameters"].items():
        for value in given.get("values") or [given["min"], given["max"]]:
            assert not isinstance(value, str)
            load_config(ROOT / config, overrides, overrides_of({name: value}))
    first = {name: (given.get("values") or [given["min"]])[0] for name, given in sweep["parameters"].items()}
    load_config(ROOT / config, overrides, overrides_of(first)).build()
    assert sweep["metric"]["name"] in {field.name for field in fields(Summary)}
