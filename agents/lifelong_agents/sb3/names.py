"""Which of Stable-Baselines3's algorithms a name stands for, which settings it takes, and who serves which actions."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from lifelong.places import import_named

LIBRARIES = ("stable_baselines3", "sb3_contrib")
OURS = ("policy", "env", "seed", "device", "tensorboard_log", "verbose", "_init_setup_model", "monitor_wrapper")
"""Arguments of algorithms that are not settings: they follow from the run."""


def algorithm(name: str) -> type[BaseAlgorithm]:
    """The class of that name, or of one's own as `module:Class`. Raises ValueError where there is none."""
    found = _named(name, _is_algorithm) if ":" in name else _by_name(name)
    if not _is_algorithm(found):
        raise ValueError(
            f"{name} is {found!r}: an expert's algorithm must be a subclass of Stable-Baselines3's OnPolicyAlgorithm "
            "or OffPolicyAlgorithm."
        )
    if _needs_more(found):
        raise ValueError(f"{found.__name__} needs more than an observation to act (a memory, or masks): not supported.")
    made: type[BaseAlgorithm] = found
    return made


def _by_name(name: str) -> Any:
    known = _known()
    if name.lower() in known:
        return known[name.lower()]
    names = sorted(key for key, value in known.items() if not _needs_more(value))
    lacking = [library for library in LIBRARIES if not _is_there(library)]
    more = "".join(
        f" ({library} has more, and is not installed: pip install {library.replace('_', '-')})" for library in lacking
    )
    raise ValueError(
        f"There is no algorithm {name!r}.{_hint(name.lower(), names)} Take one of {', '.join(names)}{more}, or name a "
        "class of your own as module:Class."
    )


def _known() -> dict[str, Any]:
    """Every algorithm that is installed, by its name in small letters."""
    known: dict[str, Any] = {}
    for library in filter(_is_there, LIBRARIES):
        found = vars(importlib.import_module(library))
        known = {key.lower(): value for key, value in found.items() if _is_algorithm(value)} | known
    return known


def _is_there(library: str) -> bool:
    try:
        importlib.import_module(library)
    except ImportError:
        return False
    return True


def serving(network: str, env: VecEnv) -> list[str]:
    """Names of the algorithms that take the actions of these lanes, without one's own."""
    return sorted(name for name, make in _known().items() if not _needs_more(make) and takes(make, network, env))


def takes(make: type[BaseAlgorithm], network: str, env: VecEnv) -> bool:
    """Whether an algorithm takes the actions of these lanes: it says so itself, before its networks are made."""
    try:
        make(network, env, _init_setup_model=False)  # type: ignore[call-arg]
    except AssertionError:
        return False
    except Exception:
        # It complains of something else, such as a setting that it must have.
        return True
    return True


def _is_algorithm(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, (OnPolicyAlgorithm, OffPolicyAlgorithm))


def _needs_more(found: type) -> bool:
    return "Recurrent" in found.__name__ or "Maskable" in found.__name__


def _named(name: str, wanted: Callable[[Any], bool] = callable) -> Any:
    """What `module:name` names. Raises ValueError, with the nearest that is `wanted` of what there is."""
    path, _, attribute = name.partition(":")
    try:
        module = import_named(path)
    except ImportError as error:
        raise ValueError(
            f"{name} cannot be found: {error}. Is the module beside the configuration, or installed?"
        ) from error
    except Exception as error:
        raise ValueError(f"{name} cannot be imported: {type(error).__name__}: {error}.") from error
    if hasattr(module, attribute):
        return getattr(module, attribute)
    there = [each for each, value in vars(module).items() if wanted(value) and not each.startswith("_")]
    close = difflib.get_close_matches(attribute, there, 1)
    hint = f" Did you mean {f'{path}:{close[0]}'!r}?" if close else ""
    raise ValueError(f"{name} cannot be found: the module {path} has no {attribute!r}.{hint}")


def _hint(wrong: str, known: list[str]) -> str:
    close = difflib.get_close_matches(wrong, known, 1)
    return f" Did you mean {close[0]!r}?" if close else ""


def checked(make: type[BaseAlgorithm], settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with what they name in place of names. Raises ValueError for what the algorithm does not take."""
    known = [name for name in inspect.signature(make.__init__).parameters if name not in ("self", *OURS)]
    for name in settings:
        if name in OURS:
            raise ValueError(f"settings of {make.__name__} cannot hold {name!r}: it follows from the run.")
        if name not in known:
            hint = _hint(str(name), known)
            raise ValueError(f"{make.__name__} takes no {name!r}.{hint} It takes: {', '.join(known)}.")
    return {name: _resolved(value) for name, value in settings.items()}


def network(make: type[BaseAlgorithm], name: str | None) -> str | None:
    """The kind of network as it was named. Raises ValueError where the algorithm has none of that name."""
    names = sorted(getattr(make, "policy_aliases", {}))
    if name is not None and names and name not in names:
        raise ValueError(
            f"{make.__name__} has no policy {name!r}.{_hint(name, names)} Take one of {', '.join(names)}, or null for "
            "the one that goes with what is observed."
        )
    return name


def _resolved(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(part) for key, part in value.items()}
    if isinstance(value, str) and ":" in value:
        return _named(value)
    # Pairs such as train_freq: [1, step] come as lists.
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], str):
        return tuple(value)
    return value
