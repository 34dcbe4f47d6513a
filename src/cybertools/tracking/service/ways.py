"""Ways in that people already have: Segment's libraries, and a script for web pages."""

import gzip
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cybertools.tracking.codec import Item, decode
from cybertools.tracking.errors import InvalidType, InvalidValue, StorageError, TrackingError
from cybertools.tracking.interfaces import Saved
from cybertools.tracking.service.browser import (
    BEACON_LIMIT,
    asks_for_privacy,
    read_beacon,
    script,
)
from cybertools.tracking.service.segment import (
    BATCH_LIMIT,
    CALLS,
    SegmentMapping,
    read_call,
    write_key_of,
)
from cybertools.tracking.values import now

__all__ = ["Host", "routes"]

SCRIPT_AGE = 3600
"""Seconds that browsers keep the script."""


class Host(Protocol):
    """What the service does for each way in."""

    async def body(self, request: Request, limit: int) -> bytes:
        """The body, decompressed.

        :raises InvalidValue: it has more bytes than that, or cannot be read.
        """

    async def admit(self, request: Request, storage: str, credential: str | None) -> None:
        """Let a request save there, or raise what the service answers with.

        :param credential: that of the body or the URL, for clients that set no header.
        """

    async def save(self, storage: str, items: Sequence[Item]) -> list[Saved | TrackingError]:
        """Save tracks; what became of each, after the commit."""


def routes(
    host: Host, storage: str = "tracks", mapping: SegmentMapping | None = None
) -> list[Route]:
    """The routes of all ways in.

    :param storage: where tracks go that name no storage.
    """
    return [
        *segment_routes(host, storage, mapping or SegmentMapping()),
        *browser_routes(host, storage),
    ]


# Segment


def segment_routes(host: Host, storage: str, mapping: SegmentMapping) -> list[Route]:
    """Segment's HTTP API: ``/v1/track`` and so on."""

    def answering(call: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            received = now()
            name = request.query_params.get("storage", storage)
            has_header = "authorization" in request.headers
            if has_header:
                await host.admit(request, name, None)
            try:
                payload = decode(await host.body(request, BATCH_LIMIT))
                if not has_header:
                    await host.admit(request, name, write_key_of(payload))
                reading = read_call(call, payload, received, mapping)
            except (InvalidType, InvalidValue) as error:
                return _failed(str(error))
            rejected = reading.rejected
            if reading.items:
                outcomes = await host.save(name, [*reading.items.values()])
                rejected |= _refusals(reading.items, outcomes)
            return _succeeded(rejected, call == "batch")

        return answer

    return [
        Route(f"/v1/{path}", answering(call), methods=["POST"], name=f"segment-{path}")
        for path, call in CALLS.items()
    ]


def _refusals(positions: Iterable[int], outcomes: list[Saved | TrackingError]) -> dict[int, str]:
    refusals: dict[int, str] = {}
    for position, outcome in zip(positions, outcomes, strict=True):
        if isinstance(outcome, StorageError):
            raise outcome  # the client sends all of it again; what is stored has its key
        if isinstance(outcome, TrackingError):
            refusals[position] = str(outcome)
    return refusals


def _succeeded(rejected: dict[int, str], is_batch: bool) -> Response:
    if rejected and not is_batch:
        return _failed(rejected[0])
    answer: dict[str, Any] = {"success": True}
    if rejected:
        # Not an error: the libraries would take the whole batch for lost.
        answer["rejected"] = [{"message": p, "reason": r} for p, r in sorted(rejected.items())]
    return JSONResponse(answer)


def _failed(message: str) -> Response:
    return JSONResponse({"success": False, "code": "invalid_request", "message": message}, 400)


# The browser script


def browser_routes(host: Host, storage: str) -> list[Route]:
    """The script, and where it sends to."""
    plain = script()
    packed = gzip.compress(plain, mtime=0)
    tag = f'"{blake2b(plain, digest_size=8).hexdigest()}"'
    headers = {
        "Cache-Control": f"public, max-age={SCRIPT_AGE}",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "ETag": tag,
        "Vary": "Accept-Encoding",
    }

    async def track_js(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            packing = {**headers, "Content-Encoding": "gzip"}
            return Response(packed, headers=packing, media_type="text/javascript")
        return Response(plain, headers=headers, media_type="text/javascript")

    async def beacon(request: Request) -> Response:
        received = now()
        if asks_for_privacy(request.headers):
            return Response(status_code=204)
        name = request.query_params.get("storage", storage)
        await host.admit(request, name, request.query_params.get("key"))
        item = read_beacon(decode(await host.body(request, BEACON_LIMIT)), received)
        (outcome,) = await host.save(name, [item])
        if isinstance(outcome, TrackingError):
            raise outcome
        return Response(status_code=204)

    return [
        Route("/track.js", track_js, name="script"),
        Route("/b", beacon, methods=["POST"], name="beacon"),
    ]
