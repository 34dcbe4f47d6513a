"""The OpenAPI document of the service."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from cybertools.tracking.criteria import ORDERS
from cybertools.tracking.service.schemas import (
    EXAMPLE_ITEM,
    EXAMPLE_TRACK,
    SCHEMAS,
    TEXT,
    Schema,
    array_of,
    ref,
)

__all__ = ["document"]

JSON, LINES, PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"

ABOUT = """\
A service for tracks: what users do, in which task, in which run, when, with what data.

An answer to a save is given when the track is on disk. Send a `key` with each track, and a save
whose answer was lost can be sent again: it is stored once.

A request carries its token as `Authorization: Bearer TOKEN`, or as the user name of Basic. There
are three scopes: `write` may save and open runs, `read` may ask, `admin` may do all; a token may be
for one storage only.

Bodies may be compressed (`Content-Encoding: gzip` or `zstd`). Whatever is wrong is answered with a
problem (`application/problem+json`, RFC 9457): its `type` tells programs which error it is, its
`detail` tells people what was wrong and what would be right. `429` and `503` with `Retry-After`
mean: nothing was stored, try again then. A parameter that does not exist is refused.
"""


def document() -> dict[str, Any]:
    """The document, as OpenAPI 3.1 has it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cybertools.tracking",
            "version": version("cybertools-tracking"),
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {path: dict(operations) for path, operations in _PATHS.items()},
        "components": {
            "schemas": SCHEMAS,
            "parameters": {},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The token is the user name; there is no password.",
                },
            },
        },
        "security": [{"bearer": []}, {"basic": []}],
        "tags": [
            {"name": "Tracks", "description": "What users did."},
            {"name": "Runs", "description": "Passes through tasks."},
            {"name": "Lists", "description": "Tasks and users."},
            {"name": "Storages", "description": "Named collections of tracks and runs."},
            {"name": "Service", "description": "The service itself. No token is needed."},
        ],
    }


# Parts


def _parameter(name: str, schema: Schema, description: str, **more: Any) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description, **more}


def _path_parameter(name: str, schema: Schema, description: str, example: object) -> Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema,
        "description": description,
        "example": example,
    }


STORAGE = _path_parameter("storage", TEXT, "The storage's name.", "tracks")
TRACK = _path_parameter("id", ref("TrackId"), "The track's id.", "0000001")
RUN = _path_parameter("runId", {"type": "integer", "minimum": 1}, "The run's id.", 1)
TASK = _parameter("taskId", TEXT, "The task.", required=True)

_TIME = {"anyOf": [{"type": "number"}, {"type": "string"}]}
_TEXTS = {"type": "array", "items": TEXT}

MATCHES = [
    _parameter("taskId", _TEXTS, "A task id or a prefix `abc*`; repeated: any of them."),
    _parameter(
        "runId", {"type": "array", "items": {"type": "integer"}}, "A run's id; repeated: any."
    ),
    _parameter("userName", _TEXTS, "A user name or a prefix `abc*`; repeated: any of them."),
    _parameter("timeStamp", {"type": "array", "items": _TIME}, "A time stamp; repeated: any."),
    _parameter(
        "timeFrom", _TIME, "The earliest time: seconds since 1970 or ISO 8601, UTC without offset."
    ),
    _parameter("timeTo", _TIME, "The latest time, included; a date is the whole day."),
]
LIMIT = _parameter("limit", {"type": "integer", "minimum": 0}, "So many at most.")
PAGE_LIMIT = _parameter(
    "limit",
    {"type": "integer", "minimum": 0, "maximum": 1000, "default": 100},
    "So many at most. Lines may be any number, and are all without it.",
)
AFTER = _parameter("after", ref("TrackId"), "Only what comes after that track, in the order.")
ORDER = _parameter("order", {"enum": [*ORDERS], "default": "id"}, "`-timeStamp`: the newest first.")
PAGED = [*MATCHES, PAGE_LIMIT, AFTER, ORDER]
COUNTED = [*MATCHES, LIMIT, AFTER, ORDER]


def _content(schema: Schema, kind: str = JSON) -> Schema:
    return {kind: {"schema": schema}}


def _answer(description: str, schema: Schema | None = None, **more: Any) -> Schema:
    return {"description": description} | ({"content": _content(schema)} if schema else {}) | more


def _problems(*statuses: int) -> Schema:
    return {str(status): _PROBLEMS[status] for status in statuses}


