"""How many tasks, users or runs there are among the tracks that meet criteria."""

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.questions import DIFFERENT, Groups

__all__ = ["different"]


def different(storage: Storage, criteria: Criteria, by: str) -> int | None:
    """How many different ones; None for what is counted in another way."""
    if by not in DIFFERENT:
        return None
    found = storage.engine.aggregate(Groups(criteria, (), (DIFFERENT[by],)))
    return next((int(row[0]) for row in found), 0)
