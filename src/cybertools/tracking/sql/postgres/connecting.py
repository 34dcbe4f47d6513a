"""Connections to a PostgreSQL, and its errors in the words of this package."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolClosed, PoolTimeout

from cybertools.tracking.errors import (
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

    __slots__ = ("raw",)

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        """Execute one statement."""
        return self.raw.execute(statement(sql), values)


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


def _translation(error: Exception) -> StorageError:
    first = first_line(error)
    if isinstance(error, PoolClosed):
        return StorageClosed("The storage is closed.")
    if isinstance(error, PoolTimeout):
        return StorageUnavailable(str(error))
    if isinstance(error, Undone):
        return StorageUnavailable(f"The connection broke, and nothing was stored: {first}.")
    if isinstance(error, InDoubt):
        return StorageUnavailable(f"The connection broke: {first}. {UNKNOWN}")
    if isinstance(error, pg.ReadOnlySqlTransaction):
        return StorageReadOnly(f"The database can be read but not written: {first}.")
    if isinstance(error, pg.InsufficientPrivilege):
        return StorageReadOnly(f"This role lacks a right: {first}.")
    if isinstance(error, pg.DiskFull):
        return StorageError(f"The server's disk is full: {first}.")
    if isinstance(error, pg.SerializationFailure | pg.DeadlockDetected | pg.LockNotAvailable):
        return StorageUnavailable(f"Others were writing the same; try again: {first}.")
    if isinstance(error, pg.QueryCanceled | pg.TooManyConnections):
        return StorageUnavailable(f"PostgreSQL: {first}.")
    if broke(error):
        if _REFUSED.search(first):
            return StorageError(f"PostgreSQL refuses the connection: {first}.")
        return StorageUnavailable(f"PostgreSQL cannot be reached: {first}.")
    return StorageError(f"PostgreSQL: {first}.")


# libpq tells no code of an error at the connecting: only its severity, then its words.
_REFUSED = re.compile(
    r"failed: FATAL: (?!the database system|sorry|remaining connection)|no password supplied"
)
