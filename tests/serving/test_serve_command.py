"""The command itself: a server in a process of its own, and what is said where there can be none."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served_run import body_of, copied, predicted, tasks_of

from lifelong.cli import main
from lifelong.experience import Query

PATIENCE = 60


def said_of(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@pytest.fixture
def stage(run: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, list[Path]]]:
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    folder, later = copied(run, tmp_path / "run", 2)
    command = [sys.executable, "-m", "lifelong", "serve", str(folder), "--port", "0", "--refresh", "0.05"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    yield process, folder, later
    process.kill()
    process.communicate()


def test_a_server_answers_follows_the_run_and_stops_in_good_order(
    stage: tuple[subprocess.Popen[str], Path, list[Path]],
) -> None:
    process, folder, later = stage
    assert process.stderr is not None
    first = process.stderr.readline()
    found = re.search(r"serving \S+ \(flagship on permuted digits\) on http://127\.0\.0\.1:(\d+)$", first.strip())
    assert found is not None
    port = int(found[1])
    inputs = tasks_of(folder)[1].test_inputs[:20]

    def at(step: int) -> list[int]:
        until = time.monotonic() + PATIENCE
        while said_of(port, "GET", "/health") != (200, {"status": "ok", "step": step}):
            assert time.monotonic() < until
            time.sleep(0.02)
        status, said = said_of(port, "POST", "/predict", body_of(inputs))
        assert (status, said["checkpoint"]["step"]) == (200, step)
        return [one["class"] for one in said["answers"]]

    query = Query(inputs, tasks_of(folder)[1].contract)
    assert at(80) == predicted(folder, 0, query).outputs.argmax(1).tolist()
    shutil.copy(later[0], folder / "checkpoints")
    assert at(100) == predicted(folder, 0, query).outputs.argmax(1).tolist()
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0
    assert "Traceback" not in rest
    assert rest.splitlines()[-1].endswith("stopped")


def test_what_is_no_run_and_a_port_that_is_taken_are_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    assert main(["serve", str(tmp_path), "--port", "0"]) == 2
    assert "holds no config.yaml: give the folder of a run" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", str(run), "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1, port {port} (" in capsys.readouterr().err


def test_what_is_missing_is_said_with_what_to_install(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", str(run)]) == 2
    said = capsys.readouterr().err
    assert "lifelong serve needs Starlette and uvicorn" in said
    assert "pip install 'lifelong[serve]'" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "65536"], "a port is a number from 0 to 65535, got '65536'"),
        (["--port", "http"], "got 'http'"),
        (["--refresh", "0"], "expected seconds, from 0.05 to 86,400, got '0'"),
        (["--refresh", "nan"], "got 'nan'"),
        (["--refresh", "often"], "got 'often'"),
    ],
)
def test_options_that_cannot_be(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "run", *words])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
