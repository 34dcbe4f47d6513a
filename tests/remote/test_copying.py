"""Copies over HTTP: whole, broken off, resumed, refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.errors import InvalidRun, InvalidValue, StorageError
from cybertools.tracking.testing.keeping import everything
from cybertools.tracking.track import Row
from cybertools.tracking.transfer.comparing import compare_storages
from cybertools.tracking.transfer.copying import copy_storage
from tests.command import run
from tests.remote.cutting import Proxy
from tests.service.running import Running, running
from tests.services import service_of

SIZE = 2_500


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Storage]:
    """A storage with some of everything."""
    with open_storage(f"sqlite:{tmp_path}/source.db", durability="off") as tracks:
        tracks.saveUserTracks(
            {"taskId": f"a{n % 7}", "userName": f"ü{n % 5}", "data": {"n": n}, "key": f"k {n}"}
            for n in range(SIZE)
        )
        tracks.openRun("a1", "label")
        tracks.startRun()
        tracks.stopRun("a2", finish=False)
        tracks.removeTrack("0000003")
        yield tracks


def hold(source: Storage, target: Storage) -> None:
    """Both are the same."""
    assert everything(target) == everything(source)
    assert compare_storages(source, target).equal
    assert target.check() == []


def test_there_and_back(source: Storage, tmp_path: Path) -> None:
    with (
        service_of(f"sqlite:{tmp_path}/served.db") as url,
        open_storage(url) as far,
        open_storage("memory:") as back,
    ):
        copied = copy_storage(source, far)
        assert (copied.tracks, copied.runs, copied.keys) == (SIZE - 1, 9, SIZE)
        hold(source, far)
        assert copy_storage(far, back).tracks == SIZE - 1
        hold(source, back)
        assert far.saveUserTrack("a", 0, "u", {}, key="k 7") == "0000008"
        assert far.saveUserTrack("a", 0, "u", {}) == f"{SIZE + 1:07d}"


def test_answers_that_are_lost(source: Storage, cut: tuple[Proxy, Storage]) -> None:
    proxy, far = cut
    proxy.cut(*([0] * 3))
    copy_storage(source, far, lambda *_: proxy.cut(0, 50))
    assert proxy.waits == 0
    with open_storage("memory:") as back:
        # The answers break within their lines.
        proxy.cut(300, 2_000, 40_000, 100)
        copy_storage(far, back)
        assert proxy.waits == 0
        hold(source, back)


def test_an_answer_that_is_lost_is_no_conflict(cut: tuple[Proxy, Storage]) -> None:
    proxy, far = cut
    run_id = far.startRun("a")
    rows: list[Row] = [(n, "a", run_id, "u", float(n), "{}") for n in (5, 6, 7)]
    proxy.cut(0)
    far.engine.put_tracks(rows)
    assert proxy.waits == 0
    assert len(far) == 3
    other: Row = (7, "a", run_id, "other", 7.0, "{}")
    for taken in (rows, [other], [(4, *rows[0][1:]), rows[2]]):
        with pytest.raises(StorageError, match="of one of these ids already"):
            far.engine.put_tracks(taken)
    proxy.cut(0)
    with pytest.raises(StorageError, match="of one of these ids already"):
        far.engine.put_tracks([other])
    assert len(far) == 3


def test_runs_and_keys_that_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cybertools.tracking.remote.engine.PART", 500)
    with (
        service_of(f"sqlite:{tmp_path}/served.db") as url,
        open_storage(url) as far,
        open_storage("memory:") as source,
    ):
        for n in range(30):
            source.saveUserTrack(f"a{n}", 0, "u", {}, key=f"key {n}")
        copy_storage(source, far)
        hold(source, far)


def test_tracks_as_large_as_they_may_be(tmp_path: Path) -> None:
    with (
        service_of(f"sqlite:{tmp_path}/served.db") as url,
        open_storage(url) as far,
        open_storage("memory:") as source,
    ):
        text = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(300_000))
        for n in range(12):
            source.saveUserTrack("a", 0, "u", {"text": text[n:] + text[:n]})
        copy_storage(source, far)
        assert compare_storages(source, far).equal


def test_the_command(tmp_path: Path, source: Storage) -> None:
    path = tmp_path / "source.db"
    with service_of(f"sqlite:{tmp_path}/served.db") as url:
        (said,) = run("copy", f"sqlite:{path}", url, "--json").json
        assert (said["copied"]["tracks"], said["equal"]) == (SIZE - 1, True)
        (said,) = run("copy", url, f"zodb:{tmp_path}/back.fs", "--json").json
        assert (said["copied"]["tracks"], said["equal"]) == (SIZE - 1, True)
        done = run("copy", url, url, status=2)
        assert "are the same storage" in done.err
    assert len(source) == SIZE - 1


def test_who_else_was_saved_in_is_refused(source: Storage, tmp_path: Path) -> None:
    with service_of(f"sqlite:{tmp_path}/served.db") as url, open_storage(url) as far:
        far.saveUserTrack("x", 0, "u", {})
        with pytest.raises(InvalidValue, match="holds something else: its track 0000001"):
            copy_storage(source, far)
        assert len(far) == 1


# What nobody should send

RUN = {"runId": 1, "taskId": "a", "label": None, "startedAt": 0, "stoppedAt": None}
RUN |= {"finished": False, "isCurrent": True}
TRACK = {"id": "0000001", "taskId": "a", "runId": 1, "userName": "u", "timeStamp": 0, "data": {}}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Running]:
    """A service, with a run."""
    with running(f"sqlite:{tmp_path}/served.db", attributes=("state",)) as service:
        assert put(service, "runs", RUN).status_code == 204
        yield service


def put(service: Running, what: str, *lines: Any) -> httpx.Response:

    return service.client.put(
        f"/api/storages/tracks/contents/{what}",
        content="\n".join(json.dumps(line) for line in lines),
        headers={"Content-Type": "application/x-ndjson"},
    )


@pytest.mark.parametrize(
    ("what", "lines", "status", "says"),
    [
        ("tracks", [TRACK, []], 422, "Line 2: It must be an object with id, taskId"),
        ("tracks", [{**TRACK, "more": 1}], 422, "Line 1: It must be an object with id"),
        ("tracks", [TRACK, TRACK], 422, "Each track must be there once"),
        ("tracks", [TRACK, {**TRACK, "id": "2"}], 422, "Line 2: id must be a track id"),
        ("tracks", [{**TRACK, "id": "0000000"}], 422, "id must be a track id"),
        ("tracks", [{**TRACK, "id": 1}], 422, "A track id is text"),
        ("tracks", [{**TRACK, "taskId": ""}], 422, "Line 1: taskId must not be empty"),
        ("tracks", [{**TRACK, "runId": 0}], 422, "runId must be a run's id"),
        ("tracks", [{**TRACK, "runId": 2}], 422, "Invalid run: 2"),
        ("tracks", [{**TRACK, "timeStamp": -1}], 422, "timeStamp"),
        ("tracks", [{**TRACK, "data": []}], 422, "data must be a mapping"),
        ("tracks", [{**TRACK, "data": {"state": "x" * 2_000}}], 422, "an index attribute"),
        ("runs", [{**RUN, "runId": 2}, {**RUN, "runId": 3}], 422, "one current run at most"),
        ("runs", [{**RUN, "taskId": None}], 422, "A run without a task has no label"),
        ("runs", [{**RUN, "finished": 1}], 422, "finished must be true or false"),
        ("runs", [{**RUN, "stoppedAt": "x"}], 422, "stoppedAt must be ISO 8601"),
        ("keys", [{"key": "", "id": "0000001"}], 422, "Line 1: key must not be empty"),
        ("keys", [{"key": "k"}], 422, "It must be an object with key, id"),
    ],
)
def test_what_cannot_be_taken_in(
    served: Running, what: str, lines: list[Any], status: int, says: str
) -> None:
    answer = put(served, what, *lines)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["detail"]
    assert served.get("tracks/count")["count"] == 0
    assert served.get("runs/count")["count"] == 1


def test_lines_are_asked_for(served: Running) -> None:
    answer = served.client.put("/api/storages/tracks/contents/keys", json={})
    assert answer.status_code == 415


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with service_of(f"sqlite:{tmp_path}/served.db") as url, open_storage(url) as far:
        with pytest.raises(InvalidRun):
            far.engine.put_tracks([(1, "a", 9, "u", 0.0, "{}")])
        far.engine.put_tracks([])
        assert len(far) == 0
