"""What all formats have in common: how the parts of a line become the parts of a track."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import orjson

from cybertools.tracking.errors import InvalidRun, InvalidType, InvalidValue, TrackingError
from cybertools.tracking.track import METADATA
from cybertools.tracking.transfer.sources import LINE_LIMIT
from cybertools.tracking.transfer.times import text_time
from cybertools.tracking.values import (
    DATA_LIMIT,
    TIME_LIMIT,
    check_text,
    encode_data,
    kind_of,
    parse_time_stamp,
    shown,
)

__all__ = [
    "TARGETS",
    "Draft",
    "Entry",
    "Reading",
    "UnusableFormat",
    "decoded",
    "drafted",
    "each_line",
    "parse_map",
]

TARGETS = (*METADATA, "data", "key")
"""What a column or key of a file can be mapped to."""

TOO_LONG = (
    f"The line is longer than {LINE_LIMIT >> 20} MiB; data have at most {DATA_LIMIT:,} bytes."
)


class Draft(NamedTuple):
    """A track on its way from a line into a storage: all but the id of its run."""

    taskId: str
    label: str | None
    """Of its run; None is the task's current run."""
    userName: str
    timeStamp: float
    json: str
    mark: bytes
    """What the line is known by when it comes again."""
    key: str | None = None
    """An idempotency key that the line itself has."""


Entry: TypeAlias = tuple[int, bytes, Draft | str]
"""The number of a line (of the first one where there are several), its text, and what it is: a
draft, or the reason why it cannot be one."""


class UnusableFormat(InvalidValue):
    """A file as a whole is not what it was taken for."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How lines are to be read."""

    at: float
    """The time stamp of lines that have none."""
    visitor: Callable[[str, str], str]
    """The name of a user who is only known by address and agent."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The file's own names for some of `TARGETS`."""

    def name_of(self, target: str) -> str:
        """The file's name for a target."""
        return self.names.get(target, target)


def parse_map(text: str) -> dict[str, str]:
    """The mapping in ``taskId=page,userName=visitor``.

    :raises InvalidValue: it cannot be read.
    """
    names: dict[str, str] = {}
    for part in text.split(","):
        target, _, name = (piece.strip() for piece in part.partition("="))
        if target not in TARGETS or not name:
            raise InvalidValue(
                f"A mapping is like taskId=page,userName=visitor, not {shown(part)};"
                f" to the left of = may be: {', '.join(TARGETS)}."
            )
        if target in names:
            raise InvalidValue(f"There are two names for {target}: {names[target]} and {name}.")
        if name in names.values():
            raise InvalidValue(f"Only one of taskId, userName and so on can be {name}.")
        names[target] = name
    return names


def each_line(lines: Iterable[bytes], parse: Callable[[bytes], Draft]) -> Iterator[Entry]:
    """The entries of a format with one record a line. Blank lines are none."""
    for number, line in enumerate(lines, 1):
        made: Draft | str
        try:
            made = parse(line) if len(line) <= LINE_LIMIT else TOO_LONG
        except TrackingError as error:
            if not line or line.isspace():
                continue
            made = str(error)
        yield number, line, made


def drafted(
    taskId: object,
    runId: object,
    userName: object,
    timeStamp: object,
    data: object,
    mark: bytes,
    reading: Reading,
    key: object = None,
) -> Draft:
    """A draft of values as a line has them.

    :raises TrackingError: one of them cannot be what it should be.
    """
    if taskId is None or userName is None:
        missing = reading.name_of("taskId" if taskId is None else "userName")
        raise InvalidType(f"The line has no {missing}.")
    return _new(
        Draft,
        (
            check_text(taskId, "taskId"),
            None if runId is None else _label(runId),
            check_text(userName, "userName"),
            _time(timeStamp, reading.at),
            encode_data(data),
            mark,
            None if key is None else check_text(key, "key"),
        ),
    )


_new = tuple.__new__  # half the time of calling the class, for each line of a file


def _label(runId: object) -> str | None:
    """The label of a run. A number is another system's name for a run, too."""
    if isinstance(runId, str):
        return check_text(runId, "runId") if runId else None
    if not isinstance(runId, int) or isinstance(runId, bool):
        raise InvalidType(f"runId must be text, a whole number or null, not {kind_of(runId)}.")
    if runId < 0:
        raise InvalidRun(runId)
    return str(runId) if runId else None


def _time(value: object, at: float) -> float:
    if type(value) is int and 0 <= value < TIME_LIMIT:  # most are
        return float(value)
    if value is None or value == "":
        return at
    return parse_time_stamp(text_time(value) if isinstance(value, str) else value)


_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * 19


def decoded(line: bytes) -> Any:
    """The JSON value of a line.

    :raises InvalidValue: it has none.
    """
    # orjson makes a float of an integer beyond 64 bits, so it gets no line that may have one.
    if _LONG_NUMBER not in line.translate(_DIGITS):
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            pass  # The slower way takes NaN and lone surrogates, so that they are refused by name.
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise InvalidValue(f"The line is not UTF-8: byte {error.start + 1} is wrong.") from None
    except json.JSONDecodeError as error:
        raise InvalidValue(
            f"The line is no JSON: {error.msg} at character {error.pos + 1}."
        ) from None
    except ValueError as error:
        raise InvalidValue(f"The line is no JSON that can be read: {error}.") from None
    except RecursionError:
        raise InvalidValue("The line is nested too deep.") from None
