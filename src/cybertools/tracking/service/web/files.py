"""Tracks as a file that a browser saves: JSON lines or CSV, in constant memory."""

from collections.abc import Callable, Iterator

from cybertools.tracking.codec import row_json
from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.service.asking import lines
from cybertools.tracking.service.replies import LINES, Header, Reply
from cybertools.tracking.service.web.site import SECURITY, View
from cybertools.tracking.track import Row
from cybertools.tracking.transfer.exporting import csv_row
from cybertools.tracking.values import json_time, shown, track_id

__all__ = ["FORMATS", "file_of"]

FORMATS = ("jsonl", "csv")

CSV = b"text/csv; charset=utf-8"

HEAD = ("id", "taskId", "runId", "userName", "timeStamp", "data")


async def file_of(view: View, read: Callable[[], Iterator[Row]]) -> Reply:
    """The tracks as a file of the format that the address asks for.

    :param read: gives them; called, and read from, in threads.
    """
    kind = view.asked.get("format", "jsonl")
    if kind not in FORMATS:
        raise InvalidValue(f"format must be jsonl or csv, not {shown(kind)}.")
    if kind == "jsonl":
        answer = await lines(view.service, view.collection, read, row_json)
    else:
        answer = await lines(view.service, view.collection, lambda: _with_head(read()), _csv)
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in view.storage.name)
    headers: list[Header] = [
        *SECURITY,
        (b"content-disposition", f'attachment; filename="{name}.{kind}"'.encode()),
    ]
    return answer._replace(kind=LINES if kind == "jsonl" else CSV, headers=headers)


def _with_head(rows: Iterator[Row]) -> Iterator[Row | None]:
    yield None
    yield from rows


def _csv(row: Row | None) -> bytes:
    if row is None:
        return csv_row(*HEAD).rstrip("\n").encode()
    number, task, run, user, time, data = row
    return csv_row(track_id(number), task, run, user, json_time(time), data).rstrip("\n").encode()
