"""Pages of other origins, before a real application on a real server."""

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cybertools.tracking.service.access.origins import share_with_origins

LISTED = "https://desk.example.org"
PAGE = "https://shop.example.org"


async def echo(request: Request) -> Response:
    size = len(await request.body())
    return PlainTextResponse(str(size), headers={"Vary": "Accept-Encoding"})


async def has_key_for(origin: str) -> bool:
    return origin == PAGE


class Answer(NamedTuple):
    """An answer; its headers by lower-case names, several of one joined."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server that knows these origins."""
    route = Route("/echo", echo, methods=["GET", "POST", "DELETE", "OPTIONS"])
    app: Any = share_with_origins(Starlette(routes=[route]), {LISTED}, has_key_for)
    config = uvicorn.Config(app, log_level="critical", server_header=False, lifespan="off")
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()
    listening.close()


def ask(port: int, method: str, path: str, headers: dict[str, str] | None = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=headers or {})
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
