"""Sees every call of torch that takes a watched parameter, however the model is written.

Modules, functional calls, hand-written attention, tied and shared weights all end in calls of torch; a mode of torch's
own (`TorchFunctionMode`) shows them. A call that is a linear map of data is reported as a use; any other as unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode, resolve_name

from lifelong.subspace.calls import CASTS, read
from lifelong.subspace.use import Call, Geometry, Use
from lifelong.updates.quiet import is_quiet


class Watcher(Protocol):
    """Is told what happens to parameters, by their names."""

    def used(self, weight: str, bias: str | None, use: Use) -> None:
        """`weight`, and `bias` if there is one, mapped data linearly."""
        ...

    def misunderstood(self, name: str, why: str) -> None:
        """The parameter took part in something that is not known as a linear map of data."""
        ...


@dataclass(slots=True)
class _Stand:
    """Memory that holds a parameter, a copy of it in another precision, or what is made of others to be used as one.

    base: how the parameter lies in that memory, without values; freed: tells when that memory is no longer in use, and
    may be given to others.
    """

    name: str
    base: Tensor
    freed: StorageWeakRef

    @staticmethod
    def of(name: str, tensor: Tensor) -> _Stand:
        storage = tensor.untyped_storage()
        whole = torch.empty(storage.nbytes() // tensor.element_size(), dtype=tensor.dtype, device="meta")
        base = whole.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
        return _Stand(name, base, StorageWeakRef(storage))  # type: ignore[no-untyped-call]

    def lives(self) -> bool:
        return not self.freed.expired()  # type: ignore[no-untyped-call]


class Watch(TorchFunctionMode):
    """Inside, calls that take one of the parameters are reported to the watcher.

    open: how many are open now.
    """

    open = 0

    def __init__(self, parameters: Mapping[str, nn.Parameter], watcher: Watcher) -> None:
        super().__init__()
        self._watcher = watcher
        self._stands: dict[int, list[_Stand]] = {}
        for name, parameter in parameters.items():
            self.stand(name, parameter)

    def stand(self, name: str, tensor: Tensor) -> None:
        """From now on, whoever uses this tensor uses what is called so."""
        memory = _memory(tensor)
        if memory >= 0:
            others = [stand for stand in self._stands.get(memory, ()) if stand.lives()]
            self._stands[memory] = [*others, _Stand.of(name, tensor.detach())]

    def __enter__(self) -> Watch:
        Watch.open += 1
        return super().__enter__()  # type: ignore[no-any-return,no-untyped-call]

    def __exit__(self, *details: object) -> None:
        Watch.open -= 1
        super().__exit__(*details)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if is_quiet():
            return func(*args, **kwargs)
        taken = [t for t in _tensors((args, tuple(kwargs.values()))) if self._known(t)]
        if not taken or getattr(func, "__name__", "") in ("__get__", "__set__"):
            return func(*args, **kwargs)
        calls = read(func, args, kwargs, self._known)
        if calls is not None:
            self._report(func, taken, calls)
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        self._judge(func, taken, result)
        return result

    def _known(self, tensor: Any) -> bool:
        return torch.is_tensor(tensor) and bool(self._of(tensor))

    def _of(self, tensor: Tensor) -> list[_Stand]:
        """Whatever stands where the tensor lies; several parameters may lie in one piece of memory."""
        stands = self._stands.get(_memory(tensor))
        if stands is None:
            return []
        return [stand for stand in stands if stand.lives() and _meet(tensor, stand.base)]

    def _report(self, func: Any, taken: Sequence[Tensor], calls: Sequence[Call]) -> None:
        claimed: set[str] = set()
        for call in calls:
            stand, geometry = self._place(call)
            if stand is None or geometry is None:
                continue
            bias = self._bias(call, geometry)
            claimed.update(name for name in (stand.name, bias) if name is not None)
            use = replace(call.use, geometry=geometry, has_bias=bias is not None)
            self._watcher.used(stand.name, bias, use)
        for tensor in taken:
            if not any(stand.name in claimed for stand in self._of(tensor)):
                self._blame(tensor, func)

    def _place(self, call: Call) -> tuple[_Stand | None, Geometry | None]:
        for stand in self._of(call.weight):
            geometry = _geometry(call.weight, stand.base, call.use.geometry)
            if geometry is not None:
                return stand, geometry
        return None, None

    def _bias(self, call: Call, geometry: Geometry) -> str | None:
        if call.bias is None:
            return None
        stands = self._of(call.bias)
        if len(stands) != 1 or stands[0].base.numel() != geometry.groups * geometry.outputs:
            return None
        return stands[0].name

    def _judge(self, func: Any, taken: Sequence[Tensor], result: Any) -> None:
        """A view is no use yet; a cast copy stands for its parameter; all else is not understood."""
        made = list(_tensors((result,)))
        memories = {_memory(t) for t in taken}
        if all(_memory(t) in memories for t in made):
            return
        if func in CASTS and len(made) == 1:
            for stand in self._of(taken[0]):
                if _is_same(taken[0], stand.base):
                    self.stand(stand.name, made[0])
                    return
        for tensor in taken:
            self._blame(tensor, func)

    def _blame(self, tensor: Tensor, func: Any) -> None:
        name = (resolve_name(func) or getattr(func, "__name__", "an operation")).removeprefix("torch.")
        for stand in self._of(tensor):
            self._watcher.misunderstood(stand.name, f"used by {name}, which is not known as a linear map of data")


@contextmanager
def running(modules: Iterable[tuple[str, nn.Module]], ran: Counter[str]) -> Iterator[None]:
    """Inside, `ran` counts the runs of each module, by its full name."""

    def note(name: str) -> Callable[..., None]:
        return lambda *_: ran.update((name,))

    hooks = [
        module.register_forward_pre_hook(note(name))
        for name, module in modules
        if not isinstance(module, torch.jit.ScriptModule)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def joined(*names: str) -> str:
    """Dotted name of those names that are not empty."""
    return ".".join(name for name in names if name)


def _memory(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # tensors of vmap and the like have no memory of their own
        return -1


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
        elif isinstance(value, dict):
            yield from _tensors(tuple(value.values()))


def _meet(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors in the same memory have a place in common."""
    return _start(one) < _end(other) and _start(other) < _end(one)


def _start(tensor: Tensor) -> int:
    return int(tensor.storage_offset()) * tensor.element_size()


def _end(tensor: Tensor) -> int:
    reach = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return _start(tensor) + (reach + 1) * tensor.element_size()


def _is_same(view: Tensor, base: Tensor) -> bool:
    return (
        view.shape == base.shape and view.stride() == base.stride() and view.storage_offset() == base.storage_offset()
    )


def _geometry(view: Tensor, base: Tensor, asked: Geometry) -> Geometry | None:
    """The geometry of the whole parameter whose view was used; None where no simple one exists."""
    if _is_same(view, base):
        return asked
    if asked.lookup or view.ndim < 2:
        return None
    if view.numel() == base.numel():
        if base.is_contiguous() and view.is_contiguous():
            return asked
        turned = replace(asked, transposed=not asked.transposed)
        if base.ndim == view.ndim and _is_same(view.mT, base):
            return turned
        return turned if base.is_contiguous() and view.ndim in (2, 3) and view.mT.is_contiguous() else None
    is_block = base.ndim == 2 and view.ndim == 2 and view.shape[1] == base.shape[1] and view.stride() == base.stride()
    if is_block and base.is_contiguous() and asked.groups == 1 and not asked.transposed:
        return Geometry(1, base.shape[0], base.shape[1])
    return None
