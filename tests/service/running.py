"""A service that runs: in a thread of this process, or in a process of its own.

``python -m tests.service.running URL PORT`` serves a database to everybody, and prints the port.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from cybertools.tracking.service.app import make_app
from cybertools.tracking.service.endpoints import Endpoint
from cybertools.tracking.service.gate import Gate, OpenGate, Principal, Refused
from cybertools.tracking.service.logs import set_up
from cybertools.tracking.service.service import Service
from cybertools.tracking.service.serving import Server, listening, serve
from cybertools.tracking.service.settings import Settings
from tests.gates import Asked, DecidingGate

__all__ = [
    "PATIENCE",
    "TOKEN",
    "TRACKS",
    "Process",
    "Running",
    "TokenGate",
    "connected",
    "request",
    "rest",
    "running",
]

PATIENCE = 60.0
"""Seconds after which something that should have happened long ago has failed."""

TRACKS = "/api/storages/tracks/tracks"

TOKEN = "a-token"  # noqa: S105
"""The one that a `TokenGate` knows."""


class TokenGate(DecidingGate):
    """Lets in who has the token."""

    def decide(self, asked: Asked) -> Principal:
        """See `DecidingGate.decide`."""
        if asked.credential is None:
            raise Refused("A token is needed.")
        if asked.credential != TOKEN:
            raise Refused("The token is not known.")
        return Principal("tester")

    async def may_read(self, principal: Principal, storage: str) -> bool:
        """See `Gate.may_read`."""
        return principal.name == "tester" and storage != "secrets"


class Running:
    """A service, and a client of it."""

    def __init__(self, base: str, service: Service, server: Server) -> None:
        self.base = base
        self.service = service
        self.server = server
        self.client = httpx.Client(base_url=base, timeout=PATIENCE)

    def save(self, **track: Any) -> httpx.Response:
        """Save a track; what is not said is as in most tests."""
        return self.client.post(
            TRACKS, json={"taskId": "a001", "userName": "u1", "data": {}} | track
        )

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON value at a path of the storage."""
        answer = self.client.get(f"/api/storages/tracks/{path}", params=parameters or None)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def running(
    url: str,
    gate: Gate | None = None,
    more: tuple[Endpoint, ...] = (),
    port: int = 0,
    proxies: tuple[str, ...] = (),
    **settings: Any,
) -> Iterator[Running]:
    """A service of that database in a thread, until the context ends."""
    app = make_app(Settings(url, **settings), gate or OpenGate(), more)
    is_ready = threading.Event()
    server = Server(app, is_ready.set, proxies)
    with listening("127.0.0.1", port) as sock:
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            assert is_ready.wait(PATIENCE)
            service = Running(f"http://127.0.0.1:{sock.getsockname()[1]}", app.service, server)
            with service.client:
                yield service
        finally:
            server.stop()
            thread.join(PATIENCE)
            assert not thread.is_alive()


@contextmanager
def connected(service: Running) -> Iterator[socket.socket]:
    """A connection to a service, for requests as they go over the wire."""
    host, port = service.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        yield connection


def request(method: str, path: str, body: str = "", *more: str) -> bytes:
    """A request as it goes over the wire; ``more`` are further headers."""
    head = [f"{method} {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*head, "", body]).encode()


def rest(connection: socket.socket) -> bytes:
    """What comes until the service closes the connection."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


class Process:
    """A service in a process of its own, which may be killed."""

    def __init__(self, url: str, port: int = 0) -> None:
        command = [sys.executable, "-m", "tests.service.running", url, str(port)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read() if self.process.stderr else ""
        self.port = int(line)
        self.base = f"http://127.0.0.1:{self.port}"

    def end(self, how: signal.Signals) -> int:
        """Send it a signal, and wait for its end."""
        self.process.send_signal(how)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGKILL)


def main(url: str, port: str) -> None:
    set_up("text", "warning")
    app = make_app(Settings(url), OpenGate())
    with listening("127.0.0.1", int(port)) as sock:
        serve(app, sock, lambda: print(sock.getsockname()[1], flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
