"""Storages as a whole: several in one database, indexes, transactions, closing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cybertools.tracking.errors import StorageClosed, Unsupported
from cybertools.tracking.interfaces import Info, Storage
from cybertools.tracking.testing.base import BaseContract, Comment, Opener, at, ids, plain

__all__ = ["KeepingContract"]

NAMES = [
    "tracks",
    "changes",
    "Changes",
    "a b",
    "ä😀",
    "tracks_runs",
    "storages",
    "x" * 1000,
    "'\"`;",
]


class Stop(Exception):
    """Ends a transaction."""


@contextmanager
def failing(tracks: Storage) -> Iterator[None]:
    """A transaction that fails at its end."""
    try:
        with tracks.transaction():
            yield
            raise Stop
    except Stop:
        return
    pytest.fail("The transaction kept the error to itself.")


def fill(tracks: Storage) -> None:
    """Some of everything."""
    for n in range(20):
        tracks.saveUserTrack(f"a{n % 3}", 0, f"u{n % 2}", {"n": n}, timeStamp=at(-n), key=f"k{n}")
    tracks.removeTrack("0000020")
    tracks.stopRun("a0")
    tracks.openRun("a1", "label")


def everything(tracks: Storage) -> list[Any]:
    """What a storage holds, as seen from outside."""
    return [
        [*map(plain, tracks.query())],
        [*map(plain, tracks.query(order="-timeStamp"))],
        list(tracks),
        {task: tracks.getUserNames(task) for task in tracks.getTaskIds()},
        dict(tracks.runs),
        dict(tracks.finishedRuns),
        dict(tracks.currentRuns),
    ]


CALLS: dict[str, Callable[[Storage], Any]] = {
    "saveUserTrack": lambda t: t.saveUserTrack("a", 0, "u", {}),
    "replace": lambda t: t.saveUserTrack("a", 0, "u", {}, replace=True),
    "saveUserTracks": lambda t: t.saveUserTracks([{"taskId": "a", "userName": "u", "data": {}}]),
    "updateTrack": lambda t: t.updateTrack("0000001", {}),
    "removeTrack": lambda t: t.removeTrack("0000001"),
    "getUserTracks": lambda t: t.getUserTracks("a", 0, "u"),
    "getLastUserTrack": lambda t: t.getLastUserTrack("a", 0, "u"),
    "query": lambda t: t.query(taskId="a"),
    "iterTracks": lambda t: list(t.iterTracks()),
    "countTracks": lambda t: t.countTracks(userName="u"),
    "getUserNames": lambda t: t.getUserNames("a"),
    "getTaskIds": lambda t: t.getTaskIds(),
    "startRun": lambda t: t.startRun("a"),
    "stopRun": lambda t: t.stopRun("a"),
    "openRun": lambda t: t.openRun("a", "label"),
    "getRun": lambda t: t.getRun(1),
    "runs": lambda t: dict(t.runs),
    "currentRuns": lambda t: dict(t.currentRuns),
    "len": len,
    "list": list,
    "getitem": lambda t: t["0000001"],
    "in": lambda t: "0000001" in t,
    "reindexTracks": lambda t: t.reindexTracks(),
    "setupIndexes": lambda t: t.setupIndexes(),
    "info": lambda t: t.info(),
    "check": lambda t: t.check(),
}


class KeepingContract(BaseContract):
    """What a storage is besides its tracks."""

    # Several in one database

    def test_named_storages_are_apart(self, open: Opener) -> None:
        for name in NAMES:
            with open(name) as tracks:
                assert len(tracks) == len(tracks.runs) == 0
                assert tracks.saveUserTrack("a001", 0, "u1", {"of": name}, key="k") == "0000001"
                assert tracks.startRun("a001") == 2
                assert tracks.openRun("a001", "label") == 3
                assert tracks.name == name
                assert tracks.check() == []

    def test_named_storages_stay_apart(self, open: Opener, reopens: bool) -> None:
        if not reopens:
            pytest.skip("the engine keeps nothing when it is closed")
        for name in NAMES:
            with open(name) as tracks:
                tracks.saveUserTrack("a001", 0, "u1", {"of": name})
        for name in NAMES:
            with open(name) as tracks:
                assert [track.data for track in tracks.query()] == [{"of": name}]

    def test_named_storages_open_at_once(self, open: Opener) -> None:
        with open("changes") as changes, open("access") as access, open("notes", Comment) as notes:
            fill(changes)
            access.saveUserTrack("b", 0, "u9", {"n": 1})
            notes.saveUserTrack("c", 0, "u8", {"state": "new"})
            assert [len(each) for each in (changes, access, notes)] == [19, 1, 1]
            assert [each.getTaskIds() for each in (access, notes)] == [["b"], ["c"]]
            assert notes.query(state="new")[0].userName == "u8"
            access.reindexTracks()
            assert changes.getUserNames("b") == []

    def test_one_storage_opened_twice(self, open: Opener, reopens: bool) -> None:
        if not reopens:
            pytest.skip("the engine has a database of its own for each storage")
        with open() as one, open() as two:
            id = one.saveUserTrack("a001", 0, "u1", {"n": 1})
            assert two[id].data == {"n": 1}
            assert two.saveUserTrack("a001", 0, "u1", {"n": 2}) == "0000002"
            assert ids(one.query(taskId="a001")) == [id, "0000002"]
            two.close()
            one.updateTrack(id, {"n": 3})
            assert one[id].data == {"n": 3}

    # Opening again

    def test_opening_again_gives_the_same(self, open: Opener, reopens: bool) -> None:
        if not reopens:
            pytest.skip("the engine keeps nothing when it is closed")
        with open() as tracks:
            fill(tracks)
            before = everything(tracks)
        with open() as tracks:
            assert everything(tracks) == before
            assert tracks.saveUserTrack("a0", 0, "u1", {}, key="k7") == "0000008"
            assert tracks.saveUserTrack("a0", 0, "u1", {}, key="k19") == "0000020"
            assert tracks.saveUserTrack("a0", 0, "u0", {}) > "0000020"
            assert tracks.check() == []

    # Indexes

    def test_indexes_built_anew_give_the_same(self, tracks: Storage) -> None:
        tracks.reindexTracks()
        fill(tracks)
        before = everything(tracks)
        tracks.reindexTracks()
        tracks.setupIndexes()
        assert everything(tracks) == before
        assert tracks.saveUserTrack("a0", 0, "u1", {}, key="k7") == "0000008"
        assert tracks.saveUserTrack("a0", 0, "u0", {}) > "0000020"

    # Transactions

    @pytest.fixture
    def atomic(self, tracks: Storage, transactional: bool) -> Storage:
        """A filled storage whose engine has transactions."""
        if not transactional:
            pytest.skip("the engine has no transactions")
        fill(tracks)
        return tracks

    def test_no_transactions(self, tracks: Storage, transactional: bool) -> None:
        if transactional:
            pytest.skip("the engine has transactions")
        with pytest.raises(Unsupported, match="saveUserTracks"), tracks.transaction():
            tracks.saveUserTrack("a001", 0, "u1", {})
        assert len(tracks) == 0

    def test_a_transaction_keeps_all(self, atomic: Storage) -> None:
        with atomic.transaction():
            id = atomic.saveUserTrack("b", 0, "u9", {"n": 1}, key="new")
            assert atomic[id].data == {"n": 1}
            assert ids(atomic.query(taskId="b")) == ids(atomic.iterTracks(taskId="b")) == [id]
            atomic.updateTrack(id, {"n": 2})
            atomic.removeTrack("0000001")
            (other,) = atomic.saveUserTracks([{"taskId": "b", "userName": "u8", "data": {}}])
            run = atomic.startRun("b")
        assert atomic[id].data == {"n": 2}
        assert "0000001" not in atomic
        assert atomic.getUserNames("b") == ["u8", "u9"]
        assert other in atomic
        assert atomic.currentRuns["b"] == run
        assert atomic.saveUserTrack("b", 0, "u9", {}, key="new") == id

    def test_a_transaction_that_fails_leaves_nothing(self, atomic: Storage) -> None:
        before = everything(atomic)
        with failing(atomic):
            atomic.saveUserTrack("b", 0, "u9", {"n": 1}, key="new")
            atomic.saveUserTrack("a1", 0, "u1", {"n": 1}, replace=True)
            atomic.saveUserTracks(
                {"taskId": f"c{n}", "userName": "u8", "data": {}} for n in range(5)
            )
            atomic.updateTrack("0000001", {"n": 2})
            atomic.removeTrack("0000002")
            atomic.removeTrack("0000019")
            atomic.startRun("a1")
            atomic.stopRun("a2")
            atomic.openRun("a2", "label")
        assert everything(atomic) == before
        assert atomic.save("b", 0, "u9", {}, key="new").outcome == "stored"
        assert atomic.query(taskId="b")[0].id > "0000020"

    def test_ids_after_a_transaction_that_failed(self, atomic: Storage) -> None:
        for _ in range(2):
            with failing(atomic):
                atomic.saveUserTrack("a001", 0, "u1", {})
        given = [atomic.saveUserTrack("a001", 0, "u1", {}) for _ in range(3)]
        assert given == sorted(set(given))
        assert given[0] > "0000020"
        assert list(atomic)[-3:] == given

    def test_a_transaction_within_another(self, atomic: Storage) -> None:
        with atomic.transaction():
            outer = atomic.saveUserTrack("b", 0, "u1", {})
            with atomic.transaction():
                inner = atomic.saveUserTrack("b", 0, "u2", {})
            with failing(atomic):
                atomic.saveUserTrack("b", 0, "u3", {})
                atomic.removeTrack(outer)
            assert ids(atomic.query(taskId="b")) == [outer, inner]
            last = atomic.saveUserTrack("b", 0, "u4", {})
        assert ids(atomic.query(taskId="b")) == [outer, inner, last]
        assert atomic.getUserNames("b") == ["u1", "u2", "u4"]

    def test_the_outer_transaction_fails(self, atomic: Storage) -> None:
        before = everything(atomic)
        with failing(atomic), atomic.transaction():
            atomic.saveUserTrack("b", 0, "u2", {})
        assert everything(atomic) == before

    def test_both_transactions_fail(self, atomic: Storage) -> None:
        before = everything(atomic)
        with failing(atomic):
            id = atomic.saveUserTrack("b", 0, "u1", {"n": 1})
            with failing(atomic):
                atomic.saveUserTrack("c", 0, "u2", {}, key="new")
                atomic.updateTrack(id, {"n": 2})
                atomic.removeTrack("0000001")
                atomic.stopRun("b")
            assert atomic[id].data == {"n": 1}
            atomic.updateTrack(id, {"n": 3})
        assert everything(atomic) == before
        assert atomic.save("c", 0, "u2", {}, key="new").outcome == "stored"

    def test_a_call_that_fails_within_a_transaction(self, atomic: Storage) -> None:
        bad: list[Any] = [{"taskId": "c", "userName": "u", "data": {}}, 7]
        with atomic.transaction():
            one = atomic.saveUserTrack("b", 0, "u1", {})
            with pytest.raises(ValueError, match=r"Invalid run: 99\."):
                atomic.saveUserTrack("c", 99, "u1", {})
            with pytest.raises(TypeError, match=r"tracks\[1\]"):
                atomic.saveUserTracks(bad)
            with pytest.raises(KeyError, match="9999999"):
                atomic.removeTrack("9999999")
            two = atomic.saveUserTrack("b", 0, "u1", {})
        assert ids(atomic.query(taskId=["b", "c"])) == [one, two]
        assert atomic.getTaskIds() == ["a0", "a1", "a2", "b"]

    def test_an_empty_transaction(self, atomic: Storage) -> None:
        before = everything(atomic)
        with atomic.transaction():
            pass
        with atomic.transaction(), atomic.transaction():
            pass
        assert everything(atomic) == before

    def test_transactions_are_kept(self, open: Opener, reopens: bool, transactional: bool) -> None:
        if not (reopens and transactional):
            pytest.skip("the engine has no transactions, or keeps nothing when it is closed")
        with open() as tracks:
            with tracks.transaction():
                kept = tracks.saveUserTrack("a001", 0, "u1", {})
            with failing(tracks):
                tracks.saveUserTrack("a002", 0, "u1", {})
        with open() as tracks:
            assert list(tracks) == [kept]
            assert tracks.getTaskIds() == ["a001"]
            assert tracks.check() == []

    # Looking at it

    def test_info_counts_what_is_there(self, tracks: Storage) -> None:
        empty = tracks.info()
        assert isinstance(empty, Info)
        assert (empty.tracks, empty.tasks, empty.users, empty.runs) == (0, 0, 0, 0)
        assert (empty.time_from, empty.time_to) == (None, None)
        fill(tracks)
        info = tracks.info()
        assert (info.tracks, info.tasks, info.users, info.runs) == (19, 3, 2, 4)
        assert (info.time_from, info.time_to) == (at(-18), at(0))
        assert info.bytes is None or info.bytes > 0
        assert all(size >= 0 for size in info.parts.values())

    def test_check_finds_nothing_wrong(self, tracks: Storage) -> None:
        assert tracks.check() == []
        fill(tracks)
        assert tracks.check() == []

    def test_repr_names_the_storage(self, open: Opener) -> None:
        with open("changes") as tracks:
            assert "'changes'" in repr(tracks)

    # Closing

    @pytest.mark.parametrize("call", CALLS)
    def test_a_closed_storage_says_so(self, open: Opener, call: str) -> None:
        tracks = open()
        tracks.saveUserTrack("a", 0, "u", {})
        tracks.close()
        with pytest.raises(StorageClosed, match="closed"):
            CALLS[call](tracks)

    def test_a_closed_storage_begins_no_transaction(
        self, open: Opener, transactional: bool
    ) -> None:
        if not transactional:
            pytest.skip("the engine has no transactions")
        tracks = open()
        tracks.close()
        with pytest.raises(StorageClosed, match="closed"), tracks.transaction():
            pass

    def test_closing_twice_is_no_error(self, open: Opener) -> None:
        tracks = open()
        tracks.close()
        tracks.close()
        with open("others") as others:
            others.close()

    def test_the_with_statement_closes(self, open: Opener) -> None:
        with open() as tracks:
            assert tracks.saveUserTrack("a", 0, "u", {}) == "0000001"
        with pytest.raises(StorageClosed):
            len(tracks)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("", ValueError),
            ("a\0", ValueError),
            ("\ud800", ValueError),
            (7, TypeError),
            ("x" * 1001, ValueError),
        ],
    )
    def test_names_that_no_storage_can_have(
        self, open: Opener, name: Any, kind: type[Exception]
    ) -> None:
        with pytest.raises(kind, match=r"^name must "):
            open(name)
