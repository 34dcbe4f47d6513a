"""The engine in PostgreSQL: one statement for a save, COPY for many, no row that all share."""

import re
import select
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from cybertools.tracking.criteria import Criteria, Scalar
from cybertools.tracking.errors import (
    SchemaError,
    StorageClosed,
    StorageError,
    StorageReadOnly,
    StorageUnavailable,
)
from cybertools.tracking.interfaces import Change, Info, Receipt, Saved, Storage, attributes_of
from cybertools.tracking.record import Record
from cybertools.tracking.sql.engine import CHUNK, SqlEngine
from cybertools.tracking.sql.statements import Dialect, Part, Tables
from cybertools.tracking.track import Row, Track

__all__ = ["PostgresEngine", "open_database"]

SCHEMA = "tracking"
"""The schema that all tables of ours are in."""

VERSION = 1
"""The version of the tables."""

CONNECTIONS = 16
"""At most so many at once for each storage; further threads wait for one."""

WAIT_SECONDS = 30.0
"""How long a call waits for a connection, or for a server that is not there."""

FEW = 20
"""Up to so many rows are inserted in one go; COPY pays off for more."""

CATALOGUE = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.storages (
    name text COLLATE "C" PRIMARY KEY,
    prefix text NOT NULL UNIQUE,
    version integer NOT NULL
)
"""

TABLES = """
CREATE SEQUENCE {tracks}_number;
CREATE TABLE {tracks} (
    number bigint PRIMARY KEY,
    taskId text COLLATE "C" NOT NULL,
    runId bigint NOT NULL,
    userName text COLLATE "C" NOT NULL,
    timeStamp double precision NOT NULL,
    data json NOT NULL
);
ALTER SEQUENCE {tracks}_number OWNED BY {tracks}.number;
CREATE TABLE {runs} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    taskId text COLLATE "C",
    label text COLLATE "C",
    startedAt double precision NOT NULL,
    stoppedAt double precision,
    finished boolean NOT NULL DEFAULT FALSE,
    isCurrent boolean NOT NULL DEFAULT FALSE
);
CREATE UNIQUE INDEX ON {runs} (taskId) WHERE isCurrent;
CREATE UNIQUE INDEX ON {runs} (taskId, label) WHERE label IS NOT NULL;
CREATE INDEX ON {runs} (id) WHERE finished;
CREATE TABLE {keys} (key text COLLATE "C" PRIMARY KEY, number bigint NOT NULL);
CREATE VIEW {view} AS SELECT to_char(number, 'FM0000000') AS id, taskId, runId, userName,
    to_timestamp(timeStamp) AS time, data FROM {tracks}
