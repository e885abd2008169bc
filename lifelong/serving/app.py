"""The HTTP side: three addresses, bodies that end, and errors that are JSON and say what was expected."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from lifelong.serving.answerer import Answerer, NothingYet
from lifelong.serving.asking import SAMPLES, Refused

log = logging.getLogger(__name__)

BODY = 16 * 2**20
"""Most bytes of a question."""

PATIENCE = 30.0
"""Seconds within which all of a question must have come."""

LATER = {"retry-after": "1"}
"""Sent where there is no checkpoint yet; in seconds."""

HANG_UP = {"connection": "close"}
"""What is left of a question that was not read to its end is not to be taken for the next one."""


def make_app(answerer: Answerer) -> Starlette:
    """What an ASGI server runs.

    Questions are answered one after another, in a thread of their own: who only wants to know whether the server lives
    does not wait for them. They are not put together into batches: who answers, and the last digits of an answer, would
    depend on who else happens to ask.
    """
    worker = ThreadPoolExecutor(1, "answers", initializer=torch.set_num_threads, initargs=(1,))

    async def front(request: Request) -> Response:
        limits = {"samples": SAMPLES, "bytes": BODY}
        return _json(answerer.describe() | {"limits": limits})

    async def health(request: Request) -> Response:
        served = answerer.served
        if served is None:
            return _json({"status": "no checkpoint yet"}, 503, LATER)
        return _json({"status": "ok", "step": served.step})

    async def predict(request: Request) -> Response:
        try:
            body = await _body(request)
            return await asyncio.get_running_loop().run_in_executor(worker, lambda: _json(answerer.answer(body)))
        except Refused as refused:
            return _error(str(refused), refused.status)
        except NothingYet as nothing:
            return _error(str(nothing), 503, LATER)
        except ClientDisconnect:
            # Nobody is there to read it.
            return Response(status_code=400)
        except asyncio.CancelledError:
            # By the server, which has waited long enough and ends.
            return _error("the server stops.", 503, HANG_UP)
        except HTTPException:
            raise
        except Exception:
            log.exception("a question could not be answered")
            return _error("the learner failed at this question; the server's log says how.", 500)

    routes = [Route("/", front), Route("/health", health), Route("/predict", predict, methods=["POST"])]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refusal})


async def _body(request: Request) -> bytes:
    """All of the body. Raises HTTPException where it is too large, or too slow to come."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > BODY:
        raise _too_large()
    parts, size = [], 0
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                parts.append(part)
                size += len(part)
                if size > BODY:
                    raise _too_large()
    except TimeoutError:
        raise HTTPException(408, f"the question did not come within {PATIENCE:g} seconds.", HANG_UP) from None
    return b"".join(parts)


def _too_large() -> HTTPException:
    return HTTPException(413, f"a question may have {BODY:,} bytes at most: ask for fewer samples at once.", HANG_UP)


async def _refusal(request: Request, refused: Exception) -> Response:
    """What Starlette refuses, and what `_body` does."""
    assert isinstance(refused, HTTPException)
    said = refused.detail
    if refused.status_code in (404, 405):
        said = f"there is no {request.method} {request.url.path}: try GET /, GET /health, POST /predict."
    return _error(said, refused.status_code, refused.headers)


def _error(said: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return _json({"error": said}, status, headers)


def _json(content: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content, allow_nan=False), status, headers, "application/json")
