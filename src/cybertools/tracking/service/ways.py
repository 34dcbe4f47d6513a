"""Ways in that people already have: Segment's libraries, and a script for web pages."""

import gzip
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b

from cybertools.tracking.codec import Item
from cybertools.tracking.errors import InvalidType, InvalidValue, StorageError, TrackingError
from cybertools.tracking.interfaces import Saved
from cybertools.tracking.service.access.tokens import is_secret
from cybertools.tracking.service.browser import (
    BEACON_LIMIT,
    asks_for_privacy,
    read_beacon,
    script,
)
from cybertools.tracking.service.endpoints import Endpoint, Handler
from cybertools.tracking.service.gate import Refused
from cybertools.tracking.service.problems import Bad
from cybertools.tracking.service.replies import Header, Reply, reply
from cybertools.tracking.service.requests import Call, parsed_json
from cybertools.tracking.service.segment import BATCH_LIMIT, CALLS, read_call, write_key_of
from cybertools.tracking.service.service import Service
from cybertools.tracking.values import check_text, now

__all__ = ["ENDPOINTS"]

SCRIPT_AGE = 3_600
"""Seconds that browsers keep the script."""


async def _admitted(service: Service, call: Call, credential: str | None, named: str | None) -> str:
    """Let a request in; the storage that it may save to.

    One that names none saves to its token's only one, or to the service's first.
    """
    principal = await service.gate.admit(credential, "write", named, call.origin, call.client)
    if named is not None:
        return check_text(named, "storage")
    return principal.storage or service.settings.names[0]


async def _body(call: Call, most: int) -> bytes:
    body = await call.body()
    if len(body) > most:
        raise Bad("too-large", f"The body must have at most {most:,} bytes, not {len(body):,}.")
    return body


async def _save(
    service: Service, storage: str, items: Sequence[Item]
) -> list[Saved | TrackingError]:
    """What became of each track; a failure of the storage is one of the whole."""
    outcomes = await service.save(storage, items)
    for outcome in outcomes:
        if isinstance(outcome, StorageError):
            raise outcome
    return outcomes


# Segment


def _segment(name: str) -> Handler:
    async def save_messages(service: Service, call: Call) -> Reply:
        """Save the messages of a call, in the way of Segment's HTTP API."""
        received = now()
        named = call.parameters("storage").get("storage")
        in_header = call.credential
        storage = ""
        if in_header is not None:  # before the body is read
            storage = await _admitted(service, call, in_header, named)
        try:
            value = parsed_json(await _body(call, BATCH_LIMIT))
            if in_header is None:
                storage = await _admitted(service, call, write_key_of(value), named)
            reading = read_call(name, value, received, service.settings.segment)
        except (Bad, InvalidType, InvalidValue) as error:
            return _failed(str(error))
        rejected = dict(reading.rejected)
        if reading.items:
            outcomes = await _save(service, storage, [*reading.items.values()])
            rejected |= _refusals(reading.items, outcomes)
        return _answered(rejected, is_batch=name == "batch")

    return save_messages


def _refusals(
    positions: Iterable[int], outcomes: Sequence[Saved | TrackingError]
) -> dict[int, str]:
    return {
        position: str(outcome)
        for position, outcome in zip(positions, outcomes, strict=True)
        if isinstance(outcome, TrackingError)
    }


def _answered(rejected: dict[int, str], is_batch: bool) -> Reply:
    if not rejected:
        return Reply(200, b'{"success":true}')
    if not is_batch:
        return _failed(rejected[0])
    # Not an error: the libraries would take the whole batch for lost.
    reasons = [{"message": place, "reason": reason} for place, reason in sorted(rejected.items())]
    return reply({"success": True, "rejected": reasons})


def _failed(message: str) -> Reply:
    return reply({"success": False, "code": "invalid_request", "message": message}, 400)


# The browser script


async def save_beacon(service: Service, call: Call) -> Reply:
    """Save what the browser script sends, unless its user does not want that."""
    received = now()
    if asks_for_privacy(call.headers):
        return Reply(204)
    parameters = call.parameters("key", "storage")
    key, named = parameters.get("key"), parameters.get("storage")
    if key is not None and is_secret(key):
        raise Refused(
            "A secret token must not stand in an address, which is kept in many places: use a"
            " public key (tracks token create NAME --origin …), and revoke this one.",
            403,
        )
    storage = await _admitted(service, call, key, named)
    item = read_beacon(parsed_json(await _body(call, BEACON_LIMIT)), received)
    (outcome,) = await _save(service, storage, [item])
    if isinstance(outcome, TrackingError):
        raise outcome
    return Reply(204)


async def get_script(_service: Service, call: Call) -> Reply:
    """The browser script."""
    plain, packed, tag = _script()
    headers: list[Header] = [
        (b"cache-control", b"public, max-age=%d" % SCRIPT_AGE),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"etag", tag),
        (b"vary", b"Accept-Encoding"),
    ]
    if call.headers.get(b"if-none-match") == tag:
        return Reply(304, b"", SCRIPT, headers)
    if b"gzip" in call.headers.get(b"accept-encoding", b""):
        return Reply(200, packed, SCRIPT, [*headers, (b"content-encoding", b"gzip")])
    return Reply(200, plain, SCRIPT, headers)


SCRIPT = b"text/javascript; charset=utf-8"


@cache
def _script() -> tuple[bytes, bytes, bytes]:
    """The script, the same compressed, and its tag."""
    plain = script()
    tag = blake2b(plain, digest_size=8).hexdigest()
    return plain, gzip.compress(plain, mtime=0), f'"{tag}"'.encode()


ENDPOINTS = [
    *(Endpoint("POST", f"/v1/{path}", None, _segment(call)) for path, call in CALLS.items()),
    Endpoint("POST", "/b", None, save_beacon),
    Endpoint("GET", "/track.js", None, get_script),
]
