"""What an engine can be asked to count: frozen values, one for each kind of question.

`Engine.aggregate` answers them. All engines give the same rows to the same question, so what a
database's own functions are not agreed about is not left to them: periods are given as edges, times
between tracks are whole microseconds, and a percentile is one of the values (the least of which at
least so many percent are not greater).

A question is about the tracks that meet its criteria, all of them: their ``limit``, ``after`` and
``order`` have no meaning here.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from cybertools.tracking.criteria import Criteria

__all__ = [
    "DIFFERENT",
    "STEPS_LIMIT",
    "Answer",
    "Behind",
    "Cell",
    "Cohorts",
    "Field",
    "Funnel",
    "Groups",
    "Key",
    "Measure",
    "Moved",
    "Name",
    "Paths",
    "Per",
    "Periods",
    "Question",
    "Reached",
    "Returned",
    "RunCondition",
    "RunSpread",
    "Spread",
    "Summary",
    "Value",
    "order_of",
]

Name: TypeAlias = Literal["taskId", "runId", "userName"]
"""What tracks have in common, of their metadata."""

Value: TypeAlias = str | int | float | bool | None
"""What tracks have in common, of their data. Equal numbers are one value (``1`` and ``1.0``), a
truth value is no number. A track without the field, or with null, a list or a mapping there, has
None."""

Measure: TypeAlias = Literal["tracks", "tasks", "users", "runs", "first", "last"]
"""How many tracks there are, or different tasks, users, runs; the first or last time stamp."""

DIFFERENT: dict[str, Measure] = {"taskId": "tasks", "userName": "users", "runId": "runs"}
"""Of each name, the measure that is how many different ones there are."""

Per: TypeAlias = Literal["userName", "runId"]
"""Whose tracks are looked at one after the other."""

RunCondition: TypeAlias = Literal["open", "abandoned", "finished"]
"""A run that is not finished is abandoned if it ended too long ago, else open."""

STEPS_LIMIT = 20
"""Steps of a funnel, at most."""

Answer: TypeAlias = list[tuple[Any, ...]]
"""Rows, as each question says."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value in the data: the keys on the way to it."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Periods:
    """Parts of the time: from each edge to before the next one. Tracks outside do not count."""

    edges: tuple[int, ...]
    """Seconds since 1970 UTC, ascending; at least two."""
    timezone: str | None = field(default=None, compare=False)
    """Whose days, weeks or months they are; None where they are something else. The answer is the
    same without it, but may take longer."""


Key: TypeAlias = Name | Field | Periods


@dataclass(frozen=True, slots=True)
class Groups:
    """How much there is of tracks with the same keys.

    Rows of the keys and the measures; the key of periods is the place of its first edge. Without
    keys there is one row, also of no tracks: there the first and the last time are None.
    """

    criteria: Criteria
    keys: tuple[Key, ...]
    measures: tuple[Measure, ...]
    top: int | None = None
    """So many rows at most, with the highest first measure first; among equals in order of the
    keys: None, numbers, truth values, texts. Without it the rows come in no order."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How a measure of each unit (a run, a user's visits to a task) is spread.

    Rows of: ``by``, number of units, total, least, most, the percentiles, and how many are between
    the edges: from each to before the next one, and from the last one on.
    """

    criteria: Criteria
    unit: tuple[Name, ...]
    """Tracks that have these in common are a unit."""
    measure: Literal["duration", "tracks", "runs"]
    """Microseconds from the first to the last track; or how many there are."""
    by: tuple[Name, ...] = ()
    """Units that have these in common are in one row; a part of ``unit``."""
    percentiles: tuple[int, ...] = ()
    edges: tuple[int, ...] = ()
    """Of the measure, ascending. Beginning with 0, each unit is counted somewhere."""


@dataclass(frozen=True, slots=True)
class RunSpread:
    """How the durations of runs are spread: the microseconds from a run's start to its end.

    Rows as of `Spread`, by `RunCondition`, and a row of all with None. The runs are those with
    tracks that meet the criteria; all runs where there are no criteria.
    """

    criteria: Criteria
    abandoned: float
    """A run that is not finished and ended before that time is abandoned."""
    percentiles: tuple[int, ...] = ()
    edges: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Cohorts:
    """Who comes back: rows of a period, a period of the same or a later place, and a number.

    That of the users who have their first track in the first one, and tracks in the second one.
    """

    criteria: Criteria
    periods: Periods


@dataclass(frozen=True, slots=True)
class Funnel:
    """How far users (or runs) get: one row with a number for each step.

    A step is reached by a track that meets the step's criteria and comes after one that reached the
    step before, within the window. Tracks come in order of their times, and ids among equals.
    """

    criteria: Criteria
    steps: tuple[Criteria, ...]
    window: float | None
    """Seconds from step to step, at most."""
    per: Per


@dataclass(frozen=True, slots=True)
class Paths:
    """Where users (or runs) go: rows of a task, the next one, and how often.

    The next one is that of the next track, if it comes within the gap; else None: an end. Tracks
    that are followed by one of the same task are no step. With the most frequent first, then in
    order of the tasks, ends first.
    """

    criteria: Criteria
    per: Per
    gap: float | None
    """Seconds from track to track, at most."""
    top: int | None = None


Summary: TypeAlias = Groups | Spread | RunSpread | Cohorts | Funnel | Paths
"""Questions whose answers are numbers."""


# The tracks behind a number


@dataclass(frozen=True, slots=True)
class Reached:
    """Those who reached a step of a funnel: the track by which each first did."""

    of: Funnel
    step: int
    """From 0."""
    is_lost: bool = False
    """Instead those who reached the step before and not this one: their tracks of that step."""


@dataclass(frozen=True, slots=True)
class Returned:
    """Those who first came in a period: all their tracks of the same or a later one."""

    of: Cohorts
    first: int
    """The place of the period that they first came in."""
    place: int
    """The place of the period that their tracks are in."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The steps from a task to the next one: the track of the next one that each leads to."""

    of: Paths
    source: str
    target: str | None
    """None: the ends; the last track before each."""


Cell: TypeAlias = Reached | Returned | Moved
"""A number in the answer to another question. What that question is about, all of it, is behind it:
that it gives the most frequent rows only has no meaning here."""


@dataclass(frozen=True, slots=True)
class Behind:
    """The tracks that a number counts.

    Rows of tracks (number, taskId, runId, userName, timeStamp, data as JSON text), the newest
    first, the highest number first among equals. With measures: one row of these, of all of them.
    """

    cell: Cell
    measures: tuple[Measure, ...] = ()
    after: tuple[float, int] | None = None
    """The time and the number of a track; only those that come after it."""
    top: int = 50
    """So many rows at most."""

    @property
    def criteria(self) -> Criteria:
        """Those of the question that the number is of."""
        return self.cell.of.criteria


Question: TypeAlias = Summary | Behind


def order_of(value: object) -> tuple[int, float | str]:
    """Where a value comes among others: None, numbers, truth values, texts by code point."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (1, value)
    return (3, str(value))
