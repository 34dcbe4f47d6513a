"""Record the requests of a Starlette or FastAPI application, or any that speaks ASGI."""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.middleware.recorder import Recorder
from cybertools.tracking.middleware.requests import Requests, Seen
from cybertools.tracking.values import now

__all__ = ["FlushAtShutdown", "TrackingMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class FlushAtShutdown:
    """An application whose server does not end before the tracks of a recorder are saved.

    `TrackingMiddleware` does so by itself. This is for applications that record in another way
    and know nothing of ASGI's lifespan, like those of Django.
    """

    def __init__(self, app: App, recorder: Recorder) -> None:
        self.app, self.recorder = app, recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What an ASGI server calls."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        spoken = False

        async def listen() -> Message:
            nonlocal spoken
            spoken = True
            return await receive()

        async def flush_before_end(message: Message) -> None:
            nonlocal spoken
            spoken = True
            # A server may end itself by the signal that it got: then nothing runs after this.
            if message["type"].startswith("lifespan.shutdown"):
                self.recorder.flush(self.recorder.patience)
            await send(message)

        try:
            await self.app(scope, listen, flush_before_end)
        except Exception:
            if spoken:
                raise
        if not spoken:
            await _speak(receive, flush_before_end)


class TrackingMiddleware:
    """Records each HTTP request of an application as a track, once its answer was sent.

    The parameters are those of `Requests`; its functions are given the connection's scope, a
    mapping. An exception of the application passes through, recorded as status 500; an answer
    that the client did not wait for is a 499.
    """

    def __init__(
        self,
        app: App,
        storage: Recorder | Storage | str,
        *,
        task: Callable[[Scope], str | None] | None = None,
        user: Callable[[Scope], str | None] | None = None,
        run: Callable[[Scope], str | None] | None = None,
        data: Callable[[Scope], dict[str, Any]] | None = None,
        exclude: Iterable[str] = (),
        salt: str | None = None,
    ) -> None:
        self.requests: Requests[Scope] = Requests(
            storage, task=task, user=user, run=run, data=data, exclude=exclude, salt=salt
        )
        self.app = app
        self._lifespan = FlushAtShutdown(app, self.requests.recorder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What an ASGI server, or the middleware around it, calls."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "http" and self.requests.wants(scope["path"]):
            await self._record(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _record(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, begin, status = now(), time.perf_counter(), 499
        path = scope["path"]  # before the routers of the application look at it

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            status = 500
            raise
        finally:
            duration = time.perf_counter() - begin
            address = (scope.get("client") or ("",))[0]
            agent = next((v for k, v in scope["headers"] if k == b"user-agent"), b"")
            self.requests.record(
                scope,
                Seen(
                    scope["method"],
                    path,
                    status,
                    started,
                    duration,
                    address,
                    agent.decode("latin-1"),
                ),
            )


async def _speak(receive: Receive, send: Send) -> None:
    """The lifespan of an application that has none."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
