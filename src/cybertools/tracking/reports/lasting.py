"""How long, how often: runs and their durations, time in tasks, retries."""

from typing import Any

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.questions import RunSpread, Spread
from cybertools.tracking.reports.kinds import Instant, Number, Seconds
from cybertools.tracking.reports.shared import ordered, seconds, share
from cybertools.tracking.reports.specs import report
from cybertools.tracking.reports.table import Cell, Chart, Column, Table
from cybertools.tracking.values import now

__all__ = [
    "NOTHING",
    "PERCENTILES",
    "SPREAD",
    "durations",
    "retries",
    "runs",
    "spread_cells",
    "times",
]

PERCENTILES = (50, 90)

STEPS = (0, 1, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
"""Seconds at which a histogram's bars begin: lengths that have names."""

SPREAD = (
    Column("total", "number", "s", "All of them together."),
    Column("mean", "number", "s", "In the mean."),
    Column("least", "number", "s", "The shortest."),
    Column("median", "number", "s", "Half of them are not longer."),
    Column("p90", "number", "s", "Nine of ten are not longer."),
    Column("most", "number", "s", "The longest."),
)


NOTHING = (0, 0, None, None, None, None)
"""The number, total, least, most, median and p90 of none."""


def spread_cells(row: Any) -> tuple[Cell, ...]:
    """The cells of `SPREAD`, of: number, total, least, most, median, p90."""
    count, total, least, most, median, p90 = row
    mean = round(total / count / 1_000_000, 6) if count else None
    return (seconds(total), mean, *map(seconds, (least, median, p90, most)))


@report
def runs(
    storage: Storage,
    abandoned: Seconds = 86_400,
    at: Instant | None = None,
    **criteria: Any,
) -> Table:
    """How many runs are open, abandoned or finished, and how long they take.

    A run takes from its start to its end: to its last track, or to when it was stopped. With
    criteria it is about the runs that have tracks which meet them, each as a whole.

    :param abandoned: A run that is not finished and had no track for that long is abandoned.
    :param at: Another time than the present one.
    """
    moment = now() if at is None else at
    question = RunSpread(storage.parse(criteria), moment - float(abandoned), PERCENTILES)
    found = {row[0]: row[1:] for row in storage.engine.aggregate(question)}
    whole: Any = found.get(None, (0,))[0]
    rows = [
        (state or "all", count, share(count, whole), *spread_cells((count, *rest)))
        for state in ("open", "abandoned", "finished", None)
        for count, *rest in [found.get(state, NOTHING)]
    ]
    columns = (
        Column("state", "text", "", "open, abandoned, finished; all."),
        Column("runs", "integer", "runs", "How many."),
        Column("share", "number", "%", "Of all runs."),
        *SPREAD,
    )
    return Table("runs", "Runs", columns, tuple(rows), chart=Chart("bar", "state", "runs"))


@report
def durations(storage: Storage, **criteria: Any) -> Table:
    """How the durations of runs are distributed: how many take how long.

    With criteria it is about the runs that have tracks which meet them, each as a whole.
    """
    edges = tuple(step * 1_000_000 for step in STEPS)
    question = RunSpread(storage.parse(criteria), 0.0, (), edges)
    found: Any = {row[0]: row[1:] for row in storage.engine.aggregate(question)}.get(None)
    numbers = found[4:] if found else (0,) * len(STEPS)
    whole = sum(numbers)
    ends = [*STEPS[1:], None]
    rows = [
        (_span(step, end), step, end, number, share(number, whole))
        for step, end, number in zip(STEPS, ends, numbers, strict=True)
    ]
    columns = (
        Column("duration", "text", "", "From, and to less than."),
        Column("from", "number", "s", "At least so long."),
        Column("to", "number", "s", "Less than that; None where there is no end."),
        Column("runs", "integer", "runs", "How many."),
        Column("share", "number", "%", "Of all runs."),
    )
    return Table(
        "durations",
        "Durations of runs",
        columns,
        tuple(rows),
        chart=Chart("bar", "duration", "runs"),
    )


def _span(start: int, end: int | None) -> str:
    return f"{_short(start)} and more" if end is None else f"{_short(start)} to {_short(end)}"


def _short(length: int) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if length >= size and length % size == 0:
            return f"{length // size} {unit}"
    return f"{length} s"


@report
def times(storage: Storage, top: Number = 20, **criteria: Any) -> Table:
    """How much time users spend in each task.

    A visit is what one user did in one run of the task; it takes from its first to its last track.
    The tasks with the most time come first.

    :param top: So many tasks.
    """
    question = Spread(
        storage.parse(criteria),
        ("taskId", "runId", "userName"),
        "duration",
        ("taskId",),
        PERCENTILES,
    )
    found: Any = ordered(storage.engine.aggregate(question))
    found.sort(key=lambda row: -row[2])
    rows = [(task, count, *spread_cells((count, *rest))) for task, count, *rest in found[:top]]
    columns = (
        Column("taskId", "text", "", "The task."),
        Column("visits", "integer", "visits", "Of a user in a run each."),
        *SPREAD,
    )
    return Table(
        "times", "Time in tasks", columns, tuple(rows), chart=Chart("bar", "taskId", "total")
    )


@report
def retries(storage: Storage, top: Number = 20, **criteria: Any) -> Table:
    """How often users come back to the same task in another run.

    The tasks with the highest share of users who did come first.

    :param top: So many tasks.
    """
    question = Spread(
        storage.parse(criteria),
        ("taskId", "userName"),
        "runs",
        ("taskId",),
        PERCENTILES,
        (1, 2, 3, 4),
    )
    found: Any = storage.engine.aggregate(question)
    rows = [
        (
            task,
            users,
            users - once,
            share(users - once, users),
            runs,
            round(runs / users, 3),
            median,
            p90,
            most,
            once,
            twice,
            thrice,
            more,
        )
        for task, users, runs, _, most, median, p90, once, twice, thrice, more in found
    ]
    rows.sort(key=lambda row: (-(row[2] / row[1]), -row[1], row[0]))
    columns = (
        Column("taskId", "text", "", "The task."),
        Column("users", "integer", "users", "Different users."),
        Column("again", "integer", "users", "Those with more than one run."),
        Column("share", "number", "%", "Of the users."),
        Column("runs", "integer", "runs", "Runs of each user, summed up."),
        Column("mean", "number", "runs", "Of a user in the mean."),
        Column("median", "integer", "runs", "Half of the users have no more."),
        Column("p90", "integer", "runs", "Nine of ten users have no more."),
        Column("most", "integer", "runs", "Of one user."),
        Column("once", "integer", "users", "With one run."),
        Column("twice", "integer", "users", "With two runs."),
        Column("thrice", "integer", "users", "With three."),
        Column("more", "integer", "users", "With more than three."),
    )
    return Table(
        "retries", "Retries", columns, tuple(rows[:top]), chart=Chart("bar", "taskId", "again")
    )
