"""Services for the tests of the remote engine: many of them behind one server in this process.

Each is at a path of its own, so that each test has a fresh one cheaply.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from tests.servers import on_stop

__all__ = ["missing_service", "served", "service_of"]


def missing_service() -> str:
    """What a service and its client need that is not here."""
    needed = ("greenlet", "httptools", "httpx", "prometheus_client", "starlette", "uvicorn")
    missing = [name for name in needed if not find_spec(name)]
    return f"the package {missing[0]}" if missing else ""


class _Host:
    """A server, and the services that it has, each by the first part of its path."""

    def __init__(self) -> None:
        from cybertools.tracking.service.serving import listening

        self.apps: dict[str, Any] = {}
        self._socket = listening("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._loop: asyncio.AbstractEventLoop
        started = threading.Event()
        self._server = self._made(started)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="services", daemon=True
        )
        self._thread.start()
        started.wait()

    def _made(self, started: threading.Event) -> Any:
        import uvicorn

        host = self

        class Server(uvicorn.Server):
            async def startup(self, sockets: Any = None) -> None:
                host._loop = asyncio.get_running_loop()
                await super().startup(sockets)
                started.set()

        return Server(
            uvicorn.Config(
                self._answer,
                http="httptools",
                loop="uvloop",
                ws="none",
                interface="asgi3",
                lifespan="off",
                proxy_headers=False,
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=5,
            )
        )

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        name, _, path = scope["path"].removeprefix("/").partition("/")
        await self.apps[name]({**scope, "path": f"/{path}"}, receive, send)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something where the services run."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self) -> None:
        """End the server."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


@cache
def _host() -> _Host:
    """The server of this process."""
    host = _Host()
    on_stop(host.stop)
    return host


_names = (f"service-{number}" for number in count())


@contextmanager
def service_of(database: str, gate: Any = None, **settings: Any) -> Iterator[str]:
    """The URL of a service of that database, without a storage at first."""
    from cybertools.tracking.service.app import make_app
    from cybertools.tracking.service.gate import OpenGate
    from cybertools.tracking.service.settings import Settings

    host, name = _host(), next(_names)
    app = make_app(Settings(database, **{"names": (), **settings}), gate or OpenGate())
    service = app.service
    host.run(service.start())
    host.apps[name] = app
    try:
        yield f"{host.url}/{name}"
    finally:
        service.stop_soon()
        host.run(service.stop())
        del host.apps[name]


def served(
    database: Callable[[Path], AbstractContextManager[str]],
) -> Callable[[Path], AbstractContextManager[str]]:
    """A service with an empty database of another engine under it."""

    @contextmanager
    def fresh(folder: Path) -> Iterator[str]:
        with database(folder) as url, service_of(url) as service:
            yield service

    return fresh
