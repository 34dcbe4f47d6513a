"""How much, who, what, when: counts over time, the busiest, the active, the newest."""

from typing import Any

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.questions import DIFFERENT, Groups, Key, Measure, Periods
from cybertools.tracking.reports.kinds import (
    Attribute,
    Detail,
    Instant,
    LongUnit,
    Number,
    Seconds,
    TimeZone,
    TopBy,
    Unit,
)
from cybertools.tracking.reports.periods import period_name
from cybertools.tracking.reports.shared import (
    TRACK_COLUMNS,
    column_of,
    key_of,
    newest_rows,
    ordered,
    periods_of,
    track_cells,
)
from cybertools.tracking.reports.specs import report
from cybertools.tracking.reports.table import Cell, Chart, Column, Table
from cybertools.tracking.values import now

__all__ = ["active", "changes", "counts", "present", "top", "totals"]

PERIOD = Column("period", "text", "", "The period's name in the time zone.")


def _start(unit: str) -> Column:
    return Column("start", "time", unit, "When the period begins.")


@report
def counts(
    storage: Storage,
    unit: Unit = "day",
    timezone: TimeZone = "UTC",
    by: Attribute | None = None,
    **criteria: Any,
) -> Table:
    """How many tracks there are in each minute, hour, day, week or month.

    Periods without tracks are in it, from the first one with tracks to the last one; where it is
    split (``by``), only what there is.

    :param unit: How long a period is.
    :param timezone: The time zone that days begin in.
    :param by: Split by taskId, runId, userName or a value in the data: state, score.points.
    """
    parsed = storage.parse(criteria)
    periods = periods_of(storage, parsed, unit, timezone)
    keys: tuple[Key, ...] = () if by is None else (key_of(by),)
    columns = [_start(unit), PERIOD, *([] if by is None else [column_of(by)])]
    columns.append(Column("tracks", "integer", "tracks", "How many there are."))
    rows: list[tuple[Cell, ...]] = []
    if periods is not None:
        found = storage.engine.aggregate(Groups(parsed, (periods, *keys), ("tracks",)))
        rows = _by_period(found, periods, unit, timezone, filled=by is None)
    return Table(
        "counts",
        f"Tracks per {unit}" + (f" by {by}" if by else ""),
        tuple(columns),
        tuple(rows),
        chart=Chart("line", "start", "tracks", by),
    )


def _by_period(
    found: list[Any], periods: Periods, unit: str, timezone: str, filled: bool
) -> list[tuple[Cell, ...]]:
    """Rows by place of the period as rows by its start and name."""
    edges = periods.edges
    rows = ordered(found)
    if filled and rows:
        width = len(rows[0]) - 1
        there = {row[0]: row for row in rows}
        places = range(rows[0][0], rows[-1][0] + 1)
        rows = [there.get(place, (place, *(0,) * width)) for place in places]
    shown = {row[0] for row in rows}
    names = {place: period_name(edges[place], unit, timezone) for place in shown}
    return [(edges[place], names[place], *rest) for place, *rest in rows]


@report
def top(
    storage: Storage,
    what: Attribute = "taskId",
    by: TopBy = "tracks",
    top: Number = 10,
    detail: Detail = "all",
    **criteria: Any,
) -> Table:
    """The tasks, users, runs or values of a field that there is most of.

    :param what: taskId, userName, runId or a value in the data: state, score.points.
    :param by: What makes one come before another.
    :param top: So many rows.
    :param detail: Of each also the other numbers, its first and its last track; or none of that,
        which in a large storage takes much less time.
    """
    numbers: list[Measure] = [m for m in _NUMBERS if m == by]
    ends: list[Measure] = []
    if detail == "all":
        numbers += [m for m in _NUMBERS if m not in (by, DIFFERENT.get(what))]
        ends = ["first", "last"]
    measures: tuple[Measure, ...] = (*numbers, *ends)
    question = Groups(storage.parse(criteria), (key_of(what),), measures, top)
    found = storage.engine.aggregate(question)
    columns = (
        column_of(what),
        *(Column(m, "integer", m, f"How many different {m}.") for m in numbers),
        *(Column(m, "time", "", f"Its {m} track.") for m in ends),
    )
    rows: Any = tuple(found)
    return Table("top", f"Most {by} by {what}", columns, rows, chart=Chart("bar", what, by))


