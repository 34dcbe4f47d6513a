"""Bodies of requests, which can be sent again: in memory while small, then packed in a file."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, NamedTuple, TypeAlias

import httpx
import zstandard

__all__ = ["Body", "Content", "packed", "spooled"]

SMALL = 1 << 16
"""Bytes up to which a body is sent as it is."""

IN_MEMORY = 1 << 20
"""Bytes of a packed body up to which it stays in memory."""

PIECE = 1 << 16
"""Bytes that are sent at a time."""

LEVEL = 3


class Content(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A file as the content of a request, for either kind of client."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


Carried: TypeAlias = bytes | Content


class Body(NamedTuple):
    """A body, ready to be sent any number of times."""

    content: Carried
    size: int
    is_packed: bool
    """With zstd."""


def packed(content: bytes) -> Body:
    """A body in memory."""
    if len(content) <= SMALL:
        return Body(content, len(content), False)
    content = zstandard.compress(content, LEVEL)
    return Body(content, len(content), True)


@contextmanager
def spooled(lines: Iterable[bytes]) -> Iterator[Body | None]:
    """Lines as a body; None if there are none.

    All of them are there before the first is sent: so a request never waits for its sender,
    and it can be repeated.
    """
    source = iter(lines)
    first = _first(source, SMALL)
    if len(first) <= SMALL:
        yield Body(first, len(first), False) if first else None
        return
    with SpooledTemporaryFile(IN_MEMORY) as file:
        packer = zstandard.ZstdCompressor(LEVEL).compressobj()
        file.write(packer.compress(first))
        for line in source:
            file.write(packer.compress(line))
        file.write(packer.flush())
        yield Body(Content(file), file.tell(), True)


def _first(source: Iterator[bytes], size: int) -> bytes:
    """The first lines; more than so many bytes, if there are more."""
    lines: list[bytes] = []
    for line in source:
        lines.append(line)
        size -= len(line)
        if size < 0:
            break
    return b"".join(lines)
