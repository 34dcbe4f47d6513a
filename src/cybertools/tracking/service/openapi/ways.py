"""Ways in that people already have: Segment's HTTP API, and the browser script."""

from cybertools.tracking.service.browser import BEACON_LIMIT
from cybertools.tracking.service.openapi.parts import (
    JSON,
    PROBLEM,
    answer,
    content,
    operation,
    parameter,
    problems,
)
from cybertools.tracking.service.openapi.schemas import (
    TEXT,
    Schema,
    described,
    optional_text,
    record,
    ref,
)
from cybertools.tracking.service.segment import BATCH_LIMIT, CALLS, MESSAGE_LIMIT, MESSAGES_LIMIT

__all__ = ["PATHS", "SCHEMAS"]

_NAME = {"anyOf": [TEXT, {"type": "integer", "minimum": 0}]}
_ANY: Schema = {}
"""Whatever it is, nothing is refused for it: the libraries send more than the API tells of."""

_EVENTS: dict[str, Schema] = {
    "track": {"event": "Lesson Completed", "properties": {"score": 7}},
    "page": {"name": "Home", "properties": {"path": "/home"}},
    "screen": {"name": "Cart", "category": "Shop"},
    "identify": {"traits": {"plan": "free"}},
    "group": {"groupId": "g1", "traits": {"name": "Class 7b"}},
    "alias": {"previousId": "visitor-1"},
}
_ABOUT_CALLS = {
    "track": "What somebody did: the event is the task",
    "page": "A page that somebody saw: its path, or its category and name, is the task",
    "screen": "A screen of an app that somebody saw: its category and name are the task",
    "identify": "Who somebody is: a track of the task `identify`",
    "group": "Which group somebody belongs to: a track of the task `group`",
    "alias": "Another name of somebody: a track of the task `alias`",
    "batch": "Many messages of any type",
}


def _example(call: str) -> Schema:
    message = {"userId": "ann", **_EVENTS[call], "messageId": "m1"}
    return message | {"timestamp": "2026-03-02T08:00:00.250Z"}


SCHEMAS: Schema = {
    "SegmentMessage": {
        "type": "object",
        "description": f"A message, of at most {MESSAGE_LIMIT:,} bytes. What has no place in a"
        " track is kept in its data. Which fields become what can be told to the service.",
        "properties": {
            "userId": described(_ANY, "Who: text or a whole number."),
            "anonymousId": described(_ANY, "Who, where there is no `userId`."),
            "messageId": described(_ANY, "Idempotency key: text."),
            "timestamp": {
                "type": ["string", "number", "null"],
                "description": "When, in ISO 8601; the present time if not given.",
            },
            "sentAt": described(_ANY, "What the client's clock was when it sent this."),
            "context": described(_ANY, "Circumstances; `sessionId` in it is the run's label."),
        },
        "anyOf": [
            {"required": [name], "properties": {name: _NAME}} for name in ("userId", "anonymousId")
        ],
        "examples": [_example("identify")],
    },
    "SegmentTrack": {
        "description": "A message about an event.",
        "allOf": [ref("SegmentMessage")],
        "properties": {"event": described(_NAME, "What was done.")},
        "required": ["event"],
        "examples": [_example("track")],
    },
    "SegmentBatch": {
        "type": "object",
        "description": "Messages, each with its `type`: `track`, `page`, …",
        "properties": {
            "batch": {"type": "array", "items": {}, "maxItems": MESSAGES_LIMIT},
            "context": described(_ANY, "Of all messages; each may have more."),
            "integrations": described(_ANY, "Of all messages; each may have more."),
            "sentAt": described(_ANY, "What the client's clock was when it sent this."),
            "writeKey": described(_ANY, "The token, where there is none in a header."),
        },
        "required": ["batch"],
        "examples": [{"batch": [{"type": call, **_example(call)} for call in ("track", "page")]}],
    },
    "SegmentSuccess": {
        **record(
            "All is stored, but for what is rejected.",
            {
                "success": {"const": True},
                "rejected": {
                    "type": "array",
                    "items": record(
                        "A message of a batch that was not stored.",
                        {
                            "message": {"type": "integer", "minimum": 0},
                            "reason": {"type": "string"},
                        },
                    ),
                    "description": "The messages that are not stored: their places from 0, and"
                    " why. They are not worth sending again.",
                },
            },
            ("rejected",),
        ),
        "examples": [{"success": True}],
    },
    "SegmentFailure": {
        **record(
            "Nothing is stored, as Segment says it.",
            {
                "success": {"const": False},
                "code": {"const": "invalid_request"},
                "message": {"type": "string"},
            },
        ),
        "examples": [
            {
                "success": False,
                "code": "invalid_request",
                "message": "A track message must have event.",
            }
        ],
    },
    "Beacon": {
        **record(
            "What the browser script sends: a track, whose time is that of its arrival.",
            {
                "taskId": described(TEXT, "The page's path."),
                "runId": {
                    "type": ["string", "integer", "null"],
                    "description": "The session: the label of the run.",
                },
                "userName": described(TEXT, "Who."),
                "key": optional_text("Idempotency key."),
                "data": ref("Data"),
            },
            ("runId", "key"),
        ),
        "examples": [
            {
                "taskId": "/home",
                "runId": "k2x9",
                "userName": "visitor-k2x9",
                "key": "81fq",
                "data": {"type": "view", "referrer": ""},
            }
        ],
    },
}

