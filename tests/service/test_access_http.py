"""Who may do what, through a running `tracks serve`."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.command import folder, run, spawn
from tests.waiting import until

__all__ = ["folder"]

PAGE = "https://shop.example.org"
TRACK = {"taskId": "t1", "userName": "u1", "data": {"k": "v"}}


class Service(NamedTuple):
    """A running service."""

    url: str
    token: str
    """The first one, for everything."""

    def ask(
        self, method: str, path: str, token: str | None = None, body: Any = None, **headers: str
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.request(
            method, f"{self.url}/api/storages{path}", headers={**sent, **headers}, json=body
        )


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    said = folder / "said.txt"
    with said.open("wb") as out:
        process = spawn("serve", "--port", "0", stderr=out)
    found = until(lambda: re.search(r"(trk_\w+)\n(?s:.*)(http://\S+)", said.read_text()), process)
    yield Service(found[2], found[1])
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


def made(*arguments: str) -> str:
    return run("token", "create", *arguments).out.strip()


def test_who_is_let_in(service: Service) -> None:
    writer = made("w", "--scope", "write", "--storage-name", "tracks")
    reader = made("r", "--scope", "read")
    key = made("k", "--origin", PAGE, "--storage-name", "tracks")
    path, own = "/tracks/tracks", "/service-tokens/tracks"
    for status, answer in (
        (401, service.ask("GET", path)),
        (401, service.ask("GET", path, "trk_guess")),
        (403, service.ask("GET", path, writer)),
        (201, service.ask("POST", path, writer, TRACK)),
        (403, service.ask("POST", "/other/tracks", writer, TRACK)),
        (403, service.ask("POST", path, reader, TRACK)),
        (200, service.ask("GET", path, reader)),
        (403, service.ask("GET", own, reader)),
        (200, service.ask("GET", own, service.token)),
        (403, service.ask("POST", path, key, TRACK)),
        (403, service.ask("POST", path, key, TRACK, Origin="https://evil.example")),
        (201, service.ask("POST", path, key, TRACK, Origin=PAGE)),
        (403, service.ask("GET", path, key, Origin=PAGE)),
    ):
        assert answer.status_code == status, answer.text
        assert ("www-authenticate" in answer.headers) is (status == 401)
        assert answer.headers["cache-control"] == "no-store"
        if status != 200:
            for secret in (writer, reader, key, service.token, "$", "hash"):
                assert secret not in answer.text
    assert service.ask("GET", path, reader).json()["tracks"][0]["data"] == {"k": "v"}
    shown = service.ask("GET", "", reader).json()["storages"]
    assert shown == ["tracks"]


def test_a_revoked_token_is_refused_soon(service: Service) -> None:
    reader = made("r", "--scope", "read")
    assert service.ask("GET", "/tracks/tracks", reader).status_code == 200
    run("token", "revoke", reader)
    until(lambda: service.ask("GET", "/tracks/tracks", reader).status_code == 401)


def test_a_secret_token_in_an_address_is_refused(service: Service) -> None:
    key = made("k", "--origin", PAGE, "--storage-name", "tracks")
    url, origin = f"{service.url}/b", {"Origin": PAGE}
    assert httpx.post(url, params={"key": key}, json=TRACK, headers=origin).status_code == 204
    for secret in (service.token, made("w", "--scope", "write", "--storage-name", "tracks")):
        answer = httpx.post(url, params={"key": secret}, json=TRACK, headers=origin)
        assert answer.status_code == 403
        assert "use a public key" in answer.json()["detail"]
        assert secret not in answer.text
    assert service.ask("GET", "/tracks/tracks/count", service.token).json() == {"count": 1}


def test_a_live_stream_ends_after_its_token_is_revoked(service: Service) -> None:
    reader = made("r", "--scope", "read")
    sent = {"Authorization": f"Bearer {reader}"}
    stream = f"{service.url}/api/storages/tracks/stream"
    with httpx.stream("GET", stream, headers=sent, timeout=120) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 1000"
        run("token", "revoke", reader)
        assert not any(line.startswith("data: ") for line in lines)


def test_a_page_of_another_origin(service: Service) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    assert service.ask("OPTIONS", "/tracks/tracks", **asked).status_code == 403
    key = made("k", "--origin", PAGE, "--storage-name", "tracks")
    answer = service.ask("OPTIONS", "/tracks/tracks", **asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    answer = service.ask("POST", "/tracks/tracks", key, TRACK, Origin=PAGE)
    assert answer.headers["access-control-allow-origin"] == PAGE


def test_beyond_loopback_it_does_not_start_without_a_token() -> None:
    process = spawn("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - it is refused
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert b"tracks token create" in err


def test_the_first_token_is_shown_once(service: Service) -> None:
    assert service.ask("GET", "", service.token).status_code == 200
    process = spawn("serve", "--port", "0", stderr=subprocess.PIPE)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if b"http://" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert b"trk_" not in b"".join(lines)
    entries = [json.loads(line) for line in run("token", "list", "--json").out.splitlines()]
    assert [entry["name"] for entry in entries] == ["first"]
