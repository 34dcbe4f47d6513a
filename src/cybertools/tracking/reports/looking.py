"""One user's journey, one task's summary."""

from typing import Any

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.questions import Groups, Spread
from cybertools.tracking.reports.kinds import Number, Task, User
from cybertools.tracking.reports.lasting import NOTHING, PERCENTILES, SPREAD, spread_cells
from cybertools.tracking.reports.shared import newest_rows, share
from cybertools.tracking.reports.specs import report
from cybertools.tracking.reports.table import Cell, Column, Table
from cybertools.tracking.values import track_id

__all__ = ["journey", "task"]


@report
def journey(storage: Storage, userName: User, top: Number = 100, **criteria: Any) -> Table:
    """What one user did, the newest last.

    :param userName: Who.
    :param top: So many of the newest tracks.
    """
    rows: list[tuple[Cell, ...]] = []
    before = None
    tracks = newest_rows(storage, {**criteria, "userName": userName}, top)
    for number, taskId, runId, _, moment, json in reversed(tracks):
        pause = None if before is None else round(moment - before, 6)
        before = moment
        rows.append((track_id(number), moment, pause, taskId, runId, json))
    columns = (
        Column("id", "text", "", "The track's id."),
        Column("timeStamp", "time", "", "When."),
        Column("pause", "number", "s", "Since the row before."),
        Column("taskId", "text", "", "In which task."),
        Column("runId", "integer", "", "In which run."),
        Column("data", "json", "", "What was recorded."),
    )
    return Table("journey", f"The journey of {userName}", columns, tuple(rows))


@report
def task(storage: Storage, taskId: Task, **criteria: Any) -> Table:
    """One task in numbers: tracks, users, runs, when, how long, how often again. One row.

    A visit is what one user did in one run; it takes from its first to its last track.

    :param taskId: Which.
    """
    parsed = storage.parse({**criteria, "taskId": [taskId]})
    answers = storage.engine.aggregate
    ((tracks, users, runs, first, last),) = answers(
        Groups(parsed, (), ("tracks", "users", "runs", "first", "last"))
    )
    visits = answers(Spread(parsed, ("taskId", "runId", "userName"), "duration", (), PERCENTILES))
    count, *spread = visits[0] if visits else NOTHING
    times = answers(Spread(parsed, ("taskId", "userName"), "runs", (), (), (0, 2)))
    again = times[0][-1] if times else 0
    row = (tracks, users, runs, first, last, count, *spread_cells((count, *spread)))
    columns = (
        Column("tracks", "integer", "tracks", "How many there are."),
        Column("users", "integer", "users", "Different users."),
        Column("runs", "integer", "runs", "Different runs."),
        Column("first", "time", "", "The first track."),
        Column("last", "time", "", "The last track."),
        Column("visits", "integer", "visits", "Of a user in a run each."),
        *SPREAD,
        Column("again", "integer", "users", "Users with more than one run."),
        Column("share", "number", "%", "Of the users."),
    )
    rows = ((*row, again, share(again, users)),)
    return Table("task", f"The task {taskId}", columns, rows)
