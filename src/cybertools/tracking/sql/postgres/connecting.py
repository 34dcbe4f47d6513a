"""Connections to a PostgreSQL, and its errors in the words of this package."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolClosed, PoolTimeout

from cybertools.tracking.errors import (
    SchemaError,
    StorageClosed,
    StorageError,
    StorageReadOnly,
    StorageUnavailable,
)

__all__ = [
    "UNKNOWN",
    "Connection",
    "InDoubt",
    "Undone",
    "broke",
    "first_line",
    "of_worker",
    "statement",
    "translated",
]

UNKNOWN = "It is not known whether this was stored; a save with a key can be repeated safely."


class Undone(psycopg.OperationalError):
    """The connection broke before the transaction was to be committed: nothing was stored."""


class InDoubt(psycopg.OperationalError):
    """The connection broke while the transaction was being committed."""


class Connection:
    """A connection that takes statements as the engines have them, with ``?`` for a value."""

    __slots__ = ("_copying", "_raw")

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw = raw
        self._copying: ExitStack | None = None

    @property
    def raw(self) -> psycopg.Connection[Any]:
        """The driver's connection, when what was copied before has arrived."""
        if self._copying is not None:
            self._end_copy(None, None, None)
        return self._raw

    def copy(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Send rows, within `copies`. The server goes on taking them until the next statement."""
        cursor = self.raw.cursor()
        self._copying = copying = ExitStack()
        copy = copying.enter_context(cursor.copy(sql.encode()))
        for row in rows:
            copy.write_row(row)

    @contextmanager
    def copies(self) -> Iterator["Connection"]:
        """A context at whose end all that was copied within it has arrived."""
        with ExitStack() as stack:
            stack.push(self._end_copy)
            yield self

    def _end_copy(self, *error: Any) -> bool:
        copying, self._copying = self._copying, None
        return copying is not None and bool(copying.__exit__(*error))

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        """Execute one statement."""
        return self.raw.execute(statement(sql), values)

    def execute_as_it_is(self, sql: str) -> psycopg.Cursor[Any]:
        """Execute a statement that holds its values."""
        return self.raw.execute(sql.encode())


@lru_cache(1_000)
def statement(sql: str) -> bytes:
    """A statement as the driver takes it."""
    return sql.replace("%", "%%").replace("?", "%s").encode()


@contextmanager
def translated() -> Iterator[None]:
    """The errors of this package for those of the driver."""
    try:
        yield
    except (psycopg.Error, PoolTimeout, PoolClosed) as error:
        raise _translation(error) from error


def broke(error: BaseException | None) -> bool:
    """Whether the connection is gone, so that the fate of what was sent last is not known."""
    if isinstance(error, PoolTimeout | PoolClosed):
        return False
    if isinstance(error, psycopg.OperationalError):
        # Connection exceptions, and shutdowns of several kinds.
        return (error.sqlstate or "08").startswith(("08", "57P"))
    return isinstance(error, psycopg.InterfaceError)


def first_line(error: Exception) -> str:
    """What the driver says, as far as one line of it says all, without a full stop."""
    line = str(error).strip().partition("\n")[0]
    for prefix in ("connection failed: ", "connection is bad: "):
        line = line.removeprefix(prefix)
    return " ".join(line.split()).rstrip(".")


def of_worker(error: BaseException | None) -> bool:
    """Whether it is a worker of a sharded PostgreSQL that cannot be reached."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    diag = error.diag
    elsewhere = "remote node" in (diag.message_primary or "") or (
        "while executing command on" in (diag.context or "")
    )
    return elsewhere and (error.sqlstate or "").startswith(("08", "57P"))


_MEANINGS: tuple[tuple[Any, type[StorageError], str], ...] = (
    (
        pg.FeatureNotSupported | pg.NotNullViolation | pg.NullValueNotAllowed,
        SchemaError,
        (
            "PostgreSQL refuses this: {}. If the storage was distributed since it was opened,"
            " open it again."
        ),
    ),
    (PoolClosed, StorageClosed, "The storage is closed."),
    (PoolTimeout, StorageUnavailable, "{}."),
    (Undone, StorageUnavailable, "The connection broke, and nothing was stored: {}."),
    (InDoubt, StorageUnavailable, f"The connection broke: {{}}. {UNKNOWN}"),
    (
        pg.ReadOnlySqlTransaction,
        StorageReadOnly,
        "The database can be read but not written: {}.",
    ),
    (pg.InsufficientPrivilege, StorageReadOnly, "This role lacks a right: {}."),
    (pg.DiskFull, StorageError, "The server's disk is full: {}."),
    (
        pg.SerializationFailure | pg.DeadlockDetected | pg.LockNotAvailable,
        StorageUnavailable,
        "Others were writing the same; try again: {}.",
    ),
    (pg.QueryCanceled | pg.TooManyConnections, StorageUnavailable, "PostgreSQL: {}."),
)
"""What errors of the driver are here, and what is said of them before or after its own words."""


def _translation(error: Exception) -> StorageError:
    first = first_line(error)
    if of_worker(error):
        return StorageUnavailable(
            "A worker of the sharded PostgreSQL cannot be reached, so neither can its users'"
            f" tracks; those of others can. Try again later: {first}."
        )
    for kinds, meaning, words in _MEANINGS:
        if isinstance(error, kinds):
            return meaning(words.format(first))
    if broke(error):
        if _REFUSED.search(first):
            return StorageError(f"PostgreSQL refuses the connection: {first}.")
        return StorageUnavailable(f"PostgreSQL cannot be reached: {first}.")
    return StorageError(f"PostgreSQL: {first}.")


# libpq tells no code of an error at the connecting: only its severity, then its words.
_REFUSED = re.compile(
    r"failed: FATAL: (?!the database system|sorry|remaining connection)|no password supplied"
)
