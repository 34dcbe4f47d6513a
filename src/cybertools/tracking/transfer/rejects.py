"""The lines that could not be imported, kept with their numbers and reasons."""

import json
import os
from io import TextIOWrapper
from pathlib import Path

from cybertools.tracking.transfer.sources import Unreadable

__all__ = ["Rejects"]

TEXT_SHOWN = 64 << 10
"""Bytes of a line that are kept."""

_KEYS = ["file", "line", "reason", "text"]


class Rejects:
    """A file of JSON lines, made when there is something to say.

    It is for its owner's eyes: lines of an access log hold addresses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIOWrapper | None = None
        if path.is_dir():
            raise Unreadable(f"{path} is a directory; rejected lines go into a file.")
        self._exists = path.is_file()
        if self._exists and path.stat().st_size and not _is_ours(path):
            raise Unreadable(
                f"{path} is there and holds no rejected lines: name another file with --rejects."
            )

    @property
    def used(self) -> bool:
        """Whether there is something in it."""
        return self._file is not None

    def add(self, file: str, line: int, reason: str, text: bytes) -> None:
        """Keep a line."""
        if self._file is None:
            opened = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._file = os.fdopen(opened, "w", encoding="utf-8")
        shown = text[:TEXT_SHOWN].decode("utf-8", "backslashreplace")
        values = (file, line, reason, shown)
        self._file.write(json.dumps(dict(zip(_KEYS, values, strict=True)), ensure_ascii=False))
        self._file.write("\n")

    def flush(self) -> None:
        """Write what was kept."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """End the file. Without a rejected line, that of an earlier import is removed."""
        if self._file is not None:
            self._file.close()
        elif self._exists:
            self.path.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        line = file.readline(2 * TEXT_SHOWN)
    try:
        return list(json.loads(line)) == _KEYS
    except (ValueError, TypeError):
        return False
