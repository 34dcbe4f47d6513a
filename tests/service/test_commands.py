"""``tracks serve`` and ``tracks watch``, as they are used; and what the service writes."""

import json
import logging
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cybertools.tracking import open_storage
from tests.command import folder, run, spawn
from tests.service.running import PATIENCE, TOKEN, TRACKS, Running, TokenGate, running

__all__ = ["folder"]


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The command, and the address that it prints."""
    process = spawn("serve", "--port", "0", *arguments)
    assert process.stderr is not None
    base = ""
    try:
        while not base:
            line = process.stderr.readline().decode()
            assert line, "it has ended"
            found = re.search(r"is served at (http://\S+)$", line.strip())
            base = found[1] if found else ""
        yield process, base
    finally:
        process.kill()
        process.communicate()


def test_a_service_lets_nobody_in_without_a_token() -> None:
    with serving("sqlite:other.db", "--storage-name", "a", "--storage-name", "b") as (_, base):
        assert httpx.get(f"{base}/healthz").text == "ok\n"
        assert httpx.get(f"{base}/readyz").text == "ready\n"
        for credential in (None, "Bearer x", "Basic eDo=", "Basic !", "Other x"):
            headers = {"Authorization": credential} if credential else {}
            for path in ("/api/storages", "/api/storages/a/tracks", "/api/storages/nix/tracks"):
                answer = httpx.get(base + path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Bearer")
    with open_storage("sqlite:other.db", "a") as storage:
        assert len(storage) == 0
    assert not Path("tracks.db").exists()


def test_it_ends_as_it_should() -> None:
    with serving("--log-format", "json") as (process, base):
        assert httpx.get(f"{base}/healthz").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        lines = process.stderr.read().decode().splitlines()
        assert process.wait(PATIENCE) == 0
    assert [json.loads(line)["event"] for line in lines] == [
        "The service stops: it answers what is there.",
        "The service has ended.",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nix:x"], 2, "There is no engine for 'nix:x'"),
        (["sqlite:no/such/folder.db"], 3, "There is no directory"),
        (["--host", "192.0.2.1"], 2, "tracks token create"),
        (["--host", "no.such.host.invalid"], 2, "tracks token create"),
        (["--storage-name", "a/b"], 2, "storage must not hold a slash"),
    ],
)
def test_what_cannot_be_served_is_told(arguments: list[str], status: int, message: str) -> None:
    ran = run("serve", *arguments, status=status)
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_a_port_that_is_taken_is_told() -> None:
    with serving() as (_, base):
        port = base.rpartition(":")[2]
        ran = run("serve", "sqlite:other.db", "--port", port, status=3)
    assert f"127.0.0.1:{port} cannot be used: Address already in use." in ran.err


# Watching


class Watching:
    """The command, and what it prints."""

    def __init__(self, *arguments: str) -> None:
        self.process = spawn("watch", *arguments)
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    def wait(self, count: int) -> list[str]:
        """The first lines."""
        deadline = time.monotonic() + PATIENCE
        while len(self.lines) < count:
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)
        return self.lines[:count]

    def end(self) -> int:
        """Interrupt it; its exit code."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)
        self._thread.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return self.process.returncode


def test_watching(tracks: Running) -> None:
    tracks.save(data={"n": 1}, timeStamp=1178011680)
    tracks.save(userName="u2")
    everything = Watching(tracks.base, "--after", "0000000")
    some = Watching(tracks.base, "--json", "--user", "u2", "--where", "n=7", "--after", "0000001")
    assert everything.wait(1) == ['0000001  2007-05-01 09:28:00  u1  a001  {"n":1}']
    tracks.save(userName="u2", data={"n": 7})
    assert json.loads(some.wait(1)[0]) == tracks.get("tracks/0000003")
    assert len(everything.wait(3)) == 3
    assert [everything.end(), some.end()] == [130, 130]


