"""The program of a nursery: a process that bears others, each with one environment in it.

It has loaded what all of them need and done nothing else, so that a new one is there in milliseconds. It ends, and all
that it bore with it, as soon as nobody holds the other end of its wire: also where that process was killed, and where
an environment hangs and would never notice. Signals that are meant for the run are not for environments, which must
not end before the run has asked for their last step.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from lifelong_envs.rl.body import Here, call_of, in_a_line
from lifelong_envs.rl.wire import receive, send

BEAR, END, LEAVE = b"b", b"e", b"l"
"""What a nursery can be asked for: to bear a process, whose wire comes along; to make an end of one; and of all."""

_MEANT_FOR_THE_RUN = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
_GLANCE = 0.005
_DYING = 10.0
"""Seconds after which a process that was killed is not waited for any more."""


class Answer(NamedTuple):
    """What came of a request. done: whether it was; why: what is said where not; refused: it says all by itself."""

    done: bool
    value: Any = None
    why: str = ""
    refused: bool = False


def main(wire: int) -> None:
    """Serve whoever holds the other end of this wire, a socket's number."""
    for name in _MEANT_FOR_THE_RUN:
        # A handler, since what is ignored would stay so in programs that an environment starts.
        signal.signal(getattr(signal, name), lambda *_: None)
    control = socket.socket(fileno=wire)
    alive: set[int] = set()
    codes: dict[int, int] = {}
    try:
        while True:
            asked, wires, _, _ = socket.recv_fds(control, 1, 1)
            if asked in (b"", LEAVE):
                return
            message = receive(control)
            if asked == BEAR:
                send(control, _borne(wires[0], message, control, alive))
            else:
                pid, patience = message
                send(control, _ended(pid, patience, alive, codes))
    except (EOFError, OSError):
        return
    finally:
        for pid in tuple(alive):
            _ended(pid, 0.0, alive, codes)


def _borne(wire: int, message: bytes, control: socket.socket, alive: set[int]) -> int:
    pid = os.fork()
    if pid == 0:
        _live(wire, message, control)
    with suppress(OSError):
        # Whichever of the two is first: a group of its own, with whatever it starts itself.
        os.setpgid(pid, pid)
    os.close(wire)
    alive.add(pid)
    return pid


def _ended(pid: int, patience: float, alive: set[int], codes: dict[int, int]) -> int | None:
    """See to it that a process is gone; what it exited with, negative: by which signal (None: nobody knows)."""
    _bury(alive, codes)
    until = time.monotonic() + patience
    while pid in alive and time.monotonic() < until:
        time.sleep(_GLANCE)
        _bury(alive, codes)
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    until = time.monotonic() + _DYING
    while pid in alive and time.monotonic() < until:
        time.sleep(_GLANCE)
        _bury(alive, codes)
    return codes.pop(pid, None)


def _bury(alive: set[int], codes: dict[int, int]) -> None:
    """Take note of all that have ended."""
    for pid in tuple(alive):
        with suppress(ChildProcessError):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            codes[pid] = os.waitstatus_to_exitcode(status)
        alive.discard(pid)


def _live(wire: int, message: bytes, control: socket.socket) -> NoReturn:
    """The life of a process: it makes its environment, and does with it what it is asked for."""
    code = 1
    try:
        os.setpgid(0, 0)
        control.close()
        _serve(socket.socket(fileno=wire), message)
        code = 0
    finally:
        # Nothing of the nursery's is to be cleaned up here.
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _serve(wire: socket.socket, message: bytes) -> None:
    try:
        path, folder, environ, packed, render_mode = pickle.loads(message)
        sys.path[:] = path
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        body = Here(pickle.loads(packed), render_mode)
    except (Exception, SystemExit) as error:
        send(wire, Answer(False, None, str(error) or type(error).__name__, refused=True))
        return
    send(wire, Answer(True))
    while True:
        try:
            name, arguments = receive(wire)
        except (EOFError, OSError):
            # The run is over, or has made an end of this lane.
            with suppress(Exception):
                body.close()
            return
        try:
            answer = Answer(True, getattr(body, name)(*arguments))
        except (Exception, SystemExit) as error:
            # What is looked for and not there is no failure of the environment's.
            refused = name in ("check", "read") and isinstance(error, ValueError)
            why = str(error) if refused else body.why(error, call_of(name, *arguments))
            answer = Answer(False, None, why, refused)
        try:
            send(wire, answer)
        except OSError:
            return
        except Exception as error:
            said = f"what {call_of(name, *arguments)} gave cannot be sent to another process"
            send(wire, Answer(False, None, in_a_line(f"{said}: {type(error).__name__}: {error}")))
