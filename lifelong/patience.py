"""Experience from a stream that fails now and then: asked again from where it was, for a while."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator

from lifelong.experience import Batch, Truth
from lifelong.interaction import Interaction
from lifelong.stream import Live, Lived, Stream

PAUSES = (0.5, 2.0, 8.0)
"""Seconds before a stream is asked again; after the last of them it is not."""


class StreamFailed(ValueError):
    """A stream gave nothing any more, however often it was asked."""


def patiently(stream: Stream, start: int) -> Iterator[tuple[Batch | Interaction, Truth] | None]:
    """What the stream serves from step `start` on. Where it fails, it is asked again, since it can begin at any step.

    Failures are those of what lies behind it, files, networks, workers (OSError, RuntimeError, EOFError); after PAUSES
    in vain StreamFailed is raised, anything else at once. A stream that is lived in cannot begin again in the middle.
    """
    step, failures = start, 0
    while True:
        try:
            for served in stream.moments(step) if isinstance(stream, Live) else stream.experiences(step):
                # Before it is handed out: what fails while it is learned is no fault of the stream's.
                step, failures = step + (served is not None), 0
                yield served
            return
        except (OSError, RuntimeError, EOFError) as error:
            why = f"The stream {stream.name!r} failed to give experience {step:,} ({type(error).__name__}: {error})"
            if isinstance(stream, Lived) or failures == len(PAUSES):
                raise StreamFailed(f"{why}. Mend what lies behind it, and go on with `lifelong resume`.") from error
            warnings.warn(f"{why}. It is asked again in {PAUSES[failures]:g} s.", stacklevel=2)
        time.sleep(PAUSES[failures])
        failures += 1