"""

INDEXES = {
    "task_user": "taskId, userName, runId, timeStamp, number",
    "task": "taskId, number",
    "user": "userName, number",
    "run": "runId, timeStamp, number",
    "time": "timeStamp, number",
}


class PostgresDialect(Dialect):
    """SQL as PostgreSQL has it."""

    time_value = "?"
    for_update = " FOR UPDATE"

    def seconds(self, column: str) -> str:
        """See `Dialect.seconds`."""
        return column

    def attribute(self, name: str) -> str:
        """See `Dialect.attribute`.

        A text of a kind and a value: s for text, n for numbers (in one spelling) and truth values.
        """
        value = f"(data->>'{name}')"
        return (
            f"(CASE json_typeof(data->'{name}') WHEN 'string' THEN 's' || {value}"
            f" WHEN 'number' THEN 'n' || trim_scale({value}::numeric)::text"
            f" WHEN 'boolean' THEN CASE {value} WHEN 'true' THEN 'n1' ELSE 'n0' END END"
            ' COLLATE "C")'
        )

    def attribute_value(self, value: Scalar) -> str:
        """See `Dialect.attribute_value`."""
        if isinstance(value, str):
            return f"s{value.replace(_MARK, _MARK + '1')}"
        text = format(Decimal(repr(value)), "f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return f"n{'0' if text == '-0' else text}"

    def stored(self, json: str) -> str:
        """See `Dialect.stored`."""
        return _stored(json)

    def any_of(self, expression: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """See `Dialect.any_of`."""
        return f"{expression} = ANY(?)", [list(values)]


class _Connection:
    """A connection that takes statements as the engines have them, with ``?`` for a value."""

    __slots__ = ("raw",)

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        return self.raw.execute(_statement(sql), values)


_T = TypeVar("_T")
_UNKNOWN = "It is not known whether this was stored; a save with a key can be repeated safely."
_UNDONE = (pg.SerializationFailure, pg.DeadlockDetected, pg.LockNotAvailable, PoolTimeout)
"""Errors after which nothing was stored for sure."""


def _check(connection: psycopg.Connection[Any]) -> None:
    """Find out, without asking the server, that it has closed an idle connection.

    Such a connection has something to read. Else the next save would fail without anybody knowing
    whether it was stored.
    """
    if select.select([connection.fileno()], [], [], 0)[0]:
        connection.execute("")


@lru_cache(1_000)
def _statement(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


class PostgresEngine(SqlEngine):
    """A storage in a PostgreSQL database."""

    chunk = 10_000

    def __init__(
        self,
        pool: "ConnectionPool[psycopg.Connection[Any]]",
        tables: Tables,
        attributes: tuple[str, ...],
    ) -> None:
        super().__init__(tables, PostgresDialect(), attributes)
        self._pool = pool
        self._own = threading.local()
        insert = (
            f"INSERT INTO {tables.tracks} (number, taskId, runId, userName, timeStamp, data)"
            f" SELECT nextval('{tables.tracks}_number'), ?, id, ?, ?, ? FROM {tables.runs} WHERE "
        )
        self._insert_with_run = f"{insert}id = ? RETURNING number"
        self._insert_with_current = f"{insert}taskId = ? AND isCurrent RETURNING number"
        self._numbers = f"SELECT nextval('{tables.tracks}_number') FROM generate_series(1, ?)"
        self._copy = (
            f"COPY {tables.tracks} (number, taskId, runId, userName, timeStamp, data) FROM STDIN"
        )
        self._claim = (
            f"INSERT INTO {tables.keys} (key, number)"
            " SELECT * FROM unnest(?::text[], ?::bigint[]) ON CONFLICT DO NOTHING RETURNING key"
        )

    @contextmanager
    def reading(self) -> Iterator[_Connection]:
        """See `SqlEngine.reading`."""
        held = getattr(self._own, "connection", None)
        with translated():
            if held is not None:
                yield held
            else:
                with self._pool.connection() as raw:
                    yield _Connection(raw)

    @contextmanager
    def writing(self) -> Iterator[_Connection]:
        """See `SqlEngine.writing`."""
        held = getattr(self._own, "connection", None)
        with translated():
            if held is not None:
                with held.raw.transaction():
                    yield held
                return
            with self._pool.connection() as raw:
                try:
                    with raw.transaction():
                        self._own.connection = _Connection(raw)
                        yield self._own.connection
                finally:
                    self._own.connection = None

    def rows(self, part: Part, limit: int | None) -> Iterator[Row]:
        """See `SqlEngine.rows`."""
        sql, values = self.page(part, limit)
        held = getattr(self._own, "connection", None)
        with (
            translated(),
            self._connection(held) as raw,
            raw.transaction(),
            raw.cursor(f"rows_{id(values)}") as cursor,
        ):
            cursor.itersize = CHUNK
            cursor.execute(_statement(sql), values)
            yield from cursor

    @contextmanager
    def _connection(self, held: _Connection | None) -> Iterator[psycopg.Connection[Any]]:
        if held is not None:
            yield held.raw
        else:
            with self._pool.connection() as raw:
                yield raw

    def save(self, record: Record) -> Saved:
        """See `Engine.save`. Ordinarily one statement, and so one trip to the server and back."""
        return self._persistently(lambda: self._save(record), record.key is not None)

    def save_over(self, record: Record, change: Change, timed: bool) -> Saved:
        """See `Engine.save_over`."""
        save_over = super().save_over
        return self._persistently(lambda: save_over(record, change, timed), record.key is not None)

    def save_all(self, records: Iterable[Record]) -> Receipt:
        """See `Engine.save_all`."""
        save_all = super().save_all
        repeatable = isinstance(records, list)
        keyed = repeatable and all(record.key is not None for record in records)
        return self._persistently(lambda: save_all(records), keyed, repeatable)

    def _persistently(self, save: Callable[[], _T], keyed: bool, repeatable: bool = True) -> _T:
        """Save again where that is safe: a server that restarts is back within the wait.

        A save whose connection broke may have been stored all the same. Its key tells, so with one
        it is repeated; without one the caller has to know.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return save()
            except StorageUnavailable as error:
                undone = isinstance(error.__cause__, _UNDONE)
                if getattr(self._own, "connection", None) is not None or not repeatable:
                    raise
                if not (keyed or undone):
                    error.args = (f"{error} {_UNKNOWN}",)
                    raise
                if time.monotonic() > deadline or isinstance(error.__cause__, PoolTimeout):
                    raise
                time.sleep(0.2)

    def _save(self, record: Record) -> Saved:
        if record.key is None:
            task, run, user, moment, json, _ = record
            sql = self._insert_with_run if run else self._insert_with_current
            with self.reading() as connection:
                row = connection.execute(
                    sql, (task, user, moment, _stored(json), run or task)
                ).fetchone()
            if row is not None:
                return Saved(row[0], "stored")
        return super().save(record)

    def _read(self, read: Callable[[], _T]) -> _T:
        """Read again where the connection broke."""
        return self._persistently(read, keyed=True)

    def last(self, taskId: str, runId: int, userName: str) -> Row | None:
        """See `Engine.last`."""
        last = super().last
        return self._read(lambda: last(taskId, runId, userName))

    def select(self, criteria: Criteria) -> list[Row]:
        """See `Engine.select`."""
        select = super().select
        return self._read(lambda: select(criteria))

    def count(self, criteria: Criteria) -> int:
        """See `Engine.count`."""
        count = super().count
        return self._read(lambda: count(criteria))

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """See `SqlEngine.all`."""
        every = super().all
        return self._read(lambda: every(sql, values))

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """See `SqlEngine.one`."""
        one = super().one
        return self._read(lambda: one(sql, values))

    def queue(self, connection: Any, *names: object) -> None:
        """See `SqlEngine.queue`. Until the end of the transaction."""
        name = " ".join(map(str, (self.tables.tracks, *names)))
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (name,))

    def next_numbers(self, connection: Any, count: int) -> Sequence[int]:
        """See `SqlEngine.next_numbers`."""
        return [row[0] for row in connection.execute(self._numbers, (count,)).fetchall()]

    def insert_many(self, connection: Any, rows: list[Row]) -> None:
        """See `SqlEngine.insert_many`."""
        if len(rows) <= FEW:
            with connection.raw.cursor() as cursor:
                cursor.executemany(_statement(self.sql.insert), rows)
            return
        with connection.raw.cursor() as cursor, cursor.copy(self._copy) as copy:
            for row in rows:
                copy.write_row(row)

    def spend_many(self, connection: Any, keys: list[tuple[str, int]]) -> dict[str, int]:
        """See `SqlEngine.spend_many`."""
        # In order: two that spend the same keys in different orders would wait for each other.
        ordered = sorted(keys)
        names, numbers = [key for key, _ in ordered], [number for _, number in ordered]
        claimed = {row[0] for row in connection.execute(self._claim, (names, numbers)).fetchall()}
        return self.spent_among(connection, [name for name in names if name not in claimed])

    def reindex(self) -> None:
        """See `Engine.reindex`."""
        with self.reading() as connection:
            for table in (self.tables.tracks, self.tables.runs, self.tables.keys):
                connection.execute(f"REINDEX TABLE {table}")

    def setup_indexes(self) -> None:
        """See `Engine.setup_indexes`."""
        with self.writing() as connection:
            _create_attribute_indexes(connection, self.tables, self.attributes)

    def info(self) -> Info:
        """See `Engine.info`."""
        (size,) = self.one("SELECT pg_database_size(current_database())")
        parts = self.all(
            "SELECT c.relname, pg_table_size(c.oid) FROM pg_class c"
            " LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE c.relkind IN ('r', 'i')"
            " AND coalesce(i.indrelid, c.oid) IN (?::regclass, ?::regclass, ?::regclass)"
            " ORDER BY 2 DESC",
            (self.tables.tracks, self.tables.runs, self.tables.keys),
        )
        return replace(self.counts(), bytes=size, parts=dict(parts))

    def check(self) -> list[str]:
        """See `Engine.check`."""
        return list(self.findings())

    def close(self) -> None:
        """See `Engine.close`."""
        self._pool.close()


