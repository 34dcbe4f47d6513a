"""The contract as JSON over HTTP: one codec for both sides, the service and the remote engine.

Everything that crosses has its shape here: errors as problems (RFC 9457), tracks to save and what
became of them, tracks, runs and figures that come back, and a query's criteria as URL parameters.
What is encoded by one side and decoded by the other is the same value again, down to the size of
integers and the class of an error.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple, TypeAlias

import orjson

from cybertools.tracking.criteria import CONTROLS, Criteria, Match, Scalar, parse_criteria
from cybertools.tracking.errors import (
    InvalidData,
    InvalidRun,
    InvalidType,
    InvalidValue,
    NotAllowed,
    SchemaError,
    StorageClosed,
    StorageError,
    StorageNotFound,
    StorageReadOnly,
    StorageUnavailable,
    TrackingError,
    TrackNotFound,
    UnknownCriterion,
    Unsupported,
)
from cybertools.tracking.interfaces import Change, Info, Saved, is_attribute
from cybertools.tracking.record import Record, record_from
from cybertools.tracking.track import METADATA, Row, Run
from cybertools.tracking.values import (
    check_text,
    encode_data,
    json_time,
    kind_of,
    parse_time_stamp,
    parse_track_id,
    shown,
    track_id,
)

__all__ = [
    "DATA_PREFIX",
    "FIELDS",
    "KINDS",
    "PROBLEM_TYPE",
    "Item",
    "Kind",
    "Pairs",
    "criteria_from",
    "decode",
    "encode",
    "error_from",
    "info_from",
    "info_json",
    "item_from",
    "item_json",
    "parameters_of",
    "problem_of",
    "row_from",
    "row_from_line",
    "row_json",
    "run_from",
    "saved_from",
    "saved_json",
    "update_from",
]


# JSON


def decode(body: bytes) -> Any:
    """The value that a JSON text is. Integers keep their size.

    :raises InvalidValue: it is no JSON (NaN and Infinity are none).
    """
    try:
        # orjson is quick, and makes floats of integers beyond 64 bits: those have 19 digits.
        if _LONG not in body.translate(_DIGITS):
            return orjson.loads(body)
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidValue("The body is JSON that is nested too deep.") from None
    except ValueError as error:
        raise InvalidValue(f"The body is no JSON: {error}.") from None


def encode(value: Any) -> bytes:
    """A value as JSON text."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits, a lone surrogate
        return json.dumps(value, separators=(",", ":")).encode()


_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG = b"0" * 19


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


# Errors


class Kind(NamedTuple):
    """A kind of error, as it crosses."""

    error: type[TrackingError]
    """The class that it is raised as."""
    status: int
    title: str


PROBLEM_TYPE = "urn:cybertools-tracking:"
"""What the ``type`` of each problem begins with."""

KINDS = {
    "invalid-value": Kind(InvalidValue, 422, "A value is out of what it may be"),
    "invalid-run": Kind(InvalidRun, 422, "There is no such run"),
    "invalid-type": Kind(InvalidType, 422, "A value is of the wrong type"),
    "unknown-criterion": Kind(UnknownCriterion, 400, "There is no such criterion"),
    "invalid-data": Kind(InvalidData, 422, "The data are not what JSON has values for"),
    "track-not-found": Kind(TrackNotFound, 404, "There is no such track"),
    "unsupported": Kind(Unsupported, 501, "The storage cannot do that"),
    "storage-error": Kind(StorageError, 503, "The database could not do its part"),
    "storage-closed": Kind(StorageClosed, 503, "The storage is closed"),
    "storage-read-only": Kind(StorageReadOnly, 503, "The database can be read but not written"),
    "storage-unavailable": Kind(StorageUnavailable, 503, "The database is busy or out of reach"),
    "storage-not-found": Kind(StorageNotFound, 404, "There is no such storage"),
    "schema-error": Kind(SchemaError, 503, "The database is of another kind or version"),
    # What only the way over HTTP can have; each is raised as the class that fits.
    "malformed": Kind(InvalidValue, 400, "The request cannot be read"),
    "unauthorized": Kind(NotAllowed, 401, "A token is needed"),
    "forbidden": Kind(NotAllowed, 403, "The token does not allow this"),
    "not-found": Kind(InvalidValue, 404, "There is nothing here"),
    "run-not-found": Kind(InvalidRun, 404, "There is no such run"),
    "method-not-allowed": Kind(Unsupported, 405, "This cannot be done here"),
    "number-taken": Kind(StorageError, 409, "There is a track of that id already"),
    "conflict": Kind(InvalidValue, 409, "The request contradicts itself"),
    "too-slow": Kind(StorageUnavailable, 408, "The body has come too slowly"),
    "too-large": Kind(InvalidValue, 413, "The body is too large"),
    "unsupported-media-type": Kind(InvalidType, 415, "The body is of a kind that is not read"),
    "too-many-requests": Kind(StorageUnavailable, 429, "Too many requests"),
    "overloaded": Kind(StorageUnavailable, 503, "The service has too much to do at this moment"),
    "internal": Kind(StorageError, 500, "The service has failed"),
}
"""All kinds of errors by their names. Of those with the same class, the first is its own."""

