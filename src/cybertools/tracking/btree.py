"""The engine in the process: B-trees with composite keys. The reference for the other engines.

It is persistent: a `TrackingStorage` lives in plain memory, or anywhere in a ZODB, where it takes
part in the transactions of its connection. There two connections that save at once both take the
next number, which is a conflict of the same key: with the usual retry of the second one nothing is
lost, and no number is given twice.
"""

import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from sys import intern
from typing import Any, TypeAlias

from BTrees.check import check as check_tree
from BTrees.LLBTree import LLTreeSet
from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree, OOTreeSet
from persistent import Persistent

from cybertools.tracking.btree_counting import counted
from cybertools.tracking.btree_moments import (
    count_moments,
    first_time,
    has_moment,
    insert_moment,
    last_time,
    remove_moment,
)
from cybertools.tracking.btree_queries import (
    INFINITY,
    Indexes,
    Stored,
    attribute_key,
    count,
    page,
    places_of,
)
from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import InvalidRun, StorageClosed, StorageError
from cybertools.tracking.interfaces import (
    Change,
    Engine,
    Info,
    Receipt,
    RunState,
    Saved,
    Storage,
    attributes_of,
    check_run_rows,
)
from cybertools.tracking.questions import Answer, Question
from cybertools.tracking.record import Record
from cybertools.tracking.track import Row, Run, RunRow, Track
from cybertools.tracking.values import decode_data, merge_data, micros_of, now, track_id

__all__ = ["BTreeEngine", "TrackingStorage"]

CHUNK = 1_000
"""Tracks that a stream reads at a time."""

Place: TypeAlias = tuple[int, float, float]
"""Run id, timeStamp, number: of a track among those of a user in a task. There is a set of them, or
the only one by itself: most users come to most tasks once."""


class TrackingStorage(Persistent, Storage):  # type: ignore[misc]
    """A storage in the process, or in somebody's ZODB."""

    engine: "BTreeEngine"

    def __init__(self, trackFactory: type[Track] = Track, name: str = "tracks") -> None:
        Storage.__init__(self, BTreeEngine(attributes_of(trackFactory)), name, trackFactory)

    __repr__ = Storage.__repr__

    def setupIndexes(self) -> None:
        """See `Storage.setupIndexes`."""
        self.engine.attributes = attributes_of(self.trackFactory)
        self.engine.setup_indexes()


