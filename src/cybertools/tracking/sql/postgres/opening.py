"""From a URL to a storage in a PostgreSQL database."""

import time

import psycopg

from cybertools.tracking.interfaces import Storage, attributes_of
from cybertools.tracking.sql.postgres.address import Address, address_from
from cybertools.tracking.sql.postgres.connecting import Connection, translated
from cybertools.tracking.sql.postgres.distributed import DistributedEngine
from cybertools.tracking.sql.postgres.engine import PostgresEngine
from cybertools.tracking.sql.postgres.pooling import PAUSE_SECONDS, Pool
from cybertools.tracking.sql.postgres.schema import prepared, stored_in
from cybertools.tracking.sql.postgres.steps import has_citus
from cybertools.tracking.track import Track

__all__ = ["first_connection", "names_in", "open_database"]


def open_database(url: str, name: str, factory: type[Track], durability: str) -> Storage:
    """The storage of that name in that database, made if it is not there."""
    attributes = attributes_of(factory)
    address = address_from(url)
    with translated(), first_connection(address) as raw:
        stored = prepared(Connection(raw), name, attributes)
        shards = stored.layout == "distributed" and has_citus(Connection(raw))
    pool = Pool(address, durability)
    engine = (
        DistributedEngine(pool, stored.tables, attributes, shards)
        if stored.layout == "distributed"
        else PostgresEngine(pool, stored.tables, attributes)
    )
    return Storage(engine, name, factory)


def names_in(url: str) -> list[str]:
    """The sorted names of the storages in that database."""
    with translated(), first_connection(address_from(url)) as raw:
        return [stored.name for stored in stored_in(Connection(raw))]


def first_connection(address: Address) -> psycopg.Connection[tuple[object, ...]]:
    """A connection outside the pool: waits for a server that starts, not for one not there."""
    deadline = time.monotonic() + address.wait_seconds
    while True:
        try:
            return psycopg.connect(address.conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            if "the database system is" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)