_STORAGE = parameter(
    "storage", TEXT, "The storage; without it the token's only one, or the service's first."
)


def _segment(path: str) -> Schema:
    call = CALLS[path]
    name = {"track": "SegmentTrack", "batch": "SegmentBatch"}.get(call, "SegmentMessage")
    example = _example(call) if call in _EVENTS else SCHEMAS[name]["examples"][0]
    return operation(
        "Segment",
        f"segment{path.capitalize()}",
        _ABOUT_CALLS[call] if path == call else f"The same as `/v1/{call}`",
        {
            "200": answer("It is stored.", ref("SegmentSuccess")),
            "400": {
                "description": "Nothing is stored: it is no message, or too large.",
                "content": content(ref("SegmentFailure")) | content(ref("Problem"), PROBLEM),
            },
        },
        [_STORAGE],
        {
            "description": f"At most {BATCH_LIMIT:,} bytes.",
            "required": True,
            "content": {JSON: {"schema": ref(name), "example": example}},
        },
        "Scope: write. The token is the user name of Basic, or `writeKey` in the body.",
        security=({"basic": []}, {"bearer": []}),
    )


_BEACON = {
    "description": f"A JSON object, whatever its media type, of at most {BEACON_LIMIT:,} bytes.",
    "required": True,
    "content": {
        JSON: {"schema": ref("Beacon")},
        "text/plain": {
            "schema": {"type": "string"},
            "example": '{"taskId":"/home","userName":"visitor-k2x9","data":{}}',
        },
    },
}

PATHS: dict[str, Schema] = {
    **{f"/v1/{path}": {"post": _segment(path)} for path in CALLS},
    "/b": {
        "post": operation(
            "Web pages",
            "saveBeacon",
            "Save what the browser script sends",
            {
                "204": answer(
                    "It is stored; or its visitor asks not to be tracked (`DNT: 1`, `Sec-GPC: 1`),"
                    " and it is not."
                ),
                **problems(408, 413),
            },
            [_STORAGE],
            _BEACON,
            "Scope: write. A request can be sent by `navigator.sendBeacon`, so it needs no header.",
            security=({"key": []},),
        )
    },
    "/track.js": {
        "get": operation(
            "Web pages",
            "getScript",
            "The browser script",
            {
                "200": {
                    "description": "The script.",
                    "headers": {"ETag": {"schema": {"type": "string"}, "description": "Its tag."}},
                    "content": {"text/javascript": {"schema": {"type": "string"}}},
                },
                "304": answer("It is the one of `If-None-Match`."),
            },
            security=(),
        )
    },
}
