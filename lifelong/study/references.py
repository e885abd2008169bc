"""The agents that a study is compared with: what they are called here, and what they are on a given stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lifelong.config import Resolved
from lifelong.config.locate import GROUPS, NotFound, points
from lifelong.config.shared import with_shared

AGENTS = {"naive": "finetune", "joint": "joint", "independent": "independent", "frozen": "frozen", "replay": "er"}
"""Which agent each reference is: learning on without protection; all data kept; one model to a task, told which it is;
features that never learn, and the nearest class mean; replay of as many samples as the largest `capacity` of the others
says. Their latest samples of a task (`memory`), which methods are shown as it ends and nobody learns again, count for
nothing there: they stand in the table, under stored samples."""

REFERENCES = tuple(AGENTS)
REPLAY = "replay"

ACTING = "finetune_rl"
"""The naive one beside an agent that learns by an algorithm of acting."""

WITHOUT_PROTECTION = ("finetune", ACTING)
KEPT = "capacity"
"""The setting of agents and retention methods that says how many samples they keep to learn again."""


def references_of(text: str) -> tuple[str, ...]:
    """`all`, `none` or some of them. Raises ValueError for a name that is none of them."""
    if text in ("all", "none"):
        return REFERENCES if text == "all" else ()
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in AGENTS]
    if unknown:
        raise ValueError(
            f"got --references {text}, expected all, none, or some of {', '.join(REFERENCES)}: "
            f"{', '.join(map(repr, unknown))} is none of them."
        )
    return tuple(dict.fromkeys(names))


def reference_of(name: str, resolved: Resolved) -> tuple[dict[str, Any] | None, str]:
    """What a reference changes at the top level of a configuration; None and the reason where it cannot take part."""
    settings = resolved.as_dict()
    if name == "naive" and _is_unprotected(settings["reference"]):
        return {"agent": settings["reference"]}, ""
    agent = ACTING if name == "naive" and "algorithm" in settings["agent"] else AGENTS[name]
    if agent not in points(GROUPS["Agent"]):
        return None, f"no agent {agent!r} is installed"
    try:
        section = with_shared(agent, settings["agent"])
    except NotFound as error:
        return None, str(error)
    if name == REPLAY and (kept := most_kept(list(settings["agents"].values()) or [settings["agent"]])):
        section = section | {"capacity": kept}
    if name != "independent":
        return {"agent": section}, ""
    scenario = settings["stream"].get("scenario")
    if not isinstance(scenario, dict) or "labels" not in scenario:
        return None, "it must be told which task it is in, and this stream has no scenario.labels"
    stream = settings["stream"] | {"scenario": scenario | {"labels": "judging"}}
    return {"agent": section, "stream": stream}, ""


def most_kept(agents: Sequence[Any]) -> int:
    """The largest `capacity` of these agents and of their retention methods; 0 where none has one."""
    parts = [part for agent in agents for part in (agent, *(agent.get("retention") or ()))]
    return max((part[KEPT] for part in parts if isinstance(part.get(KEPT), int)), default=0)


def _is_unprotected(section: Any) -> bool:
    """Whether an agent is plain learning on, in all of its parts: a configuration may spell its own for acting."""
    if not isinstance(section, dict):
        return False
    if section["name"] == "both":
        return all(_is_unprotected(section[part]) for part in ("supervised", "acting"))
    return section["name"] in WITHOUT_PROTECTION
