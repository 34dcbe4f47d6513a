"""The engine in one SQLite file: write-ahead log, plain columns, JSON text."""

import json
import re
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import chain, islice, pairwise
from math import inf, nextafter
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from cybertools.tracking.criteria import Scalar
from cybertools.tracking.errors import (
    SchemaError,
    StorageNotFound,
    StorageUnavailable,
)
from cybertools.tracking.interfaces import Info, Receipt, Storage, attributes_of
from cybertools.tracking.record import Record
from cybertools.tracking.sql import rollup_tables
from cybertools.tracking.sql.engine import CHUNK, SqlEngine
from cybertools.tracking.sql.pool import BUSY_SECONDS, Pool
from cybertools.tracking.sql.rollup import FOLD_SECONDS
from cybertools.tracking.sql.statements import Bound, Dialect, Part, Tables
from cybertools.tracking.track import Row, RunRow, Track

__all__ = ["SqliteEngine", "names_in", "open_file"]

INSERTED = (64, 32, 16, 8, 4, 2, 1)
"""How many tracks a statement inserts. After each, other threads may have Python to themselves."""

MANY = 500
"""More tracks than that are inserted one by one: a statement for several keeps what it needs to be
undone by itself, which takes an import tens of megabytes."""

APPLICATION_ID = 0x54524B53
"""What a file says it is (``file tracks.db`` shows it): TRKS."""

TABLES = """
CREATE TABLE {tracks} (
    number INTEGER PRIMARY KEY,  -- of the track id: '0000001'
    taskId TEXT NOT NULL,
    runId INTEGER NOT NULL,
    userName TEXT NOT NULL,
    timeStamp REAL NOT NULL,     -- seconds since 1970 UTC: datetime(timeStamp, 'unixepoch')
    data TEXT NOT NULL           -- JSON
) STRICT;
CREATE TABLE {runs} (
    id INTEGER PRIMARY KEY,
    taskId TEXT,
    label TEXT,
    startedAt REAL NOT NULL,
    stoppedAt REAL,
    finished INTEGER NOT NULL DEFAULT FALSE,
    isCurrent INTEGER NOT NULL DEFAULT FALSE
) STRICT;
CREATE UNIQUE INDEX {runs}_current ON {runs} (taskId) WHERE isCurrent;
CREATE UNIQUE INDEX {runs}_labelled ON {runs} (taskId, label) WHERE label IS NOT NULL;
CREATE TABLE {keys} (
    key TEXT PRIMARY KEY,        -- idempotency key; stays when its track is removed
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""

INDEXES = {
    "task_user": "taskId, userName, runId, timeStamp",  # the last track; a task's users
    "task": "taskId",  # and, as each index ends in it, the number: a task's tracks in their order
    "user": "userName",
    "run": "runId, timeStamp",  # a run's start and end
    "time": "timeStamp",
}

VIEWS = """
CREATE VIEW {view} AS SELECT printf('%07d', number) AS id, taskId, runId, userName,
    strftime('%Y-%m-%dT%H:%M:%fZ', timeStamp, 'unixepoch') AS time, data FROM {tracks};
