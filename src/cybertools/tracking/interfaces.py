"""The contract: what a storage promises (`Storage`), and what an engine provides for it (`Engine`).

Doors (command line, HTTP, pages) use a `Storage` and know no engine. An engine knows no door: it
is given checked values (`Record`, `Criteria`) and gives rows. Whatever is the same for all engines
- what an argument may be, what an error says - stands here, once.

Order
    Tracks come in order of their ids unless another order is asked for; among equal time stamps
    the id decides. Texts are ordered by code point.
Time
    Seconds since 1970 UTC, in whole microseconds, as a float.
Atomicity
    Each method is done as a whole or not at all, also when several threads or processes call at
    once. A save that has returned is durable (`open_storage` can ask for less).
Texts
    Task ids, user names, labels and keys are not empty, hold no NUL and no lone surrogate, and
    have at most 1,000 bytes of UTF-8.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    ValuesView,
)
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeAlias, TypeVar

from cybertools.tracking.criteria import CONTROLS, Criteria, Match, parse_criteria
from cybertools.tracking.errors import (
    InvalidData,
    InvalidRun,
    InvalidType,
    InvalidValue,
    TrackingError,
    TrackNotFound,
)
from cybertools.tracking.questions import Answer, Question
from cybertools.tracking.record import Record, record_from
from cybertools.tracking.track import METADATA, Row, Run, RunRow, Track, TrackList
from cybertools.tracking.values import (
    TEXT_LIMIT,
    TimeStamp,
    check_number,
    check_run_id,
    check_text,
    decode_data,
    encode_data,
    kind_of,
    now,
    parse_time_stamp,
    parse_track_id,
    track_id,
)

__all__ = [
    "Change",
    "Engine",
    "Info",
    "Outcome",
    "Receipt",
    "RunState",
    "Saved",
    "Storage",
    "attributes_of",
    "check_run_rows",
    "is_attribute",
]

Change: TypeAlias = Literal["replace", "merge", "overwrite"]
"""What a save does to the last track of its (task, run, user)."""

Outcome: TypeAlias = Literal["stored", "duplicate", "replaced", "updated"]
"""What became of a save."""

RunState: TypeAlias = Literal["all", "finished", "current"]


class Saved(NamedTuple):
    """One save: the number of its track, and what became of it."""

    number: int
    outcome: Outcome


class Receipt(NamedTuple):
    """Many saves: the number of each track, and the positions of those that were there before."""

    numbers: list[int]
    duplicates: list[int]


@dataclass(frozen=True, slots=True)
class Info:
    """What a storage holds, and what that takes."""

    tracks: int
    tasks: int
    users: int
    runs: int
    time_from: float | None
    time_to: float | None
    bytes: int | None = None
    """Bytes of the whole database; None where the engine cannot tell."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """Bytes of each table and index of this storage."""


class Storage(Mapping[str, Track]):
    """A named collection of tracks and runs. A mapping of track ids to tracks.

    Get one from `cybertools.tracking.open_storage`. It may be shared by threads.
    """

    def __init__(
        self, engine: Engine, name: str = "tracks", trackFactory: type[Track] = Track
    ) -> None:
        attributes_of(trackFactory)
        self.engine = engine
        self.name = check_text(name, "name")
        self.trackFactory = trackFactory

    # Saving

    def saveUserTrack(
        self,
        taskId: str,
        runId: int | None,
        userName: str,
        data: Mapping[str, Any],
        replace: bool = False,
        update: bool = False,
        overwrite: bool = False,
        timeStamp: TimeStamp | None = None,
        key: str | None = None,
    ) -> str:
        """Store a track; return its id.

        :param runId: a run's id; 0 or None is the task's current run, started if there is none.
        :param data: a mapping of text to JSON values (datetimes become ISO text).
        :param replace: put it in the place of the last track of (task, run, user), if there is
            one: same id, new time stamp.
        :param update: merge the data into those of the last track of (task, run, user), if there
            is one; its time stamp stays unless one is given.
        :param overwrite: with ``update``, put the data in the place of the old ones.
        :param timeStamp: the present time if not given.
        :param key: an idempotency key. The same key again stores nothing, whatever comes with it,
            and returns the first id, also when that track was removed since.
        :raises InvalidRun: there is no such run.
        :raises InvalidType: an argument is of the wrong type. Nothing is stored.
        :raises InvalidValue: an argument is out of what it may be. Nothing is stored.
        :raises InvalidData: the data hold what JSON has no value for. Nothing is stored.
        """
        saved = self.save(taskId, runId, userName, data, replace, update, overwrite, timeStamp, key)
        return track_id(saved.number)

    def save(
        self,
        taskId: str,
        runId: int | None,
        userName: str,
        data: Mapping[str, Any],
        replace: bool = False,
        update: bool = False,
        overwrite: bool = False,
        timeStamp: TimeStamp | None = None,
        key: str | None = None,
    ) -> Saved:
        """`saveUserTrack`, telling what became of it as well."""
        record = Record(
            check_text(taskId, "taskId"),
            check_run_id(runId),
            check_text(userName, "userName"),
            now() if timeStamp is None else parse_time_stamp(timeStamp),
            encode_data(data),
            None if key is None else check_text(key, "key"),
        )
        self.check_attributes(data)
        if not (replace or update or overwrite):
            return self.engine.save(record)
        if replace and (update or overwrite):
            raise InvalidValue("replace=True cannot be combined with update or overwrite.")
        if not (replace or update):
            raise InvalidValue("overwrite=True needs update=True.")
        change: Change = "replace" if replace else "overwrite" if overwrite else "merge"
        return self.engine.save_over(record, change, replace or timeStamp is not None)

    def saveUserTracks(
        self, tracks: Iterable[Mapping[str, Any] | Track | Record], batchSize: int | None = None
    ) -> list[str]:
        """Store many tracks, read one after the other; return their ids in the same order.

        :param tracks: mappings with ``taskId``, ``userName``, ``data`` and, if wanted, ``runId``,
            ``timeStamp``, ``key``; or tracks (all but their ids is taken).
        :param batchSize: store after each so many; without it all or nothing is stored.
        :raises TrackingError: as for `saveUserTrack`; the message tells which track it was. Of a
            call with a ``batchSize`` the whole batches before it are stored.
        """
        return [track_id(number) for number in self.saveBatch(tracks, batchSize).numbers]

    def saveBatch(
        self, tracks: Iterable[Mapping[str, Any] | Track | Record], batchSize: int | None = None
    ) -> Receipt:
        """`saveUserTracks`, telling which were duplicates as well."""
        runs: dict[object, int] = {}
        records = self._records(tracks, runs)
        try:
            if batchSize is None:
                return self.engine.save_all(records)
            if check_number(batchSize, "batchSize") == 0:
                raise InvalidValue("batchSize must be at least 1.")
            total = Receipt([], [])
            while batch := list(islice(records, batchSize)):
                receipt = self.engine.save_all(batch)
                offset = len(total.numbers)
                total.numbers.extend(receipt.numbers)
                total.duplicates.extend(offset + position for position in receipt.duplicates)
            return total
        except InvalidRun as error:
            if error.runId in runs:
                error.args = (f"tracks[{runs[error.runId]}]: {error}",)
            raise

    def updateTrack(
        self, track: Track | str, data: Mapping[str, Any], overwrite: bool = False
    ) -> str:
        """Merge the data into those of a track, or (``overwrite``) put them in their place.

        The time stamp stays. Returns the id.

        :param track: a track, or the id of one.
        :raises TrackNotFound: there is none of that id.
        """
        number = self._number_of(track)
        json = encode_data(data)
        self.check_attributes(data)
        if not self.engine.update(number, json, overwrite):
            raise TrackNotFound(track_id(number))
        return track_id(number)

    def removeTrack(self, track: Track | str) -> None:
        """Remove a track. Its id is never used again, and its key stays spent.

        :param track: a track, or the id of one.
        :raises TrackNotFound: there is none of that id.
        """
        number = self._number_of(track)
        if not self.engine.remove(number):
            raise TrackNotFound(track_id(number))

    # Reading

    def getUserTracks(self, taskId: str, runId: int | None, userName: str) -> list[Track]:
        """The tracks of a user in a task and run, oldest first.

        :param runId: 0 or None is the task's current run; without one there are no tracks.
        """
        taskId, userName = check_text(taskId, "taskId"), check_text(userName, "userName")
        run = check_run_id(runId) or self.engine.current_run(taskId)
        if not run:
            return []
        matches = (
            Match("taskId", (taskId,)),
            Match("runId", (run,)),
            Match("userName", (userName,)),
        )
        rows = self.engine.select(Criteria(matches, order="timeStamp"))
        return TrackList(map(self.trackFactory.from_row, rows))

    def getLastUserTrack(self, taskId: str, runId: int | None, userName: str) -> Track | None:
        """The track with the highest time stamp (the highest id among equals), or None.

        Takes the same time however many tracks there are.

        :param runId: 0 or None is the task's current run.
        """
        row = self.engine.last(
            check_text(taskId, "taskId"), check_run_id(runId), check_text(userName, "userName")
        )
        return None if row is None else self.trackFactory.from_row(row)

    def query(self, **criteria: Any) -> list[Track]:
        """The tracks that meet all criteria, in order of id. ``None`` is no criterion.

        - ``taskId``, ``runId``, ``userName``, ``timeStamp``, and any index attribute of the track
          type: one value or a list of values. A text that ends in ``*`` is a prefix.
        - ``timeFrom``, ``timeTo``: a time stamp each. Both ends are included, and a date as the
          end is the whole day. ``timeFromTo=(from, to)`` is both in one.
        - ``limit``: so many tracks at most.
        - ``after``: a track id; only what comes after it, in the order asked for.
        - ``order``: ``'id'``, ``'timeStamp'`` or ``'-timeStamp'`` (the newest first).

        :raises UnknownCriterion: there is no such criterion; the message lists those that exist.
        :raises InvalidType: a value is of the wrong type.
        :raises InvalidValue: a value is out of what it may be.
        """
        parsed = self.parse(criteria)
        if parsed.is_empty:
            return []
        return TrackList(map(self.trackFactory.from_row, self.engine.select(parsed)))

    def iterTracks(self, **criteria: Any) -> Iterator[Track]:
        """The same as `query`, one after the other in constant memory.

        What is saved while it runs may be missing from it; it never comes twice.
        """
        parsed = self.parse(criteria)
        rows = iter(()) if parsed.is_empty else self.engine.stream(parsed)
        return map(self.trackFactory.from_row, rows)

    def countTracks(self, **criteria: Any) -> int:
        """How many tracks `query` would give, without reading them."""
        parsed = self.parse(criteria)
        return 0 if parsed.is_empty else self.engine.count(parsed)

    def getUserNames(self, taskId: str) -> list[str]:
        """The sorted names of the users with tracks in a task, without scanning its tracks."""
        return self.engine.user_names(check_text(taskId, "taskId"))

    def getTaskIds(self) -> list[str]:
        """The sorted ids of all tasks with tracks, without scanning the tracks."""
        return self.engine.task_ids()

    # Runs

    def startRun(self, taskId: str | None = None) -> int:
        """Start a run and make it its task's current one; return its id."""
        return self.engine.start_run(None if taskId is None else check_text(taskId, "taskId"))

    def stopRun(self, taskId: str | None = None, runId: int = 0, finish: bool = True) -> int:
        """Stop a run: the task's current one, or that of an id. Return its id.

        Where it was the current run, the task is left with none.

        :param finish: mark it as finished; without, it has ended but was not finished.
        :returns: 0 if there is none to stop: the task has no current run, there is no run of
            that id (in that task), or it was stopped so before.
        """
        task = None if taskId is None else check_text(taskId, "taskId")
        run = check_run_id(runId)
        if task is not None and not run:
            run = self.engine.current_run(task)
        return self.engine.stop_run(task, run, bool(finish)) if run else 0

    def openRun(self, taskId: str, label: str) -> int:
        """The id of the task's run with that label, started if there is none.

        Asked twice, or by two processes at once, it is the same run. The current run stays.

        :param label: another system's name for it: a session id, say.
        """
        return self.engine.open_run(check_text(taskId, "taskId"), check_text(label, "label"))

    def getRun(self, runId: int | str | None = 0, taskId: str | None = None) -> Run | None:
        """The run of that id, or the current run of that task, or None.

        A positional text is a task id: ``getRun('a001')``.
        """
        if isinstance(runId, str):
            if taskId is not None:
                raise InvalidType("runId must be a whole number.")
            taskId, runId = runId, 0
        task = None if taskId is None else check_text(taskId, "taskId")
        try:
            number = check_run_id(runId)
        except InvalidRun:
            return None
        if not number and task is not None:
            number = self.engine.current_run(task)
        run = self.engine.run(number) if number else None
        return run if run is None or task is None or run.taskId in (None, task) else None

    @property
    def runs(self) -> Mapping[int, Run]:
        """All runs by their ids, read-only."""
        return _Runs(self.engine, "all")

    @property
    def finishedRuns(self) -> Mapping[int, Run]:
        """The finished runs by their ids, read-only."""
        return _Runs(self.engine, "finished")

    @property
    def currentRuns(self) -> Mapping[str, int]:
        """The id of the current run of each task that has one, read-only."""
        return _CurrentRuns(self.engine)

    # The mapping

    def __getitem__(self, id: str) -> Track:
        number = parse_track_id(id) if isinstance(id, str) else 0
        row = self.engine.track(number) if number else None
        if row is None:
            raise TrackNotFound(id)
        return self.trackFactory.from_row(row)

    def __iter__(self) -> Iterator[str]:
        return map(track_id, self.engine.numbers())

    def __len__(self) -> int:
        return self.engine.count(Criteria())

    def __contains__(self, id: object) -> bool:
        number = parse_track_id(id) if isinstance(id, str) else 0
        return bool(number) and self.engine.track(number) is not None

    def values(self) -> ValuesView[Track]:
        """The tracks, in order of their ids."""
        return _Values(self, self.iterTracks)

    def items(self) -> ItemsView[str, Track]:
        """The ids and their tracks, in order of the ids."""
        return _Items(self, lambda: ((track.id, track) for track in self.iterTracks()))

    # Two storages are equal where they are the same one; their contents are not compared.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    # Keeping

    def reindexTracks(self) -> None:
        """Build all indexes anew."""
        self.engine.reindex()

    def setupIndexes(self) -> None:
        """Build the indexes that the track type has gained since the storage was made.

        Until then a query by such an attribute gives the same, but reads more.
        """
        self.engine.setup_indexes()

    def transaction(self) -> AbstractContextManager[None]:
        """All that is saved in the ``with`` block, or (when it raises) nothing.

        :raises Unsupported: over HTTP; there one `saveUserTracks` is the atomic unit.
        """
        return self.engine.transaction()

    def info(self) -> Info:
        """What the storage holds, and what that takes."""
        return self.engine.info()

    def check(self) -> list[str]:
        """What is wrong with the storage; nothing if all is well. Reads all of it."""
        return self.engine.check()

    def close(self) -> None:
        """Give back what the storage holds open. Closing twice is no error."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    # Arguments

    def parse(self, criteria: Mapping[str, Any]) -> Criteria:
        """The criteria as one checked value."""
        return parse_criteria(attributes_of(self.trackFactory), criteria)

    def check_attributes(self, data: Mapping[str, Any]) -> None:
        """Refuse data that the indexes of the track type cannot hold.

        What is saved is checked already, but for a `Record`.

        :raises InvalidData: an index attribute is too long, or holds a NUL.
        """
        for name in attributes_of(self.trackFactory):
            value = data.get(name)
            if isinstance(value, str) and "\0" in value:
                raise InvalidData(
                    f"data[{name!r}] is an index attribute: it must not hold a NUL character."
                )
            size = len(value.encode()) if isinstance(value, str) else 0
            if size > TEXT_LIMIT:
                raise InvalidData(
                    f"data[{name!r}] is an index attribute: it must have at most {TEXT_LIMIT:,}"
                    f" bytes, not {size:,}."
                )

    def _records(
        self, tracks: Iterable[Mapping[str, Any] | Track | Record], runs: dict[object, int]
    ) -> Iterator[Record]:
        """The tracks as records; in ``runs`` the position of the first one of each run."""
        if isinstance(tracks, str | bytes | Mapping) or not isinstance(tracks, Iterable):
            raise InvalidType(f"tracks must be an iterable of tracks, not {kind_of(tracks)}.")
        has_attributes = bool(attributes_of(self.trackFactory))
        for position, item in enumerate(tracks):
            try:
                record = record_from(item)
                if has_attributes and type(item) is not Record:
                    self.check_attributes(decode_data(record.json))
            except TrackingError as error:
                error.args = (f"tracks[{position}]: {error}",)
                raise
            if record.runId:
                runs.setdefault(record.runId, position)
            yield record

    def _number_of(self, track: Track | str) -> int:
        if isinstance(track, Track):
            return track.number
        number = parse_track_id(track)
        if not number:
            raise TrackNotFound(track)
        return number


class Engine(ABC):
    """What an engine provides. Its arguments are checked; a run id 0 is the task's current run."""

    writers: ClassVar[int] = 1
    """So many threads that save at once get more done than one."""
    is_near: bool = False
    """A look-up by an index takes microseconds: it waits neither for a server nor for a writer."""
    is_patient: bool = True
    """Who asks about many tracks may wait for what makes later answers quick. Else it is made
    meanwhile, in a thread."""

    # Saving

    @abstractmethod
    def save(self, record: Record) -> Saved:
        """Store a record, unless its key was stored before."""

    @abstractmethod
    def save_over(self, record: Record, change: Change, timed: bool) -> Saved:
        """Change the last track of the record's (task, run, user), or store a new one.

        :param timed: give it the record's time stamp; else an existing track keeps its own.
        """

    @abstractmethod
    def save_all(self, records: Iterable[Record]) -> Receipt:
        """Store all records or, if one is refused or the iterable raises, none."""

    def save_but_commit(
        self,
        records: list[Record],  # noqa: ARG002
    ) -> tuple[Receipt, Callable[[], None]] | None:
        """Save without waiting, and give what commits it: for any thread, to be called once.

        Nobody else can save before that. None where this would have to wait for others, or where
        the engine has no such way.
        """
        return None

    @abstractmethod
    def update(self, number: int, json: str, overwrite: bool) -> bool:
        """Merge data into those of a track, or replace them; False if there is no such track."""

    @abstractmethod
    def remove(self, number: int) -> bool:
        """Remove a track; False if there is no such track."""

    # Reading

    @abstractmethod
    def last(self, taskId: str, runId: int, userName: str) -> Row | None:
        """The track with the highest time stamp, the highest number among equals."""

    @abstractmethod
    def select(self, criteria: Criteria) -> list[Row]:
        """What meets the criteria, in their order."""

    @abstractmethod
    def stream(self, criteria: Criteria) -> Iterator[Row]:
        """The same as `select` in constant memory, also while others save."""

    @abstractmethod
    def count(self, criteria: Criteria) -> int:
        """How many `select` would give."""

    @abstractmethod
    def track(self, number: int) -> Row | None:
        """The track of that number."""

    @abstractmethod
    def numbers(self) -> Iterator[int]:
        """The numbers of all tracks, ascending."""

    @abstractmethod
    def user_names(self, taskId: str) -> list[str]:
        """The sorted names of the users with tracks in a task."""

    @abstractmethod
    def task_ids(self) -> list[str]:
        """The sorted ids of all tasks with tracks."""

    # Counting

    def aggregate(self, question: Question) -> Answer:
        """The answer to a question about many tracks.

        An engine that has nothing quicker reads the tracks once, and keeps what it counts.
        """
        from cybertools.tracking.tally import answered

        return answered(question, self.stream, lambda: self.runs("all"))

    # Runs

    @abstractmethod
    def start_run(self, taskId: str | None) -> int:
        """A new run, the task's current one from now on."""

    @abstractmethod
    def stop_run(self, taskId: str | None, runId: int, finish: bool) -> int:
        """Stop that run (of that task, if one is given); 0 if there is nothing to stop."""

    @abstractmethod
    def open_run(self, taskId: str, label: str) -> int:
        """The one run of that task and label, made if there is none."""

    def open_runs(self, places: Sequence[tuple[str, str]]) -> list[int]:
        """`open_run` for each task and label, in their order.

        If it fails, some of them may be there all the same.
        """
        return [self.open_run(taskId, label) for taskId, label in places]

    @abstractmethod
    def run(self, runId: int) -> Run | None:
        """The run of that id."""

    @abstractmethod
    def current_run(self, taskId: str) -> int:
        """The id of the task's current run, or 0."""

    @abstractmethod
    def runs(self, state: RunState, after: int = 0) -> Iterator[Run]:
        """The runs in that state whose ids are higher than ``after``, in order of their ids."""

    @abstractmethod
    def count_runs(self, state: RunState) -> int:
        """How many runs are in that state."""

    # Moving: the contents as they are stored, given out and taken in. Tracks are given out by
    # `select` and `stream`.

    @abstractmethod
    def place(self) -> str:
        """What tells the stored contents from any other: two engines of one place share them."""

    @abstractmethod
    def highest(self) -> int:
        """The highest number that a track may have had; 0 where there was none.

        Saves that had begun are waited for: no track of a number up to this one appears later.

        :raises StorageUnavailable: one of them does not come to its end.
        """

    @abstractmethod
    def run_rows(self) -> Iterator[RunRow]:
        """All runs, in order of their ids."""

    @abstractmethod
    def spent_keys(self) -> Iterator[tuple[str, int]]:
        """All spent keys with the numbers of their tracks, in order of the keys."""

    @abstractmethod
    def put_runs(self, rows: list[RunRow]) -> None:
        """Store runs under their ids, in order of these. One that is there is brought up to date.

        The next run's id is higher than all of them.

        :raises InvalidValue: see `check_run_rows`.
        """

    @abstractmethod
    def put_tracks(self, rows: list[Row]) -> None:
        """Store tracks under their numbers, all or none. The next number is higher than all.

        :raises InvalidRun: the run of one of them is not there.
        :raises StorageError: there is a track of one of these numbers already.
        """

    @abstractmethod
    def put_keys(self, keys: list[tuple[str, int]]) -> None:
        """Spend keys for the tracks of these numbers; those that are spent stay as they are."""

    @abstractmethod
    def retire(self, number: int) -> None:
        """Give no number up to this one to a track that is saved from now on."""

    # Keeping

    @abstractmethod
    def reindex(self) -> None:
        """Build all indexes anew."""

    @abstractmethod
    def setup_indexes(self) -> None:
        """Build the indexes of the track type that are missing."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing of what is done within; may be nested."""

    @abstractmethod
    def info(self) -> Info:
        """What there is, and what it takes."""

    @abstractmethod
    def check(self) -> list[str]:
        """What is wrong, in words."""

    @abstractmethod
    def close(self) -> None:
        """Give back all resources."""


