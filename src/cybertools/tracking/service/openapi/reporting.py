"""Reports by name, and the questions that they are made of."""

from typing import Any, get_args

from cybertools.tracking.codec.questions import (
    BEHIND,
    NUMBER_LIMIT,
    PARTS_LIMIT,
    PERIODS_LIMIT,
    SPREADS,
    TRACKS_LIMIT,
)
from cybertools.tracking.questions import STEPS_LIMIT, Measure, Name, Per
from cybertools.tracking.reports import REPORTS, Parameter, ReportSpec
from cybertools.tracking.reports.kinds import ROWS_LIMIT
from cybertools.tracking.service.openapi.parts import (
    JSON,
    MATCHES,
    STORAGE,
    answer,
    operation,
    parameter,
)
from cybertools.tracking.service.openapi.schemas import (
    TEXT,
    Schema,
    array_of,
    described,
    record,
    ref,
)
from cybertools.tracking.values import TIME_LIMIT

__all__ = ["PATHS", "SCHEMAS"]

_NAME: Schema = {"enum": [*get_args(Name)]}
_CELL: Schema = {"type": ["string", "number", "boolean", "null"]}
_ROWS: Schema = {"type": "array", "items": {"type": "array", "items": _CELL}}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}


def _several(items: Schema, least: int = 0, most: int = PARTS_LIMIT) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _value_or_several(value: Schema) -> Schema:
    return {"anyOf": [value, {"type": "array", "items": value}]}


_SECONDS: Schema = {"type": "number", "minimum": 0, "maximum": TIME_LIMIT}
_TIME: Schema = {"type": ["number", "string"]}
_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": NUMBER_LIMIT}
_EDGES = described(_several(_NUMBER), "Ascending; it is counted how many are from each on.")
_PERCENTILES = _several({"type": "integer", "minimum": 1, "maximum": 100})
_TOP = described({**_NUMBER, "type": ["integer", "null"]}, "So many rows at most.")
_WINDOW: Schema = {**_SECONDS, "type": ["number", "null"]}
_PLACE: Schema = {"type": "integer", "minimum": 0}
_PER: Schema = {"enum": [*get_args(Per)]}
_PERIODS = described(
    _several(
        {"type": "integer", "minimum": -NUMBER_LIMIT, "maximum": NUMBER_LIMIT}, 2, PERIODS_LIMIT
    ),
    "Where each period begins, in seconds since 1970 UTC, ascending; the last one is an end.",
)


def _question(ask: str, says: str, parts: Schema, optional: tuple[str, ...] = ()) -> Schema:
    common = {"ask": {"const": ask}, "criteria": ref("Criteria")}
    return record(says, {**common, **parts}, ("criteria", *optional))


