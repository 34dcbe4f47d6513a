"""Contents as they are stored, given out and taken in: for copies from one storage to another."""

from collections.abc import Callable
from typing import TypeVar

from cybertools.tracking.codec import decode
from cybertools.tracking.codec.contents import (
    key_line,
    keys_from,
    number_from,
    run_line,
    runs_from,
    tracks_from,
)
from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import StorageError
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.service.asking import lines, required, whole_number
from cybertools.tracking.service.endpoints import Endpoint
from cybertools.tracking.service.problems import Bad
from cybertools.tracking.service.replies import Reply, reply
from cybertools.tracking.service.requests import Call
from cybertools.tracking.service.saving import LINE_KINDS
from cybertools.tracking.service.service import Service
from cybertools.tracking.track import Row
from cybertools.tracking.values import check_text, track_id

__all__ = ["ENDPOINTS"]

T = TypeVar("T")


async def get_highest(_service: Service, call: Call) -> Reply:
    """The highest id that a track may have had."""
    call.parameters()
    highest = await call.collection.reader.work(call.collection.storage.engine.highest)
    return reply({"highest": track_id(highest)})


async def get_runs(service: Service, call: Call) -> Reply:
    """All runs as they are stored, as lines."""
    after = whole_number(call.parameters("after"), "after") or 0
    engine = call.collection.storage.engine
    return await lines(
        service,
        call.collection,
        lambda: (run for run in engine.run_rows() if run.id > after),
        run_line,
    )


async def get_keys(service: Service, call: Call) -> Reply:
    """All spent keys, as lines."""
    after = call.parameters("after").get("after")
    if after is not None:
        check_text(after, "after")
    engine = call.collection.storage.engine
    return await lines(
        service,
        call.collection,
        lambda: (each for each in engine.spent_keys() if after is None or each[0] > after),
        key_line,
    )


async def put_runs(_service: Service, call: Call) -> Reply:
    """Store runs under their ids."""
    return await _put(call, call.collection.storage.engine.put_runs, runs_from)


async def put_tracks(_service: Service, call: Call) -> Reply:
    """Store tracks under their ids."""
    body = await _lines(call)
    await call.collection.reader.work(_put_tracks, call.collection.storage, body)
    call.collection.feed.wake()
    return Reply(204)


def _put_tracks(storage: Storage, body: bytes) -> None:
    rows = tracks_from(body)
    if not rows:
        return
    for row in rows:
        storage.check_attributes(decode(row[5].encode()))
    try:
        storage.engine.put_tracks(rows)
    except StorageError:
        if _is_taken(storage, rows):
            message = "There is a track of one of these ids already. Nothing is stored."
            raise Bad("number-taken", message) from None
        raise


def _is_taken(storage: Storage, rows: list[Row]) -> bool:
    numbers = {row[0] for row in rows}
    between = storage.engine.stream(Criteria(after=min(numbers) - 1 or None))
    for row in between:
        if row[0] in numbers:
            return True
        if row[0] > max(numbers):
            break
    return False


async def put_keys(_service: Service, call: Call) -> Reply:
    """Spend keys."""
    return await _put(call, call.collection.storage.engine.put_keys, keys_from)


async def retire(_service: Service, call: Call) -> Reply:
    """Give no id up to one to a track that is saved from now on."""
    call.parameters()
    highest = required(await call.json("highest"), "highest")
    number = number_from(highest, "highest", least=0)
    await call.collection.reader.work(call.collection.storage.engine.retire, number)
    return Reply(204)


async def _put(
    call: Call, put: Callable[[list[T]], None], read: Callable[[bytes], list[T]]
) -> Reply:
    body = await _lines(call)
    await call.collection.reader.work(lambda: put(read(body)))
    return Reply(204)


async def _lines(call: Call) -> bytes:
    call.parameters()
    if call.kind not in LINE_KINDS:
        raise Bad("unsupported-media-type", "The body must be application/x-ndjson.")
    return await call.body()


_CONTENTS = "/api/storages/{storage}/contents"

ENDPOINTS = [
    Endpoint("GET", _CONTENTS, "admin", get_highest),
    Endpoint("GET", f"{_CONTENTS}/runs", "admin", get_runs),
    Endpoint("PUT", f"{_CONTENTS}/runs", "admin", put_runs),
    Endpoint("PUT", f"{_CONTENTS}/tracks", "admin", put_tracks),
    Endpoint("GET", f"{_CONTENTS}/keys", "admin", get_keys),
    Endpoint("PUT", f"{_CONTENTS}/keys", "admin", put_keys),
    Endpoint("POST", f"{_CONTENTS}/retire", "admin", retire),
]
