"""The ASGI application of a service."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.routing import Router, compile_path
from starlette.types import Receive, Scope, Send

from cybertools.tracking.service import asking, managing, moving, pages, reporting, saving, ways
from cybertools.tracking.service.access.origins import share_with_origins
from cybertools.tracking.service.endpoints import Door, Endpoint
from cybertools.tracking.service.gate import Gate
from cybertools.tracking.service.problems import Bad, as_reply
from cybertools.tracking.service.replies import Reply, send
from cybertools.tracking.service.service import Service
from cybertools.tracking.service.settings import Settings

__all__ = ["ENDPOINTS", "Application", "make_app"]

# What is asked for most comes first: paths are tried one after the other.
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

        self._lifespan = Router(lifespan=lifespan)
        self._answer = share_with_origins(
            _Paths(service, endpoints), service.settings.origins, service.gate.has_key_for
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        answer = self._answer if scope["type"] == "http" else self._lifespan
        await answer(scope, receive, send)


def make_app(settings: Settings, gate: Gate, more: Sequence[Endpoint] = ()) -> Application:
    """The application of a service.

    :param gate: who may do what.
    :param more: further endpoints: ways in of other kinds.
    """
    return Application(Service(settings, gate), (*ENDPOINTS, *more))


class _Paths:
    """The endpoints by their paths and methods. Finds the one that a request is for."""

    def __init__(self, service: Service, endpoints: Sequence[Endpoint]) -> None:
        paths: dict[str, dict[str, Door]] = {}
        for endpoint in endpoints:
            methods = paths.setdefault(endpoint.path, {})
            methods[endpoint.method] = Door(endpoint, service)
            if endpoint.method == "GET":
                methods["HEAD"] = methods["GET"]
        # Those that end in a parameter come after those that do not.
        ordered = sorted(paths, key=lambda path: path.endswith("}"))
        self._patterns: list[tuple[re.Pattern[str], dict[str, Door]]] = [
            (compile_path(path)[0], paths[path]) for path in ordered
        ]

    async def __call__(self, scope: Scope, receive: Receive, respond: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        for pattern, doors in self._patterns:
            found = pattern.match(path)
            if found is None:
                continue
            door = doors.get(scope["method"])
            if door is None:
                await send(_not_allowed(doors), scope, receive, respond, 0)
                return
            scope["path_params"] = found.groupdict()
            await door(scope, receive, respond)
            return
        answer = as_reply(Bad("not-found", "There is nothing at this path."))
        await send(answer, scope, receive, respond, 0)


def _not_allowed(doors: dict[str, Door]) -> Reply:
    methods = ", ".join(doors)
    problem = as_reply(Bad("method-not-allowed", f"What can be done here: {methods}."))
    return problem._replace(headers=[(b"allow", methods.encode())])
