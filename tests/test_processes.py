"""Several processes write to one database at once."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cybertools.tracking.errors import StorageUnavailable
from cybertools.tracking.testing import Opener, ids
from tests import writer
from tests.engines import ENGINES, EngineUnderTest

ROOT = Path(__file__).parent.parent
USERS = ["u0", "u1", "u2", "u3"]
TIMES = 15


def start(url: str, user: str, job: str, times: int) -> subprocess.Popen[str]:
    """A writer that waits for its sign."""
    return subprocess.Popen(
        [sys.executable, "-m", writer.__name__, url, user, job, str(times)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def together(url: str, job: str) -> dict[str, list[Any]]:
    """What the writers say, who open the database and do the job all at once."""
    writers = {user: start(url, user, job, TIMES) for user in USERS}
    for process in writers.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said: dict[str, list[Any]] = {}
    for user, process in writers.items():
        out, err = process.communicate()
        assert process.returncode == 0, err
        said[user] = [each for line in out.splitlines() for each in json.loads(line)]
    return said


@pytest.fixture(params=[engine for engine in ENGINES if engine.shared], ids=str)
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """Each engine whose database several processes can have open."""
    engine: EngineUnderTest = request.param
    return engine


@pytest.mark.parametrize(("job", "each"), [("save", 1), ("bulk", writer.BATCH), ("together", 3)])
def test_processes_save(
    engine: EngineUnderTest, url: str, open: Opener, job: str, each: int
) -> None:
    if job == "together" and not engine.transactional:
        pytest.skip("the engine has no transactions")
    said = together(url, job)
    with open() as tracks:
        for user, given in said.items():
            assert given == sorted(given)
            assert len(given) == TIMES * each
            assert ids(tracks.query(userName=user)) == given
            expected = [writer.data_of(n) for n in range(TIMES) for _ in range(each)]
            assert [track.data for track in tracks.query(userName=user)] == expected
        assert len(tracks) == len({id for given in said.values() for id in given})
        assert len(tracks.runs) == len(tracks.currentRuns) == len(tracks.getTaskIds())
        assert tracks.check() == []


def test_processes_replace_each_its_own_track(url: str, open: Opener) -> None:
    said = together(url, "replace")
    with open() as tracks:
        assert len(tracks) == len(USERS)
        for user, given in said.items():
            (track,) = tracks.query(userName=user)
            assert given == [track.id] * TIMES
            assert track.data == writer.data_of(TIMES - 1)
        assert tracks.check() == []


def test_processes_save_under_the_same_keys(
    engine: EngineUnderTest, url: str, open: Opener
) -> None:
    said = together(url, "keys_of_one" if engine.keys_of_users else "keys")
    with open() as tracks:
        for given in said.values():
            assert given == said["u0"]
        assert sorted(said["u0"]) == list(tracks)
        assert len(tracks) == TIMES
        assert tracks.check() == []


def test_processes_open_the_same_runs(url: str, open: Opener) -> None:
    said = together(url, "labels")
    with open() as tracks:
        for given in said.values():
            assert given == said["u0"]
        assert sorted(said["u0"]) == list(tracks.runs)
        assert len(tracks.runs) == TIMES
        assert len(tracks.currentRuns) == 0


def test_processes_start_runs(url: str, open: Opener) -> None:
    said = together(url, "runs")
    given = [run for each in said.values() for run in each]
    with open() as tracks:
        assert sorted(given) == list(tracks.runs)
        assert tracks.currentRuns["a001"] in {each[-1] for each in said.values()}
        assert len(tracks.currentRuns) == 1


def test_processes_merge_into_one_track(url: str, open: Opener) -> None:
    with open() as tracks:
        tracks.saveUserTrack("a001", 0, "u", {})
        together(url, "merge")
        expected = {f"{user} {n}": n for user in USERS for n in range(TIMES)}
        assert tracks["0000001"].data == expected


def test_processes_see_what_others_have_saved(url: str, open: Opener) -> None:
    with open() as tracks:
        tracks.saveUserTrack("a001", 0, "u", {"n": -1})
        said = together(url, "save")
        assert len(tracks) == 1 + len(USERS) * TIMES
        assert tracks.getUserNames("a001") == ["u", *USERS]
        for user, given in said.items():
            last = tracks.getLastUserTrack("a001", 0, user)
            assert last is not None
            assert last.id == given[-1]
        before = list(tracks)
        assert tracks.saveUserTrack("a001", 0, "u", {}) > max(before)


@pytest.mark.parametrize(
    "engine", [engine for engine in ENGINES if engine.reopens and not engine.shared], ids=str
)
def test_a_database_that_is_not_shared_says_so(url: str, open: Opener) -> None:
    with open() as tracks:
        id = tracks.saveUserTrack("a001", 0, "u1", {})
        other = start(url, "u2", "save", 1)
        _, err = other.communicate("go\n")
        assert other.returncode == 1
        assert StorageUnavailable.__name__ in err
        assert "another process" in err
        assert list(tracks) == [id]
        assert tracks.saveUserTrack("a001", 0, "u1", {}) > id
    other = start(url, "u2", "save", 1)
    out, err = other.communicate("go\n")
    assert other.returncode == 0, err
    with open() as tracks:
        assert ids(tracks.query(userName="u2")) == json.loads(out)