CREATE INDEX {runs}_finished ON {runs} (id) WHERE finished
"""


class SqliteDialect(Dialect):
    """SQL as SQLite has it."""

    rollup = rollup_tables.SQLITE
    rollup_data = rollup_tables.DATA_SQLITE
    drop_rollup = rollup_tables.DROP_SQLITE
    has_table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?"
    run_key = "CAST(runId AS TEXT)"
    unsorted = "+"
    time_value = "?"
    for_update = ""
    run_rows = "VALUES (?, ?, ?, ?, ?, ?, ?)"

    def seconds(self, column: str) -> str:
        """See `Dialect.seconds`."""
        return column

    def attribute(self, name: str) -> str:
        """See `Dialect.attribute`."""
        path = f"'$.\"{name}\"'"
        return (
            f"(CASE json_type(data, {path}) WHEN 'array' THEN NULL WHEN 'object' THEN NULL"
            f" ELSE json_extract(data, {path}) END)"
        )

    def attribute_value(self, value: Scalar) -> Any:
        """See `Dialect.attribute_value`."""
        # SQLite has integers of 64 bits; it makes floats of larger ones in JSON, too.
        return float(value) if isinstance(value, int) and abs(value) >= 1 << 63 else value

    def any_of(self, expression: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """See `Dialect.any_of`."""
        if len(values) == 1:
            return f"{expression} = ?", [*values]
        # One statement for any number of values, and no limit to it.
        return f"{expression} IN (SELECT value FROM json_each(?))", [orjson.dumps(values).decode()]

    def field(self, path: Sequence[str]) -> Bound:
        """See `Dialect.field`. Numbers are numbers, all else is JSON text."""
        place = "".join(f'."{name}"' for name in path)
        return Bound(
            "CASE json_type(data, ?) WHEN 'integer' THEN data ->> ? WHEN 'real' THEN data ->> ?"
            " WHEN 'text' THEN data -> ? WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' END",
            [f"${place}"] * 4,
        )

    def field_value(self, key: Any) -> str | int | float | bool | None:
        """See `Dialect.field_value`."""
        value: str | int | float | bool | None = json.loads(key) if isinstance(key, str) else key
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def field_order(self, name: str) -> str:
        """See `Dialect.field_order`."""
        kind = (
            f"CASE WHEN {name} IS NULL THEN 0 WHEN typeof({name}) <> 'text' THEN 1"
            f" WHEN {name} IN ('true', 'false') THEN 2 ELSE 3 END"
        )
        return f"{kind}, CASE typeof({name}) WHEN 'text' THEN {name} ->> '$' ELSE {name} END"

    def period(self, edges: Sequence[int]) -> Bound:
        """See `Dialect.period`. Periods of one length are found by a division."""
        place = _place([*_even_spans(edges)])
        return Bound(f"CASE WHEN timeStamp < {edges[0]} THEN -1 ELSE {place} END")

    def micros(self, seconds: str) -> str:
        """See `Dialect.micros`."""
        return f"CAST(({seconds}) * 1000000 + 0.5 AS INTEGER)"

    def by_period(
        self,
        tracks: str,
        edges: Sequence[int],
        measures: Sequence[str],
        time_from: float | None,
        time_to: float | None,
    ) -> Bound:
        """See `Dialect.by_period`. A range of the index by time for each: nothing is sorted."""
        within = f"FROM {tracks} WHERE timeStamp >= edge AND timeStamp < next"
        columns = ", ".join(f"(SELECT {measure} {within})" for measure in measures)
        return Bound(
            f"SELECT key, {columns} FROM (SELECT key, max(value, ?) AS edge,"
            " min(lead(value) OVER (ORDER BY key), ?) AS next FROM json_each(?)) AS periods",
            [
                -1.0 if time_from is None else time_from,
                inf if time_to is None else nextafter(time_to, inf),
                orjson.dumps(edges).decode(),
            ],
        )


Span: TypeAlias = tuple[int, int, int]
"""Periods of one length: the first edge, its place, the length."""


def _even_spans(edges: Sequence[int]) -> Iterator[Span]:
    start, first, length = edges[0], 0, edges[1] - edges[0]
    for place, (edge, end) in enumerate(pairwise(edges)):
        if end - edge != length:
            yield start, first, length
            start, first, length = edge, place, end - edge
    yield start, first, length


def _place(spans: list[Span]) -> str:
    """The place of a time stamp, in so few comparisons that months are no slower than days."""
    if len(spans) == 1:
        ((start, first, length),) = spans
        return f"(CAST(timeStamp - {start} AS INTEGER) / {length} + {first})"
    middle = len(spans) // 2
    before, after = _place(spans[:middle]), _place(spans[middle:])
    return f"CASE WHEN timeStamp < {spans[middle][0]} THEN {before} ELSE {after} END"


class SqliteEngine(SqlEngine):
    """A storage in a SQLite file."""

    def __init__(self, pool: Pool, name: str, tables: Tables, attributes: tuple[str, ...]) -> None:
        super().__init__(tables, SqliteDialect(), attributes)
        self._pool = pool
        self._name = name
        self.is_near = bool(pool.path)  # in memory, readers and writers take turns
        self._inserts = {
            size: self.sql.insert + ", (?, ?, ?, ?, ?, ?)" * (size - 1) for size in INSERTED
        }
        self._spend_keys = f"INSERT INTO {tables.keys} (key, number) VALUES (?, ?)"
        self._highest = (
            f"SELECT max(coalesce((SELECT max(number) FROM {tables.tracks}), 0), retired)"
            " FROM storages WHERE name = ?"
        )

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """See `SqlEngine.reading`."""
        return self._pool.reading()

    def counted(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """See `SqlEngine.counted`."""
        with self._pool.counting() as connection:
            return connection.execute(sql, values).fetchall()

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """See `SqlEngine.writing`."""
        return self._pool.writing()

    @property
    def in_transaction(self) -> bool:
        """See `SqlEngine.in_transaction`."""
        return self._pool.in_transaction

    def save_but_commit(self, records: list[Record]) -> tuple[Receipt, Callable[[], None]] | None:
        """See `Engine.save_but_commit`."""
        if not self._pool.path:
            return None
        try:
            with self._pool.handed_over() as (connection, commit):
                return self.save_all_with(connection, records), commit
        except StorageUnavailable:
            return None

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """See `SqlEngine.snapshot`."""
        with self._pool.counting() as connection:
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:  # some errors have ended it already
                    connection.execute("ROLLBACK")

    def folding(self) -> AbstractContextManager[sqlite3.Connection]:
        """See `SqlEngine.folding`."""
        return self._pool.writing(FOLD_SECONDS)

    def settled(self) -> int:
        """See `SqlEngine.settled`. Writers take turns, so it is the highest number."""
        return self.highest()

    def rows(self, part: Part, limit: int | None) -> Iterator[Row]:
        """See `SqlEngine.rows`."""
        if self._pool.path and not self._pool.in_transaction:
            # A connection of its own sees the file as it was at the beginning.
            sql, values = self.page(part, limit)
            with self._pool.reading() as connection:
                cursor = connection.execute(sql, values)
                try:
                    while rows := cursor.fetchmany(CHUNK):
                        yield from rows
                finally:
                    cursor.close()
        else:
            # Reading on while the same connection writes is undefined, so the numbers come first.
            sql, values = self.page(part, limit, "number")
            with self._pool.reading() as connection:
                numbers = array("q", (row[0] for row in connection.execute(sql, values)))
            for start in range(0, len(numbers), CHUNK):
                chunk = numbers[start : start + CHUNK].tolist()
                condition, values = self.dialect.any_of("number", chunk)
                found = {
                    row[0]: row for row in self.all(f"{self.sql.select} WHERE {condition}", values)
                }
                yield from (found[number] for number in chunk if number in found)

    def next_numbers(self, connection: Any, count: int) -> Sequence[int]:
        """See `SqlEngine.next_numbers`."""
        first = connection.execute(self._highest, (self._name,)).fetchone()[0] + 1
        return range(first, first + count)

    def insert_many(self, connection: Any, rows: Iterable[Row], count: int) -> None:
        """See `SqlEngine.insert_many`."""
        if count > MANY:
            connection.executemany(self.sql.insert, rows)
            return
        rows = iter(rows)
        for size, insert in self._inserts.items():
            while count >= size:
                connection.execute(insert, [*chain.from_iterable(islice(rows, size))])
                count -= size

    def spend_many(self, connection: Any, keys: list[tuple[str, int]]) -> dict[str, int]:
        """See `SqlEngine.spend_many`."""
        connection.executemany(self._spend_keys, keys)
        return {}

    def upsert_runs(self, connection: Any, rows: list[RunRow]) -> None:
        """See `SqlEngine.upsert_runs`."""
        connection.executemany(self.sql.put_runs, rows)

    def remove(self, number: int) -> bool:
        """See `Engine.remove`."""
        with self.writing() as connection:
            if not super().remove(number):
                return False
            # The next number is the highest one and 1; it must not be this one again.
            connection.execute(
                "UPDATE storages SET retired = ?1 WHERE name = ?2 AND retired < ?1"
                f" AND NOT EXISTS (SELECT 1 FROM {self.tables.tracks} WHERE number > ?1)",
                (number, self._name),
            )
            return True

    def place(self) -> str:
        """See `Engine.place`."""
        path = self._pool.path
        return f"sqlite {Path(path).resolve() if path else id(self)} {self._name}"

    def highest(self) -> int:
        """See `Engine.highest`."""
        return int(self.one(self._highest, (self._name,))[0])

    def retire(self, number: int) -> None:
        """See `Engine.retire`."""
        with self.writing() as connection:
            connection.execute(
                "UPDATE storages SET retired = max(retired, ?) WHERE name = ?", (number, self._name)
            )

    def reindex(self) -> None:
        """See `Engine.reindex`."""
        with self.writing() as connection:
            for table in (self.tables.tracks, self.tables.runs, self.tables.keys):
                connection.execute(f"REINDEX {table}")
            self.rollup.drop()

    def setup_indexes(self) -> None:
        """See `Engine.setup_indexes`."""
        with self.writing() as connection:
            _create_attribute_indexes(connection, self.tables, self.attributes)

    def info(self) -> Info:
        """See `Engine.info`."""
        (size,) = self.one("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        with self.reading() as connection:
            try:
                parts = dict(connection.execute(_SIZES, (self.tables.tracks,)).fetchall())
            except sqlite3.OperationalError:  # dbstat is an option of SQLite's build
                parts = {}
        return replace(self.counts(), bytes=size, parts=parts)

    def check(self) -> list[str]:
        """See `Engine.check`."""
        found = [row[0] for row in self.all("PRAGMA integrity_check")]
        wrong = f"SELECT count(*) FROM {self.tables.tracks} WHERE NOT json_valid(data)"
        findings = [f"SQLite says: {finding}" for finding in found if finding != "ok"]
        return [*findings, *self.findings((wrong, "tracks hold data that are no JSON."))]

    def close(self) -> None:
        """See `Engine.close`."""
        super().close()
        self._pool.close()


_SIZES = """
SELECT s.name, s.pgsize FROM dbstat s JOIN sqlite_schema m USING (name)
WHERE s.aggregate = TRUE AND m.tbl_name IN (?1, ?1 || '_runs', ?1 || '_keys',
    ?1 || '_rollup_zones', ?1 || '_rollup_cells', ?1 || '_rollup_changes',
    ?1 || '_rollup_questions', ?1 || '_rollup_slices') ORDER BY 2 DESC
