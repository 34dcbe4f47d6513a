"""Connections to one SQLite file, shared by the threads of this process."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import gettempdir

from cybertools.tracking.errors import (
    SchemaError,
    StorageClosed,
    StorageError,
    StorageReadOnly,
    StorageUnavailable,
)

__all__ = ["BUSY_SECONDS", "Pool"]

BUSY_SECONDS = 300.0
"""How long a call waits for another process that writes. Long: a bulk save may take minutes."""

PRAGMAS = {
    "cache_size": -32_000,  # KiB: the inner pages of the indexes of a few million tracks
    "fullfsync": 1,  # macOS: without it a flush ends in the disk's own memory
    "temp_store": "MEMORY",
}

SYNCHRONOUS = {"full": "FULL", "normal": "NORMAL", "off": "OFF"}


class Pool:
    """Connections to a file, opened as they are needed.

    Without a path there is one connection, to a database in memory, for one thread at a time.
    """

    def __init__(self, path: str, durability: str) -> None:
        self.path = path
        self._pragmas = PRAGMAS | {"synchronous": SYNCHRONOUS[durability]}
        self._closed = False
        self._idle: list[sqlite3.Connection] = []
        self._inherited: list[sqlite3.Connection] = []
        self._begin_life()
        self.give(self._connect())

    def _begin_life(self) -> None:
        self._pid = os.getpid()
        self._own = threading.local()
        # Writers of this process queue for this lock, in turn. SQLite's own queue, for writers of
        # other processes, is a repeated question with pauses between.
        self._turn = threading.Lock()

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is in a transaction."""
        return self._held() is not None

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection; the transaction's, where this thread is in one."""
        held = self._held()
        return self.writing() if held is None and not self.path else _Reading(self, held)

    @contextmanager
    def counting(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with, for statements that sort many rows.

        With files at hand SQLite sorts in blocks of memory, a quarter to a half faster than row by
        row, and needs no more of it than the cache. Where one writes it would use them as well.
        """
        with self.reading() as connection:
            if connection.in_transaction or not _has_files():
                yield connection
                return
            connection.execute("PRAGMA temp_store = FILE")
            try:
                yield connection
            finally:
                connection.execute(f"PRAGMA temp_store = {PRAGMAS['temp_store']}")

    @contextmanager
    def writing(self, patience: float = BUSY_SECONDS) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, or in a savepoint where this thread is in one.

        :param patience: how long, in seconds, it waits for each of the others that write; those
            of this process in turn, where it is not less than the usual.
        """
        connection = self._held()
        try:
            if connection is not None:
                with _whole(connection, "SAVEPOINT part", "ROLLBACK TO part; RELEASE part"):
                    yield connection
                    connection.execute("RELEASE part")
                return
            with self._in_turn(patience):
                connection = self._own.connection = self.take()
                try:
                    with _whole(connection, "BEGIN IMMEDIATE", "ROLLBACK", patience):
                        yield connection
                        connection.execute("COMMIT")
                finally:
                    self._own.connection = None
                    self.give(connection)
        except sqlite3.Error as error:
            raise self.translated(error) from error

    @contextmanager
    def handed_over(self) -> Iterator[tuple[sqlite3.Connection, Callable[[], None]]]:
        """A connection in a transaction, and what commits it: for any thread, after the context.

        :raises StorageUnavailable: it would have to wait for others.
        """
        if self._held() is not None or not self._turn.acquire(blocking=False):
            raise StorageUnavailable(f"{self.path} is being written to.")
        try:
            # One that reads as well: what it has read stays valid when it writes itself.
            connection = self.take()
        except BaseException:
            self._turn.release()
            raise
        try:
            with _whole(connection, "BEGIN IMMEDIATE", "ROLLBACK", 0.0):
                yield connection, lambda: self._commit(connection)
        except BaseException as error:
            self._end(connection)
            if isinstance(error, sqlite3.Error):
                raise self.translated(error) from error
            raise

    def _commit(self, connection: sqlite3.Connection) -> None:
        try:
            with _undone_by(connection, "ROLLBACK"):
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self.translated(error) from error
        finally:
            self._end(connection)

    def _end(self, connection: sqlite3.Connection) -> None:
        self.give(connection)
        self._turn.release()

    @contextmanager
    def _in_turn(self, patience: float) -> Iterator[None]:
        if not self._turn.acquire(timeout=patience if patience < BUSY_SECONDS else -1):
            raise StorageUnavailable(f"{self.path} is being written to.")
        try:
            yield
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the connections that are idle now, and the others when they are given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _held(self) -> sqlite3.Connection | None:
        if self._pid != os.getpid():
            # SQLite forbids to carry a connection over a fork, even to close it: closing gives up
            # the locks of the parent. A database in memory belongs to the child like all memory.
            if self.path:
                self._inherited += self._idle
                self._idle = []
            self._begin_life()
        return getattr(self._own, "connection", None)

    def take(self) -> sqlite3.Connection:
        """A connection that is idle, or a new one."""
        if self._closed:
            raise StorageClosed("The storage is closed.")
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def give(self, connection: sqlite3.Connection) -> None:
        """Take a connection back."""
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        path = self.path or ":memory:"
        if self.path and Path(path).is_dir():
            raise StorageError(f"{path} is a directory, not a SQLite file.")
        if self.path and not Path(path).absolute().parent.is_dir():
            raise StorageError(f"There is no directory {Path(path).absolute().parent}.")
        try:
            connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            for name, value in self._pragmas.items():
                connection.execute(f"PRAGMA {name} = {value}")
        except sqlite3.Error as error:
            raise self.translated(error) from error
        return connection

    def translated(self, error: sqlite3.Error) -> StorageError:
        """The error of this package for one of SQLite's."""
        name = getattr(error, "sqlite_errorname", "")
        path = self.path or "The database in memory"
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StorageUnavailable(
                f"{path} is locked: another process has been writing for {BUSY_SECONDS:.0f} s."
            )
        if name.startswith("SQLITE_READONLY"):
            return StorageReadOnly(f"{path} can be read but not written.")
        if name == "SQLITE_NOTADB":
            return SchemaError(f"{path} is not a SQLite database.")
        if name == "SQLITE_FULL":
            return StorageError(f"{path} cannot grow: the disk is full.")
        if name.startswith("SQLITE_CANTOPEN"):
            return StorageError(f"{path} cannot be opened: is there a right to read and write it?")
        if name.startswith("SQLITE_CORRUPT"):
            return StorageError(f"{path} is damaged: {error}.")
        return StorageError(f"{path}: {error}.")


def _has_files() -> bool:
    """Whether there is a directory for temporary files."""
    try:
        return bool(gettempdir())
    except FileNotFoundError:
        return False


class _Reading:
    """A connection to read with, for a moment. A generator would take as long as the read."""

    __slots__ = ("_connection", "_held", "_pool")

    def __init__(self, pool: Pool, held: sqlite3.Connection | None) -> None:
        """Read with the connection that is held, or with one of the pool."""
        self._pool, self._held = pool, held

    def __enter__(self) -> sqlite3.Connection:
        self._connection = self._held or self._pool.take()
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._held is None:
            self._pool.give(self._connection)
        if isinstance(error, sqlite3.Error):
            raise self._pool.translated(error) from error


@contextmanager
def _whole(
    connection: sqlite3.Connection, begin: str, undo: str, patience: float = BUSY_SECONDS
) -> Iterator[None]:
    if patience < BUSY_SECONDS:
        connection.execute(f"PRAGMA busy_timeout = {1_000 * patience:.0f}")
    try:
        connection.execute(begin)
    finally:
        if patience < BUSY_SECONDS:
            connection.execute(f"PRAGMA busy_timeout = {1_000 * BUSY_SECONDS:.0f}")
    with _undone_by(connection, undo):
        yield


@contextmanager
def _undone_by(connection: sqlite3.Connection, undo: str) -> Iterator[None]:
    """Undo what has been done, where something goes wrong."""
    try:
        yield
    except BaseException:
        # Some errors, a full disk for one, have ended the transaction already.
        if connection.in_transaction:
            for statement in undo.split("; "):
                connection.execute(statement)
        raise