def test_watching_goes_on_after_a_break(database: str) -> None:
    with running(database) as service:
        service.save()
        port = int(service.base.rpartition(":")[2])
        watching = Watching(service.base, "--after", "0000000", "--json")
        watching.wait(1)
    with running(database, port=port) as service:
        service.save()
        lines = watching.wait(2)
    assert [json.loads(line)["id"] for line in lines] == ["0000001", "0000002"]
    watching.end()


def test_watching_needs_a_token_and_a_service(database: str) -> None:
    with running(database, TokenGate()) as service:
        assert "A token is needed" in run("watch", service.base, status=2).err
        watching = Watching(service.base, "--token", TOKEN, "--after", "0000000")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        item = {"taskId": "a", "userName": "u", "data": {}}
        assert service.client.post(TRACKS, json=item, headers=headers).status_code == 201
        watching.wait(1)
        watching.end()
        name = run("watch", service.base, "--token", TOKEN, "--name", "nix", status=3)
        assert "There is no storage 'nix'" in name.err
    assert "There is no service at" in run("watch", service.base, status=3).err
    assert "URL must be like" in run("watch", "127.0.0.1", status=2).err


# What is written


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """Afterwards: what is written to this test's standard error is not for the next ones."""
    ours = logging.getLogger("cybertools.tracking")
    handlers, level, propagate = ours.handlers, ours.level, ours.propagate
    yield
    ours.handlers, ours.level, ours.propagate = handlers, level, propagate


@pytest.mark.usefixtures("logging_as_it_was")
def test_the_log_has_no_personal_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from cybertools.tracking.service.logs import set_up

    def fail(*_arguments: Any) -> None:
        raise RuntimeError("ann has done something")

    set_up("json", "debug")
    with running(f"sqlite:{tmp_path}/tracks.db", TokenGate()) as service:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        item = {"taskId": "secret-task", "userName": "ann", "data": {"what": "secret-data"}}
        service.client.post(TRACKS, json=item, headers=headers)
        service.client.get(f"{TRACKS}?userName=ann", headers=headers)
        service.client.get(f"{TRACKS}?userName=ann", headers={"Authorization": "Bearer wrong"})
        engine = service.service.storages.opened()["tracks"].storage.engine
        monkeypatch.setattr(engine, "last", fail)
        failed = service.client.get(f"{TRACKS}/last?taskId=a&userName=ann", headers=headers)
        assert (failed.status_code, failed.json()["type"][-8:]) == (500, "internal")
        assert "ann" not in failed.text
        metrics = service.client.get("/metrics").text
    log = capfd.readouterr().err
    lines = [json.loads(line) for line in log.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["status"]) for line in requests] == [
        *(("POST", 201), ("GET", 200), ("GET", 401), ("GET", 500), ("GET", 200)),
    ]
    (error,) = [line for line in lines if line["level"] == "error"]
    assert error["error"] == "RuntimeError"
    assert any("asking.py" in place for place in error["places"])
    for private in ("ann", "secret-task", "secret-data", TOKEN, "127.0.0.1", "wrong"):
        assert private not in log
        assert private not in metrics


def test_the_figures(tracks: Running) -> None:
    tracks.save(key="k")
    tracks.save(key="k")
    tracks.save(taskId="")
    tracks.save(runId=99)
    text = tracks.client.get("/metrics").text
    for line in (
        'tracks_saves_total{outcome="stored",storage="tracks"} 1.0',
        'tracks_saves_total{outcome="duplicate",storage="tracks"} 1.0',
        'tracks_saves_total{outcome="rejected",storage="tracks"} 1.0',
        'tracks_commit_tracks_count{storage="tracks"} 3.0',
        'tracks_waiting{storage="tracks"} 0.0',
        'tracks_watchers{storage="tracks"} 0.0',
        "tracks_body_bytes 0.0",
    ):
        assert line in text.splitlines()
    assert re.search(r'tracks_requests_total{.*POST.*status="201"} 1\.0', text)
