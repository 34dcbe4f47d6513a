"""A hundred clients at once, in several processes of many threads each."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, TypeAlias

import pytest

from cybertools.tracking import open_storage
from cybertools.tracking.errors import StorageUnavailable
from cybertools.tracking.testing import ids
from tests import crowd
from tests.engines import ENGINES, EngineUnderTest, fresh_url

ROOT = Path(__file__).parent.parent
PROCESSES, CLIENTS = 4, 100

Crowds: TypeAlias = list[subprocess.Popen[str]]


@pytest.fixture(scope="module", params=[engine for engine in ENGINES if engine.shared], ids=str)
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """Each engine whose database several processes can have open."""
    engine: EngineUnderTest = request.param
    return engine


@pytest.fixture(scope="module")
def url(engine: EngineUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database for all tests of an engine, each of which has a storage of its own in it."""
    with fresh_url(engine, tmp_path_factory.mktemp("crowd")) as url:
        yield url


@pytest.fixture(scope="module")
def crowds(url: str) -> Iterator[Crowds]:
    """The processes of the clients."""
    each = CLIENTS // PROCESSES
    started = [
        subprocess.Popen(
            [sys.executable, "-m", crowd.__name__, url, str(first), str(first + each)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for first in range(0, CLIENTS, each)
    ]
    yield started
    for process in started:
        process.communicate()


def all_at_once(crowds: Crowds, job: str) -> list[Any]:
    """What each client was given."""
    for process in crowds:
        assert process.stdin is not None
        process.stdin.write(f"{job}\n")
        process.stdin.flush()
    given: list[Any] = []
    for process in crowds:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate()[1])
        given += json.loads(line)
    return given


def test_the_first_tracks_of_a_task(url: str, crowds: Crowds) -> None:
    given = all_at_once(crowds, "first")
    with open_storage(url, "first") as tracks:
        assert [*tracks.runs] == [1]
        assert dict(tracks.currentRuns) == {"a001": 1}
        assert sorted(id for each in given for id in each) == [*tracks]
        assert len(tracks) == CLIENTS * crowd.TIMES == tracks.countTracks(runId=1)
        for n, each in enumerate(given):
            assert each == sorted(each) == ids(tracks.query(userName=f"u{n}"))
        assert tracks.check() == []


def test_the_first_batches_of_some_tasks(url: str, crowds: Crowds) -> None:
    given = all_at_once(crowds, "batch")
    with open_storage(url, "batch") as tracks:
        assert len(tracks.runs) == 3
        assert sorted(tracks.currentRuns) == ["a0", "a1", "a2"]
        assert sorted(id for each in given for id in each) == [*tracks]
        for n, each in enumerate(given):
            assert each == sorted(each) == ids(tracks.query(userName=f"u{n}"))
        assert tracks.check() == []


def test_one_key(url: str, crowds: Crowds) -> None:
    given = all_at_once(crowds, "key")
    with open_storage(url, "key") as tracks:
        assert {*given} == {*tracks}
        assert len(tracks) == len(tracks.runs) == 1
        assert tracks.check() == []


def test_one_track_replaced(url: str, crowds: Crowds) -> None:
    given = all_at_once(crowds, "replace")
    with open_storage(url, "replace") as tracks:
        (track,) = tracks.values()
        assert {*given} == {track.id}
        assert track.data["text"] == str(track.data["n"]) * 1_000
        assert len(tracks.runs) == 1


def test_one_track_updated(url: str, crowds: Crowds) -> None:
    given = all_at_once(crowds, "update")
    with open_storage(url, "update") as tracks:
        (track,) = tracks.values()
        assert {*given} == {track.id}
        assert track.data == {f"k{n}": n for n in range(CLIENTS)}


def test_one_labelled_run(url: str, crowds: Crowds) -> None:
    assert {*all_at_once(crowds, "label")} == {1}
    with open_storage(url, "label") as tracks:
        assert [*tracks.runs] == [1]
        assert len(tracks.currentRuns) == 0


def test_stopping_and_saving(url: str, crowds: Crowds) -> None:
    with open_storage(url, "stop") as tracks:
        tracks.startRun("a001")
        given = all_at_once(crowds, "stop")
        stopped = [run for run in given if isinstance(run, int) and run]
        saved = [id for id in given if isinstance(id, str)]
        assert sorted(saved) == [*tracks]
        assert len(saved) == CLIENTS * 3 // 4
        # Each run was stopped once, but for the one that is current.
        assert len(stopped) == len({*stopped})
        assert {*tracks.runs} == {*stopped, *tracks.currentRuns.values()}
        assert {*tracks.finishedRuns} == {*stopped}
        assert tracks.check() == []


def test_savers_of_one_task_do_not_wait_for_each_other(engine: EngineUnderTest, url: str) -> None:
    if engine.name != "postgres":
        pytest.skip("one at a time writes to a file")
    impatient = f"{url}{'&' if '?' in url else '?'}options=-c%20statement_timeout%3D2s"
    with open_storage(url, "slow") as slow, open_storage(impatient, "slow") as other:
        run = slow.startRun("a001")
        slow.saveUserTrack("a001", 0, "u1", {}, timeStamp=1)
        label = slow.openRun("a001", "session")
        with slow.transaction():
            first = slow.saveUserTrack("a001", 0, "u1", {"n": 1})
            slow.saveUserTrack("a001", run, "u1", {"n": 1}, key="k1")
            slow.saveUserTrack("a001", 0, "u2", {"n": 1}, replace=True)
            slow.saveUserTracks([{"taskId": "a001", "userName": "u1", "data": {}, "key": "k2"}])
            slow.startRun("a002")

            # The same task, run and user, by all ways: none of them waits.
            assert other.saveUserTrack("a001", 0, "u1", {"n": 2}) > first
            other.saveUserTrack("a001", run, "u1", {"n": 2}, key="k3")
            other.saveUserTrack("a001", label, "u1", {"n": 2})
            other.saveUserTrack("a001", 0, "u1", {"n": 3}, replace=True)
            other.saveUserTrack("a001", 0, "u3", {"n": 2}, update=True)
            other.saveUserTracks(
                {"taskId": "a001", "userName": "u1", "data": {}, "key": f"k{n}"}
                for n in range(10, 40)
            )
            assert other.openRun("a001", "session") == label
            other.startRun("a003")
            assert other.getUserNames("a001") == ["u1", "u3"]
            # But a key that somebody is about to spend has to be waited for.
            with pytest.raises(StorageUnavailable, match="statement timeout"):
                other.saveUserTrack("a001", 0, "u1", {}, key="k1")
        assert slow.getUserNames("a001") == ["u1", "u2", "u3"]
        assert slow.check() == []


def test_a_new_database_opened_by_all_at_once(engine: EngineUnderTest, tmp_path: Path) -> None:
    names = [f"s{n}" for n in range(8)]
    for turn in range(20):
        folder = tmp_path / str(turn)
        folder.mkdir()
        barrier = Barrier(len(names))
        with fresh_url(engine, folder) as url, ThreadPoolExecutor(len(names)) as threads:

            def opened(name: str, url: str = url, barrier: Barrier = barrier) -> list[str]:
                barrier.wait()
                with open_storage(url, name) as tracks:
                    return tracks.check()

            assert [*threads.map(opened, names)] == [[]] * len(names)
