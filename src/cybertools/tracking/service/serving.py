"""The service as a process: its socket, its signals, and how it ends."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from cybertools.tracking.errors import StorageError
from cybertools.tracking.service.app import Application
from cybertools.tracking.service.joining import JoiningProtocol
from cybertools.tracking.service.service import Service

__all__ = ["Server", "listening", "serve"]

log = logging.getLogger(__name__)

BACKLOG = 2_048
"""Connections that may wait to be accepted."""

SWITCH_SECONDS = 0.0005
"""How long a thread may keep others from running Python. By default these are 5 ms, in which the
writer could commit several times; it needs a moment between any two statements."""


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    :param port: 0 picks a free one.
    :raises StorageError: the address cannot be used.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise StorageError(f"There is no address {host}:{port} here: {error.strerror}.") from None
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(BACKLOG)
    except OSError as error:
        server.close()
        raise StorageError(f"{host}:{port} cannot be used: {error.strerror}.") from None
    return server


def serve(
    app: Application,
    sock: socket.socket,
    ready: Callable[[], None] = lambda: None,
    proxies: tuple[str, ...] = (),
) -> None:
    """Serve until a signal ends it, and then until all that was begun is answered.

    SIGTERM or SIGINT closes the socket; requests that are there are answered, what
    waits is stored, then the storages are closed. A second signal ends the process at once.

    :param ready: is called when requests are answered.
    :param proxies: addresses whose ``X-Forwarded-For`` tells the client's.
    :raises TrackingError: a storage cannot be opened.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        Server(app, ready, proxies).run([sock])
    except SystemExit:
        raise app.service.failure or StorageError("The service could not start.") from None
    finally:
        sys.setswitchinterval(usual)


class Server(uvicorn.Server):
    """A server of a service."""

    def __init__(
        self,
        app: Application,
        ready: Callable[[], None] = lambda: None,
        proxies: tuple[str, ...] = (),
    ) -> None:
        """Make one; see `serve`."""
        super().__init__(
            uvicorn.Config(
                app,
                http=JoiningProtocol,
                loop="uvloop",
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=",".join(proxies),
            )
        )
        self._service: Service = app.service
        self._ready = ready
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server.startup`."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        log.info("The service has started.")
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server.shutdown`."""
        log.info("The service stops: it answers what is there.")
        self._service.stop_soon()
        await super().shutdown(sockets)
        log.info("The service has ended.")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See `uvicorn.Server.handle_exit`."""
        del frame
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True

    def stop(self) -> None:
        """Let it end, from any thread, as a signal does."""
        self.should_exit = True
