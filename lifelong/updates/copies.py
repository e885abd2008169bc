"""What becomes of a held model when it is copied: its copy has the weights as they should be, and nobody holds it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NoReturn

from torch import nn

COPY = "__deepcopy__"


class OnCopy:
    """A module's own way of being copied, for as long as it is held.

    settle: called before; apart: what else is the held module's alone, by its name in `__dict__`; clean: takes out of
    the copy what is left of the hold.
    """

    def __init__(
        self,
        module: nn.Module,
        settle: Callable[[], object],
        apart: tuple[str, ...] = (),
        clean: Callable[[Any], object] | None = None,
    ) -> None:
        self._module, self._settle, self._apart, self._clean = module, settle, apart, clean
        self._under = module.__dict__.get(COPY)
        self._lives = True
        module.__dict__[COPY] = self

    def __call__(self, memo: dict[int, Any]) -> Any:
        mine = self._module.__dict__
        if self._lives:
            self._settle()
        aside = {name: mine.pop(name) for name in (COPY, *self._apart) if name in mine}
        if self._under is not None:
            mine[COPY] = self._under
        try:
            twin = copy.deepcopy(self._module, memo)
        finally:
            mine.update(aside)
        if self._lives and self._clean is not None:
            self._clean(twin)
        return twin

    def __reduce__(self) -> NoReturn:
        refuse_pickling()

    def remove(self) -> None:
        mine = self._module.__dict__
        self._lives = False
        if mine.get(COPY) is not self:
            # Another one has come over it, and will take it along.
            return
        below = self._under
        while isinstance(below, OnCopy) and not below._lives:
            below = below._under
        if below is None:
            del mine[COPY]
        else:
            mine[COPY] = below


def refuse_pickling() -> NoReturn:
    """Raises TypeError, for whatever is in a held model."""
    raise TypeError(
        "A model whose steps are held cannot be pickled with what holds it: save its state_dict(), or "
        "copy.deepcopy(model), or the model after handle.detach()."
    )
