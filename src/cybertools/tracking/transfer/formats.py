"""The formats that can be imported, and which of them a text is."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

from cybertools.tracking.transfer.access import is_access_line, read_access_log
from cybertools.tracking.transfer.delimited import read_csv, read_tsv
from cybertools.tracking.transfer.drafts import Entry, Reading, UnusableFormat
from cybertools.tracking.transfer.edx import is_edx_line, read_edx_log
from cybertools.tracking.transfer.jsonlines import read_json_lines
from cybertools.tracking.transfer.sources import Source

__all__ = ["ANONYMOUS", "FORMATS", "MAPPED", "Format", "format_of"]

Format: TypeAlias = Literal["jsonl", "csv", "tsv", "access", "edx"]

FORMATS: dict[Format, Callable[[Iterable[bytes], Reading], Iterator[Entry]]] = {
    "jsonl": read_json_lines,
    "csv": read_csv,
    "tsv": read_tsv,
    "access": read_access_log,
    "edx": read_edx_log,
}

MAPPED: tuple[Format, ...] = ("jsonl", "csv", "tsv")
"""Those whose names can be mapped."""

ANONYMOUS: tuple[Format, ...] = ("access", "edx")
"""Those with users who are only known by their addresses."""

_LOOKED_AT = 50


def format_of(source: Source) -> Format:
    """The format of a source, from its first lines.

    :raises UnusableFormat: it is none of ours.
    """
    lines = [line for line in source.head.split(b"\n") if line.strip()][:_LOOKED_AT]
    if not lines:
        return "jsonl"  # no lines, of whatever format
    first = lines[0].lstrip()
    if first.startswith(b"["):
        raise UnusableFormat(
            f"{source.name} is one JSON list; JSON lines have an object each:"
            " jq -c '.[]' FILE | tracks import -"
        )
    objects = [line for line in lines if line.lstrip().startswith(b"{")]
    if objects:
        return "edx" if is_edx_line(objects[0]) else "jsonl"
    if any(is_access_line(line) for line in lines):
        return "access"
    if b"\t" in first:
        return "tsv"
    if b"," in first or b";" in first:
        return "csv"
    raise UnusableFormat(
        f"{source.name} is of no format that is known; say which it is: --format"
        f" {'|'.join(FORMATS)}."
    )
