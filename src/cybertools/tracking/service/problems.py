"""Errors of the way over HTTP, and each error as an answer."""

from typing import Any

from cybertools.tracking.codec import KINDS, encode, problem_of
from cybertools.tracking.errors import StorageUnavailable, TrackingError
from cybertools.tracking.service.gate import Refused
from cybertools.tracking.service.replies import PROBLEM, Header, Reply
from cybertools.tracking.service.writing import Overloaded

__all__ = ["Bad", "TooSlow", "as_json", "as_reply"]


class Bad(TrackingError):
    """A request that is not answered, for a reason that only HTTP has.

    :param kind: one of `codec.KINDS`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class TooSlow(StorageUnavailable):
    """The body has not come in the time that it may take. Nothing of it was stored."""

    kind = "too-slow"


_REFUSALS = {401: "unauthorized", 403: "forbidden", 429: "too-many-requests"}

RETRY_SECONDS = 1
"""When to come again: a commit takes milliseconds, and a queue is soon shorter."""


def _kind(error: TrackingError) -> str:
    if isinstance(error, Bad | TooSlow):
        return error.kind
    if isinstance(error, Refused):
        return _REFUSALS[error.status]
    return "overloaded" if isinstance(error, Overloaded) else ""


def as_json(error: TrackingError, track: int | None = None) -> dict[str, Any]:
    """An error as a problem; ``track`` is the position of the track that it is about."""
    return problem_of(error, _kind(error), track)


def as_reply(error: TrackingError) -> Reply:
    """An error as an answer."""
    problem = as_json(error)
    headers: list[Header] = []
    if isinstance(error, Refused):
        if error.status == KINDS["unauthorized"].status:
            headers.append((b"www-authenticate", b'Bearer, Basic realm="tracks"'))
        if error.retry_after is not None:
            headers.append((b"retry-after", b"%d" % error.retry_after))
    elif isinstance(error, StorageUnavailable):
        headers.append((b"retry-after", b"%d" % RETRY_SECONDS))
    return Reply(problem["status"], encode(problem), PROBLEM, headers)
