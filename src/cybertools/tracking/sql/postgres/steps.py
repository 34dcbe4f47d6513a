"""Changes of the tables of a PostgreSQL database: step by step, one process at a time."""

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cybertools.tracking.errors import StorageUnavailable
from cybertools.tracking.sql.postgres.address import WAIT_SECONDS
from cybertools.tracking.sql.postgres.connecting import Connection
from cybertools.tracking.sql.statements import Tables

__all__ = ["LOCK", "SCHEMA", "Step", "has_citus", "in_turn", "orphaned_keys"]

SCHEMA = "tracking"
"""The schema that all tables of ours are in."""

LOCK = zlib.crc32(SCHEMA.encode())
"""The advisory lock of whoever changes the tables."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a change. It may be done again, as one that was cut off has to be."""

    purpose: str
    sql: str
    """Statements, each ended by ``;`` and a line's end, with the tables' names in braces."""
    done: str = ""
    """A SELECT that says whether there is nothing to do; without it there always is."""
    alone: bool = False
    """The statements take no transaction, since others go on using the table meanwhile."""
    citus: bool = False
    """Only for a database with Citus."""

    def is_done(self, connection: Connection, tables: Tables, citus: bool) -> bool:
        """Whether there is nothing to do."""
        if self.citus and not citus:
            return True
        return bool(self.done) and bool(_value(connection, _filled(self.done, tables, False)))

    def statements(self, connection: Connection, tables: Tables) -> list[str]:
        """The statements, with all names filled in."""
        return _filled(self.sql, tables, _is_logical(connection)).strip().split(";\n")

    def perform(self, connection: Connection, tables: Tables, *record: str) -> None:
        """Do the step, and record that it is done."""
        statements = self.statements(connection, tables)
        if self.alone:
            for statement in statements:
                connection.execute(statement)
            statements = []
        with connection.raw.transaction():
            for statement in (*statements, *record):
                connection.execute(statement)

    def perform_within(self, connection: Connection, tables: Tables) -> None:
        """Do the step within a transaction, on tables that nobody else knows yet."""
        for statement in _filled(self.sql, tables, False).strip().split(";\n"):
            connection.execute(statement.replace(" CONCURRENTLY", ""))


def orphaned_keys(tables: Tables) -> str:
    """The table of the spent keys of which no track tells the user, where that matters."""
    return f"{tables.keys}_orphaned"


def has_citus(connection: Connection) -> bool:
    """Whether the database has the extension that distributes tables."""
    return bool(_value(connection, "SELECT count(*) FROM pg_extension WHERE extname = 'citus'"))


def in_turn(attempt: Callable[[], _T | None]) -> _T:
    """Attempt until it gives something.

    Whoever waits for the lock must not do so in a statement: ``CREATE INDEX CONCURRENTLY`` waits
    for all statements that have begun, and so would its holder for them.

    :raises StorageUnavailable: another process has changed the tables all the time.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := attempt()) is None:
        if time.monotonic() > deadline:
            raise StorageUnavailable("Another process is changing the tables; try again later.")
        time.sleep(0.05)
    return found


def _filled(sql: str, tables: Tables, logical: bool) -> str:
    return sql.format(
        schema=SCHEMA,
        prefix=tables.prefix,
        tracks=tables.tracks,
        runs=tables.runs,
        keys=tables.keys,
        view=tables.view,
        orphaned=orphaned_keys(tables),
        concurrently="_concurrently" if logical else "",
    )


def _is_logical(connection: Connection) -> bool:
    """Whether Citus can move rows while others write."""
    logical = (
        "SELECT current_setting('wal_level') = 'logical'"
        # A PostgreSQL that has this setting lets only those libraries read its log.
        " AND coalesce(current_setting('output_plugin_libraries', TRUE), 'citus') LIKE '%citus%'"
    )
    return bool(_value(connection, logical))


def _value(connection: Connection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    return row[0] if row else None
