"""The criteria of a query, made into one validated value that each engine translates."""

import difflib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal, TypeAlias

from cybertools.tracking.errors import InvalidType, InvalidValue, UnknownCriterion
from cybertools.tracking.track import METADATA, Row
from cybertools.tracking.values import (
    TIME_LIMIT,
    check_number,
    check_text,
    decode_data,
    kind_of,
    parse_instant,
    parse_track_id,
    shown,
)

__all__ = [
    "CONTROLS",
    "ORDERS",
    "Criteria",
    "Match",
    "Scalar",
    "acceptor",
    "parse_criteria",
    "prefix_end",
]

Scalar: TypeAlias = str | int | float
Order: TypeAlias = Literal["id", "timeStamp", "-timeStamp"]

CONTROLS = ("timeFrom", "timeTo", "timeFromTo", "limit", "after", "order")
"""The criteria that are no attribute of a track."""

ORDERS: tuple[Order, ...] = ("id", "timeStamp", "-timeStamp")


@dataclass(frozen=True, slots=True)
class Match:
    """One attribute's criterion: any of ``values``, or any text that begins with a prefix.

    Texts are equal to texts and numbers to numbers (``1``, ``1.0`` and ``True`` are equal, as in
    Python). A track without the attribute, or with a list or mapping there, does not match.
    """

    name: str
    values: tuple[Scalar, ...] = ()
    prefixes: tuple[str, ...] = ()

    @property
    def storable(self) -> "Match":
        """The criterion without values that no track can hold, and no message: lone surrogates."""
        return Match(self.name, tuple(filter(_is_unicode, self.values)), self.prefixes)