"""


def open_file(path: str, name: str, factory: type[Track], durability: str) -> Storage:
    """The storage of that name in that file, both made if they are not there.

    Without a path the database is in memory. Several storages may be open on one file.
    """
    attributes = attributes_of(factory)
    pool = Pool(_real(path), durability)
    try:
        tables = _prepared(pool, name, attributes)
    except BaseException:
        pool.close()
        raise
    return Storage(SqliteEngine(pool, name, tables, attributes), name, factory)


def names_in(path: str) -> list[str]:
    """The sorted names of the storages in that file.

    :raises StorageNotFound: there is none.
    """
    real = _real(path)
    if not real:
        return []
    if not Path(real).exists():
        raise StorageNotFound(f"There is no file {path}.")
    pool = Pool(real, "full")
    try:
        with pool.reading() as connection:
            if not _version(connection, path):
                return []
            rows = connection.execute("SELECT name FROM storages ORDER BY name").fetchall()
            return [row[0] for row in rows]
    finally:
        pool.close()


def _real(path: str) -> str:
    """The path as the file system has it; empty for a database in memory."""
    if path.startswith("//"):  # sqlite:///home/me/tracks.db, as others write it
        path = "/" + path.lstrip("/")
    return str(Path(path).expanduser()) if path not in ("", ":memory:") else ""


# The schema


def _prepared(pool: Pool, name: str, attributes: tuple[str, ...]) -> Tables:
    """The tables of the storage of that name, made or brought up to date where they are not."""
    with pool.reading() as connection:
        version = _version(connection, pool.path)
        prefix = _prefix(connection, name) if version == len(UPGRADES) else None
    if prefix is None:
        if version == 0:
            _use_write_ahead_log(pool)
        with pool.writing() as connection:
            for upgrade in UPGRADES[_version(connection, pool.path) :]:
                upgrade(connection)
            connection.execute(f"PRAGMA user_version = {len(UPGRADES)}")
            prefix = _prefix(connection, name)
            if prefix is None:
                prefix = _create_storage(connection, name, attributes)
    return Tables(prefix)


# One statement, because another process may make the schema between two.
_STATE = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
FROM pragma_application_id, pragma_user_version
"""