_NAME_OF = {kind.error: name for name, kind in reversed(KINDS.items())}
_PARAMETERS = (*METADATA, "data", "key", "label", *CONTROLS, "replace", "update", "overwrite")
_NAMED = re.compile(rf"(?:tracks\[\d+\]: )?({'|'.join(_PARAMETERS)})\b")
_PLACED = re.compile(r"tracks\[(\d+)\]: ")


def problem_of(error: TrackingError, kind: str = "", track: int | None = None) -> dict[str, Any]:
    """An error as a problem: ``type``, ``title``, ``status``, ``detail`` and what else is known.

    :param kind: its name among `KINDS`; by default that of its class.
    :param track: the position of the track that it is about, in a list of them.
    """
    name = kind or next(_NAME_OF[base] for base in type(error).__mro__ if base in _NAME_OF)
    detail = str(error)
    problem: dict[str, Any] = {
        "type": PROBLEM_TYPE + name,
        "title": KINDS[name].title,
        "status": KINDS[name].status,
        "detail": detail,
    }
    if isinstance(error, InvalidRun):
        problem |= {"parameter": "runId", "runId": error.runId}
    elif isinstance(error, TrackNotFound):
        problem["trackId"] = error.trackId
    elif named := _NAMED.match(detail):
        problem["parameter"] = named[1]
    placed = _PLACED.match(detail)
    if track is not None or placed:
        problem["track"] = int(placed[1]) if placed else track
    return problem


def error_from(problem: Mapping[str, Any]) -> TrackingError:
    """The error that a problem is: of the same class, with the same message."""
    name = str(problem.get("type", "")).removeprefix(PROBLEM_TYPE)
    kind = KINDS.get(name, KINDS["internal"]).error
    detail = str(problem.get("detail") or problem.get("title") or "The service has failed.")
    if kind is InvalidRun:
        invalid = InvalidRun(problem.get("runId"))
        invalid.args = (detail,)
        return invalid
    if kind is TrackNotFound:
        return TrackNotFound(problem.get("trackId"))
    return kind(detail)


# Tracks to save


class Item(NamedTuple):
    """A track to save, as ``saveUserTrack`` has it."""

    record: Record
    change: Change | None = None
    """What it does to the last track of its (task, run, user); None: it is a new one."""
    timed: bool = True
    """A time stamp was given."""
    label: str | None = None
    """The label of its run, which is opened for it; the record's run id is 0 then."""


_FLAGS = ("replace", "update", "overwrite")
_CHANGING = frozenset(_FLAGS)
FIELDS = ("taskId", "runId", "userName", "timeStamp", "data", "key", *_FLAGS)
"""The names that a track to save may have."""


