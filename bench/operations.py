"""What is timed. Each operation is the contender's method of that name.

Only the engines have an ``info``.
"""

from dataclasses import dataclass

__all__ = ["BULK", "OPERATIONS", "PAGE", "QUERY", "Operation", "title_of"]

PAGE = 50
"""Tracks on a page."""

QUERY = 1_000
"""Tracks that the query returns."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A method, in words, and how many calls make one turn."""

    name: str
    title: str
    calls: int
    is_compared: bool = True
    """Whether all contenders must give the same answer."""


BULK = Operation("save_all", "Bulk save, per track", 0)

OPERATIONS = (
    Operation("save", "One save", 100, is_compared=False),
    Operation("last", "Last track of a user in a task", 300),
    Operation("within", f"Query of {QUERY:,} tracks by time", 10),
    Operation("page", f"A page of a task: {PAGE} tracks by id", 40),
    Operation("newest", f"The newest {PAGE} tracks of a task", 20),
    Operation("count", "Count of a task's tracks", 40),
    Operation("user_names", "A task's user names", 20),
    Operation("task_ids", "All task ids", 20),
    Operation("info", "Info: counts, times, bytes of each index", 1, is_compared=False),
)


def title_of(name: str) -> str:
    """An operation in words."""
    return next(o.title for o in (BULK, *OPERATIONS) if o.name == name)
