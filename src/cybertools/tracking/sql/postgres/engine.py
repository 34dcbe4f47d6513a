"""The engine in PostgreSQL: one statement for a save, COPY for many, no row that all share."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import psycopg
from psycopg import errors as pg

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import StorageUnavailable
from cybertools.tracking.interfaces import Change, Info, Receipt, Saved
from cybertools.tracking.record import Record
from cybertools.tracking.sql.engine import CHUNK, SqlEngine
from cybertools.tracking.sql.postgres.connecting import (
    UNKNOWN,
    Connection,
    InDoubt,
    Undone,
    broke,
    of_worker,
    statement,
    translated,
)
from cybertools.tracking.sql.postgres.dialect import PostgresDialect, stored, text_of
from cybertools.tracking.sql.postgres.direct import Direct, DirectConnection
from cybertools.tracking.sql.postgres.pooling import PAUSE_SECONDS, Pool
from cybertools.tracking.sql.postgres.schema import create_attribute_indexes
from cybertools.tracking.sql.rollup import FOLD_SECONDS
from cybertools.tracking.sql.statements import Part, Tables
from cybertools.tracking.track import Row, RunRow
from cybertools.tracking.values import now

__all__ = ["PostgresEngine"]

FEW = 20
"""Up to so many rows are inserted in one go; COPY pays off for more."""

_T = TypeVar("_T")
_UNDONE = (pg.SerializationFailure, pg.DeadlockDetected, pg.LockNotAvailable, Undone)
"""Errors after which nothing was stored for sure, and another attempt may succeed."""


def _always() -> bool:
    return True


def _never() -> bool:
    return False


class _Kept:
    """Records that are read, and can be read once more if they were not too many to be kept."""

    def __init__(self, records: Iterable[Record], most: int) -> None:
        self._records = iter(records)
        self._most = most
        self._kept: list[Record] = []

    def __iter__(self) -> Iterator[Record]:
        yield from self._kept.copy()
        for record in self._records:
            if self.is_whole():
                self._kept.append(record)
            yield record

    def is_whole(self) -> bool:
        """Whether all that were read have been kept."""
        return len(self._kept) <= self._most

    def is_keyed(self) -> bool:
        """Whether they are safe to be saved again: each has a key."""
        return all(record.key is not None for record in self._kept)


class PostgresEngine(SqlEngine):
    """A storage in a PostgreSQL database."""

    chunk = 10_000
    writers = 4

    def __init__(
        self,
        pool: Pool,
        tables: Tables,
        attributes: tuple[str, ...],
    ) -> None:
        super().__init__(tables, PostgresDialect(), attributes)
        self.rollup.step = 1_000_000  # nobody waits for it, and cells are rewritten less often
        self._pool = pool
        self._own = threading.local()
        insert = (
            f"INSERT INTO {tables.tracks} (number, taskId, runId, userName, timeStamp, data)"
            f" SELECT nextval('{tables.tracks}_number'), ?, id, ?, ?, ? FROM {tables.runs} WHERE "
        )
        self._insert_with_run = Direct(f"{insert}id = ? RETURNING number")
        self._insert_with_current = Direct(f"{insert}taskId = ? AND isCurrent RETURNING number")
        self._last = Direct(self.sql.last)
        self._last_of_current = Direct(self.sql.last_of_current)
        self._sequence = f"{tables.tracks}_number"
        self._highest = (
            f"SELECT greatest({LAST_NUMBER}, (SELECT max(number) FROM {tables.tracks}))"
            f" FROM {self._sequence}"
        )
        self._number = f"SELECT nextval('{tables.tracks}_number')"
        # Mostly they are a range: nobody else takes numbers at the same moment.
        self._numbers = (
            "SELECT min(number), max(number), CASE WHEN max(number) - min(number) >= count(*) THEN"
            " array_agg(number ORDER BY number) END"
            f" FROM (SELECT nextval('{tables.tracks}_number') AS number"
            " FROM generate_series(1, ?)) AS taken"
        )
        self._start_runs = (
            f"INSERT INTO {tables.runs} (taskId, startedAt, isCurrent) SELECT task, ?, TRUE"
            " FROM unnest(?::text[]) WITH ORDINALITY AS wanted (task, place) ORDER BY place"
            " ON CONFLICT DO NOTHING RETURNING taskId, id"
        )
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
                with held.raw.transaction(), held.copies():
                    yield held
                return
            with self._pool.connection() as raw:
                committing = False
                try:
                    with raw.transaction():
                        with Connection(raw).copies() as connection:
                            self._own.connection = connection
                            yield connection
                        committing = not raw.closed
                except (psycopg.Error, StorageUnavailable) as error:
                    if raw.broken:
                        raise (InDoubt if committing else Undone)(str(error)) from error
                    raise
                finally:
                    self._own.connection = None

    @property
    def in_transaction(self) -> bool:
        """See `SqlEngine.in_transaction`."""
        return getattr(self._own, "connection", None) is not None

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """See `SqlEngine.snapshot`."""
        with self.reading() as connection, connection.raw.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection

    @contextmanager
    def folding(self) -> Iterator[Connection]:
        """See `SqlEngine.folding`.

        The lock spares two processes the same work. Where it comes too late, after the snapshot,
        the second one fails when it writes what the first one has written.
        """
        with self.writing() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            (alone,) = connection.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(?, 0))",
                (f"{self.tables.tracks} rollup",),
            ).fetchone() or (False,)
            if not alone:
                raise StorageUnavailable("Another process is bringing the rollup up to date.")
            yield connection

    def settled(self) -> int:
        """See `SqlEngine.settled`."""
        highest = self.last_number()
        return highest if self._savers_end(FOLD_SECONDS) else 0

    def rows(self, part: Part, limit: int | None) -> Iterator[Row]:
        """See `SqlEngine.rows`."""
        sql, values = self.page(part, limit)
        held = getattr(self._own, "connection", None)
        abandoned = False
        try:
            with (
                translated(),
                self._connection(held) as raw,
                raw.cursor(f"rows_{id(values)}") as cursor,  # the server closes it with
                raw.transaction(),  # this; on a broken connection it could not be closed
            ):
                cursor.itersize = CHUNK
                cursor.execute(statement(sql), values)
                try:
                    yield from islice(cursor, None)  # which has no close() that could fail
                except GeneratorExit:
                    abandoned = True
                    raise
        except StorageUnavailable as error:
            if abandoned:  # nobody is there to be told
                return
            if broke(error.__cause__):
                error.args = (f"The stream broke off: {error}",)
            raise

    @contextmanager
    def _connection(self, held: Connection | None) -> Iterator[psycopg.Connection[Any]]:
        if held is not None:
            yield held.raw
        else:
            with self._pool.connection() as raw:
                yield raw

    def save(self, record: Record) -> Saved:
        """See `Engine.save`. Ordinarily one statement, and so one trip to the server and back."""
        return self._persistently(lambda: self._save(record), lambda: record.key is not None)

    def save_over(self, record: Record, change: Change, timed: bool) -> Saved:
        """See `Engine.save_over`."""
        save_over = super().save_over
        return self._persistently(
            lambda: save_over(record, change, timed), lambda: record.key is not None
        )

    def save_all(self, records: Iterable[Record]) -> Receipt:
        """See `Engine.save_all`."""
        save_all = super().save_all
        kept = _Kept(records, self.chunk)
        return self._persistently(lambda: save_all(kept), kept.is_keyed, kept.is_whole)

    def update(self, number: int, json: str, overwrite: bool) -> bool:
        """See `Engine.update`."""
        update = super().update
        return self._persistently(lambda: update(number, json, overwrite), _never)

    def remove(self, number: int) -> bool:
        """See `Engine.remove`."""
        remove = super().remove
        return self._persistently(lambda: remove(number), _never)

    def start_run(self, taskId: str | None) -> int:
        """See `Engine.start_run`."""
        start_run = super().start_run
        return self._persistently(lambda: start_run(taskId), _never)

    def stop_run(self, taskId: str | None, runId: int, finish: bool) -> int:
        """See `Engine.stop_run`."""
        stop_run = super().stop_run
        return self._persistently(lambda: stop_run(taskId, runId, finish), _never)

    def open_run(self, taskId: str, label: str) -> int:
        """See `Engine.open_run`."""
        open_run = super().open_run
        return self._persistently(lambda: open_run(taskId, label), _always)

    def _persistently(
        self,
        call: Callable[[], _T],
        is_keyed: Callable[[], bool],
        is_repeatable: Callable[[], bool] = _always,
    ) -> _T:
        """Call again where that is safe: a server that restarts is back within the wait.

        A save whose connection broke may have been stored all the same. Its key tells, so with one
        it is repeated; without one the caller has to know.
        """
        deadline = time.monotonic() + self._pool.wait_seconds
        while True:
            try:
                return call()
            except StorageUnavailable as error:
                if self.in_transaction:
                    raise
                undone = isinstance(error.__cause__, _UNDONE)
                in_doubt = not undone and broke(error.__cause__)
                keyed = is_keyed() and is_repeatable()
                if in_doubt and not (keyed or UNKNOWN in str(error)):
                    error.args = (f"{error} {UNKNOWN}",)
                again = is_repeatable() and (undone or (in_doubt and keyed))
                # Those who wait for one worker would take the threads of those who need not.
                again = again and not of_worker(error.__cause__)
                if not again or time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_SECONDS)

    def _save(self, record: Record) -> Saved:
        if record.key is None and not self.in_transaction:
            with translated(), self._pool.connection() as raw:
                number = self.insert_into_run(raw, record)
            if number is not None:
                return Saved(number, "stored")
        return super().save(record)

    def insert_into_run(self, raw: DirectConnection, record: Record) -> int | None:
        """Insert a track without a key and return its number; None where its run is not there."""
        task, run, user, moment, json, _ = record
        insert = self._insert_with_run if run else self._insert_with_current
        row = insert.row(raw, (task, user, moment, stored(json), run or task))
        return None if row is None else int(row[0])

    def _read(self, read: Callable[[], _T]) -> _T:
        """Read again where the connection broke."""
        return self._persistently(read, _always)

    def last(self, taskId: str, runId: int, userName: str) -> Row | None:
        """See `Engine.last`."""
        if self.in_transaction:
            return super().last(taskId, runId, userName)
        return self._read(lambda: self._last_directly(taskId, runId, userName))

    def _last_directly(self, taskId: str, runId: int, userName: str) -> Row | None:
        last, run = (self._last, runId) if runId else (self._last_of_current, taskId)
        with translated(), self._pool.connection() as raw:
            row = last.row(raw, (taskId, userName, run))
        if row is None:
            return None
        number, _, found, _, moment, json = row
        return (int(number), taskId, int(found), userName, float(moment), text_of(json))

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
        name = self._queue_name(*names)
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (name,))

    def _queue_name(self, *names: object) -> str:
        return " ".join(map(str, (self.tables.tracks, *names)))

    def start_runs(self, connection: Any, tasks: list[str]) -> dict[str | int, int]:
        """See `SqlEngine.start_runs`."""
        if not tasks:
            return {}
        # In order: two that start runs of the same tasks could wait for each other.
        names = [self._queue_name("run", task, None) for task in sorted(tasks)]
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(name, 0))"
            " FROM unnest(?::text[]) AS name",
            (names,),
        )
        runs = self.runs_among(connection, [*tasks])
        new = [task for task in tasks if task not in runs]
        runs |= dict(connection.execute(self._start_runs, (now(), new)).fetchall())
        for task in tasks:
            if task not in runs:
                runs[task] = self.find_or_start(connection, task)
        return runs

    def next_numbers(self, connection: Any, count: int) -> Sequence[int]:
        """See `SqlEngine.next_numbers`."""
        if count < 2:  # of each save with a key; or all of them are duplicates
            return [connection.execute(self._number).fetchone()[0] for _ in range(count)]
        first, last, numbers = connection.execute(self._numbers, (count,)).fetchone()
        return numbers or range(first, last + 1)

    def insert_many(self, connection: Any, rows: Iterable[Row], count: int) -> None:
        """See `SqlEngine.insert_many`."""
        if count <= FEW:
            with connection.raw.cursor() as cursor:
                cursor.executemany(statement(self.sql.insert), rows)
            return
        connection.copy(self._copy, rows)

    def spend_many(self, connection: Any, keys: list[tuple[str, int]]) -> dict[str, int]:
        """See `SqlEngine.spend_many`."""
        # In order: two that spend the same keys in different orders would wait for each other.
        ordered = sorted(keys)
        names, numbers = [key for key, _ in ordered], [number for _, number in ordered]
        claimed = {row[0] for row in connection.execute(self._claim, (names, numbers)).fetchall()}
        return self.spent_among(connection, [name for name in names if name not in claimed])

    def upsert_runs(self, connection: Any, rows: list[RunRow]) -> None:
        """See `SqlEngine.upsert_runs`."""
        connection.execute(self.sql.put_runs, [[*values] for values in zip(*rows, strict=True)])
        (sequence,) = connection.execute(
            "SELECT pg_get_serial_sequence(?, 'id')", (self.tables.runs,)
        ).fetchone()
        _advance(connection, sequence, rows[-1].id)

    def put_tracks(self, rows: list[Row]) -> None:
        """See `Engine.put_tracks`."""
        super().put_tracks(rows)
        self.retire(rows[-1][0])

    def place(self) -> str:
        """See `Engine.place`."""
        cluster, database = self.one(
            "SELECT system_identifier, current_database() FROM pg_control_system()"
        )
        return f"postgresql {cluster} {database} {self.tables.tracks}"

    def highest(self) -> int:
        """See `Engine.highest`."""
        highest = self.last_number()
        wait = self._pool.wait_seconds
        if not self._savers_end(wait):
            raise StorageUnavailable(
                f"A transaction has been saving tracks for {wait:g} s; try again when it has ended."
            )
        return highest

    def _savers_end(self, wait: float) -> bool:
        """Wait until all have ended who are saving now; False if they have not after so long."""
        # Whoever has taken a number has a lock on its sequence until the end of the transaction.
        at_work = {*self.all(_HOLDERS, (self._sequence,))}
        deadline = time.monotonic() + wait
        while at_work:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
            at_work &= {*self.all(_HOLDERS, (self._sequence,))}
        return True

    def last_number(self) -> int:
        """The highest number that a track has, or that was taken for one."""
        return int(self.one(self._highest)[0])

    def retire(self, number: int) -> None:
        """See `Engine.retire`."""
        with self.reading() as connection:
            _advance(connection, self._sequence, number)

    def reindex(self) -> None:
        """See `Engine.reindex`."""
        with self.reading() as connection:
            for table in (self.tables.tracks, self.tables.runs, self.tables.keys):
                connection.execute(f"REINDEX TABLE {table}")
        self.rollup.drop()

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
            " AND coalesce(i.indrelid, c.oid) IN (SELECT to_regclass(name)"
            " FROM unnest(?::text[]) AS name) ORDER BY 2 DESC",
            ([self.tables.tracks, self.tables.runs, self.tables.keys, *self.rollup.tables],),
        )
        return replace(self.counts(), bytes=size, parts=dict(parts))

    def check(self) -> list[str]:
        """See `Engine.check`."""
        return list(self.findings())

    def close(self) -> None:
        """See `Engine.close`."""
        super().close()
        self._pool.close()


LAST_NUMBER = "CASE WHEN is_called THEN last_value ELSE 0 END"
"""The last number that a sequence has given."""

_HOLDERS = (
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND mode = 'RowExclusiveLock' AND relation = ?::regclass"
    " AND pid IS DISTINCT FROM pg_backend_pid()"
)
"""The transactions that have taken a number from a sequence."""


def _advance(connection: Any, sequence: str, number: int) -> None:
    """Make a sequence go on after a number, if it has not passed it yet."""
    connection.execute(
        f"SELECT setval('{sequence}', ?) FROM {sequence} WHERE {LAST_NUMBER} < ?", (number, number)
    )
