"""The kinds of arguments that reports take, and how each is checked.

Each check gives the argument as a JSON value in one form, so that what a table says it was made
with can be used again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from cybertools.tracking.errors import InvalidType, InvalidValue
from cybertools.tracking.questions import STEPS_LIMIT
from cybertools.tracking.track import METADATA
from cybertools.tracking.transfer.gaps import parse_duration
from cybertools.tracking.values import (
    check_number,
    check_text,
    kind_of,
    parse_time_stamp,
    parse_track_id,
    shown,
    track_id,
)

__all__ = [
    "ROWS_LIMIT",
    "UNITS",
    "Arrival",
    "Attribute",
    "Detail",
    "Instant",
    "Kind",
    "KindName",
    "Later",
    "LongUnit",
    "Number",
    "Per",
    "PeriodName",
    "Seconds",
    "Show",
    "Steps",
    "Task",
    "TimeZone",
    "TopBy",
    "TrackId",
    "Unit",
    "User",
    "check_attribute",
    "check_zone",
]

KindName: TypeAlias = Literal[
    "attribute", "choice", "duration", "number", "period", "steps", "text", "time", "timezone"
]


@dataclass(frozen=True, slots=True)
class Kind:
    """What an argument may be."""

    name: KindName
    check: Callable[[Any, str], Any]
    """The value as a JSON value in its one form, given it and the argument's name."""
    choices: tuple[str, ...] = ()
    least: int = 1
    """The least number."""


def _choice(*choices: str) -> Kind:
    def check(value: Any, name: str) -> str:
        if value not in choices:
            given = shown(value) if isinstance(value, str) else repr(value)
            raise InvalidValue(f"{name} must be one of {', '.join(choices)}, not {given}.")
        return str(value)

    return Kind("choice", check, choices)


def check_attribute(value: Any, name: str) -> str:
    """``value``, if it names metadata or is the keys to a value in the data."""
    if not isinstance(value, str):
        raise InvalidType(
            f"{name} must be text like 'taskId' or 'score.points', not {kind_of(value)}."
        )
    parts = check_text(value, name).split(".")
    if (
        value == "timeStamp"
        or not all(parts)
        or any(c in value for c in '"\\')
        or not value.isprintable()
    ):
        others = ", ".join(n for n in METADATA if n != "timeStamp")
        raise InvalidValue(
            f"{name} must be one of {others}, or the keys on the way to a value in the data, with"
            f" dots between them: 'state', 'score.points'; not {shown(value)}."
        )
    return value


def _duration(value: Any, name: str) -> float:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except InvalidValue as error:
            raise InvalidValue(f"{name}: {error}") from None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidType(
            f"{name} must be a number of seconds or text like '30m', not {kind_of(value)}."
        )
    if not (isfinite(value) and value > 0):
        raise InvalidValue(f"{name} must be more than 0 seconds, not {value}.")
    return float(value)


ROWS_LIMIT = 10_000
"""Rows that a list may be asked for. More are an export."""


def _number(least: int) -> Kind:
    def check(value: Any, name: str) -> int:
        number = check_number(value, name)
        if not least <= number <= ROWS_LIMIT:
            raise InvalidValue(f"{name} must be from {least} to {ROWS_LIMIT:,}, not {number:,}.")
        return number

    return Kind("number", check, least=least)


def _track(value: Any, name: str) -> str:
    number = parse_track_id(value)
    if not number:
        raise InvalidValue(f"{name} must be a track id like '0000001', not {shown(str(value))}.")
    return track_id(number)


def check_zone(value: Any, name: str) -> str:
    """``value``, if it is the name of a time zone."""
    if not isinstance(value, str):
        raise InvalidType(f"{name} must be text like 'Europe/Berlin', not {kind_of(value)}.")
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):  # not found, a folder, outside of the data base
        raise InvalidValue(
            f"{name} must be a time zone like 'Europe/Berlin' or 'UTC', not {shown(value)}."
        ) from None
    return value


def _steps(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list | tuple):
        raise InvalidType(
            f"{name} must be a list of task ids, prefixes 'abc*' or mappings of criteria,"
            f" not {kind_of(value)}."
        )
    if not 1 <= len(value) <= STEPS_LIMIT:
        raise InvalidValue(f"{name} must be from 1 to {STEPS_LIMIT} steps, not {len(value)}.")
    steps: list[dict[str, Any]] = []
    for place, step in enumerate(value):
        if isinstance(step, str):
            steps.append({"taskId": check_text(step, f"{name}[{place}]")})
        elif isinstance(step, Mapping):
            steps.append(dict(step))
        else:
            raise InvalidType(
                f"{name}[{place}] must be a task id, a prefix 'abc*' or a mapping of criteria,"
                f" not {kind_of(step)}."
            )
    return steps


UNITS = ("minute", "hour", "day", "week", "month")

Unit = Annotated[str, _choice(*UNITS)]
"""How long a period is."""

LongUnit = Annotated[str, _choice("day", "week", "month")]

TimeZone = Annotated[str, Kind("timezone", check_zone)]
"""The name of a time zone: ``Europe/Berlin``."""

Attribute = Annotated[str, Kind("attribute", check_attribute)]
"""``taskId``, ``runId``, ``userName``, or the keys to a value in the data: ``score.points``."""

Seconds = Annotated[float | str, Kind("duration", _duration)]
"""A duration: a number of seconds, or text like ``30m``."""

Number = Annotated[int, _number(1)]
"""How many, from 1."""

Later = Annotated[int, _number(0)]
"""How many, from 0."""

Instant = Annotated[Any, Kind("time", parse_time_stamp)]
"""A time stamp."""

TrackId = Annotated[str, Kind("text", _track)]
"""The id of a track: ``0000001``."""

PeriodName = Annotated[str, Kind("period", check_text)]
"""The name of a day, a week or a month: ``2026-03-29``, ``2026-W13``, ``2026-03``."""

Task = Annotated[str, Kind("text", check_text)]
User = Annotated[str, Kind("text", check_text)]

Steps = Annotated[Any, Kind("steps", _steps)]
"""A list of task ids, prefixes ``abc*``, or mappings of criteria."""

Per = Annotated[str, _choice("userName", "runId")]
"""Whose tracks are looked at one after the other."""

TopBy = Annotated[str, _choice("tracks", "users", "runs", "tasks")]
"""What makes one come before another."""

Arrival = Annotated[str, _choice("reached", "lost")]
"""Who got to a step, or who got to the one before only."""

Show = Annotated[str, _choice("tracks", "totals")]
"""The tracks, or how many they are."""

Detail = Annotated[str, _choice("all", "none")]
"""Whether all else there is to say is said as well."""
