"""Statements that are called all the time, past the driver's cursors.

A cursor that finds out anew how each value is to be sent, and each column to be read, takes two
thirds of the time of a look-up. These send text under the name of a statement that the server
keeps, and have the answer as it came.
"""

import re
from collections.abc import Sequence
from itertools import count
from typing import Any, TypeAlias
from zlib import crc32

import psycopg
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from cybertools.tracking.sql.postgres.connecting import Undone

__all__ = ["Direct", "DirectConnection", "Fields"]

Fields: TypeAlias = list[bytes]
"""The values of a row, none of which is NULL, as text."""


class DirectConnection(psycopg.Connection[Any]):
    """A connection that knows which of these statements its server keeps for it."""

    kept: set[bytes]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.kept = set()


class Direct:
    """A statement with ``?`` for each value, which answers with one row of values or none."""

    def __init__(self, sql: str) -> None:
        place = count(1)
        self.sql = sql
        self._sql = re.sub(r"\?", lambda _: f"${next(place)}", sql).encode()
        self._name = b"tracks_%08x" % crc32(self._sql)

    def row(self, raw: DirectConnection, values: Sequence[str | int | float]) -> Fields | None:
        """Execute it outside a transaction.

        :raises psycopg.Error: as a cursor does.
        """
        sent = [str(value).encode() for value in values]
        if b"\0" in b"".join(sent):  # where the text would end
            raise psycopg.DataError("PostgreSQL text cannot contain NUL")
        try:
            result = self._execute(raw, sent)
        except psycopg.errors.InvalidSqlStatementName:
            # DISCARD, or another server behind a PgBouncer: this one never heard of it.
            raw.kept.discard(self._name)
            result = self._execute(raw, sent)
        if not result.ntuples:
            return None
        return [result.get_value(0, column) or b"" for column in range(result.nfields)]

    def _execute(self, raw: DirectConnection, values: list[bytes]) -> PGresult:
        connection = raw.pgconn
        if self._name not in raw.kept:
            try:
                connection.send_prepare(self._name, self._sql)
                _result(raw)
            except psycopg.OperationalError as error:
                if raw.broken:  # before anything could be stored
                    raise Undone(str(error)) from error
                raise
            raw.kept.add(self._name)
        connection.send_query_prepared(self._name, values)
        return _result(raw)


def _result(raw: DirectConnection) -> PGresult:
    result: PGresult = raw.wait(execute(raw.pgconn))[-1]
    if result.status not in _DONE:
        raise psycopg.errors.error_from_result(result)
    return result


_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
