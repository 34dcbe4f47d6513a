"""Record the requests of a Flask application."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request, Response, g, request, request_started, session

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.middleware.recorder import Recorder
from cybertools.tracking.middleware.requests import Requests, Seen
from cybertools.tracking.values import now

__all__ = ["Tracking"]


class Tracking:
    """Records each request of an application as a track, when its answer was made.

    The parameters are those of `Requests`; its functions are given Flask's request, and may use
    ``session`` and ``g`` as well. Where sessions have an id (``session.sid``, as those of
    Flask-Session), its salted hash is the label of the run. An exception of the application
    passes through, recorded as status 500.

    :param app: the application; without it call `init_app` later.
    """

    def __init__(
        self,
        app: Flask | None,
        storage: Recorder | Storage | str,
        *,
        task: Callable[[Request], str | None] | None = None,
        user: Callable[[Request], str | None] | None = None,
        run: Callable[[Request], str | None] | None = None,
        data: Callable[[Request], dict[str, Any]] | None = None,
        exclude: Iterable[str] = (),
        salt: str | None = None,
    ) -> None:
        self.requests: Requests[Request] = Requests(
            storage,
            task=task,
            user=user,
            run=run or self._session,
            data=data,
            exclude=exclude,
            salt=salt,
        )
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Record the requests of that application."""
        app.extensions["tracking"] = self
        request_started.connect(self._begin, app)
        app.after_request(self._answered)
        app.teardown_request(self._end)

    def _begin(self, _app: Flask, **_more: object) -> None:
        g.tracking_begun = now(), time.perf_counter()

    def _answered(self, response: Response) -> Response:
        g.tracking_status = response.status_code
        return response

    def _end(self, _error: BaseException | None) -> None:
        begun = g.pop("tracking_begun", None)
        status = g.pop("tracking_status", 500)
        if begun is None or not self.requests.wants(request.path):
            return
        started, begin = begun
        seen = Seen(
            request.method,
            request.path,
            status,
            started,
            time.perf_counter() - begin,
            request.remote_addr or "",
            request.user_agent.string,
        )
        self.requests.record(request, seen)

    def _session(self, _request: Request) -> str | None:
        sid = getattr(session, "sid", None)
        return self.requests.hidden(sid) if sid else None
