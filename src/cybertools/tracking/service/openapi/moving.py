"""Contents as they are stored, given out and taken in."""

from cybertools.tracking.service.openapi.parts import (
    LINES,
    STORAGE,
    answer,
    body,
    operation,
    parameter,
    problems,
)
from cybertools.tracking.service.openapi.schemas import TEXT, Schema, record, ref

__all__ = ["PATHS", "SCHEMAS"]

SCHEMAS: Schema = {
    "Highest": {
        **record(
            "The highest id that a track has, had or may have got. `0000000`: there is none.",
            {"highest": {"type": "string", "pattern": "^[0-9]{7,18}$"}},
        ),
        "examples": [{"highest": "0000030"}],
    },
}

_RUN = (
    '{"runId":1,"taskId":"algebra/quiz-01","label":null,"startedAt":1178011680.25,'
    '"stoppedAt":null,"finished":false,"isCurrent":true}\n'
)
_TRACK = (
    '{"id":"0000001","taskId":"algebra/quiz-01","runId":1,"userName":"ann",'
    '"timeStamp":1178011680.25,"data":{"verb":"answered"}}\n'
)
_KEY = '{"key":"3f2a","id":"0000001"}\n'


def _lines(example: str) -> Schema:
    return {LINES: {"schema": {"type": "string"}, "example": example}}


def _given(name: str, summary: str, example: str, after: Schema) -> Schema:
    return operation(
        "Copies",
        name,
        summary,
        {"200": {"description": "A line each.", "content": _lines(example)}},
        [parameter("after", after, "Only what comes after that one.")],
        description="Scope: admin. In constant memory.",
    )


def _taken(name: str, summary: str, example: str, description: str, *more: int) -> Schema:
    return operation(
        "Copies",
        name,
        summary,
        {"204": answer("It is done."), **problems(*more)},
        body={"description": "A line each.", "required": True, "content": _lines(example)},
        description=f"Scope: admin. {description}",
    )


_CONTENTS = "/api/storages/{storage}/contents"

PATHS: dict[str, Schema] = {
    _CONTENTS: {
        "parameters": [STORAGE],
        "get": operation(
            "Copies",
            "getHighest",
            "The highest id of a track",
            {"200": answer("The id.", ref("Highest"))},
            description="Scope: admin. Saves that had begun are waited for: no track of an id up to"
            " this one appears later.",
        ),
    },
    f"{_CONTENTS}/tracks": {
        "parameters": [STORAGE],
        "put": _taken(
            "putTracks",
            "Store tracks under their ids",
            _TRACK,
            "All or none. Their runs have to be there, and none of their ids.",
            409,
        ),
    },
    f"{_CONTENTS}/runs": {
        "parameters": [STORAGE],
        "get": _given(
            "getStoredRuns",
            "All runs as they are stored",
            _RUN,
            {"type": "integer", "minimum": 0},
        ),
        "put": _taken(
            "putRuns",
            "Store runs under their ids",
            _RUN,
            "Those that are there are brought up to date.",
        ),
    },
    f"{_CONTENTS}/keys": {
        "parameters": [STORAGE],
        "get": _given("getSpentKeys", "All spent keys", _KEY, TEXT),
        "put": _taken("putKeys", "Spend keys", _KEY, "Those that are spent stay as they are."),
    },
    f"{_CONTENTS}/retire": {
        "parameters": [STORAGE],
        "post": operation(
            "Copies",
            "retireIds",
            "Give no id up to one to a track that is saved from now on",
            {"204": answer("It is done.")},
            body=body(ref("Highest"), "Up to which one."),
            description="Scope: admin.",
        ),
    },
}
