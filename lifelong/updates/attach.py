"""Let rules decide what an optimizer may do to a module, whatever optimizer it is.

The *step* is judged, not the gradient: moments, momentum and weight decay turn an allowed gradient into a step that is
not. With `every` > 1 a rule is applied to the movement of several steps at once, which is exact for linear rules
whenever `sync` has just run and costs 1/every as much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from lifelong.updates.copies import OnCopy, refuse_pickling
from lifelong.updates.hold import Guard, Hold, RuleHold, UpdateRule, chain, freeze
from lifelong.updates.quiet import quietly

__all__ = ["Guard", "Handle", "UpdateRule", "attach", "chain", "freeze"]


class Handle:
    """An attached set of holds: `sync` makes everything exact now, `detach` ends it.

    root: the model that is held, if it shall look after itself: it is then synced before it answers in evaluation mode,
    before its state or the optimizer's is saved, and before it is copied, so that nobody meets a state between two
    syncs; and what is loaded into it counts as permitted. idle: parameters that must stand still, as they do now.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        holds: Sequence[Hold],
        root: nn.Module | None = None,
        idle: Sequence[nn.Parameter] = (),
    ) -> None:
        self._idle = list(idle)
        self._holds, self._refusal, self._asleep = list(holds), "", False
        self._watched = _count(optimizer) if root is not None else None
        self._devices = {p.device.type for group in optimizer.param_groups for p in group["params"]}
        self._hooks: list[Any] = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]
        if root is not None:
            self._hooks += [
                root.register_forward_pre_hook(self._before_answer),
                optimizer.register_state_dict_pre_hook(self._before_saving),
                root.register_state_dict_pre_hook(self._before_saving),  # type: ignore[no-untyped-call]
                root.register_load_state_dict_post_hook(self._loaded),  # type: ignore[no-untyped-call]
                OnCopy(root, self.sync),
            ]

    def __deepcopy__(self, memo: object) -> Handle:
        """Hooks are copied with a model: those of the copy do nothing."""
        nobody = Handle.__new__(Handle)
        nobody.__dict__.update(self.__dict__, _holds=[], _hooks=[], _idle=[], _watched=None, _refusal="")
        return nobody

    def __reduce__(self) -> NoReturn:
        refuse_pickling()

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> Any:
        if self._refusal:
            raise RuntimeError(self._refusal)
        if self._watched is not None and self._watched != _count(optimizer):
            raise RuntimeError(
                "The optimizer has got other parameters since its steps were held, and these would not be: attach anew."
            )
        if any(p.requires_grad for p in self._idle):
            raise RuntimeError(
                "A parameter that stood still (requires_grad was False) when steps were held moves now: attach anew."
            )
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self._prepare(optimizer)
            return None

        def prepared() -> Any:
            # Gradients are there when the closure has run, within the step.
            loss = closure()
            self._prepare(optimizer)
            return loss

        return ((args[0], prepared, *args[2:]), kwargs) if len(args) > 1 else (args, {**kwargs, "closure": prepared})

    def _prepare(self, optimizer: torch.optim.Optimizer) -> None:
        with _exactly(self._devices):
            for hold in self._holds:
                hold.before(optimizer)

    def _after_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        with _exactly(self._devices):
            for hold in self._holds:
                hold.after(optimizer)

    def _before_saving(self, *_: Any) -> None:
        self.sync()

    def _loaded(self, *_: Any) -> None:
        self.rebase()

    def _before_answer(self, root: nn.Module, *_: Any) -> None:
        if not root.training:
            self.sync()

    def sync(self) -> None:
        """Replace the movement since the last sync by the permitted part of it."""
        with quietly(), _exactly(self._devices):
            for hold in () if self._asleep else self._holds:
                hold.sync()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside, the parameters are somebody else's business: nothing is synced, and stepping raises RuntimeError."""
        self.sync()
        before = self._refusal, self._asleep
        self._refusal, self._asleep = "The weights are those of an earlier task; train outside of `as_of`.", True
        try:
            yield
        finally:
            self._refusal, self._asleep = before

    def rebase(self) -> None:
        """Take the parameters as they are for permitted: they were set by something other than the optimizer."""
        with quietly():
            for hold in self._holds:
                hold.rebase()

    def rewound(self) -> None:
        """All `tensors` were put back to what they were after an earlier sync."""
        with quietly():
            for hold in self._holds:
                hold.rewound()

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Inside, the parameters are as `sync` would leave them; afterwards, as they were."""
        kept = [(t, t.clone()) for t in self.tensors()]
        states = [hold.state_dict() for hold in self._holds]
        counts = [{k: v for k, v in state.items() if isinstance(v, int)} for state in states]
        self.sync()
        try:
            yield
        finally:
            with torch.no_grad():
                for live, value in kept:
                    live.copy_(value)
            for hold, state, count in zip(self._holds, states, counts, strict=True):
                hold.load_state_dict({**state, **count})

    def tensors(self) -> list[Tensor]:
        """Everything live that `sync` reads or writes."""
        return [t for hold in self._holds for t in hold.tensors()]

    def describe(self) -> str:
        """How each group of parameters is held, in words."""
        return "; ".join(hold.describe() for hold in self._holds)

    def state_dict(self) -> dict[str, Any]:
        return {"holds": [hold.state_dict() for hold in self._holds]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for hold, kept in zip(self._holds, state["holds"], strict=True):
            hold.load_state_dict(kept)

    def retire(self) -> None:
        """Sync and let go of the model, but not of the optimizer: its next step raises RuntimeError."""
        with quietly(), _exactly(self._devices):
            for hold in self._holds:
                hold.release()
        self._holds = []
        self.refuse("A task has begun since this was attached, so its steps would not be held: attach anew.")

    @property
    def holds_steps(self) -> bool:
        """Whether it has not let go yet."""
        return bool(self._hooks) and not self._refusal

    def refuse(self, why: str) -> None:
        """From now on, a step raises RuntimeError."""
        self._refusal = why

    def detach(self) -> None:
        """Sync and let go of the optimizer and the model; a second time does nothing."""
        self.retire()
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


def _count(optimizer: torch.optim.Optimizer) -> int:
    return sum(len(group["params"]) for group in optimizer.param_groups)


def _exactly(devices: Iterable[str]) -> AbstractContextManager[object]:
    """Inside, a caller's autocast makes no product in half precision: it is for the model, not for its steps."""
    casting = [device for device in devices if torch.is_autocast_enabled(device)]
    if not casting:
        return _AS_IT_IS
    stack = ExitStack()
    for device in casting:
        stack.enter_context(torch.autocast(device, enabled=False))
    return stack


_AS_IT_IS = nullcontext()


def attach(optimizer: torch.optim.Optimizer, guards: Sequence[Guard], every: int = 1) -> Handle:
    """Hold every step of `optimizer` to `guards`; works with each torch optimizer, through its own step hooks."""
    return Handle(optimizer, [RuleHold(guard, every) for guard in guards])