# Data: PostgreSQL accepts NUL within JSON, but fails when it is to take a text out of it.

_MARK = "\U0010ffff"  # no character, by its definition
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def _stored(json: str) -> str:
    if _MARK in json:
        json = json.replace(_MARK, f"{_MARK}1")
    if "\\u0000" in json:
        json = _NUL.sub(rf"\1{_MARK}0", json)
    return json


class _DataLoader(psycopg.adapt.Loader):
    """The JSON text, not what it says: that is decoded when somebody looks."""

    def load(self, data: Any) -> str:
        json = str(data, "utf-8") if not isinstance(data, bytes) else data.decode()
        if _MARK in json:
            json = json.replace(f"{_MARK}0", "\\u0000").replace(f"{_MARK}1", _MARK)
        return json


# Opening


def open_database(url: str, name: str, factory: type[Track], durability: str) -> Storage:
    """The storage of that name in that database, made if it is not there."""
    attributes = attributes_of(factory)
    with translated(), psycopg.connect(url, autocommit=True) as raw:
        tables = _prepared(_Connection(raw), name, attributes)

    def configure(connection: psycopg.Connection[Any]) -> None:
        connection.adapters.register_loader("json", _DataLoader)
        if durability != "full":
            connection.execute("SET synchronous_commit = off")

    pool = ConnectionPool(
        url,
        min_size=0,
        max_size=CONNECTIONS,
        timeout=WAIT_SECONDS,
        kwargs={"autocommit": True},
        configure=configure,
        check=_check,
        open=True,
    )
    return Storage(PostgresEngine(pool, tables, attributes), name, factory)


