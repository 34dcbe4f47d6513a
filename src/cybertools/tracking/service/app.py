"""The ASGI application of a service."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cybertools.tracking.service import asking, managing, pages, saving, ways
from cybertools.tracking.service.endpoints import Endpoint
from cybertools.tracking.service.gate import Gate
from cybertools.tracking.service.problems import Bad, as_reply
from cybertools.tracking.service.replies import SECURITY
from cybertools.tracking.service.service import Service
from cybertools.tracking.service.settings import Settings

__all__ = ["ENDPOINTS", "make_app"]

# What is asked for most comes first: routes are tried one after the other.
ENDPOINTS = [
    *saving.ENDPOINTS,
    *asking.ENDPOINTS,
    *managing.ENDPOINTS,
    *pages.ENDPOINTS,
    *ways.ENDPOINTS,
]


def make_app(settings: Settings, gate: Gate, more: Sequence[Endpoint] = ()) -> Starlette:
    """The application. The `Service` behind it is its ``state.service``.

    :param gate: who may do what.
    :param more: further endpoints: ways in of other kinds.
    """
    service = Service(settings, gate)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    app = Starlette(
        routes=[_route(endpoint, service) for endpoint in (*ENDPOINTS, *more)],
        middleware=_middleware(settings),
        exception_handlers={HTTPException: _no_endpoint},
        lifespan=lifespan,
    )
    app.state.service = service
    return app


def _route(endpoint: Endpoint, service: Service) -> Route:
    return Route(endpoint.path, endpoint.bound(service), methods=[endpoint.method])


def _middleware(settings: Settings) -> list[Middleware]:
    if not settings.origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Encoding",
                "Content-Type",
                "Idempotency-Key",
                "Last-Event-ID",
            ],
            expose_headers=["Link", "Location", "Retry-After"],
        )
    ]


async def _no_endpoint(request: Request, error: Exception) -> Response:
    """The answer where there is no endpoint for a path, or none for the method."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status == 405:
        problem = Bad("method-not-allowed", f"{request.method} cannot be done here.")
    else:
        problem = Bad("not-found", "There is nothing at this path.")
    answer = as_reply(problem)
    headers = {name.decode(): value.decode() for name, value in SECURITY}
    if isinstance(error, HTTPException):
        headers |= error.headers or {}
    return Response(answer.body, answer.status, headers, answer.kind.decode())
