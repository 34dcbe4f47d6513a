"""A storage's contents as they are stored, read side by side with another's."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.interfaces import Engine
from cybertools.tracking.track import Row

__all__ = ["Tell", "pages", "pairs", "silent"]

PAGE = 1_000
"""Tracks that are read at a time."""

Tell: TypeAlias = Callable[[int, int, int], None]
"""Is told how far it has come, of how much (both in track numbers), and the tracks so far."""


def silent(_done: int, _whole: int, _tracks: int) -> None:
    """Tell nobody."""


def pages(engine: Engine, after: int, upTo: int | None = None) -> Iterator[list[Row]]:
    """The tracks in order of their numbers, some at a time, from after one number to another."""
    # Queries, no stream: that would hold the database as it was, for hours perhaps.
    while page := engine.select(Criteria(after=after, limit=PAGE)):
        after = page[-1][0]
        if upTo is not None and after >= upTo:
            rest = [row for row in page if row[0] <= upTo]
            if rest:
                yield rest
            return
        yield page


def pairs(ones: Iterator[Any], others: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """What has the same key (its first part) on both sides, which ascend; None where it lacks."""
    one, other = next(ones, None), next(others, None)
    while one is not None or other is not None:
        is_one = other is None or (one is not None and one[0] <= other[0])
        is_other = one is None or (other is not None and other[0] <= one[0])
        yield one if is_one else None, other if is_other else None
        if is_one:
            one = next(ones, None)
        if is_other:
            other = next(others, None)
