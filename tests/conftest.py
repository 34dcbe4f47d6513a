"""What the tests share: a fresh database of each engine, and how hard Hypothesis tries."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from cybertools.tracking import Storage, Track, open_storage

pytest.register_assert_rewrite("cybertools.tracking.testing")

from cybertools.tracking.testing import Opener  # noqa: E402
from tests.engines import ENGINES, EngineUnderTest, fresh_url  # noqa: E402
from tests.servers import stop_servers  # noqa: E402

settings.register_profile("dev", max_examples=25, stateful_step_count=30, deadline=None)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.fixture(params=ENGINES, ids=str)
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """Each engine in turn."""
    engine: EngineUnderTest = request.param
    return engine


@pytest.fixture
def url(engine: EngineUnderTest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of the engine."""
    with fresh_url(engine, tmp_path) as url:
        yield url


@pytest.fixture
def open(url: str) -> Iterator[Opener]:
    """A function that opens a storage in that database. They are closed after the test."""
    opened: list[Storage] = []

    def open(name: str = "tracks", trackFactory: type[Track] = Track) -> Storage:
        storage = open_storage(url, name, trackFactory)
        opened.append(storage)
        return storage

    yield open
    for storage in opened:
        storage.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested."""
    for engine in ENGINES:
        missing = engine.missing()
        if missing:
            terminalreporter.write_line(f"NOT TESTED: {engine}, {missing} is missing.", red=True)


def pytest_sessionfinish() -> None:
    """Leave no server behind. Not at exit: a worker of pytest-xdist ends without that."""
    stop_servers()