def item_from(value: object) -> Item:
    """A track to save, of the JSON object with the names of ``saveUserTrack``'s arguments.

    ``runId`` may also be text: the label of a run.

    :raises TrackingError: as for ``saveUserTrack``.
    """
    if type(value) is not dict:
        raise InvalidType(
            f"A track to save must be an object (taskId, userName, data, …), not {kind_of(value)}."
        )
    label = value.get("runId")
    if type(label) is not str and _CHANGING.isdisjoint(value):  # most are
        try:
            return Item(record_from(value))
        except InvalidType:
            _check_names(value)
            raise
    _check_names(value)
    change = _change(*(_flag(value, name) for name in _FLAGS))
    plain = {name: item for name, item in value.items() if name not in _FLAGS}
    if type(label) is str:
        plain["runId"] = None
        label = check_text(label, "runId")
    else:
        label = None
    timed = change in (None, "replace") or value.get("timeStamp") is not None
    return Item(record_from(plain), change, timed, label)


def _check_names(value: dict[str, Any]) -> None:
    unknown = next((name for name in value if name not in FIELDS), None)
    if unknown is not None:
        raise InvalidType(f"A track to save has no {unknown!r}; there are: {', '.join(FIELDS)}.")


def item_json(item: Item) -> bytes:
    """A track to save as JSON text."""
    record, change, timed, label = item
    value: dict[str, Any] = {
        "taskId": record.taskId,
        "runId": label if label is not None else record.runId,
        "userName": record.userName,
        "data": orjson.Fragment(record.json),
    }
    if timed:
        value["timeStamp"] = json_time(record.timeStamp)
    if record.key is not None:
        value["key"] = record.key
    if change is not None:
        value["replace" if change == "replace" else "update"] = True
        if change == "overwrite":
            value["overwrite"] = True
    return orjson.dumps(value)


def _flag(value: Mapping[str, Any], name: str) -> bool:
    flag = value.get(name)
    if flag is not None and type(flag) is not bool:
        raise InvalidType(f"{name} must be true or false, not {kind_of(flag)}.")
    return bool(flag)


def _change(replace: bool, update: bool, overwrite: bool) -> Change | None:
    if replace and (update or overwrite):
        raise InvalidValue("replace=True cannot be combined with update or overwrite.")
    if overwrite and not update:
        raise InvalidValue("overwrite=True needs update=True.")
    return "replace" if replace else "overwrite" if overwrite else "merge" if update else None


def update_from(value: object) -> str:
    """The data of an update as JSON text, of the object ``{"data": {…}}``."""
    if type(value) is not dict or value.keys() != {"data"}:
        raise InvalidType('An update must be an object like {"data": {…}}.')
    return encode_data(value["data"])


# What became of them


def saved_json(saved: Saved) -> dict[str, Any]:
    """What became of a save, as JSON has it."""
    return {"outcome": saved.outcome, "id": track_id(saved.number)}


def saved_from(value: Mapping[str, Any]) -> Saved:
    """What became of a save."""
    return Saved(parse_track_id(value["id"]), value["outcome"])


# What comes back


def row_json(row: Row) -> bytes:
    """A stored track as JSON text: ``id``, the metadata, and ``data`` as they are stored."""
    number, taskId, runId, userName, timeStamp, data = row
    return orjson.dumps(
        {
            "id": track_id(number),
            "taskId": taskId,
            "runId": runId,
            "userName": userName,
            "timeStamp": json_time(timeStamp),
            "data": orjson.Fragment(data),
        }
    )


def row_from(value: Mapping[str, Any]) -> Row:
    """A stored track."""
    return (
        parse_track_id(value["id"]),
        value["taskId"],
        value["runId"],
        value["userName"],
        parse_time_stamp(value["timeStamp"]),
        encode_data(value["data"]),
    )


def row_from_line(line: bytes) -> Row:
    """A stored track, of the JSON text that `row_json` makes. Its data stay the text they are."""
    # Within a text, a quote comes after a backslash: the first of these is the track's own.
    head, _, data = line.partition(b',"data":')
    value = orjson.loads(head + b"}")
    return (
        parse_track_id(value["id"]),
        value["taskId"],
        value["runId"],
        value["userName"],
        float(value["timeStamp"]),
        data[:-1].decode(),
    )


def run_from(value: Mapping[str, Any]) -> Run:
    """A run, of what `Run.as_dict` gives."""
    return Run(
        value["runId"],
        value["taskId"],
        float(value["start"]),
        float(value["end"]),
        value["finished"],
        value["label"],
    )


_INFO = {"time_from": "timeFrom", "time_to": "timeTo"}


