"""The engine in PostgreSQL: one statement for a save, COPY for many, no row that all share."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg_pool import ConnectionPool, PoolTimeout

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import StorageUnavailable
from cybertools.tracking.interfaces import Change, Info, Receipt, Saved
from cybertools.tracking.record import Record
from cybertools.tracking.sql.engine import CHUNK, SqlEngine
from cybertools.tracking.sql.postgres.connecting import Connection, statement, translated
from cybertools.tracking.sql.postgres.dialect import PostgresDialect, stored
from cybertools.tracking.sql.postgres.schema import create_attribute_indexes
from cybertools.tracking.sql.statements import Part, Tables
from cybertools.tracking.track import Row

__all__ = ["WAIT_SECONDS", "PostgresEngine"]

WAIT_SECONDS = 30.0
"""How long a call waits for a connection, or for a server that is not there."""

FEW = 20
"""Up to so many rows are inserted in one go; COPY pays off for more."""

_T = TypeVar("_T")
_UNKNOWN = "It is not known whether this was stored; a save with a key can be repeated safely."
_UNDONE = (pg.SerializationFailure, pg.DeadlockDetected, pg.LockNotAvailable, PoolTimeout)
"""Errors after which nothing was stored for sure."""


class PostgresEngine(SqlEngine):
    """A storage in a PostgreSQL database."""

    chunk = 10_000
    writers = 4

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
    def reading(self) -> Iterator[Connection]:
        """See `SqlEngine.reading`."""
        held = getattr(self._own, "connection", None)
        with translated():
            if held is not None:
                yield held
            else:
                with self._pool.connection() as raw:
                    yield Connection(raw)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
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
                        self._own.connection = Connection(raw)
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
            cursor.execute(statement(sql), values)
            yield from cursor

    @contextmanager
    def _connection(self, held: Connection | None) -> Iterator[psycopg.Connection[Any]]:
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
                    sql, (task, user, moment, stored(json), run or task)
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
                cursor.executemany(statement(self.sql.insert), rows)
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
            create_attribute_indexes(connection, self.tables, self.attributes)

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
