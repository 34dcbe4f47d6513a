"""A connection through a middleman, who cuts it at a moment of the test's choice."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["Proxy", "proxy"]

REQUESTS = {b"Q", b"S", b"c"}
"""The messages that a client waits for the answer of: Query, Sync, CopyDone."""

NEGOTIATIONS = (80877103, 80877104)
"""What comes in the place of a version when a client asks for encryption."""


class Proxy:
    """Passes on what comes, and cuts one connection when so many more requests have come."""

    def __init__(self, target: int) -> None:
        self.cuts = 0
        """So many connections were cut."""
        self._target = target
        self._left: int | None = None
        self._answered = False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self, after: int, answered: bool) -> None:
        """Cut once, at the request after so many others.

        :param answered: pass that request on and keep its answer; else it goes nowhere.
        """
        with self._lock:
            self._left, self._answered = after, answered

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                doomed = threading.Event()
                for work in (self._ask, self._answer):
                    threading.Thread(
                        target=work, args=(client, server, doomed), daemon=True
                    ).start()

    def _ask(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        """Pass on what comes from a client, message by message."""
        with suppress(OSError), client.makefile("rb") as stream:
            started = False
            while True:
                kind = stream.read(1) if started else b""
                size = stream.read(4)
                if len(size) < 4:
                    break
                content = stream.read(struct.unpack("!i", size)[0] - 4)
                started = started or struct.unpack("!i", content[:4])[0] not in NEGOTIATIONS
                if kind in REQUESTS and self._is_last():
                    doomed.set()
                    if not self._answered:
                        break
                server.sendall(kind + size + content)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _is_last(self) -> bool:
        with self._lock:
            if self._left is None:
                return False
            self._left -= 1
            if self._left >= 0:
                return False
            self._left = None
            self.cuts += 1
            return True

    def _answer(
        self, client: socket.socket, server: socket.socket, doomed: threading.Event
    ) -> None:
        """Pass on what comes from the server."""
        with suppress(OSError), client, server:
            while (answer := server.recv(1 << 16)) and not doomed.is_set():
                client.sendall(answer)
            if doomed.is_set():
                # As a firewall does it: no farewell, but a reset.
                hard = struct.pack("ii", 1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
                client.shutdown(socket.SHUT_RD)


@contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    """A proxy to a port of this machine."""
    middleman = Proxy(target)
    try:
        yield middleman
    finally:
        middleman.close()
