"""Answers that do not arrive: what is asked again, and stored once."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cybertools.tracking import Storage, Track, open_storage
from cybertools.tracking.errors import (
    StorageUnavailable,
)
from cybertools.tracking.interfaces import Receipt, Saved
from cybertools.tracking.remote import Patience, open_service
from cybertools.tracking.testing import ids
from tests.remote.cutting import Proxy
from tests.service.running import Process


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"taskId": "a001", "userName": f"u{number % 3}", "data": {"n": number}, **more}


# Answers that do not arrive


@pytest.mark.parametrize("key", [None, "mine"])
@pytest.mark.parametrize("after", [0, 40])
def test_a_save_whose_answer_is_lost_is_stored_once(
    cut: tuple[Proxy, Storage], key: str | None, after: int
) -> None:
    proxy, tracks = cut
    proxy.cut(after, after, after)
    saved = tracks.save("a001", 0, "u1", {"n": 1}, key=key)
    # Of the caller's own key it is not known whether it was spent before.
    assert saved == Saved(1, "duplicate" if key else "stored")
    assert proxy.waits == 0
    assert tracks.saveUserTrack("a001", 0, "u1", {}) == "0000002"
    assert len(tracks) == 2


def test_many_saves_whose_answer_is_lost_are_stored_once(cut: tuple[Proxy, Storage]) -> None:
    proxy, tracks = cut
    proxy.cut(0, 0)
    receipt = tracks.saveBatch([item(0), item(1, key="k"), item(2), item(3, key="k")])
    assert receipt == Receipt([1, 2, 3, 2], [1, 3])
    proxy.cut(0)
    given = tracks.saveUserTracks((item(n) for n in range(3_000)), batchSize=1_000)
    assert given == [f"{n:07d}" for n in range(4, 3_004)]
    assert len(tracks) == 3_003


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ({"replace": True}, "replaced"),
        ({"update": True}, "updated"),
        ({"update": True, "overwrite": True}, "updated"),
    ],
)
def test_a_change_whose_answer_is_lost_is_made_once(
    cut: tuple[Proxy, Storage], how: dict[str, bool], outcome: str
) -> None:
    proxy, tracks = cut
    tracks.saveUserTrack("a001", 0, "u1", {"old": 1})
    proxy.cut(0, 0)
    assert tracks.save("a001", 0, "u1", {"new": 1}, **how) == Saved(1, outcome)  # type: ignore[arg-type]
    assert proxy.waits == 0
    assert tracks["0000001"].data == ({"old": 1} if how == {"update": True} else {}) | {"new": 1}
    assert len(tracks) == 1


def test_other_calls_whose_answers_are_lost(cut: tuple[Proxy, Storage]) -> None:
    proxy, tracks = cut
    tracks.saveUserTracks([item(0), item(1), item(2)])
    calls: list[tuple[Callable[[], Any], Any]] = [
        (lambda: tracks.updateTrack("0000001", {"x": 1}), "0000001"),
        (lambda: tracks["0000001"].data, {"n": 0, "x": 1}),
        (lambda: tracks.removeTrack("0000002"), None),
        (lambda: "0000002" in tracks, False),
        (lambda: tracks.openRun("a001", "s-1"), 2),
        (lambda: tracks.stopRun("a001", 2), 2),
        (lambda: tracks.stopRun("a001", 2), 2),  # it may have been this call that stopped it
        (lambda: tracks.stopRun("a002", 2), 0),
        (lambda: tracks.stopRun("a001", 7), 0),
        (lambda: list(tracks.finishedRuns), [2]),
        (lambda: ids(tracks.query(taskId="a*")), ["0000001", "0000003"]),
        (lambda: tracks.countTracks(userName="u0"), 1),
        (lambda: tracks.getUserNames("a001"), ["u0", "u2"]),
        (tracks.getTaskIds, ["a001"]),
        (lambda: tracks.info().tracks, 2),
        (tracks.reindexTracks, None),
        (tracks.setupIndexes, None),
        (tracks.check, []),
    ]
    for call, expected in calls:
        proxy.cut(0)
        assert call() == expected
    assert proxy.waits == 0


def test_a_run_is_not_started_twice(cut: tuple[Proxy, Storage]) -> None:
    proxy, tracks = cut
    proxy.cut(0)
    with pytest.raises(StorageUnavailable, match="It is not known whether it was done; it was not"):
        tracks.startRun("a001")
    assert list(tracks.runs) == [1]
    assert tracks.startRun("a001") == 2


@pytest.mark.parametrize("limit", [None, 2_900, 5])
def test_a_stream_goes_on_where_it_broke(cut: tuple[Proxy, Storage], limit: int | None) -> None:
    proxy, tracks = cut
    given = tracks.saveUserTracks(item(n) for n in range(3_000))
    proxy.cut(0, 200, 40_000, 90_000, 150)
    assert ids(tracks.iterTracks(limit=limit)) == given[:limit]
    proxy.cut(300, 40_000)
    assert ids(tracks.iterTracks(userName="u1", after="0000010")) == given[10::3]
    proxy.cut(*[-1] * proxy.waits, 20_000)
    assert ids(tracks.query(taskId="a001")) == given


def test_a_stream_in_another_order_says_that_it_broke(cut: tuple[Proxy, Storage]) -> None:
    proxy, tracks = cut
    tracks.saveUserTracks(item(n) for n in range(3_000))
    proxy.cut(50_000)
    found: list[Track] = []
    with pytest.raises(StorageUnavailable, match="the connection broke"):
        found.extend(tracks.iterTracks(order="timeStamp"))
    assert 0 < len(found) < 3_000
    assert len({*ids(found)}) == len(found)


def test_a_stream_that_is_left_gives_its_connection_back(url: str) -> None:
    patience = Patience(connections=1, pool=5)
    with open_service(url, patience=patience) as tracks:
        tracks.saveUserTracks(item(n) for n in range(3_000))
        stream = tracks.iterTracks()
        assert next(stream).id == "0000001"
        del stream
        assert len(tracks) == 3_000


# A service that ends and comes back

THREADS, SAVES = 8, 30


def test_acknowledged_tracks_are_there_once_after_kills(database: str) -> None:
    done = threading.Event()
    with Process(database) as process:
        base, port = process.base, process.port
        patience = Patience(total=120.0, longest_pause=0.2)
        with open_service(base, patience=patience) as tracks:
            given: dict[int, list[str]] = {}

            def work(thread: int) -> None:
                for n in range(SAVES):
                    data = {"thread": thread, "n": n}
                    saved = [tracks.saveUserTrack("a001", 0, f"u{thread}", data)]
                    if n % 3 == 0:
                        more = ({**item(n), "data": {**data, "i": i}} for i in range(5))
                        saved += tracks.saveUserTracks(more)
                    given.setdefault(thread, []).extend(saved)

            with ThreadPoolExecutor(THREADS + 1) as pool:

                def kill_and_restart() -> None:
                    current = process
                    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
                        wanted = len(tracks) + THREADS * SAVES // 4
                        while len(tracks) < wanted and not done.is_set():
                            time.sleep(0.01)
                        current.end(how)
                        current = Process(database, port)
                    processes.append(current)

                processes: list[Process] = []
                killing = pool.submit(kill_and_restart)
                for saving in [pool.submit(work, n) for n in range(THREADS)]:
                    saving.result()
                done.set()
                killing.result()
            try:
                acknowledged = [id for each in given.values() for id in each]
                assert len(acknowledged) == THREADS * (SAVES + SAVES // 3 * 5)
                assert sorted(acknowledged) == list(tracks)
                for thread in range(THREADS):
                    there = [
                        tracks[id].data["n"] for id in given[thread] if "i" not in tracks[id].data
                    ]
                    assert there == list(range(SAVES))
                assert tracks.check() == []
            finally:
                processes[0].end(signal.SIGKILL)


def test_a_stream_survives_a_restart(database: str) -> None:
    with open_storage(database) as local:
        given = local.saveUserTracks(item(n, data={"text": "x" * 500}) for n in range(20_000))
    with Process(database) as process, open_storage(process.base) as tracks:
        stream = tracks.iterTracks()
        found = [next(stream).id for _ in range(10)]
        process.end(signal.SIGKILL)
        with Process(database, process.port):
            found += [track.id for track in stream]
    assert found == given


def test_a_fork_has_connections_and_keys_of_its_own(url: str) -> None:
    program = """if True:
        import os, sys
        from cybertools.tracking import open_storage
        with open_storage(sys.argv[1]) as tracks:
            tracks.saveUserTrack("a001", 0, "parent", {})
            child = os.fork()
            for n in range(20):
                tracks.saveUserTrack("a001", 0, "parent" if child else "child", {"n": n})
            if child:
                assert os.waitpid(child, 0)[1] == 0
    """
    subprocess.run([sys.executable, "-c", program, url], check=True)
    with open_storage(url) as tracks:
        assert tracks.countTracks(userName="child") == 20
        assert tracks.countTracks(userName="parent") == 21
