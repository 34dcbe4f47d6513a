"""Where users go: funnels, who comes back, paths from task to task."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cybertools.tracking.errors import TrackingError, UnknownCriterion
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.questions import Cohorts, Funnel, Paths
from cybertools.tracking.reports.kinds import LongUnit, Number, Per, Seconds, Steps, TimeZone
from cybertools.tracking.reports.periods import period_name
from cybertools.tracking.reports.shared import periods_of, share
from cybertools.tracking.reports.specs import report
from cybertools.tracking.reports.table import Cell, Chart, Column, Table

__all__ = ["funnel", "funnel_of", "paths", "paths_of", "retention"]


@report
def funnel(
    storage: Storage,
    steps: Steps,
    window: Seconds | None = None,
    per: Per = "userName",
    **criteria: Any,
) -> Table:
    """How many users (or runs) get from step to step.

    A step is reached with a track that meets its criteria after one that reached the step before,
    within the window.

    :param steps: The steps in order: task ids, prefixes abc*, or mappings of criteria.
    :param window: The longest time from a step to the next one: seconds, or text like 30m.
    :param per: userName, or runId.
    """
    (found,) = storage.engine.aggregate(funnel_of(storage, steps, window, per, criteria))
    numbers: Any = found
    before: Any = (numbers[0], *numbers)
    what = "users" if per == "userName" else "runs"
    rows = [
        (place + 1, _step_name(step), n, share(n, numbers[0]), share(n, b), b - n)
        for place, (step, n, b) in enumerate(zip(steps, numbers, before, strict=False))
    ]
    columns = (
        Column("step", "integer", "", "From 1."),
        Column("name", "text", "", "Its criteria."),
        Column(what, "integer", what, "That reached it."),
        Column("ofFirst", "number", "%", "Of those that reached the first step."),
        Column("ofBefore", "number", "%", "Of those that reached the step before."),
        Column("lost", "integer", what, "That reached the step before and not this one."),
    )
    return Table("funnel", "Funnel", columns, tuple(rows), chart=Chart("bar", "name", what))


def funnel_of(
    storage: Storage,
    steps: Steps,
    window: Seconds | None,
    per: Per,
    criteria: Mapping[str, Any],
) -> Funnel:
    """The question that the report asks."""
    asked = []
    for place, step in enumerate(steps):
        try:
            asked.append(storage.parse(step))
        except TrackingError as error:
            error.args = (f"steps[{place}]: {error}",)
            raise
        for name in ("limit", "after", "order"):
            if step.get(name) is not None:
                raise UnknownCriterion(f"steps[{place}]: {name!r} is no criterion of a step.")
    return Funnel(
        storage.parse(criteria),
        tuple(asked),
        None if window is None else float(window),
        "userName" if per == "userName" else "runId",
    )


def _step_name(step: dict[str, Any]) -> str:
    """A step for people: its task, or its criteria."""
    if list(step) == ["taskId"] and isinstance(step["taskId"], str):
        return str(step["taskId"])
    parts = []
    for name, value in step.items():
        values = value if isinstance(value, list | tuple) else (value,)
        parts.append(f"{name}={'|'.join(map(str, values))}")
    return " ".join(parts)


@report
def retention(
    storage: Storage, unit: LongUnit = "week", timezone: TimeZone = "UTC", **criteria: Any
) -> Table:
    """How many of the users who first came in a period come back in later ones.

    A user's first period is that of the first track which meets the criteria.

    :param unit: How long a period is.
    :param timezone: The time zone that days begin in.
    """
    parsed = storage.parse(criteria)
    periods = periods_of(storage, parsed, unit, timezone)
    rows: list[tuple[Cell, ...]] = []
    if periods is not None:
        found: Any = storage.engine.aggregate(Cohorts(parsed, periods))
        numbers = {(first, place): users for first, place, users in found}
        last = max((place for _, place in numbers), default=0)
        for first in sorted({first for first, _ in numbers}):
            edge, size = periods.edges[first], numbers[first, first]
            name = period_name(edge, unit, timezone)
            for place in range(first, last + 1):
                users = numbers.get((first, place), 0)
                rows.append((edge, name, size, place - first, users, share(users, size)))
    columns = (
        Column("start", "time", unit, "When the period begins that the users first came in."),
        Column("cohort", "text", "", "The name of that period in the time zone."),
        Column("size", "integer", "users", "How many first came in it."),
        Column("later", "integer", f"{unit}s", "So many periods later; 0 is the first one."),
        Column("users", "integer", "users", "How many of them came then."),
        Column("share", "number", "%", "Of those who first came."),
    )
    return Table(
        "retention",
        f"Retention by {unit}",
        columns,
        tuple(rows),
        chart=Chart("grid", "later", "share", "cohort"),
    )


@report
def paths(
    storage: Storage,
    per: Per = "userName",
    gap: Seconds | None = 1_800,
    top: Number = 20,
    **criteria: Any,
) -> Table:
    """From which task users (or runs) go to which one, and where they stop.

    A step is from a track to the next one of the same user, where that is in another task. Where
    nothing comes within the gap, the next task is None.

    :param per: userName, or runId.
    :param gap: The longest time from a track to the next one: seconds, or text like 30m.
    :param top: So many rows, the most frequent first.
    """
    question = replace(paths_of(storage, per, gap, criteria), top=top)
    rows: Any = tuple(storage.engine.aggregate(question))
    columns = (
        Column("taskId", "text", "", "From which task."),
        Column("nextTaskId", "text", "", "To which one; None where it ends."),
        Column("times", "integer", "steps", "How often."),
    )
    return Table("paths", "Paths", columns, rows)


def paths_of(storage: Storage, per: Per, gap: Seconds | None, criteria: Mapping[str, Any]) -> Paths:
    """The question that the report asks, of all rows."""
    return Paths(
        storage.parse(criteria),
        "userName" if per == "userName" else "runId",
        None if gap is None else float(gap),
    )
