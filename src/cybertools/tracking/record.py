"""Tracks on their way into a storage."""

from collections.abc import Mapping
from typing import NamedTuple

from cybertools.tracking.errors import InvalidType
from cybertools.tracking.track import Track
from cybertools.tracking.values import (
    check_run_id,
    check_text,
    encode_data,
    kind_of,
    now,
    parse_time_stamp,
)

__all__ = ["Record", "record_from"]

_NAMES = ("taskId", "runId", "userName", "timeStamp", "data", "key")


class Record(NamedTuple):
    """A track to save: checked, in the form that the engines store."""

    taskId: str
    runId: int
    userName: str
    timeStamp: float
    json: str
    key: str | None = None


def record_from(item: object) -> Record:
    """A record made from a mapping with the names of ``saveUserTrack``'s arguments, or a track.

    ``taskId``, ``userName`` and ``data`` must be there; ``timeStamp`` is the present time where it
    is missing. Of a track all but its id is taken.

    :raises InvalidType: something is missing, too much, or of the wrong type.
    :raises InvalidValue: a value is out of what it may be.
    """
    if type(item) is Record:
        return item
    if isinstance(item, Track):
        return Record(item.taskId, item.runId, item.userName, item.timeStamp, item.json)
    if not isinstance(item, Mapping):
        raise InvalidType(
            f"A track to save must be a mapping (taskId, userName, data, …), not {kind_of(item)}."
        )
    for name in item:
        if name not in _NAMES:
            raise InvalidType(f"A track to save has no {name!r}; there are: {', '.join(_NAMES)}.")
    for name in ("taskId", "userName", "data"):
        if name not in item:
            raise InvalidType(f"A track to save must have a {name}.")
    moment = item.get("timeStamp")
    key = item.get("key")
    return Record(
        check_text(item["taskId"], "taskId"),
        check_run_id(item.get("runId")),
        check_text(item["userName"], "userName"),
        now() if moment is None else parse_time_stamp(moment),
        encode_data(item["data"]),
        None if key is None else check_text(key, "key"),
    )