_PROBLEMS = {
    status: {"description": description, "content": _content(ref("Problem"), PROBLEM)}
    for status, description in {
        400: "It cannot be read, or has a parameter that does not exist.",
        401: "A token is needed.",
        403: "The token does not allow this.",
        404: "There is no such thing.",
        409: "The request contradicts itself.",
        413: "The body is too large.",
        415: "The body is of a kind that is not read.",
        422: "A value is not what it may be.",
        429: "Too many requests; `Retry-After` says when to try again.",
        500: "The service has failed.",
        501: "The storage cannot do that.",
        503: "The service or its database has too much to do, or is out of reach.",
    }.items()
}


def _body(schema: Schema, description: str, required: bool = True) -> Schema:
    return {"description": description, "required": required, "content": _content(schema)}


def _operation(
    tag: str,
    name: str,
    summary: str,
    answers: Schema,
    parameters: Sequence[Schema] = (),
    body: Schema | None = None,
    description: str = "",
    public: bool = False,
) -> Schema:
    operation: Schema = {"tags": [tag], "operationId": name, "summary": summary}
    if description:
        operation["description"] = description
    if parameters:
        operation["parameters"] = [*parameters]
    if body:
        operation["requestBody"] = body
    common = (400, 500, 503) if public else (400, 401, 403, 404, 422, 429, 500, 503)
    with_body = (413, 415) if body and not public else ()
    operation["responses"] = answers | _problems(*common, *with_body)
    if public:
        operation["security"] = []
    return operation


_LINES_OF_TRACKS = {
    "schema": {"type": "string"},
    "example": '{"id":"0000001","taskId":"algebra/quiz-01","runId":1,"userName":"ann",…}\n',
}
_PAGE = {
    "description": "The tracks.",
    "headers": {
        "Link": {
            "schema": {"type": "string"},
            "description": 'The next page: `<…>; rel="next"`.',
        }
    },
    "content": {
        JSON: {
            "schema": ref("TrackPage"),
            "example": {"tracks": [EXAMPLE_TRACK], "next": None},
        },
        LINES: _LINES_OF_TRACKS,
    },
}
_CRITERIA_BODY = {
    "description": "The criteria, as the query of a URL has them.",
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "properties": {each["name"]: each["schema"] for each in PAGED},
                "patternProperties": {"^data\\.[A-Za-z][A-Za-z0-9_]*$": {"type": "string"}},
                "additionalProperties": False,
            },
            "example": {"taskId": "algebra/*"},
        }
    },
}
_ABOUT_CRITERIA = (
    " A track meets the criteria where it meets all of them. An attribute of the data is"
    ' `data.NAME`, like `data.state=open`: a text, a number, or a prefix `abc*`; `"80"` is a text.'
)
_ABOUT_PAGES = (
    " With `Accept: application/x-ndjson` all of them come, a line each, in constant memory."
)

_SAVE_BODY = {
    "description": "One track, a list of tracks, or a track a line.",
    "required": True,
    "content": {
        JSON: {
            "schema": {"oneOf": [ref("TrackToSave"), array_of("TrackToSave")]},
            "examples": {
                "one": {"value": EXAMPLE_ITEM},
                "several": {"value": [EXAMPLE_ITEM, {**EXAMPLE_ITEM, "key": "3f2b"}]},
            },
        },
        LINES: {
            "schema": {"type": "string"},
            "example": '{"taskId":"algebra/quiz-01","userName":"ann","data":{}}\n',
        },
    },
}
_SAVE_ANSWERS = {
    "200": _answer(
        "One track that was there before or was changed; or what became of each of several.",
        {"oneOf": [ref("Saved"), ref("Outcomes")]},
    ),
    **_problems(409),
    "201": _answer(
        "One track, which is new.",
        ref("Saved"),
        headers={"Location": {"schema": {"type": "string"}, "description": "Where it is."}},
    ),
}

_TRACKS = "/api/storages/{storage}/tracks"

