"""The ways in over HTTP: what is answered, and what is let in."""

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from cybertools.tracking import Storage, Track, open_storage
from cybertools.tracking.service.browser import script
from cybertools.tracking.service.segment import BATCH_LIMIT, CALLS
from tests.web import free_port, server

KEY = "write-key"
MESSAGE = {"userId": "ann", "event": "Opened"}


class Service(NamedTuple):
    """A running service, and what it has stored."""

    http: httpx.Client
    tracks: Storage
    url: str

    def post(self, call: str, body: Any, **more: Any) -> httpx.Response:
        """The answer to a call of Segment's API, with the key as a library sends it."""
        headers = {"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}
        content = body if isinstance(body, bytes) else json.dumps(body)
        return self.http.post(
            f"/v1/{call}", content=content, headers={**headers, **more.pop("headers", {})}, **more
        )

    def tracks_of(self, userName: str) -> list[Track]:
        """The tracks of a user whom no other test has."""
        return self.tracks.query(userName=userName)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for all tests."""
    url, port = f"sqlite:{tmp_path_factory.mktemp('ways')}/tracks.db", free_port()
    with (
        server("-m", "tests.service.served", url, str(port), KEY, port=port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
        open_storage(url) as tracks,
    ):
        yield Service(http, tracks, url)


# Segment


@pytest.mark.parametrize("call", CALLS)
def test_each_call_is_answered_as_segment_does(service: Service, call: str) -> None:
    message = {"userId": call, "event": "Opened", "type": "track", "properties": {"é": 1}}
    body = {"batch": [message]} if CALLS[call] == "batch" else message
    answer = service.post(call, body)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (track,) = service.tracks_of(call)
    assert track.data["type"] == ("track" if CALLS[call] == "batch" else CALLS[call])
    assert track.data["properties"] == {"é": 1}


def test_the_same_message_again_is_stored_once(service: Service) -> None:
    body = {**MESSAGE, "userId": "twice", "messageId": "the same"}
    for _ in range(2):
        assert service.post("track", body).json() == {"success": True}
        assert service.post("batch", {"batch": [{**body, "type": "track"}] * 2}).is_success
    assert len(service.tracks_of("twice")) == 1


def test_bodies_may_be_compressed(service: Service) -> None:
    body = gzip.compress(json.dumps({**MESSAGE, "userId": "zip"}).encode())
    assert service.post("track", body, headers={"Content-Encoding": "gzip"}).is_success
    assert len(service.tracks_of("zip")) == 1


def test_the_good_messages_of_a_batch_are_stored(service: Service) -> None:
    good = {**MESSAGE, "userId": "good", "type": "track"}
    answer = service.post("batch", {"batch": [good, {**good, "userId": ""}, good]})
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "rejected": [{"message": 1, "reason": "A message must have userId or anonymousId."}],
    }
    assert len(service.tracks_of("good")) == 2


@pytest.mark.parametrize(
    ("call", "body", "reason"),
    [
        ("track", b"{", "The body is no JSON"),
        ("track", b"[1]", "The body must be an object"),
        ("track", {"userId": "ann"}, "A track message must have event"),
        ("track", {**MESSAGE, "properties": {"p": "x" * 33_000}}, "at most 32,768 bytes"),
        ("batch", {"batch": 1}, "must have a list of messages"),
        ("batch", {"batch": [1] * 2_501}, "at most 2,500 messages"),
        ("batch", {"batch": ["x" * BATCH_LIMIT]}, "at most 512,000 bytes"),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(
    service: Service, call: str, body: Any, reason: str
) -> None:
    before = len(service.tracks)
    answer = service.post(call, body)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert reason in answer.json()["message"]
    assert len(service.tracks) == before


def test_a_broken_gzip_is_a_bad_request(service: Service) -> None:
    answer = service.post("track", b"no gzip", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400


def test_the_key_may_be_in_the_body(service: Service) -> None:
    body = {**MESSAGE, "userId": "bodily", "writeKey": KEY}
    assert service.http.post("/v1/t", json=body).is_success
    batch = {"batch": [{**body, "type": "track"}]}
    assert service.http.post("/v1/b", json=batch).is_success
    found = service.tracks_of("bodily")
    assert len(found) == 2
    assert all("writeKey" not in track.data for track in found)


def test_nobody_is_let_in_without_the_key(service: Service) -> None:
    before = len(service.tracks)
    assert service.http.post("/v1/track", json=MESSAGE).status_code == 401
    assert service.http.post("/v1/track", json={**MESSAGE, "writeKey": "other"}).status_code == 401
    wrong = {"Authorization": "Basic " + base64.b64encode(b"other:").decode()}
    body = {**MESSAGE, "writeKey": KEY}
    assert service.http.post("/v1/track", json=body, headers=wrong).status_code == 401
    assert len(service.tracks) == before


def test_there_is_no_other_call(service: Service) -> None:
    assert service.post("other", MESSAGE).status_code == 404
    assert service.http.get("/v1/track").status_code == 405


def test_a_storage_of_ones_own(service: Service) -> None:
    named = {**MESSAGE, "userId": "named"}
    assert service.post("track", named, params={"storage": "other"}).status_code == 200
    keyed = {**named, "writeKey": f"{KEY}-other"}
    assert service.http.post("/v1/track", json=keyed).status_code == 200
    assert beacon(service, "named", key=f"{KEY}-other").status_code == 204
    with open_storage(service.url, "other") as other:
        assert len(other.query(userName="named")) == 3
    assert not service.tracks_of("named")
    assert service.post("track", MESSAGE, params={"storage": "nosuch"}).status_code == 404
    assert service.post("track", MESSAGE, params={"other": "x"}).status_code == 400
    assert service.post("track", MESSAGE, params={"storage": ""}).status_code == 422


# The browser script


def test_the_script_is_served(service: Service) -> None:
    plain = service.http.get("/track.js", headers={"Accept-Encoding": "identity"})
    packed = service.http.get("/track.js", headers={"Accept-Encoding": "gzip, br"})
    assert plain.content == packed.content == script()
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) <= 2_000
    for answer in (plain, packed):
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=3600"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    again = service.http.get("/track.js", headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def beacon(service: Service, user: str, key: str = KEY, **headers: str) -> httpx.Response:
    body = {"taskId": "/", "runId": "s1", "userName": user, "key": user, "data": {"type": "view"}}
    return service.http.post("/b", params={"key": key}, content=json.dumps(body), headers=headers)


def test_a_beacon_is_stored_once(service: Service) -> None:
    for _ in range(2):
        answer = beacon(service, "visitor-1")
        assert (answer.status_code, answer.content) == (204, b"")
    (track,) = service.tracks_of("visitor-1")
    assert track.data == {"type": "view"}
    assert service.tracks.runs[track.runId].label == "s1"


def test_a_beacon_that_is_refused(service: Service) -> None:
    assert beacon(service, "visitor-2", key="other").status_code == 401
    assert beacon(service, "x" * 1_001).status_code == 422
    answer = service.http.post("/b", params={"key": KEY}, content=b"x" * 70_000)
    assert answer.status_code == 413
    assert service.http.post("/b", params={"key": KEY}, content=b"{").status_code == 400
    assert not service.tracks_of("visitor-2")


@pytest.mark.parametrize("header", ["DNT", "Sec-GPC"])
def test_who_asks_for_privacy_gets_it(service: Service, header: str) -> None:
    assert beacon(service, f"visitor-{header}", **{header: "1"}).status_code == 204
    assert not service.tracks_of(f"visitor-{header}")
