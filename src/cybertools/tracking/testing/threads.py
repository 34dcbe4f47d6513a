"""Several threads at one storage."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.testing.base import BaseContract, at

__all__ = ["ThreadsContract"]

THREADS = 8

_T = TypeVar("_T")


def at_once(call: Callable[[int], _T]) -> list[_T]:
    """What the call gives in each of several threads that begin together."""
    barrier = Barrier(THREADS)

    def run(number: int) -> _T:
        barrier.wait()
        return call(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return [*pool.map(run, range(THREADS))]


class ThreadsContract(BaseContract):
    """A storage may be shared by threads."""

    def test_threads_save_to_one_task(self, tracks: Storage) -> None:
        given = at_once(
            lambda n: [tracks.saveUserTrack("a001", 0, f"u{n}", {"i": i}) for i in range(10)]
        )
        assert all(each == sorted(each) for each in given)
        assert sorted(id for each in given for id in each) == list(tracks)
        assert len(tracks) == THREADS * 10
        assert list(tracks.runs) == [1]
        assert dict(tracks.currentRuns) == {"a001": 1}
        for n, each in enumerate(given):
            assert [tracks[id].data for id in each] == [{"i": i} for i in range(10)]
            assert tracks.countTracks(userName=f"u{n}", runId=1) == 10

    def test_threads_save_many_at_once(self, tracks: Storage) -> None:
        given = at_once(
            lambda n: tracks.saveUserTracks(
                {"taskId": f"a{i % 3}", "userName": f"u{n}", "data": {"i": i}} for i in range(200)
            )
        )
        assert sorted(id for each in given for id in each) == list(tracks)
        assert [tracks.countTracks(userName=f"u{n}") for n in range(THREADS)] == [200] * THREADS
        assert sorted(tracks.currentRuns) == ["a0", "a1", "a2"]
        assert len(tracks.runs) == 3

    def test_threads_save_under_one_key(self, tracks: Storage, keys_of_users: bool) -> None:
        def save(n: int) -> list[str]:
            user = "u" if keys_of_users else f"u{n}"
            return [tracks.saveUserTrack("a001", 0, user, {}, key=f"k{i}") for i in range(5)]

        given = at_once(save)
        assert len({tuple(each) for each in given}) == 1
        assert sorted(given[0]) == list(tracks)

    def test_threads_open_one_run(self, tracks: Storage) -> None:
        given = at_once(lambda _: [tracks.openRun("a001", f"s{i}") for i in range(5)])
        assert len({tuple(each) for each in given}) == 1
        assert sorted(given[0]) == list(tracks.runs) == [1, 2, 3, 4, 5]

    def test_threads_start_runs(self, tracks: Storage) -> None:
        given = at_once(lambda _: tracks.startRun("a001"))
        assert sorted(given) == list(tracks.runs)
        assert len(set(given)) == THREADS
        assert tracks.currentRuns["a001"] in given
        assert len(tracks.currentRuns) == 1

    def test_threads_stop_one_run(self, tracks: Storage) -> None:
        run = tracks.startRun("a001")
        assert sorted(at_once(lambda _: tracks.stopRun("a001", run))) == [0] * (THREADS - 1) + [run]

    def test_threads_merge_into_one_track(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=at(1))
        at_once(lambda n: tracks.updateTrack(id, {f"by update {n}": n}))
        at_once(lambda n: tracks.saveUserTrack("a001", 0, "u1", {f"by save {n}": n}, update=True))
        assert tracks[id].data == {f"by update {n}": n for n in range(THREADS)} | {
            f"by save {n}": n for n in range(THREADS)
        }
        assert len(tracks) == 1

    def test_threads_replace_one_track(self, tracks: Storage) -> None:
        tracks.startRun("a001")
        given = at_once(lambda n: tracks.saveUserTrack("a001", 0, "u1", {"n": n}, replace=True))
        assert list(tracks) == [*{*given}]
        assert len(tracks) == 1

    def test_threads_remove_one_track(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {})

        def remove(_: int) -> bool:
            try:
                tracks.removeTrack(id)
            except KeyError:
                return False
            return True

        assert sum(at_once(remove)) == 1
        assert len(tracks) == 0

    def test_threads_read_while_others_write(self, tracks: Storage) -> None:
        def work(n: int) -> None:
            for i in range(10):
                if n % 2:
                    tracks.saveUserTracks(
                        {"taskId": "a001", "userName": f"u{n}", "data": {"i": i}} for _ in range(5)
                    )
                else:
                    # A call is done as a whole or not at all: so many at once, or none.
                    assert len(tracks) % 5 == 0
                    assert len(tracks.query(taskId="a001")) % 5 == 0
                    assert tracks.countTracks(userName="u*") % 5 == 0

        at_once(work)
        assert len(tracks) == THREADS // 2 * 10 * 5

    def test_transactions_of_threads_are_apart(self, tracks: Storage, transactional: bool) -> None:
        if not transactional:
            pytest.skip("the engine has no transactions")

        def work(n: int) -> None:
            for i in range(5):
                try:
                    with tracks.transaction():
                        tracks.saveUserTrack("a001", 0, f"u{n}", {"i": i})
                        tracks.saveUserTrack("a001", 0, f"u{n}", {"i": i})
                        if (n + i) % 2:
                            raise KeyboardInterrupt
                except KeyboardInterrupt:
                    continue

        at_once(work)
        kept = sum((n + i) % 2 == 0 for n in range(THREADS) for i in range(5))
        assert len(tracks) == 2 * kept
        for n in range(THREADS):
            saved = [track.data["i"] for track in tracks.query(userName=f"u{n}")]
            assert saved == [i for i in range(5) if (n + i) % 2 == 0 for _ in range(2)]

    def test_a_thread_outside_sees_a_transaction_as_a_whole(
        self, tracks: Storage, transactional: bool
    ) -> None:
        if not transactional:
            pytest.skip("the engine has no transactions")
        seen: set[int] = set()

        def work(n: int) -> None:
            for _ in range(10):
                if n:
                    seen.add(len(tracks) % 3)
                else:
                    with tracks.transaction():
                        for _ in range(3):
                            tracks.saveUserTrack("a001", 0, "u1", {})

        at_once(work)
        assert seen == {0}
        assert len(tracks) == 30
