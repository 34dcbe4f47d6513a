"""The messages of Segment's HTTP API as tracks: pure functions, from a body to items or reasons.

What the API promises to its clients is kept: the calls, the limits, the key of a message (its
``messageId``), and the correction of clocks that are wrong. What has no place in a track is in its
data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from cybertools.tracking.codec import Item, encode
from cybertools.tracking.errors import InvalidType, InvalidValue, TrackingError
from cybertools.tracking.record import Record
from cybertools.tracking.values import (
    check_text,
    encode_data,
    kind_of,
    parse_instant,
    parse_time_stamp,
    shown,
)

__all__ = [
    "BATCH_LIMIT",
    "CALLS",
    "MESSAGES_LIMIT",
    "MESSAGE_LIMIT",
    "TYPES",
    "Reading",
    "SegmentMapping",
    "parse_mapping",
    "read_call",
    "write_key_of",
]

TYPES = ("track", "page", "screen", "identify", "group", "alias")
"""What a message may be."""

CALLS: dict[str, str] = {
    **{kind: kind for kind in TYPES},
    **{kind[0]: kind for kind in TYPES},
    **dict.fromkeys(("batch", "b", "import"), "batch"),
}
"""The calls of the API by their paths after ``/v1/``; the libraries for browsers and phones use the
short ones."""

MESSAGE_LIMIT = 32 << 10
"""Bytes of a message as JSON without blanks."""
BATCH_LIMIT = 500 << 10
"""Bytes of the body of a batch, after decompression."""
MESSAGES_LIMIT = 2_500
"""Messages of a batch."""

_PLACED = frozenset(("messageId", "timestamp", "sentAt", "writeKey"))
"""What has a place of its own, or none: a key, a time, a clock, a credential."""


@dataclass(frozen=True, slots=True)
class SegmentMapping:
    """Which fields of a message become which parts of a track.

    Each is a tuple of places that are looked at in turn: ``properties.path`` is a field within a
    field; ``category/name`` is several, joined by a slash, of which some may be missing.
    """

    track: tuple[str, ...] = ("event",)
    """The task id of a track message. Where none of its places holds anything, it is refused."""
    page: tuple[str, ...] = ("properties.path", "context.page.path", "category/name")
    """The task id of a page message; ``page`` where its places hold nothing. So are the others."""
    screen: tuple[str, ...] = ("category/name",)
    identify: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    alias: tuple[str, ...] = ()
    user: tuple[str, ...] = ("userId", "anonymousId")
    """The user name."""
    run: tuple[str, ...] = (
        "context.sessionId",
        "context.session_id",
        "context.session.id",
        "integrations.Actions Amplitude.session_id",
        "integrations.Amplitude.session_id",
        "properties.session_id",
    )
    """The label of the run; the task's current run where its places hold nothing."""
    correctClock: bool = True
    """A message's ``timestamp`` is moved by the difference of the client's clock (``sentAt``) to
    the service's; what it was is kept in the data, as ``originalTimestamp``."""


class Reading(NamedTuple):
    """What was read of a call."""

    items: dict[int, Item]
    """The tracks, each with the position of its message."""
    rejected: dict[int, str]
    """The positions of the messages that cannot be tracks, each with the reason."""


def parse_mapping(text: str) -> SegmentMapping:
    """The mapping in ``page=properties.url|name,run=context.sid``; what is not named stays.

    :raises InvalidValue: it cannot be read.
    """
    names = [field.name for field in fields(SegmentMapping) if field.name != "correctClock"]
    given: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, places = (piece.strip() for piece in part.partition("="))
        if name == "correctClock" and places in ("true", "false"):
            given[name] = places == "true"
        elif name in names:
            given[name] = tuple(filter(None, (place.strip() for place in places.split("|"))))
        else:
            raise InvalidValue(
                f"A mapping is like page=properties.url|name,run=context.sid, not {shown(part)};"
                f" to the left of = may be: {', '.join(names)}, correctClock (true or false)."
            )
    return SegmentMapping(**given)


def write_key_of(body: Any) -> str | None:
    """The write key in a body: some libraries have no headers to put it in."""
    if not isinstance(body, dict):
        return None
    batch = body.get("batch")
    first = batch[0] if isinstance(batch, list) and batch else None
    for holder in (body, first):
        key = holder.get("writeKey") if isinstance(holder, dict) else None
        if isinstance(key, str) and key:
            return key
    return None


