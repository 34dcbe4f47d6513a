"""What the browser script sends: one track a request, from a page that anybody may look into.

Its key stands in the page, so whatever comes with it is checked here for being no more than a new
track: it replaces nothing, and its time is the service's.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from cybertools.tracking.codec import Item, item_from
from cybertools.tracking.errors import InvalidType
from cybertools.tracking.values import kind_of

__all__ = ["BEACON_LIMIT", "asks_for_privacy", "read_beacon", "script"]

BEACON_LIMIT = 64 << 10
"""Bytes of a beacon: browsers send no more on behalf of a page that closes."""

FIELDS = ("taskId", "runId", "userName", "key", "data")


def script() -> bytes:
    """The script, as browsers get it."""
    return files("cybertools.tracking.service").joinpath("static/track.js").read_bytes()


def asks_for_privacy(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request says that its user does not want to be tracked.

    :param headers: their names in lower case.
    """
    return headers.get(b"dnt") == b"1" or headers.get(b"sec-gpc") == b"1"


def read_beacon(body: Any, received: float) -> Item:
    """The track that a beacon is.

    :param body: the body, decoded from JSON.
    :param received: when it arrived, in seconds since 1970.
    :raises TrackingError: it is none.
    """
    if not isinstance(body, dict):
        raise InvalidType(f"The body must be an object, not {kind_of(body)}.")
    unknown = next((name for name in body if name not in FIELDS), None)
    if unknown is not None:
        raise InvalidType(f"A beacon has no {unknown!r}; there are: {', '.join(FIELDS)}.")
    return item_from({**body, "timeStamp": received})
