"""What HTTP needs beside tokens, before a real application on a real server."""

import asyncio
import base64
import http.client
import json
import socket
import threading
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cybertools.tracking.service.access.middleware import (
    credential_of,
    limit_bodies,
    secure_headers,
    share_with_origins,
)

LISTED = "https://desk.example.org"
PAGE = "https://shop.example.org"
LIMIT = 1_000


async def echo(request: Request) -> Response:
    size = len(await request.body())
    return PlainTextResponse(str(size), headers={"Vary": "Accept-Encoding", "Server": "echo/1"})


async def page(_request: Request) -> Response:
    own = {"Content-Security-Policy": "default-src 'self'", "Cache-Control": "max-age=60"}
    return PlainTextResponse("page", headers=own)


async def key_origins() -> Collection[str]:
    return {PAGE}


class Answer(NamedTuple):
    """An answer; its headers by lower-case names, several of one joined."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module", params=["inside", "around"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server whose body limit is around the application, or among its middleware."""
    app: Any = Starlette(
        routes=[
            Route("/echo", echo, methods=["GET", "POST", "DELETE", "OPTIONS"]),
            Route("/page", page),
        ]
    )
    if request.param == "inside":
        app.add_middleware(limit_bodies, limit=LIMIT)
    else:
        app = limit_bodies(app, LIMIT)
    app = secure_headers(share_with_origins(app, {LISTED}, key_origins))
    config = uvicorn.Config(app, log_level="critical", server_header=False, lifespan="off")
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()
    listening.close()


def ask(
    port: int, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        found: dict[str, str] = {}
        for name, value in response.getheaders():
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def preflight(port: int, origin: str, method: str) -> Answer:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return ask(port, "OPTIONS", "/echo", asked)


def cors(answer: Answer) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.startswith("access-control")}


# Pages of other origins


def test_a_preflight_of_a_listed_origin(port: int) -> None:
    answer = preflight(port, LISTED, "PATCH")
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == LISTED
    assert "PATCH" in answer.headers["access-control-allow-methods"].split(", ")
    assert "Authorization" in answer.headers["access-control-allow-headers"].split(", ")
    assert "Origin" in answer.headers["vary"].split(", ")
    assert "access-control-allow-credentials" not in answer.headers


def test_a_preflight_of_the_origin_of_a_key(port: int) -> None:
    answer = preflight(port, PAGE, "POST")
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "POST"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "*", f"{PAGE}.evil.example"])
def test_no_preflight_for_others(port: int, origin: str) -> None:
    answer = preflight(port, origin, "POST")
    assert answer.status == 403
    assert cors(answer) == {}
    assert "Origin" in answer.headers["vary"].split(", ")


def test_answers_are_for_known_origins(port: int) -> None:
    for origin, method, shared in (
        (LISTED, "GET", True),
        (LISTED, "DELETE", True),
        (PAGE, "POST", True),
        (PAGE, "GET", False),
        ("https://evil.example", "POST", False),
        (None, "GET", False),
    ):
        answer = ask(port, method, "/echo", {} if origin is None else {"Origin": origin})
        assert answer.status == 200
        assert (answer.headers.get("access-control-allow-origin") == origin) is (
            shared or origin is None
        )
        assert answer.headers["vary"] == "Accept-Encoding, Origin"


def test_options_that_are_no_preflight_reach_the_application(port: int) -> None:
    assert ask(port, "OPTIONS", "/echo", {"Origin": LISTED}).body == b"0"


# Sizes


def test_a_body_of_the_limit(port: int) -> None:
    assert ask(port, "POST", "/echo", body=b"x" * LIMIT).body == b"1000"
    assert ask(port, "POST", "/echo", body=iter([b"x" * 500] * 2)).body == b"1000"


@pytest.mark.parametrize("chunks", [None, [b"x" * 600] * 2, [b"x" * 400] * 100], ids=str)
def test_a_body_that_is_too_large(port: int, chunks: list[bytes] | None) -> None:
    body: Any = b"x" * (LIMIT + 1) if chunks is None else iter(chunks)
    answer = ask(port, "POST", "/echo", body=body)
    assert answer.status == 413
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert problem["status"] == 413
    assert "1,000 bytes" in problem["detail"]


# Headers


def test_headers_of_answers(port: int) -> None:
    for answer in (ask(port, "GET", "/echo"), ask(port, "GET", "/nowhere")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
    too_large = ask(port, "POST", "/echo", body=b"x" * (LIMIT + 1))
    assert too_large.headers["cache-control"] == "no-store"
    assert preflight(port, LISTED, "GET").headers["cache-control"] == "no-store"


def test_what_an_answer_says_itself_stays(port: int) -> None:
    answer = ask(port, "GET", "/page")
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert answer.headers["cache-control"] == "max-age=60"
    assert answer.headers["x-content-type-options"] == "nosniff"


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("", None),
        ("Bearer trk_1", "trk_1"),
        ("bearer  trk_1 ", "trk_1"),
        ("Bearer", None),
        ("trk_1", None),
        ("Digest trk_1", None),
        (basic("trk_1:"), "trk_1"),
        (basic("trk_1"), "trk_1"),
        (basic("token:trk_1"), "trk_1"),
        (basic(":"), None),
        ("Basic ?", None),
        ("Basic /w==", None),
    ],
)
def test_the_token_in_a_request(header: str | None, token: str | None) -> None:
    assert credential_of(header) == token
