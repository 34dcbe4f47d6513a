"""What the tests of the remote engine share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.testing import Comment
from tests.remote.cutting import Proxy, proxied
from tests.services import service_of


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKS_TOKEN", raising=False)


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of an empty database."""
    return f"sqlite:{tmp_path}/tracks.db"


@pytest.fixture
def url(database: str) -> Iterator[str]:
    """The URL of a service of that database."""
    with service_of(database) as url:
        yield url


@pytest.fixture
def cut(url: str) -> Iterator[tuple[Proxy, Storage]]:
    """A proxy that cuts, and a storage behind it."""
    with proxied(url) as (proxy, address), open_storage(address, trackFactory=Comment) as tracks:
        yield proxy, tracks
