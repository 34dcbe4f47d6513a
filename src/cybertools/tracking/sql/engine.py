"""The engine that all SQL databases share; what a database does its own way, its file overrides."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, NoReturn, Protocol

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import InvalidRun, InvalidValue, StorageError
from cybertools.tracking.interfaces import (
    Change,
    Engine,
    Info,
    Receipt,
    RunState,
    Saved,
    check_run_rows,
)
from cybertools.tracking.questions import Answer, Behind, Question
from cybertools.tracking.record import Record
from cybertools.tracking.sql.aggregates import (
    answer_from,
    answer_to_nothing,
    bound_for,
    can_be_wide,
    is_wide,
)
from cybertools.tracking.sql.behind import behind_for
from cybertools.tracking.sql.rollup import Rollup
from cybertools.tracking.sql.statements import Dialect, Part, Statements, Tables, parts_for
from cybertools.tracking.track import Row, Run, RunRow
from cybertools.tracking.values import merge_data, now, track_id

__all__ = ["CHUNK", "Connection", "Cursor", "SqlEngine", "run_from"]

CHUNK = 1_000
"""Records that are written, or rows that are read, at a time."""

_STATES: dict[RunState, str] = {"all": "TRUE", "finished": "finished", "current": "isCurrent"}


class Cursor(Protocol):
    """The answer to a statement."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """The rows that are left."""


class Connection(Protocol):
    """A connection that takes the statements with ``?`` for each value."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Cursor:
        """Execute one statement."""


