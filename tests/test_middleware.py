"""Requests of web applications become tracks, whatever the storage does meanwhile."""

import asyncio
import logging
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cybertools.tracking import open_storage
from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.middleware import Recorder
from cybertools.tracking.middleware.asgi import TrackingMiddleware
from cybertools.tracking.testing import Opener
from tests import webapp
from tests.engines import give_up
from tests.test_docs import blocks_of
from tests.web import free_port, get, server

ROOT = Path(__file__).parent.parent


def track(n: int, **more: Any) -> dict[str, Any]:
    return {"taskId": f"/lessons/{n % 7}", "userName": "ann", "data": {"n": n}, **more}


@pytest.fixture
def missing(tmp_path: Path) -> str:
    """The URL of a storage that is down: its folder is not there."""
    return f"sqlite:{tmp_path}/folder/tracks.db"


# The recorder


def test_all_that_is_recorded_is_saved(open: Opener) -> None:
    tracks = open()
    recorder = Recorder(tracks, batch=100, interval=0.01)
    for n in range(1_000):
        assert recorder.record(track(n), f"session-{n % 3}")
    recorder.close()
    assert [each.data["n"] for each in tracks.iterTracks()] == list(range(1_000))
    assert len(tracks.runs) == 7 * 3
    assert recorder.dropped == 0