_PATHS: dict[str, Schema] = {
    _TRACKS: {
        "parameters": [STORAGE],
        "post": _operation(
            "Tracks",
            "saveTracks",
            "Save a track, or many",
            _SAVE_ANSWERS,
            [
                _parameter(
                    "atomic",
                    {"type": "boolean", "default": False},
                    "Store all of several tracks or, where one is refused, none.",
                ),
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "schema": TEXT,
                    "description": "The `key` of one track.",
                },
            ],
            _SAVE_BODY,
            "Scope: write. A list or lines are answered with one outcome for each track, in their"
            " order; those that are refused are not stored, the others are.",
        ),
        "get": _operation(
            "Tracks",
            "getTracks",
            "The tracks that meet criteria",
            {"200": _PAGE},
            PAGED,
            description="Scope: read." + _ABOUT_CRITERIA + _ABOUT_PAGES,
        ),
    },
    f"{_TRACKS}/query": {
        "parameters": [STORAGE],
        "post": _operation(
            "Tracks",
            "queryTracks",
            "The same, with criteria too long for a URL",
            {"200": _PAGE},
            body=_CRITERIA_BODY,
            description="Scope: read.",
        ),
    },
    f"{_TRACKS}/count": {
        "parameters": [STORAGE],
        "get": _operation(
            "Tracks",
            "countTracks",
            "How many tracks meet criteria",
            {"200": _answer("Their number.", ref("Count"))},
            COUNTED,
            description="Scope: read.",
        ),
        "post": _operation(
            "Tracks",
            "countQueriedTracks",
            "The same, with criteria too long for a URL",
            {"200": _answer("Their number.", ref("Count"))},
            body=_CRITERIA_BODY,
            description="Scope: read.",
        ),
    },
    f"{_TRACKS}/last": {
        "parameters": [STORAGE],
        "get": _operation(
            "Tracks",
            "getLastTrack",
            "The last track of a user in a task and run",
            {"200": _answer("The track with the highest time stamp.", ref("Track"))},
            [
                TASK,
                _parameter("userName", TEXT, "The user.", required=True),
                _parameter(
                    "runId",
                    {"type": "integer", "minimum": 0, "default": 0},
                    "The run; 0 is the task's current one.",
                ),
            ],
            description="Scope: read. Takes the same time however many tracks there are.",
        ),
    },
    f"{_TRACKS}/{{id}}": {
        "parameters": [STORAGE, TRACK],
        "get": _operation(
            "Tracks",
            "getTrack",
            "A track",
            {"200": _answer("The track.", ref("Track"))},
            description="Scope: read.",
        ),
        "patch": _operation(
            "Tracks",
            "updateTrack",
            "Merge data into those of a track",
            {"200": _answer("It is done.", ref("Saved"))},
            [
                _parameter(
                    "overwrite",
                    {"type": "boolean", "default": False},
                    "Put the data in place of the old ones.",
                )
            ],
            _body(ref("Update"), "The data."),
            "Scope: write. The time stamp stays.",
        ),
        "delete": _operation(
            "Tracks",
            "removeTrack",
            "Remove a track",
            {"204": _answer("It is gone. Its id is never used again, its key stays spent.")},
            description="Scope: admin.",
        ),
    },
    "/api/storages/{storage}/stream": {
        "parameters": [STORAGE],
        "get": _operation(
            "Tracks",
            "watchTracks",
            "The tracks that are saved from now on",
            {
                "200": {
                    "description": "Server-sent events: `track`, whose id is the track's and whose"
                    " data are the track.",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                }
            },
            [
                *MATCHES,
                AFTER,
                {
                    "name": "Last-Event-ID",
                    "in": "header",
                    "schema": {"type": "string"},
                    "description": "Go on after that track.",
                },
            ],
            description="Scope: read." + _ABOUT_CRITERIA,
        ),
    },
    "/api/storages/{storage}/runs": {
        "parameters": [STORAGE],
        "get": _operation(
            "Runs",
            "getRuns",
            "The runs",
            {"200": _answer("Runs, in order of their ids.", ref("RunPage"))},
            [
                _parameter(
                    "state",
                    {"enum": ["all", "finished", "current"], "default": "all"},
                    "Only the runs in that state.",
                ),
                _parameter("taskId", TEXT, "Only the runs of that task."),
                PAGE_LIMIT,
                _parameter("after", {"type": "integer", "minimum": 0}, "After the run of that id."),
            ],
            description="Scope: read. Pages are as those of tracks.",
        ),
    },
    "/api/storages/{storage}/runs/count": {
        "parameters": [STORAGE],
        "get": _operation(
            "Runs",
            "countRuns",
            "How many runs there are",
            {"200": _answer("Their number.", ref("Count"))},
            [
                _parameter(
                    "state",
                    {"enum": ["all", "finished", "current"], "default": "all"},
                    "Only the runs in that state.",
                )
            ],
            description="Scope: read.",
        ),
    },
    "/api/storages/{storage}/runs/current": {
        "parameters": [STORAGE],
        "get": _operation(
            "Runs",
            "getCurrentRun",
            "A task's current run",
            {"200": _answer("The run.", ref("Run"))},
            [TASK],
            description="Scope: read.",
        ),
    },
    "/api/storages/{storage}/runs/start": {
        "parameters": [STORAGE],
        "post": _operation(
            "Runs",
            "startRun",
            "Start a run; it is its task's current one from now on",
            {"200": _answer("The run's id.", ref("RunId"))},
            body=_body(ref("StartRun"), "Which one.", required=False),
            description="Scope: write.",
        ),
    },
    "/api/storages/{storage}/runs/open": {
        "parameters": [STORAGE],
        "post": _operation(
            "Runs",
            "openRun",
            "The task's run of that label, started if there is none",
            {"200": _answer("The run's id.", ref("RunId"))},
            body=_body(ref("OpenRun"), "Which one."),
            description="Scope: write. Asked twice it is the same run; the current run stays.",
        ),
    },
    "/api/storages/{storage}/runs/stop": {
        "parameters": [STORAGE],
        "post": _operation(
            "Runs",
            "stopRun",
            "Stop a run",
            {"200": _answer("The run's id; 0 if there was none to stop.", ref("RunId"))},
            body=_body(ref("StopRun"), "Which one.", required=False),
            description="Scope: write.",
        ),
    },
    "/api/storages/{storage}/runs/{runId}": {
        "parameters": [STORAGE, RUN],
        "get": _operation(
            "Runs",
            "getRun",
            "A run",
            {"200": _answer("The run.", ref("Run"))},
            description="Scope: read.",
        ),
    },
    "/api/storages/{storage}/tasks": {
        "parameters": [STORAGE],
        "get": _operation(
            "Lists",
            "getTaskIds",
            "The ids of all tasks with tracks",
            {"200": _answer("Sorted.", ref("TaskIds"))},
            description="Scope: read.",
        ),
    },
    "/api/storages/{storage}/users": {
        "parameters": [STORAGE],
        "get": _operation(
            "Lists",
            "getUserNames",
            "The names of the users with tracks in a task",
            {"200": _answer("Sorted.", ref("UserNames"))},
            [TASK],
            description="Scope: read.",
        ),
    },
    "/api/storages": {
        "get": _operation(
            "Storages",
            "getStorages",
            "The names of the storages",
            {"200": _answer("Sorted; those that the token may read.", ref("Storages"))},
            description="Scope: read.",
        ),
    },
    "/api/storages/{storage}": {
        "parameters": [STORAGE],
        "put": _operation(
            "Storages",
            "makeStorage",
            "Make a storage, or give it more indexes",
            {
                "200": _answer("It was there.", ref("StorageState")),
                "201": _answer("It is new.", ref("StorageState")),
            },
            body=_body(ref("Storage"), "What it is to be.", required=False),
            description="Scope: admin.",
        ),
    },
    "/api/storages/{storage}/info": {
        "parameters": [STORAGE],
        "get": _operation(
            "Storages",
            "getInfo",
            "What a storage holds, and what that takes",
            {"200": _answer("Figures.", ref("Info"))},
            description="Scope: read. Counts everything.",
        ),
    },
    "/api/storages/{storage}/reindex": {
        "parameters": [STORAGE],
        "post": _operation(
            "Storages",
            "reindexTracks",
            "Build all indexes anew",
            {"204": _answer("It is done.")},
            description="Scope: admin.",
        ),
    },
    "/api/storages/{storage}/check": {
        "parameters": [STORAGE],
        "get": _operation(
            "Storages",
            "checkStorage",
            "What is wrong with a storage",
            {"200": _answer("Findings.", ref("Findings"))},
            description="Scope: admin. Reads all of it.",
        ),
    },
    "/healthz": {
        "get": _operation(
            "Service",
            "isAlive",
            "Whether the service runs",
            {"200": {"description": "It does.", "content": {"text/plain": {"schema": {}}}}},
            public=True,
        ),
    },
    "/readyz": {
        "get": _operation(
            "Service",
            "isReady",
            "Whether it takes requests: its database answers, and it is not about to stop",
            {"200": {"description": "It does.", "content": {"text/plain": {"schema": {}}}}},
            public=True,
        ),
    },
    "/metrics": {
        "get": _operation(
            "Service",
            "getMetrics",
            "Figures for Prometheus",
            {"200": {"description": "Figures.", "content": {"text/plain": {"schema": {}}}}},
            public=True,
        ),
    },
}
