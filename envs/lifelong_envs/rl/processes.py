"""Environments in processes of their own: one that hangs or dies takes nobody with it, and is noticed in time."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import gymnasium

from lifelong_envs.rl.body import Look, call_of
from lifelong_envs.rl.nursery import BEAR, END, LEAVE, Answer
from lifelong_envs.rl.wire import receive, send
from lifelong_envs.rl.world import World

MAKING = 120.0
"""Seconds that an environment may take to be made and looked at: its time-out is of steps and resets."""

_FAREWELL = 1.0
"""Seconds in which an environment may put its things away."""

_LEAVING = 15.0
"""Seconds in which a nursery makes an end of all."""

_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
_BOOT += "from lifelong_envs.rl.nursery import main; main(int(sys.argv[2]))"


class Failed(Exception):
    """What was asked of an environment elsewhere was not done: why, and how it ended where it did."""


class Processes:
    """Those that the environments of one stream live in. None is started before it is needed."""

    def __init__(self) -> None:
        self._wire: socket.socket | None = None
        self._over: weakref.finalize[Any, Any] | None = None

    def born(self, world: World, render_mode: str | None = None) -> Apart:
        """A new process with an environment in it.

        Raises ValueError where it cannot be made, or the world's settings cannot be sent to another process.
        """
        try:
            packed = pickle.dumps(world)
        except Exception as error:
            raise ValueError(
                f"world {world.task!r}: with a time-out its environments live in processes of their own, and its "
                f"settings cannot be sent there ({type(error).__name__}: {error}). Name classes and functions in "
                "`make` by text, or leave out the time-out."
            ) from error
        mine, theirs = socket.socketpair()
        with theirs:
            settings = sys.path, os.getcwd(), dict(os.environ), packed, render_mode
            try:
                pid = self._asked(BEAR, pickle.dumps(settings), theirs.fileno())
            except (EOFError, OSError):
                # The nursery was killed itself.
                self.end()
                pid = self._asked(BEAR, pickle.dumps(settings), theirs.fileno())
        return Apart(world, mine, pid, self)

    def bury(self, pid: int, patience: float) -> int | None:
        """See to it that a process is gone; what it exited with, as far as is known."""
        if self._wire is not None:
            with suppress(EOFError, OSError):
                code: int | None = self._asked(END, (pid, patience))
                return code
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        return None

    def end(self) -> None:
        """No process is left; more can be born later."""
        if self._over is not None:
            self._over()
        self._wire = self._over = None

    def _asked(self, what: bytes, message: Any, wire: int | None = None) -> Any:
        control = self._begun()
        socket.send_fds(control, [what], [] if wire is None else [wire])
        send(control, message)
        return receive(control)

    def _begun(self) -> socket.socket:
        if self._wire is None:
            mine, theirs = socket.socketpair()
            with theirs:
                program = [sys.executable, "-c", _BOOT, json.dumps(sys.path), str(theirs.fileno())]
                # A session of its own: Ctrl-C is for the run, which has a last experience to finish.
                nursery = subprocess.Popen(
                    program, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
                )
            self._wire = mine
            self._over = weakref.finalize(self, _end, mine, nursery, os.getpid())
        return self._wire


def _end(wire: socket.socket, nursery: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:
        # A copy of the run's process, which has its own things to end.
        return
    with wire, suppress(OSError):
        # Closing may not be enough: a copy would hold it open.
        wire.send(LEAVE)
    try:
        nursery.wait(_LEAVING)
    except subprocess.TimeoutExpired:
        nursery.kill()
        nursery.wait()


class Apart:
    """A `Body` in a process of its own. What takes longer than the world's time-out, and its death, raise `Failed`."""

    def __init__(self, world: World, wire: socket.socket, pid: int, processes: Processes) -> None:
        assert world.timeout is not None
        self._world, self._wire, self._pid, self._processes = world, wire, pid, processes
        self._limit, self._is_there = world.timeout, True
        try:
            self._answer("make", (), max(MAKING, self._limit))
        except (Failed, ValueError) as error:
            self.close()
            raise ValueError(f"{error}{_unknown_there(world, str(error))}") from error

    def step(self, action: Any, /) -> Any:
        return self._asked("step", action)

    def look(self) -> Look:
        look: Look = self._asked("look", limit=MAKING)
        return look

    def check(self) -> None:
        """See `World.check`."""
        self._asked("check", limit=MAKING)

    def reset(self, seed: int | None, options: dict[str, Any] | None) -> Any:
        return self._asked("reset", seed, options)

    def read(self, path: str) -> float:
        return float(self._asked("read", path))

    def write(self, values: Sequence[tuple[str, float]]) -> None:
        self._asked("write", values)

    def generator(self) -> Mapping[str, Any]:
        state: Mapping[str, Any] = self._asked("generator")
        return state

    def set_generator(self, state: Mapping[str, Any]) -> None:
        self._asked("set_generator", state)

    def render(self) -> Any:
        return self._asked("render", limit=MAKING)

    def close(self) -> None:
        """Where it does not close by itself, it is killed, with all that it started."""
        self._bury(_FAREWELL)

    def why(self, error: BaseException, call: str) -> str:
        return str(error)

    def _asked(self, name: str, *arguments: Any, limit: float = 0.0) -> Any:
        try:
            send(self._wire, (name, arguments))
        except OSError as error:
            raise self._lost(error, call_of(name, *arguments), limit) from error
        return self._answer(name, arguments, max(limit, self._limit))

    def _answer(self, name: str, arguments: tuple[Any, ...], limit: float) -> Any:
        try:
            answer: Answer = receive(self._wire, limit)
        except (EOFError, OSError) as error:
            raise self._lost(error, call_of(name, *arguments), limit) from error
        if answer.refused:
            raise ValueError(answer.why)
        if not answer.done:
            raise Failed(answer.why)
        return answer.value

    def _lost(self, error: Exception, call: str, limit: float) -> Failed:
        if isinstance(error, TimeoutError):
            self._bury(0.0)
            return Failed(f"{self._world.env} took longer than {limit:g} s in {call}")
        code = self._bury(_FAREWELL)
        how = "" if code is None else f" ({_signal_of(-code)})" if code < 0 else f" (exit code {code})"
        return Failed(f"the process of {self._world.env} died in {call}{how}")

    def _bury(self, patience: float) -> int | None:
        if not self._is_there:
            return None
        self._is_there = False
        self._wire.close()
        return self._processes.bury(self._pid, patience)


def _unknown_there(world: World, said: str) -> str:
    """What to add where an environment is known in this process alone."""
    if not world.env.startswith("__main__:") and not ("doesn't exist" in said and world.env in gymnasium.registry):
        return ""
    return (
        " With a time-out it is made in a process of its own, which does not run the program's own file: put the class "
        "into a module and name it as module:Class, or let `needs` name the module that registers it."
    )


def _signal_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
