"""The gate is asked about each request, before anything else is done."""

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest

from cybertools.tracking.service.app import ENDPOINTS
from cybertools.tracking.service.endpoints import Endpoint
from cybertools.tracking.service.gate import Principal, Refused
from cybertools.tracking.service.replies import Reply, reply
from cybertools.tracking.service.requests import Call
from cybertools.tracking.service.service import Service
from tests.gates import Asked, DecidingGate
from tests.service.running import TRACKS, Running, running


class Recording(DecidingGate):
    """A gate that remembers what it was asked, and refuses if it was told so."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.refusal: Refused | None = None

    def decide(self, asked: Asked) -> Principal:
        self.asked.append(asked)
        if self.refusal is not None:
            raise self.refusal
        return Principal("somebody")

    async def may_read(self, principal: Principal, storage: str) -> bool:
        return principal.name == "somebody" and storage != "hidden"


async def hello(service: Service, call: Call) -> Reply:
    """A way in of another kind."""
    names = await service.storages.names()
    return reply({"hello": call.principal.name, "storages": names})


@pytest.fixture
def gate() -> Recording:
    return Recording()


@pytest.fixture
def guarded(database: str, gate: Recording) -> Iterator[Running]:
    more = (Endpoint("POST", "/v1/hello", "write", hello),)
    page = "https://example.org"
    with running(database, gate, more, names=("tracks", "hidden"), origins=(page,)) as service:
        yield service


def test_what_the_gate_is_told(guarded: Running, gate: Recording) -> None:
    basic = base64.b64encode(b"key:").decode()
    for headers, credential, origin in (
        ({}, None, None),
        ({"Authorization": "Bearer abc"}, "abc", None),
        ({"Authorization": "bearer  abc"}, "abc", None),
        ({"Authorization": f"Basic {basic}"}, "key", None),
        ({"Authorization": "Basic ?"}, "", None),
        ({"Origin": "https://example.org"}, None, "https://example.org"),
    ):
        guarded.client.get("/api/storages/tracks/tasks", headers=headers)
        assert gate.asked.pop() == (credential, "read", "tracks", origin, "127.0.0.1")


def test_each_endpoint_asks_for_its_scope(guarded: Running, gate: Recording) -> None:
    gate.refusal = Refused("No.")
    for endpoint in ENDPOINTS:
        path = re.sub(r"{\w+}", "x", endpoint.path)
        answer = guarded.client.request(endpoint.method, path)
        if endpoint.path.startswith("/v1/"):  # whose token may be in the body, and there is none
            assert answer.status_code == 400
        elif endpoint.path == "/b":
            assert answer.status_code == 401
            assert gate.asked.pop()[1:3] == ("write", None)
        elif endpoint.scope is None:
            assert answer.status_code == 200
            assert gate.asked == []
        else:
            assert answer.status_code == 401
            storage = "x" if "{storage}" in endpoint.path else None
            assert gate.asked.pop()[1:3] == (endpoint.scope, storage)


@pytest.mark.parametrize(
    ("refusal", "status", "kind", "header"),
    [
        (Refused("No."), 401, "unauthorized", "www-authenticate"),
        (Refused("No.", 403), 403, "forbidden", ""),
        (Refused("No.", 429, 7), 429, "too-many-requests", "retry-after"),
    ],
)
def test_who_is_refused_learns_nothing_else(
    guarded: Running, gate: Recording, refusal: Refused, status: int, kind: str, header: str
) -> None:
    gate.refusal = refusal
    for path in (TRACKS, "/api/storages/nix/tracks"):
        answer = guarded.client.post(path, content=b"no json at all")
        assert answer.status_code == status
        assert answer.json() == {
            "type": f"urn:cybertools-tracking:{kind}",
            "title": answer.json()["title"],
            "status": status,
            "detail": "No.",
        }
        assert not header or header in answer.headers
    gate.refusal = None
    assert guarded.get("tracks/count") == {"count": 0}


def test_only_what_may_be_read_is_listed(guarded: Running) -> None:
    assert guarded.client.get("/api/storages").json() == {"storages": ["tracks"]}


def test_a_way_in_of_another_kind(guarded: Running) -> None:
    assert guarded.client.post("/v1/hello").json() == {
        "hello": "somebody",
        "storages": ["hidden", "tracks"],
    }
    assert guarded.client.get("/v1/hello").status_code == 405


def test_pages_that_may_read_answers(guarded: Running) -> None:
    def preflight(origin: str) -> Any:
        return guarded.client.options(
            TRACKS,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )

    allowed = preflight("https://example.org")
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == "https://example.org"
    assert preflight("https://evil.example").status_code == 403
    answer = guarded.client.get(TRACKS, headers={"Origin": "https://example.org"})
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    other = guarded.client.get(TRACKS, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_what_each_answer_tells_a_browser(guarded: Running) -> None:
    for path in (TRACKS, "/docs", "/nix", "/healthz"):
        answer = guarded.client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
