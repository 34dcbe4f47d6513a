"""What the descriptions of all operations are made of."""

from collections.abc import Sequence
from typing import Any

from cybertools.tracking.criteria import ORDERS
from cybertools.tracking.service.openapi.schemas import TEXT, Schema, ref

__all__ = [
    "AFTER",
    "COUNTED",
    "JSON",
    "LINES",
    "MATCHES",
    "PAGED",
    "PAGE_LIMIT",
    "PROBLEM",
    "STORAGE",
    "TASK",
    "TRACKS",
    "answer",
    "body",
    "content",
    "operation",
    "parameter",
    "path_parameter",
    "problems",
]

JSON, LINES, PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"

TRACKS = "/api/storages/{storage}/tracks"


def parameter(name: str, schema: Schema, description: str, **more: Any) -> Schema:
    """A parameter of a URL."""
    return {"name": name, "in": "query", "schema": schema, "description": description, **more}


def path_parameter(name: str, schema: Schema, description: str, example: object) -> Schema:
    """A part of a path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema,
        "description": description,
        "example": example,
    }


STORAGE = path_parameter("storage", TEXT, "The storage's name.", "tracks")
TASK = parameter("taskId", TEXT, "The task.", required=True)

_TIME = {"anyOf": [{"type": "number"}, {"type": "string"}]}
_TEXTS = {"type": "array", "items": TEXT}

MATCHES = [
    parameter("taskId", _TEXTS, "A task id or a prefix `abc*`; repeated: any of them."),
    parameter(
        "runId", {"type": "array", "items": {"type": "integer"}}, "A run's id; repeated: any."
    ),
    parameter("userName", _TEXTS, "A user name or a prefix `abc*`; repeated: any of them."),
    parameter("timeStamp", {"type": "array", "items": _TIME}, "A time stamp; repeated: any."),
    parameter(
        "timeFrom", _TIME, "The earliest time: seconds since 1970 or ISO 8601, UTC without offset."
    ),
    parameter("timeTo", _TIME, "The latest time, included; a date is the whole day."),
]
LIMIT = parameter("limit", {"type": "integer", "minimum": 0}, "So many at most.")
PAGE_LIMIT = parameter(
    "limit",
    {"type": "integer", "minimum": 0, "maximum": 1000, "default": 100},
    "So many at most. Lines may be any number, and are all without it.",
)
AFTER = parameter("after", ref("TrackId"), "Only what comes after that track, in the order.")
ORDER = parameter("order", {"enum": [*ORDERS], "default": "id"}, "`-timeStamp`: the newest first.")
PAGED = [*MATCHES, PAGE_LIMIT, AFTER, ORDER]
COUNTED = [*MATCHES, LIMIT, AFTER, ORDER]


def content(schema: Schema, kind: str = JSON) -> Schema:
    """What is sent, of one media type."""
    return {kind: {"schema": schema}}


def answer(description: str, schema: Schema | None = None, **more: Any) -> Schema:
    """An answer, which is JSON if it has a schema."""
    return {"description": description} | ({"content": content(schema)} if schema else {}) | more


def problems(*statuses: int) -> Schema:
    """What goes wrong, by the statuses."""
    return {str(status): _PROBLEMS[status] for status in statuses}


_PROBLEMS = {
    status: {"description": description, "content": content(ref("Problem"), PROBLEM)}
    for status, description in {
        400: "It cannot be read, or has a parameter that does not exist.",
        401: "A token is needed.",
        403: "The token does not allow this.",
        404: "There is no such thing.",
        408: "The body has not come in time; nothing was stored, and the connection is closed.",
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


def body(schema: Schema, description: str, required: bool = True) -> Schema:
    """A body of JSON."""
    return {"description": description, "required": required, "content": content(schema)}


def operation(
    tag: str,
    name: str,
    summary: str,
    answers: Schema,
    parameters: Sequence[Schema] = (),
    body: Schema | None = None,
    description: str = "",
    security: Sequence[Schema] | None = None,
) -> Schema:
    """A method of a path.

    :param answers: those that are good, and those that are not the usual problems.
    :param security: what lets in, where it is not the usual; empty: all are let in.
    """
    public = security is not None and not security
    operation: Schema = {"tags": [tag], "operationId": name, "summary": summary}
    if description:
        operation["description"] = description
    if parameters:
        operation["parameters"] = [*parameters]
    if body:
        operation["requestBody"] = body
    common = (400, 500, 503) if public else (400, 401, 403, 404, 422, 429, 500, 503)
    with_body = (408, 413, 415) if body and not public else ()
    usual = problems(*common, *with_body)
    operation["responses"] = answers | {k: v for k, v in usual.items() if k not in answers}
    if security is not None:
        operation["security"] = [*security]
    return operation