_NUMBERS: tuple[Measure, ...] = ("tracks", "tasks", "users", "runs")


@report
def active(
    storage: Storage,
    unit: LongUnit = "day",
    timezone: TimeZone = "UTC",
    **criteria: Any,
) -> Table:
    """How many different users are active in each day, week or month.

    :param unit: How long a period is.
    :param timezone: The time zone that days begin in.
    """
    parsed = storage.parse(criteria)
    periods = periods_of(storage, parsed, unit, timezone)
    rows: list[tuple[Cell, ...]] = []
    if periods is not None:
        found = storage.engine.aggregate(Groups(parsed, (periods,), ("users", "tracks")))
        rows = _by_period(found, periods, unit, timezone, filled=True)
    columns = (
        _start(unit),
        PERIOD,
        Column("users", "integer", "users", "Different users with tracks."),
        Column("tracks", "integer", "tracks", "Their tracks."),
    )
    chart = Chart("line", "start", "users")
    return Table("active", f"Active users per {unit}", columns, tuple(rows), chart=chart)


@report
def totals(storage: Storage, **criteria: Any) -> Table:
    """How much there is in all: tracks, users, tasks, runs, from when to when."""
    parsed = storage.parse(criteria)
    measures: tuple[Measure, ...] = ("tracks", "users", "tasks", "runs", "first", "last")
    rows: Any = tuple(storage.engine.aggregate(Groups(parsed, (), measures)))
    columns = (
        *(Column(m, "integer", m, f"How many different {m}.") for m in measures[:4]),
        Column("first", "time", "", "The first track."),
        Column("last", "time", "", "The last track."),
    )
    return Table("totals", "Totals", columns, rows)


@report
def present(
    storage: Storage,
    within: Seconds = 900,
    at: Instant | None = None,
    top: Number = 100,
    **criteria: Any,
) -> Table:
    """Who is in what right now: the newest task of each user with tracks a short time ago.

    :param within: How long ago: seconds, or text like 15m.
    :param at: Another time than the present one.
    :param top: So many rows, the newest first.
    """
    moment = now() if at is None else at
    parsed = storage.parse(criteria).within(moment - float(within), moment)
    found = storage.engine.aggregate(
        Groups(parsed, ("userName", "taskId", "runId"), ("tracks", "first", "last"))
    )
    newest: dict[Any, Any] = {}
    tracks: dict[Any, int] = {}
    for user, *rest in ordered(found):
        tracks[user] = tracks.get(user, 0) + rest[2]
        if user not in newest or rest[-1] >= newest[user][-1]:
            newest[user] = rest
    rows = [
        (user, task, run, last, round(moment - last, 6), tracks[user])
        for user, (task, run, _, _, last) in newest.items()
    ]
    rows.sort(key=lambda row: (-row[3], row[0]))
    columns = (
        Column("userName", "text", "", "Who."),
        Column("taskId", "text", "", "In which task: that of the last track."),
        Column("runId", "integer", "", "In which run."),
        Column("last", "time", "", "The last track."),
        Column("ago", "number", "s", "How long ago that was."),
        Column("tracks", "integer", "tracks", "The user's tracks within that time, in all tasks."),
    )
    return Table("present", "Who is in what", columns, tuple(rows[:top]))


@report
def changes(storage: Storage, top: Number = 20, **criteria: Any) -> Table:
    """The newest tracks.

    :param top: So many.
    """
    rows = tuple(map(track_cells, newest_rows(storage, criteria, top)))
    return Table("changes", "The newest tracks", TRACK_COLUMNS, rows)
