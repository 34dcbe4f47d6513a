"""Waiting in tests for what another process does."""

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["until"]

T = TypeVar("T")


def until(
    look: Callable[[], T | None],
    process: subprocess.Popen[bytes] | None = None,
    seconds: float = 60,
) -> T:
    """What there is to see, as soon as it is there; while the process runs, if one is given."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        assert process is None or process.poll() is None, "the process has ended"
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} seconds")
