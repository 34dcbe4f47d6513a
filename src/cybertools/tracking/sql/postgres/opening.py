"""From a URL to a storage in a PostgreSQL database."""

from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from cybertools.tracking.interfaces import Storage, attributes_of
from cybertools.tracking.sql.postgres.connecting import Connection, check, translated
from cybertools.tracking.sql.postgres.dialect import DataLoader
from cybertools.tracking.sql.postgres.distributed import DistributedEngine
from cybertools.tracking.sql.postgres.engine import WAIT_SECONDS, PostgresEngine
from cybertools.tracking.sql.postgres.schema import prepared, stored_in
from cybertools.tracking.sql.postgres.steps import has_citus
from cybertools.tracking.track import Track

__all__ = ["names_in", "open_database"]

CONNECTIONS = 16
"""At most so many at once for each storage; further threads wait for one."""


def open_database(url: str, name: str, factory: type[Track], durability: str) -> Storage:
    """The storage of that name in that database, made if it is not there."""
    attributes = attributes_of(factory)
    with translated(), psycopg.connect(url, autocommit=True) as raw:
        stored = prepared(Connection(raw), name, attributes)
        shards = stored.layout == "distributed" and has_citus(Connection(raw))

    def configure(connection: psycopg.Connection[Any]) -> None:
        connection.adapters.register_loader("json", DataLoader)
        if durability != "full":
            connection.execute("SET synchronous_commit = off")

    pool = ConnectionPool(
        url,
        min_size=0,
        max_size=CONNECTIONS,
        timeout=WAIT_SECONDS,
        kwargs={"autocommit": True},
        configure=configure,
        check=check,
        open=True,
    )
    engine = (
        DistributedEngine(pool, stored.tables, attributes, shards)
        if stored.layout == "distributed"
        else PostgresEngine(pool, stored.tables, attributes)
    )
    return Storage(engine, name, factory)


def names_in(url: str) -> list[str]:
    """The sorted names of the storages in that database."""
    with translated(), psycopg.connect(url, autocommit=True) as raw:
        return [stored.name for stored in stored_in(Connection(raw))]
