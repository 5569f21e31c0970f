"""Memory that ran out on the way, told in one line."""

from __future__ import annotations

_CPU = "can't allocate memory"  # torch, where the system gives none
MEND = (
    "compute less at once (chunk=, group=, planner.samples=, recipe.windows=), halve "
    "it by precision=bfloat16 and published.precision=bfloat16, or take a device with "
    "more"
)


def out_of_memory(error: BaseException) -> str | None:
    """Gives the line for an error of memory, None for any other."""
    is_gpu = type(error).__name__ == "OutOfMemoryError"  # torch need not be there
    if not (is_gpu or isinstance(error, MemoryError) or _CPU in str(error)):
        return None
    said = " ".join(str(error).split()).partition(" Of the allocated memory")[0]
    return f"out of memory ({said or type(error).__name__}): {MEND}"
