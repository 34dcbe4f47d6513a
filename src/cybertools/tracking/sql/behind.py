"""The statements that find the tracks behind a number: which ones, and the rows of a page of them.

What is sorted on the way are numbers and times: data are read of the rows that are shown.
"""

from dataclasses import replace

from cybertools.tracking.questions import Behind, Cell, Moved, Reached, Returned
from cybertools.tracking.sql.aggregates import (
    MEASURES,
    MICRO,
    condition,
    first_reached,
    is_long,
    last_reached,
)
from cybertools.tracking.sql.statements import Bound, Dialect, Tables

__all__ = ["behind_for"]


def behind_for(question: Behind, tables: Tables, dialect: Dialect, columns: str) -> Bound:
    """The statement that answers a question whose criteria are not empty, and its values.

    :param columns: those of a track.
    """
    which = _which(question.cell, tables, dialect)
    found = f"FROM {tables.tracks} WHERE {which.sql}"
    if question.measures:
        measures = ", ".join(MEASURES[measure] for measure in question.measures)
        return Bound(f"SELECT {measures} {found}", which.values)
    values = which.values
    if question.after is not None:
        time = dialect.time_value
        found += f" AND (timeStamp < {time} OR timeStamp = {time} AND number < ?)"
        moment, number = question.after
        values = [*values, moment, moment, number]
    return Bound(
        f"SELECT {columns} {found} ORDER BY timeStamp DESC, number DESC LIMIT ?",
        [*values, question.top],
    )


def _which(cell: Cell, tables: Tables, dialect: Dialect) -> Bound:
    """The condition that the tracks meet."""
    if isinstance(cell, Returned):
        return _returned(cell, tables, dialect)
    if isinstance(cell, Reached):
        numbers = _reached(cell, tables, dialect)
    else:
        numbers = _moved(cell, tables, dialect)
    return Bound(f"number IN ({numbers.sql})", numbers.values)


# Funnels


def _reached(cell: Reached, tables: Tables, dialect: Dialect) -> Bound:
    """What comes after a step has no part in who reaches it."""
    funnel = replace(cell.of, steps=cell.of.steps[: cell.step + 1])
    step = cell.step - 1 if cell.is_lost else cell.step
    if is_long(cell.of):
        parts, reached = last_reached(funnel, tables, dialect)
        table, arrived = f"s{cell.step}", reached[step]
        first = (
            "SELECT n, row_number() OVER (PARTITION BY who ORDER BY t, n) AS place"
            f" FROM {table} WHERE {arrived}"
        )
        if cell.is_lost:
            first += f" AND who NOT IN (SELECT who FROM {table} WHERE {reached[cell.step]})"
        return Bound(
            f"WITH {parts.sql} SELECT n FROM ({first}) AS arrivals WHERE place = 1", parts.values
        )
    parts, numbers = first_reached(funnel, tables, dialect)
    found = f"SELECT ({numbers[step].sql}) FROM f{step} p WHERE t{step} IS NOT NULL"
    if cell.is_lost:
        found += f" AND who NOT IN (SELECT who FROM f{cell.step} WHERE t{cell.step} IS NOT NULL)"
    return Bound(f"WITH {parts.sql} {found}", [*parts.values, *numbers[step].values])


# Who comes back


def _returned(cell: Returned, tables: Tables, dialect: Dialect) -> Bound:
    """Few users come in one period: of these only it is looked for what there was before."""
    edges = cell.of.periods.edges

    def within(first: int, last: int) -> Bound:
        low, high = float(edges[first]), edges[last] - MICRO
        return condition(cell.of.criteria.within(low, high), dialect)

    then = within(cell.place, cell.place + 1)
    there, before = within(cell.first, cell.first + 1), within(0, cell.first)
    users = f"SELECT DISTINCT userName FROM {tables.tracks} WHERE {there.sql}"
    values = [*then.values, *there.values]
    if cell.first:
        earlier = f"SELECT 1 FROM {tables.tracks} e WHERE e.userName = x.userName AND {before.sql}"
        users = f"SELECT userName FROM ({users}) AS x WHERE NOT EXISTS ({earlier})"
        values += before.values
    # Not by the index by user: the newest are found first by that by time.
    return Bound(f"{then.sql} AND {dialect.unsorted}userName IN ({users})", values)


# Paths


def _moved(cell: Moved, tables: Tables, dialect: Dialect) -> Bound:
    """Only of who was in the first task it is looked where they went."""
    per, gap = cell.of.per, cell.of.gap
    where = condition(cell.of.criteria, dialect)
    order = f"(PARTITION BY {dialect.unsorted}{per} ORDER BY timeStamp, number)"
    if cell.target is None:
        beside = "lead(timeStamp) OVER w AS later"
        is_far = "" if gap is None else f" OR later - timeStamp > {gap!r}"
        found = f"taskId = ? AND (later IS NULL{is_far})"
        wanted = [cell.source]
    else:
        beside = "lag(taskId) OVER w AS before, lag(timeStamp) OVER w AS earlier"
        found = "taskId = ? AND before = ? AND before <> taskId"
        found += "" if gap is None else f" AND timeStamp - earlier <= {gap!r}"
        wanted = [cell.target, cell.source]
    who = f"SELECT {per} FROM {tables.tracks} WHERE {where.sql} AND taskId = ?"
    steps = (
        f"SELECT number, taskId, timeStamp, {beside} FROM {tables.tracks}"
        f" WHERE {where.sql} AND {dialect.unsorted}{per} IN ({who}) WINDOW w AS {order}"
    )
    return Bound(
        f"SELECT number FROM ({steps}) AS steps WHERE {found}",
        [*where.values, *where.values, cell.source, *wanted],
    )
