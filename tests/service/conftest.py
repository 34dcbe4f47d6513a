"""What the tests of the service share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.running import Running, running


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of an empty database."""
    return f"sqlite:{tmp_path}/tracks.db"


@pytest.fixture
def tracks(database: str) -> Iterator[Running]:
    """A service of an empty database."""
    with running(database) as service:
        yield service
