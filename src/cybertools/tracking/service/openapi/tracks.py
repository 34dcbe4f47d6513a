"""Saving tracks, and asking for them."""

from cybertools.tracking.service.openapi.parts import (
    AFTER,
    COUNTED,
    JSON,
    LINES,
    MATCHES,
    PAGED,
    STORAGE,
    TASK,
    TRACKS,
    answer,
    body,
    operation,
    parameter,
    path_parameter,
    problems,
)
from cybertools.tracking.service.openapi.schemas import (
    EXAMPLE_ITEM,
    EXAMPLE_TRACK,
    TEXT,
    Schema,
    array_of,
    ref,
)

__all__ = ["PATHS"]

TRACK = path_parameter("id", ref("TrackId"), "The track's id.", "0000001")

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
    "200": answer(
        "One track that was there before or was changed; or what became of each of several.",
        {"oneOf": [ref("Saved"), ref("Outcomes")]},
    ),
    **problems(409),
    "201": answer(
        "One track, which is new.",
        ref("Saved"),
        headers={"Location": {"schema": {"type": "string"}, "description": "Where it is."}},
    ),
}

PATHS: dict[str, Schema] = {
    TRACKS: {
        "parameters": [STORAGE],
        "post": operation(
            "Tracks",
            "saveTracks",
            "Save a track, or many",
            _SAVE_ANSWERS,
            [
                parameter(
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
        "get": operation(
            "Tracks",
            "getTracks",
            "The tracks that meet criteria",
            {"200": _PAGE},
            PAGED,
            description="Scope: read." + _ABOUT_CRITERIA + _ABOUT_PAGES,
        ),
    },
    f"{TRACKS}/query": {
        "parameters": [STORAGE],
        "post": operation(
            "Tracks",
            "queryTracks",
            "The same, with criteria too long for a URL",
            {"200": _PAGE},
            body=_CRITERIA_BODY,
            description="Scope: read.",
        ),
    },
    f"{TRACKS}/count": {
        "parameters": [STORAGE],
        "get": operation(
            "Tracks",
            "countTracks",
            "How many tracks meet criteria",
            {"200": answer("Their number.", ref("Count"))},
            COUNTED,
            description="Scope: read.",
        ),
        "post": operation(
            "Tracks",
            "countQueriedTracks",
            "The same, with criteria too long for a URL",
            {"200": answer("Their number.", ref("Count"))},
            body=_CRITERIA_BODY,
            description="Scope: read.",
        ),
    },
    f"{TRACKS}/last": {
        "parameters": [STORAGE],
        "get": operation(
            "Tracks",
            "getLastTrack",
            "The last track of a user in a task and run",
            {"200": answer("The track with the highest time stamp.", ref("Track"))},
            [
                TASK,
                parameter("userName", TEXT, "The user.", required=True),
                parameter(
                    "runId",
                    {"type": "integer", "minimum": 0, "default": 0},
                    "The run; 0 is the task's current one.",
                ),
            ],
            description="Scope: read. Takes the same time however many tracks there are.",
        ),
    },
    f"{TRACKS}/{{id}}": {
        "parameters": [STORAGE, TRACK],
        "get": operation(
            "Tracks",
            "getTrack",
            "A track",
            {"200": answer("The track.", ref("Track"))},
            description="Scope: read.",
        ),
        "patch": operation(
            "Tracks",
            "updateTrack",
            "Merge data into those of a track",
            {"200": answer("It is done.", ref("Saved"))},
            [
                parameter(
                    "overwrite",
                    {"type": "boolean", "default": False},
                    "Put the data in place of the old ones.",
                )
            ],
            body(ref("Update"), "The data."),
            "Scope: write. The time stamp stays.",
        ),
        "delete": operation(
            "Tracks",
            "removeTrack",
            "Remove a track",
            {"204": answer("It is gone. Its id is never used again, its key stays spent.")},
            description="Scope: admin.",
        ),
    },
    "/api/storages/{storage}/stream": {
        "parameters": [STORAGE],
        "get": operation(
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
}
