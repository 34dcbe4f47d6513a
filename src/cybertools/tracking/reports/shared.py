"""What reports have in common: keys, periods, orders, durations."""

from collections.abc import Mapping
from math import floor
from typing import Any

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.questions import Field, Groups, Key, Periods, order_of
from cybertools.tracking.reports.periods import period_edges
from cybertools.tracking.reports.table import Cell, Column
from cybertools.tracking.track import Row
from cybertools.tracking.values import track_id

__all__ = [
    "TRACK_COLUMNS",
    "column_of",
    "key_of",
    "newest_rows",
    "ordered",
    "periods_of",
    "seconds",
    "share",
    "track_cells",
]


def key_of(name: str) -> Key:
    """What tracks are put together by: metadata, or the keys to a value in the data."""
    for known in ("taskId", "runId", "userName"):
        if name == known:
            return known
    return Field(tuple(name.split(".")))


def column_of(name: str) -> Column:
    """The column of what tracks are put together by."""
    if name in ("taskId", "userName"):
        return Column(name, "text", "", "The task." if name == "taskId" else "The user.")
    if name == "runId":
        return Column(name, "integer", "", "The run.")
    return Column(name, "value", "", "The value in the data; None where there is none.")


def ordered(rows: list[Any]) -> list[Any]:
    """Rows in order of their cells."""
    if all(len({*map(type, column)}) == 1 for column in zip(*rows, strict=True)):
        return sorted(rows)  # by themselves, in a fraction of the time
    return sorted(rows, key=lambda row: [*map(order_of, row)])


def periods_of(storage: Storage, criteria: Criteria, unit: str, timezone: str) -> Periods | None:
    """The periods that tracks meeting the criteria may be in; None where there are no tracks."""
    if criteria.is_empty:
        return None
    # Of all tracks the ends stand in an index; of some, finding them may mean reading them all.
    ((start, end),) = storage.engine.aggregate(Groups(Criteria(), (), ("first", "last")))
    if not isinstance(start, float) or not isinstance(end, float):
        return None
    start = start if criteria.time_from is None else max(start, criteria.time_from)
    end = end if criteria.time_to is None else min(end, criteria.time_to)
    if start > end:
        return None
    zone = timezone if unit in ("day", "week", "month") else None
    return Periods(period_edges(floor(start), end, unit, timezone), zone)


def newest_rows(storage: Storage, criteria: Mapping[str, Any], top: int) -> list[Row]:
    """So many of the newest tracks that meet the criteria, as they are stored."""
    parsed = storage.parse({**criteria, "order": "-timeStamp", "limit": top})
    return [] if parsed.is_empty else storage.engine.select(parsed)


TRACK_COLUMNS = (
    Column("id", "text", "", "The track's id."),
    Column("timeStamp", "time", "", "When."),
    Column("taskId", "text", "", "In which task."),
    Column("runId", "integer", "", "In which run."),
    Column("userName", "text", "", "Who."),
    Column("data", "json", "", "What was recorded."),
)


def track_cells(row: Row) -> tuple[Cell, ...]:
    """A track as the row of a table of these columns."""
    number, task, run, user, moment, json = row
    return (track_id(number), moment, task, run, user, json)


def seconds(micros: Any) -> float | None:
    """Microseconds as seconds."""
    return None if micros is None else micros / 1_000_000


def share(part: float, whole: float) -> float | None:
    """A part of a whole in percent."""
    return round(100 * part / whole, 2) if whole else None
