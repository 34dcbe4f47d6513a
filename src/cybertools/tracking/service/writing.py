"""Group commit: saves that arrive together share one transaction.

Requests hand over what they have to save and wait. One thread takes all that has come, stores it in
one transaction, and answers each after the commit; meanwhile the next ones gather. So a save costs
a share of a flush to disk, the less the more there is to do, and nothing waits for a timer. Where
an engine gets more done with several writers there are several such threads.

A small group is saved in the event loop where the engine can do so without waiting, as soon as no
further request is there to be read: between any two statements a thread would wait for Python
longer than they take. The commit is a thread's, unless the disk is so quick that to wake one takes
as long.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import TypeAlias

from cybertools.tracking.codec import Item
from cybertools.tracking.errors import (
    StorageClosed,
    StorageError,
    StorageReadOnly,
    StorageUnavailable,
    TrackingError,
)
from cybertools.tracking.interfaces import Receipt, Saved, Storage
from cybertools.tracking.record import Record

__all__ = ["Answer", "Overloaded", "Unit", "Writer", "store"]

Answer: TypeAlias = list[Saved | TrackingError] | TrackingError
"""What became of each of a unit's tracks; one error, where it is refused as a whole."""

FEW = 128
"""Up to so many tracks are saved in the event loop: what takes a millisecond at the most."""

QUICK = 0.001
"""A commit that takes no more seconds is done in the event loop as well."""

log = logging.getLogger(__name__)


class Overloaded(StorageUnavailable):
    """There is too much to do at this moment. Nothing was stored."""


@dataclass(slots=True, eq=False)
class Unit:
    """What one request saves."""

    items: Sequence[Item]
    atomic: bool
    """All or nothing."""
    future: asyncio.Future[Answer]


@dataclass(slots=True, eq=False)
class _Saved:
    """What has been saved, but for the commit."""

    units: list[Unit]
    saved: list[Saved]
    commit: Callable[[], None]


