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
_KNOWN = frozenset(_NAMES)


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
    # The type first: to ask for the abstract class takes a tenth of the whole.
    if type(item) is not dict and not isinstance(item, Mapping):
        raise InvalidType(
            f"A track to save must be a mapping (taskId, userName, data, …), not {kind_of(item)}."
        )
    if not item.keys() <= _KNOWN:
        unknown = next(name for name in item if name not in _KNOWN)
        raise InvalidType(f"A track to save has no {unknown!r}; there are: {', '.join(_NAMES)}.")
    try:
        taskId, userName, data = item["taskId"], item["userName"], item["data"]
    except KeyError as error:
        raise InvalidType(f"A track to save must have a {error.args[0]}.") from None
    runId, moment, key = item.get("runId"), item.get("timeStamp"), item.get("key")
    return _new(
        Record,
        (
            check_text(taskId, "taskId"),
            0 if runId is None else check_run_id(runId),
            check_text(userName, "userName"),
            now() if moment is None else parse_time_stamp(moment),
            encode_data(data),
            None if key is None else check_text(key, "key"),
        ),
    )


_new = tuple.__new__  # half the time of calling the class, for each track
