"""The connections of a storage to its PostgreSQL, kept from one call to the next."""

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolTimeout

from cybertools.tracking.sql.postgres.address import Address
from cybertools.tracking.sql.postgres.connecting import first_line
from cybertools.tracking.sql.postgres.dialect import DataLoader
from cybertools.tracking.sql.postgres.direct import DirectConnection

__all__ = ["CONNECTIONS", "Pool"]

CONNECTIONS = 16
"""At most so many at once for each storage; further threads wait for one."""

LOANS = 1_000
"""After so many the connection that was kept goes through the library's pool."""

PAUSE_SECONDS = 0.2
"""Between two attempts to reach a server that is not there."""


class Pool:
    """Connections that are made as they are needed, and only handed out while they live.

    A forked process makes its own: two that talk over one connection would get each other's
    answers.
    """

    def __init__(self, address: Address, durability: str) -> None:
        self.wait_seconds = address.wait_seconds
        self._address = address
        self._durability = durability
        self._is_closed = False
        self._inherited: list[object] = []
        self._begin_life()

    def _begin_life(self) -> None:
        self._pid = os.getpid()
        self._pool = _Pool(self._address, self._durability)
        # One connection at most is kept outside the library's pool, which does for each loan what
        # takes as long as a fourth of a look-up. Changes of a list are atomic.
        self._spare: list[DirectConnection] = []
        self._takers: list[None] = []
        self._loans = 0

    @contextmanager
    def connection(self) -> Iterator[DirectConnection]:
        """A connection, for as long as the context lasts.

        :raises PoolTimeout: there was none within the wait.
        """
        raw = self._take()
        try:
            yield raw
        finally:
            self._give(raw)

    def _take(self) -> DirectConnection:
        if self._pid != os.getpid():
            # And not closed: that would end the parent's.
            self._inherited += [self._pool, *self._spare]
            self._begin_life()
        if (spare := self._usable()) is not None:
            return spare
        self._takers.append(None)
        try:
            # Once more: who gave it back meanwhile did not know that somebody would wait.
            return self._usable() or self._pool.getconn()
        finally:
            self._takers.pop()

    def _usable(self) -> DirectConnection | None:
        try:
            raw = self._spare.pop()
        except IndexError:
            return None
        if not _has_something_to_read(raw.fileno()):
            return raw
        self._pool.putconn(raw)  # which finds out what it is
        return None

    def _give(self, raw: DirectConnection) -> None:
        self._loans += 1
        idle = raw.pgconn.transaction_status == TransactionStatus.IDLE
        # Now and then the pool has it, so that it can end when it is too old.
        if not idle or self._spare or not self._loans % LOANS:
            self._pool.putconn(raw)
            return
        self._spare.append(raw)
        if self._takers or self._is_closed:
            self._give_up_spare()

    def _give_up_spare(self) -> None:
        with suppress(IndexError):
            self._pool.putconn(self._spare.pop())

    def close(self) -> None:
        """Close the connections that are idle now, and the others when they are given back."""
        self._is_closed = True
        if self._pid == os.getpid():
            self._give_up_spare()
            self._pool.close()


class _Pool(ConnectionPool[DirectConnection]):
    """The library's pool, which finds a server again at once and tells why it does not."""

    def __init__(self, address: Address, durability: str) -> None:
        self._closing = closing = Event()
        self._failures = failures = list[str]()

        def is_over(deadline: float) -> bool:
            waiting = self.get_stats().get("requests_waiting", 0)
            return closing.wait(PAUSE_SECONDS) or not (waiting or time.monotonic() < deadline)

        class Persistent(DirectConnection):
            """A connection that is tried for anew as long as somebody waits for one.

            The pool's own attempts have pauses between that double: a server that is back after
            16 s would be noticed after 31.
            """

            @classmethod
            def connect(cls, conninfo: str = "", **options: Any) -> "Persistent":
                deadline = time.monotonic() + address.wait_seconds
                while True:
                    try:
                        connection = super().connect(conninfo, **options)
                    except psycopg.OperationalError as error:
                        failures[:] = [first_line(error)]
                        if is_over(deadline):
                            raise
                    else:
                        failures.clear()
                        return connection

        def configure(connection: psycopg.Connection[Any]) -> None:
            connection.adapters.register_loader("json", DataLoader)
            if durability != "full":
                connection.execute("SET synchronous_commit = off")

        super().__init__(
            address.conninfo,
            min_size=0,
            max_size=CONNECTIONS,
            timeout=address.wait_seconds,
            reconnect_timeout=0,
            kwargs={"autocommit": True},
            connection_class=Persistent,
            configure=configure,
            check=self._refuse_dead,
            open=True,
        )

    def getconn(self, timeout: float | None = None) -> DirectConnection:
        """See `ConnectionPool.getconn`."""
        try:
            return super().getconn(timeout)
        except PoolTimeout:
            why = f"All {CONNECTIONS} connections of this storage are in use."
            if self._failures:
                why = f"PostgreSQL cannot be reached: {self._failures[0]}."
            raise PoolTimeout(f"{why} Waited {self.timeout:g} s.") from None

    def close(self, timeout: float = 5.0) -> None:
        """See `ConnectionPool.close`."""
        self._closing.set()
        super().close(timeout)

    def _refuse_dead(self, connection: psycopg.Connection[Any]) -> None:
        """Find out, without asking the server, that it has closed an idle connection.

        Such a connection has something to read. Else the next save would fail without anybody
        knowing whether it was stored.
        """
        if not _has_something_to_read(connection.fileno()):
            return
        try:
            connection.execute("")
        except psycopg.Error:
            # Hardly the only one, and for each that is found one by one the pool makes a pause.
            self.check()
            raise


def _has_something_to_read(file: int) -> bool:
    if sys.platform == "win32":  # it has no poll; elsewhere select fails beyond file 1,023
        return bool(select.select([file], [], [], 0)[0])
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))
