"""Asking for tracks over HTTP: pages, lines, counts, single tracks, and the live stream."""

import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlencode

from cybertools.tracking.codec import Pairs, criteria_from, encode, row_json
from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import InvalidType, InvalidValue, StorageUnavailable, TrackNotFound
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.service.endpoints import Endpoint
from cybertools.tracking.service.problems import Bad
from cybertools.tracking.service.replies import EVENTS, JSON, LINES, Header, Reply, reply
from cybertools.tracking.service.requests import Call
from cybertools.tracking.service.service import Service
from cybertools.tracking.service.storages import Collection
from cybertools.tracking.service.watching import event
from cybertools.tracking.service.writing import Overloaded
from cybertools.tracking.track import Row
from cybertools.tracking.values import check_run_id, check_text, parse_track_id, track_id

__all__ = ["ENDPOINTS", "lines", "page_limit", "whole", "whole_number"]

T = TypeVar("T")

LINES_AT_A_TIME = 200


async def get_tracks(service: Service, call: Call) -> Reply:
    """A page of tracks, or all of them as lines."""
    return await _tracks(service, call, call.pairs)


async def query_tracks(service: Service, call: Call) -> Reply:
    """The same; the criteria are in the body."""
    call.parameters()
    return await _tracks(service, call, await call.form())


async def _tracks(service: Service, call: Call, pairs: Pairs) -> Reply:
    criteria = criteria_from(pairs)
    if call.wants(LINES):
        engine = call.collection.storage.engine
        return await lines(
            service,
            call.collection,
            lambda: iter(()) if criteria.is_empty else engine.stream(criteria),
            row_json,
        )
    limit = page_limit(service, criteria.limit)
    body, last = await call.collection.reader.work(
        _page, call.collection.storage, replace(criteria, limit=limit), limit
    )
    if not last:
        return Reply(200, body + b"null}")
    following = [pair for pair in pairs if pair[0] != "after"] + [("after", last)]
    target = f"?{urlencode(following)}"
    return Reply(200, body + encode(target) + b"}", JSON, [next_link(target)])


def _page(storage: Storage, criteria: Criteria, limit: int) -> tuple[bytes, str]:
    """A page up to its ``next``, and the id of its last track, if there are more."""
    rows: list[Row] = []
    if not criteria.is_empty:
        rows = storage.engine.select(replace(criteria, limit=limit + 1))
    last = track_id(rows[limit - 1][0]) if len(rows) > limit else ""
    return b'{"tracks":[' + b",".join(map(row_json, rows[:limit])) + b'],"next":', last


def page_limit(service: Service, limit: int | None) -> int:
    """How many a page has."""
    settings = service.settings
    if limit is None:
        return settings.page_tracks
    if limit > settings.page_tracks_most:
        raise InvalidValue(
            f"limit must be at most {settings.page_tracks_most:,} for a page. Its next tells where"
            " the next one is; all come as lines with Accept: application/x-ndjson."
        )
    return limit


def next_link(target: str) -> Header:
    """The header that tells where the next page is."""
    return (b"link", f'<{target}>; rel="next"'.encode())


async def lines(
    service: Service,
    collection: Collection,
    start: Callable[[], Iterator[T]],
    written: Callable[[T], bytes],
) -> Reply:
    """All that an iterator gives, a line each, in constant memory.

    :param start: makes the iterator; it is called, and read, in threads.
    """
    if collection.streams >= service.settings.line_streams:
        raise Overloaded(f"{collection.streams} queries are being sent as lines.")
    parts = _lines(service, collection, start, written)
    # What is wrong with the question shows now, while it can still be the answer.
    first = await anext(parts, b"")
    return Reply(200, _joined(first, parts), LINES)