def attributes_of(trackFactory: type[Track]) -> tuple[str, ...]:
    """The index attributes that a track type has beyond the metadata.

    :raises InvalidType: the track type cannot be one.
    :raises InvalidValue: an attribute has a name that it cannot have.
    """
    known = _attributes.get(trackFactory)
    if known is not None:
        return known
    if not (isinstance(trackFactory, type) and issubclass(trackFactory, Track)):
        raise InvalidType(f"trackFactory must be a subclass of Track, not {trackFactory!r}.")
    names = tuple(dict.fromkeys(n for n in trackFactory.index_attributes if n not in METADATA))
    for name in names:
        if not is_attribute(name):
            raise InvalidValue(
                f"{trackFactory.__name__} cannot have the index attribute {name!r}: it must be a"
                " name that neither a criterion nor a track has already."
            )
    _attributes[trackFactory] = names
    return names


def is_attribute(name: object) -> bool:
    """Whether an index attribute may have that name."""
    return isinstance(name, str) and name.isidentifier() and name not in _TAKEN and name[0] != "_"


def check_run_rows(
    rows: Iterable[RunRow], there: Iterable[tuple[int, str | None, str | None]]
) -> None:
    """Refuse to put runs in the place of others.

    :param there: the id, the task and the label of all stored runs that have an id, or a task and
        a label, of these.
    :raises InvalidValue: another run has one of these ids, or one of these labels in its task.
    """
    names: dict[int, tuple[str | None, str | None]] = {}
    ids: dict[tuple[str | None, str], int] = {}
    for runId, task, label in (*there, *((row.id, row.taskId, row.label) for row in rows)):
        if names.setdefault(runId, (task, label)) != (task, label):
            raise InvalidValue(f"Another run has the id {runId} already.")
        if label is not None and ids.setdefault((task, label), runId) != runId:
            raise InvalidValue(
                f"Run {ids[task, label]} of that task has the label {label!r} already."
            )


