"""Access logs of web servers: Apache's and nginx's combined and common formats."""

import calendar
import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.transfer.drafts import Draft, Entry, Reading, drafted, each_line

__all__ = ["is_access_line", "read_access_log"]


def _quoted(name: str) -> str:
    return rf'"(?P<{name}>(?:[^"\\]|\\.)*)"'


_LINE = re.compile(
    r"(?:(?P<host>\S+:\d+) )?(?P<address>\S+) (?P<logname>\S+) (?P<user>.+?)"
    r" \[(?P<day>\d\d/[A-Z][a-z][a-z]/\d{4}):(?P<time>\d\d:\d\d:\d\d) (?P<zone>[-+]\d{4})\]"
    rf" {_quoted('request')} (?P<status>\d{{3}}|-) (?P<bytes>\d+|-)"
    rf"(?: {_quoted('referrer')} {_quoted('agent')})?"
)
_REQUEST = re.compile(r"(?P<method>[A-Z][A-Z-]*) (?P<target>\S.*?)(?: (?P<protocol>HTTP/[\d.]+))?")


def is_access_line(line: bytes) -> bool:
    """Whether a line is one of an access log."""
    return _LINE.match(line.decode("utf-8", "replace")) is not None


def read_access_log(lines: Iterable[bytes], reading: Reading) -> Iterator[Entry]:
    """The tracks of an access log: the task is the path, without its query.

    The user is the authenticated name, or the `Reading.visitor` of address and agent. The address
    itself goes nowhere, not even into what a line is known by.
    """

    def parse(line: bytes) -> Draft:
        text = line.decode("utf-8", "backslashreplace")
        found = _LINE.match(text)
        if found is None:
            raise InvalidValue("The line is not one of an access log.")
        part = found.groupdict()
        request = _REQUEST.fullmatch(part["request"])
        if request is None:
            raise InvalidValue(f"The request {part['request'][:60]!r} names no path.")
        method, target, protocol = request.groups()
        path, query = _split(target)
        data: dict[str, Any] = {"method": method, "status": part["status"], "bytes": part["bytes"]}
        data = {name: int(v) if v.isdigit() else v for name, v in data.items() if v != "-"}
        more = {
            "query": query,
            "protocol": protocol,
            "host": part["host"],
            "referrer": _unquoted(part["referrer"]),
            "agent": _unquoted(part["agent"]),
        }
        data |= {name: value for name, value in more.items() if value and value != "-"}
        user = part["user"].strip('"')
        if user in ("-", ""):
            user = reading.visitor(part["address"], part["agent"] or "")
        mark = text[found.end("address") : found.end()].encode()
        moment = _seconds(part["day"], part["zone"], part["time"])
        return drafted(path, None, user, moment, data, mark, reading)

    return each_line(lines, parse)


def _split(target: str) -> tuple[str, str]:
    """The path and the query of a request's target."""
    if not target.startswith("/"):
        try:  # a request to a proxy has the whole URL
            parts = urlsplit(target)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme in ("http", "https"):
            return parts.path or "/", parts.query
    path, _, query = target.partition("?")
    return path, query


def _unquoted(value: str | None) -> str | None:
    return value.replace('\\"', '"') if value else value


_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}


def _seconds(day: str, zone: str, time: str) -> int:
    return _midnight(day, zone) + int(time[:2]) * 3600 + int(time[3:5]) * 60 + int(time[6:])


@lru_cache(maxsize=64)
def _midnight(day: str, zone: str) -> int:
    """The beginning of a day in a time zone, in seconds since 1970 UTC."""
    try:
        first = date(int(day[7:]), _MONTHS[day[3:6]], int(day[:2]))
    except (KeyError, ValueError):
        raise InvalidValue(f"There is no day {day}.") from None
    offset = int(zone[1:3]) * 3600 + int(zone[3:]) * 60
    return calendar.timegm(first.timetuple()) - (-offset if zone[0] == "-" else offset)
