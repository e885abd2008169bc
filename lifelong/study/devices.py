"""How many cells run at a time, and which GPU each of them sees."""

from __future__ import annotations

import os


def visible_gpus(device: str) -> tuple[str, ...]:
    """The GPUs that a configuration's `device` leaves open, as CUDA_VISIBLE_DEVICES names them.

    None where it asks for the CPU or for one certain GPU.
    """
    if device not in ("auto", "cuda"):
        return ()
    import torch

    # Asked without starting CUDA in this process, which only looks on.
    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(named[:count] if named else map(str, range(count)))


def usual_jobs(gpus: tuple[str, ...]) -> int:
    """One cell to a GPU, or to a core that this process may use."""
    if gpus:
        return len(gpus)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