_QUESTIONS = {
    "Groups": _question(
        "groups",
        "How much there is of tracks with the same keys. Rows of the keys and the measures; the key"
        " of periods is the place of its first edge.",
        {
            "keys": _several(ref("Key")),
            "measures": {**_several({"enum": [*get_args(Measure)]}, 1), "uniqueItems": True},
            "top": _TOP,
        },
        ("keys", "top"),
    ),
    "Spread": _question(
        "spread",
        "How a measure of each unit is spread. Rows of: `by`, number of units, total, least, most,"
        " the percentiles, and how many are from each edge on. Durations are microseconds.",
        {
            "unit": {**_several(_NAME, 1), "uniqueItems": True},
            "measure": {"enum": [*SPREADS]},
            "by": described({**_several(_NAME), "uniqueItems": True}, "A part of `unit`."),
            "percentiles": _PERCENTILES,
            "edges": _EDGES,
        },
        ("by", "percentiles", "edges"),
    ),
    "RunSpread": _question(
        "runSpread",
        "How the durations of runs are spread: rows as of a spread, by `open`, `abandoned`,"
        " `finished`, and one of all with null.",
        {
            "abandoned": described(
                _SECONDS, "A run that is not finished and ended before that time is abandoned."
            ),
            "percentiles": _PERCENTILES,
            "edges": _EDGES,
        },
        ("percentiles", "edges"),
    ),
    "Cohorts": _question(
        "cohorts",
        "Who comes back: rows of a period, a period of the same or a later place, and the number of"
        " users who have their first track in the first one and tracks in the second one.",
        {"periods": _PERIODS},
    ),
    "Funnel": _question(
        "funnel",
        "How far users or runs get: one row with a number for each step.",
        {
            "steps": _several(ref("Criteria"), 1, STEPS_LIMIT),
            "window": described(_WINDOW, "Seconds from step to step, at most."),
            "per": _PER,
        },
        ("window",),
    ),
    "Paths": _question(
        "paths",
        "Where users or runs go: rows of a task, the next one, and how often.",
        {"per": _PER, "gap": described(_WINDOW, "Seconds to the next, at most."), "top": _TOP},
        ("gap", "top"),
    ),
    "Behind": record(
        "The tracks behind a number of another question's answer: rows of number, taskId, runId,"
        " userName, timeStamp and data as JSON text, the newest first. With measures one row of"
        " these. Of a funnel's step (and, `isLost`, of those lost there), of cohorts' two periods,"
        " or of the way from a task to the next one or to its end.",
        {
            "ask": {"const": BEHIND},
            "of": {"oneOf": [*map(ref, ("Cohorts", "Funnel", "Paths"))]},
            "step": described(_PLACE, "Of a funnel: which step, from 0."),
            "isLost": {"type": "boolean", "default": False},
            "first": described(_PLACE, "Of cohorts: the period that users first came in, from 0."),
            "place": described(_PLACE, "Of cohorts: the period of their tracks, from 0."),
            "source": described(TEXT, "Of paths: from which task."),
            "target": described(_TEXT_OR_NULL, "To which one; null where it ends."),
            "measures": {**_several({"enum": [*get_args(Measure)]}), "uniqueItems": True},
            "after": {
                "type": ["array", "null"],
                "prefixItems": [_SECONDS, _NUMBER],
                "items": False,
                "minItems": 2,
                "description": "The time and the number of a track; only what comes after it.",
            },
            "top": {"type": "integer", "minimum": 1, "maximum": TRACKS_LIMIT, "default": 50},
        },
        (
            *("step", "isLost", "first", "place", "source", "target"),
            *("measures", "after", "top"),
        ),
    ),
}

_EXAMPLE_QUESTION = {
    "ask": "groups",
    "criteria": {"taskId": "algebra/*", "data.correct": True},
    "keys": ["userName", {"field": ["verb"]}],
    "measures": ["tracks", "last"],
    "top": 10,
}
_EXAMPLE_TABLE = {
    "report": "top",
    "title": "Most tracks by taskId",
    "columns": [
        {"name": "taskId", "type": "text", "unit": "", "description": "The task."},
        {"name": "tracks", "type": "integer", "unit": "tracks", "description": "How many."},
    ],
    "rows": [["algebra/quiz-01", 3901]],
    "criteria": {},
    "parameters": {"what": "taskId", "by": "tracks", "top": 10},
    "chart": {"kind": "bar", "x": "taskId", "y": "tracks", "series": None},
}