class Writer:
    """Saves for one storage, from one event loop."""

    def __init__(
        self,
        storage: Storage,
        waiting: int,
        group: int,
        committed: Callable[[list[Answer]], None],
    ) -> None:
        """Start the threads.

        :param waiting: so many tracks may wait.
        :param group: with so many tracks a transaction is large enough: no more are added.
        :param committed: is called in the event loop after each commit, with its answers.
        """
        self._storage = storage
        self._most = waiting
        self._group = group
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._arrived: list[Unit] = []
        self._queue: SimpleQueue[list[Unit] | _Saved | None] = SimpleQueue()
        self._at_work = 0
        """Groups that the threads have not answered yet."""
        self._commits = False
        """Whether what they are at is only a commit."""
        self._flush = QUICK
        """Seconds that the last commit took; none is known yet."""
        self.waiting = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"writer {number}", daemon=True)
            for number in range(storage.engine.writers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another track."""
        return self.waiting >= self._most

    def submit(
        self, items: Sequence[Item], atomic: bool = False, goes_on: bool = False
    ) -> asyncio.Future[Answer]:
        """Have tracks stored; the future is done after the commit.

        :param goes_on: they go on with what was taken just now, and so have room.
        :raises Overloaded: too many wait already.
        """
        if self.is_full and not goes_on:
            raise Overloaded(f"{self.waiting:,} tracks wait to be stored.")
        future = self._loop.create_future()
        if not self._arrived:
            self._loop.call_soon(self._look, 0)
        self._arrived.append(Unit(items, atomic, future))
        self.waiting += len(items)
        return future

    async def close(self) -> None:
        """Store what waits, and end the threads."""
        self._queue_up()
        self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _look(self, before: int) -> None:
        """Begin to store what has arrived, if nothing more came in this turn of the loop."""
        count = len(self._arrived)
        if before < count < FEW:
            self._loop.call_soon(self._look, count)
        else:
            self._begin()

    def _begin(self) -> None:
        if self._commits or not self._arrived:  # during a commit the next ones gather
            return
        saved = None if self._at_work else self._saved_here()
        if saved is None:
            self._queue_up()
            return
        self._arrived = []
        self._at_work += 1
        if self._flush >= QUICK:
            self._commits = True
            self._queue.put(saved)
            return
        answers = self._commit(saved)
        if answers is None:
            self._queue.put(saved.units)
        else:
            self._answer(1, saved.units, answers)

    def _saved_here(self) -> _Saved | None:
        units = self._arrived
        if sum(len(unit.items) for unit in units) > FEW:
            return None
        items = [item for unit in units for item in unit.items]
        if not all(map(_is_new, items)):
            return None
        records = [item.record for item in items]
        try:
            begun = self._storage.engine.save_but_commit(records)
        except Exception:  # noqa: BLE001  # the thread finds out whose it is, and tells
            return None
        if begun is None:
            return None
        receipt, commit = begun
        return _Saved(units, _outcomes(receipt), commit)

    def _queue_up(self) -> None:
        units: list[Unit] = []
        count = 0
        for unit in self._arrived:
            units.append(unit)
            count += len(unit.items)
            if count >= self._group:
                self._put(units)
                units, count = [], 0
        if units:
            self._put(units)
        self._arrived = []

    def _put(self, units: list[Unit]) -> None:
        self._at_work += 1
        self._queue.put(units)

    def _commit(self, work: _Saved) -> list[Answer] | None:
        """The answers after the commit; None if it fails, so that nothing is stored."""
        start = time.perf_counter()
        try:
            work.commit()
        except TrackingError:
            return None
        except Exception as error:  # noqa: BLE001
            return _failed(error, work.units)
        finally:
            self._flush = time.perf_counter() - start
        return _split(work.saved, work.units)

    # In the threads

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            groups = 1
            answers: list[Answer] | None = None
            if isinstance(work, _Saved):
                units, answers = work.units, self._commit(work)
            else:
                units = work
                groups += self._add_waiting(units)
            if answers is None:
                answers = store(self._storage, units)
            self._loop.call_soon_threadsafe(self._answer, groups, units, answers)
        self._queue.put(None)  # for the next thread

    def _add_waiting(self, units: list[Unit]) -> int:
        """Add what has come meanwhile, until the group is large enough; how many groups."""
        count = sum(len(unit.items) for unit in units)
        added = 0
        with suppress(Empty):
            while count < self._group:
                more = self._queue.get_nowait()
                if not isinstance(more, list):
                    self._queue.put(more)
                    break
                units += more
                added += 1
                count += sum(len(unit.items) for unit in more)
        return added

    def _answer(self, groups: int, units: list[Unit], answers: list[Answer]) -> None:
        self._at_work -= groups
        if self._commits:
            self._commits = False
            self._begin()  # so that the disk works while these are answered
        self._committed(answers)
        for unit, answer in zip(units, answers, strict=True):
            self.waiting -= len(unit.items)
            if not unit.future.done():  # its request may have been cancelled
                unit.future.set_result(answer)


# What a commit does


def store(storage: Storage, units: list[Unit]) -> list[Answer]:
    """Store units in one transaction, as long as nothing is wrong with them.

    A track that is refused is refused alone, unless its unit is atomic.
    """
    try:
        return _stored(storage, units)
    except Exception as error:  # noqa: BLE001
        # The thread has to live: each who waits for it would wait for ever.
        return _failed(error, units)


def _failed(error: Exception, units: list[Unit]) -> list[Answer]:
    log.error("A group of saves has failed.", exc_info=error)
    failed = StorageError("The service has failed; it is not known whether this was stored.")
    failed.__cause__ = error
    return [failed] * len(units)


_FINAL = (StorageUnavailable, StorageClosed, StorageReadOnly)
"""What another try by itself will not change."""


def _stored(storage: Storage, units: list[Unit]) -> list[Answer]:
    items = [item for unit in units for item in unit.items]
    try:
        return _split(_save_all(storage, items), units)
    except _FINAL as error:
        return [error] * len(units)
    except TrackingError as error:
        if len(items) == 1:
            return [error]
    # One of them is refused. Each by itself tells which, still in one transaction.
    try:
        with storage.transaction():
            return [_save_unit(storage, unit, StorageError) for unit in units]
    except _FINAL as error:
        return [error] * len(units)
    except TrackingError:
        return [_save_unit(storage, unit, ()) for unit in units]


def _split(saved: list[Saved], units: list[Unit]) -> list[Answer]:
    answers: list[Answer] = []
    start = 0
    for unit in units:
        answers.append([*saved[start : start + len(unit.items)]])
        start += len(unit.items)
    return answers


def _save_unit(
    storage: Storage, unit: Unit, passed: type[TrackingError] | tuple[()]
) -> list[Saved | TrackingError] | TrackingError:
    """Save a unit, track by track if it is not atomic.

    :param passed: errors that are no answer, but end the whole.
    """
    if unit.atomic:
        return _save_whole(storage, unit, passed)
    answer: list[Saved | TrackingError] = []
    for item in unit.items:
        try:
            answer += _save_all(storage, [item])
        except passed:
            raise
        except TrackingError as error:
            answer.append(error)
    return answer


def _save_whole(
    storage: Storage, unit: Unit, passed: type[TrackingError] | tuple[()]
) -> list[Saved | TrackingError] | TrackingError:
    answer: list[Saved | TrackingError] = []
    try:
        with storage.transaction():
            for item in unit.items:
                answer += _save_all(storage, [item])
    except passed:
        raise
    except TrackingError as error:
        error.args = (f"tracks[{len(answer)}]: {error}",)
        return error
    return answer


def _save_all(storage: Storage, items: Sequence[Item]) -> list[Saved]:
    """Save tracks in their order: all, or none and an error."""
    if all(map(_is_new, items)):
        return _save_new(storage, [item.record for item in items])
    with storage.transaction():
        saved: list[Saved] = []
        for is_new, group in groupby(items, key=lambda item: item.change is None):
            if is_new:
                saved += _save_new(storage, [_in_run(storage, item) for item in group])
            else:
                saved += _save_over(storage, group)
        return saved


def _is_new(item: Item) -> bool:
    """Whether it is saved as it is, whatever there is."""
    return item.change is None and item.label is None


def _save_new(storage: Storage, records: list[Record]) -> list[Saved]:
    if len(records) == 1:
        return [storage.engine.save(records[0])]
    # They are checked already; and a list an engine may save again where that is safe.
    return _outcomes(storage.engine.save_all(records))


def _outcomes(receipt: Receipt) -> list[Saved]:
    duplicates = set(receipt.duplicates)
    return [
        Saved(number, "duplicate" if place in duplicates else "stored")
        for place, number in enumerate(receipt.numbers)
    ]


def _save_over(storage: Storage, items: Iterable[Item]) -> list[Saved]:
    save_over = storage.engine.save_over
    return [
        save_over(_in_run(storage, item), item.change, item.timed)
        for item in items
        if item.change is not None
    ]


def _in_run(storage: Storage, item: Item) -> Record:
    if item.label is None:
        return item.record
    return item.record._replace(runId=storage.openRun(item.record.taskId, item.label))
