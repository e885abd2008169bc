"""Which packages environments come from, and how they are installed: for messages."""

from __future__ import annotations

import sys
import traceback

EXTRAS = {
    "ale_py": "atari",
    "Box2D": "box2d",
    "metaworld": "metaworld",
    "minigrid": "minigrid",
    "mujoco": "mujoco",
    "pygame": "render",
}
"""Modules that environments need, and the extra of this package that installs each."""

_REGISTERED_BY = {"ALE/": "ale_py", "BabyAI-": "minigrid", "Meta-World/": "metaworld", "MiniGrid-": "minigrid"}
"""Beginnings of ids, and the package whose import registers them."""


def installing(module: str) -> str:
    """The command that installs a module."""
    return f"pip install 'lifelong[{EXTRAS[module]}]'" if module in EXTRAS else f"pip install {module}"


def registering(env: str) -> str:
    """What to add to a world whose id is not known, as a sentence; empty where no package is known to be missing."""
    for beginning, module in _REGISTERED_BY.items():
        if env.startswith(beginning) and module not in sys.modules:
            way = f"give the world needs: {module} ({installing(module)})"
            return f" Ids that begin with {beginning} are registered by a package: {way}."
    return ""


def place_of(error: BaseException) -> str:
    """The file and line that raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
