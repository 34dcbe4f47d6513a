"""Tracks that are saved in the background, so that who records one waits for nothing."""

import atexit
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from types import FrameType
from typing import Any, NamedTuple
from weakref import WeakSet

from cybertools.tracking.errors import (
    InvalidType,
    InvalidValue,
    StorageError,
    TrackingError,
    Unsupported,
)
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.opening import open_storage
from cybertools.tracking.values import kind_of, now

__all__ = ["Recorder"]

LONGEST_PAUSE = 30.0
"""Seconds between two attempts at a storage that is down."""

RUNS_KNOWN = 10_000
"""Runs whose ids are remembered."""

_log = logging.getLogger("cybertools.tracking.middleware")


class _Waiting(NamedTuple):
    track: dict[str, Any]
    label: str | None


class Recorder:
    """A bounded buffer of tracks, and a thread that saves them in batches.

    `record` puts a track into the buffer and returns. The thread begins with the first track, in
    each process: after a fork parent and child have a buffer of their own. When the process ends,
    what is in the buffer is saved.

    What could not be saved is counted (`dropped`) and logged, never raised: the buffer was full
    (the storage is down, or slower than the requests), the storage refused the track, or it was
    still down when the process ended.

    :param storage: a storage, or the URL of one. A URL is the better choice for a server that
        forks. A storage that cannot be reached is tried again later.
    :param name: with a URL: which storage of that database.
    :param capacity: tracks that may wait.
    :param batch: tracks that are saved together at most.
    :param interval: seconds until a track is saved at the latest, if the storage keeps up.
    :param patience: seconds that the end of the process may take.
    :param sigterm: where nobody handles SIGTERM, make it an ordinary exit: else Python ends on the
        spot, and the buffer with it.
    :raises TrackingError: there is no engine for that URL, or an argument is out of range.
    """

    def __init__(
        self,
        storage: Storage | str,
        name: str = "tracks",
        *,
        capacity: int = 10_000,
        batch: int = 500,
        interval: float = 1.0,
        patience: float = 10.0,
        sigterm: bool = True,
    ) -> None:
        if not isinstance(storage, Storage | str):
            raise InvalidType(f"storage must be a Storage or a URL, not {kind_of(storage)}.")
        for option, value in (("capacity", capacity), ("batch", batch), ("interval", interval)):
            if not value > 0:
                raise InvalidValue(f"{option} must be more than 0, not {value}.")
        self._opener = partial(open_storage, storage, name) if isinstance(storage, str) else None
        self._capacity, self._batch = capacity, batch
        self._interval, self.patience = interval, patience
        self._storage = None if isinstance(storage, str) else storage
        self._inherited: list[Storage | None] = []
        self._begin_life()
        if self._opener is not None:
            try:
                self._open()
            except StorageError as error:
                self._down = True
                _log.error("Tracks wait: %s", error)
        _recorders.add(self)
        if sigterm:
            _exit_on_sigterm()

    def _begin_life(self) -> None:
        """What each process has for itself."""
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._waiting: deque[_Waiting] = deque()
        self._taken: deque[_Waiting] = deque()
        self._runs: dict[tuple[str, str], int] = {}
        self._thread: threading.Thread | None = None
        self._dropped = self._told = self._recorded = 0
        self._down = False
        self._origin = secrets.token_hex(6)

    @property
    def dropped(self) -> int:
        """How many tracks of this process were not saved and never will be."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """How many tracks are not saved yet."""
        return len(self._waiting) + len(self._taken)

    def record(self, track: Mapping[str, Any], label: str | None = None) -> bool:
        """Have a track saved soon. Never waits, and raises nothing for what is in the track.

        :param track: ``taskId``, ``userName``, ``data``, perhaps ``timeStamp``, as for
            `Storage.saveUserTracks`.
        :param label: of its run; None is the task's current run.
        :returns: False if it was dropped.
        """
        entry = {"timeStamp": now(), **track}
        with self._lock:
            if self._closing.is_set() or len(self._waiting) >= self._capacity:
                self._dropped += 1
                return False
            # A batch whose end nobody has seen is saved again: the keys say what is there already.
            self._recorded += 1
            entry.setdefault("key", f"{self._origin}-{self._recorded}")
            self._waiting.append(_Waiting(entry, label))
            full = len(self._waiting) >= self._batch
            if self._thread is None:
                self._start()
        if full:
            self._wake.set()
        return True

    def reject(self, reason: object) -> None:
        """Count and log a track that could not even be made."""
        with self._lock:
            self._dropped += 1
            self._told += 1
        _log.error("A track was dropped: %s", reason)

    def flush(self, wait: float = 0.0) -> bool:
        """Save what is waiting, now; try again for ``wait`` seconds where the storage is down.

        :returns: False if something waits still, which is logged after having waited.
        """
        end = time.monotonic() + wait
        while not self._save_all():
            if time.monotonic() >= end:
                if wait:
                    _log.error("%d tracks are not saved yet.", self.waiting)
                return False
            time.sleep(0.1)
        return True

    def close(self) -> None:
        """Save what is waiting, in `patience` seconds at most, and stop. Twice is no error."""
        if self._closing.is_set():
            return
        with self._lock:
            self._closing.set()
        self._wake.set()
        end = time.monotonic() + self.patience
        if self._thread is not None:
            self._thread.join(self.patience)
        finished = self._thread is None or not self._thread.is_alive()
        if finished:
            self.flush(max(end - time.monotonic(), 0))
        self._tell("the buffer was full")
        self._dropped += self.waiting
        self._tell("the storage could not save them before the end")
        if finished and self._opener is not None and self._storage is not None:
            self._storage.close()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="tracks", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is about to end: what waits is saved by `close`
            self._thread = None

    def _work(self) -> None:
        pause = self._interval
        while not self._closing.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            if self._save_all():
                pause = self._interval
            else:
                # Not woken by a buffer that fills up: that is what a storage that is down does.
                pause = min(2 * pause, LONGEST_PAUSE)
                self._closing.wait(pause)
            self._tell("the buffer was full")

    def _save_all(self) -> bool:
        with self._saving:
            while self.waiting:
                while self._waiting and len(self._taken) < self._batch:
                    self._taken.append(self._waiting.popleft())
                try:
                    self._save(self._taken)
                except Exception as error:  # noqa: BLE001 - no error may end the thread
                    if not self._down:
                        self._down = True
                        expected = isinstance(error, StorageError)
                        _log.error("Tracks wait: %s", error, exc_info=not expected)
                    return False
            if self._down:
                self._down = False
                _log.info("The storage for tracks is there again.")
            return True

    def _save(self, taken: deque[_Waiting]) -> None:
        storage = self._open()
        try:
            self._save_together(storage, taken)
        except StorageError:
            raise
        except TrackingError:
            while taken:
                try:
                    self._save_together(storage, [taken[0]])
                except StorageError:
                    raise
                except TrackingError as error:
                    self.reject(error)
                taken.popleft()
        taken.clear()

    def _save_together(self, storage: Storage, taken: Sequence[_Waiting]) -> None:
        """Save tracks and the runs that begin with them, all or nothing."""
        with ExitStack() as stack:
            with suppress(Unsupported):  # over HTTP; a run may then be opened for nothing
                stack.enter_context(storage.transaction())
            try:
                storage.saveUserTracks([self._placed(storage, waiting) for waiting in taken])
            except BaseException:
                self._runs.clear()  # some of them are undone
                raise

    def _placed(self, storage: Storage, waiting: _Waiting) -> dict[str, Any]:
        track, label = waiting
        if label is None:
            return track
        place = track["taskId"], label
        runId = self._runs.get(place)
        if runId is None:
            if len(self._runs) >= RUNS_KNOWN:
                self._runs.clear()
            runId = self._runs[place] = storage.openRun(*place)
        return {**track, "runId": runId}

    def _open(self) -> Storage:
        storage = self._storage
        if storage is None and self._opener is not None:
            storage = self._storage = self._opener()
        assert storage is not None  # noqa: S101 - there is one, or a way to it
        return storage

    def _tell(self, why: str) -> None:
        with self._lock:
            new, self._told = self._dropped - self._told, self._dropped
        if new:
            _log.error("%d tracks were dropped: %s.", new, why)

    def forked(self) -> None:
        """Begin anew in a child: the tracks that wait are the parent's, who saves them."""
        self._begin_life()
        if self._opener is not None:
            # Kept, since a connection that is given up would say good-bye in the parent's name.
            self._inherited.append(self._storage)
            self._storage = None


_recorders: WeakSet[Recorder] = WeakSet()


def _close_all() -> None:
    for recorder in list(_recorders):
        recorder.close()


def _all_forked() -> None:
    for recorder in list(_recorders):
        recorder.forked()


def _exit_on_sigterm() -> None:
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_all_forked)