def info_json(info: Info) -> dict[str, Any]:
    """What a storage holds, as JSON has it."""
    return {_INFO.get(name, name): value for name, value in asdict(info).items()}


def info_from(value: Mapping[str, Any]) -> Info:
    """What a storage holds."""
    names = {shown: name for name, shown in _INFO.items()}
    return Info(**{names.get(name, name): item for name, item in value.items()})


# Criteria


Pairs: TypeAlias = list[tuple[str, str]]
"""Parameters as a URL or a form has them: names and values."""

DATA_PREFIX = "data."
"""Before the name of an attribute of the data that a query is by: ``data.state=open``."""


def criteria_from(pairs: Iterable[tuple[str, str]]) -> Criteria:
    """The criteria of a query, of the parameters of a URL.

    The names are the contract's; a parameter that is repeated is a list of values. An attribute
    of the data is ``data.NAME``, and its value JSON where it can be (``80``, ``"80"``, ``true``),
    else the text itself.

    :raises UnknownCriterion: there is no criterion of that name.
    :raises InvalidType: a value is of the wrong type.
    :raises InvalidValue: a value is out of what it may be, or given twice where it is only one.
    """
    found: dict[str, list[Any]] = {}
    attributes: list[str] = []
    for parameter, text in pairs:
        name = parameter.removeprefix(DATA_PREFIX)
        if name == parameter:
            found.setdefault(name, []).append(_READERS.get(name, _as_it_is)(name, text))
            continue
        if not is_attribute(name):
            raise UnknownCriterion(f"{parameter!r}: no attribute of data can be queried by that.")
        attributes.append(name)
        found.setdefault(name, []).append(_data_value(parameter, text))
    criteria = {name: _one_or_many(name, values) for name, values in found.items()}
    return parse_criteria(tuple(dict.fromkeys(attributes)), criteria)


def parameters_of(criteria: Criteria) -> Pairs:
    """The parameters of a URL that give these criteria."""
    pairs: Pairs = []
    for match in criteria.matches:
        pairs += [(_parameter(match), _value_text(match, value)) for value in match.values]
        pairs += [(_parameter(match), f"{prefix}*") for prefix in match.prefixes]
    for name, time in (("timeFrom", criteria.time_from), ("timeTo", criteria.time_to)):
        if time is not None:
            pairs.append((name, repr(time)))
    if criteria.limit is not None:
        pairs.append(("limit", str(criteria.limit)))
    if criteria.after:
        pairs.append(("after", track_id(criteria.after)))
    if criteria.order != "id":
        pairs.append(("order", criteria.order))
    return pairs


def _one_or_many(name: str, values: list[Any]) -> Any:
    if len(values) == 1:
        return values[0]
    if name in _ONCE:
        raise InvalidValue(f"{name} must be given once, not {len(values)} times.")
    return values


_ONCE = {*CONTROLS} - {"timeFromTo"}


def _as_it_is(_name: str, text: str) -> str:
    return text


def _number(name: str, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,1000}", text):
        raise InvalidType(f"{name} must be a whole number, not {shown(text)}.")
    return int(text)


def _time(_name: str, text: str) -> str | float:
    """Seconds or ISO 8601 text."""
    return float(text) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", text) else text


_READERS: dict[str, Callable[[str, str], Any]] = {
    "runId": _number,
    "limit": _number,
    **dict.fromkeys(("timeStamp", "timeFrom", "timeTo", "timeFromTo"), _time),
}


def _data_value(parameter: str, text: str) -> Any:
    value = _json_or_text(text)
    if value is None or isinstance(value, list | dict):
        raise InvalidType(
            f"{parameter} must be text or a number, or a prefix 'abc*', not {shown(text)}."
        )
    return value


def _json_or_text(text: str) -> Any:
    try:
        return decode(text.encode())
    except (InvalidValue, UnicodeEncodeError):
        return text


def _parameter(match: Match) -> str:
    return match.name if match.name in METADATA else DATA_PREFIX + match.name


def _value_text(match: Match, value: Scalar) -> str:
    if not isinstance(value, str):
        return repr(value)
    # As JSON, where it would be taken for JSON.
    if match.name in METADATA or _json_or_text(value) is value:
        return value
    return encode(value).decode()
