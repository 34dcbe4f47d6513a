"""What commands print: tables for people, JSON lines and CSV for programs."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Literal, TypeAlias, TypeVar

import click
import orjson

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.track import Track

__all__ = [
    "Output",
    "ago",
    "coloured",
    "joined",
    "note",
    "output_option",
    "print_card",
    "print_line",
    "print_rows",
    "print_table",
    "print_tracks",
    "printable",
    "utc",
]

Output: TypeAlias = Literal["text", "json", "csv"]

F = TypeVar("F", bound=Callable[..., Any])

TIMES = ("timeStamp", "start", "end", "timeFrom", "timeTo")
PAGE = 1_000
"""Rows of which the widths of a table are taken."""


def output_option(function: F) -> F:
    """Give a command ``--json`` and ``--csv``, as its argument ``output``."""
    for option, help in (
        ("csv", "CSV with a header."),
        ("json", "JSON, an object a line."),
    ):
        function = click.option(
            f"--{option}", "output", flag_value=option, default=None, help=f"Print {help}"
        )(function)
    return function


def note(text: str) -> None:
    """Tell a person something that is no part of the answer."""
    print(text, file=sys.stderr)


def print_line(value: object, output: Output | None, names: Mapping[str, object]) -> None:
    """Print one value: alone for people, by its name for programs."""
    if output is None:
        print(value)
    else:
        print_rows([names], output)


def print_rows(
    rows: Iterable[Mapping[str, Any]], output: Output | None, columns: Sequence[str] = ()
) -> None:
    """Print rows.

    :param columns: those of a table or CSV; the names of the first row if not given.
    """
    iterator = iter(rows)
    if not columns:
        first = next(iterator, None)
        if first is None:
            return
        columns = tuple(first)
        iterator = chain((first,), iterator)
    if output == "json":
        for row in iterator:
            _write(_json(row) + b"\n")
    elif output == "csv":
        _print_csv(iterator, columns)
    else:
        print_table(([_cell(name, row[name]) for name in columns] for row in iterator), columns)


def joined(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for a table or CSV: each of its lists as one text."""
    return {k: " ".join(v) if isinstance(v, list) else v for k, v in row.items()}


def print_tracks(storage: Storage, criteria: Mapping[str, Any], output: Output | None) -> int:
    """Print the tracks that meet the criteria, in constant memory; their number."""
    from cybertools.tracking.transfer.exporting import COLUMNS, WRITERS, csv_row

    count = 0
    tracks = storage.iterTracks(**criteria)
    if output is None:

        def rows() -> Iterator[list[str]]:
            nonlocal count
            for track in tracks:
                count += 1
                yield _track_cells(track)

        print_table(rows(), COLUMNS)
        return count
    if output == "csv":
        _write(csv_row(*COLUMNS).encode())
    write = WRITERS["csv" if output == "csv" else "jsonl"]
    while chunk := list(islice(tracks, PAGE)):
        _write(write(chunk, lambda runId: runId))
        count += len(chunk)
    return count


def print_card(values: Mapping[str, Any]) -> None:
    """Print one thing for people: a line for each of its values."""
    width = max(map(len, values))
    for name, value in values.items():
        shown = _cell(name, value)
        if name in TIMES and value is not None:
            shown += f" UTC, {ago(value)}"
        print(f"{_bold(name.ljust(width))}  {shown}")


def utc(seconds: float) -> str:
    """A time stamp for people, in UTC."""
    moment = time.gmtime(seconds)
    return time.strftime("%Y-%m-%d %H:%M:%S", moment)


def ago(seconds: float) -> str:
    """How long ago a time is: ``'3 hours ago'``."""
    distance = time.time() - seconds
    size, unit = next(((s, u) for s, u in _AGES if abs(distance) >= s), (1, "second"))
    number = int(abs(distance) / size)
    many = f"{number:,} {unit}{'' if number == 1 else 's'}"
    return f"{many} ago" if distance >= 0 else f"in {many}"


_AGES = (
    (31_557_600, "year"),
    (2_629_800, "month"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
)


def _write(text: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(text)


def _json(value: Mapping[str, Any] | bool) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _print_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from cybertools.tracking.transfer.exporting import csv_row

    sys.stdout.write(csv_row(*columns))
    for row in rows:
        values = (row[name] for name in columns)
        sys.stdout.write(
            csv_row(*(_json(v).decode() if isinstance(v, dict | bool) else v for v in values))
        )


def _track_cells(track: Track) -> list[str]:
    return [
        track.id,
        printable(track.taskId),
        str(track.runId),
        printable(track.userName),
        utc(track.timeStamp),
        printable(track.json),
    ]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in TIMES:
        return utc(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and not name.endswith("Id"):
        return f"{value:,}"
    return printable(value if isinstance(value, str) else str(value))


def printable(text: str) -> str:
    """Text without what would command a terminal."""
    return (
        text
        if text.isprintable()
        else "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
        )
    )


def _bold(text: str) -> str:
    return click.style(text, bold=True) if sys.stdout.isatty() and coloured() else text


def coloured() -> bool:
    """Whether a terminal may be given colours: https://no-color.org."""
    return not os.environ.get("NO_COLOR")


def print_table(rows: Iterator[list[str]], columns: Sequence[str]) -> None:
    """Print a table page by page, with the widths that the first page needs."""
    print_page = _print_on_terminal if sys.stdout.isatty() else _print_plain
    page = list(islice(rows, PAGE))
    widths = [max(map(len, cells)) for cells in zip(columns, *page, strict=True)]
    print_page(page, columns, widths, True)
    while page := list(islice(rows, PAGE)):
        print_page(page, columns, widths, False)


def _print_plain(
    page: list[list[str]], columns: Sequence[str], widths: list[int], header: bool
) -> None:
    for cells in chain([columns] if header else [], page):
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print("  ".join(padded).rstrip())


STYLES = {"id": "dim", "taskId": "cyan", "userName": "green", "timeStamp": "dim", "data": "none"}
WIDEST = 48
"""Characters of a column on a terminal; the last one has what is left of a line."""


def _print_on_terminal(
    page: list[list[str]], columns: Sequence[str], widths: list[int], header: bool
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, color_system="auto" if coloured() else None)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=header, header_style="bold")
    narrow = [min(width, WIDEST) for width in widths[:-1]]
    left = max(12, console.width - sum(narrow) - 2 * len(columns))
    for name, width in zip(columns, [*narrow, min(widths[-1], left)], strict=True):
        style = STYLES.get(name, "none")
        table.add_column(name, width=width, no_wrap=True, overflow="ellipsis", style=style)
    for cells in page:
        table.add_row(*map(Text, cells))
    console.print(table)
