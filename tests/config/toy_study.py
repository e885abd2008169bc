"""The smallest configuration over the toy parts, and what the `load` fixture is."""

from __future__ import annotations

from collections.abc import Callable

from lifelong.config import Resolved

MINIMAL = """\
stream:
  name: toy_parts:toy_stream
  data: toy_parts:Numbers
agent: toy_parts:ToyAgent
"""

Load = Callable[..., Resolved]