def _version(connection: sqlite3.Connection, path: str) -> int:
    """The file's schema version, 0 where it is empty."""
    application, version, objects = connection.execute(_STATE).fetchone()
    if application != APPLICATION_ID and (application or version or objects):
        raise SchemaError(f"{path} is another application's SQLite database.")
    if version > len(UPGRADES):
        raise SchemaError(
            f"{path} has schema version {version}, made by a newer cybertools-tracking; this one"
            f" knows up to {len(UPGRADES)}. Upgrade it: pip install -U cybertools-tracking."
        )
    return int(version)


def _use_write_ahead_log(pool: Pool) -> None:
    # Another process may be about to do the same. SQLite does not wait for that by itself.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with pool.reading() as connection:
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except StorageUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _create_catalogue(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(
        "CREATE TABLE storages ("
        " name TEXT PRIMARY KEY,"
        " prefix TEXT NOT NULL,"  # of the names of its tables
        " retired INTEGER NOT NULL DEFAULT 0"  # no new track has a number up to this one
        ") STRICT, WITHOUT ROWID"
    )


def _create_views(connection: sqlite3.Connection) -> None:
    for (prefix,) in connection.execute("SELECT prefix FROM storages").fetchall():
        _execute_all(connection, VIEWS, Tables(prefix))


UPGRADES = (_create_catalogue, _create_views)
"""From each version of the schema to the next; an empty file has version 0."""


def _prefix(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT prefix FROM storages WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def _create_storage(connection: sqlite3.Connection, name: str, attributes: tuple[str, ...]) -> str:
    prefix = _free_prefix(connection, name)
    tables = Tables(prefix)
    connection.execute("INSERT INTO storages (name, prefix) VALUES (?, ?)", (name, prefix))
    _execute_all(connection, TABLES, tables)
    for what, columns in INDEXES.items():
        connection.execute(f"CREATE INDEX {tables.index(what)} ON {tables.tracks} ({columns})")
    _execute_all(connection, VIEWS, tables)
    _create_attribute_indexes(connection, tables, attributes)
    return prefix


def _free_prefix(connection: sqlite3.Connection, name: str) -> str:
    """The storage's name where it is a plain word and its tables' names are free."""
    taken = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if re.fullmatch(r"(?!sqlite|.*_rollup_)[a-z][a-z0-9_]{0,40}", name):
        tables = Tables(name)
        names = {tables.tracks, tables.runs, tables.keys, tables.view}
        if not taken & names and _needs_no_quotes(connection, name):
            return name
    number = 1
    while any(other.startswith(f"storage_{number}") for other in taken):
        number += 1
    return f"storage_{number}"


def _needs_no_quotes(connection: sqlite3.Connection, word: str) -> bool:
    try:
        connection.execute(f"SELECT 1 AS {word}")  # an alias may be what a table's name may be
    except sqlite3.OperationalError:
        return False
    return True


def _create_attribute_indexes(
    connection: sqlite3.Connection, tables: Tables, attributes: tuple[str, ...]
) -> None:
    dialect = SqliteDialect()
    for name in attributes:
        connection.execute(
            f'CREATE INDEX IF NOT EXISTS "{tables.index(name)}"'
            f" ON {tables.tracks} ({dialect.attribute(name)})"
        )


def _execute_all(connection: sqlite3.Connection, statements: str, tables: Tables) -> None:
    names = {what: getattr(tables, what) for what in ("tracks", "runs", "keys", "view")}
    for statement in statements.format(**names).split(";\n"):
        connection.execute(statement)
