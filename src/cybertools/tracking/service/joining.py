"""The server's HTTP protocol, with the head and the body of an answer in one packet."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["JoiningProtocol"]

MOST = 1 << 16
"""Bytes that are held back; with more they leave at once, so that the transport can say stop."""


class JoiningProtocol(HttpToolsProtocol):
    """Writes to a connection leave together at the end of a turn of the event loop.

    The server writes the head of an answer and its body one after the other. Each write is a call
    of the system that wakes the client, which cannot do anything with the head alone.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol.connection_made`."""
        joining = _Joining(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(cast("asyncio.Transport", joining))


class _Joining:
    """A transport that holds back what is written until the end of the turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []
        self._size = 0

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
