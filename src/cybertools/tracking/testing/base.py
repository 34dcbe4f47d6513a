"""What the rooms of the contract suite share: the fixtures, and how tracks are compared."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import pytest

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.track import Track

__all__ = ["BaseContract", "Comment", "Opener", "at", "ids", "plain"]

MAY = 1_178_011_680.0
"""2007-05-01 09:28 UTC."""


class Opener(Protocol):
    """Opens the storage of that name in the database of the test, which is empty at first."""

    def __call__(self, name: str = "tracks", trackFactory: type[Track] = Track) -> Storage: ...


class Comment(Track):
    """A track type with an index attribute of its own."""

    typeName = "Comment"
    index_attributes = (*Track.index_attributes, "state")


class BaseContract:
    """The fixtures of the contract suite."""

    @pytest.fixture
    def open(self) -> Opener:
        """A function that opens a storage in the test's own database: see `Opener`."""
        raise NotImplementedError("A subclass of StorageContract provides the fixture 'open'.")

    @pytest.fixture
    def reopens(self) -> bool:
        """Whether a storage that was closed can be opened again, with all that it held."""
        return True

    @pytest.fixture
    def transactional(self) -> bool:
        """Whether the engine has transactions; else ``transaction()`` is `Unsupported`."""
        return True

    @pytest.fixture
    def keys_of_users(self) -> bool:
        """Whether a key is unique for each user only, because the users are in many places."""
        return False

    @pytest.fixture
    def tracks(self, open: Opener) -> Iterator[Storage]:
        """An empty storage. Whatever the test does to it, it passes its own check at the end."""
        with open() as tracks:
            yield tracks
            assert tracks.check() == []


def at(seconds: float) -> float:
    """A time stamp, so many seconds after a fixed one."""
    return MAY + seconds


def ids(tracks: Iterable[Track]) -> list[str]:
    """The ids of the tracks."""
    return [track.id for track in tracks]


def plain(track: Track) -> tuple[Any, ...]:
    """All of a track, to be compared; the data as text, in which 1, 1.0 and true differ."""
    return (
        track.id,
        track.taskId,
        track.runId,
        track.userName,
        track.timeStamp,
        json.dumps(track.data),
    )
