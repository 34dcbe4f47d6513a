"""Runs by inactivity: where a user did nothing in a task for so long, another run begins."""

import re
import sqlite3
from collections.abc import Iterable
from hashlib import blake2b

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.transfer.drafts import Draft
from cybertools.tracking.values import TEXT_LIMIT, format_time, micros_of, shown

__all__ = ["GapRuns", "parse_duration"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")


def parse_duration(text: str) -> float:
    """The seconds of a duration: ``90s``, ``30m``, ``1.5h``, ``2d``.

    :raises InvalidValue: it is none, or none above zero.
    """
    found = _DURATION.fullmatch(text.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if seconds <= 0:
        raise InvalidValue(f"A duration is like 90s, 30m, 1.5h or 2d, not {shown(text)}.")
    return seconds


class GapRuns:
    """The runs of tracks that were all seen before.

    Tracks may come in any order, and be more than fit into memory: they are sorted in a temporary
    file. A run has the user and its beginning as its label, so that the same tracks, seen again in
    any order, have the same runs.
    """

    def __init__(self, gap: float) -> None:
        """No tracks have been seen yet.

        :param gap: seconds; a longer time between two tracks of a user in a task parts two runs.
        """
        self._gap = gap
        self._file = sqlite3.connect("", isolation_level=None)  # a file that goes when closed
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -16000"):
            self._file.execute(f"PRAGMA {pragma}")
        self._file.execute("CREATE TABLE seen (task TEXT, user TEXT, time INTEGER)")

    def see(self, drafts: Iterable[Draft]) -> None:
        """Take note of some of the tracks."""
        self._file.execute("BEGIN")
        self._file.executemany(
            "INSERT INTO seen VALUES (?, ?, ?)",
            ((draft.taskId, draft.userName, micros_of(draft.timeStamp)) for draft in drafts),
        )
        self._file.execute("COMMIT")

    def cut(self) -> None:
        """Make the runs of all that was seen."""
        self._file.execute(
            "CREATE TABLE runs (task TEXT, user TEXT, start INTEGER,"
            " PRIMARY KEY (task, user, start)) WITHOUT ROWID"
        )
        self._file.execute(
            "INSERT INTO runs SELECT task, user, time FROM (SELECT task, user, time,"
            " lag(time) OVER (PARTITION BY task, user ORDER BY time) AS before FROM seen)"
            " WHERE before IS NULL OR time - before > ?",
            (micros_of(self._gap),),
        )
        self._file.execute("DROP TABLE seen")

    def label(self, draft: Draft) -> str:
        """The label of the run that a track belongs to."""
        (start,) = self._file.execute(
            "SELECT max(start) FROM runs WHERE task = ? AND user = ? AND start <= ?",
            (draft.taskId, draft.userName, micros_of(draft.timeStamp)),
        ).fetchone()
        # A track that was not seen (its file has grown meanwhile) may have no run before it.
        began = format_time(draft.timeStamp if start is None else start / 1_000_000)
        label = f"{draft.userName} {began}"
        if len(label) > TEXT_LIMIT or len(label.encode()) > TEXT_LIMIT:
            return f"{blake2b(draft.userName.encode(), digest_size=16).hexdigest()} {began}"
        return label

    def close(self) -> None:
        """Give the temporary file back."""
        self._file.close()
