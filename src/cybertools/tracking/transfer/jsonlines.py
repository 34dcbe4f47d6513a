"""JSON lines: an object a line, with the names of the contract or mapped to them."""

from collections.abc import Iterable, Iterator
from typing import Any

from cybertools.tracking.errors import InvalidData, InvalidType, InvalidValue
from cybertools.tracking.transfer.drafts import (
    TARGETS,
    Draft,
    Entry,
    Reading,
    decoded,
    drafted,
    each_line,
)
from cybertools.tracking.values import kind_of

__all__ = ["merged", "read_json_lines"]


def read_json_lines(lines: Iterable[bytes], reading: Reading) -> Iterator[Entry]:
    """The tracks of JSON lines.

    What has no place of its own goes into ``data``: beside what is in ``data``, or as the whole of
    it. The ``id`` beside ``data`` is that of an exported track, which gets a new one.
    """
    task, run, user, time, data, key = (reading.name_of(target) for target in TARGETS)

    def parse(line: bytes) -> Draft:
        item = decoded(line)
        if type(item) is not dict:
            raise InvalidType(f"The line must be a JSON object, not {_json_kind(item)}.")
        pop = item.pop
        values = (pop(task, None), pop(run, None), pop(user, None), pop(time, None))
        own_key = pop(key, None)
        if data in item:
            content = pop(data)
            item.pop("id", None)
            if item:
                content = merged(content, item)
        else:
            content = item
        return drafted(*values, content, line, reading, own_key)

    return each_line(lines, parse)


def merged(data: object, rest: dict[str, Any]) -> dict[str, Any]:
    """The data of a line and what else it has, in one mapping."""
    if not isinstance(data, dict):
        raise InvalidData(f"data must be a mapping, not {kind_of(data)}.")
    for name in rest:
        if name in data:
            raise InvalidValue(f"{name!r} is in data and beside it; which of them is meant?")
    return data | rest


def _json_kind(item: object) -> str:
    if isinstance(item, list):
        return "a list"
    if item is None or isinstance(item, bool):
        return {None: "null", True: "true", False: "false"}[item]
    return "text" if isinstance(item, str) else "a number"
