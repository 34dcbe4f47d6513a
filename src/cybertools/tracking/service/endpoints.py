"""From a request to an answer: what is the same for all of them, in one place.

Each request is let in by the gate, handled, answered, counted and (where that is asked for) logged
here. An endpoint is a method, a path, a scope and a handler; a way in of another kind adds its own.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from starlette.types import Receive, Send
from starlette.types import Scope as Request

from cybertools.tracking.errors import TrackingError
from cybertools.tracking.service.gate import Principal, Scope
from cybertools.tracking.service.problems import Bad, as_reply
from cybertools.tracking.service.replies import Reply, send
from cybertools.tracking.service.requests import Call, Gone
from cybertools.tracking.service.service import Service
from cybertools.tracking.service.staying import while_let_in
from cybertools.tracking.service.writing import Overloaded

__all__ = ["Door", "Endpoint", "Handler"]

Handler: TypeAlias = Callable[[Service, Call], Awaitable[Reply]]

CLIENT_GONE = 499
"""How a request is counted whose client did not wait for the answer."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is done for a method and a path."""

    method: str
    path: str
    """As Starlette has it: ``/api/storages/{storage}/tracks``."""
    scope: Scope | None
    """What a token has to allow; None: none is needed."""
    handler: Handler
    opens: bool = True
    """The storage that the path names has to be there, and is opened."""


class Door:
    """An endpoint of a service, as an ASGI application."""

    def __init__(self, endpoint: Endpoint, service: Service) -> None:
        self._endpoint, self._service = endpoint, service
        self._has_storage = "{storage}" in endpoint.path
        self._opens = self._has_storage and endpoint.opens

    async def __call__(self, request: Request, receive: Receive, respond: Send) -> None:
        """Answer one request."""
        start = time.perf_counter()
        service, endpoint = self._service, self._endpoint
        call = Call(request, receive, service.settings, service.memory)
        status = CLIENT_GONE
        try:
            answer = await self._answered(call)
            if await send(answer, request, receive, respond, service.settings.stall_seconds):
                status = answer.status
        except Gone:
            pass
        except Exception:
            # A stream breaks off: whoever reads it sees that it does not end as it should.
            log.exception("An answer has broken off.", extra={"route": endpoint.path})
        finally:
            call.done()
            took = time.perf_counter() - start
            service.metrics.answered(endpoint.method, endpoint.path, status, took)
            if log.isEnabledFor(logging.DEBUG):
                log.debug(
                    "request",
                    extra={
                        "method": endpoint.method,
                        "route": endpoint.path,
                        "status": status,
                        "ms": round(took * 1000, 3),
                    },
                )

    async def _answered(self, call: Call) -> Reply:
        endpoint = self._endpoint
        try:
            if endpoint.scope is None:
                return await endpoint.handler(self._service, call)
            call.principal = await self._admit(call, endpoint.scope)
            if self._opens:
                call.collection = await self._service.storages.get(call.parts["storage"])
            answer = await endpoint.handler(self._service, call)
            again = partial(self._admit, call, endpoint.scope)
            return while_let_in(answer, again, self._service.settings.admitted_seconds)
        except TrackingError as error:
            answer = as_reply(error)
            if answer.status >= 500 and not isinstance(error, Overloaded):
                kind = type(error).__name__
                log.warning("A request has failed.", extra={"route": endpoint.path, "error": kind})
            return answer
        except Gone:
            raise
        except Exception:
            log.exception("A request has failed.", extra={"route": endpoint.path})
            return as_reply(Bad("internal", "The service has failed; its log says why."))

    def _admit(self, call: Call, scope: Scope) -> Awaitable[Principal]:
        name = call.parts["storage"] if self._has_storage else None
        return self._service.gate.admit(call.credential, scope, name, call.origin, call.client)