_attributes: dict[type[Track], tuple[str, ...]] = {}
_TAKEN = {*CONTROLS, *dir(Track)}


class _Runs(Mapping[int, Run]):
    """A live, read-only view of the runs."""

    def __init__(self, engine: Engine, state: RunState) -> None:
        self._engine, self._state = engine, state

    def __getitem__(self, runId: int) -> Run:
        run = self._engine.run(runId) if isinstance(runId, int) and 0 < runId < 1 << 63 else None
        if run is None or (self._state == "finished" and not run.finished):
            raise KeyError(runId)
        return run

    def __iter__(self) -> Iterator[int]:
        return (run.id for run in self._engine.runs(self._state))

    def __len__(self) -> int:
        return self._engine.count_runs(self._state)

    def values(self) -> ValuesView[Run]:
        return _Values(self, lambda: self._engine.runs(self._state))

    def items(self) -> ItemsView[int, Run]:
        return _Items(self, lambda: ((run.id, run) for run in self._engine.runs(self._state)))

    def __repr__(self) -> str:
        return repr(dict(self.items()))


class _CurrentRuns(Mapping[str, int]):
    """A live, read-only view of the tasks' current runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getitem__(self, taskId: str) -> int:
        runId = self._engine.current_run(taskId) if isinstance(taskId, str) else 0
        if not runId:
            raise KeyError(taskId)
        return runId

    def __iter__(self) -> Iterator[str]:
        return (run.taskId for run in self._engine.runs("current") if run.taskId is not None)

    def __len__(self) -> int:
        return self._engine.count_runs("current")

    def items(self) -> ItemsView[str, int]:
        return _Items(
            self, lambda: ((r.taskId, r.id) for r in self._engine.runs("current") if r.taskId)
        )

    def __repr__(self) -> str:
        return repr(dict(self.items()))


_K = TypeVar("_K")
_V = TypeVar("_V")


class _Values(ValuesView[_V]):
    """Values that are streamed, where the mixin would look each one up."""

    def __init__(self, mapping: Mapping[Any, _V], stream: Callable[[], Iterator[_V]]) -> None:
        super().__init__(mapping)
        self._stream = stream

    def __iter__(self) -> Iterator[_V]:
        return self._stream()


class _Items(ItemsView[_K, _V]):
    """Items that are streamed, where the mixin would look each value up."""

    def __init__(
        self, mapping: Mapping[_K, _V], stream: Callable[[], Iterator[tuple[_K, _V]]]
    ) -> None:
        super().__init__(mapping)
        self._stream = stream

    def __iter__(self) -> Iterator[tuple[_K, _V]]:
        return self._stream()
