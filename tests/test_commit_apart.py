"""Saving in one thread and committing in another, as the service does with a SQLite file."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.errors import InvalidRun
from cybertools.tracking.interfaces import Receipt
from cybertools.tracking.record import Record, record_from


def records(*users: str, **more: object) -> list[Record]:
    """New tracks of these users in one task."""
    return [record_from({"taskId": "a01", "userName": user, "data": {}, **more}) for user in users]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A SQLite file that is not there yet."""
    return f"sqlite:{tmp_path / 'tracks.db'}"


def begun(tracks: Storage, *users: str) -> tuple[Receipt, Callable[[], None]]:
    """What was saved but for the commit, and what commits it."""
    found = tracks.engine.save_but_commit(records(*users))
    assert found is not None
    return found


def saved(tracks: Storage) -> list[str]:
    return [track.userName for track in tracks.query()]


def test_tracks_are_there_after_the_commit_of_another_thread(url: str) -> None:
    with open_storage(url) as tracks, open_storage(url) as other:
        receipt, commit = begun(tracks, "u1", "u2")
        assert receipt.numbers == [1, 2]
        assert saved(other) == saved(tracks) == []
        thread = threading.Thread(target=commit)
        thread.start()
        thread.join()
        assert saved(other) == saved(tracks) == ["u1", "u2"]
        assert tracks.check() == []


def test_other_savers_wait_for_the_commit(url: str) -> None:
    with open_storage(url) as tracks:
        _, commit = begun(tracks, "u1")
        saver = threading.Thread(target=tracks.saveUserTrack, args=("a01", 0, "u2", {}))
        saver.start()
        assert saved(tracks) == []
        commit()
        saver.join()
        assert saved(tracks) == ["u1", "u2"]


def test_who_would_have_to_wait_saves_nothing(url: str) -> None:
    with open_storage(url) as tracks, open_storage(url) as other:
        with other.transaction():
            other.saveUserTrack("a01", 0, "u1", {})
            assert tracks.engine.save_but_commit(records("u2")) is None
        with tracks.transaction():
            assert tracks.engine.save_but_commit(records("u2")) is None
        _, commit = begun(tracks, "u3")
        assert tracks.engine.save_but_commit(records("u4")) is None
        commit()
        assert saved(tracks) == ["u1", "u3"]


def test_what_is_refused_leaves_nothing_behind(url: str) -> None:
    with open_storage(url) as tracks:
        with pytest.raises(InvalidRun):
            tracks.engine.save_but_commit([*records("u1"), *records("u2", runId=7)])
        assert saved(tracks) == []
        tracks.saveUserTrack("a01", 0, "u3", {})
        assert saved(tracks) == ["u3"]


@pytest.mark.parametrize("url", ["memory:", "sqlite::memory:"])
def test_engines_without_a_file_have_no_such_way(url: str) -> None:
    with open_storage(url) as tracks:
        assert tracks.engine.save_but_commit(records("u1")) is None
