"""Answers, and how they are sent: as a whole, or bit by bit as long as somebody takes them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple, TypeAlias

from starlette.types import Receive, Scope, Send

from cybertools.tracking.codec import encode

__all__ = [
    "EVENTS",
    "HTML",
    "JSON",
    "LINES",
    "PAGE_SECURITY",
    "PROBLEM",
    "TEXT",
    "Header",
    "Reply",
    "reply",
    "send",
]

Header: TypeAlias = tuple[bytes, bytes]

JSON = b"application/json"
LINES = b"application/x-ndjson"
PROBLEM = b"application/problem+json"
EVENTS = b"text/event-stream"
TEXT = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"

SECURITY: list[Header] = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
"""What each answer tells a browser: not to keep it, and not to guess its kind."""

TOO_SLOW = 408
CLOSE: Header = (b"connection", b"close")
"""What an answer has where the rest of a body is not waited for."""

_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    b" frame-ancestors 'none'"
)
PAGE_SECURITY: list[Header] = [
    (b"content-security-policy", _POLICY),
    (b"referrer-policy", b"no-referrer"),
]
"""What a page tells as well: to run and load nothing, and not to be framed."""


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes | AsyncGenerator[bytes, None] = b""
    kind: bytes = JSON
    headers: Sequence[Header] = ()


def reply(value: object, status: int = 200, headers: Sequence[Header] = ()) -> Reply:
    """A JSON value as an answer."""
    return Reply(status, encode(value), JSON, headers)


async def send(answer: Reply, scope: Scope, receive: Receive, send: Send, stall: float) -> bool:
    """Send an answer.

    :param stall: seconds in which a client has to take a part of a stream.
    :returns: whether all of it was sent; else the client has gone, or was too slow.
    """
    body = answer.body
    headers = [*SECURITY, CLOSE] if answer.status == TOO_SLOW else [*SECURITY]
    if answer.headers:
        own = {name for name, _ in answer.headers}
        headers = [*(pair for pair in headers if pair[0] not in own), *answer.headers]
    if answer.status not in (204, 304):
        headers.append((b"content-type", answer.kind))
        if isinstance(body, bytes):
            headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body})
        return True
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b""})
        return True
    sending = asyncio.create_task(_send_parts(body, send, stall))
    leaving = asyncio.create_task(_disconnect(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)
    if sending.cancelled():
        return False
    error = sending.exception()
    if error is None:
        await send({"type": "http.response.body", "body": b""})
    elif not isinstance(error, TimeoutError):
        raise error
    return error is None


async def _send_parts(parts: AsyncGenerator[bytes, None], send: Send, stall: float) -> None:
    async with aclosing(parts):
        async for part in parts:
            message = {"type": "http.response.body", "body": part, "more_body": True}
            await asyncio.wait_for(send(message), stall)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
