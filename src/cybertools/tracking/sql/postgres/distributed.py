"""The engine for the distributed layout (see `distributing`), with or without Citus.

What concerns one user says so by ``userName = ?`` and is sent to one shard. What concerns all is
sent to all shards at once. A statement in which an index is read by jumps cannot be distributed
as it is; it is put to each shard, and what they say is put together here.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import merge
from typing import Any

import orjson
from psycopg.sql import Literal

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import StorageError, StorageUnavailable
from cybertools.tracking.interfaces import Info
from cybertools.tracking.questions import Answer, Behind, Funnel, Question, Reached
from cybertools.tracking.record import Record
from cybertools.tracking.sql.engine import CHUNK, run_from
from cybertools.tracking.sql.postgres.dialect import stored
from cybertools.tracking.sql.postgres.direct import Direct, DirectConnection
from cybertools.tracking.sql.postgres.engine import LAST_NUMBER, PostgresEngine
from cybertools.tracking.sql.postgres.pooling import Pool
from cybertools.tracking.sql.postgres.steps import orphaned_keys
from cybertools.tracking.sql.statements import (
    Dialect,
    Part,
    Statements,
    Tables,
    distinct_values,
)
from cybertools.tracking.track import Row, Run
from cybertools.tracking.values import TIME_LIMIT, track_id

__all__ = ["DistributedEngine", "DistributedStatements"]

SHARD = "%1$s"
"""The name of the shard's table, in a statement that each shard is asked."""


class DistributedStatements(Statements):
    """The statements of one storage, with the user in all that concerns one."""

    def __init__(self, tables: Tables, dialect: Dialect) -> None:
        super().__init__(tables, dialect)
        tracks, runs, keys = tables.tracks, tables.runs, tables.keys
        of_user = " WHERE number = ? AND userName = ?"
        self.users_of = f"SELECT number, userName FROM {tracks} WHERE number = ANY(?)"
        self.keys_spent = f"SELECT key FROM {keys} WHERE key = ANY(?)"
        self.user_of = f"SELECT userName FROM {tracks} WHERE number = ?"
        self.track_to_change = f"{self.select}{of_user} FOR UPDATE"
        self.remove = f"DELETE FROM {tracks}{of_user} RETURNING number"
        self.insert_next = (
            f"INSERT INTO {tracks} (number, taskId, runId, userName, timeStamp, data)"
            f" VALUES (nextval('{tracks}_number'), ?, ?, ?, ?, ?) RETURNING number"
        )
        # Always one row, for whichever user; so the lock is taken where that user's shard is,
        # and is the same through whatever node it is asked for.
        self.lock_user = (
            "SELECT pg_advisory_xact_lock(hashtextextended(?, 0)) FROM"
            f" (SELECT count(*) FROM {keys} WHERE userName = ? AND key = '') AS of_user"
        )
        self.time_range = f"SELECT min(timeStamp), max(timeStamp) FROM {tracks}"
        self.key = f"SELECT number FROM {keys} WHERE userName = ? AND key = ?"
        self.keys = (
            f"SELECT userName, key, number FROM {keys} WHERE userName = ANY(?) AND key = ANY(?)"
        )
        self.orphaned_key = f"SELECT number FROM {orphaned_keys(tables)} WHERE key = ?"
        self.orphaned_keys = f"SELECT key, number FROM {orphaned_keys(tables)} WHERE key = ANY(?)"
        self.spent_keys = (
            f"SELECT key, userName, number FROM {keys} WHERE (key, userName) > (?, ?)"
            " ORDER BY key, userName LIMIT ?"
        )
        self.spent_orphaned_keys = (
            f"SELECT key, number FROM {orphaned_keys(tables)} WHERE key > ? ORDER BY key LIMIT ?"
        )
        self.spend_key = (
            f"INSERT INTO {keys} (userName, key, number) VALUES (?, ?, ?)"
            " ON CONFLICT DO NOTHING RETURNING key"
        )
        self.spend_keys = (
            f"INSERT INTO {keys} (userName, key, number)"
            " SELECT * FROM unnest(?::text[], ?::text[], ?::bigint[])"
            " ON CONFLICT DO NOTHING RETURNING userName, key"
        )
        self.spend_orphaned_keys = (
            f"INSERT INTO {orphaned_keys(tables)} (key, number)"
            " SELECT * FROM unnest(?::text[], ?::bigint[]) ON CONFLICT DO NOTHING"
        )
        started, stopped = dialect.seconds("startedAt"), dialect.seconds("stoppedAt")
        self.runs = f"SELECT id, taskId, label, finished, {started}, {stopped} FROM {runs} WHERE "
        self.run = f"{self.runs}id = ?"
        self.run_range = f"{self.time_range} WHERE runId = ?"
        self.run_ranges = (
            f"SELECT runId, min(timeStamp), max(timeStamp) FROM {tracks}"
            " WHERE runId = ANY(?) GROUP BY runId"
        )


