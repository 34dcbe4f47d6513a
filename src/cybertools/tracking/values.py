"""What may be stored: texts, run ids, time stamps and data, checked and brought into one form.

Each engine stores only what has passed here, so that all of them refuse the same things in the
same words, and what one engine has accepted any other can hold.
"""

import json
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from math import isfinite
from typing import Any, TypeAlias

import orjson

from cybertools.tracking.errors import InvalidData, InvalidRun, InvalidType, InvalidValue

__all__ = [
    "DATA_LIMIT",
    "DEPTH_LIMIT",
    "TEXT_LIMIT",
    "TIME_LIMIT",
    "TimeStamp",
    "check_number",
    "check_run_id",
    "check_text",
    "decode_data",
    "encode_data",
    "format_time",
    "json_time",
    "kind_of",
    "merge_data",
    "micros_of",
    "now",
    "parse_instant",
    "parse_time_stamp",
    "parse_track_id",
    "short_time",
    "shown",
    "track_id",
]

TEXT_LIMIT = 1_000
"""Bytes (UTF-8) of a task id, user name, label or key: two of them fit into one index entry of
PostgreSQL, which is limited to a third of a page (2,704 bytes)."""

DATA_LIMIT = 1 << 20
"""Bytes of a track's data as JSON. A track is a record of something that happened, not a file."""

DEPTH_LIMIT = 100
"""Levels of mappings and lists within data; SQLite's JSON functions and orjson stop not far above
it."""

TIME_LIMIT = 2.0**33
"""Seconds since 1970, exclusive: 2242-03-16. Up to there a float keeps microseconds exactly."""

_EXACT_PRODUCT = 2.0**32
"""Seconds (until 2106) up to which a time stamp times a million, as floats, is off by less than a
quarter, so that it is rounded to the microsecond that is meant."""

_INT_LIMIT = 10**308

TimeStamp: TypeAlias = int | float | str | datetime
"""A point in time: seconds since 1970 UTC, an aware datetime, or ISO 8601 text."""


# Texts and numbers


def check_text(value: object, name: str) -> str:
    """``value``, if it can be a task id, user name, label or key.

    :raises InvalidType: it is no text.
    :raises InvalidValue: it is empty, too long, or holds NUL or a lone surrogate.
    """
    if type(value) is str and value.isascii() and "\0" not in value:  # most are
        if 0 < len(value) <= TEXT_LIMIT:
            return value
    elif not isinstance(value, str):
        raise InvalidType(f"{name} must be text, not {kind_of(value)}.")
    if not value:
        raise InvalidValue(f"{name} must not be empty.")
    if "\0" in value:
        raise InvalidValue(f"{name} must not hold a NUL character: {shown(value)}.")
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise InvalidValue(
            f"{name} must be valid Unicode, but holds a lone surrogate: {shown(value)}."
        ) from None
    if size > TEXT_LIMIT:
        raise InvalidValue(
            f"{name} must have at most {TEXT_LIMIT:,} bytes, not {size:,}: {shown(value)}."
        )
    return value if type(value) is str else str.__str__(value)


def check_run_id(value: object) -> int:
    """A run id as a number from 0; None is 0, which stands for the task's current run."""
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidType(f"runId must be a whole number, not {kind_of(value)}.")
    if value < 0 or value >= 1 << 63:
        raise InvalidRun(value)
    return int(value)


def check_number(value: object, name: str) -> int:
    """``value``, if it is a whole number from 0."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidType(f"{name} must be a whole number, not {kind_of(value)}.")
    if value < 0:
        raise InvalidValue(f"{name} must not be negative: {value}.")
    return int(value)


def track_id(number: int) -> str:
    """The id of the track of that number: ``'0000001'``."""
    return f"{number:07d}"


def parse_track_id(value: object) -> int:
    """The number of a track id, 0 where ``value`` is text but never the id of a track."""
    if not isinstance(value, str):
        raise InvalidType(f"A track id is text like '0000001', not {kind_of(value)}.")
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        return 0
    number = int(value)
    return number if track_id(number) == value else 0


# Time


def now() -> float:
    """The present time as a time stamp, in whole microseconds."""
    return time.time_ns() // 1000 / 1_000_000


def micros_of(seconds: float) -> int:
    """A time stamp as whole microseconds."""
    if seconds < _EXACT_PRODUCT:
        return round(seconds * 1_000_000)
    return round(Fraction(seconds) * 1_000_000)


def parse_instant(value: object, name: str) -> float:
    """Any time stamp as seconds since 1970 UTC, rounded to microseconds. May be out of range.

    ISO text without an offset is UTC; a date alone is its first instant.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidValue(
                f"{name} must say its time zone; {value!r} has none"
                " (datetime.now(UTC) has one, datetime.now() has none)."
            )
        return _seconds(value)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            return _seconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            raise InvalidValue(
                f"{name} must be ISO 8601 text like '2007-05-01T09:28:00Z', not {shown(value)}."
            ) from None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < 1e20:  # NaN as well; nanoseconds have a hint of their own
            raise InvalidValue(f"{name} must be a time in seconds since 1970, not {value}.")
        return micros_of(value) / 1_000_000
    raise InvalidType(
        f"{name} must be seconds since 1970, an aware datetime or ISO 8601 text,"
        f" not {kind_of(value)}."
    )


