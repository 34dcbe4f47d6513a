"""CSV and TSV: a header, and a record a row, which may go over several lines."""

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cybertools.tracking.errors import InvalidData, InvalidValue, TrackingError
from cybertools.tracking.transfer.drafts import (
    TARGETS,
    Draft,
    Entry,
    Reading,
    UnusableFormat,
    decoded,
    drafted,
)
from cybertools.tracking.transfer.jsonlines import merged
from cybertools.tracking.transfer.sources import LINE_LIMIT

__all__ = ["read_csv", "read_tsv"]

# It holds for the whole process. The limit of a line is checked here, for each record.
csv.field_size_limit(2 * LINE_LIMIT)


def read_csv(lines: Iterable[bytes], reading: Reading) -> Iterator[Entry]:
    """The tracks of a CSV file. The delimiter is a semicolon where its header has more of them."""
    return _read(lines, reading, None)


def read_tsv(lines: Iterable[bytes], reading: Reading) -> Iterator[Entry]:
    """The tracks of a file with tabs between its cells."""
    return _read(lines, reading, "\t")


def _read(lines: Iterable[bytes], reading: Reading, delimiter: str | None) -> Iterator[Entry]:
    """Columns without a place of their own go into ``data``, as text.

    A column ``data`` holds a JSON object. An ``id`` beside it is that of an exported track.

    :raises UnusableFormat: the header cannot be one.
    """
    pull = _Lines(lines)
    header = next((line for line in pull if line.strip()), None)
    if header is None:
        return
    if delimiter is None:
        delimiter = ";" if header.count(";") > header.count(",") else ","
    pull.give_back(len(pull.taken) - 1)
    pull.begin()
    rows = csv.reader(pull, delimiter=delimiter, strict=True)
    try:
        columns = [name.strip() for name in next(rows)]
    except (csv.Error, _TooLong) as error:
        raise UnusableFormat(
            f"The header, line {pull.taken[0][0]}, cannot be read: {error}."
        ) from None
    parse = _row_parser(columns, reading)
    while True:
        pull.begin()
        row: list[str] = []
        reason: str | None = None
        try:
            row = next(rows)
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            reason = f"The row cannot be read: {error}."
        if reason is None:
            if len(row) < 2 and not "".join(row).strip():
                continue
            if len(row) != len(columns):
                reason = f"The row has {len(row)} cells, the header {len(columns)}."
        number, line = pull.taken[0]
        if reason is not None:
            # A quotation mark too many has perhaps made one row of several: the others are tried.
            pull.give_back(1)
            yield number, line, reason
        else:
            text = b"\n".join(line for _, line in pull.taken)
            yield number, text, _parsed(parse, row, text)


def _parsed(parse: Callable[[list[str], bytes], Draft], row: list[str], text: bytes) -> Draft | str:
    try:
        return parse(row, text)
    except TrackingError as error:
        reason = str(error)
    try:
        text.decode()
    except UnicodeDecodeError as error:
        reason = f"The row is not UTF-8: byte {error.start + 1} is wrong."
    return reason


class _TooLong(ValueError):
    """A row does not end within the limit of a line."""


class _Lines:
    """The lines of a file as text, with those that make up the present row."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = enumerate(lines, 1)
        self._returned: deque[tuple[int, bytes]] = deque()
        self.taken: list[tuple[int, bytes]] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = self._returned.popleft() if self._returned else next(self._lines)
        self.taken.append((number, line))
        self._size += len(line)
        if self._size > LINE_LIMIT:
            raise _TooLong(f"it is longer than {LINE_LIMIT >> 20} MiB")
        # Undecodable bytes become lone surrogates, which the check of each value refuses.
        return line.decode("utf-8", "surrogateescape") + "\n"

    def begin(self) -> None:
        """A new row begins."""
        self.taken.clear()
        self._size = 0

    def give_back(self, start: int) -> None:
        """All lines of the present row from that one on are to be read again."""
        self._returned.extendleft(reversed(self.taken[start:]))
        del self.taken[start:]
        self._size = 0


def _row_parser(columns: list[str], reading: Reading) -> Callable[[list[str], bytes], Draft]:
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise UnusableFormat(f"Two columns have the name {twice!r}.")
    places = [_place(columns, target, reading) for target in TARGETS]
    task, run, user, time, data, key = places
    rest = [
        (name, place)
        for place, name in enumerate(columns)
        if place not in places and not (name == "id" and data is not None)
    ]

    def parse(row: list[str], mark: bytes) -> Draft:
        others: dict[str, Any] = {name: row[place] for name, place in rest}
        content = others if data is None else merged(_json_cell(row[data]), others)
        return drafted(
            None if task is None else row[task],
            None if run is None else row[run],
            None if user is None else row[user],
            None if time is None else row[time],
            content,
            mark,
            reading,
            None if key is None else row[key] or None,
        )

    return parse


def _place(columns: list[str], target: str, reading: Reading) -> int | None:
    name = reading.name_of(target)
    if name in columns:
        return columns.index(name)
    if target in reading.names or target in ("taskId", "userName"):
        raise UnusableFormat(
            f"There is no column {name!r} for {target}. The columns are: {', '.join(columns)};"
            f" say which is which: --map taskId=COLUMN,userName=COLUMN"
        )
    return None


def _json_cell(text: str) -> Any:
    if not text:
        return {}
    try:
        return decoded(text.encode("utf-8", "surrogateescape"))
    except InvalidValue as error:
        raise InvalidData(f"data: {str(error).replace('The line', 'the cell')}") from None
