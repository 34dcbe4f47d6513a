"""The statements of a storage, in the SQL that all databases share; a `Dialect` fills the gaps.

A storage has three tables: its tracks, its runs, and its spent keys. All else is derived: a task's
users and a run's start and end from the tracks' indexes, the next number from the last one.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cybertools.tracking.criteria import Criteria, Match, Scalar, prefix_end
from cybertools.tracking.track import METADATA

__all__ = ["Bound", "Dialect", "Part", "Statements", "Tables", "distinct_values", "parts_for"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A statement or an expression, and the values that are bound in it."""

    sql: str
    values: list[Any] = field(default_factory=list)


class Dialect(ABC):
    """What differs between databases within a statement. Each ``?`` is a value."""

    time_value: str
    """The place of a value in seconds since 1970, as the time columns have it."""
    for_update: str
    """What a SELECT ends in that is followed by an UPDATE of the same row."""
    run_rows: str
    """The rows of an INSERT of runs whose ids are given."""
    rollup: str
    """What makes the tables and triggers of a rollup, each statement ended by ``;`` and a line's
    end, with names in braces."""
    rollup_data: str
    """What makes the trigger that tells of other data, in the same way."""
    drop_rollup: str
    """What removes all of them, as far as they are there."""
    has_table: str
    """A SELECT that says whether there is a table of a name."""
    run_key: str
    """A run's id as text."""
    unsorted: str = ""
    """What stands before a column by which to sort, and not to read in order of its index."""

    @abstractmethod
    def seconds(self, column: str) -> str:
        """A time column in seconds since 1970."""

    @abstractmethod
    def attribute(self, name: str) -> str:
        """The expression that an index attribute's index is made of."""

    @abstractmethod
    def attribute_value(self, value: Scalar) -> Any:
        """A criterion's value as that expression has it."""

    def stored(self, json: str) -> str:
        """Data as JSON text, as the column has it."""
        return json

    @abstractmethod
    def any_of(self, expression: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """The condition that an expression has one of several values, and its values."""

    # Counting

    @abstractmethod
    def field(self, path: Sequence[str]) -> Bound:
        """The value in the data where these keys lead to, so that equal values are the same."""

    def spelling(self, path: Sequence[str]) -> Bound:
        """What is there as the data spell it: quicker, where `spelled` is not empty."""
        return self.field(path)

    def spelled(self, name: str) -> str:  # noqa: ARG002
        """What `field` gives, of a spelling in a column of that name; empty if nothing is won."""
        return ""

    @abstractmethod
    def field_value(self, key: Any) -> str | int | float | bool | None:
        """What that expression gave, as the data have it."""

    @abstractmethod
    def field_order(self, name: str) -> str:
        """By what such values, in a column of that name, are ordered as `order_of` does."""

    @abstractmethod
    def period(self, edges: Sequence[int]) -> Bound:
        """The place of the last edge that is not after the time stamp; -1 if there is none."""

    @abstractmethod
    def micros(self, seconds: str) -> str:
        """A difference of times as whole microseconds."""

    def percentile(self, percent: int) -> str:  # noqa: ARG002
        """That percentile of ``v`` as an aggregate; empty where there is none."""
        return ""

    def by_period(
        self,
        tracks: str,  # noqa: ARG002
        edges: Sequence[int],  # noqa: ARG002
        measures: Sequence[str],  # noqa: ARG002
        time_from: float | None,  # noqa: ARG002
        time_to: float | None,  # noqa: ARG002
    ) -> Bound | None:
        """A quicker way, if there is one, to the places of all periods and measures of each.

        They are those of all tracks within the times.
        """
        return None


@dataclass(frozen=True, slots=True)
class Tables:
    """The names of a storage's tables, indexes and view, derived from its prefix."""

    prefix: str
    schema: str = ""
    """Where the database has schemas: the name of ours, with its dot."""

    @property
    def tracks(self) -> str:
        """The table of the tracks."""
        return f"{self.schema}{self.prefix}"

    @property
    def runs(self) -> str:
        """The table of the runs."""
        return f"{self.schema}{self.prefix}_runs"

    @property
    def keys(self) -> str:
        """The table of the spent keys."""
        return f"{self.schema}{self.prefix}_keys"

    @property
    def view(self) -> str:
        """The view for people: track ids, and times as text."""
        return f"{self.schema}{self.prefix}_view"

    def rollup(self, what: str) -> str:
        """A table of the rollup: zones, cells, changes, questions, slices."""
        return f"{self.schema}{self.prefix}_rollup_{what}"

    def index(self, what: str) -> str:
        """The name of an index of the tracks."""
        return f"{self.prefix}_by_{what}"


class Statements:
    """The statements of one storage."""

    def __init__(self, tables: Tables, dialect: Dialect) -> None:
        tracks, runs, keys = tables.tracks, tables.runs, tables.keys
        time = dialect.time_value
        self.columns = f"number, taskId, runId, userName, {dialect.seconds('timeStamp')}, data"
        self.select = f"SELECT {self.columns} FROM {tracks}"
        self.track = f"{self.select} WHERE number = ?"
        self.track_to_change = f"{self.track}{dialect.for_update}"
        self.numbers = f"SELECT number FROM {tracks} WHERE number > ? ORDER BY number LIMIT ?"
        self.current_run = f"SELECT id FROM {runs} WHERE taskId = ? AND isCurrent"
        last = f"{self.select} WHERE taskId = ? AND userName = ? AND runId = "
        newest = " ORDER BY timeStamp DESC, number DESC LIMIT 1"
        self.last = f"{last}?{newest}"
        self.last_to_change = f"{self.last}{dialect.for_update}"
        self.last_of_current = f"{last}({self.current_run}){newest}"
        of_user = " WHERE number = ? AND userName = ?"
        self.change = f"UPDATE {tracks} SET timeStamp = {time}, data = ?{of_user}"
        self.change_data = f"UPDATE {tracks} SET data = ?{of_user}"
        self.insert = (
            f"INSERT INTO {tracks} (number, taskId, runId, userName, timeStamp, data)"
            f" VALUES (?, ?, ?, ?, {time}, ?)"
        )
        self.remove = f"DELETE FROM {tracks} WHERE number = ? RETURNING number"
        self.task_ids = distinct_values(tracks, "taskId", "")
        self.user_names = distinct_values(tracks, "userName", "taskId = ?")
        self.all_users = distinct_values(tracks, "userName", "")
        earliest, latest = (
            f"(SELECT {dialect.seconds(f'{end}(timeStamp)')} FROM {tracks})"
            for end in ("min", "max")
        )
        self.time_range = f"SELECT {earliest}, {latest}"
        self.keys = f"SELECT key, number FROM {keys} WHERE "
        self.key = f"SELECT number FROM {keys} WHERE key = ?"
        self.spend_key = (
            f"INSERT INTO {keys} (key, number) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING key"
        )
        self.has_run = f"SELECT 1 FROM {runs} WHERE id = ?"
        self.runs_there = f"SELECT id, id FROM {runs} WHERE "
        self.current_runs = f"SELECT taskId, id FROM {runs} WHERE isCurrent AND "
        self.labelled_run = f"SELECT id FROM {runs} WHERE taskId = ? AND label = ?"
        self.add_run = (
            f"INSERT INTO {runs} (taskId, label, startedAt, isCurrent) VALUES (?, ?, {time}, ?)"
            " ON CONFLICT DO NOTHING RETURNING id"
        )
        self.leave_run = f"UPDATE {runs} SET isCurrent = FALSE WHERE taskId = ? AND isCurrent"
        self.run_to_stop = (
            f"SELECT taskId, stoppedAt IS NOT NULL, finished FROM {runs} WHERE id = ?"
            f"{dialect.for_update}"
        )
        self.stop_run = (
            f"UPDATE {runs} SET stoppedAt = coalesce(stoppedAt, {time}), finished = ?,"
            " isCurrent = FALSE WHERE id = ?"
        )
        first, latest = (
            f"(SELECT {dialect.seconds('timeStamp')} FROM {tracks} WHERE runId = r.id"
            f" ORDER BY timeStamp{order} LIMIT 1)"
            for order in ("", " DESC")
        )
        started, stopped = dialect.seconds("startedAt"), dialect.seconds("stoppedAt")
        self.runs = (
            f"SELECT id, taskId, label, finished, {started}, {stopped}, {first}, {latest}"
            f" FROM {runs} r WHERE "
        )
        self.run = f"{self.runs}id = ?"
        self.run_rows = (
            f"SELECT id, taskId, label, {started}, {stopped}, finished, isCurrent FROM {runs}"
            " WHERE id > ? ORDER BY id LIMIT ?"
        )
        self.runs_like = f"SELECT id, taskId, label FROM {runs} WHERE "
        self.spent_keys = f"SELECT key, number FROM {keys} WHERE key > ? ORDER BY key LIMIT ?"
        self.leave_runs = f"UPDATE {runs} SET isCurrent = FALSE WHERE isCurrent AND "
        self.put_runs = (
            f"INSERT INTO {runs}"
            " (id, taskId, label, startedAt, stoppedAt, finished, isCurrent)"
            f" {dialect.run_rows} ON CONFLICT (id)"
            " DO UPDATE SET stoppedAt = excluded.stoppedAt,"
            " finished = excluded.finished, isCurrent = excluded.isCurrent"
        )
        self.count_runs = f"SELECT count(*) FROM {runs} WHERE "
        self.check_runs = (
            f"SELECT count(*) FROM {tracks} WHERE runId NOT IN (SELECT id FROM {runs})",
            "tracks belong to a run that is not there.",
        )


def distinct_values(table: str, column: str, condition: str) -> str:
    """The values of a column, ascending: a jump within an index for each, no scan.

    The values of ``condition`` are bound twice.
    """
    where, and_ = (f" WHERE {condition}", f" AND {condition}") if condition else ("", "")
    return (
        f"WITH RECURSIVE found (value) AS (SELECT min({column}) FROM {table}{where} UNION ALL"
        f" SELECT (SELECT min({column}) FROM {table} WHERE {column} > found.value{and_})"
        " FROM found WHERE found.value IS NOT NULL)"
        " SELECT value FROM found WHERE value IS NOT NULL"
    )


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a query's answer: its condition and order, and the values of the condition."""

    where: str
    order: str
    values: list[Any]
    is_sorted_in_index: bool = False
    """Whether what is sorted, to give one page, stands in an index: a task's tracks by time."""


def parts_for(criteria: Criteria, dialect: Dialect, after: float | None) -> list[Part]:
    """The parts that make up the answer to a query, one after the other.

    There are two of them where a page in the order of time begins within tracks of one time: the
    rest of those, and what comes then. An index finds the beginning of each, but not of both in
    one condition.

    :param after: the time stamp of the track ``criteria.after``, where the order is by time.
    """
    conditions: list[str] = []
    values: list[Any] = []
    for match in criteria.matches:
        condition, bound = _match(match, dialect)
        conditions.append(condition)
        values += bound
    time = dialect.time_value
    if criteria.time_from is not None:
        conditions.append(f"timeStamp >= {time}")
        values.append(criteria.time_from)
    if criteria.time_to is not None:
        conditions.append(f"timeStamp <= {time}")
        values.append(criteria.time_to)
    order = _ORDERS[criteria.order]
    names = {match.name for match in criteria.matches}
    in_index = criteria.order != "id" and "taskId" in names and names <= {*METADATA}

    def part(conditions: list[str], values: list[Any]) -> Part:
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return Part(where, f" ORDER BY {order}", values, in_index)

    if criteria.after is None:
        return [part(conditions, values)]
    if criteria.order == "id":
        return [part([*conditions, "number > ?"], [*values, criteria.after])]
    than = "<" if criteria.order == "-timeStamp" else ">"
    return [
        part(
            [*conditions, f"timeStamp = {time}", f"number {than} ?"],
            [*values, after, criteria.after],
        ),
        part([*conditions, f"timeStamp {than} {time}"], [*values, after]),
    ]


_ORDERS = {
    "id": "number",
    "timeStamp": "timeStamp, number",
    "-timeStamp": "timeStamp DESC, number DESC",
}


def _match(match: Match, dialect: Dialect) -> tuple[str, list[Any]]:
    """The condition for one attribute, and its values."""
    is_column = match.name in METADATA
    expression = match.name if is_column else dialect.attribute(match.name)
    conditions: list[str] = []
    values: list[Any] = []
    if match.values:
        wanted: list[Any] = list(match.values)
        if not is_column:
            wanted = [dialect.attribute_value(value) for value in wanted]
        place = dialect.time_value if match.name == "timeStamp" else "?"
        if len(wanted) == 1:
            conditions.append(f"{expression} = {place}")
            values += wanted
        elif match.name == "timeStamp":
            conditions.append(f"{expression} IN ({', '.join([place] * len(wanted))})")
            values += wanted
        else:
            condition, bound = dialect.any_of(expression, wanted)
            conditions.append(condition)
            values += bound
    for prefix in match.prefixes:
        end = prefix_end(prefix)
        lower = prefix if is_column else dialect.attribute_value(prefix)
        upper = end if end is None or is_column else dialect.attribute_value(end)
        if upper is None:
            conditions.append(f"{expression} >= ?")
            values.append(lower)
        else:
            conditions.append(f"({expression} >= ? AND {expression} < ?)")
            values += [lower, upper]
    if len(conditions) == 1:
        return conditions[0], values
    return f"({' OR '.join(conditions)})", values