def parse_time_stamp(value: object, name: str = "timeStamp") -> float:
    """A time stamp that can be stored, as seconds since 1970 UTC in whole microseconds.

    :raises InvalidType: it is no number, datetime or text.
    :raises InvalidValue: it cannot be read, or is before 1970 or too far ahead.
    """
    if type(value) is float and 0 <= value < _EXACT_PRODUCT:  # most are
        return round(value * 1_000_000) / 1_000_000
    seconds = parse_instant(value, name)
    if 0 <= seconds < TIME_LIMIT:
        return seconds
    text = shown(value) if isinstance(value, str) else str(value)
    if seconds < 0:
        raise InvalidValue(f"{name} must not be before 1970: {text}.")
    hint = ""
    for unit, factor in (("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)):
        if not isinstance(value, str | datetime) and 1e8 <= seconds / factor < 4.2e9:
            hint = f" Is it in {unit}? Seconds are expected."
    raise InvalidValue(f"{name} must be before 2242-03-16, not {text}.{hint}")


def json_time(seconds: float) -> int | float:
    """A time stamp as people write it: without ``.0`` where it is a whole second."""
    return int(seconds) if seconds == int(seconds) else seconds


def format_time(seconds: float) -> str:
    """A time stamp as ISO 8601 text in UTC: ``'2007-05-01T09:28:00Z'``."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


def short_time(seconds: float) -> str:
    """A time stamp to the minute, in UTC: ``'2007-05-01 09:28'``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _seconds(moment: datetime) -> float:
    # Not moment.timestamp(): integers keep the microseconds of any year.
    delta = moment - _EPOCH
    return (delta.days * 86_400_000_000 + delta.seconds * 1_000_000 + delta.microseconds) / 1e6


# Data


def encode_data(data: object) -> str:
    """``data`` as the JSON text that is stored.

    :raises InvalidData: it is no mapping, or holds something that JSON has no value for; the
        message names the path, like ``data['a'][3]``.
    """
    text = _encode_plain(data) if type(data) is dict else None
    if text is None:
        if not isinstance(data, Mapping):
            raise InvalidData(f"data must be a mapping, not {kind_of(data)}.")
        text = json.dumps(_json_value(data, "data", 0), ensure_ascii=False, separators=(",", ":"))
    size = len(text) if text.isascii() else len(text.encode())
    if size > DATA_LIMIT:
        raise InvalidData(f"data must have at most {DATA_LIMIT:,} bytes as JSON, not {size:,}.")
    return text


def decode_data(text: str) -> dict[str, Any]:
    """The mapping that was stored as ``text``.

    With the standard library's decoder: orjson makes a float of an integer beyond 64 bits. And
    with its core: what is stored has no white space around it that `json.loads` would look for.
    """
    data: dict[str, Any] = _raw_decode(text)[0]
    return data


_raw_decode = json.JSONDecoder().raw_decode


def merge_data(text: str, new: str) -> str:
    """The stored data ``text`` with the data ``new`` merged into them, key by key."""
    return encode_data(decode_data(text) | decode_data(new))


def _encode_plain(data: dict[Any, Any]) -> str | None:
    """The quick way for ordinary data; None where the thorough way has to look at it."""
    if not _is_plain(data, 0):
        return None
    try:
        text = orjson.dumps(data).decode()
    except TypeError:  # a lone surrogate, an integer beyond 64 bits
        return None
    return None if "\\u0000" in text else text


def _is_plain(value: dict[Any, Any] | list[Any], depth: int) -> bool:
    if depth >= DEPTH_LIMIT:
        return False
    if type(value) is dict:
        for key in value:
            if type(key) is not str:
                return False
        items: Any = value.values()
    else:
        items = value
    for item in items:
        kind = type(item)
        if kind is str or kind is int or kind is bool or item is None:
            continue
        if kind is float:
            if not isfinite(item):
                return False
        elif kind is dict or kind is list:
            if not _is_plain(item, depth + 1):
                return False
        else:
            return False
    return True


def _json_value(value: object, path: str, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _json_text(value, path)
    if isinstance(value, int):
        if not -_INT_LIMIT < value < _INT_LIMIT:
            raise InvalidData(f"{path} is a number of more than 308 digits.")
        return int(value)
    if isinstance(value, float):
        if not isfinite(value):
            raise InvalidData(f"{path} is {value}, which JSON has no value for.")
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if depth >= DEPTH_LIMIT and isinstance(value, Mapping | list):
        raise InvalidData(f"{path[:60]}… is nested more than {DEPTH_LIMIT} levels deep.")
    if isinstance(value, Mapping):
        return {
            _json_key(key, path): _json_value(item, f"{path}[{key!r}]", depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_json_value(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
    hint = ""
    if isinstance(value, tuple | set | frozenset):
        hint = "; make it a list"
    elif isinstance(value, date):
        hint = "; make it a datetime or text"
    raise InvalidData(f"{path} is {kind_of(value)}, which JSON has no value for{hint}.")


def _json_key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise InvalidData(f"{path} has the key {key!r}: {kind_of(key)}, but keys must be text.")
    if "\0" in key:
        raise InvalidData(f"{path} has the key {key!r}: keys must not hold a NUL character.")
    return _json_text(key, f"the key {key!r} of {path}")


def _json_text(value: str, path: str) -> str:
    text = value if type(value) is str else str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidData(f"{path} holds a lone surrogate: {shown(text)}.") from None
    return text


# How errors name what they were given


def kind_of(value: object) -> str:
    """The type of ``value``, with its article: ``'an int'``."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def shown(value: str) -> str:
    """``value`` in quotes, cut where it is long."""
    return repr(value if len(value) <= 60 else value[:57] + "…")
