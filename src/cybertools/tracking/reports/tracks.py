"""The tracks behind the numbers of a funnel, of retention, and of paths: a report for each.

It has the parameters of that report, and those that say which number. So what a number counts can
be looked at, as any list of tracks can.
"""

from typing import Any

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.questions import Behind, Cell, Cohorts, Measure, Moved, Reached, Returned
from cybertools.tracking.reports.kinds import (
    Arrival,
    Later,
    LongUnit,
    Number,
    Per,
    PeriodName,
    Seconds,
    Show,
    Steps,
    Task,
    TimeZone,
    TrackId,
)
from cybertools.tracking.reports.moving import funnel_of, paths_of
from cybertools.tracking.reports.periods import period_start
from cybertools.tracking.reports.shared import TRACK_COLUMNS, periods_of, track_cells
from cybertools.tracking.reports.specs import report
from cybertools.tracking.reports.table import Column, Table
from cybertools.tracking.values import parse_track_id

__all__ = ["funnel_tracks", "paths_tracks", "retention_tracks"]


@report
def funnel_tracks(
    storage: Storage,
    steps: Steps,
    step: Number | None = None,
    what: Arrival = "reached",
    window: Seconds | None = None,
    per: Per = "userName",
    show: Show = "tracks",
    top: Number = 50,
    after: TrackId | None = None,
    **criteria: Any,
) -> Table:
    """The tracks behind a number of a funnel: one for each user (or run), the newest first.

    It is the first track by which the user reached the step. Of those who were lost it is the one
    by which they reached the step before.

    :param steps: The steps in order: task ids, prefixes abc*, or mappings of criteria.
    :param step: Which step, from 1; the last one if none is given.
    :param what: Those who reached the step, or were lost: who reached the step before and not it.
    :param window: The longest time from a step to the next one: seconds, or text like 30m.
    :param per: userName, or runId.
    :param show: The tracks, or their totals: how many tracks, users and runs they are.
    :param top: So many tracks.
    :param after: The id of a track: only what comes after it, for the next page.
    """
    place = len(steps) if step is None else step
    is_lost = what == "lost"
    if place > len(steps):
        raise InvalidValue(f"step must be from 1 to {len(steps)}, not {place}.")
    if is_lost and place == 1:
        raise InvalidValue("Nobody is lost at step 1: there is none before it.")
    cell = Reached(funnel_of(storage, steps, window, per, criteria), place - 1, is_lost)
    return _table(storage, "Tracks of a step", cell, show, top, after)


@report
def retention_tracks(
    storage: Storage,
    cohort: PeriodName,
    later: Later = 0,
    unit: LongUnit = "week",
    timezone: TimeZone = "UTC",
    show: Show = "tracks",
    top: Number = 50,
    after: TrackId | None = None,
    **criteria: Any,
) -> Table:
    """The tracks behind a number of retention: of those who came, the newest first.

    They are the tracks in one period of all users who first came in the same or an earlier one.

    :param cohort: The period that the users first came in, by its name: 2026-03-29, 2026-W13,
        2026-03.
    :param later: Their tracks of so many periods later; 0 is the same one.
    :param unit: How long a period is.
    :param timezone: The time zone that days begin in.
    :param show: The tracks, or their totals: how many tracks, users and runs they are.
    :param top: So many tracks.
    :param after: The id of a track: only what comes after it, for the next page.
    """
    start = period_start(cohort, unit, timezone)
    periods = periods_of(storage, storage.parse(criteria), unit, timezone)
    cell = None
    if periods is not None and start in periods.edges:
        first = periods.edges.index(start)
        if first + later + 1 < len(periods.edges):
            cell = Returned(Cohorts(storage.parse(criteria), periods), first, first + later)
    return _table(storage, "Tracks of a cohort", cell, show, top, after)


@report
def paths_tracks(
    storage: Storage,
    source: Task,
    target: Task | None = None,
    per: Per = "userName",
    gap: Seconds | None = 1_800,
    show: Show = "tracks",
    top: Number = 50,
    after: TrackId | None = None,
    **criteria: Any,
) -> Table:
    """The tracks behind a number of paths: one for each step, the newest first.

    It is the track of the next task that follows directly; of those that end, the last one.

    :param source: From which task.
    :param target: To which one; where it ends, if none is given.
    :param per: userName, or runId.
    :param gap: The longest time from a track to the next one: seconds, or text like 30m.
    :param show: The tracks, or their totals: how many tracks, users and runs they are.
    :param top: So many tracks.
    :param after: The id of a track: only what comes after it, for the next page.
    """
    cell = Moved(paths_of(storage, per, gap, criteria), source, target)
    return _table(storage, "Tracks of a path", cell, show, top, after)


TOTALS: tuple[Measure, ...] = ("tracks", "users", "runs")


def _table(
    storage: Storage, title: str, cell: Cell | None, show: str, top: int, after: str | None
) -> Table:
    """The tracks behind a number, or their totals; of None, which counts none."""
    name = ""  # that of the report, which knows it
    if show == "totals":
        counted: Any = [(0,) * len(TOTALS)]
        if cell is not None:
            counted = storage.engine.aggregate(Behind(cell, TOTALS))
        columns = tuple(Column(m, "integer", m, f"How many different {m}.") for m in TOTALS)
        return Table(name, title, columns, tuple(counted))
    rows: list[Any] = []
    if cell is not None:
        place = None
        if after is not None:
            track = storage.engine.track(parse_track_id(after))
            if track is None:
                raise InvalidValue(f"after: there is no track {after!r}.")
            place = track[4], track[0]
        rows = storage.engine.aggregate(Behind(cell, (), place, top))
    return Table(name, title, TRACK_COLUMNS, tuple(map(track_cells, rows)))
