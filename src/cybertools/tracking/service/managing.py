"""Runs, lists of tasks and users, and storages over HTTP."""

from itertools import islice
from typing import Any, get_args
from urllib.parse import urlencode

from cybertools.tracking.codec import encode, info_json
from cybertools.tracking.errors import InvalidType, InvalidValue
from cybertools.tracking.interfaces import RunState, Storage, is_attribute
from cybertools.tracking.service.asking import (
    lines,
    next_link,
    page_limit,
    required,
    whole_number,
)
from cybertools.tracking.service.endpoints import Endpoint
from cybertools.tracking.service.problems import Bad
from cybertools.tracking.service.replies import LINES, Reply, reply
from cybertools.tracking.service.requests import Call
from cybertools.tracking.service.service import Service
from cybertools.tracking.track import Run
from cybertools.tracking.values import check_run_id, check_text, kind_of

__all__ = ["ENDPOINTS", "RUNS_MOST"]

RUNS_MOST = 5_000
"""Runs that are opened by one request: others wait for their transaction."""


# Runs


async def get_runs(service: Service, call: Call) -> Reply:
    """A page of runs, or all of them as lines."""
    asked = call.parameters("state", "taskId", "limit", "after")
    state = _state(asked)
    task = asked.get("taskId")
    if task is not None:
        check_text(task, "taskId")
    after = whole_number(asked, "after") or 0
    engine = call.collection.storage.engine

    def found() -> Any:
        runs = engine.runs(state, after)
        return runs if task is None else (run for run in runs if run.taskId == task)

    if call.wants(LINES):
        return await lines(service, call.collection, found, lambda run: encode(run.as_dict()))
    limit = page_limit(service, whole_number(asked, "limit"))
    runs: list[Run] = await call.collection.reader.work(lambda: [*islice(found(), limit + 1)])
    values = [run.as_dict() for run in runs[:limit]]
    if len(runs) <= limit or not values:
        return reply({"runs": values, "next": None})
    target = f"?{urlencode({**asked, 'after': values[-1]['runId']})}"
    return reply({"runs": values, "next": target}, 200, [next_link(target)])


def _state(asked: dict[str, str]) -> RunState:
    given = asked.get("state", "all")
    for state in get_args(RunState):
        if given == state:
            known: RunState = state
            return known
    raise InvalidValue(f"state must be one of {', '.join(get_args(RunState))}, not {given!r:.60}.")


async def count_runs(_service: Service, call: Call) -> Reply:
    """How many runs there are in a state."""
    state = _state(call.parameters("state"))
    count = await call.collection.reader.work(call.collection.storage.engine.count_runs, state)
    return reply({"count": count})


async def get_current_run(_service: Service, call: Call) -> Reply:
    """A task's current run."""
    task = check_text(required(call.parameters("taskId"), "taskId"), "taskId")
    run = await call.collection.reader.ask(lambda: call.collection.storage.getRun(0, task))
    if run is None:
        raise Bad("run-not-found", "The task has no current run.")
    return reply(run.as_dict())


async def get_run(_service: Service, call: Call) -> Reply:
    """A run."""
    call.parameters()
    text = call.parts["runId"]
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Bad("run-not-found", f"A run's id is a number, not {text!r:.60}.")
    number = int(text)
    run = await call.collection.reader.ask(lambda: call.collection.storage.getRun(number))
    if run is None:
        raise Bad("run-not-found", f"There is no run {number}.")
    return reply(run.as_dict())


async def start_run(_service: Service, call: Call) -> Reply:
    """Start a run."""
    call.parameters()
    task = (await call.json("taskId")).get("taskId")
    storage = call.collection.storage
    return reply({"runId": await call.collection.reader.work(storage.startRun, task)})


async def open_run(_service: Service, call: Call) -> Reply:
    """The task's run of a label, or several such runs."""
    call.parameters()
    asked = await call.value()
    storage, work = call.collection.storage, call.collection.reader.work
    if type(asked) is not list:
        return reply({"runId": await work(storage.openRun, *_place(asked))})
    if len(asked) > RUNS_MOST:
        raise InvalidValue(f"At most {RUNS_MOST:,} runs are opened at a time, not {len(asked):,}.")
    return reply({"runIds": await work(_open_all, storage, [*map(_place, asked)])})


