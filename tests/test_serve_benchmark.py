"""The load that servers are measured under: it asks on time, and whoever is slow pays for all who wait behind."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

# Benchmarks are no part of what is packed with the tests.
serve = pytest.importorskip("benchmarks.serve")

ANSWER = json.dumps({"checkpoint": {"step": 7}}).encode()


async def loaded(answers: list[tuple[float, bytes]], rate: int, seconds: float) -> tuple[serve.Load, list[bytes]]:
    """The load on a server that answers each request after so many seconds, with that status; the last one for ever."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                asked.append(await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0])))
                nap, status = answers.pop(0) if len(answers) > 1 else answers[0]
                await asyncio.sleep(nap)
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(ANSWER), ANSWER))
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        found = await serve.ask(server.sockets[0].getsockname()[1], [b"one", b"two"], rate, seconds)
    return found, asked


def test_every_request_is_asked_and_what_failed_is_counted() -> None:
    found, asked = asyncio.run(loaded([(0.0, b"200 OK"), (0.0, b"503 Later"), (0.0, b"200 OK")], 200, 0.1))
    assert sorted(asked) == [b"one"] * 10 + [b"two"] * 10
    assert (len(found.seconds), found.errors, found.steps, len(found.late)) == (19, 1, {7}, 20)
    assert found.took >= 19 / 200


def test_who_waits_behind_a_slow_answer_is_not_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "CONNECTIONS", 1)
    found, _ = asyncio.run(loaded([(0.3, b"200 OK"), (0.0, b"200 OK")], 100, 0.3))
    # One answer is slow, and by the time that it comes the next ones are late: 0.29 s, 0.28 s, ...
    assert sum(seconds > 0.1 for seconds in found.seconds) >= 20
    assert found.errors == 0


@pytest.mark.slow
def test_the_whole_of_it_can_be_tried_in_short(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    serve.main(["--seconds", "2", "--rate", "20", "--json", str(found)])
    on, off = json.loads(found.read_text())
    assert [row["training"] for row in (on, off)] == ["on", "off"]
    assert all(row["errors"] == 0 and float(row["p50 ms"]) > 0 for row in (on, off))
    assert off["checkpoints"] == 1
