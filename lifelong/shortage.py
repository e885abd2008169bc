"""Too little memory, in all the ways in which that is said."""

from __future__ import annotations

ADVICE = (
    "Use a smaller network (agent.network), smaller batches (stream.timetable.batch_size, evaluation.batch_size), "
    "memories (capacity) or buffers, or fewer experts in memory (max_experts, archive). A run that had begun goes on "
    "from its last checkpoint (lifelong resume)."
)

_SAID = "can't allocate memory", "Storage size calculation overflowed", "std::bad_alloc"


def is_shortage(error: BaseException) -> bool:
    """Whether memory could not be had: Python's own error, torch's of a GPU, torch's of the CPU, which has no name."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID))


def said_of(error: BaseException) -> str:
    """What happened, on one line, and what to do."""
    lines = str(error).strip().splitlines()
    what = f" ({lines[0].rpartition('DefaultCPUAllocator: ')[2].rstrip('.:')})" if lines else ""
    return f"there is not enough memory{what}. {ADVICE}"
