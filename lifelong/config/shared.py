"""What agents that are compared have in common: the network that is trained, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lifelong.config.locate import GROUPS, locate
from lifelong.config.parameters import RESERVED, parameters

SHARED = ("network", "optimizer", "algorithm", "policy", "settings")
"""Settings that an agent takes from the configuration's own agent where it has them and leaves them out."""

OF_ALGORITHM = ("policy", "settings")
"""Settings that say nothing beside another algorithm."""


def with_shared(section: Any, agent: dict[str, Any], shared: Sequence[str] = SHARED) -> Any:
    """An agent's section, filled up with what it shares with `agent`, the configuration's own, written out in full.

    What is no section is given back as it is. Raises: NotFound where there is no such agent, NotConfigurable where its
    signature cannot be read.
    """
    given = {RESERVED: section} if isinstance(section, str) else section
    if not isinstance(given, dict) or not isinstance(given.get(RESERVED), str):
        return section
    takes = {parameter.name for parameter in parameters(locate(given[RESERVED], GROUPS["Agent"]))}
    own = [key for key in shared if key in takes and key in agent and key not in given]
    if given.get("algorithm", agent.get("algorithm")) != agent.get("algorithm"):
        own = [key for key in own if key not in OF_ALGORITHM]
    return given | {key: agent[key] for key in own}
