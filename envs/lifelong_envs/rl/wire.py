"""Messages between two processes over a socket: each a pickle, with its length before it."""

from __future__ import annotations

import pickle
import socket
import struct
import time
from typing import Any

_HEAD = struct.Struct("!Q")
_AT_ONCE = 1 << 16


def send(wire: socket.socket, message: Any) -> None:
    """Raises whatever pickle raises, before anything is sent; OSError where nobody is there any more."""
    packed = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    wire.sendall(_HEAD.pack(len(packed)) + packed)


def receive(wire: socket.socket, limit: float | None = None) -> Any:
    """The next message. Raises TimeoutError after `limit` seconds, EOFError where the other side is gone."""
    until = None if limit is None else time.monotonic() + limit
    wire.settimeout(limit)
    try:
        # As a rule all of a message comes at once: nobody sends a second one before the first was answered.
        got = bytearray(_some(wire, _AT_ONCE))
        while len(got) < _HEAD.size:
            got += _some(wire, _AT_ONCE)
        whole = _HEAD.size + _HEAD.unpack_from(got)[0]
        while len(got) < whole:
            if until is not None:
                wire.settimeout(max(1e-3, until - time.monotonic()))
            got += _some(wire, min(whole - len(got), 1 << 20))
    finally:
        wire.settimeout(None)
    return pickle.loads(memoryview(got)[_HEAD.size :])


def _some(wire: socket.socket, most: int) -> bytes:
    part = wire.recv(most)
    if not part:
        raise EOFError("the other side is gone")
    return part