SCHEMAS: Schema = {
    "Criteria": {
        "type": "object",
        "description": "Criteria as a query has them; a value, or several of which it is any.",
        "properties": {
            "taskId": _value_or_several(TEXT),
            "runId": _value_or_several({"type": "integer"}),
            "userName": _value_or_several(TEXT),
            "timeStamp": _value_or_several(_TIME),
            "timeFrom": _TIME,
            "timeTo": _TIME,
        },
        "patternProperties": {
            "^data\\.[A-Za-z][A-Za-z0-9_]*$": _value_or_several(
                {"type": ["string", "number", "boolean"]}
            )
        },
        "additionalProperties": False,
        "examples": [{"taskId": "algebra/*", "timeFrom": "2026-03-01"}],
    },
    "Key": {
        "oneOf": [
            _NAME,
            record(
                "A value in the data: the names on the way to it.",
                {"field": _several(TEXT, 1)},
            ),
            record("The period that the time stamp is in.", {"periods": _PERIODS}),
        ],
        "description": "What tracks have in common.",
    },
    **_QUESTIONS,
    "Answer": {
        **record("The answer to a question.", {"rows": _ROWS}),
        "examples": [{"rows": [["ann", "answered", 12, 1178011680.25]]}],
    },
    "Column": record(
        "A column of a table.",
        {
            "name": {"type": "string"},
            "type": {"enum": ["text", "integer", "number", "time", "value", "json"]},
            "unit": {"type": "string"},
            "description": {"type": "string"},
        },
    ),
    "Chart": record(
        "Which columns make a picture of it.",
        {
            "kind": {"enum": ["line", "bar", "grid"]},
            "x": {"type": "string"},
            "y": {"type": "string"},
            "series": _TEXT_OR_NULL,
        },
    ),
    "Table": {
        **record(
            "A report. Times are seconds since 1970 UTC.",
            {
                "report": {"type": "string"},
                "title": {"type": "string"},
                "columns": array_of("Column"),
                "rows": _ROWS,
                "criteria": {"type": "object"},
                "parameters": {"type": "object"},
                "chart": {"oneOf": [ref("Chart"), {"type": "null"}]},
            },
        ),
        "examples": [_EXAMPLE_TABLE],
    },
}


# Reports by name

_EXAMPLES: dict[str, Any] = {
    "taskId": "algebra/quiz-01",
    "userName": "ann",
    "cohort": "2026-W13",
    "source": "algebra/lesson-01",
    "steps": ["algebra/lesson-*", '{"taskId":"algebra/quiz-01","data.correct":true}'],
}


def _schema(each: Parameter) -> Schema:
    schemas: dict[str, Schema] = {
        "number": {"type": "integer", "minimum": each.kind.least, "maximum": ROWS_LIMIT},
        "period": {"type": "string", "pattern": r"^\d{4}-(W\d\d|\d\d|\d\d-\d\d)$"},
        "duration": _TIME,
        "time": _TIME,
        "timezone": {"type": "string"},
        "choice": {"enum": [*each.kind.choices]},
        "steps": _several(TEXT, 1, STEPS_LIMIT),
    }
    schema = schemas.get(each.kind.name, TEXT)
    return schema if each.default is None else {**schema, "default": each.default}


def _parameter(each: Parameter) -> Schema:
    more: Schema = {"required": True, "example": _EXAMPLES[each.name]} if each.required else {}
    return parameter(each.name, _schema(each), each.description, **more)


def _report(spec: ReportSpec) -> Schema:
    own = [*map(_parameter, spec.parameters)]
    names = {each["name"] for each in own}
    about = f" {' '.join(spec.description.split())}" if spec.description else ""
    return {
        "parameters": [STORAGE],
        "get": operation(
            "Reports",
            "report" + "".join(part.capitalize() for part in spec.name.split("-")),
            spec.summary.rstrip("."),
            {
                "200": {
                    "description": "The report; as CSV with `Accept: text/csv`.",
                    "content": {
                        JSON: {"schema": ref("Table")},
                        "text/csv": {"schema": {"type": "string"}},
                    },
                }
            },
            [*own, *(each for each in MATCHES if each["name"] not in names)],
            description=f"Scope: read.{about}",
        ),
    }


PATHS: dict[str, Schema] = {
    **{f"/api/storages/{{storage}}/reports/{name}": _report(s) for name, s in REPORTS.items()},
    "/api/storages/{storage}/aggregate": {
        "parameters": [STORAGE],
        "post": operation(
            "Reports",
            "aggregate",
            "Ask a question about many tracks",
            {"200": answer("The answer.", ref("Answer"))},
            body={
                "description": "The question.",
                "required": True,
                "content": {
                    JSON: {
                        "schema": {"oneOf": [*map(ref, _QUESTIONS)]},
                        "example": _EXAMPLE_QUESTION,
                    }
                },
            },
            description="Scope: read. Reports are made of such questions.",
        ),
    },
}
