"""The HTTP side: what each address says, bodies that do not end, and no traceback for anybody."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from served_run import ask, body_of, copied, tasks_of

from lifelong.serving.answerer import Answerer

app = pytest.importorskip("lifelong.serving.app", reason="the extra serve is not installed")


@pytest.fixture(scope="module")
def answerer(run: Path) -> Answerer:
    made = Answerer(run)
    made.look()
    return made


@pytest.fixture(scope="module")
def served(answerer: Answerer) -> Any:
    return app.make_app(answerer)


def test_answers_are_those_of_the_answerer(run: Path, answerer: Answerer, served: Any) -> None:
    body = body_of(tasks_of(run)[1].test_inputs[:5])
    said = ask(served, "POST", "/predict", [body[:10], body[10:]])
    assert (said.status, said.headers["content-type"]) == (200, "application/json")
    assert said.json == answerer.answer(body)


def test_the_front_says_what_is_served(run: Path, served: Any) -> None:
    said = ask(served, "GET", "/").json
    assert said.pop("checkpoint")["age_seconds"] >= 0
    assert said == {
        "run": str(run),
        "stream": "permuted digits",
        "agent": "flagship",
        "task_needed": False,
        "tasks": [
            {
                "name": name,
                "asks_for": "classification",
                "input_shape": [1, 8, 8],
                "input_range": [0.0, 1.0],
                "outputs": 10,
                "outputs_allowed": None,
                "told_to_the_learner": False,
            }
            for name in "AB"
        ],
        "refused": [],
        "limits": {"samples": 1024, "bytes": 16777216},
    }


def test_whoever_asks_too_early_is_told_to_come_again(run: Path, tmp_path: Path) -> None:
    folder, _ = copied(run, tmp_path / "run", 0)
    early = app.make_app(Answerer(folder))
    for method, path in (("GET", "/health"), ("POST", "/predict")):
        said = ask(early, method, path, [body_of(tasks_of(run)[0].test_inputs[:1])])
        assert (said.status, said.headers["retry-after"]) == (503, "1")
        assert "no checkpoint" in said.text
    assert ask(early, "GET", "/").json["checkpoint"] is None


def test_health_says_how_far_it_is(served: Any) -> None:
    said = ask(served, "GET", "/health")
    assert (said.status, said.json) == (200, {"status": "ok", "step": 100})


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("POST", "/", 405), ("GET", "/x", 404)]
)
def test_other_addresses_are_named(method: str, path: str, status: int, served: Any) -> None:
    said = ask(served, method, path)
    assert said.status == status
    assert said.json == {"error": f"there is no {method} {path}: try GET /, GET /health, POST /predict."}


@pytest.mark.parametrize(
    ("parts", "headers"),
    [
        ([], {"content-length": str(app.BODY + 1)}),
        ([b"x" * 2**20] * 17, {}),
        ([b"x" * 2**20] * 17, {"content-length": "7"}),
    ],
)
def test_a_body_that_is_too_large_is_not_read_to_its_end(
    parts: list[bytes], headers: dict[str, str], served: Any
) -> None:
    said = ask(served, "POST", "/predict", parts, headers, ends="never")
    assert (said.status, said.headers["connection"]) == (413, "close")
    assert said.json == {"error": "a question may have 16,777,216 bytes at most: ask for fewer samples at once."}


def test_a_body_that_does_not_come_is_not_waited_for(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PATIENCE", 0.01)
    said = ask(served, "POST", "/predict", [b"{"], ends="never")
    assert (said.status, said.headers["connection"]) == (408, "close")


@pytest.mark.parametrize(
    ("body", "status", "said"), [(b"{", 400, "cannot be read as JSON"), (b'{"inputs": [3]}', 422, "sample 0 has 3")]
)
def test_bad_questions_are_answered_with_what_was_expected(body: bytes, status: int, said: str, served: Any) -> None:
    got = ask(served, "POST", "/predict", [body])
    assert got.status == status
    assert said in got.json["error"]


def test_who_leaves_before_the_end_is_no_error(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    ask(served, "POST", "/predict", [b'{"inp'], ends="gone")
    assert caplog.records == []


def test_a_question_that_is_still_coming_as_the_server_ends_is_told_so(served: Any) -> None:
    said = ask(served, "POST", "/predict", [b"{"], ends="never", cancelled_after=0.05)
    assert (said.status, said.json) == (503, {"error": "the server stops."})


def test_a_defect_is_logged_and_its_traceback_shown_to_nobody(
    run: Path, answerer: Answerer, served: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(query: object) -> None:
        raise ZeroDivisionError("a secret of the house")

    assert answerer.served is not None
    monkeypatch.setattr(answerer.served.learner, "predict", fail)
    body = body_of(tasks_of(run)[0].test_inputs[:1])
    said = ask(served, "POST", "/predict", [body])
    assert (said.status, said.json) == (
        500,
        {"error": "the learner failed at this question; the server's log says how."},
    )
    assert "a secret of the house" in caplog.text
    monkeypatch.undo()
    assert ask(served, "POST", "/predict", [body]).status == 200
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
