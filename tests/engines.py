"""The engines under test. One that joins needs an entry in `ENGINES`, nothing else.

An engine whose package or server is missing is skipped, and named at the end of the run; where the
environment variable ``CI`` is set its tests fail.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from tests.servers import distributed_database, missing_postgres, postgres_database
from tests.services import missing_service, served

__all__ = ["ENGINES", "EngineUnderTest", "fresh_url", "give_up"]


@dataclass(frozen=True)
class EngineUnderTest:
    """How to get a database to test in, and what the engine can do by its nature."""

    name: str
    fresh: Callable[[Path], AbstractContextManager[str]]
    """The URL of an empty database, given an empty folder; what it needs ends with the context."""
    reopens: bool = True
    """What was saved is there when the storage is opened again."""
    shared: bool = True
    """Several processes can have it open at once."""
    transactional: bool = True
    """It has ``transaction()``."""
    keys_of_users: bool = False
    """A key is unique for each user, not in the whole storage."""
    missing: Callable[[], str] = lambda: ""
    """What it needs that is not here; empty if all is."""

    def __str__(self) -> str:
        return self.name


def url(pattern: str) -> Callable[[Path], AbstractContextManager[str]]:
    """A database that needs no more than a URL, perhaps of a file in ``{folder}``."""

    @contextmanager
    def fresh(folder: Path) -> Iterator[str]:
        yield pattern.format(folder=folder)

    return fresh


def package(name: str) -> Callable[[], str]:
    """What is missing where a package is not installed."""
    return lambda: "" if find_spec(name) else f"the package {name}"


ENGINES = [
    EngineUnderTest("memory", url("memory:"), reopens=False, shared=False),
    EngineUnderTest("zodb", url("zodb:{folder}/tracks.fs"), shared=False, missing=package("ZODB")),
    EngineUnderTest("sqlite-memory", url("sqlite:"), reopens=False, shared=False),
    EngineUnderTest("sqlite", url("sqlite:{folder}/tracks.db")),
    EngineUnderTest("postgres", postgres_database, missing=missing_postgres),
    EngineUnderTest(
        "postgres-distributed", distributed_database, keys_of_users=True, missing=missing_postgres
    ),
    EngineUnderTest(
        "http-sqlite",
        served(url("sqlite:{folder}/tracks.db")),
        transactional=False,
        missing=missing_service,
    ),
    EngineUnderTest(
        "http-postgres",
        served(postgres_database),
        transactional=False,
        missing=lambda: missing_service() or missing_postgres(),
    ),
]


def give_up(subject: object, missing: str) -> NoReturn:
    """End a test whose subject needs what is missing: skipped, but failed where ``CI`` is set."""
    end = pytest.fail if os.environ.get("CI") else pytest.skip
    end(f"{subject} is not tested: {missing} is missing")


@contextmanager
def fresh_url(engine: EngineUnderTest, folder: Path) -> Iterator[str]:
    """The URL of an empty database of that engine."""
    missing = engine.missing()
    if missing:
        give_up(engine, missing)
    with engine.fresh(folder) as url:
        yield url
