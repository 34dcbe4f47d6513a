"""What goes over the wire, as JSON Schema: the components of the OpenAPI document."""

from typing import Any, TypeAlias

from cybertools.tracking.codec import KINDS, PROBLEM_TYPE
from cybertools.tracking.values import TEXT_LIMIT, TIME_LIMIT

__all__ = ["EXAMPLE_ITEM", "EXAMPLE_TRACK", "SCHEMAS", "Schema", "array_of", "ref"]

Schema: TypeAlias = dict[str, Any]

EXAMPLE_ITEM = {
    "taskId": "algebra/quiz-01",
    "userName": "ann",
    "data": {"verb": "answered", "correct": True},
    "key": "3f2a",
}
EXAMPLE_TRACK = {
    "id": "0000001",
    "taskId": "algebra/quiz-01",
    "runId": 1,
    "userName": "ann",
    "timeStamp": 1178011680.25,
    "data": {"verb": "answered", "correct": True},
}
EXAMPLE_RUN = {
    "runId": 1,
    "taskId": "algebra/quiz-01",
    "label": None,
    "start": 1178011680.25,
    "end": 1178011700,
    "finished": False,
}
EXAMPLE_INFO = {
    "tracks": 20000,
    "tasks": 180,
    "users": 118,
    "runs": 3901,
    "timeFrom": 1767572935,
    "timeTo": 1775342685,
    "bytes": 9416704,
    "parts": {"tracks": 4157440},
}