def _prepared(connection: _Connection, name: str, attributes: tuple[str, ...]) -> Tables:
    # Look first: whoever may only read must be able to open what is there.
    tables = _existing(connection, name)
    if tables is None:
        with connection.raw.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(?)", (zlib.crc32(SCHEMA.encode()),))
            for statement in CATALOGUE.split(";\n"):
                connection.execute(statement)
            tables = _existing(connection, name) or _create(connection, name, attributes)
    return tables


def _existing(connection: _Connection, name: str) -> Tables | None:
    found = connection.execute(f"SELECT to_regclass('{SCHEMA}.storages')").fetchone()
    if found is None or found[0] is None:
        return None
    row = connection.execute(
        f"SELECT prefix, version FROM {SCHEMA}.storages WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        return None
    prefix, version = row
    if version > VERSION:
        raise SchemaError(
            f"The storage {name!r} has schema version {version}, made by a newer"
            f" cybertools-tracking; this one knows up to {VERSION}. Upgrade it:"
            " pip install -U cybertools-tracking."
        )
    return Tables(prefix, f"{SCHEMA}.")


def _create(connection: _Connection, name: str, attributes: tuple[str, ...]) -> Tables:
    taken = {
        row[0]
        for row in connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = ?",
            (SCHEMA,),
        ).fetchall()
    }
    prefix = name
    ours = {f"{name}{end}" for end in ("", "_runs", "_keys", "_view", "_number")}
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) or taken & ours or name in _RESERVED:
        number = 1
        while any(other.startswith(f"storage_{number}") for other in taken):
            number += 1
        prefix = f"storage_{number}"
    tables = Tables(prefix, f"{SCHEMA}.")
    names = {what: getattr(tables, what) for what in ("tracks", "runs", "keys", "view")}
    for statement in TABLES.format(**names).split(";\n"):
        connection.execute(statement)
    for what, columns in INDEXES.items():
        connection.execute(f"CREATE INDEX {tables.index(what)} ON {tables.tracks} ({columns})")
    _create_attribute_indexes(connection, tables, attributes)
    connection.execute(
        f"INSERT INTO {SCHEMA}.storages (name, prefix, version) VALUES (?, ?, ?)",
        (name, prefix, VERSION),
    )
    return tables


# Words that cannot name a table without quotes, of those that may name a storage.
_RESERVED = {
    *("all", "analyse", "analyze", "and", "any", "array", "as", "asc", "both", "case", "cast"),
    *("check", "collate", "column", "constraint", "create", "default", "desc", "distinct", "do"),
    *("else", "end", "except", "false", "fetch", "for", "foreign", "from", "grant", "group"),
    *("having", "in", "initially", "intersect", "into", "lateral", "leading", "limit", "not"),
    *("null", "offset", "on", "only", "or", "order", "placing", "primary", "references"),
    *("returning", "select", "some", "symmetric", "table", "then", "to", "trailing", "true"),
    *("union", "unique", "user", "using", "variadic", "when", "where", "window", "with"),
}


def _create_attribute_indexes(connection: Any, tables: Tables, attributes: tuple[str, ...]) -> None:
    dialect = PostgresDialect()
    for name in attributes:
        index = tables.index(name)
        if len(index) > 60:  # PostgreSQL cuts a name after 63 bytes
            index = f"{index[:50]}_{zlib.crc32(index.encode()):08x}"
        connection.execute(
            f'CREATE INDEX IF NOT EXISTS "{index}"'
            f" ON {tables.tracks} ({dialect.attribute(name)}, number)"
        )


@contextmanager
def translated() -> Iterator[None]:
    """The errors of this package for those of the driver."""
    try:
        yield
    except (psycopg.Error, PoolTimeout, PoolClosed) as error:
        raise _translation(error) from error


def _translation(error: Exception) -> StorageError:
    first = str(error).strip().partition("\n")[0]
    if isinstance(error, PoolClosed):
        return StorageClosed("The storage is closed.")
    if isinstance(error, pg.ReadOnlySqlTransaction):
        return StorageReadOnly(f"The database can be read but not written: {first}.")
    if isinstance(error, pg.InsufficientPrivilege):
        return StorageReadOnly(f"This role lacks a right: {first}.")
    if isinstance(error, pg.DiskFull):
        return StorageError(f"The server's disk is full: {first}.")
    if isinstance(error, pg.SerializationFailure | pg.DeadlockDetected | pg.LockNotAvailable):
        return StorageUnavailable(f"Others were writing the same; try again: {first}.")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | PoolTimeout):
        return StorageUnavailable(f"PostgreSQL cannot be reached: {first}")
    return StorageError(f"PostgreSQL: {first}")