def test_a_recorder_saves_by_itself(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/tracks.db"
    recorder = Recorder(url, interval=0.01)
    recorder.record(track(1))
    while recorder.waiting:
        pass
    with open_storage(url) as tracks:
        assert len(tracks) == 1
    recorder.close()


def test_a_track_that_is_refused_is_told_and_holds_up_no_other(
    open: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    tracks = open()
    recorder = Recorder(tracks, interval=webapp.NEVER)
    for bad in ({"data": {1: 2}}, {"userName": "x" * 1_001}, {"taskId": "a\0b"}):
        recorder.record(track(1))
        recorder.record(track(0) | bad, "session")
    recorder.record(track(2), "x" * 2_000)
    recorder.record(track(3), "session")
    assert recorder.flush()
    assert [each.data["n"] for each in tracks.values()] == [1, 1, 1, 3]
    assert recorder.dropped == 4
    assert "A track was dropped: " in caplog.text
    recorder.close()


def test_tracks_wait_for_a_storage_that_is_down(
    missing: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(missing, interval=webapp.NEVER)
    assert recorder.record(track(1))
    assert not recorder.flush()
    (tmp_path / "folder").mkdir()
    assert recorder.flush()
    recorder.close()
    with open_storage(missing) as tracks:
        assert len(tracks) == 1
    assert "There is no directory" in caplog.text


def test_a_full_buffer_drops_and_says_so(missing: str, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(missing, capacity=10, interval=webapp.NEVER, patience=0.1)
    assert [recorder.record(track(n)) for n in range(12)] == [True] * 10 + [False] * 2
    recorder.close()
    assert recorder.dropped == 12
    assert "2 tracks were dropped: the buffer was full" in caplog.text
    assert "10 tracks were dropped: the storage could not save them" in caplog.text
    assert not recorder.record(track(13))


def test_a_storage_that_cannot_be_is_refused_at_once() -> None:
    with pytest.raises(InvalidValue, match="There is no engine"):
        Recorder("nosuch:thing")
    with pytest.raises(InvalidValue, match="capacity must be more than 0"):
        Recorder("memory:", capacity=0)


FORKING = """
import os, sys
from cybertools.tracking import open_storage
from cybertools.tracking.middleware import Recorder
url, how = sys.argv[1:]
recorder = Recorder(url if how == "url" else open_storage(url), interval=3600)
for n in range(5):
    recorder.record({"taskId": "parent", "userName": "ann", "data": {}})
recorder.flush()
for n in range(5):
    recorder.record({"taskId": "parent", "userName": "ann", "data": {}})
child = os.fork()
for n in range(3):
    recorder.record({"taskId": "after", "userName": "ann", "data": {}})
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("how", ["url", "storage"])
def test_parent_and_child_save_what_is_theirs(how: str, tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/tracks.db"
    subprocess.run([sys.executable, "-c", FORKING, url, how], check=True, timeout=60)
    with open_storage(url) as tracks:
        assert tracks.countTracks(taskId="parent") == 10
        assert tracks.countTracks(taskId="after") == 6


# Applications


@pytest.fixture(params=webapp.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each application in turn."""
    name: str = request.param
    for package in (name.partition("_")[0], "uvicorn"):
        if not find_spec(package):
            give_up(name, f"the package {package}")
    return name


def test_a_server_that_is_terminated_has_saved_all(kind: str, tmp_path: Path) -> None:
    url, port = f"sqlite:{tmp_path}/tracks.db", free_port()
    with server("-m", "tests.webapp", kind, url, str(port), "30", port=port) as process:
        base = f"http://127.0.0.1:{port}"
        for n in range(20):
            headers = {"Cookie": "session=s1", "User-Agent": f"agent {n % 2}"}
            assert get(f"{base}/lessons/{n}?secret=1", headers) == 200
        assert get(f"{base}/static/logo.png") == 200
        assert get(f"{base}/boom") == 500
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    with open_storage(url) as tracks:
        found = list(tracks.values())
        assert [each.taskId for each in found] == [f"/lessons/{n}" for n in range(20)] + ["/boom"]
        assert [each.data["status"] for each in found] == [200] * 20 + [500]
        assert len({each.userName for each in found[:20]}) == 2
        assert all(each.userName.startswith("visitor-") for each in found)
        assert tracks.runs[found[0].runId].label == "s1"
        assert found[0].data.keys() == {"method", "status", "duration"}
        assert found[0].data["method"] == "GET"
        assert 0 < found[0].data["duration"] < 60


def test_a_storage_that_is_down_breaks_no_request(kind: str, missing: str) -> None:
    port = free_port()
    with server("-m", "tests.webapp", kind, missing, str(port), "0.1", port=port) as process:
        assert get(f"http://127.0.0.1:{port}/lessons/1") == 200
        assert get(f"http://127.0.0.1:{port}/boom") == 500
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert "There is no directory" in said
    assert "2 tracks are not saved yet" in said


def asked(app: Any, path: str = "/lessons/1") -> list[dict[str, Any]]:
    """What an ASGI application sends for a request."""
    sent: list[dict[str, Any]] = []
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "client": ("1.2.3.4", 5)}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


async def answering(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def failing(_scope: Any, _receive: Any, _send: Any) -> None:
    raise ZeroDivisionError("mine")


def test_an_exception_passes_through(tmp_path: Path) -> None:
    tracks = open_storage(f"sqlite:{tmp_path}/tracks.db")
    app = TrackingMiddleware(failing, tracks, salt=webapp.SALT)
    with pytest.raises(ZeroDivisionError, match="mine"):
        asked(app)
    app.requests.recorder.close()
    assert [each.data["status"] for each in tracks.values()] == [500]
    tracks.close()


def named(scope: Any) -> str:
    if scope["path"] == "/of/bad":
        raise ZeroDivisionError
    return "ann"


def test_what_the_application_tells(caplog: pytest.LogCaptureFixture) -> None:
    tracks = open_storage("memory:")
    app = TrackingMiddleware(
        answering,
        Recorder(tracks, interval=webapp.NEVER),
        task=lambda scope: scope["path"].rpartition("/")[2],
        user=named,
        run=lambda _scope: "s1",
        data=lambda scope: {"client": scope["client"][0]},
        salt=webapp.SALT,
    )
    assert asked(app, "/of/ann")[0]["status"] == 204
    assert asked(app, "/of/bad")[0]["status"] == 204  # what the application's function raises
    app.requests.recorder.close()
    (found,) = tracks.values()
    assert (found.taskId, found.userName, found.data["client"]) == ("ann", "ann", "1.2.3.4")
    assert tracks.runs[found.runId].label == "s1"
    assert app.requests.recorder.dropped == 1
    assert "ZeroDivisionError" in caplog.text


def test_the_same_visitor_has_the_same_name_with_one_salt() -> None:
    names = []
    for salt in ("one", "one", "two"):
        tracks = open_storage("memory:")
        app = TrackingMiddleware(answering, tracks, salt=salt)
        asked(app)
        app.requests.recorder.close()
        names += [each.userName for each in tracks.values()]
    assert names[0] == names[1] != names[2]
    assert "1.2.3.4" not in "".join(names)


@pytest.fixture(autouse=True)
def logging_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cybertools.tracking")


PAGE = ROOT / "docs" / "how-to" / "middleware.md"
SERVERS = {
    "starlette_app.py": ("uvicorn", "--app-dir", "{folder}", "starlette_app:app", "--port"),
    "flask_app.py": ("flask", "--app", "{folder}/flask_app", "run", "--port"),
}


@pytest.mark.parametrize("file", SERVERS)
def test_the_examples_of_the_documentation(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = (block.text for block in blocks_of(PAGE) if block.file == file)
    url, port = f"sqlite:{tmp_path}/tracks.db", free_port()
    (tmp_path / file).write_text(text.replace("sqlite:tracks.db", url))
    monkeypatch.setenv("TRACKS_SALT", webapp.SALT)
    command = [part.format(folder=tmp_path) for part in SERVERS[file]]
    with server("-m", *command, str(port), port=port) as process:
        assert get(f"http://127.0.0.1:{port}/lessons/1?secret=2") == 200
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    with open_storage(url) as tracks:
        assert [each.taskId for each in tracks.values()] == ["/lessons/1"]
