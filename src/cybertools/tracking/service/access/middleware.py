"""What HTTP needs beside tokens: origins of other pages, sizes of bodies, headers. Plain ASGI."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, TypeAlias

import orjson

__all__ = ["credential_of", "limit_bodies", "secure_headers", "share_with_origins"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

Headers: TypeAlias = list[tuple[bytes, bytes]]

METHODS = b"GET, HEAD, POST, PATCH, DELETE"
REQUEST_HEADERS = b"Authorization, Content-Type, Content-Encoding, Idempotency-Key, Last-Event-ID"
RESPONSE_HEADERS = b"ETag, Link, Location, Retry-After"
PREFLIGHT_AGE = b"600"
"""Seconds that a browser may remember what a preflight allowed."""

SECURITY: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
"""What each answer has that does not say otherwise; pages say otherwise of scripts and styles."""


def credential_of(authorization: str | None) -> str | None:
    """The token in the header ``Authorization``; None where there is none.

    ``Bearer TOKEN``; or Basic with the token as the user name, which clients of other services
    have as their write key, or as the password.
    """
    scheme, _, rest = (authorization or "").strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest or None
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return password or user or None


def secure_headers(app: App) -> App:
    """Give each answer the headers of `SECURITY` that it has not, and name no server."""

    async def secured(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", ()) if pair[0] != b"server"]
                there = {name.lower() for name, _ in headers}
                headers += [pair for pair in SECURITY if pair[0] not in there]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_secured if scope["type"] == "http" else send)

    return secured


def share_with_origins(
    app: App,
    listed: Collection[str],
    key_origins: Callable[[], Awaitable[Collection[str]]],
) -> App:
    """Let pages of other origins use the service (CORS), those that are known.

    Preflights are answered here. Cookies are never sent along: the answers have no
    ``Access-Control-Allow-Credentials``, so no page acts for somebody who is signed in.

    :param listed: the origins that may do all that their token may.
    :param key_origins: gives the origins of the public keys, whose pages may only send (POST).
    """

    async def methods_of(origin: str) -> bytes:
        if origin in listed:
            return METHODS
        return b"POST" if origin in await key_origins() else b""

    async def sharing(scope: Scope, receive: Receive, send: Send) -> None:
        origin = _header(scope, b"origin") if scope["type"] == "http" else None
        methods = b"" if origin is None else await methods_of(origin.decode("latin-1"))
        wanted = _header(scope, b"access-control-request-method")
        if origin and wanted and scope["method"] == "OPTIONS":
            await _answer_preflight(send, origin, methods)
            return
        method: str = scope.get("method", "")
        shared: Headers = []
        if origin and method.encode() in methods.split(b", "):
            shared = [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", RESPONSE_HEADERS),
            ]

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"vary", b"Origin"), *shared]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_shared)

    return sharing


async def _answer_preflight(send: Send, origin: bytes, methods: bytes) -> None:
    headers: Headers = [
        (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
    ]
    if methods:
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", methods),
            (b"access-control-allow-headers", REQUEST_HEADERS),
            (b"access-control-max-age", PREFLIGHT_AGE),
        ]
    await send(
        {"type": "http.response.start", "status": 204 if methods else 403, "headers": headers}
    )
    await send({"type": "http.response.body"})


class _TooLarge(Exception):
    """A body is larger than it may be."""


def limit_bodies(app: App, limit: int) -> App:
    """Answer a request whose body has more bytes with 413, and read no more of it.

    :param limit: bytes, as they are sent; what they are after decompression is the application's
        to look at.
    """

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        length = _header(scope, b"content-length")
        if length and length.isdigit() and int(length) > limit:
            await _answer_too_large(send, limit)
            return
        left = limit
        started = False

        async def receive_limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise _TooLarge
            return message

        async def send_limited(message: Message) -> None:
            nonlocal started
            # What the application makes of the error is not the answer.
            if left >= 0 or started:
                started = True
                await send(message)

        try:
            await app(scope, receive_limited, send_limited)
        except _TooLarge:
            if started:
                raise
        if left < 0 and not started:
            await _answer_too_large(send, limit)

    return limited


async def _answer_too_large(send: Send, limit: int) -> None:
    detail = f"The body of a request has at most {limit:,} bytes: send it in parts."
    body = orjson.dumps({"title": "Content Too Large", "status": 413, "detail": detail})
    headers: Headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # what is left of the body is not read
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _header(scope: Scope, name: bytes) -> bytes | None:
    """The header of that name, None where there is none or, ambiguously, several."""
    found = [value for key, value in scope.get("headers", ()) if key == name]
    return found[0] if len(found) == 1 else None
