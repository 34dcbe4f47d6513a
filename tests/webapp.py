"""A web application that records its requests: ``python -m tests.webapp KIND URL PORT PATIENCE``.

Each kind has the same pages on a real server: ``/lessons/<n>`` answers, ``/boom`` raises, and
``/static/<name>`` is not recorded. Only the end of the process has the tracks saved.
"""

import sys
from collections.abc import Callable
from typing import Any

from cybertools.tracking.middleware import Recorder

NEVER = 3600.0
SALT = "pepper"


def slow_recorder(url: str) -> Recorder:
    """A recorder that saves when the process ends, which may take the last argument's seconds."""
    return Recorder(url, interval=NEVER, patience=float(sys.argv[4]))


def starlette(url: str, port: int) -> None:
    """Starlette on uvicorn."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    from cybertools.tracking.middleware.asgi import TrackingMiddleware

    async def page(_request: Request) -> Response:
        return PlainTextResponse("here")

    async def boom(_request: Request) -> Response:
        raise ZeroDivisionError

    def session(scope: Any) -> str | None:
        return Request(scope).cookies.get("session")

    recording = Middleware(
        TrackingMiddleware,
        slow_recorder(url),
        run=session,
        exclude=["/static/*"],
        salt=SALT,
    )
    routes = [Route("/boom", boom), Route("/{rest:path}", page)]
    uvicorn.run(Starlette(routes=routes, middleware=[recording]), port=port, log_level="error")


def flask(url: str, port: int) -> None:
    """Flask on its own server."""
    from flask import Flask, request

    from cybertools.tracking.middleware.flask import Tracking

    app = Flask(__name__)
    Tracking(
        app,
        slow_recorder(url),
        run=lambda _request: request.cookies.get("session"),
        exclude=["/static/*"],
        salt=SALT,
    )

    @app.get("/boom")
    def boom() -> str:
        raise ZeroDivisionError

    @app.get("/lessons/<n>")
    @app.get("/static/<n>", endpoint="files")
    def page(n: str) -> str:  # noqa: ARG001
        return "here"

    app.run(port=port)


def configure_django(url: str) -> None:
    """The settings of a project with sessions in cookies."""
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    def page(_request: HttpRequest, n: str) -> Any:
        return HttpResponse(n)

    def boom(_request: HttpRequest) -> Any:
        raise ZeroDivisionError

    urls: Any = type(sys)("urls")
    urls.urlpatterns = [
        path("boom", boom),
        path("lessons/<n>", page),
        path("static/<n>", page),
    ]
    settings.configure(
        ROOT_URLCONF=urls,
        SECRET_KEY="x",  # noqa: S106
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["cybertools.tracking.middleware.django.TrackingMiddleware"],
        TRACKING={
            "storage": slow_recorder(url),
            "run": lambda request: request.COOKIES.get("session"),
            "exclude": ["/static/*"],
            "salt": SALT,
        },
    )


def django(url: str, port: int) -> None:
    """Django on its own server."""
    from django.core.management import execute_from_command_line

    configure_django(url)
    execute_from_command_line(["x", "runserver", "--noreload", "--skip-checks", str(port)])


def django_asgi(url: str, port: int) -> None:
    """Django on uvicorn."""
    import uvicorn
    from django.core.asgi import get_asgi_application

    from cybertools.tracking.middleware.asgi import FlushAtShutdown
    from cybertools.tracking.middleware.django import recorder

    configure_django(url)
    app: Any = FlushAtShutdown(get_asgi_application(), recorder())
    uvicorn.run(app, port=port, log_level="error")


KINDS: dict[str, Callable[[str, int], None]] = {
    kind.__name__: kind for kind in (starlette, flask, django, django_asgi)
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