def _place(asked: object) -> tuple[str, str]:
    """The task and the label of a run to open."""
    if type(asked) is not dict or asked.keys() != {"taskId", "label"}:
        raise InvalidType('A run to open must be an object like {"taskId": "a", "label": "s1"}.')
    return check_text(asked["taskId"], "taskId"), check_text(asked["label"], "label")


def _open_all(storage: Storage, places: list[tuple[str, str]]) -> list[int]:
    with storage.transaction():
        return storage.engine.open_runs(places)


async def stop_run(_service: Service, call: Call) -> Reply:
    """Stop a run."""
    call.parameters()
    asked = await call.json("taskId", "runId", "finish")
    run = check_run_id(asked.get("runId"))
    finish = asked.get("finish")
    if finish is None:
        finish = True
    if type(finish) is not bool:
        raise InvalidType(f"finish must be true or false, not {kind_of(finish)}.")
    storage = call.collection.storage
    stopped = await call.collection.reader.work(storage.stopRun, asked.get("taskId"), run, finish)
    return reply({"runId": stopped})


# Lists


async def get_task_ids(_service: Service, call: Call) -> Reply:
    """The ids of all tasks with tracks."""
    call.parameters()
    storage = call.collection.storage
    return reply({"taskIds": await call.collection.reader.work(storage.getTaskIds)})


async def get_user_names(_service: Service, call: Call) -> Reply:
    """The names of the users with tracks in a task."""
    task = check_text(required(call.parameters("taskId"), "taskId"), "taskId")
    storage = call.collection.storage
    return reply({"userNames": await call.collection.reader.work(storage.getUserNames, task)})


# Storages


async def get_storages(service: Service, call: Call) -> Reply:
    """The names of the storages that may be read."""
    call.parameters()
    names = await service.storages.names()
    shown = [name for name in names if await service.gate.may_read(call.principal, name)]
    return reply({"storages": shown})


async def make_storage(service: Service, call: Call) -> Reply:
    """Make a storage, or give it more indexes."""
    call.parameters()
    attributes = (await call.json("indexAttributes")).get("indexAttributes")
    if attributes is None:
        attributes = []
    if type(attributes) is not list:
        raise InvalidType(f"indexAttributes must be a list, not {kind_of(attributes)}.")
    for name in attributes:
        if not is_attribute(name):
            raise InvalidValue(
                f"indexAttributes: {name!r:.60} cannot be one; it must be a name that neither a"
                " criterion nor a track has already."
            )
    name = call.parts["storage"]
    is_new = name not in await service.storages.names()
    collection = await service.storages.make(name, tuple(attributes))
    state = {"name": name, "indexAttributes": collection.attributes}
    return reply(state, 201 if is_new else 200)


async def get_info(_service: Service, call: Call) -> Reply:
    """What a storage holds, and what that takes."""
    call.parameters()
    return reply(info_json(await call.collection.reader.work(call.collection.storage.info)))


async def reindex(_service: Service, call: Call) -> Reply:
    """Build all indexes anew."""
    call.parameters()
    await call.collection.reader.work(call.collection.storage.reindexTracks)
    return Reply(204)


async def check_storage(_service: Service, call: Call) -> Reply:
    """What is wrong with a storage."""
    call.parameters()
    return reply({"findings": await call.collection.reader.work(call.collection.storage.check)})


_STORAGE = "/api/storages/{storage}"

ENDPOINTS = [
    Endpoint("GET", f"{_STORAGE}/runs", "read", get_runs),
    Endpoint("GET", f"{_STORAGE}/runs/count", "read", count_runs),
    Endpoint("GET", f"{_STORAGE}/runs/current", "read", get_current_run),
    Endpoint("GET", f"{_STORAGE}/runs/{{runId}}", "read", get_run),
    Endpoint("POST", f"{_STORAGE}/runs/start", "write", start_run),
    Endpoint("POST", f"{_STORAGE}/runs/open", "write", open_run),
    Endpoint("POST", f"{_STORAGE}/runs/stop", "write", stop_run),
    Endpoint("GET", f"{_STORAGE}/tasks", "read", get_task_ids),
    Endpoint("GET", f"{_STORAGE}/users", "read", get_user_names),
    Endpoint("GET", "/api/storages", "read", get_storages),
    Endpoint("PUT", _STORAGE, "admin", make_storage, opens=False),
    Endpoint("GET", f"{_STORAGE}/info", "read", get_info),
    Endpoint("POST", f"{_STORAGE}/reindex", "admin", reindex),
    Endpoint("GET", f"{_STORAGE}/check", "admin", check_storage),
]