class SqlEngine(Engine):
    """A storage in a SQL database."""

    chunk = CHUNK
    """Records that are written at a time."""
    statements = Statements
    """What makes the statements of the tables."""
    has_rollup = True
    """Whether the tables are ones that a rollup can be kept of."""

    def __init__(self, tables: Tables, dialect: Dialect, attributes: tuple[str, ...]) -> None:
        self.tables = tables
        self.dialect = dialect
        self.attributes = attributes
        self.sql = self.statements(tables, dialect)
        self.rollup = Rollup(self)

    # What each database does its own way

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read with; within a transaction of this thread, that one's."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Connection]:
        """A connection to write with: a transaction, or a part of it that is undone by itself."""

    @property
    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether this thread is within a transaction."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Connection]:
        """A connection whose statements all see the same, outside a transaction of this thread."""

    @abstractmethod
    def folding(self) -> AbstractContextManager[Connection]:
        """A transaction to bring the rollup up to date, all of whose statements see the same.

        :raises StorageError: it would have to wait for others.
        """

    @abstractmethod
    def settled(self) -> int:
        """A number up to which all saved tracks can be seen by now; 0 where others are saving."""

    @abstractmethod
    def rows(self, part: Part, limit: int | None) -> Iterator[Row]:
        """A part's rows in constant memory, also while others (or the reader) write."""

    @abstractmethod
    def next_numbers(self, connection: Connection, count: int) -> Sequence[int]:
        """The numbers for so many new tracks, ascending."""

    @abstractmethod
    def insert_many(self, connection: Connection, rows: Iterable[Row], count: int) -> None:
        """Insert so many tracks."""

    @abstractmethod
    def spend_many(self, connection: Connection, keys: list[tuple[Any, int]]) -> dict[Any, int]:
        """Insert keys (see `keys_of`) with the numbers of their tracks.

        :returns: those that someone else has spent at this moment, with that one's numbers.
        """

    @abstractmethod
    def upsert_runs(self, connection: Connection, rows: list[RunRow]) -> None:
        """Insert runs under their ids, or bring those of these ids up to date."""

    def queue(self, connection: Connection, *names: object) -> None:
        """Wait for those who are about to add the same thing, where several can write at once."""

    def queue_for_track(self, connection: Connection, record: Record, runId: int) -> None:
        """Wait for those who are about to change the last track of the same task, run and user."""
        self.queue(connection, runId, record.taskId, record.userName)

    def track_to_change(self, connection: Connection, number: int) -> Row | None:
        """The track of that number, locked where several can write at once."""
        row: Row | None = connection.execute(self.sql.track_to_change, (number,)).fetchone()
        return row

    def delete(self, connection: Connection, number: int) -> bool:
        """Delete the track of that number; False if there is none."""
        return connection.execute(self.sql.remove, (number,)).fetchone() is not None

    # A key is unique in the storage. An engine in which it is less overrides these together.

    def keys_of(self, records: list[Record]) -> list[Any]:
        """What each record's key is unique as; None where it has none."""
        return [record.key for record in records]

    def spent(self, connection: Connection, record: Record) -> int | None:
        """The number of the track that the record's key was spent for, if it was."""
        row = connection.execute(self.sql.key, (record.key,)).fetchone()
        return None if row is None else int(row[0])

    def spend(self, connection: Connection, record: Record, number: int) -> bool:
        """Spend the record's key; False where another has done that at this moment."""
        return connection.execute(self.sql.spend_key, (record.key, number)).fetchone() is not None

    # Saving

    def save(self, record: Record) -> Saved:
        """See `Engine.save`."""
        with self.writing() as connection:
            spent = self._spent(connection, record)
            if spent is not None:
                return spent
            return self._insert(connection, record, self._run_for(connection, record))

    def save_over(self, record: Record, change: Change, timed: bool) -> Saved:
        """See `Engine.save_over`."""
        with self.writing() as connection:
            spent = self._spent(connection, record)
            if spent is not None:
                return spent
            runId = self._run_for(connection, record)
            self.queue_for_track(connection, record, runId)
            key = (record.taskId, record.userName, runId)
            last: Row | None = connection.execute(self.sql.last_to_change, key).fetchone()
            if last is None:
                return self._insert(connection, record, runId)
            number = last[0]
            if not self._spend(connection, record, number):
                return self._spent(connection, record) or _gone(record.key)
            json = merge_data(last[5], record.json) if change == "merge" else record.json
            time = record.timeStamp if timed else last[4]
            stored = self.dialect.stored(json)
            connection.execute(self.sql.change, (time, stored, number, record.userName))
            return Saved(number, "replaced" if change == "replace" else "updated")

    def save_all(self, records: Iterable[Record]) -> Receipt:
        """See `Engine.save_all`."""
        with self.writing() as connection:
            return self.save_all_with(connection, records)

    def save_all_with(self, connection: Connection, records: Iterable[Record]) -> Receipt:
        """Store all records in a transaction of the connection."""
        receipt = Receipt([], [])
        records = iter(records)
        runs: dict[str | int, int] = {}
        size = CHUNK  # more each time: so a database has something to do from the beginning on
        while chunk := list(islice(records, size)):
            self._save_chunk(connection, chunk, runs, receipt)
            size = min(2 * size, self.chunk)
        return receipt

    def update(self, number: int, json: str, overwrite: bool) -> bool:
        """See `Engine.update`."""
        with self.writing() as connection:
            row = self.track_to_change(connection, number)
            if row is None:
                return False
            data = json if overwrite else merge_data(row[5], json)
            connection.execute(self.sql.change_data, (self.dialect.stored(data), number, row[3]))
            return True

    def remove(self, number: int) -> bool:
        """See `Engine.remove`."""
        with self.writing() as connection:
            return self.delete(connection, number)

    def _spent(self, connection: Connection, record: Record) -> Saved | None:
        number = None if record.key is None else self.spent(connection, record)
        return None if number is None else Saved(number, "duplicate")

    def _spend(self, connection: Connection, record: Record, number: int) -> bool:
        """Whether the key (if there is one) is this save's, not that of another at this moment."""
        return record.key is None or self.spend(connection, record, number)

    def _insert(self, connection: Connection, record: Record, runId: int) -> Saved:
        (number,) = self.next_numbers(connection, 1)
        if not self._spend(connection, record, number):
            return self._spent(connection, record) or _gone(record.key)
        connection.execute(
            self.sql.insert,
            (
                number,
                record.taskId,
                runId,
                record.userName,
                record.timeStamp,
                self.dialect.stored(record.json),
            ),
        )
        return Saved(number, "stored")

    def _save_chunk(
        self,
        connection: Connection,
        chunk: list[Record],
        runs: dict[str | int, int],
        receipt: Receipt,
    ) -> None:
        keys = self.keys_of(chunk)
        if not any(keys):
            numbers = self.next_numbers(connection, len(chunk))
            self._write(connection, chunk, numbers, runs)
            receipt.numbers.extend(numbers)
            return
        spent = self.spent_among(connection, [key for key in keys if key is not None])
        fresh: list[Record] = []
        claims: list[Any] = []  # the key of each of them
        places: list[int] = []  # of each record of the chunk: a number, or ~(place in fresh)
        for record, key in zip(chunk, keys, strict=True):
            place = ~len(fresh)
            known = place if key is None else spent.setdefault(key, place)
            if known == place:
                fresh.append(record)
                claims.append(key)
            else:
                receipt.duplicates.append(len(receipt.numbers) + len(places))
            places.append(known)
        numbers = self.next_numbers(connection, len(fresh))
        claimed = zip(claims, numbers, strict=True)
        lost = self.spend_many(connection, [(k, n) for k, n in claimed if k is not None])
        if lost:
            start = len(receipt.numbers)
            receipt.duplicates.extend(
                start + i for i, p in enumerate(places) if p < 0 and claims[~p] in lost
            )
            numbers = [lost.get(k, n) for k, n in zip(claims, numbers, strict=True)]
            kept = [(r, n) for r, k, n in zip(fresh, claims, numbers, strict=True) if k not in lost]
            self._write(connection, [r for r, _ in kept], [n for _, n in kept], runs)
        else:
            self._write(connection, fresh, numbers, runs)
        receipt.numbers.extend(p if p > 0 else numbers[~p] for p in places)

    def _write(
        self,
        connection: Connection,
        records: list[Record],
        numbers: Sequence[int],
        runs: dict[str | int, int],
    ) -> None:
        wanted = dict.fromkeys(record[1] or record[0] for record in records)
        if new := [run for run in wanted if run not in runs]:
            runs |= self.runs_among(connection, new)
            tasks: list[str] = []  # as they come: so runs have the ids as from saves one by one
            for run in new:
                if run not in runs:
                    if isinstance(run, int):
                        raise InvalidRun(run)
                    tasks.append(run)
            runs |= self.start_runs(connection, tasks)
        stored = self.dialect.stored
        rows = (
            (number, task, runs[run or task], user, time, stored(json))
            for number, (task, run, user, time, json, _) in zip(numbers, records, strict=True)
        )
        if records:
            self.insert_many(connection, rows, len(records))

    def start_runs(self, connection: Connection, tasks: list[str]) -> dict[str | int, int]:
        """Start runs of tasks that had none, in this order; the ids of their current ones."""
        return {task: self.find_or_start(connection, task) for task in tasks}

    def runs_among(self, connection: Connection, wanted: list[str | int]) -> dict[str | int, int]:
        """The ids of the runs that are there, of those with an id and of tasks' current ones."""
        found: dict[str | int, int] = {}
        tasks = [task for task in wanted if isinstance(task, str)]
        ids = [run for run in wanted if not isinstance(run, str)]
        for sql, column, values in (
            (self.sql.current_runs, "taskId", tasks),
            (self.sql.runs_there, "id", ids),
        ):
            if values:
                condition, bound = self.dialect.any_of(column, values)
                found |= dict(connection.execute(f"{sql}{condition}", bound).fetchall())
        return found

    def spent_among(self, connection: Connection, keys: list[Any]) -> dict[Any, int]:
        """Which of the keys (see `keys_of`) are spent, with the numbers of their tracks."""
        if not keys:
            return {}
        condition, values = self.dialect.any_of("key", keys)
        rows = connection.execute(f"{self.sql.keys}{condition}", values).fetchall()
        return dict(rows)

    # Reading

    def last(self, taskId: str, runId: int, userName: str) -> Row | None:
        """See `Engine.last`."""
        with self.reading() as connection:
            sql, run = (self.sql.last, runId) if runId else (self.sql.last_of_current, taskId)
            row: Row | None = connection.execute(sql, (taskId, userName, run)).fetchone()
            return row

    def select(self, criteria: Criteria) -> list[Row]:
        """See `Engine.select`."""
        rows: list[Row] = []
        with self.reading() as connection:
            for part in self._parts(connection, criteria):
                limit = None if criteria.limit is None else criteria.limit - len(rows)
                sql, values = self.page(part, limit)
                rows += connection.execute(sql, values).fetchall()
        return rows

    def stream(self, criteria: Criteria) -> Iterator[Row]:
        """See `Engine.stream`."""
        with self.reading() as connection:
            parts = self._parts(connection, criteria)
        left = criteria.limit
        for part in parts:
            for row in self.rows(part, left):
                yield row
                if left is not None:
                    left -= 1

    def count(self, criteria: Criteria) -> int:
        """See `Engine.count`."""
        count = 0
        with self.reading() as connection:
            for part in self._parts(connection, criteria):
                sql = f"SELECT count(*) FROM {self.tables.tracks}{part.where}"
                values = part.values
                if criteria.limit is not None:
                    found = f"SELECT 1 FROM {self.tables.tracks}{part.where} LIMIT ?"
                    sql = f"SELECT count(*) FROM ({found}) AS found"
                    values = [*part.values, min(criteria.limit - count, _NO_LIMIT)]
                count += connection.execute(sql, values).fetchone()[0]
        return count

    def track(self, number: int) -> Row | None:
        """See `Engine.track`."""
        row: Row | None = self.one(self.sql.track, (number,))
        return row

    def numbers(self) -> Iterator[int]:
        """See `Engine.numbers`."""
        last = 0
        while found := self.all(self.sql.numbers, (last, CHUNK)):
            yield from (row[0] for row in found)
            last = found[-1][0]

    def user_names(self, taskId: str) -> list[str]:
        """See `Engine.user_names`."""
        return [row[0] for row in self.all(self.sql.user_names, (taskId, taskId))]

    def task_ids(self) -> list[str]:
        """See `Engine.task_ids`."""
        return [row[0] for row in self.all(self.sql.task_ids)]

    def aggregate(self, question: Question) -> Answer:
        """See `Engine.aggregate`."""
        if question.criteria.is_empty:
            return answer_to_nothing(question)
        if (answer := self.rollup.answer(question)) is not None:
            return answer
        if isinstance(question, Behind):
            bound = behind_for(question, self.tables, self.dialect, self.sql.columns)
            return [*map(tuple, self.counted(bound.sql, bound.values))]
        bound = bound_for(question, self.tables, self.dialect, self._is_wide(question))
        return answer_from(question, self.counted(bound.sql, bound.values), self.dialect)

    def _is_wide(self, question: Question) -> bool:
        """Whether a question is to be answered from an index that has all tracks."""
        if not can_be_wide(question):
            return False
        first, last = self.one(self.sql.time_range)
        return first is not None and is_wide(question.criteria, first, last)

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a SELECT."""
        with self.reading() as connection:
            return connection.execute(sql, values).fetchall()

    def counted(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a SELECT that goes through many tracks."""
        return self.all(sql, values)

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row of a SELECT."""
        with self.reading() as connection:
            return connection.execute(sql, values).fetchone()

    def _parts(self, connection: Connection, criteria: Criteria) -> list[Part]:
        after = None
        if criteria.after is not None and criteria.order != "id":
            row = connection.execute(self.sql.track, (criteria.after,)).fetchone()
            if row is None:
                raise InvalidValue(f"after: there is no track {track_id(criteria.after)!r}.")
            after = row[4]
        return parts_for(criteria, self.dialect, after)

    def page(
        self, part: Part, limit: int | None, columns: str | None = None
    ) -> tuple[str, list[Any]]:
        """The statement for a part of an answer, at most so many rows of it, and its values."""
        select = f"SELECT {columns or self.sql.columns} FROM {self.tables.tracks}"
        if limit is None:
            return f"{select}{part.where}{part.order}", part.values
        values = [*part.values, min(limit, _NO_LIMIT)]
        if part.is_sorted_in_index:
            # The index of the last track has all that is needed to find the page, so that of the
            # tracks themselves only those on it are read.
            found = f"SELECT number FROM {self.tables.tracks}{part.where}{part.order} LIMIT ?"
            return f"{select} WHERE number IN ({found}){part.order}", values
        return f"{select}{part.where}{part.order} LIMIT ?", values

    # Runs

    def start_run(self, taskId: str | None) -> int:
        """See `Engine.start_run`."""
        with self.writing() as connection:
            while True:
                if taskId is not None:
                    connection.execute(self.sql.leave_run, (taskId,))
                runId = self._add_run(connection, taskId, None, taskId is not None)
                if runId:
                    return runId

    def stop_run(self, taskId: str | None, runId: int, finish: bool) -> int:
        """See `Engine.stop_run`."""
        with self.writing() as connection:
            row = connection.execute(self.sql.run_to_stop, (runId,)).fetchone()
            if row is None:
                return 0
            ofTask, stopped, finished = row
            if (taskId is not None and ofTask not in (None, taskId)) or finished:
                return 0
            if stopped and not finish:
                return 0
            connection.execute(self.sql.stop_run, (now(), finish, runId))
            return runId

    def open_run(self, taskId: str, label: str) -> int:
        """See `Engine.open_run`."""
        row = self.one(self.sql.labelled_run, (taskId, label))
        if row is not None:
            return int(row[0])
        with self.writing() as connection:
            return self._found_or_added(
                connection, self.sql.labelled_run, (taskId, label), taskId, label
            )

    def run(self, runId: int) -> Run | None:
        """See `Engine.run`."""
        row = self.one(self.sql.run, (runId,))
        return None if row is None else next(iter(self.runs_from([row])))

    def runs_from(self, rows: list[Any]) -> Iterable[Run]:
        """The runs of rows of `Statements.runs`."""
        return map(run_from, rows)

    def current_run(self, taskId: str) -> int:
        """See `Engine.current_run`."""
        row = self.one(self.sql.current_run, (taskId,))
        return 0 if row is None else int(row[0])

    def runs(self, state: RunState, after: int = 0) -> Iterator[Run]:
        """See `Engine.runs`."""
        sql = f"{self.sql.runs}{_STATES[state]} AND id > ? ORDER BY id LIMIT ?"
        last = after
        while found := self.all(sql, (last, CHUNK)):
            yield from self.runs_from(found)
            last = found[-1][0]

    def count_runs(self, state: RunState) -> int:
        """See `Engine.count_runs`."""
        return int(self.one(f"{self.sql.count_runs}{_STATES[state]}")[0])

    def _run_for(self, connection: Connection, record: Record) -> int:
        """The id of the run that a record belongs to: checked, looked up or started."""
        if record.runId:
            if connection.execute(self.sql.has_run, (record.runId,)).fetchone() is None:
                raise InvalidRun(record.runId)
            return record.runId
        return self.find_or_start(connection, record.taskId)

    def find_or_start(self, connection: Connection, taskId: str) -> int:
        """The id of the current run of a task, which is started if there is none."""
        return self._found_or_added(connection, self.sql.current_run, (taskId,), taskId, None)

    def _found_or_added(
        self,
        connection: Connection,
        find: str,
        values: tuple[str, ...],
        taskId: str,
        label: str | None,
    ) -> int:
        row = connection.execute(find, values).fetchone()
        if row is None:
            self.queue(connection, "run", taskId, label)
        while True:  # in turns, until it is there: someone else may add it between the two
            row = row or connection.execute(find, values).fetchone()
            runId = row[0] if row else self._add_run(connection, taskId, label, label is None)
            if runId:
                return int(runId)

    def _add_run(
        self, connection: Connection, taskId: str | None, label: str | None, current: bool
    ) -> int:
        """A new run's id; 0 where there is one like it (current, or with that label)."""
        row = connection.execute(self.sql.add_run, (taskId, label, now(), current)).fetchone()
        return int(row[0]) if row else 0

    # Moving

    def run_rows(self) -> Iterator[RunRow]:
        """See `Engine.run_rows`."""
        last = 0
        while found := self.all(self.sql.run_rows, (last, CHUNK)):
            for *values, finished, is_current in found:
                yield RunRow._make((*values, bool(finished), bool(is_current)))
            last = found[-1][0]

    def spent_keys(self) -> Iterator[tuple[str, int]]:
        """See `Engine.spent_keys`."""
        last = ""  # no key is empty
        while found := self.all(self.sql.spent_keys, (last, CHUNK)):
            yield from found
            last = found[-1][0]

    def put_runs(self, rows: list[RunRow]) -> None:
        """See `Engine.put_runs`."""
        with self.writing() as connection:
            check_run_rows(rows, self._runs_like(connection, rows))
            # A task has one current run at most: the one that it had makes room first.
            condition, values = self.dialect.any_of(
                "taskId", [r.taskId for r in rows if r.isCurrent]
            )
            connection.execute(f"{self.sql.leave_runs}{condition}", values)
            self.upsert_runs(connection, rows)

    def _runs_like(self, connection: Connection, rows: list[RunRow]) -> list[Any]:
        of_id, ids = self.dialect.any_of("id", [row.id for row in rows])
        found = connection.execute(f"{self.sql.runs_like}{of_id}", ids).fetchall()
        if any(row.label for row in rows):
            of_task, tasks = self.dialect.any_of("taskId", [r.taskId for r in rows if r.label])
            of_label, labels = self.dialect.any_of("label", [r.label for r in rows if r.label])
            sql = f"{self.sql.runs_like}{of_task} AND {of_label}"
            found += connection.execute(sql, [*tasks, *labels]).fetchall()
        return found

    def put_tracks(self, rows: list[Row]) -> None:
        """See `Engine.put_tracks`."""
        stored = self.dialect.stored
        with self.writing() as connection:
            wanted = {row[2] for row in rows}
            missing = wanted - self.runs_among(connection, [*wanted]).keys()
            if missing:
                raise InvalidRun(min(missing))
            self.insert_many(connection, ((*row[:5], stored(row[5])) for row in rows), len(rows))
            self.rollup.note(connection, [row[0] for row in rows])

    def put_keys(self, keys: list[tuple[str, int]]) -> None:
        """See `Engine.put_keys`."""
        with self.writing() as connection:
            spent = self.spent_among(connection, [key for key, _ in keys])
            self.spend_many(connection, [each for each in keys if each[0] not in spent])

    # Keeping

    def transaction(self) -> AbstractContextManager[None]:
        """See `Engine.transaction`."""
        return _Transaction(self.writing())

    def close(self) -> None:
        """See `Engine.close`. The connections are the engine's own to close, afterwards."""
        self.rollup.close()

    def counts(self) -> Info:
        """What there is, as `Engine.info` tells it, without the bytes."""
        tracks = self.count(Criteria())
        (tasks,), (users,) = (
            self.one(f"SELECT count(*) FROM ({sql}) AS found")
            for sql in (self.sql.task_ids, self.sql.all_users)
        )
        time_from, time_to = self.one(self.sql.time_range)
        return Info(tracks, tasks, users, self.count_runs("all"), time_from, time_to)

    def findings(self, *checks: tuple[str, str]) -> Iterator[str]:
        """What is wrong with the contents: a count and what it counts, each."""
        for sql, finding in (self.sql.check_runs, *checks):
            (count,) = self.one(sql)
            if count:
                yield f"{count:,} {finding}"
        yield from self.rollup.check()


_NO_LIMIT = 2**62


def _gone(key: str | None) -> NoReturn:
    raise StorageError(f"The key {key!r} is spent, but nobody has it.")


class _Transaction:
    """A context manager that gives nothing away."""

    def __init__(self, writing: AbstractContextManager[Connection]) -> None:
        self._writing = writing

    def __enter__(self) -> None:
        self._writing.__enter__()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self._writing.__exit__(None, None, None)
        else:
            # Not the caller's own error: what reaches the database's code is taken for its own.
            self._writing.__exit__(_Undo, _Undo(), None)


class _Undo(BaseException):
    """Ends a transaction without leaving a trace."""


def run_from(row: Any) -> Run:
    """A run, from a row of `Statements.runs`."""
    runId, taskId, label, finished, started, stopped, first, last = row
    start = started if first is None else min(started, first)
    end = started if last is None else last
    if stopped is not None:
        end = stopped if last is None else max(stopped, last)
    return Run(runId, taskId, start, end, bool(finished), label)
