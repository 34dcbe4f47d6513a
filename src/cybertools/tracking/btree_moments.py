"""Numbers of tracks in the order of time: a B-tree of microseconds.

Its keys stand in the nodes of the tree themselves. Tuples of a time and a number would be compared
in places of memory far apart, which costs a save among many tracks more than all else. A key has
the number of its track or, where several tracks have the same time, the set of their numbers.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

from BTrees.LLBTree import LLTreeSet

from cybertools.tracking.values import micros_of

__all__ = [
    "Position",
    "ascending",
    "count_moments",
    "count_within",
    "descending",
    "first_time",
    "has_moment",
    "insert_moment",
    "last_time",
    "remove_moment",
]

Position: TypeAlias = tuple[float, float]
"""A time in seconds and the number of a track; infinity stands for the end of either."""

MICRO = 1_000_000
_INFINITY = float("inf")


def insert_moment(tree: Any, moment: int, number: int) -> None:
    """Enter the number of a track of that moment."""
    if tree.insert(moment, number):
        return
    there = tree[moment]
    if type(there) is int:
        tree[moment] = LLTreeSet((there, number))
    else:
        there.insert(number)


def remove_moment(tree: Any, time: float, number: int) -> None:
    """Take the number of a track of that time away."""
    moment = micros_of(time)
    there = tree[moment]
    if type(there) is int:
        del tree[moment]
        return
    there.remove(number)
    if not there:
        del tree[moment]


def has_moment(tree: Any, time: float, number: int) -> bool:
    """Whether the number is there, at that time."""
    there = tree.get(micros_of(time), ())
    return there == number if type(there) is int else number in there


def count_moments(tree: Any) -> int:
    """How many numbers there are."""
    return sum(1 if type(there) is int else len(there) for there in tree.values())


def count_within(tree: Any, first: float, last: float) -> int:
    """How many numbers there are from one time to another, both included."""
    found = tree.values(micros_of(first), micros_of(last))
    return sum(1 if type(there) is int else len(there) for there in found)


def first_time(tree: Any) -> float:
    """The earliest time, of a tree that is not empty."""
    return float(tree.minKey() / MICRO)


def last_time(tree: Any) -> float:
    """The latest time, of a tree that is not empty."""
    return float(tree.maxKey() / MICRO)


def ascending(tree: Any, first: Position = (0, 0), last: Position | None = None) -> Iterator[int]:
    """The numbers from one position to another, both included, the earliest first."""
    lower, upper = _bounds(first, last)
    for moment, there in tree.items(lower, upper):
        for number in (there,) if type(there) is int else there:
            if _is_within(moment, number, first, last):
                yield number


def descending(tree: Any, first: Position = (0, 0), last: Position | None = None) -> Iterator[int]:
    """The same as `ascending`, the latest first."""
    lower, upper = _bounds(first, last)
    while True:  # B-trees have no way back but this one
        try:
            moment = tree.maxKey() if upper is None else tree.maxKey(upper)
        except ValueError:
            return
        if moment < lower:
            return
        there = tree[moment]
        for number in (there,) if type(there) is int else _backwards(there):
            if _is_within(moment, number, first, last):
                yield number
        upper = moment - 1


def _backwards(numbers: Any) -> Iterator[int]:
    try:
        number = numbers.maxKey()
        while True:
            yield number
            number = numbers.maxKey(number - 1)
    except ValueError:
        return


def _bounds(first: Position, last: Position | None) -> tuple[int, int | None]:
    upper = None if last is None or last[0] == _INFINITY else micros_of(last[0])
    return max(micros_of(first[0]), 0), upper


def _is_within(moment: int, number: int, first: Position, last: Position | None) -> bool:
    """Whether a number belongs there, of those whose time is within the bounds."""
    if number < first[1] and moment == micros_of(first[0]):
        return False
    return last is None or number <= last[1] or moment != micros_of(last[0])
