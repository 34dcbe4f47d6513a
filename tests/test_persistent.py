"""``TrackingStorage`` lives in anybody's ZODB, and takes part in its transactions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cybertools.tracking.btree import TrackingStorage
from cybertools.tracking.testing import Comment, ids

transaction = pytest.importorskip("transaction")
ZODB = pytest.importorskip("ZODB")
FileStorage = pytest.importorskip("ZODB.FileStorage").FileStorage
ConflictError = pytest.importorskip("ZODB.POSException").ConflictError

WRITERS, TIMES = 4, 25


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "site.fs")


@pytest.fixture
def db(path: str) -> Iterator[Any]:
    """A database with a storage at ``tracks``, besides other things."""
    db = ZODB.DB(FileStorage(path))
    with db.transaction() as connection:
        connection.root()["tracks"] = TrackingStorage()
        connection.root()["visits"] = 0
    yield db
    db.close()


def work(db: Any, number: int) -> list[str]:
    """Save tracks in transactions of one's own, and again where others were quicker."""
    manager = transaction.TransactionManager()
    connection = db.open(manager)
    given: list[str] = []
    while len(given) < TIMES:
        manager.begin()
        try:
            data = {"n": len(given)}
            id = connection.root()["tracks"].saveUserTrack("a001", 0, f"u{number}", data)
            manager.commit()
            given.append(id)
        except ConflictError:
            manager.abort()
    connection.close()
    return given


def test_connections_save_at_once(db: Any) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        given = list(pool.map(lambda number: work(db, number), range(WRITERS)))
    with db.transaction() as connection:
        tracks = connection.root()["tracks"]
        assert sorted(id for each in given for id in each) == list(tracks)
        assert len(tracks) == WRITERS * TIMES
        for number, each in enumerate(given):
            found = tracks.query(userName=f"u{number}")
            assert ids(found) == each
            assert [track.data["n"] for track in found] == list(range(TIMES))
        assert len(tracks.runs) == 1
        assert tracks.check() == []


def test_tracks_are_committed_with_everything_else(db: Any) -> None:
    manager = transaction.TransactionManager()
    root = db.open(manager).root()
    root["visits"] += 1
    root["tracks"].saveUserTrack("a001", 0, "u1", {}, key="k")
    root["tracks"].openRun("a001", "label")
    manager.abort()
    assert (root["visits"], len(root["tracks"]), len(root["tracks"].runs)) == (0, 0, 0)
    root["visits"] += 1
    assert root["tracks"].save("a001", 0, "u1", {}, key="k").outcome == "stored"
    manager.commit()
    with db.transaction() as connection:
        assert (connection.root()["visits"], len(connection.root()["tracks"])) == (1, 1)
        assert connection.root()["tracks"].check() == []
    root._p_jar.close()


def test_a_savepoint_takes_tracks_back(db: Any) -> None:
    with db.transaction() as connection:
        tracks = connection.root()["tracks"]
        kept = tracks.saveUserTrack("a001", 0, "u1", {"n": 1})
        savepoint = connection.transaction_manager.savepoint()
        tracks.saveUserTrack("a002", 0, "u2", {"n": 2})
        tracks.updateTrack(kept, {"n": 3})
        savepoint.rollback()
        assert list(tracks) == [kept]
        assert tracks[kept].data == {"n": 1}
        assert tracks.getTaskIds() == ["a001"]
        assert tracks.check() == []


def test_a_storage_is_kept_with_its_type(path: str) -> None:
    db = ZODB.DB(FileStorage(path))
    with db.transaction() as connection:
        connection.root()["comments"] = TrackingStorage(trackFactory=Comment, name="comments")
        connection.root()["comments"].saveUserTrack("page", 0, "u1", {"state": "new"})
    db.close()
    db = ZODB.DB(FileStorage(path))
    with db.transaction() as connection:
        comments = connection.root()["comments"]
        (comment,) = comments.query(state="new")
        assert type(comment) is Comment
        assert comments.name == "comments"
        assert comments.getRun("page").id == 1
        assert comments.check() == []
    db.close()
