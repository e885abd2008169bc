"""The process that serves: it listens, looks for checkpoints in the background, and stops in good order."""

from __future__ import annotations

import gc
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch

from lifelong.serving.answerer import Answerer
from lifelong.stopping import on_signals

log = logging.getLogger(__name__)

SHARE = 9.0
"""How many times as long as a load took nothing is loaded after it: at most a tenth of the time goes there."""

SOON = 1.0
"""Most seconds between two looks for the first checkpoint."""

CONNECTIONS = 256
"""Most at a time; who comes beyond them is sent away with 503."""

FAREWELL = 5
"""Seconds that connections are given to end."""


def serve(folder: Path, host: str = "127.0.0.1", port: int = 8000, refresh: float = 1.0) -> None:
    """Serve a run's folder until SIGTERM, SIGINT or SIGUSR1 asks to stop.

    port: 0 for any that is free. refresh: seconds between two looks for a newer checkpoint. Raises ValueError where
    what serving needs is not installed or the run's agent does not predict, FileNotFoundError where the folder holds no
    run, OSError where it cannot listen there.
    """
    try:
        import uvicorn

        from lifelong.serving.app import make_app
    except ImportError as error:
        raise ValueError(
            f"lifelong serve needs Starlette and uvicorn, and {error.name} is not installed: "
            "pip install 'lifelong[serve]'."
        ) from error
    _log_to_stderr()
    # First, so that a port that is taken is said before a large run is read.
    with _listening(host, port) as listener:
        answerer = Answerer(folder)
        torch.set_num_threads(1)
        config = uvicorn.Config(
            make_app(answerer),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=FAREWELL,
        )
        server = uvicorn.Server(config)

        def stop(number: int, frame: FrameType | None) -> None:
            # Also what uvicorn calls again once it has stopped.
            server.should_exit = True

        with on_signals(("SIGTERM", "SIGINT", "SIGUSR1"), stop), _looking(answerer, refresh):
            log.info("serving %s (%s on %s) on %s", folder, answerer.agent, answerer.stream, _address(listener))
            server.run([listener])
    log.info("stopped")


@contextmanager
def _looking(answerer: Answerer, refresh: float) -> Iterator[None]:
    """Inside, a thread keeps what is served up to date."""
    over = threading.Event()

    def look() -> None:
        torch.set_num_threads(1)
        said = ""
        while not over.is_set():
            # What Python imports for the first one is no part of what a load takes.
            began = None if answerer.served is None else time.monotonic()
            try:
                if answerer.look():
                    # Some learners hold themselves in rings, and old ones would stay until Python happens to look. All
                    # that was imported for the first one is here to stay: to walk through it each time would keep who
                    # asks waiting for a tenth of a second and more.
                    (gc.freeze if began is None else gc.collect)()
                said = ""
            except Exception as error:
                # Such as a folder that cannot be read for a while; what is served goes on being served.
                if str(error) != said:
                    log.exception("cannot look for checkpoints")
                said = str(error)
            took = 0.0 if began is None else time.monotonic() - began
            over.wait(max(refresh if answerer.served is not None else min(refresh, SOON), SHARE * took))

    thread = threading.Thread(target=look, name="checkpoints")
    thread.start()
    try:
        yield
    finally:
        over.set()
        # An interpreter that ends in the middle of a load does not end well.
        thread.join()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise OSError(f"cannot listen on {host}, port {port} ({error}): choose another --host or --port.") from error
    with listener:
        yield listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
