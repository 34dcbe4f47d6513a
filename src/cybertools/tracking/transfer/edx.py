"""Tracking logs of edX and Open edX: an event as JSON a line."""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from cybertools.tracking.errors import InvalidType, InvalidValue
from cybertools.tracking.transfer.drafts import (
    Draft,
    Entry,
    Reading,
    decoded,
    drafted,
    each_line,
)

__all__ = ["is_edx_line", "read_edx_log"]

_PLACED = frozenset(("username", "session", "time", "ip", "context", "event"))
"""What has a place of its own or, as the address, none."""


def is_edx_line(line: bytes) -> bool:
    """Whether a JSON line is an event of edX."""
    return b'"event_type"' in line and b'"event_source"' in line


def read_edx_log(lines: Iterable[bytes], reading: Reading) -> Iterator[Entry]:
    """The tracks of a tracking log.

    The task is the block of the course (``context.module.usage_key``), else the course
    (``context.course_id``), else the path of the page. The user is the user name, else the number
    of the user, else the `Reading.visitor` of address and agent. The session is the run.
    """

    def parse(line: bytes) -> Draft:
        event = decoded(line)
        if not isinstance(event, dict) or "event_type" not in event:
            raise InvalidType("The line is not an event of edX: it has no event_type.")
        if event.get("time") is None:
            raise InvalidValue("The event has no time.")
        context = _mapping(event.get("context"))
        data = {k: v for k, v in event.items() if k not in _PLACED and v not in (None, "")}
        about = {k: v for k, v in context.items() if k != "user_id" and v not in (None, "")}
        if about:
            data["context"] = about
        if event.get("event") not in (None, ""):
            data["event"] = _event(event["event"])
        mark = json.dumps({k: v for k, v in event.items() if k != "ip"}).encode()
        return drafted(
            _task(event, context),
            event.get("session"),
            _user(event, context, reading),
            event["time"],
            data,
            mark,
            reading,
        )

    return each_line(lines, parse)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _event(value: Any) -> Any:
    """The event's own data, which the browser sends as JSON in a text."""
    if isinstance(value, str) and value[0] in "{[":
        try:
            return decoded(value.encode())
        except (InvalidValue, UnicodeEncodeError):
            return value  # cut off by edX, where it was long
    return value


def _task(event: dict[str, Any], context: dict[str, Any]) -> Any:
    block = _mapping(context.get("module")).get("usage_key")
    task = block or context.get("course_id")
    if task:
        return task
    for place in (event.get("page"), context.get("path"), event["event_type"]):
        if isinstance(place, str) and "/" in place:
            try:
                return urlsplit(place).path or "/"
            except ValueError:
                continue
    raise InvalidValue("The event names no course, block or page.")


def _user(event: dict[str, Any], context: dict[str, Any], reading: Reading) -> Any:
    name = event.get("username")
    if name:
        return name
    number = context.get("user_id")
    if isinstance(number, int) and not isinstance(number, bool):
        return str(number)
    return number or reading.visitor(str(event.get("ip")), str(event.get("agent")))
