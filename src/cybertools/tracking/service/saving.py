"""Saving over HTTP: one track, a list, or lines."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from cybertools.tracking.codec import Item, encode, item_from, saved_json, update_from
from cybertools.tracking.errors import InvalidValue, TrackingError, TrackNotFound
from cybertools.tracking.interfaces import Saved
from cybertools.tracking.service.endpoints import Endpoint
from cybertools.tracking.service.problems import Bad, as_json
from cybertools.tracking.service.replies import LINES, Header, Reply, reply
from cybertools.tracking.service.requests import LARGE, Call, parsed_json
from cybertools.tracking.service.service import Service
from cybertools.tracking.service.writing import Overloaded
from cybertools.tracking.values import check_text, decode_data, parse_track_id, track_id

__all__ = ["ENDPOINTS", "is_true"]

JSON_KINDS = (b"", b"application/json")
LINE_KINDS = (b"application/x-ndjson", b"application/ndjson", b"application/jsonl")

_Read: TypeAlias = list[Item | TrackingError]


async def save_tracks(service: Service, call: Call) -> Reply:
    """Save what the body has; one outcome for each track."""
    writer = call.collection.writer
    if writer.is_full:  # before the body is read
        raise Overloaded(f"{writer.waiting:,} tracks wait to be stored.")
    atomic = is_true(call.parameters("atomic"), "atomic")
    kind = call.kind
    if kind not in JSON_KINDS and kind not in LINE_KINDS:
        raise Bad(
            "unsupported-media-type", "The body must be application/json or application/x-ndjson."
        )
    body = await call.body()
    if kind in JSON_KINDS:
        value = await _parsed(parsed_json, body)
        if type(value) is not list:
            return await _save_one(service, call, value)
        read = await _parsed(_items_of_list, value, len(body))
    else:
        read = await _parsed(_items_of_lines, body)
    if b"idempotency-key" in call.headers:
        raise Bad("conflict", "Idempotency-Key is for one track; each of several has its own key.")
    return await _save_many(service, call, read, atomic)


async def _parsed(parse: Any, body: Any, size: int | None = None) -> Any:
    """What a function makes of a body: in a thread, where that takes long."""
    if (len(body) if size is None else size) < LARGE:
        return parse(body)
    return await asyncio.to_thread(parse, body)


async def _save_one(service: Service, call: Call, value: object) -> Reply:
    item = item_from(value)
    header = call.headers.get(b"idempotency-key")
    if header is not None:
        item = _with_key(item, header)
    (saved,) = await service.save_in(call.collection, [item])
    if not isinstance(saved, Saved):
        raise saved
    if saved.outcome != "stored":
        return reply(saved_json(saved))
    path: bytes = call.request["raw_path"]
    place: Header = (b"location", b"%s/%s" % (path, track_id(saved.number).encode()))
    return reply(saved_json(saved), 201, [place])


def _with_key(item: Item, header: bytes) -> Item:
    try:
        key = check_text(header.decode(), "Idempotency-Key")
    except UnicodeDecodeError:
        raise InvalidValue("Idempotency-Key must be UTF-8.") from None
    if item.record.key not in (None, key):
        raise Bad("conflict", "Idempotency-Key and key are not the same; which is meant?")
    return item._replace(record=item.record._replace(key=key))


async def _save_many(service: Service, call: Call, read: _Read, atomic: bool) -> Reply:
    items: list[Item] = []
    for place, item in enumerate(read):
        if isinstance(item, Item):
            items.append(item)
        elif atomic:
            item.args = (f"tracks[{place}]: {item}",)
            raise item
    saved = iter(await service.save_in(call.collection, items, atomic))
    outcomes = [next(saved) if isinstance(item, Item) else item for item in read]
    if len(items) < LARGE // 64:
        return _outcomes(outcomes, call.wants(LINES))
    return await asyncio.to_thread(_outcomes, outcomes, call.wants(LINES))


def _outcomes(outcomes: Sequence[Saved | TrackingError], as_lines: bool) -> Reply:
    values = [
        saved_json(outcome)
        if isinstance(outcome, Saved)
        else {"outcome": "rejected", "error": as_json(outcome, place)}
        for place, outcome in enumerate(outcomes)
    ]
    if as_lines:
        return Reply(200, b"".join(encode(value) + b"\n" for value in values), LINES)
    return reply({"outcomes": values})


def _items_of_list(values: Iterable[Any]) -> _Read:
    return [_item_or_error(value) for value in values]


def _items_of_lines(body: bytes) -> _Read:
    return [_item_of_line(line) for line in body.split(b"\n") if line and not line.isspace()]


def _item_of_line(line: bytes) -> Item | TrackingError:
    try:
        return item_from(parsed_json(line))
    except TrackingError as error:
        return error


def _item_or_error(value: object) -> Item | TrackingError:
    try:
        return item_from(value)
    except TrackingError as error:
        return error


def is_true(parameters: dict[str, str], name: str) -> bool:
    """Whether a parameter that is true or false is true."""
    value = parameters.get(name, "false")
    if value not in ("true", "false"):
        raise InvalidValue(f"{name} must be true or false, not {value!r}.")
    return value == "true"


async def update_track(_service: Service, call: Call) -> Reply:
    """Merge data into those of a track."""
    overwrite = is_true(call.parameters("overwrite"), "overwrite")
    number = _number(call)
    json = update_from(await call.json("data"))
    storage = call.collection.storage
    storage.check_attributes(decode_data(json))
    if not await call.collection.reader.work(storage.engine.update, number, json, overwrite):
        raise TrackNotFound(track_id(number))
    return reply(saved_json(Saved(number, "updated")))


async def remove_track(_service: Service, call: Call) -> Reply:
    """Remove a track."""
    call.parameters()
    number = _number(call)
    collection = call.collection
    if not await collection.reader.work(collection.storage.engine.remove, number):
        raise TrackNotFound(track_id(number))
    return Reply(204)


def _number(call: Call) -> int:
    id = call.parts["id"]
    number = parse_track_id(id)
    if not number:
        raise TrackNotFound(id)
    return number


_TRACKS = "/api/storages/{storage}/tracks"

ENDPOINTS = [
    Endpoint("POST", _TRACKS, "write", save_tracks),
    Endpoint("PATCH", f"{_TRACKS}/{{id}}", "write", update_track),
    Endpoint("DELETE", f"{_TRACKS}/{{id}}", "admin", remove_track),
]
