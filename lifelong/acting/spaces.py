"""Gymnasium's spaces as plain data and back, for checkpoints: what is read back must not be able to run code."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain_space(space: Any) -> dict[str, Any]:
    """A space as numbers, text and lists. Raises ValueError for kinds that `Encoding` does not take either."""
    kind = type(space).__name__
    match kind:
        case "Box":
            bounds = {"low": space.low.ravel().tolist(), "high": space.high.ravel().tolist()}
            return {"kind": kind, "shape": list(space.shape), "dtype": str(space.dtype), **bounds}
        case "Discrete":
            return {"kind": kind, "n": int(space.n), "start": int(space.start)}
        case "MultiBinary":
            return {"kind": kind, "n": space.n if isinstance(space.n, int) else list(space.shape)}
        case "MultiDiscrete":
            shape = list(space.nvec.shape)
            return {
                "kind": kind,
                "nvec": space.nvec.ravel().tolist(),
                "shape": shape,
                "start": space.start.ravel().tolist(),
            }
        case "Dict":
            # Pairs keep their order, which is that in which a network takes the parts.
            return {"kind": kind, "parts": [[key, plain_space(part)] for key, part in space.spaces.items()]}
        case _:
            raise ValueError(f"A space of kind {kind} cannot be kept, got {space}.")


def space_of(plain: dict[str, Any]) -> Any:
    """The space that `plain_space` made plain."""
    from gymnasium import spaces

    match plain["kind"]:
        case "Box":
            dtype = np.dtype(plain["dtype"])
            low, high = (np.array(plain[side]).astype(dtype).reshape(plain["shape"]) for side in ("low", "high"))
            return spaces.Box(low, high, dtype=dtype.type)
        case "Discrete":
            return spaces.Discrete(plain["n"], start=plain["start"])
        case "MultiBinary":
            return spaces.MultiBinary(plain["n"])
        case "MultiDiscrete":
            nvec, start = (np.array(plain[name]).reshape(plain["shape"]) for name in ("nvec", "start"))
            return spaces.MultiDiscrete(nvec, start=start)
        case _:
            return spaces.Dict([(key, space_of(part)) for key, part in plain["parts"]])
