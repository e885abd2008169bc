"""A world that can be lived in: a gymnasium environment, and what is different about it."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import gymnasium
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from lifelong.places import import_named
from lifelong.scale import References
from lifelong_envs.rl.attributes import Attribute
from lifelong_envs.rl.packages import installing, place_of, registering

Env = gymnasium.Env[Any, Any]

_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""One's own environment; `module:Name-v0` is an id, which gymnasium looks up after importing the module."""


@dataclass(frozen=True, slots=True)
class World:
    """One task: an environment, how to make it, and in what it differs from others of the same body.

    task: its name. env: a gymnasium id, or `module:Class` of one's own environment. make: arguments of
    `gymnasium.make`, which hands those that it does not know to the class. needs: a package whose import registers the
    id. view: wrappers as `module:Class`, the innermost first, such as `minigrid.wrappers:ImgObsWrapper`, or functions
    of one's own that take the environment and give another.

    set: numbers inside the environment by their paths (`gravity`, `model.opt.gravity[2]`), to be set to a number, or
    by "x1.5" to a multiple of what they are; they must be there before the first reset, and outlast resets. actions: a
    permutation; action i does what action `actions[i]` does in the environment as it is (component i of a Box drives
    component `actions[i]`). flip_actions: components of a Box that are mirrored in the middle of their range.
    observations: a permutation of a vector; entry i shows what is entry `observations[i]`. flip_observations: entries
    shown with the other sign, numbered as they are shown.

    measure, references: how it is judged, see `EnvTask`. restarts, within: an environment that fails is made anew, so
    often within so many steps of a lane; what fails more often ends the run. timeout: seconds that a step or a reset
    may take; each environment lives in a process of its own then, which is killed where it takes longer (None: it lives
    in this one, and what hangs, hangs). Raises ValueError for what no environment could be given.
    """

    task: str
    env: str
    make: dict[str, Any] = field(default_factory=dict)
    set: dict[str, float | str] = field(default_factory=dict)
    actions: tuple[int, ...] | None = None
    flip_actions: tuple[int, ...] = ()
    observations: tuple[int, ...] | None = None
    flip_observations: tuple[int, ...] = ()
    needs: str | None = None
    view: tuple[str, ...] = ()
    measure: Literal["return", "success"] = "return"
    references: References | None = None
    restarts: int = 10
    within: int = 10_000
    timeout: float | None = None

    def __post_init__(self) -> None:
        if not self.task:
            raise ValueError("A world needs a name: set task.")
        if self.restarts < 0 or self.within < 1:
            raise ValueError(
                f"world {self.task!r}: restarts must be 0 or more, within 1 step or more, got {self.restarts} and "
                f"{self.within}."
            )
        if self.timeout is not None and not 0.0 < self.timeout < float("inf"):
            raise ValueError(
                f"world {self.task!r}: timeout counts seconds: give a number above 0, or null for none, got "
                f"{self.timeout}."
            )
        for path, value in self.set.items():
            Attribute(path)
            changed(value, 1.0, self.task, path)
        for what, order in (("actions", self.actions), ("observations", self.observations)):
            if order is not None and sorted(order) != list(range(len(order))):
                raise ValueError(
                    f"world {self.task!r}: {what} must be a permutation of 0 to {len(order) - 1}, got {list(order)}."
                )

    @property
    def body(self) -> tuple[object, ...]:
        """What it is made from: worlds of equal bodies can change into each other in the middle of an episode."""
        return self.env, repr(sorted(self.make.items())), self.needs, self.view, self.timeout

    def unlike(self, other: World) -> tuple[str, ...]:
        """In which of these two worlds differ: env, make, needs, view and timeout; none where their body is one."""
        names = "env", "make", "needs", "view", "timeout"
        return tuple(name for name, mine, theirs in zip(names, self.body, other.body, strict=True) if mine != theirs)

    def built(self, render_mode: str | None = None) -> Env:
        """The environment, as it is before anything in it is set.

        Raises ValueError, naming the world, where it cannot be made.
        """
        arguments = dict(self.make)
        if render_mode is not None:
            arguments["render_mode"] = render_mode
        if self.needs is not None:
            self._imported(self.needs)
        spec, views = self._spec(), [self._named(wrapper) for wrapper in self.view]
        try:
            env = _made(spec, arguments)
            for view in views:
                env = view(env)
        except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
            hint = registering(self.env)
            raise ValueError(
                f"world {self.task!r}: {self.env} cannot be made with {arguments}: {error}{hint}"
            ) from error
        except Exception as error:
            said = f"{type(error).__name__}: {error} ({place_of(error)})"
            raise ValueError(f"world {self.task!r}: {self.env} cannot be made with {arguments}: {said}.") from error
        return env

    def check(self) -> None:
        """Hold one's own environment, as it is without views, to gymnasium's rules; those with an id are trusted.

        Raises ValueError with the first complaint.
        """
        if not _CLASS.fullmatch(self.env):
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # gymnasium asks of a wrapper that it can be made anew from a record of its arguments, which nobody needs.
            env = replace(self, view=()).built()
            try:
                check_env(env, skip_render_check=True)
            except Exception as error:
                raise ValueError(
                    f"world {self.task!r}: {self.env} is not an environment as gymnasium wants it: "
                    f"{type(error).__name__}: {error}"
                ) from error

    def _spec(self) -> str | EnvSpec:
        if not _CLASS.fullmatch(self.env):
            return self.env
        return EnvSpec(f"{re.split('[:.]', self.env)[-1]}-v0", entry_point=self._named(self.env))

    def _named(self, reference: str) -> Callable[..., Any]:
        path, _, names = reference.partition(":")
        found: Any = self._imported(path)
        for name in names.split("."):
            if not hasattr(found, name):
                there = [each for each, value in getattr(found, "__dict__", {}).items() if callable(value)]
                close = difflib.get_close_matches(name, there, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise ValueError(f"world {self.task!r}: {reference!r} is not there: {path} has no {name!r}.{hint}")
            found = getattr(found, name)
        if not callable(found):
            raise ValueError(f"world {self.task!r}: {reference!r} is {found!r:.80}, expected a class or a function.")
        return found  # type: ignore[no-any-return]

    def _imported(self, module: str) -> Any:
        try:
            return import_named(module)
        except ImportError as error:
            lacking = (error.name or module).partition(".")[0]
            raise ValueError(
                f"world {self.task!r}: {module!r} cannot be imported: {error}. Install the package "
                f"({installing(lacking)}), or put the module beside the configuration."
            ) from error
        except Exception as error:
            raise ValueError(
                f"world {self.task!r}: {module!r} cannot be imported: {type(error).__name__}: {error} "
                f"({place_of(error)})."
            ) from error


def changed(value: float | str, original: float, task: str, path: str) -> float:
    """What a setting comes to, given what the environment has: a number as it is, "x2" twice the original.

    Raises ValueError for any other text.
    """
    if not isinstance(value, str):
        return float(value)
    try:
        return original * float(value[1:]) if value.startswith("x") else float(value)
    except ValueError:
        raise ValueError(
            f'world {task!r}: set {path} to a number, or to a multiple of what it is such as "x1.5", got {value!r}.'
        ) from None


def apart(before: World, after: World) -> str:
    """Why an episode of one world cannot go on in the other, and what to do."""
    pair = f"change='now': {before.task!r} and {after.task!r}"
    differ = before.unlike(after)
    if differ != ("make",):
        return (
            f"{pair} are made of different environments ({', '.join(differ)}), so that an episode of one cannot go on "
            "in the other. Change by episode, reset or gradually; or let them differ only in what is set, and in "
            "actions and observations."
        )
    names = [n for n in {**before.make, **after.make} if _said(before, n) != _said(after, n)]
    one, other = ({n: world.make[n] for n in names if n in world.make} for world in (before, after))
    numbers = {n: v for n, v in (other or one).items() if isinstance(v, int | float) and not isinstance(v, bool)}
    set_them = f"Write numbers that it keeps under `set` (set: {_yaml(numbers)}) and not under `make`; or change"
    way = set_them if numbers else "Change"
    return (
        f"{pair} are one environment made with other arguments (make: {_yaml(one)} and {_yaml(other)}), which cannot "
        f"change in the middle of an episode. {way} by episode, reset or gradually."
    )


def _said(world: World, name: str) -> str:
    return repr(world.make[name]) if name in world.make else ""


def _yaml(settings: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in settings.items()) + "}"


def _made(spec: str | EnvSpec, arguments: dict[str, Any]) -> Env:
    try:
        return gymnasium.make(spec, disable_env_checker=True, **arguments)
    except TypeError as error:
        if "render_mode" not in arguments or "render_mode" not in str(error):
            raise
    # Its maker takes no such argument, as Meta-World's do not; the environment itself can be drawn all the same.
    env: Env = gymnasium.make(
        spec, disable_env_checker=True, **{k: v for k, v in arguments.items() if k != "render_mode"}
    )
    env.unwrapped.render_mode = arguments["render_mode"]
    return env
