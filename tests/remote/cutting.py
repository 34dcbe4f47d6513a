"""A proxy that cuts connections: the service has had a request, and its answer does not arrive."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["Proxy", "proxied"]

PIECE = 1 << 14


class Proxy:
    """Passes bytes to and fro, until it is told to cut."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        # What is held is not with the system meanwhile, but for a little.
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE)
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._cuts: list[int] = []
        self._goes_on = threading.Event()
        self._goes_on.set()
        self.held = threading.Event()
        """A request is being held."""
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, *after: int) -> None:
        """Cut the next answers, each after so many bytes of it."""
        with self._lock:
            self._cuts += after

    def hold(self) -> None:
        """Pass no request on, from the next one."""
        self._goes_on.clear()

    def release(self) -> None:
        """Pass those on that were held."""
        self._goes_on.set()

    def _may_pass(self) -> None:
        if not self._goes_on.is_set():
            self.held.set()
            self._goes_on.wait()

    @property
    def waits(self) -> int:
        """How many answers are still to be cut."""
        return len(self._cuts)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                passing = _Passing(client, server)
                for target, hook in (
                    (passing.requests, self._may_pass),
                    (passing.answers, self._next_cut),
                ):
                    threading.Thread(target=target, args=(hook,), daemon=True).start()

    def _next_cut(self) -> int:
        with self._lock:
            return self._cuts.pop(0) if self._cuts else -1

    def close(self) -> None:
        """End it, with all connections."""
        self.release()
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class _Passing:
    """A connection of a client, and its own to the service."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client, self._server = client, server
        self._left: int | None = None
        """Bytes of the answer that may pass, -1 for all; None before its beginning."""

    def requests(self, may_pass: Callable[[], None]) -> None:
        """Pass what the client sends."""
        with suppress(OSError):
            while data := self._client.recv(PIECE):
                may_pass()
                self._left = None
                self._server.sendall(data)
        self._end()

    def answers(self, next_cut: Callable[[], int]) -> None:
        """Pass what the service sends, up to a cut."""
        with suppress(OSError):
            while data := self._server.recv(PIECE):
                left = next_cut() if self._left is None else self._left
                if 0 <= left < len(data):
                    self._client.sendall(data[:left])
                    break
                self._left = left - len(data) if left > 0 else left
                self._client.sendall(data)
        self._end()

    def _end(self) -> None:
        for each in (self._client, self._server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before a service, and the service's URL through it."""
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    host, _, port = place.partition(":")
    proxy = Proxy(int(port))
    try:
        yield proxy, f"{scheme}://{host}:{proxy.port}{slash}{path}"
    finally:
        proxy.close()