async def _joined(first: bytes, others: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(others):
        yield first
        async for part in others:
            yield part


async def _lines(
    service: Service,
    collection: Collection,
    start: Callable[[], Iterator[T]],
    written: Callable[[T], bytes],
) -> AsyncGenerator[bytes, None]:
    work = collection.reader.work
    # Who goes away does not end what a thread is just reading.
    reading = threading.Lock()
    collection.streams += 1
    items: Iterator[T] = iter(())
    try:
        items = await work(start)

        def piece() -> bytes:
            with reading:
                return b"".join(written(item) + b"\n" for item in islice(items, LINES_AT_A_TIME))

        while text := await work(piece):
            yield text
            if service.is_stopping:
                raise StorageUnavailable("The service stops.")
    finally:
        collection.streams -= 1
        await work(_end, items, reading)


def _end(items: Iterator[Any], reading: threading.Lock) -> None:
    with reading:
        if isinstance(items, Generator):
            items.close()


async def count_tracks(_service: Service, call: Call) -> Reply:
    """How many tracks meet criteria."""
    return await _count(call, call.pairs)


async def count_queried_tracks(_service: Service, call: Call) -> Reply:
    """The same; the criteria are in the body."""
    call.parameters()
    return await _count(call, await call.form())


async def _count(call: Call, pairs: Pairs) -> Reply:
    criteria = criteria_from(pairs)
    if criteria.is_empty:
        return reply({"count": 0})
    engine = call.collection.storage.engine
    return reply({"count": await call.collection.reader.work(engine.count, criteria)})


async def get_last_track(_service: Service, call: Call) -> Reply:
    """The last track of a user in a task and run."""
    asked = call.parameters("taskId", "runId", "userName")
    task = check_text(required(asked, "taskId"), "taskId")
    user = check_text(required(asked, "userName"), "userName")
    run = check_run_id(whole_number(asked, "runId"))
    last = call.collection.storage.engine.last
    row = await call.collection.reader.ask(lambda: last(task, run, user))
    if row is None:
        raise Bad("track-not-found", "There is no track of that user in that task and run.")
    return Reply(200, row_json(row))


async def get_track(_service: Service, call: Call) -> Reply:
    """A track."""
    call.parameters()
    id = call.parts["id"]
    number = parse_track_id(id)
    track = call.collection.storage.engine.track
    row = await call.collection.reader.ask(lambda: track(number)) if number else None
    if row is None:
        raise TrackNotFound(id)
    return Reply(200, row_json(row))


def required(parameters: dict[str, str], name: str) -> str:
    """A parameter that has to be there."""
    if name not in parameters:
        raise InvalidType(f"{name} is missing.")
    return parameters[name]


def whole_number(parameters: dict[str, str], name: str) -> int | None:
    """A parameter that is a whole number, from 0."""
    text = parameters.get(name)
    return None if text is None else whole(name, text)


def whole(name: str, text: str) -> int:
    """The whole number, from 0, that a text of a parameter is."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidType(f"{name} must be a whole number, not {text!r:.60}.")
    return int(text)


# Live


async def watch_tracks(service: Service, call: Call) -> Reply:
    """The tracks that are saved from now on, or from a track on."""
    feed = call.collection.feed
    pairs = call.pairs
    criteria = criteria_from(pairs)
    if criteria.limit is not None or criteria.order != "id":
        raise InvalidValue("limit and order are not for a stream, which has no end.")
    if len(feed) >= service.settings.watchers:
        raise Overloaded(f"{len(feed):,} clients watch already.")
    since = criteria.after
    last = call.headers.get(b"last-event-id")
    if last is not None:
        since = parse_track_id(last.decode("latin-1"))
        # An empty storage's stream begins with 0.
        if not since and last != track_id(0).encode():
            raise InvalidValue("Last-Event-ID must be a track id like '0000001'.")
    return Reply(
        200, _events(service, call.collection, replace(criteria, after=None), since), EVENTS
    )


async def _events(
    service: Service, collection: Collection, criteria: Criteria, since: int | None
) -> AsyncGenerator[bytes, None]:
    feed = collection.feed
    watcher = await feed.watch(criteria)
    try:
        if since is None:
            # An id without an event: who is cut off before the first track goes on from here.
            yield b"retry: 1000\nid: %s\n\n" % track_id(watcher.begin).encode()
        else:
            yield b"retry: 1000\n\n"
            async for row in feed.missed(watcher, since, criteria):
                yield event(row)
        while not (watcher.is_done or service.is_stopping):
            yield await watcher.take(service.settings.heartbeat_seconds) or b":\n\n"
    finally:
        feed.leave(watcher)


_TRACKS = "/api/storages/{storage}/tracks"

ENDPOINTS = [
    Endpoint("GET", f"{_TRACKS}/last", "read", get_last_track),
    Endpoint("GET", _TRACKS, "read", get_tracks),
    Endpoint("POST", f"{_TRACKS}/query", "read", query_tracks),
    Endpoint("GET", f"{_TRACKS}/count", "read", count_tracks),
    Endpoint("POST", f"{_TRACKS}/count", "read", count_queried_tracks),
    Endpoint("GET", f"{_TRACKS}/{{id}}", "read", get_track),
    Endpoint("GET", "/api/storages/{storage}/stream", "read", watch_tracks),
]
