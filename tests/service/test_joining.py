"""How answers leave: each in one piece, in their order, and whole before the connection closes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.running import PATIENCE, TRACKS, Running, connected, request, rest, running

ITEM = json.dumps({"taskId": "a001", "userName": "u1", "data": {}})
LARGE = {"text": "x" * 1_000}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place: Path = tmp_path_factory.mktemp("joining")
    with running(f"sqlite:{place}/tracks.db", page_tracks_most=100_000, head_seconds=0.3) as found:
        yield found


def test_an_answer_comes_in_one_piece(service: Running) -> None:
    with connected(service) as connection:
        for _ in range(50):
            connection.sendall(request("POST", TRACKS, ITEM))
            head, _, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 201")
            assert json.loads(body)["outcome"] == "stored"


def test_requests_sent_together_are_answered_in_their_order(service: Running) -> None:
    ids = [service.save(userName=f"u{number}").json()["id"] for number in range(10)]
    paths = [f"{TRACKS}/{id}" for id in ids]
    with connected(service) as connection:
        last = request("GET", paths[-1], "", "Connection: close")
        connection.sendall(b"".join(request("GET", path) for path in paths[:-1]) + last)
        answers = rest(connection).split(b"HTTP/1.1 ")[1:]
    bodies = [json.loads(answer.partition(b"\r\n\r\n")[2]) for answer in answers]
    assert [body["id"] for body in bodies] == ids


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_a_large_answer_is_whole_when_the_connection_closes(service: Running, kind: str) -> None:
    tracks = [{"taskId": f"large {kind}", "userName": "u1", "data": LARGE}] * 5_000
    service.client.post(TRACKS, json=tracks).raise_for_status()
    path = f"{TRACKS}?taskId=large%20{kind}&limit=5000"
    with connected(service) as connection:
        connection.sendall(request("GET", path, "", f"Accept: {kind}", "Connection: close"))
        answer = rest(connection)
    assert answer.count(json.dumps(LARGE, separators=(",", ":")).encode()) == 5_000
    assert answer.endswith(b'"next":null}' if kind == "application/json" else b"0\r\n\r\n")


def test_who_leaves_before_the_answer_disturbs_nobody(service: Running) -> None:
    before = len(service.get("tracks", limit=100_000)["tracks"])
    for _ in range(20):
        with connected(service) as connection:
            connection.sendall(request("POST", TRACKS, ITEM))
    assert service.save().status_code == 201
    assert len(service.get("tracks", limit=100_000)["tracks"]) > before


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 10_000_000,
        b"GET /healthz HTTP/1.1\r\n" + b"X: x\r\n" * 2_000_000,
        b"GET /" + b"x" * 10_000_000,
    ],
    ids=["header", "headers", "address"],
)
def test_a_head_without_an_end_is_refused(tmp_path: Path, head: bytes) -> None:
    place = f"sqlite:{tmp_path}/tracks.db"
    with running(place, head_seconds=PATIENCE) as service, connected(service) as connection:
        try:
            connection.sendall(head)
            answer = rest(connection)
        except ConnectionError:  # it was closed before all of it was sent
            return
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"content-type: application/problem+json" in answer


def test_what_is_no_http_is_refused(service: Running) -> None:
    with connected(service) as connection:
        connection.sendall(b"hello\r\n\r\n")
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["type"] == "urn:cybertools-tracking:malformed"


@pytest.mark.parametrize("first", [b"", request("GET", "/healthz")], ids=["first", "second"])
def test_a_head_that_does_not_come_closes_the_connection(service: Running, first: bytes) -> None:
    with connected(service) as connection:
        connection.sendall(first + b"GET /healthz HTTP/1.1\r\n")
        answer = rest(connection)
    assert answer.count(b"200 OK") == bool(first)
    with connected(service) as connection:
        assert rest(connection) == b""  # nothing was ever asked


def test_an_answer_may_take_longer_than_a_head(service: Running) -> None:
    with connected(service) as connection:
        connection.sendall(request("GET", "/api/storages/tracks/stream"))
        connection.settimeout(1.0)
        with pytest.raises(TimeoutError):
            rest(connection)
        connection.settimeout(PATIENCE)
        service.save(taskId="later")
        assert b"later" in connection.recv(1 << 16)
