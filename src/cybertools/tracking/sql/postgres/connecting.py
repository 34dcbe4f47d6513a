"""Connections to a PostgreSQL, and its errors in the words of this package."""

import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

__all__ = ["Connection", "check", "of_worker", "statement", "translated"]


class Connection:
    """A connection that takes statements as the engines have them, with ``?`` for a value."""

    __slots__ = ("raw",)

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        """Execute one statement."""
        return self.raw.execute(statement(sql), values)

    def execute_as_it_is(self, sql: str) -> psycopg.Cursor[Any]:
        """Execute a statement that holds its values."""
        return self.raw.execute(sql.encode())


def check(connection: psycopg.Connection[Any]) -> None:
    """Find out, without asking the server, that it has closed an idle connection.

    Such a connection has something to read. Else the next save would fail without anybody knowing
    whether it was stored.
    """
    if select.select([connection.fileno()], [], [], 0)[0]:
        connection.execute("")


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


def of_worker(error: BaseException | None) -> bool:
    """Whether it is a worker of a sharded PostgreSQL that cannot be reached."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    diag = error.diag
    elsewhere = "remote node" in (diag.message_primary or "") or (
        "while executing command on" in (diag.context or "")
    )
    return elsewhere and (error.sqlstate or "").startswith(("08", "57P"))


def _translation(error: Exception) -> StorageError:
    first = str(error).strip().partition("\n")[0]
    if of_worker(error):
        return StorageUnavailable(
            f"A worker of the sharded PostgreSQL cannot be reached, so neither can its users'"
            f" tracks; those of others can. Try again later: {first}"
        )
    if isinstance(error, pg.FeatureNotSupported | pg.NotNullViolation | pg.NullValueNotAllowed):
        return SchemaError(
            f"PostgreSQL refuses this: {first}. If the storage was distributed since it was"
            " opened, open it again."
        )
    if isinstance(error, PoolClosed):
        return StorageClosed("The storage is closed.")
    if isinstance(error, pg.ReadOnlySqlTransaction):
        return StorageReadOnly(f"The database can be read but not written: {first}.")
    if isinstance(error, pg.InsufficientPrivilege):
        return StorageReadOnly(f"This role lacks a right: {first}.")
    if isinstance(error, pg.DiskFull):
        return StorageError(f"The server's disk is full: {first}.")
    if isinstance(error, pg.SerializationFailure | pg.DeadlockDetected | pg.LockNotAvailable):
        return StorageUnavailable(f"Others were writing the same; try again: {first}.")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | PoolTimeout):
        return StorageUnavailable(f"PostgreSQL cannot be reached: {first}")
    return StorageError(f"PostgreSQL: {first}")