class DistributedEngine(PostgresEngine):
    """A storage whose tracks are distributed by their users."""

    statements = DistributedStatements
    has_rollup = False
    sql: DistributedStatements

    def __init__(
        self,
        pool: Pool,
        tables: Tables,
        attributes: tuple[str, ...],
        sharded: bool,
    ) -> None:
        super().__init__(pool, tables, attributes)
        self._sharded = sharded
        self._has_run = Direct(self.sql.has_run)
        self._current_run = Direct(self.sql.current_run)
        self._insert_next = Direct(self.sql.insert_next)

    # Saving

    def insert_into_run(self, raw: DirectConnection, record: Record) -> int | None:
        """See `PostgresEngine.insert_into_run`.

        Two short statements: as one, Citus would take several times as long to bring the runs
        and the tracks together.
        """
        task, run, user, moment, json, _ = record
        find, value = (self._has_run, run) if run else (self._current_run, task)
        found = find.row(raw, (value,))
        if found is None:
            return None
        values = (task, run or int(found[0]), user, moment, stored(json))
        row = self._insert_next.row(raw, values)
        return None if row is None else int(row[0])

    def queue_for_track(self, connection: Any, record: Record, runId: int) -> None:
        """See `SqlEngine.queue_for_track`."""
        name = f"{self.tables.tracks} {runId} {record.taskId} {record.userName}"
        connection.execute(self.sql.lock_user, (name, record.userName))

    def track_to_change(self, connection: Any, number: int) -> Row | None:
        """See `SqlEngine.track_to_change`."""
        user = connection.execute(self.sql.user_of, (number,)).fetchone()
        if user is None:
            return None
        row: Row | None = connection.execute(self.sql.track_to_change, (number, user[0])).fetchone()
        return row

    def delete(self, connection: Any, number: int) -> bool:
        """See `SqlEngine.delete`."""
        user = connection.execute(self.sql.user_of, (number,)).fetchone()
        if user is None:
            return False
        return connection.execute(self.sql.remove, (number, user[0])).fetchone() is not None

    # Keys: each user has keys of their own

    def keys_of(self, records: list[Record]) -> list[Any]:
        """See `SqlEngine.keys_of`."""
        return [None if r.key is None else (r.userName, r.key) for r in records]

    def spent(self, connection: Any, record: Record) -> int | None:
        """See `SqlEngine.spent`."""
        row = (
            connection.execute(self.sql.key, (record.userName, record.key)).fetchone()
            or connection.execute(self.sql.orphaned_key, (record.key,)).fetchone()
        )
        return None if row is None else int(row[0])

    def spend(self, connection: Any, record: Record, number: int) -> bool:
        """See `SqlEngine.spend`."""
        values = (record.userName, record.key, number)
        return connection.execute(self.sql.spend_key, values).fetchone() is not None

    def spend_many(self, connection: Any, keys: list[tuple[Any, int]]) -> dict[Any, int]:
        """See `SqlEngine.spend_many`."""
        ordered = sorted(keys)
        users, names = [user for (user, _), _ in ordered], [name for (_, name), _ in ordered]
        values = (users, names, [number for _, number in ordered])
        claimed = set(connection.execute(self.sql.spend_keys, values).fetchall())
        return self.spent_among(connection, [key for key, _ in ordered if key not in claimed])

    def spent_among(self, connection: Any, keys: list[Any]) -> dict[Any, int]:
        """See `SqlEngine.spent_among`."""
        if not keys:
            return {}
        users, names = (list({*each}) for each in zip(*keys, strict=True))
        orphaned = dict(connection.execute(self.sql.orphaned_keys, (names,)).fetchall())
        spent = {key: orphaned[key[1]] for key in keys if key[1] in orphaned}
        wanted = {*keys}
        for user, name, number in connection.execute(self.sql.keys, (users, names)).fetchall():
            if (user, name) in wanted:
                spent[user, name] = number
        return spent

    # Reading

    def last(self, taskId: str, runId: int, userName: str) -> Row | None:
        """See `Engine.last`."""
        run = runId or self.current_run(taskId)
        return super().last(taskId, run, userName) if run else None

    def user_names(self, taskId: str) -> list[str]:
        """See `Engine.user_names`."""
        return self._distinct("userName", "taskId", taskId)

    def task_ids(self) -> list[str]:
        """See `Engine.task_ids`."""
        return self._distinct("taskId")

    def _distinct(self, column: str, of: str = "", value: str = "") -> list[str]:
        """The values of a column, sorted."""
        if self.in_transaction:
            where = f" WHERE {of} = ?" if of else ""
            sql = f"SELECT DISTINCT {column} FROM {self.tables.tracks}{where}"
            return sorted(row[0] for row in self.all(sql, (value,) if of else ()))
        condition = f"{of} = {_literal(value)}" if of else ""
        jumps = distinct_values(SHARD, column, condition)
        said = self._of_each_shard(f"SELECT json_agg(value) FROM ({jumps}) AS found")
        return sorted({value for values in said for value in values or ()})

    def page(
        self, part: Part, limit: int | None, columns: str | None = None
    ) -> tuple[str, list[Any]]:
        """See `SqlEngine.page`."""
        # A page that is found by its numbers first would be asked of all shards.
        return super().page(replace(part, is_sorted_in_index=False), limit, columns)

    # Runs

    def runs_from(self, rows: list[Any]) -> Iterable[Run]:
        """See `SqlEngine.runs_from`."""
        ranges = self._ranges([row[0] for row in rows])
        return [run_from((*row, *ranges.get(row[0], (None, None)))) for row in rows]

    def _ranges(self, ids: list[int]) -> dict[int, tuple[float, float]]:
        """The times of the first and the last track of each run that has some."""
        if len(ids) == 1:
            first, last = self.one(self.sql.run_range, ids)
            return {} if first is None else {ids[0]: (first, last)}
        if self.in_transaction:
            rows = self.all(self.sql.run_ranges, (ids,))
            return {run: (first, last) for run, first, last in rows}
        first, last = (
            f"(SELECT timeStamp FROM {SHARD} WHERE runId = id ORDER BY timeStamp{order} LIMIT 1)"
            for order in ("", " DESC")
        )
        ranges: dict[int, tuple[float, float]] = {}
        for said in self._of_each_shard(
            "SELECT json_agg(json_build_array(id, first, last)) FROM (SELECT id,"
            f" {first} AS first, {last} AS last FROM unnest({_literal(ids)}::bigint[]) AS id)"
            " AS ranges WHERE first IS NOT NULL"
        ):
            for run, earliest, latest in said or ():
                known = ranges.get(run, (earliest, latest))
                ranges[run] = (min(known[0], earliest), max(known[1], latest))
        return ranges

    # Moving

    def put_tracks(self, rows: list[Row]) -> None:
        """See `Engine.put_tracks`."""
        with self.writing():
            # No constraint says that a number is one user's only.
            there = self.all(self.sql.users_of, ([row[0] for row in rows],))
            if there:
                number, user = there[0]
                raise StorageError(f"There is a track {track_id(number)!r} already, of {user!r}.")
            super().put_tracks(rows)

    def put_keys(self, keys: list[tuple[str, int]]) -> None:
        """See `Engine.put_keys`. Those of tracks that are not there have no user."""
        with self.writing() as connection:
            users = dict(self.all(self.sql.users_of, ([number for _, number in keys],)))
            owned = [((users[n], key), n) for key, n in keys if n in users]
            spent = self.spent_among(connection, [key for key, _ in owned])
            if fresh := [each for each in owned if each[0] not in spent]:
                self.spend_many(connection, fresh)
            orphaned = {key: number for key, number in keys if number not in users}
            for (key,) in self.all(self.sql.keys_spent, ([*orphaned],)):
                orphaned.pop(key, None)
            values = ([*orphaned], [*orphaned.values()])
            connection.execute(self.sql.spend_orphaned_keys, values)

    def spent_keys(self) -> Iterator[tuple[str, int]]:
        """See `Engine.spent_keys`. A key that several users have comes several times."""
        yield from merge(self._owned_keys(), self._orphaned_keys())

    def _owned_keys(self) -> Iterator[tuple[str, int]]:
        last = ("", "")
        while found := self.all(self.sql.spent_keys, (*last, CHUNK)):
            yield from ((key, number) for key, _, number in found)
            last = found[-1][:2]

    def _orphaned_keys(self) -> Iterator[tuple[str, int]]:
        last = ""
        while found := self.all(self.sql.spent_orphaned_keys, (last, CHUNK)):
            yield from found
            last = found[-1][0]

    def last_number(self) -> int:
        """See `PostgresEngine.last_number`."""
        (taken,) = self.one(f"SELECT {LAST_NUMBER} FROM {self.tables.tracks}_number")
        (saved,) = self.one(f"SELECT max(number) FROM {self.tables.tracks}")
        return max(int(taken), saved or 0)

    # Keeping

    def reindex(self) -> None:
        """See `Engine.reindex`."""
        super().reindex()
        with self.reading() as connection:
            connection.execute(f"REINDEX TABLE {orphaned_keys(self.tables)}")

    def counts(self) -> Info:
        """See `SqlEngine.counts`."""
        if self.in_transaction:
            (users,) = self.one(f"SELECT count(DISTINCT userName) FROM {self.tables.tracks}")
        else:
            jumps = distinct_values(SHARD, "userName", "")
            users = sum(self._of_each_shard(f"SELECT count(*) FROM ({jumps}) AS found"))
        time_from, time_to = self.one(self.sql.time_range)
        tracks, tasks = self.count(Criteria()), len(self.task_ids())
        return Info(tracks, tasks, users, self.count_runs("all"), time_from, time_to)

    def aggregate(self, question: Question) -> Answer:
        """See `Engine.aggregate`."""
        if isinstance(question, Funnel):
            question = _without_joins(question)
        elif isinstance(question, Behind) and isinstance(question.cell, Reached):
            cell = question.cell
            question = replace(question, cell=replace(cell, of=_without_joins(cell.of)))
        return super().aggregate(question)

    def info(self) -> Info:
        """See `Engine.info`."""
        info = super().info()
        if not self._sharded:
            return info
        sizes: Counter[str] = Counter()
        for table in (self.tables.tracks, self.tables.keys):
            for said in self._of_each_shard(_SIZES, table):
                sizes.update(said)
        (size,) = self.one(
            "SELECT sum(result::bigint) FROM"
            " run_command_on_all_nodes('SELECT pg_database_size(current_database())')"
        )
        return replace(info, bytes=int(size), parts={**info.parts, **sizes})

    def _of_each_shard(self, sql: str, table: str = "") -> list[Any]:
        """What a SELECT of one JSON value says on each shard. Not within a transaction.

        The shards are asked through connections of their own, which know nothing of what a
        transaction has not committed.
        """
        table = table or self.tables.tracks
        if self._sharded:
            ask = "SELECT success, result FROM run_command_on_shards(?, ?)"
            said = self.all(ask, (table, sql))
        else:
            sql = re.sub(r"%%|%1\$s", lambda m: "%" if m[0] == "%%" else table, sql)
            with self.reading() as connection:
                rows: list[Any] = connection.execute_as_it_is(sql).fetchall()
            said = [(True, row[0]) for row in rows]
        for success, result in said:
            if not success:
                raise StorageUnavailable(f"A shard of {table} cannot be asked: {result}")
        # A NULL comes as an empty text.
        return [orjson.loads(r or "null") if isinstance(r, str) else r for _, r in said]


def _without_joins(funnel: Funnel) -> Funnel:
    """Else each step would be joined with the one before, in ways that Citus refuses."""
    return replace(funnel, window=TIME_LIMIT) if funnel.window is None else funnel


_SIZES = rf"""
SELECT json_object_agg(regexp_replace(c.relname, '_\d+$', ''), pg_table_size(c.oid))
FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relkind IN ('r', 'i') AND coalesce(i.indrelid, c.oid) = '{SHARD}'::regclass
"""


def _literal(value: object) -> str:
    """A value in a statement that is put to each shard, where ``%`` stands for something."""
    return Literal(value).as_string(None).replace("%", "%%")
