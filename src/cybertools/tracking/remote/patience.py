"""How long a call to a service waits, and when it is tried again."""

import random
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time

__all__ = ["Patience", "retry_after"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call waits. In seconds."""

    connect: float = 5.0
    """For a connection."""
    write: float = 30.0
    """For the service to take a part of a request."""
    read: float = 60.0
    """For a part of an answer."""
    pool: float = 30.0
    """For one of the connections to be free, where all are in use."""
    work: float = 3_600.0
    """For the answer to what may read all of a storage: its check, its figures, its indexes."""
    total: float = 60.0
    """From a call's beginning: later it is not tried again."""
    pause: float = 0.05
    """Before the second try; before each further one twice as long."""
    longest_pause: float = 2.0
    """Between two tries, if the service does not ask for a longer one."""
    connections: int = 64
    """Open at the same time, at most."""

    def before(self, attempt: int) -> float:
        """The pause before a further try, the first of which is 1."""
        longest = min(self.pause * 2.0 ** (attempt - 1), self.longest_pause)
        # Not all clients at the same moment, when a service comes back.
        return longest * random.uniform(0.5, 1.0)  # noqa: S311


def retry_after(value: str | None) -> float | None:
    """The seconds that a header ``Retry-After`` asks for: a number of them, or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return None
