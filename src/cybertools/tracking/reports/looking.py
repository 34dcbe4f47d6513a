"""One user's journey, one task's summary."""

from typing import Any

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.questions import Groups, Spread
from cybertools.tracking.reports.kinds import Number, Task, User
from cybertools.tracking.reports.shared import seconds, share
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
    tracks = storage.query(**criteria, userName=userName, order="-timeStamp", limit=top)
    rows: list[tuple[Cell, ...]] = []
    before = None
    for track in reversed(tracks):
        pause = None if before is None else round(track.timeStamp - before, 6)
        before = track.timeStamp
        rows.append(
            (track_id(track.number), track.timeStamp, pause, track.taskId, track.runId, track.json)
        )
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
    """One task in numbers: tracks, users, runs, when, how long, how often again.

    :param taskId: Which.
    """
    parsed = storage.parse({**criteria, "taskId": [taskId]})
    answers = storage.engine.aggregate
    summary: Any = answers(Groups(parsed, (), ("tracks", "users", "runs", "first", "last")))
    ((tracks, users, runs, first, last),) = summary
    visits: Any = answers(
        Spread(parsed, ("taskId", "runId", "userName"), "duration", (), (50, 90))
    ) or [(0, 0, None, None, None, None)]
    count, total, _, longest, median, p90 = visits[0]
    again: Any = answers(Spread(parsed, ("taskId", "userName"), "runs", (), (), (0, 2)))
    several = again[0][-1] if again else 0
    rows: list[tuple[Cell, ...]] = [
        ("tracks", tracks, "tracks"),
        ("users", users, "users"),
        ("runs", runs, "runs"),
        ("first track", first, "time"),
        ("last track", last, "time"),
        ("visits", count, "visits"),
        ("time in all", seconds(total), "s"),
        ("mean visit", round(total / count / 1_000_000, 6) if count else None, "s"),
        ("median visit", seconds(median), "s"),
        ("p90 visit", seconds(p90), "s"),
        ("longest visit", seconds(longest), "s"),
        ("users with several runs", several, "users"),
        ("share of users with several runs", share(several, users), "%"),
    ]
    columns = (
        Column("what", "text", "", "What is told."),
        Column("value", "value", "", "The number."),
        Column(
            "unit", "text", "", "What it counts; s are seconds, a time is in seconds since 1970."
        ),
    )
    return Table("task", f"The task {taskId}", columns, tuple(rows))
