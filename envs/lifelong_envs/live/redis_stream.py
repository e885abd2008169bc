"""A Redis Stream: messages under a key on a server, which keeps them until they are safe here."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from lifelong.source import Message, SourceLost

if TYPE_CHECKING:
    from redis import Redis

FIELD = "message"
NOTHING = b'"an entry without the field message"'
"""Stands for the text of such an entry: it is left out, and this is what is said of it."""

PAUSES = (0.1, 0.2, 0.5, 1.0)


class RedisStream:
    """The entries under `key`, in the order of their ids; the field `message` of an entry holds the JSON.

    Entries are read from the position that is in the checkpoint, and nothing that the server knows decides it: none is
    lost, and none comes twice, also where the server or this process was killed. group: the consumer group whose
    last-delivered id is moved to what is safe in a checkpoint, so that `XINFO GROUPS` tells how far the learner is
    behind, and writers may trim what lies before it (`XTRIM key MINID id`). begin: with the oldest entry, or after the
    newest. patience: seconds for which a server that is gone is waited for. url: where there is none, REDIS_URL of the
    environment is taken, which is recorded nowhere: the place for one with a password.
    """

    def __init__(
        self,
        key: str,
        url: str | None = None,
        group: str = "lifelong",
        begin: Literal["oldest", "newest"] = "oldest",
        patience: float = 300.0,
    ) -> None:
        if not key or not group:
            raise ValueError(f"redis: key and group must be names, got key={key!r}, group={group!r}.")
        if patience < 0:
            raise ValueError(f"redis: patience counts seconds: give 0 or more, got {patience}.")
        self._key, self._url, self._group, self._begin, self._patience = key, url, group, begin, patience
        self._server: Redis | None = None
        self._after, self._resumed = "", False
        self._gone_since: float | None = None
        self._tries = 0

    def begin(self, after: str | None) -> None:
        self._server, self._gone_since, self._tries = self._connect(), None, 0
        self._after, self._resumed = after or ("0" if self._begin == "oldest" else ""), after is not None

    def take(self, limit: int, wait: float) -> Sequence[Message] | None:
        import redis

        try:
            assert self._server is not None
            self._agree()
            answer: Any = self._server.xread({self._key: self._after}, count=limit, block=max(1, int(1000 * wait)))
        except redis.AuthenticationError as error:
            raise SourceLost(f"Redis lets nobody in with this user and password: {error}") from error
        except (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError) as error:
            return self._wait_for_it(error)
        except redis.RedisError as error:
            raise SourceLost(f"Redis does not give the stream {self._key!r}: {error}") from error
        if self._gone_since is not None:
            warnings.warn(f"Redis is there again after {time.monotonic() - self._gone_since:.1f} s.", stacklevel=2)
            self._gone_since, self._tries = None, 0
        entries = _entries(answer)
        messages = [Message(_text(name), _text(fields.get(FIELD.encode(), NOTHING))) for name, fields in entries]
        if messages:
            self._after = messages[-1].position
        return messages

    def acknowledge(self, position: str) -> None:
        import redis

        assert self._server is not None
        try:
            try:
                self._server.xgroup_setid(self._key, self._group, position)
            except redis.ResponseError:
                # A group that is not there yet, or not any more.
                self._server.xgroup_create(self._key, self._group, position, mkstream=True)
        except redis.RedisError as error:
            raise OSError(f"Redis: {error}") from error

    def _agree(self) -> None:
        """Where to begin among what is there already, once that is known."""
        assert self._server is not None
        if self._resumed:
            self._must_go_on(self._server)
            self._resumed = False
        if self._after:
            return
        newest: Any = self._server.xrevrange(self._key, count=1)
        self._after = _text(newest[0][0]) if newest else "0"

    def _must_go_on(self, server: Redis) -> None:
        """Say what was lost where entries are gone that were not read. Raises SourceLost for another stream."""
        newest: Any = server.xrevrange(self._key, count=1)
        if newest and _order(_text(newest[0][0])) < _order(self._after):
            raise SourceLost(
                f"the stream {self._key!r} was made anew: its newest entry is {_text(newest[0][0])}, and {self._after} "
                "was read. Begin a new run, or have entries written with later ids"
            )
        if not server.xrange(self._key, self._after, self._after):
            warnings.warn(
                f"The entry {self._after} of {self._key!r}, which was read last, is there no more: entries that came "
                "after it may have been removed unread. Trim by what XINFO GROUPS shows (XTRIM key MINID id).",
                stacklevel=3,
            )

    def _wait_for_it(self, error: Exception) -> Sequence[Message]:
        now = time.monotonic()
        if self._gone_since is None:
            self._gone_since = now
            warnings.warn(f"Redis is gone ({error}): waiting for it, {self._patience:g} s at most.", stacklevel=3)
        if now - self._gone_since >= self._patience:
            raise SourceLost(f"Redis has been gone for {self._patience:g} s ({error})") from error
        time.sleep(PAUSES[min(self._tries, len(PAUSES) - 1)])
        self._tries += 1
        return []

    def _connect(self) -> Redis:
        import os

        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise ValueError('Redis needs its client: pip install "lifelong[redis]"') from error
        url = self._url or os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"
        try:
            # Whoever waits here must stay able to stop, so that the client must not wait by itself.
            never = Retry(NoBackoff(), 0)
            server: Redis = redis.Redis.from_url(url, socket_timeout=10.0, socket_connect_timeout=5.0, retry=never)
        except ValueError as error:
            # Not shown: there may be a password in it.
            raise ValueError(
                "redis: url must be like redis://HOST:PORT/NUMBER, rediss://... or unix://PATH."
            ) from error
        return server


def _entries(answer: Any) -> list[tuple[Any, dict[bytes, Any]]]:
    """Of the one stream that was asked for, in either form that the client gives them in."""
    if not answer:
        return []
    if isinstance(answer, dict):
        pages = next(iter(answer.values()))
        return [entry for page in pages for entry in page]
    return list(answer[0][1])


def _order(position: str) -> tuple[int, int]:
    time, _, number = position.partition("-")
    return int(time), int(number or 0)


def _text(given: Any) -> str:
    return given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)