class BTreeEngine(Persistent, Engine):  # type: ignore[misc]
    """Tracks by number, and an index for each question."""

    _v_guard: AbstractContextManager[object]
    _v_journal: list[tuple[Any, ...]] | None
    _v_trees: Any

    def __init__(self, attributes: tuple[str, ...]) -> None:
        super().__init__()
        self.attributes = attributes
        self._tracks: Any = LOBTree()
        self._retired = 0  # the highest number of a removed track, if no other is higher
        self._runs: Any = LOBTree()  # id: (taskId, label, startedAt, stoppedAt, finished)
        self._current: Any = OOBTree()  # taskId: run id
        self._labelled: Any = OOBTree()  # (taskId, label): run id
        self._finished: Any = LLTreeSet()
        self._mixed: Any = LLTreeSet()  # runs that may have tracks of other tasks than their own
        self._keys: Any = OOBTree()  # key: number, also of a removed track
        self._clear_indexes()
        self._attributes: Any = OOBTree({name: OOBTree() for name in attributes})

    def _clear_indexes(self) -> None:
        self._forget_trees()
        # Trees within trees: a look-up touches few places in memory, also among a million tracks.
        self._order: Any = OOBTree()  # taskId: userName: a `Place`, or a set of them
        self._times: Any = LOBTree()  # moments: numbers by time
        self._of_task: Any = OOBTree()  # taskId: numbers
        self._of_user: Any = OOBTree()  # userName: numbers
        self._run_times: Any = LOBTree()  # run id: moments

    @property
    def _indexes(self) -> Indexes:
        return Indexes(
            self._tracks,
            self._runs,
            self._mixed,
            self._order,
            self._times,
            self._of_task,
            self._of_user,
            self._run_times,
            self._attributes,
        )

    # One call at a time, all or nothing

    def _guard(self) -> AbstractContextManager[object]:
        """The lock of an engine in plain memory; in a ZODB each connection has its own copy."""
        guard: AbstractContextManager[object] | None = getattr(self, "_v_guard", None)
        if guard is None:
            with _locks:
                guard = getattr(self, "_v_guard", None)
                if guard is None:
                    guard = self._v_guard = threading.RLock()
        return guard

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Engine.transaction`."""
        with self._guard():
            outer = self._journal()
            journal: list[tuple[Any, ...]] = [] if outer is None else outer
            start = len(journal)
            self._set_journal(journal)
            try:
                yield
            except BaseException:
                self._set_journal(None)  # what undoes is not to be undone
                for undo, *arguments in reversed(journal[start:]):
                    undo(*arguments)
                del journal[start:]
                raise
            finally:
                self._set_journal(outer)

    def _journal(self) -> list[tuple[Any, ...]] | None:
        """How to undo what was done in this transaction, the last step last."""
        return getattr(self, "_v_journal", None)

    def _set_journal(self, journal: list[tuple[Any, ...]] | None) -> None:
        self._v_journal = journal

    # Tracks and their indexes

    def _put(self, number: int, track: Stored) -> None:
        task, run, user, time, json = track
        moment = micros_of(time)
        self._tracks[number] = track
        insert_moment(self._times, moment, number)
        users, of_task, of_user, run_times = self._trees_of(task, user, run)
        place = (run, time, number)
        places = users.get(user)
        if places is None:
            users[user] = place
        elif type(places) is tuple:
            users[user] = OOTreeSet((places, place))
        else:
            places.insert(place)
        insert_moment(run_times, moment, number)
        of_task.insert(number)
        of_user.insert(number)
        if self._attributes:
            self._put_attributes(number, json)
        if (journal := self._journal()) is not None:
            journal.append((self._drop, number))

    def _trees_of(self, task: str, user: str, run: int) -> tuple[Any, Any, Any, Any]:
        """The trees that a track of these is entered in, made where there are none."""
        if self._p_jar is not None:
            return (
                _sub(self._order, task, OOBTree),
                _sub(self._of_task, task, LLTreeSet),
                _sub(self._of_user, user, LLTreeSet),
                self._times_of_run(run, task),
            )
        # In plain memory a dictionary finds them sooner; in a ZODB an abort would belie it.
        found: tuple[dict[Any, Any], ...] | None = getattr(self, "_v_trees", None)
        if found is None:
            found = self._v_trees = ({}, {})
        runs, users = found
        try:
            order, of_task, run_times = runs[task, run]
        except KeyError:
            order, of_task, run_times = runs[task, run] = (
                _sub(self._order, task, OOBTree),
                _sub(self._of_task, task, LLTreeSet),
                self._times_of_run(run, task),
            )
        try:
            of_user = users[user]
        except KeyError:
            of_user = users[user] = _sub(self._of_user, user, LLTreeSet)
        return order, of_task, of_user, run_times

    def _times_of_run(self, run: int, task: str) -> Any:
        if self._runs[run][0] != task and run not in self._mixed:
            self._mixed.insert(run)
        return _sub(self._run_times, run, LOBTree)

    def _forget_trees(self) -> None:
        """Trees may have gone, or been made anew."""
        self._v_trees = None

    def _drop(self, number: int) -> None:
        self._forget_trees()
        track = self._tracks.pop(number)
        task, run, user, time, json = track
        remove_moment(self._times, time, number)
        users = self._order[task]
        if type(users[user]) is tuple:
            del users[user]
        else:
            _discard(users, user, (run, time, number))
        if not users:
            del self._order[task]
        run_times = self._run_times[run]
        remove_moment(run_times, time, number)
        if not run_times:
            del self._run_times[run]
        _discard(self._of_task, task, number)
        _discard(self._of_user, user, number)
        if self._attributes:
            self._drop_attributes(number, json)
        if (journal := self._journal()) is not None:
            journal.append((self._put, number, track))

    def _change(self, number: int, track: Stored) -> None:
        old = self._tracks[number]
        if old[:4] != track[:4]:
            self._drop(number)
            self._put(number, track)
            return
        self._tracks[number] = track
        if self._attributes:
            self._drop_attributes(number, old[4])
            self._put_attributes(number, track[4])
        if (journal := self._journal()) is not None:
            journal.append((self._change, number, old))

    def _put_attributes(self, number: int, json: str) -> None:
        data = decode_data(json)
        for name, index in self._attributes.items():
            value = attribute_key(data.get(name))
            if value is not None:
                _sub(index, value, LLTreeSet).insert(number)

    def _drop_attributes(self, number: int, json: str) -> None:
        data = decode_data(json)
        for name, index in self._attributes.items():
            value = attribute_key(data.get(name))
            if value is not None:
                _discard(index, value, number)

    # Saving

    def save(self, record: Record) -> Saved:
        """See `Engine.save`."""
        with self._guard():
            if record.key is not None:
                spent = self._spent(record.key)
                if spent is not None:
                    return spent
            return self._insert(record, self._run_for(record))

    def save_over(self, record: Record, change: Change, timed: bool) -> Saved:
        """See `Engine.save_over`."""
        with self._guard():
            spent = self._spent(record.key)
            if spent:
                return spent
            if record.runId and record.runId not in self._runs:
                raise InvalidRun(record.runId)
            run = record.runId or self._current.get(record.taskId, 0)
            number = self._last(record.taskId, run, record.userName) if run else 0
            if not number:
                return self._insert(record, self._run_for(record))
            task, run, user, time, json = self._tracks[number]
            json = merge_data(json, record.json) if change == "merge" else record.json
            self._change(number, (task, run, user, record.timeStamp if timed else time, json))
            self._spend(record.key, number)
            return Saved(number, "replaced" if change == "replace" else "updated")

    def save_all(self, records: Iterable[Record]) -> Receipt:
        """See `Engine.save_all`."""
        receipt = Receipt([], [])
        with self.transaction():
            for record in records:
                saved = self.save(record)
                if saved.outcome == "duplicate":
                    receipt.duplicates.append(len(receipt.numbers))
                receipt.numbers.append(saved.number)
        return receipt

    def update(self, number: int, json: str, overwrite: bool) -> bool:
        """See `Engine.update`."""
        with self._guard():
            track = self._tracks.get(number)
            if track is None:
                return False
            self._change(number, (*track[:4], json if overwrite else merge_data(track[4], json)))
            return True

    def remove(self, number: int) -> bool:
        """See `Engine.remove`."""
        with self._guard():
            if number not in self._tracks:
                return False
            if number == self._tracks.maxKey():
                self.retire(number)
            self._drop(number)
            return True

    def _spent(self, key: str | None) -> Saved | None:
        number = self._keys.get(key) if key is not None else None
        return None if number is None else Saved(number, "duplicate")

    def _spend(self, key: str | None, number: int) -> None:
        if key is not None:
            self._keys[key] = number
            if (journal := self._journal()) is not None:
                journal.append((self._keys.pop, key))

    def _insert(self, record: Record, runId: int) -> Saved:
        tracks, retired = self._tracks, self._retired
        number: int = (tracks.maxKey() if tracks else 0) + 1
        if number <= retired:
            number = retired + 1
        task, _, user, time, json, key = record
        # Interned: the thousand tracks of a task share one text.
        self._put(number, (intern(task), runId, intern(user), time, json))
        if key is not None:
            self._spend(key, number)
        return Saved(number, "stored")

    # Reading

    def last(self, taskId: str, runId: int, userName: str) -> Row | None:
        """See `Engine.last`."""
        with self._guard():
            run = runId or self._current.get(taskId, 0)
            number = self._last(taskId, run, userName) if run else 0
            return self._row(number) if number else None

    def _last(self, taskId: str, runId: int, userName: str) -> int:
        users = self._order.get(taskId)
        places = None if users is None else users.get(userName)
        if places is None:
            return 0
        # Most often the newest run is meant: its end is found without a comparison, each of which
        # would look into places in memory far apart.
        last = places if type(places) is tuple else places.maxKey()
        if last[0] > runId and type(places) is not tuple:
            try:
                last = places.maxKey((runId, INFINITY))
            except ValueError:
                return 0
        return int(last[2]) if last[0] == runId else 0

    def select(self, criteria: Criteria) -> list[Row]:
        """See `Engine.select`."""
        with self._guard():
            return [self._row(number) for number in page(self._indexes, criteria)]

    def stream(self, criteria: Criteria) -> Iterator[Row]:
        """See `Engine.stream`."""
        with self._guard():
            # The numbers first, as machine integers: what is read then may be changed meanwhile.
            numbers = array("q", page(self._indexes, criteria))
        for start in range(0, len(numbers), CHUNK):
            with self._guard():
                found = [n for n in numbers[start : start + CHUNK] if n in self._tracks]
                rows = [self._row(number) for number in found]
            yield from rows

    def count(self, criteria: Criteria) -> int:
        """See `Engine.count`."""
        with self._guard():
            return count(self._indexes, criteria)

    def track(self, number: int) -> Row | None:
        """See `Engine.track`."""
        with self._guard():
            return self._row(number) if number in self._tracks else None

    def numbers(self) -> Iterator[int]:
        """See `Engine.numbers`."""
        last = 0
        while True:
            with self._guard():
                found = [*islice(self._tracks.keys(last + 1), CHUNK)]
            if not found:
                return
            yield from found
            last = found[-1]

    def user_names(self, taskId: str) -> list[str]:
        """See `Engine.user_names`."""
        with self._guard():
            return [*self._order.get(taskId, ())]

    def task_ids(self) -> list[str]:
        """See `Engine.task_ids`."""
        with self._guard():
            return [*self._order]

    def aggregate(self, question: Question) -> Answer:
        """See `Engine.aggregate`."""
        with self._guard():
            sizes = {"taskId": self._of_task, "userName": self._of_user}
            rows = lambda criteria: map(self._row, page(self._indexes, criteria))  # noqa: E731
            return counted(question, self._times, sizes, rows, lambda: self.runs("all"))

    def _row(self, number: int) -> Row:
        return (number, *self._tracks[number])

    # Runs

    def start_run(self, taskId: str | None) -> int:
        """See `Engine.start_run`."""
        with self._guard():
            run = self._add_run(taskId, None)
            if taskId is not None:
                self._set_current(taskId, run)
            return run

    def stop_run(self, taskId: str | None, runId: int, finish: bool) -> int:
        """See `Engine.stop_run`."""
        with self._guard():
            run = self._runs.get(runId)
            if run is None:
                return 0
            task, label, started, stopped, finished = run
            if (taskId is not None and task not in (None, taskId)) or finished:
                return 0
            if stopped is not None and not finish:
                return 0
            self._set_run(runId, (task, label, started, stopped or now(), finish))
            if task is not None and self._current.get(task) == runId:
                self._set_current(task, None)
            return runId

    def open_run(self, taskId: str, label: str) -> int:
        """See `Engine.open_run`."""
        with self._guard():
            return self._labelled.get((taskId, label)) or self._add_run(taskId, label)

    def run(self, runId: int) -> Run | None:
        """See `Engine.run`."""
        with self._guard():
            return self._run(runId) if runId in self._runs else None

    def current_run(self, taskId: str) -> int:
        """See `Engine.current_run`."""
        with self._guard():
            return int(self._current.get(taskId, 0))

    def runs(self, state: RunState, after: int = 0) -> Iterator[Run]:
        """See `Engine.runs`."""
        last = after
        while True:
            with self._guard():
                if state == "current":
                    ids = [*islice((r for r in sorted(self._current.values()) if r > last), CHUNK)]
                else:
                    tree = self._finished if state == "finished" else self._runs
                    ids = [*islice(tree.keys(last + 1), CHUNK)]
                found = [self._run(runId) for runId in ids]
            if not found:
                return
            yield from found
            last = found[-1].id

    def count_runs(self, state: RunState) -> int:
        """See `Engine.count_runs`."""
        with self._guard():
            trees = {"all": self._runs, "finished": self._finished, "current": self._current}
            return len(trees[state])

    def _run(self, runId: int) -> Run:
        task, label, started, stopped, finished = self._runs[runId]
        times = self._run_times.get(runId)
        start, end = started, started
        if times:
            start, end = min(started, first_time(times)), last_time(times)
        if stopped is not None:
            end = max(stopped, end) if times else stopped
        return Run(runId, task, start, end, finished, label)

    def _run_for(self, record: Record) -> int:
        """The id of the run that a record belongs to: checked, looked up or started."""
        if record.runId:
            if record.runId not in self._runs:
                raise InvalidRun(record.runId)
            return record.runId
        return self._current.get(record.taskId) or self.start_run(record.taskId)

    def _add_run(self, taskId: str | None, label: str | None) -> int:
        runId = (self._runs.maxKey() if self._runs else 0) + 1
        self._set_run(runId, (taskId, label, now(), None, False))
        return int(runId)

    def _set_run(self, runId: int, run: Any) -> None:
        """Put a run in its place; None takes it away."""
        old = self._runs.get(runId)
        if (journal := self._journal()) is not None:
            journal.append((self._set_run, runId, old))
        if old is not None:
            self._runs.pop(runId)
            if old[1] is not None:
                self._labelled.pop((old[0], old[1]))
            if old[4]:
                self._finished.remove(runId)
        if run is not None:
            self._runs[runId] = run
            if run[1] is not None:
                self._labelled[run[0], run[1]] = runId
            if run[4]:
                self._finished.insert(runId)

    def _set_current(self, taskId: str, runId: int | None) -> None:
        """Make a run the task's current one; None leaves it without."""
        if (journal := self._journal()) is not None:
            journal.append((self._set_current, taskId, self._current.get(taskId)))
        if runId is None:
            self._current.pop(taskId, None)
        else:
            self._current[taskId] = runId

    # Moving

    def place(self) -> str:
        """See `Engine.place`."""
        return f"memory {id(self)}"

    def highest(self) -> int:
        """See `Engine.highest`."""
        with self._guard():
            tracks = self._tracks
            return int(max(tracks.maxKey() if tracks else 0, self._retired))

    def run_rows(self) -> Iterator[RunRow]:
        """See `Engine.run_rows`."""
        last = 0
        while True:
            with self._guard():
                found = [self._run_row(i) for i in islice(self._runs.keys(last + 1), CHUNK)]
            if not found:
                return
            yield from found
            last = found[-1].id

    def _run_row(self, runId: int) -> RunRow:
        run = self._runs[runId]
        return RunRow._make((runId, *run, self._current.get(run[0] or "") == runId))

    def spent_keys(self) -> Iterator[tuple[str, int]]:
        """See `Engine.spent_keys`."""
        last = ""  # no key is empty
        while True:
            with self._guard():
                found = [*islice(self._keys.items(last, excludemin=True), CHUNK)]
            if not found:
                return
            yield from found
            last = found[-1][0]

    def put_runs(self, rows: list[RunRow]) -> None:
        """See `Engine.put_runs`."""
        with self.transaction():
            check_run_rows(rows, [*self._runs_like(rows)])
            for runId, task, *others, is_current in rows:
                self._set_run(runId, (task, *others))
                if task is not None and is_current != (self._current.get(task) == runId):
                    self._set_current(task, runId if is_current else None)

    def _runs_like(self, rows: list[RunRow]) -> Iterator[tuple[int, str | None, str | None]]:
        for row in rows:
            if (run := self._runs.get(row.id)) is not None:
                yield row.id, run[0], run[1]
            other = row.label and self._labelled.get((row.taskId, row.label))
            if other:
                yield other, row.taskId, row.label

    def put_tracks(self, rows: list[Row]) -> None:
        """See `Engine.put_tracks`."""
        with self.transaction():
            for number, task, run, user, time, json in rows:
                if number in self._tracks:
                    raise StorageError(f"There is a track {track_id(number)!r} already.")
                if run not in self._runs:
                    raise InvalidRun(run)
                self._put(number, (intern(task), run, intern(user), time, json))

    def put_keys(self, keys: list[tuple[str, int]]) -> None:
        """See `Engine.put_keys`."""
        with self.transaction():
            for key, number in keys:
                if key not in self._keys:
                    self._spend(key, number)

    def retire(self, number: int) -> None:
        """See `Engine.retire`."""
        with self._guard():
            if number > self._retired:
                if (journal := self._journal()) is not None:
                    journal.append((setattr, self, "_retired", self._retired))
                self._retired = number

    # Keeping

    def reindex(self) -> None:
        """See `Engine.reindex`."""
        with self._guard():
            self._attributes = OOBTree({name: OOBTree() for name in self._attributes})
            self._index_anew()

    def setup_indexes(self) -> None:
        """See `Engine.setup_indexes`."""
        with self._guard():
            wanted = {*self._attributes, *self.attributes}
            if wanted != {*self._attributes}:
                self._attributes = OOBTree({name: OOBTree() for name in wanted})
                self._index_anew()

    def _index_anew(self) -> None:
        journal = self._journal()
        self._set_journal(None)  # the tracks stay the same: there is nothing to undo
        tracks, self._tracks = self._tracks, LOBTree()
        self._clear_indexes()
        for number, track in tracks.items():
            self._put(number, track)
        self._set_journal(journal)

    def info(self) -> Info:
        """See `Engine.info`."""
        with self._guard():
            times = self._times
            time_from, time_to = (first_time(times), last_time(times)) if times else (None, None)
            return Info(
                tracks=len(self._tracks),
                tasks=len(self._of_task),
                users=len(self._of_user),
                runs=len(self._runs),
                time_from=time_from,
                time_to=time_to,
            )

    def check(self) -> list[str]:
        """See `Engine.check`."""
        with self._guard():
            return [*self._findings()]

    def _findings(self) -> Iterator[str]:
        trees = {name: tree for name, tree in vars(self).items() if hasattr(tree, "minKey")}
        for name, tree in trees.items():
            try:
                check_tree(tree)
            except AssertionError as error:
                yield f"The tree {name} is broken: {error}."
        count = len(self._tracks)
        sizes = {
            "_times": count_moments(self._times),
            "_run_times": sum(map(count_moments, self._run_times.values())),
            "_of_task": sum(map(len, self._of_task.values())),
            "_of_user": sum(map(len, self._of_user.values())),
        }
        for name, entries in sizes.items():
            if entries != count:
                yield f"{name} has {entries:,} entries for {count:,} tracks."
        for number, (task, run, user, time, _) in self._tracks.items():
            there = (
                has_moment(self._times, time, number)
                and (run, time, number) in places_of(self._indexes, task, user)
                and has_moment(self._run_times.get(run, {}), time, number)
                and number in self._of_task.get(task, ())
                and number in self._of_user.get(user, ())
            )
            if not there:
                yield f"The track {track_id(number)} is missing in an index."
            if run not in self._runs:
                yield f"The track {track_id(number)} belongs to run {run}, which is not there."

    def close(self) -> None:
        """See `Engine.close`."""
        self._v_guard = _Closed()


class _Closed:
    """What guards an engine that is closed."""

    def __enter__(self) -> None:
        raise StorageClosed("The storage is closed.")

    def __exit__(self, *error: object) -> None:
        """Nothing was entered."""


_locks = threading.Lock()


def _sub(index: Any, value: Any, make: Callable[[], Any]) -> Any:
    """The tree that an index has for a value, made if there is none."""
    tree = index.get(value)
    if tree is None:
        tree = index[value] = make()
    return tree


def _discard(index: Any, value: Any, key: Any) -> None:
    """Take a key from the set of a value, and the set away with its last one."""
    keys = index[value]
    keys.remove(key)
    if not keys:
        del index[value]