def _is_unicode(value: Scalar) -> bool:
    return not (isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value))


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a query asks for: all of ``matches``, within the times, a page of it in an order."""

    matches: tuple[Match, ...] = ()
    time_from: float | None = None
    time_to: float | None = None
    limit: int | None = None
    after: int | None = None
    """The number of the track after which the page begins, in the order asked for."""
    order: Order = "id"

    @property
    def is_empty(self) -> bool:
        """True where nothing can match: an empty list of values, a limit of 0, no time between."""
        return (
            self.limit == 0
            or any(not (m.values or m.prefixes) for m in self.matches)
            or (
                self.time_from is not None
                and self.time_to is not None
                and self.time_from > self.time_to
            )
        )

    def match(self, name: str) -> Match | None:
        """The criterion for that attribute, if there is one."""
        return next((m for m in self.matches if m.name == name), None)

    def within(self, first: float, last: float) -> "Criteria":
        """The criteria, and from the first to the last of these times as well."""
        low, high = self.time_from, self.time_to
        return replace(
            self,
            time_from=max(0.0, first if low is None else max(low, first)),
            time_to=last if high is None else min(high, last),
        )


def parse_criteria(attributes: tuple[str, ...], criteria: Mapping[str, Any]) -> Criteria:
    """The keyword arguments of a query as one value.

    :param attributes: the index attributes that the track type adds to the metadata.
    :raises UnknownCriterion: there is no criterion of that name; the message lists them.
    :raises InvalidType: a value is of the wrong type.
    :raises InvalidValue: a value is out of what it may be.
    """
    matches: list[Match] = []
    time_from: float | None = None
    time_to: float | None = None
    for name, value in criteria.items():
        if name not in METADATA and name not in attributes and name not in CONTROLS:
            raise _unknown(name, attributes)
        if value is None or name in ("limit", "after", "order"):
            continue
        if name == "timeFromTo":
            lower, upper = _pair(value)
        elif name == "timeFrom":
            lower, upper = value, None
        elif name == "timeTo":
            lower, upper = None, value
        else:
            matches.append(_match(name, value))
            continue
        if lower is not None:
            start = parse_instant(lower, name)
            time_from = start if time_from is None else max(time_from, start)
        if upper is not None:
            end = _last_instant(upper, name)
            time_to = end if time_to is None else min(time_to, end)
    limit, after = criteria.get("limit"), criteria.get("after")
    return Criteria(
        tuple(matches),
        None if time_from is None else max(time_from, 0.0),
        None if time_to is None else min(max(time_to, -1.0), TIME_LIMIT),
        None if limit is None else min(check_number(limit, "limit"), sys.maxsize),
        None if after is None else _after(after),
        _order(criteria.get("order")),
    )


def acceptor(criteria: Criteria) -> Callable[[Row], bool]:
    """A function that tells whether a track is one that the criteria ask for.

    Its place among others is no part of that: limit, after and order.
    """
    low = -1.0 if criteria.time_from is None else criteria.time_from
    high = TIME_LIMIT if criteria.time_to is None else criteria.time_to
    tests = [*map(_test, criteria.matches)]
    return lambda row: low <= row[4] <= high and all(test(row) for test in tests)


def _test(match: Match) -> Callable[[Row], bool]:
    name, wanted, prefixes = match.name, frozenset(match.values), match.prefixes
    place = METADATA.index(name) + 1 if name in METADATA else None

    def test(row: Row) -> bool:
        value = decode_data(row[5]).get(name) if place is None else row[place]
        if isinstance(value, str):
            return value in wanted or value.startswith(prefixes)
        return isinstance(value, int | float) and value in wanted

    return test


def prefix_end(prefix: str) -> str | None:
    """The least text that is greater than all that begin with ``prefix``; None if there is none.

    Texts compare by code point, which is also the order of their UTF-8 bytes.
    """
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            # The code points of the surrogates are not text.
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return None


def _match(name: str, value: object) -> Match:
    values: dict[Scalar, None] = {}
    prefixes: dict[str, None] = {}
    for item in value if isinstance(value, list | tuple | set | frozenset) else (value,):
        if name == "timeStamp":
            values[parse_instant(item, name)] = None
        elif name == "runId":
            values[_run_id(item)] = None
        elif isinstance(item, str) and item.endswith("*"):
            prefixes[item if item == "*" else check_text(item, name)] = None
        elif name in ("taskId", "userName"):
            values[check_text(item, name)] = None
        else:
            values[_scalar(name, item)] = None
    return Match(name, tuple(values), tuple(p[:-1] for p in prefixes))


def _run_id(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidType(f"runId must be a whole number or a list of them, not {kind_of(value)}.")
    # No run has the id 0: out of range is no error here, it only matches nothing.
    return int(value) if 0 < value < 1 << 63 else 0


def _scalar(name: str, value: object) -> Scalar:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
        return value
    raise InvalidType(
        f"{name} must be text or a number, a list of them, or a prefix 'abc*',"
        f" not {kind_of(value)}."
    )


def _pair(value: object) -> tuple[Any, Any]:
    if isinstance(value, list | tuple) and len(value) == 2:
        return value[0], value[1]
    raise InvalidType("timeFromTo must be a pair: (from, to).")


_DATE_LENGTHS = (8, 10)  # 20070501, 2007-05-01


def _last_instant(value: object, name: str) -> float:
    seconds = parse_instant(value, name)
    if isinstance(value, str) and len(value.strip()) in _DATE_LENGTHS:
        # A date as an end that is included means the whole day.
        return seconds + 86_399.999999
    return seconds


def _after(value: object) -> int:
    number = parse_track_id(value)
    if not number:
        raise InvalidValue(f"after must be a track id like '0000001', not {shown(str(value))}.")
    return number


def _order(value: object) -> Order:
    for order in ORDERS:
        if value in (None, order):
            return order
    raise InvalidValue(f"order must be one of {', '.join(ORDERS)}, not {value!r}.")


def _unknown(name: str, attributes: tuple[str, ...]) -> UnknownCriterion:
    known = [*METADATA, *attributes, *CONTROLS]
    close = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1)
    hint = next((f" Did you mean {k!r}?" for k in known if close and k.lower() == close[0]), "")
    return UnknownCriterion(f"There is no criterion {name!r}.{hint} There are: {', '.join(known)}.")
