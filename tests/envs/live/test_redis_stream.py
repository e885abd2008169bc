"""A Redis Stream on a real server, which is killed in the middle: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifelong import RunStopped, Saving, Stop, run
from lifelong.source import SourceLost
from lifelong_envs.live.redis_stream import RedisStream
from lifelong_envs.live.stream import live

# Benchmarks are no part of what is packed with the tests.
rig = pytest.importorskip("benchmarks.live_rig")
Counting, Server, later, said = rig.Counting, rig.Server, rig.later, rig.said

redis = pytest.importorskip("redis", reason="the client of Redis is not installed: pip install redis")
if shutil.which("redis-server") is None:
    pytest.skip("redis-server is not installed: apt-get install redis-server", allow_module_level=True)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("redis"))
    yield running
    running.kill()


def test_entries_come_in_order_from_any_position_on(server: Server) -> None:
    texts = [said(number) for number in range(20)]
    server.send(texts)
    source = RedisStream("in", server.url)
    source.begin(None)
    found = [message for _ in range(4) for message in source.take(7, 0.05) or ()]
    assert [message.text for message in found] == texts
    assert source.take(7, 0.05) == []
    source.begin(found[12].position)
    assert [message.text for message in source.take(100, 0.05) or ()] == texts[13:]
    newest = RedisStream("in", server.url, begin="newest")
    newest.begin(None)
    assert newest.take(5, 0.05) == []
    server.send([said(99)])
    assert [message.text for message in newest.take(5, 0.5) or ()] == [said(99)]


def test_what_is_safe_is_told_to_the_server(server: Server) -> None:
    server.send([said(number) for number in range(10)])
    source = RedisStream("in", server.url, group="mine")
    source.begin(None)
    found = source.take(10, 0.05) or []
    source.acknowledge(found[3].position)
    (group,) = server.client().xinfo_groups("in")
    assert (group["name"], group["last-delivered-id"].decode()) == (b"mine", found[3].position)
    server.client().delete("in")
    source.acknowledge(found[4].position)


def test_a_server_that_stays_away_ends_the_run_with_all_saved(server: Server, tmp_path: Path) -> None:
    server.send([said(number) for number in range(10)])
    stream = live(RedisStream("in", server.url, patience=0.5), (2,), 3, batch_size=4)
    learner = Counting()

    class Killing:
        def on(self, step: int, event: object) -> None:
            if type(event).__name__ == "TaskEntered":
                server.kill()

        def close(self) -> None: ...

    with pytest.warns(UserWarning, match="Redis is gone"), pytest.raises(ValueError, match=r"gone for 0\.5 s"):
        run(stream, learner, out=tmp_path / "run", subscribers=[Killing()], saving=Saving(minutes=None))
    assert learner.learned == list(range(8))
    assert list((tmp_path / "run" / "checkpoints").glob("*.pt"))
    server.start()
    server.send(["{}"])
    again, stop = Counting(), Stop()
    threading.Timer(1.0, lambda: setattr(stop, "asked", "the test")).start()
    stream = live(RedisStream("in", server.url), (2,), 3, batch_size=4, limit=3)
    with pytest.raises(RunStopped):
        run(stream, again, out=tmp_path / "run", resume=True, stop=stop)
    assert again.learned == list(range(8))


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_is_killed_in_the_middle_loses_nothing(server: Server, tmp_path: Path) -> None:
    texts = [
        text for number in range(400) for text in ([said(number, number % 4 > 0)] + [later(number)] * (number % 4 == 0))
    ]
    count = 400

    def write() -> None:
        for first in range(0, len(texts), 50):
            server.send(texts[first : first + 50])
            time.sleep(0.02)

    def murder() -> None:
        for _ in range(2):
            time.sleep(0.15)
            server.kill()
            time.sleep(0.15)
            server.start()

    threads = [threading.Thread(target=write), threading.Thread(target=murder)]
    for thread in threads:
        thread.start()
    stream = live(RedisStream("in", server.url), (2,), 3, batch_size=4, limit=count // 4)
    learner = Counting()
    run(stream, learner, out=tmp_path / "run", saving=Saving(every=10, minutes=None), report=False)
    for thread in threads:
        thread.join()
    # Whoever sends again what he cannot know to have arrived may send it twice: it is learned once.
    assert sorted(learner.learned) == list(range(count))
    (group,) = server.client().xinfo_groups("in")
    assert group["last-delivered-id"] == server.client().xrevrange("in", count=1)[0][0]


def test_settings_and_answers_that_mean_nothing_are_told(server: Server) -> None:
    for wrong in ({"key": ""}, {"key": "a", "group": ""}, {"key": "a", "patience": -1.0}):
        with pytest.raises(ValueError, match="redis: "):
            RedisStream(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be like redis://") as told:
        RedisStream("in", "http://me:secret@there").begin(None)
    assert "secret" not in str(told.value)
    server.client().set("word", "not a stream")
    source = RedisStream("word", server.url)
    source.begin(None)
    with pytest.raises(SourceLost, match="does not give the stream 'word'"):
        source.take(1, 0.01)


def test_entries_that_were_removed_unread_and_streams_made_anew_are_told(server: Server) -> None:
    server.send([said(number) for number in range(10)])
    source = RedisStream("in", server.url)
    source.begin(None)
    found = source.take(10, 0.05) or []
    source.begin(found[4].position)
    server.client().xtrim("in", minid=found[4].position, approximate=False)
    assert [message.text for message in source.take(10, 0.05) or ()] == [said(number) for number in range(5, 10)]
    source.begin(found[4].position)
    server.client().xtrim("in", minid=found[8].position, approximate=False)
    with pytest.warns(UserWarning, match="may have been removed unread"):
        assert len(source.take(10, 0.05) or ()) == 2
    server.client().delete("in")
    server.client().xadd("in", {"other": "x"}, id="5-1")
    source.begin(found[4].position)
    with pytest.raises(SourceLost, match="was made anew: its newest entry is 5-1"):
        source.take(1, 0.01)
    fresh = RedisStream("in", server.url)
    fresh.begin(None)
    assert [message.text for message in fresh.take(1, 0.05) or ()] == ['"an entry without the field message"']


def test_a_password_that_is_wrong_is_not_waited_with(server: Server) -> None:
    server.client().config_set("requirepass", "right")
    for url in (server.url, server.url.replace("redis://", "redis://:wrong@")):
        source = RedisStream("in", url)
        source.begin(None)
        with pytest.raises(SourceLost, match="lets nobody in with this user and password"):
            source.take(1, 0.01)