def read_call(
    call: str, body: Any, received: float, mapping: SegmentMapping | None = None
) -> Reading:
    """The tracks of a call.

    :param call: one of the values of `CALLS`.
    :param body: the body, decoded from JSON.
    :param received: when it arrived, in seconds since 1970.
    :raises TrackingError: nothing of it can be read. A single message that cannot be a track is
        in `Reading.rejected`.
    """
    if not isinstance(body, dict):
        raise InvalidType(f"The body must be an object, not {kind_of(body)}.")
    reading = Reading({}, {})
    for position, message in enumerate(_messages(call, body)):
        try:
            reading.items[position] = _item(message, received, mapping or SegmentMapping())
        except TrackingError as error:
            reading.rejected[position] = str(error)
    return reading


def _messages(call: str, body: dict[str, Any]) -> list[Any]:
    if call != "batch":
        return [{**body, "type": call}]
    batch = body.get("batch")
    if not isinstance(batch, list):
        raise InvalidType("The body must have a list of messages: {'batch': […]}.")
    if len(batch) > MESSAGES_LIMIT:
        raise InvalidValue(f"A batch has at most {MESSAGES_LIMIT:,} messages, not {len(batch):,}.")
    common = {name: body[name] for name in ("context", "integrations") if _is_mapping(body, name)}
    sent = {"sentAt": body["sentAt"]} if "sentAt" in body else {}
    return [_with_common(message, common, sent) for message in batch]


def _is_mapping(holder: dict[str, Any], name: str) -> bool:
    return isinstance(holder.get(name), dict)


def _with_common(message: Any, common: dict[str, Any], sent: dict[str, Any]) -> Any:
    """A message with what its batch says of all of them."""
    if not isinstance(message, dict):
        return message
    merged = {
        name: {**values, **(message[name] if _is_mapping(message, name) else {})}
        for name, values in common.items()
    }
    return {**sent, **message, **merged}


def _item(message: Any, received: float, mapping: SegmentMapping) -> Item:
    if not isinstance(message, dict):
        raise InvalidType(f"A message must be an object, not {kind_of(message)}.")
    size = len(encode(message))
    if size > MESSAGE_LIMIT:
        raise InvalidValue(f"A message has at most {MESSAGE_LIMIT:,} bytes, not {size:,}.")
    kind = message.get("type")
    if kind not in TYPES:
        raise InvalidValue(f"A message's type must be one of {', '.join(TYPES)}, not {kind!r}.")
    task, task_place = _found(message, getattr(mapping, kind))
    if task is None and kind == "track":
        raise InvalidValue(f"A track message must have {_any_of(mapping.track)}.")
    user, user_place = _found(message, mapping.user)
    if user is None:
        raise InvalidValue(f"A message must have {_any_of(mapping.user)}.")
    label, _ = _found(message, mapping.run)
    time, original = _time(message, received, mapping.correctClock)
    left = _PLACED | {task_place, user_place}
    data = {k: v for k, v in message.items() if k not in left and v not in (None, "", {}, [])}
    if original is not None:
        data["originalTimestamp"] = original
    key = _text(message.get("messageId"))
    record = Record(
        check_text(task or kind, "taskId"),
        0,
        check_text(user, "userName"),
        time,
        encode_data(data),
        None if key is None else check_text(key, "messageId"),
    )
    return Item(record, label=None if label is None else check_text(label, "runId"))


def _found(message: Mapping[str, Any], places: tuple[str, ...]) -> tuple[str | None, str]:
    """The text of the first place that holds one, and the place."""
    for place in places:
        parts = [_text(_at(message, path)) for path in place.split("/")]
        text = "/".join(part for part in parts if part)
        if text:
            return text, place
    return None, ""


def _at(message: Any, path: str) -> Any:
    for name in path.split("."):
        message = message.get(name) if isinstance(message, dict) else None
    return message


def _text(value: Any) -> str | None:
    """A name or an id as text. Numbers are ids as well, but for negative ones, which mean none."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    return None


def _time(message: Mapping[str, Any], received: float, correct: bool) -> tuple[float, str | None]:
    """The time of a message and, where that was corrected, what the message said."""
    said = message.get("timestamp")
    if said in (None, ""):
        return received, None
    time = parse_instant(said, "timestamp")
    sent = _instant(message.get("sentAt")) if correct else None
    if sent is None:
        return parse_time_stamp(time, "timestamp"), None
    return parse_time_stamp(time + (received - sent), "timestamp"), str(said)


def _instant(value: Any) -> float | None:
    """A clock's time; a clock that says nothing sensible is left alone."""
    try:
        return parse_instant(value, "sentAt")
    except TrackingError:
        return None


def _any_of(places: tuple[str, ...]) -> str:
    return " or ".join(places) or "a place that the mapping knows"
