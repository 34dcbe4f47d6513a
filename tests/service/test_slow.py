"""Clients that keep a service waiting: what they may owe it, and for how long."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.service.paged import paged
from tests.service.running import PATIENCE, TRACKS, Running, connected, request, rest, running
from tests.waiting import until

ITEM = json.dumps({"taskId": "a001", "userName": "u1", "data": {}})
LARGE = {"text": "x" * 1_000}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that does not wait for long."""
    place: Path = tmp_path_factory.mktemp("slow")
    bounds: dict[str, Any] = {"head_seconds": 0.3, "body_seconds": 0.3, "body_rate": 1_000}
    with running(f"sqlite:{place}/tracks.db", **bounds) as service:
        yield service


def head(path: str, length: int, *more: str) -> bytes:
    """The head of a request with a body, which is still to come."""
    lines = [f"POST {path} HTTP/1.1", "Host: here", f"Content-Length: {length}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def drip(connection: socket.socket, piece: bytes) -> bytes:
    """Send a bit now and then until the service closes the connection; what it has answered."""
    answer = b""
    end = time.monotonic() + PATIENCE
    connection.settimeout(0.05)
    with suppress(ConnectionError):
        while time.monotonic() < end:
            connection.sendall(piece)
            try:
                part = connection.recv(1 << 16)
            except TimeoutError:
                continue
            if not part:
                return answer
            answer += part
        raise AssertionError("The connection is still there.")
    return answer


def problem(answer: bytes) -> dict[str, object]:
    """The problem that an answer is, with all that makes one."""
    start, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in start
    assert b"connection: close" in start
    return dict(json.loads(body))


@pytest.mark.parametrize("path", [TRACKS, "/v1/track", "/b"])
def test_a_body_that_drips_is_refused(hasty: Running, path: str) -> None:
    with connected(hasty) as connection:
        connection.sendall(head(path, 1_000_000))
        found = problem(drip(connection, b" "))
    assert found["status"] == 408
    assert found["type"] == "urn:cybertools-tracking:too-slow"


def test_a_body_that_does_not_come_is_refused(hasty: Running) -> None:
    with connected(hasty) as connection:
        connection.sendall(head(TRACKS, 10))
        assert problem(rest(connection))["status"] == 408


def test_a_body_in_chunks_that_drips_is_refused(hasty: Running) -> None:
    start = head(TRACKS, 0, "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    with connected(hasty) as connection:
        connection.sendall(start)
        assert problem(drip(connection, b"1\r\n \r\n"))["status"] == 408


def test_nothing_of_a_slow_body_is_stored_and_it_is_counted(tmp_path: Path) -> None:
    with running(f"sqlite:{tmp_path}/tracks.db", body_seconds=0.3) as service:
        with connected(service) as connection:
            lines = f"{ITEM}\n{ITEM}\n"
            more = "Content-Type: application/x-ndjson"
            connection.sendall(head(TRACKS, len(lines) + 1, more) + lines.encode())
            assert problem(rest(connection))["status"] == 408
        assert service.get("tracks/count") == {"count": 0}
        figures = service.client.get("/metrics").text
    assert 'route="/api/storages/{storage}/tracks",status="408"} 1.0' in figures
    assert "tracks_body_bytes 0.0" in figures


def test_a_body_that_goes_on_steadily_is_taken(tmp_path: Path) -> None:
    bounds: dict[str, Any] = {"body_seconds": 1.0, "body_rate": 10}
    with (
        running(f"sqlite:{tmp_path}/tracks.db", **bounds) as service,
        connected(service) as connection,
    ):
        lines = [f"{ITEM}\n".encode()] * 100
        more = ("Content-Type: application/x-ndjson", "Connection: close")
        start = head(TRACKS, len(b"".join(lines)), *more)
        for part in (start + b"".join(lines[:50]), *lines[50:]):
            connection.sendall(part)
            time.sleep(0.04)  # twice as long as a body may take of which nothing comes
        assert rest(connection).count(b"stored") == 100


def test_a_form_that_drips_is_refused_by_a_page(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/tracks.db"
    with paged(url, body_seconds=0.3) as pages, connected(pages.service) as connection:
        form = "Content-Type: application/x-www-form-urlencoded"
        connection.sendall(head("/sign-in", 1_000, form, "Accept-Language: de"))
        start, _, page = drip(connection, b"a").partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in start
    assert "nicht rechtzeitig gekommen" in page.decode()


def test_a_client_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    bounds: dict[str, Any] = {
        "page_tracks_most": 100_000,
        "head_seconds": 0.1,
        "stall_seconds": 0.1,
    }
    with running(f"sqlite:{tmp_path}/tracks.db", **bounds) as service:
        tracks = [{"taskId": "large", "userName": "u1", "data": LARGE}] * 5_000
        service.client.post(TRACKS, json=tracks).raise_for_status()
        service.client.close()
        with connected(service) as connection:
            connection.sendall(request("GET", f"{TRACKS}?limit=5000") * 10)
            until(lambda: service.server.server_state.total_requests > 1)
            until(lambda: not service.server.server_state.connections)


def test_blank_lines_do_not_keep_a_connection(hasty: Running) -> None:
    with connected(hasty) as connection:
        connection.sendall(request("GET", "/healthz"))
        assert b"200 OK" in drip(connection, b"\r\n")


def test_a_body_does_not_go_on_for_ever_after_its_answer(hasty: Running) -> None:
    with connected(hasty) as connection:
        connection.sendall(head("/nowhere", 1_000_000))
        assert b"404 Not Found" in drip(connection, b"x")
