"""Pages of other origins that use the service (CORS). Plain ASGI."""

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, TypeAlias

__all__ = ["share_with_origins"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

Headers: TypeAlias = list[tuple[bytes, bytes]]

METHODS = b"GET, HEAD, POST, PATCH, DELETE"
REQUEST_HEADERS = b"Authorization, Content-Encoding, Content-Type, Idempotency-Key, Last-Event-ID"
RESPONSE_HEADERS = b"Link, Location, Retry-After"
PREFLIGHT_AGE = b"600"
"""Seconds that a browser may remember what a preflight allowed."""


def share_with_origins(
    app: App,
    listed: Collection[str],
    has_key_for: Callable[[str], Awaitable[bool]],
) -> App:
    """Let pages of other origins use the service (CORS), those that are known.

    Preflights are answered here. Cookies are never sent along: the answers have no
    ``Access-Control-Allow-Credentials``, so no page acts for somebody who is signed in.

    :param listed: the origins that may do all that their token may; ``*`` is any.
    :param has_key_for: whether there is a public key for an origin, whose pages may only send
        (POST).
    """

    async def methods_of(origin: str) -> bytes:
        if origin in listed or "*" in listed:
            return METHODS
        return b"POST" if await has_key_for(origin) else b""

    async def sharing(scope: Scope, receive: Receive, send: Send) -> None:
        added: Headers = [(b"vary", b"Origin")]
        origin = _header(scope, b"origin") if scope["type"] == "http" else None
        if origin:
            methods = await methods_of(origin.decode("latin-1"))
            method: str = scope["method"]
            if method == "OPTIONS" and _header(scope, b"access-control-request-method"):
                await _answer_preflight(send, origin, methods)
                return
            if method.encode() in methods.split(b", "):
                added += [
                    (b"access-control-allow-origin", origin),
                    (b"access-control-expose-headers", RESPONSE_HEADERS),
                ]

        def send_shared(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            return send(message)

        await app(scope, receive, send_shared)

    return sharing


async def _answer_preflight(send: Send, origin: bytes, methods: bytes) -> None:
    headers: Headers = [
        (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
    ]
    if not methods:
        headers.append((b"content-length", b"0"))
    else:
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


def _header(scope: Scope, name: bytes) -> bytes | None:
    """The header of that name, None where there is none or, ambiguously, several."""
    found = [value for key, value in scope.get("headers", ()) if key == name]
    return found[0] if len(found) == 1 else None
