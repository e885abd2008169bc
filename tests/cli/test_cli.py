"""Commands as people type them: what they do, what they say, and the exit codes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lifelong import cli
from lifelong.config import ConfigError, Resolved, load_config
from lifelong.shortage import is_shortage, said_of

MODULE = """
from lifelong.experience import Batch, Truth
from lifelong.objective import Classification, Contract
from lifelong.stream import Segment, Task
import torch

class CliStream:
    name = "cli stream"

    def __init__(self, steps: int = 3, seed: int = 0) -> None:
        if steps < 1:
            raise ValueError("no steps")
        contract = Contract((2,), 2, Classification())
        self.tasks = [Task(t, contract, torch.zeros(1, 2), torch.zeros(1).long()) for t in "AB"]
        self.segments = [Segment("A", steps), Segment("B", 2), Segment("A", steps)]

    def experiences(self, start: int = 0):
        raise AssertionError("nobody may run this stream")

class CliAgent:
    def learn(self, batch): ...
    def predict(self, query): ...
    def size(self): ...
    def state_dict(self): ...
    def load_state_dict(self, state): ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a configuration and the module that it names."""
    (tmp_path / "cli_parts.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "small.yaml").write_text("stream: cli_parts:CliStream\nagent: cli_parts:CliAgent\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Resolved, Path]]:
    """What was asked of the runner, which runs nothing."""
    asked: list[tuple[Resolved, Path]] = []
    runs = ModuleType("lifelong.runs")
    runs.run_config = lambda resolved, out, goes_on: asked.append((resolved, out))  # type: ignore[attr-defined]
    runs.resume = lambda where: asked.append((load_config("small.yaml"), where))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lifelong.runs", runs)
    return asked


def test_run_hands_over_the_resolved_configuration(folder: Path, ran: list[tuple[Resolved, Path]]) -> None:
    assert cli.main(["run", "small.yaml", "stream.steps=5", "--out", "here", "threads=1", "--seed", "4"]) == 0
    ((resolved, out),) = ran
    assert out == Path("here")
    found = resolved.as_dict()
    assert (found["stream"]["steps"], found["threads"], found["seed"]) == (5, 1, 4)


def test_runs_get_folders_of_their_own(folder: Path, ran: list[tuple[Resolved, Path]]) -> None:
    for _ in range(3):
        assert cli.main(["run", "small.yaml", "seed=2"]) == 0
        ran[-1][1].mkdir(parents=True)
    assert [str(out) for _, out in ran] == [
        "runs/small-CliAgent-s2",
        "runs/small-CliAgent-s2-2",
        "runs/small-CliAgent-s2-3",
    ]


def test_a_dry_run_shows_everything_and_touches_nothing(
    folder: Path, ran: list[tuple[Resolved, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.iterdir())
    assert cli.main(["run", "small.yaml", "--dry-run", "device=cpu", "reference=cli_parts:CliAgent"]) == 0
    shown = capsys.readouterr().out
    assert ran == []
    assert [p for p in sorted(folder.iterdir()) if p.name != "__pycache__"] == before
    assert shown.startswith(load_config("small.yaml", ["device=cpu", "reference=cli_parts:CliAgent"]).to_yaml())
    for line in (
        "# device cpu; stream 'cli stream':",
        "#   segment 0: task A, steps 0 to 2",
        "#   segment 1: task B, steps 3 to 4",
        "#   segment 2: task A, steps 5 to 7",
        "# 2 tasks, 3 segments, 8 steps.",
        "# CliAgent and then CliAgent would live through it, and runs/small-CliAgent-s0 would hold the record.",
    ):
        assert line in shown.splitlines()


def test_resume_hands_over_the_folder(folder: Path, ran: list[tuple[Resolved, Path]]) -> None:
    assert cli.main(["resume", "runs/one"]) == 0
    assert ran[0][1] == Path("runs/one")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "smal.yaml"], "smal.yaml: there is no such file. Did you mean 'small.yaml'?"),
        (["run", "small.yaml", "sed=1"], "command line: sed: unknown key. Did you mean 'seed'?"),
        (["run", "small.yaml", "--dry-run", "stream.steps=0"], "cli_parts:CliStream: no steps"),
        (["list", "stream"], "there is no group 'stream'. Did you mean 'streams'?"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("lifelong: ")
    assert told in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("arguments", [[], ["run"], ["run", "small.yaml", "--sed", "1"], ["list", "data", "more"]])
def test_commands_that_cannot_be_read(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: lifelong" in capsys.readouterr().err


def _fails_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_config(resolved: Resolved, out: Path, goes_on: bool) -> None:
        raise error

    runs = ModuleType("lifelong.runs")
    runs.run_config = run_config  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lifelong.runs", runs)


def test_a_foreign_value_error_during_a_run_is_a_defect_and_keeps_its_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fails_with(ValueError("math domain error"), monkeypatch)
    with pytest.raises(ValueError, match="math domain error"):
        cli.main(["run", "small.yaml"])


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (FileExistsError("runs/x already holds a run"), 2)]
)
def test_interrupts_and_files_in_the_way_have_their_codes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    _fails_with(error, monkeypatch)
    assert cli.main(["run", "small.yaml"]) == code


def test_list_names_every_group_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    known = [
        "data:",
        "streams:",
        "sources:",
        "agents:",
        "detectors:",
        "signals:",
        "measures:",
        "routers:",
        "networks:",
        "subspaces:",
        "retention:",
    ]
    assert heads == known
    assert any(line.startswith("  cusum ") and "CUSUM" in line for line in lines)
    assert cli.main(["list", "detectors"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "detectors:"


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    script = (
        "import sys, lifelong.cli\n"
        "try: lifelong.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'yaml', 'wandb', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "run a configuration" in done.stdout


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], cli.OK), (["run", "missing.yaml"], cli.USER_ERROR)])
def test_the_package_is_the_command_line_too(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Path(cli.__file__).parents[1]
    command = [sys.executable, "-m", "lifelong", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=here)
    assert done.returncode == code
    with contextlib.suppress(SystemExit):
        cli.main(arguments)
    said = capsys.readouterr()
    assert (done.stdout, done.stderr) == (said.out, said.err)


def test_a_config_error_lists_its_problems_on_lines_of_their_own(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("small.yaml", ["a=1", "b=2"])
    assert str(caught.value).splitlines()[0] == "2 problems in the configuration:"
    assert [line[:17] for line in str(caught.value).splitlines()[1:]] == ["  command line: a", "  command line: b"]


def test_too_little_memory_is_no_defect(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    huge = "agent: {name: finetune, network: {name: mlp, hidden: [1000000000000]}}"
    Path("huge.yaml").write_text(f"stream: {{name: permuted, data: digits}}\n{huge}\nrecord: {{wandb: disabled}}\n")
    assert cli.main(["run", "huge.yaml", "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert "lifelong: there is not enough memory (can't allocate memory: you tried to allocate " in said
    assert "Use a smaller network (agent.network)" in said
    assert not Path("out").exists()


def test_every_way_in_which_memory_runs_out_is_known() -> None:
    assert is_shortage(MemoryError())
    assert is_shortage(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    assert said_of(torch.OutOfMemoryError("CUDA out of memory.\nmore")).startswith(
        "there is not enough memory (CUDA out of memory). Use"
    )
    assert not is_shortage(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
