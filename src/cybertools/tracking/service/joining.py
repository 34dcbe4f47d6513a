"""The server's HTTP protocol: bounds for what a client may keep waiting; answers in one packet."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cybertools.tracking.codec import encode
from cybertools.tracking.service.problems import Bad, as_json
from cybertools.tracking.service.replies import PROBLEM
from cybertools.tracking.service.requests import IS_WHOLE
from cybertools.tracking.service.settings import Settings

if TYPE_CHECKING:
    from cybertools.tracking.service.app import Application

__all__ = ["JoiningProtocol"]

HEAD_BYTES = 64 << 10
"""Of a request line with its headers; a few more are let through where they come at once."""

MOST = 1 << 16
"""Bytes that are held back; with more they leave at once, so that the transport can say stop."""


class JoiningProtocol(HttpToolsProtocol):
    """Writes to a connection leave together at the end of a turn of the event loop.

    The server writes the head of an answer and its body one after the other. Each write is a call
    of the system that wakes the client, which cannot do anything with the head alone.

    The head of a request is bounded in size and in time, since no token is asked for before it is
    complete. So is whatever else comes while there is nothing to answer: blank lines, or a body
    that was answered before it was read. A client that takes nothing of its answers is cut off.
    """

    _heads = 0
    """The heads that have begun, and those that were complete: odd within one."""
    _head_bytes = 0
    _looking: asyncio.TimerHandle | None = None
    _unsent = 0
    """Bytes that the client had still to take at the last look, and since when just as many."""
    _unsent_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol.connection_made`."""
        joining = _Joining(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(cast("asyncio.Transport", joining))
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol.connection_lost`."""
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol.data_received`."""
        before = self._heads
        super().data_received(data)
        if self._heads != before or not before % 2:
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The headers must have at most {HEAD_BYTES:,} bytes.")

    def send_400_response(self, msg: str) -> None:
        """See `HttpToolsProtocol`. It is a problem, as all that the service refuses."""
        body = encode(as_json(Bad("malformed", msg)))
        head = (
            b"HTTP/1.1 400 Bad Request\r\n"
            b"content-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head % (PROBLEM, len(body)) + body)
        self.transport.close()

    def on_message_begin(self) -> None:
        """See `HttpToolsProtocol`."""
        self._heads += 1
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        self._heads += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        cast("dict[str, Any]", self.scope)[IS_WHOLE] = True
        super().on_message_complete()

    def _look_later(self) -> None:
        seconds = self._settings.head_seconds
        self._looking = self.loop.call_later(seconds, self._look, self._heads, self._is_owed)

    def _look(self, heads: int, was_owed: bool) -> None:
        """Close the connection if the client owed a request all the time since the last look."""
        if was_owed and self._is_owed and self._heads == heads:
            self.transport.close()  # when the client has taken what waits for it
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, self.loop.time()
        elif unsent and self.loop.time() - self._unsent_since >= self._settings.stall_seconds:
            self.transport.abort()
        self._look_later()

    @property
    def _settings(self) -> Settings:
        return cast("Application", self.config.app).service.settings

    @property
    def _is_owed(self) -> bool:
        """Whether the client is to send a head, not the service an answer."""
        if self._heads % 2:
            # What it sends while an earlier answer goes on is not read: it cannot be completed.
            return not self.pipeline
        return self.cycle is None or self.cycle.response_complete


class _Joining:
    """A transport that holds back what is written until the end of the turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []
        self._size = 0
        # Asked for with each request, and so not found by way of __getattr__.
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """See `asyncio.WriteTransport.write`."""
        if not self._parts:
            self._loop.call_soon(self._leave)
        self._parts.append(data)
        self._size += len(data)
        if self._size > MOST:
            self._leave()

    def close(self) -> None:
        """See `asyncio.BaseTransport.close`."""
        self._leave()
        self._transport.close()

    def _leave(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if parts and not self._transport.is_closing():
            self._transport.writelines(parts)
