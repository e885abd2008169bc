"""How a group of parameters is held to what is permitted, step by step.

A hold sees the parameters before and after the optimizer moves them. Movement is measured from an anchor; where the
rule is a projection the anchor stays where the task began, so that rounding does not add up over the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

UpdateRule = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]
"""Steps of a group of parameters -> the permitted steps, of the same shapes."""


class Hold(Protocol):
    """Holds some parameters of a model to what is permitted."""

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer is about to step."""
        ...

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer has stepped."""
        ...

    def sync(self) -> None:
        """Make the parameters obey exactly, now."""
        ...

    def rebase(self) -> None:
        """Take the parameters as they are for permitted: something other than the optimizer has set them."""
        ...

    def rewound(self) -> None:
        """All `tensors` were put back to what they were after an earlier sync."""
        ...

    def tensors(self) -> list[Tensor]:
        """The live tensors that `sync` reads or writes, parameters first."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def describe(self) -> str:
        """How it holds, in a few words."""
        ...

    def release(self) -> None:
        """Let go of the model; parameters stay as they are."""
        ...


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule and the parameters whose steps it judges together (a weight and its bias, say).

    projects: the rule is linear and permits what it has permitted once, so that a long movement can be judged anew.
    """

    parameters: tuple[nn.Parameter, ...]
    rule: UpdateRule
    projects: bool = False


class RuleHold:
    """Replaces the movement of `every` steps by what a rule permits of it."""

    def __init__(self, guard: Guard, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}.")
        self._guard, self._every, self._waiting = guard, every, 0
        self._anchors = tuple(p.detach().clone() for p in guard.parameters)

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        pass

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        self._waiting += 1
        if self._waiting >= self._every:
            self.sync()

    @torch.no_grad()
    def sync(self) -> None:
        parameters = self._guard.parameters
        if self._waiting and self._guard.rule is freeze:
            # The most frequent rule, of dozens of small parameters: it needs to know no step.
            torch._foreach_copy_(list(parameters), list(self._anchors))
        elif self._waiting:
            moved = tuple(p - a for p, a in zip(parameters, self._anchors, strict=True))
            for p, a, permitted in zip(parameters, self._anchors, self._guard.rule(moved), strict=True):
                if self._guard.projects:
                    torch.add(a, permitted, out=p.data)
                else:
                    p.copy_(a.add_(permitted))
        self._waiting = 0

    @torch.no_grad()
    def rebase(self) -> None:
        for p, a in zip(self._guard.parameters, self._anchors, strict=True):
            a.copy_(p)
        self._waiting = 0

    def rewound(self) -> None:
        self._waiting = 0

    def tensors(self) -> list[Tensor]:
        return [*(p.detach() for p in self._guard.parameters), *self._anchors]

    def state_dict(self) -> dict[str, Any]:
        return {"anchors": list(self._anchors), "waiting": self._waiting}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for a, kept in zip(self._anchors, state["anchors"], strict=True):
            a.copy_(kept)
        self._waiting = state["waiting"]

    def describe(self) -> str:
        return f"rule every {self._every}"

    def release(self) -> None:
        self.sync()


class Onlooker:
    """A hold that holds no tensor: a base for those that only need to know when steps are made, or to let go."""

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        pass

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        pass

    def sync(self) -> None:
        pass

    def rebase(self) -> None:
        pass

    def rewound(self) -> None:
        pass

    def tensors(self) -> list[Tensor]:
        return []

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def release(self) -> None:
        pass


class StillModules(Onlooker):
    """Runs modules in evaluation mode, in training too, so that their running statistics stay what they are."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._was_training: list[nn.Module] = []
        self._hooks: list[Any] = []
        for module in modules:
            # First and last of all: a hook of somebody else may ask for the mode.
            self._hooks.append(module.register_forward_pre_hook(self._still, prepend=True))
            self._hooks.append(module.register_forward_hook(self._go_on, always_call=True))

    def _still(self, module: nn.Module, inputs: Any) -> None:
        if self._hooks and module.training:
            module.training = False
            self._was_training.append(module)

    def _go_on(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        if module in self._was_training:
            self._was_training.remove(module)
            module.training = True

    def __deepcopy__(self, memo: object) -> StillModules:
        """A copy of the model moves its statistics as ever."""
        return StillModules(())

    def describe(self) -> str:
        return "run in evaluation mode"

    def release(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


def chain(*rules: UpdateRule) -> UpdateRule:
    """One rule after the other."""

    def chained(steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for rule in rules:
            steps = rule(steps)
        return steps

    return chained


def freeze(steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The rule that permits nothing."""
    return tuple(torch.zeros_like(step) for step in steps)
