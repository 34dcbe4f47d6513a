"""Contents as they are stored, a line of JSON each: for copies over HTTP."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from cybertools.tracking.codec import decode, encode
from cybertools.tracking.errors import InvalidType, InvalidValue, TrackingError
from cybertools.tracking.track import Row, RunRow
from cybertools.tracking.values import (
    check_run_id,
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
    "key_line",
    "keys_from",
    "number_from",
    "run_line",
    "run_row_from_line",
    "runs_from",
    "spent_key_from_line",
    "tracks_from",
]

T = TypeVar("T")

# Runs


def run_line(run: RunRow) -> bytes:
    """A stored run as JSON text."""
    stopped = run.stoppedAt
    return encode(
        {
            "runId": run.id,
            "taskId": run.taskId,
            "label": run.label,
            "startedAt": json_time(run.startedAt),
            "stoppedAt": None if stopped is None else json_time(stopped),
            "finished": run.finished,
            "isCurrent": run.isCurrent,
        }
    )


def run_row_from_line(line: bytes) -> RunRow:
    """A stored run, of the JSON text that `run_line` makes."""
    runId, taskId, label, started, stopped, finished, is_current = orjson.loads(line).values()
    return RunRow(
        runId,
        taskId,
        label,
        float(started),
        None if stopped is None else float(stopped),
        finished,
        is_current,
    )


def runs_from(body: bytes) -> list[RunRow]:
    """Stored runs, a line each.

    :raises TrackingError: a line is none, or two are the current run of a task.
    """
    runs = _read(body, RUN, _run_from)
    current = [run.taskId for run in runs if run.isCurrent]
    if len({*current}) < len(current):
        raise InvalidValue("A task has one current run at most.")
    return runs


RUN = ("runId", "taskId", "label", "startedAt", "stoppedAt", "finished", "isCurrent")


def _run_from(value: dict[str, Any]) -> RunRow:
    task, label, stopped = value["taskId"], value["label"], value["stoppedAt"]
    run = RunRow(
        _run_id(value["runId"]),
        None if task is None else check_text(task, "taskId"),
        None if label is None else check_text(label, "label"),
        parse_time_stamp(value["startedAt"], "startedAt"),
        None if stopped is None else parse_time_stamp(stopped, "stoppedAt"),
        _flag(value, "finished"),
        _flag(value, "isCurrent"),
    )
    if run.taskId is None and (run.isCurrent or run.label is not None):
        raise InvalidValue("A run without a task has no label, and is no current one.")
    return run


def _run_id(value: object) -> int:
    number = check_run_id(value)
    if not number:
        raise InvalidValue("runId must be a run's id, from 1.")
    return number


def _flag(value: dict[str, Any], name: str) -> bool:
    flag = value[name]
    if type(flag) is not bool:
        raise InvalidType(f"{name} must be true or false, not {kind_of(flag)}.")
    return flag


# Tracks: their lines are those of a query


def tracks_from(body: bytes) -> list[Row]:
    """Stored tracks, a line each.

    :raises TrackingError: a line is none, or two have the same id.
    """
    rows = _read(body, TRACK, _row_from)
    if len({row[0] for row in rows}) < len(rows):
        raise InvalidValue("Each track must be there once.")
    return rows


TRACK = ("id", "taskId", "runId", "userName", "timeStamp", "data")


def _row_from(value: dict[str, Any]) -> Row:
    return (
        number_from(value["id"], "id"),
        check_text(value["taskId"], "taskId"),
        _run_id(value["runId"]),
        check_text(value["userName"], "userName"),
        parse_time_stamp(value["timeStamp"]),
        encode_data(value["data"]),
    )


def number_from(value: object, name: str, least: int = 1) -> int:
    """The number of a track id.

    :raises TrackingError: it is none.
    """
    number = parse_track_id(value)
    if number < least or value != track_id(number):
        raise InvalidValue(f"{name} must be a track id like '0000001', not {shown(str(value))}.")
    return number


# Keys


def key_line(spent: tuple[str, int]) -> bytes:
    """A spent key as JSON text."""
    return encode({"key": spent[0], "id": track_id(spent[1])})


def spent_key_from_line(line: bytes) -> tuple[str, int]:
    """A spent key, of the JSON text that `key_line` makes."""
    value = orjson.loads(line)
    return value["key"], parse_track_id(value["id"])


def keys_from(body: bytes) -> list[tuple[str, int]]:
    """Spent keys, a line each.

    :raises TrackingError: a line is none.
    """
    return _read(
        body,
        ("key", "id"),
        lambda value: (check_text(value["key"], "key"), number_from(value["id"], "id")),
    )


def _read(body: bytes, names: Sequence[str], read: Callable[[dict[str, Any]], T]) -> list[T]:
    """What is read of the lines, each an object of just these names."""
    found: list[T] = []
    for place, line in enumerate(body.split(b"\n")):
        if not line or line.isspace():
            continue
        try:
            value = decode(line)
            if not isinstance(value, dict) or value.keys() != {*names}:
                raise InvalidType(f"It must be an object with {', '.join(names)}.")
            found.append(read(value))
        except TrackingError as error:
            error.args = (f"Line {place + 1}: {error}",)
            raise
    return found
