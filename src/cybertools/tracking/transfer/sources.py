"""Where lines come from: files and standard input, plain or compressed, in constant memory."""

import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from cybertools.tracking.errors import InvalidValue

__all__ = ["LINE_LIMIT", "Feed", "Source", "Unreadable", "open_source"]

LINE_LIMIT = 8 << 20
"""Bytes of a line: more than the data of a track (1 MiB) take with each character escaped."""

_CHUNK = 256 << 10
_HEAD = 64 << 10
_ZSTD_SLICE = 1 << 10  # a frame may say "128 KiB of this byte" in four bytes

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # its bytes 1 to 3
_BOM = b"\xef\xbb\xbf"
_NO_TEXT = (
    (b"BZh91AY&SY", "is compressed with bzip2: bzcat {0} | tracks import -"),
    (b"\xfd7zXZ\0", "is compressed with xz: xzcat {0} | tracks import -"),
    (b"PK\x03\x04", "is a ZIP archive: unzip -p {0} | tracks import -"),
    (b"\xff\xfe", "is UTF-16 text: iconv -f UTF-16 -t UTF-8 {0} | tracks import -"),
    (b"\xfe\xff", "is UTF-16 text: iconv -f UTF-16 -t UTF-8 {0} | tracks import -"),
)


class Unreadable(InvalidValue):
    """What was given has no lines to read: it is not there, a directory, a binary file."""


class _Broken(Exception):
    """A compressed stream cannot be read on."""


class _Truncated(_Broken):
    """A compressed stream ends too early."""


@dataclass(frozen=True, slots=True)
class Source:
    """Something with lines."""

    name: str
    """As messages show it."""
    size: int | None
    """Bytes, as it is stored; None where that is not known."""
    head: bytes
    """The beginning of its text."""
    chunks: Callable[[], Iterator[bytes]]
    """What is stored, from the beginning."""
    close: Callable[[], object] = bool
    """Gives back what it holds open."""


def open_source(name: str, again: bool = False) -> Source:
    """The source of that path; ``-`` is standard input.

    :param again: its chunks will be read more than once. What comes through a pipe is kept in a
        temporary file then.
    :raises Unreadable: it is not there, no file, or no text.
    """
    if name == "-":
        return _from_stream("standard input", sys.stdin.buffer, again)
    path = Path(name)
    if path.is_dir():
        raise Unreadable(f"{name} is a directory: name the files in it.")
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise Unreadable(f"There is no file {name}.") from None
    except OSError as error:
        raise Unreadable(f"{name} cannot be read: {error.strerror}.") from error
    if not stream.seekable():
        return _from_stream(name, stream, again)
    with stream:
        head = _head(name, stream.read(_HEAD))

    def chunks() -> Iterator[bytes]:
        with path.open("rb") as stream:
            yield from _read(stream)

    return Source(name, path.stat().st_size, head, chunks)


def _from_stream(name: str, stream: BinaryIO, again: bool) -> Source:
    first = stream.read(_HEAD)
    head = _head(name, first)
    if not again:
        return Source(name, None, head, lambda: chain((first,), _read(stream)), stream.close)
    kept = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the source)
    with stream:
        kept.writelines(chain((first,), _read(stream)))

    def chunks() -> Iterator[bytes]:
        kept.seek(0)
        yield from _read(kept)

    return Source(name, None, head, chunks, kept.close)


def _read(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _head(name: str, stored: bytes) -> bytes:
    for magic, what in _NO_TEXT:
        if stored.startswith(magic):
            raise Unreadable(f"{name} {what.format(name)}")
    head = b""
    try:
        for piece in _text(iter((stored,))):
            head += piece
            if len(head) >= _HEAD:
                break
    except _Truncated:
        pass  # of course: it is only the beginning
    except _Broken as error:
        if not head:
            raise Unreadable(f"{name} cannot be read: {error}.") from None
    if b"\0" in head:
        raise Unreadable(f"{name} is a binary file: it holds NUL bytes where text belongs.")
    return head.removeprefix(_BOM)


class Feed:
    """The lines of a source, read once, without the line feeds between them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.position = 0
        """Bytes read so far, as the source is stored."""
        self.count = 0
        """Lines given so far."""
        self.broken: str | None = None
        """Why the source could not be read to its end."""
        self.tail = b""
        """The part of a line at which a broken source ends."""

    def __iter__(self) -> Iterator[bytes]:
        tail = b""
        texts = _text(self._counted())
        while True:
            try:
                text = next(texts, None)
            except _Broken as error:
                self.broken, self.tail = str(error), tail
                return
            if text is None:
                break
            lines = (tail + text).split(b"\n")
            tail = lines.pop()
            if len(tail) > LINE_LIMIT:
                tail = tail[: LINE_LIMIT + 1]  # enough to see that it is too long
            if lines and not self.count:
                lines[0] = lines[0].removeprefix(_BOM)
            self.count += len(lines)
            yield from lines
        if tail:
            if not self.count:
                tail = tail.removeprefix(_BOM)
            self.count += 1
            yield tail

    def _counted(self) -> Iterator[bytes]:
        for chunk in self._source.chunks():
            self.position += len(chunk)
            yield chunk


def _text(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks as they were before they were compressed, if they were."""
    first = next(chunks, b"")
    every = chain((first,), chunks)
    if first.startswith(_GZIP):
        return _gunzipped(every)
    if first.startswith(_ZSTD) or (first[1:4] == _ZSTD_SKIPPABLE and first[0] >> 4 == 5):
        return _unzstded(every)
    return every


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for chunk in chunks:
            left = chunk
            while left:
                if inflater.eof:  # another member; between them may be padding
                    left = left.lstrip(b"\0")
                    if not left:
                        break
                    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
                yield inflater.decompress(left, _CHUNK)
                left = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        yield inflater.flush()
    except zlib.error as error:
        raise _Broken(f"its gzip data are damaged ({error})") from None
    if not inflater.eof:
        raise _Truncated("its gzip data end too early: the file is truncated")


def _unzstded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import zstandard

    frames = zstandard.ZstdDecompressor()
    frame = frames.decompressobj()
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), _ZSTD_SLICE):
                left = chunk[start : start + _ZSTD_SLICE]
                while left:
                    if frame.eof:
                        frame = frames.decompressobj()
                    yield frame.decompress(left)
                    left = frame.unused_data if frame.eof else b""
    except zstandard.ZstdError as error:
        raise _Broken(f"its zstd data are damaged ({error})") from None
    if not frame.eof:
        raise _Truncated("its zstd data end too early: the file is truncated")
