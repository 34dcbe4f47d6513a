"""The ASGI application of a service."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.middleware import Middleware
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from cybertools.tracking.service import asking, managing, moving, pages, reporting, saving, ways
from cybertools.tracking.service.access.origins import share_with_origins
from cybertools.tracking.service.endpoints import Door, Endpoint
from cybertools.tracking.service.gate import Gate
from cybertools.tracking.service.problems import Bad, as_reply
from cybertools.tracking.service.replies import send
from cybertools.tracking.service.service import Service
from cybertools.tracking.service.settings import Settings

__all__ = ["ENDPOINTS", "Application", "make_app"]

# What is asked for most comes first: routes are tried one after the other.
ENDPOINTS = [
    *saving.ENDPOINTS,
    *asking.ENDPOINTS,
    *managing.ENDPOINTS,
    *reporting.ENDPOINTS,
    *moving.ENDPOINTS,
    *pages.ENDPOINTS,
    *ways.ENDPOINTS,
]


class Application:
    """The application, and the service behind it."""

    def __init__(self, service: Service, endpoints: Sequence[Endpoint]) -> None:
        self.service = service

        @asynccontextmanager
        async def lifespan(_app: Any) -> AsyncIterator[None]:
            await service.start()
            try:
                yield
            finally:
                await service.stop()

        # A router without the application around it: what that adds to each request, errors made
        # into answers, the endpoints do.
        self._router = Router(
            _routes(service, endpoints),
            redirect_slashes=False,
            default=_nothing_here,
            lifespan=lifespan,
            middleware=[
                Middleware(share_with_origins, service.settings.origins, service.gate.has_key_for)
            ],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await self._router(scope, receive, send)


def make_app(settings: Settings, gate: Gate, more: Sequence[Endpoint] = ()) -> Application:
    """The application of a service.

    :param gate: who may do what.
    :param more: further endpoints: ways in of other kinds.
    """
    return Application(Service(settings, gate), (*ENDPOINTS, *more))


def _routes(service: Service, endpoints: Sequence[Endpoint]) -> list[Route]:
    """A route for each path; those that end in a parameter after those that do not."""
    paths: dict[str, dict[str, Door]] = {}
    for endpoint in endpoints:
        methods = paths.setdefault(endpoint.path, {})
        methods[endpoint.method] = Door(endpoint, service)
        if endpoint.method == "GET":
            methods["HEAD"] = methods["GET"]
    ordered = sorted(paths, key=lambda path: path.endswith("}"))
    return [Route(path, _Methods(paths[path])) for path in ordered]


class _Methods:
    """The endpoints of a path, by their methods."""

    def __init__(self, doors: dict[str, Door]) -> None:
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, respond: Send) -> None:
        door = self._doors.get(scope["method"])
        if door is not None:
            await door(scope, receive, respond)
            return
        methods = ", ".join(self._doors)
        problem = as_reply(Bad("method-not-allowed", f"What can be done here: {methods}."))
        answer = problem._replace(headers=[(b"allow", methods.encode())])
        await send(answer, scope, receive, respond, 0)


async def _nothing_here(scope: Scope, receive: Receive, respond: Send) -> None:
    answer = as_reply(Bad("not-found", "There is nothing at this path."))
    await send(answer, scope, receive, respond, 0)
