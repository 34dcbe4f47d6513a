"""Who takes part: what a contender must be able to do, and the list of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

__all__ = ["CONTENDERS", "Contender", "Data", "Entry", "JsonTrack"]

Data: TypeAlias = dict[str, Any]
JsonTrack: TypeAlias = dict[str, Any]
"""A track as a line of a dataset has it: taskId, userName, timeStamp, data."""


class Contender(Protocol):
    """A way of keeping tracks. Each answer is complete: the data of each track are decoded.

    A task's tracks belong to its current run, which is started with the first of them. A track is
    named by its number, from 1 in order of saving. What a contender has no way for raises
    `NotImplementedError`.
    """

    def prepare(self, tracks: list[JsonTrack]) -> Any:
        """What `save_all` takes for these tracks. Not timed."""

    def save_all(self, prepared: Any) -> None:
        """Save many tracks in one transaction."""

    def save(self, taskId: str, userName: str, data: Data) -> None:
        """Save one track in the task's current run, now; on a file, durably."""

    def last(self, taskId: str, runId: int, userName: str) -> Data | None:
        """The track with the highest time stamp."""

    def within(self, timeFrom: float, timeTo: float, limit: int) -> Sequence[Data]:
        """The first tracks of a time range, in order of number."""

    def page(self, taskId: str, after: int, limit: int) -> Sequence[Data]:
        """The tracks of a task that come after that number, in order of number."""

    def newest(self, taskId: str, limit: int) -> Sequence[Data]:
        """The tracks of a task with the highest time stamps, in descending order."""

    def count(self, taskId: str) -> int:
        """How many tracks a task has."""

    def user_names(self, taskId: str) -> list[str]:
        """The sorted names of the users with tracks in a task."""

    def task_ids(self) -> list[str]:
        """The sorted ids of all tasks with tracks."""

    def close(self) -> None:
        """Give back all resources; afterwards all is in the file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A contender's place on the list."""

    name: str
    open: Callable[[Path], Contender]
    """Makes a new, empty one; what it writes goes into that directory."""
    baseline: str | None
    """Whom its ratios refer to."""
    is_engine: bool = False
    in_file: bool = True
    largest: int | None = None
    """The most tracks that it is tried with; the reason stands at the entry."""


def _memory(_directory: Path) -> Contender:
    from bench.engines import StorageContender

    return StorageContender("memory:")


def _catalogue(_directory: Path) -> Contender:
    from bench.baselines.catalogue import Catalogue

    return Catalogue()


def _sqlite(directory: Path) -> Contender:
    from bench.engines import StorageContender

    return StorageContender(f"sqlite:{directory / 'tracks.db'}")


def _raw_sqlite3(directory: Path) -> Contender:
    from bench.baselines.raw_sqlite3 import RawSqlite3

    return RawSqlite3(directory)


def _sqlalchemy_core(directory: Path) -> Contender:
    from bench.baselines.sqlalchemy_core import SqlalchemyCore

    return SqlalchemyCore(directory)


def _sqlite_utils(directory: Path) -> Contender:
    from bench.baselines.sqlite_utils import SqliteUtils

    return SqliteUtils(directory)


def _diskcache(directory: Path) -> Contender:
    from bench.baselines.diskcache import DiskCache

    return DiskCache(directory)


def _postgres(directory: Path) -> Contender:
    from bench.engines import StorageContender
    from bench.postgres import new_database

    return StorageContender(new_database(directory))


def _raw_psycopg(directory: Path) -> Contender:
    from bench.baselines.raw_psycopg import RawPsycopg

    return RawPsycopg(directory)


CONTENDERS = {
    entry.name: entry
    for entry in (
        Entry("memory", _memory, "catalogue", is_engine=True, in_file=False),
        Entry("catalogue", _catalogue, None, in_file=False),
        Entry("sqlite", _sqlite, "raw sqlite3", is_engine=True),
        Entry("raw sqlite3", _raw_sqlite3, None),
        Entry("SQLAlchemy Core", _sqlalchemy_core, "raw sqlite3"),
        Entry("sqlite-utils", _sqlite_utils, "raw sqlite3"),
        # Several rows of its table for each track: a million would take half of the whole run.
        Entry("diskcache", _diskcache, "raw sqlite3", largest=100_000),
        Entry("postgres", _postgres, "raw psycopg", is_engine=True),
        Entry("raw psycopg", _raw_psycopg, None),
    )
}
