"""The wire: requests are sent over it, and answers come back.

There are two: one blocks its thread, the other (`asynchronous`) suspends a task. All else of the
remote engine is written once, and knows no more of them than this.
"""

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Protocol

import httpx

from cybertools.tracking.remote.address import Address
from cybertools.tracking.remote.patience import Patience

__all__ = ["BlockingWire", "Wire", "limits_of", "trust"]


class Wire(Protocol):
    """What carries requests and answers. The errors are those of httpx."""

    def send(self, request: httpx.Request, stream: bool) -> httpx.Response:
        """The answer to a request, read to its end or (``stream``) only begun."""

    def parts(self, response: httpx.Response) -> Iterator[bytes]:
        """The parts of an answer that was begun."""

    def read(self, response: httpx.Response) -> bytes:
        """The whole of an answer that was begun."""

    def release(self, response: httpx.Response) -> None:
        """Let go of an answer, read to its end or not."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def close(self) -> None:
        """Close the connections."""


class BlockingWire:
    """A wire for threads, which may share it."""

    def __init__(self, address: Address, patience: Patience) -> None:
        """Make one; a connection is opened when it is needed."""
        self._make: Callable[[], httpx.Client] = lambda: httpx.Client(
            verify=trust(address), limits=limits_of(patience)
        )
        self._client = self._make()
        self._process = os.getpid()
        self._lock = threading.Lock()

    def send(self, request: httpx.Request, stream: bool) -> httpx.Response:
        """See `Wire.send`."""
        if self._process != os.getpid():
            self._after_fork()
        return self._client.send(request, stream=stream)

    def _after_fork(self) -> None:
        """Open connections of one's own: the inherited ones are the parent's."""
        with self._lock:
            if self._process != os.getpid():
                self._client, self._process = self._make(), os.getpid()

    def parts(self, response: httpx.Response) -> Iterator[bytes]:
        """See `Wire.parts`."""
        return response.iter_bytes()

    def read(self, response: httpx.Response) -> bytes:
        """See `Wire.read`."""
        return response.read()

    def release(self, response: httpx.Response) -> None:
        """See `Wire.release`."""
        response.close()

    def sleep(self, seconds: float) -> None:
        """See `Wire.sleep`."""
        time.sleep(seconds)

    def close(self) -> None:
        """See `Wire.close`."""
        if self._process == os.getpid():
            self._client.close()


def trust(address: Address) -> ssl.SSLContext | bool:
    """What a service's certificate is verified by."""
    # To read the certificates that are trusted takes longer than many calls: where there is TLS,
    # and once.
    return _certificates() if address.url.startswith("https:") else False


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def limits_of(patience: Patience) -> httpx.Limits:
    """How many connections there may be."""
    most = patience.connections
    return httpx.Limits(max_connections=most, max_keepalive_connections=most)
