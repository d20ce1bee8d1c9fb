"""How far a command is, for whoever watches it."""

from collections.abc import Callable
from time import perf_counter


def timed_progress() -> Callable[[str], None]:
    """Return what prints a message behind the seconds since now."""
    start = perf_counter()
    return lambda message: print(f"{perf_counter() - start:7.1f} s  {message}", flush=True)