def ref(name: str) -> Schema:
    """A reference to one of the `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def array_of(name: str) -> Schema:
    """A list of one of the `SCHEMAS`."""
    return {"type": "array", "items": ref(name)}


def record(description: str, properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    """An object with these properties and no others."""
    required = [name for name in properties if name not in optional]
    schema: Schema = {"type": "object", "description": description, "properties": properties}
    return schema | ({"required": required} if required else {}) | {"additionalProperties": False}


TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": TEXT_LIMIT}
COUNT: Schema = {"type": "integer", "minimum": 0}
MOMENT: Schema = {"type": "number", "minimum": 0, "exclusiveMaximum": TIME_LIMIT}
FLAG: Schema = {"type": ["boolean", "null"], "default": False}


def described(schema: Schema, description: str) -> Schema:
    """The schema with a description."""
    return {**schema, "description": description}


def optional_text(description: str) -> Schema:
    """A text, or null."""
    return described({**TEXT, "type": ["string", "null"]}, description)


_ID = ref("TrackId")

SCHEMAS: Schema = {
    "TrackId": {
        "type": "string",
        "pattern": "^[0-9]{7,18}$",
        "description": "A track's id: seven digits or more, in the order of saving.",
        "examples": ["0000001"],
    },
    "Data": {
        "type": "object",
        "description": "What was recorded: any JSON object, up to 1 MiB and 100 levels deep.",
    },
    "TimeStamp": {
        "anyOf": [MOMENT, {"type": "string", "format": "date-time"}],
        "description": "Seconds since 1970 UTC, microseconds kept, or ISO 8601 text.",
    },
    "TrackToSave": {
        **record(
            "A track on its way in.",
            {
                "taskId": described(TEXT, "What was worked on."),
                "runId": {
                    "type": ["integer", "string", "null"],
                    "description": "A run's number; 0 or null is the task's current run, started"
                    " if there is none; text is a run's label, which is opened.",
                },
                "userName": described(TEXT, "Who did it."),
                "timeStamp": {
                    "anyOf": [ref("TimeStamp"), {"type": "null"}],
                    "description": "When; the present time if not given.",
                },
                "data": ref("Data"),
                "key": optional_text("Idempotency key: with the same one nothing is stored again."),
                "replace": described(FLAG, "Put it in place of the user's last track in the run."),
                "update": described(FLAG, "Merge its data into those of that track."),
                "overwrite": described(FLAG, "With `update`: replace the data."),
            },
            ("runId", "timeStamp", "key", "replace", "update", "overwrite"),
        ),
        "examples": [EXAMPLE_ITEM],
    },
    "Saved": record(
        "What became of a track.",
        {"outcome": {"enum": ["stored", "duplicate", "replaced", "updated"]}, "id": _ID},
    ),
    "Rejected": record(
        "A track that was not stored, and why.",
        {"outcome": {"const": "rejected"}, "error": ref("Problem")},
    ),
    "Outcomes": {
        **record(
            "What became of each track, in their order.",
            {
                "outcomes": {
                    "type": "array",
                    "items": {"oneOf": [ref("Saved"), ref("Rejected")]},
                }
            },
        ),
        "examples": [{"outcomes": [{"outcome": "stored", "id": "0000001"}]}],
    },
    "Track": {
        **record(
            "A stored track.",
            {
                "id": _ID,
                "taskId": TEXT,
                "runId": {"type": "integer", "minimum": 0},
                "userName": TEXT,
                "timeStamp": described(MOMENT, "Seconds since 1970 UTC."),
                "data": ref("Data"),
            },
        ),
        "examples": [EXAMPLE_TRACK],
    },
    "TrackPage": record(
        "A page of tracks.",
        {
            "tracks": array_of("Track"),
            "next": {
                "type": ["string", "null"],
                "description": "Where the next page is, relative to this one; null: this is the"
                " last. It is in the header `Link` as well.",
            },
        },
    ),
    "Update": {
        **record("New data of a track.", {"data": ref("Data")}),
        "examples": [{"data": {"state": "done"}}],
    },
    "Run": {
        **record(
            "One pass through a task.",
            {
                "runId": {"type": "integer", "minimum": 1},
                "taskId": {"type": ["string", "null"]},
                "label": {"type": ["string", "null"]},
                "start": described(MOMENT, "When it was started, or its first track."),
                "end": described(MOMENT, "Its last track, or when it was stopped."),
                "finished": {"type": "boolean"},
            },
        ),
        "examples": [EXAMPLE_RUN],
    },
    "RunPage": record(
        "A page of runs.",
        {"runs": array_of("Run"), "next": {"type": ["string", "null"]}},
    ),
    "RunId": record("A run's id.", {"runId": COUNT}),
    "RunIds": record("Ids of runs, in order.", {"runIds": {"type": "array", "items": COUNT}}),
    "StartRun": {
        **record("Which run to start.", {"taskId": optional_text("Its task.")}, ("taskId",)),
        "examples": [{"taskId": "algebra/quiz-01"}],
    },
    "OpenRun": {
        **record(
            "Which run to open.",
            {"taskId": TEXT, "label": described(TEXT, "Another system's name for the run.")},
        ),
        "examples": [{"taskId": "algebra/quiz-01", "label": "session-4711"}],
    },
    "StopRun": {
        **record(
            "Which run to stop: the task's current one, or that of an id.",
            {
                "taskId": optional_text("Its task."),
                "runId": {"type": ["integer", "null"], "minimum": 0},
                "finish": {
                    "type": ["boolean", "null"],
                    "default": True,
                    "description": "Mark it as finished; without, it has only ended.",
                },
            },
            ("taskId", "runId", "finish"),
        ),
        "examples": [{"taskId": "algebra/quiz-01"}],
    },
    "Storage": {
        **record(
            "What a storage is to be.",
            {
                "indexAttributes": {
                    "type": ["array", "null"],
                    "items": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$"},
                    "description": "Names in `data` that get an index each.",
                }
            },
            ("indexAttributes",),
        ),
        "examples": [{"indexAttributes": ["state"]}],
    },
    "StorageState": record(
        "A storage.",
        {"name": TEXT, "indexAttributes": {"type": "array", "items": {"type": "string"}}},
    ),
    "Storages": {
        **record("The storages.", {"storages": {"type": "array", "items": {"type": "string"}}}),
        "examples": [{"storages": ["tracks"]}],
    },
    "Count": record("A number of things.", {"count": COUNT}),
    "TaskIds": record("Ids of tasks.", {"taskIds": {"type": "array", "items": TEXT}}),
    "UserNames": record("Names of users.", {"userNames": {"type": "array", "items": TEXT}}),
    "Info": {
        **record(
            "What a storage holds, and what that takes.",
            {
                "tracks": COUNT,
                "tasks": COUNT,
                "users": COUNT,
                "runs": COUNT,
                "timeFrom": {"type": ["number", "null"]},
                "timeTo": {"type": ["number", "null"]},
                "bytes": {"type": ["integer", "null"], "description": "Of the whole database."},
                "parts": {
                    "type": "object",
                    "additionalProperties": {"type": "integer"},
                    "description": "Bytes of each table and index.",
                },
            },
        ),
        "examples": [EXAMPLE_INFO],
    },
    "Findings": record(
        "What is wrong; empty if all is well.",
        {"findings": {"type": "array", "items": {"type": "string"}}},
    ),
    "Problem": {
        "type": "object",
        "description": "An error (RFC 9457). Its `type` says which, for good.",
        "properties": {
            "type": {"enum": [PROBLEM_TYPE + name for name in KINDS]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What was wrong, and what would be right."},
            "parameter": {"type": "string", "description": "Which argument it is about."},
            "track": {"type": "integer", "description": "Which track it is about, from 0."},
            "runId": {"description": "The run that is not there."},
            "trackId": {"description": "The track that is not there."},
        },
        "required": ["type", "title", "status", "detail"],
        "examples": [
            {
                "type": f"{PROBLEM_TYPE}invalid-value",
                "title": KINDS["invalid-value"].title,
                "status": KINDS["invalid-value"].status,
                "detail": "taskId must not be empty.",
                "parameter": "taskId",
            }
        ],
    },
}
