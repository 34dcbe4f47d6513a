"""A file that the SQLite engine has made: all baselines on SQLite use its tables and its settings.

So they differ from the engine, and from each other, in nothing but the way to the tables.
"""

from pathlib import Path

from cybertools.tracking import open_storage
from cybertools.tracking.sql.engine import SqlEngine
from cybertools.tracking.sql.pool import PRAGMAS, SYNCHRONOUS
from cybertools.tracking.sql.statements import Tables

__all__ = ["SETTINGS", "new_file"]

SETTINGS = [
    f"PRAGMA {name} = {value}"
    for name, value in (PRAGMAS | {"synchronous": SYNCHRONOUS["full"]}).items()
]
"""What the engine says to each connection; the write-ahead log is a property of the file."""


def new_file(directory: Path) -> tuple[Path, Tables]:
    """An empty file, and the names of its tables."""
    path = directory / "tracks.db"
    with open_storage(f"sqlite:{path}") as storage:
        assert isinstance(storage.engine, SqlEngine)
        return path, storage.engine.tables
