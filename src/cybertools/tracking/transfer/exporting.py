"""Export: a storage's tracks as JSON lines, CSV, Parquet or Arrow, in constant memory.

Any import takes JSON lines and CSV; the others are for analysis.
"""

import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import orjson

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.track import METADATA, Track
from cybertools.tracking.values import json_time

__all__ = [
    "COLUMNS",
    "FILE_FORMATS",
    "WRITERS",
    "ExportFormat",
    "FileFormat",
    "export_file",
    "export_lines",
    "export_pieces",
    "write_file",
]

ExportFormat: TypeAlias = Literal["jsonl", "csv"]

FileFormat: TypeAlias = ExportFormat | Literal["parquet", "arrow"]

FILE_FORMATS: tuple[FileFormat, ...] = ("jsonl", "csv", "parquet", "arrow")

COLUMNS = ("id", *METADATA, "data")

CHUNK = 1_000
"""Tracks that are written at a time."""


def export_lines(
    storage: Storage, format: ExportFormat = "jsonl", **criteria: Any
) -> Iterator[tuple[int, bytes]]:
    """The tracks that meet the criteria of a query, as text in pieces of many lines.

    A run that has a label is given by it, any other by its number: an import makes runs with these
    labels, so what is exported and imported has the same runs, under new numbers.

    :returns: pieces, each with the number of its tracks. That of a header is 0.
    """
    written = WRITERS[format]
    tracks = storage.iterTracks(**criteria)

    @lru_cache(maxsize=10_000)
    def run_of(runId: int) -> str | int:
        run = storage.getRun(runId)
        return runId if run is None or run.label is None else run.label

    if format == "csv":
        yield 0, csv_row(*COLUMNS).encode()
    while chunk := list(islice(tracks, CHUNK)):
        yield len(chunk), written(chunk, run_of)


def export_pieces(
    storage: Storage, format: FileFormat = "jsonl", **criteria: Any
) -> Iterator[tuple[int, bytes]]:
    """The same as `export_lines` in any format. Of Parquet and Arrow, runs have their numbers.

    :raises Unsupported: Parquet and Arrow need pyarrow, which is not installed.
    """
    if format == "jsonl" or format == "csv":  # noqa: PLR1714 (a set would not narrow the type)
        return export_lines(storage, format, **criteria)
    from cybertools.tracking.transfer.arrow import arrow_pieces, to_arrow

    return arrow_pieces(to_arrow(storage, **criteria), format)


def export_file(
    storage: Storage, path: str, format: FileFormat | None = None, **criteria: Any
) -> Iterator[int]:
    """Write the tracks that meet the criteria to a file, as `write_file` does.

    :param format: by default that of the name: CSV, Parquet or Arrow where it ends in ``.csv``,
        ``.parquet`` or ``.arrow`` (before ``.gz`` or ``.zst``), else JSON lines.
    """
    target = Path(path)
    plain = target.with_suffix("") if target.suffix.lower() in _PACKERS else target
    suffix = plain.suffix.lower().removeprefix(".")
    known = [f for f in FILE_FORMATS if f == suffix] or ["jsonl"]
    return write_file(path, export_pieces(storage, format or known[0], **criteria))


def write_file(path: str, pieces: Iterable[tuple[int, bytes]]) -> Iterator[int]:
    """Write pieces of text to a file, with the number of tracks written after each piece.

    The file appears when it is complete, in the place of one that was there. It is compressed if
    its name ends in ``.gz`` or ``.zst``.

    :param pieces: each with the number of tracks in it.
    :raises InvalidValue: the path is that of a directory, or in one that is not there.
    """
    target = Path(path)
    folder = target.absolute().parent
    if target.is_dir():
        raise InvalidValue(f"{path} is a directory; a file is written.")
    if not folder.is_dir():
        raise InvalidValue(f"There is no directory {folder}.")
    suffix = target.suffix.lower()
    if target.exists() and not target.is_file():  # /dev/stdout, a named pipe
        with target.open("wb") as stream:
            yield from _written(pieces, stream, suffix)
        return
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield from _written(pieces, stream, suffix)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(_mode(target))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode(target: Path) -> int:
    """The rights of the file that was there, or those of any new file."""
    if target.exists():
        return target.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def _written(pieces: Iterable[tuple[int, bytes]], stream: BinaryIO, suffix: str) -> Iterator[int]:
    pack, end = _PACKERS.get(suffix, _unpacked)()
    total = 0
    for count, piece in pieces:
        stream.write(pack(piece))
        total += count
        yield total
    stream.write(end())


_Packer: TypeAlias = tuple[Callable[[bytes], bytes], Callable[[], bytes]]


def _unpacked() -> _Packer:
    return lambda piece: piece, bytes


def _gzip() -> _Packer:
    # No name and no time go into the file: equal tracks make equal files.
    packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress, packer.flush


def _zstd() -> _Packer:
    import zstandard

    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress, packer.flush


_PACKERS: dict[str, Callable[[], _Packer]] = {".gz": _gzip, ".zst": _zstd}


def _json_lines(tracks: list[Track], run_of: Callable[[int], str | int]) -> bytes:
    """The data go out as they are stored: a number of any size stays what it is."""
    lines: list[str] = []
    for track in tracks:
        head = orjson.dumps(
            {
                "id": track.id,
                "taskId": track.taskId,
                "runId": run_of(track.runId),
                "userName": track.userName,
                "timeStamp": json_time(track.timeStamp),
            }
        ).decode()
        lines.append(f'{head[:-1]},"data":{track.json}}}\n')
    return "".join(lines).encode()


def _csv_rows(tracks: list[Track], run_of: Callable[[int], str | int]) -> bytes:
    return "".join(
        csv_row(t.id, t.taskId, run_of(t.runId), t.userName, json_time(t.timeStamp), t.json)
        for t in tracks
    ).encode()


def csv_row(*values: object) -> str:
    """A row of CSV. None is an empty cell."""
    return ",".join("" if value is None else _csv_cell(str(value)) for value in values) + "\n"


_SPECIAL = re.compile('[,"\r\n]')


def _csv_cell(text: str) -> str:
    # Not the standard library's writer: before Python 3.13 it leaves a lone carriage return
    # unquoted, where each reader sees the end of the row.
    if not _SPECIAL.search(text):
        return text
    quoted = text.replace('"', '""')
    return f'"{quoted}"'


WRITERS: dict[ExportFormat, Callable[[list[Track], Callable[[int], str | int]], bytes]] = {
    "jsonl": _json_lines,
    "csv": _csv_rows,
}
"""The text of some tracks in each format; the second argument gives a run's name by its id."""
