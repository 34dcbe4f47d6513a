"""The days of a time zone, and the weeks and months that are made of them, by number.

Day 0 is the first of December 1969, a Monday, so that it begins a week and a month as well, and
comes before 1970 in every zone. A day begins with its first instant there is; one that a zone has
left out, beyond the date line, is as long as nothing.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from threading import Lock
from zlib import crc32
from zoneinfo import ZoneInfo

from cybertools.tracking.sql.aggregates import MICRO

__all__ = ["ALL", "DAY", "LEVELS", "MONTH", "WEEK", "Days", "days_of"]

FIRST = date(1969, 12, 1)
HORIZON = date(2100, 1, 1)
"""Days are known up to that one."""

_MONTHS = [
    (date(year, month, 1) - FIRST).days
    for year in range(FIRST.year, HORIZON.year + 1)
    for month in range(1, 13)
    if FIRST <= date(year, month, 1) <= HORIZON
]
"""The days that a month begins with."""

LEVELS = DAY, WEEK, MONTH, ALL = range(4)
"""The lengths of periods; of the last there is one: all time."""


def _starts(zone: ZoneInfo) -> Iterator[int]:
    """When each day begins: midnight, less what the zone is ahead of UTC then."""
    day, one = datetime(FIRST.year, FIRST.month, FIRST.day), timedelta(1)
    midnight = (FIRST - date(1970, 1, 1)).days * 86_400
    offset, ahead = None, 0
    for _ in range((HORIZON - FIRST).days + 1):
        found = zone.utcoffset(day)
        if found is not offset and found is not None:
            offset, ahead = found, round(found.total_seconds())
        yield midnight - ahead
        midnight += 86_400
        day += one


class Days:
    """When each day of a zone begins, and each week and month by the days' numbers."""

    def __init__(self, zone: str) -> None:
        self.starts = [*_starts(ZoneInfo(zone))]
        self.bounds: dict[int, Sequence[int]] = {
            WEEK: range(0, len(self.starts), 7),
            MONTH: _MONTHS,
        }
        self.fingerprint = crc32(array("q", self.starts).tobytes())
        """Another one where the rules of the zone have changed."""
        self.numbers = {start: n for n, start in enumerate(self.starts)}

    def day(self, time: float) -> int:
        """The number of the day of a time."""
        return bisect_right(self.starts, time) - 1

    def whole(self, time_from: float | None, time_to: float | None) -> tuple[int, int]:
        """The first day that is within the times as a whole, and the one after the last."""
        first = 0 if time_from is None else bisect_left(self.starts, time_from)
        if time_to is None:
            return first, len(self.starts) - 1
        end = self.day(time_to)
        if end + 1 < len(self.starts) and time_to >= self.starts[end + 1] - MICRO:
            end += 1
        return first, end

    def longest(
        self, levels: Sequence[int], first: int, end: int
    ) -> Iterator[tuple[int, int, int]]:
        """The longest periods of some lengths that the days from one to before another make up.

        Each with its level, the number of the first, and the one after the last.
        """
        for level in (MONTH, WEEK):
            bounds = self.bounds[level]
            low, high = bisect_left(bounds, first), bisect_right(bounds, end) - 1
            if level in levels and low < high:
                yield from self.longest(levels, first, bounds[low])
                yield level, low, high
                yield from self.longest(levels, bounds[high], end)
                return
        if first < end:
            yield DAY, first, end

    def periods(self, edges: Sequence[int]) -> tuple[int, int] | None:
        """The level of the periods between the edges, and the number of the first.

        None where they are not days, weeks or months one after the other.
        """
        days = [self.numbers.get(edge) for edge in edges]
        if None in days:
            return None
        found = [day for day in days if day is not None]
        for level in (DAY, WEEK, MONTH):
            bounds = self.bounds.get(level, range(len(self.starts)))
            place = bisect_left(bounds, found[0])
            if [*bounds[place : place + len(found)]] == found:
                return level, place
        return None


def days_of(zone: str) -> Days:
    """The days of that zone."""
    with _FINDING:
        return _days_of(zone)


_FINDING = Lock()
"""A page asks several questions at once, and each of them would find out the same days."""

_days_of = lru_cache(16)(Days)
