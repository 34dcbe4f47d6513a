"""Record the requests of a Django project.

Settings::

    MIDDLEWARE = ["cybertools.tracking.middleware.django.TrackingMiddleware", ...]
    TRACKING = {"storage": "sqlite:tracks.db", "exclude": ["/static/*"]}
"""

import time
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from cybertools.tracking.errors import TrackingError
from cybertools.tracking.middleware.recorder import Recorder
from cybertools.tracking.middleware.requests import Requests, Seen
from cybertools.tracking.values import now

__all__ = ["TrackingMiddleware", "recorder"]

FUNCTIONS = ("task", "user", "run", "data")
OPTIONS = ("storage", "exclude", "salt", *FUNCTIONS)


class TrackingMiddleware:
    """Records each request as a track, when its answer was made. Put it first.

    ``settings.TRACKING`` is a mapping of the parameters of `Requests`: ``storage`` (must be there),
    ``exclude``, ``salt``, and ``task``, ``user``, ``run``, ``data``, each a function or the dotted
    name of one, which is given Django's request. Without a ``run`` the salted hash of the session's
    key is its label, where there is a session. An exception is recorded as the status that Django
    makes of it.
    """

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        self.get_response: Callable[[HttpRequest], Any] = get_response
        self.requests = _requests()
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """What Django calls: gives a response, or in an asynchronous stack an awaitable of one."""
        if self._async:
            return self._later(request)
        started, begin = now(), time.perf_counter()
        response = self.get_response(request)
        self._record(request, response, started, begin)
        return response

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        started, begin = now(), time.perf_counter()
        response: HttpResponseBase = await self.get_response(request)
        self._record(request, response, started, begin)
        return response

    def _record(
        self, request: HttpRequest, response: HttpResponseBase, started: float, begin: float
    ) -> None:
        if not self.requests.wants(request.path):
            return
        seen = Seen(
            request.method or "",
            request.path,
            response.status_code,
            started,
            time.perf_counter() - begin,
            request.META.get("REMOTE_ADDR", ""),
            request.META.get("HTTP_USER_AGENT", ""),
        )
        self.requests.record(request, seen)


def recorder() -> Recorder:
    """The recorder of this process: for `FlushAtShutdown`, or to look at what was dropped."""
    return _requests().recorder


@cache
def _requests() -> Requests[HttpRequest]:
    """One for the process: Django makes its middleware anew for each handler."""
    given = dict(getattr(settings, "TRACKING", {}))
    unknown = sorted(given.keys() - set(OPTIONS))
    if unknown:
        raise ImproperlyConfigured(
            f"TRACKING has no {unknown[0]!r}; there are: {', '.join(OPTIONS)}."
        )
    if "storage" not in given:
        raise ImproperlyConfigured(
            "TRACKING must name a storage: TRACKING = {'storage': 'sqlite:tracks.db'}."
        )
    for name in FUNCTIONS:
        if isinstance(given.get(name), str):
            given[name] = import_string(given[name])
    if not given.get("run"):
        given["run"] = _session
    try:
        return Requests(**given)
    except TrackingError as error:
        raise ImproperlyConfigured(f"TRACKING: {error}") from error


def _session(request: HttpRequest) -> str | None:
    session = getattr(request, "session", None)
    key = getattr(session, "session_key", None)
    return _requests().hidden(key) if key else None
