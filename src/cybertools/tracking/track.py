"""The values: a track, and a run. Both are immutable, and know nothing of storages."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from cybertools.tracking.values import (
    TimeStamp,
    check_run_id,
    check_text,
    decode_data,
    encode_data,
    format_time,
    json_time,
    now,
    parse_time_stamp,
    parse_track_id,
    short_time,
    track_id,
)

__all__ = [
    "HTML_ROWS",
    "METADATA",
    "Row",
    "Run",
    "RunRow",
    "Track",
    "TrackList",
    "html_table",
]

METADATA = ("taskId", "runId", "userName", "timeStamp")

Row = tuple[int, str, int, str, float, str]
"""A stored track: number, taskId, runId, userName, timeStamp, data as JSON text."""


class RunRow(NamedTuple):
    """A stored run. Its start and end (see `Run`) are derived from this and from its tracks."""

    id: int
    taskId: str | None
    label: str | None
    startedAt: float
    stoppedAt: float | None
    finished: bool
    isCurrent: bool


_T = TypeVar("_T", bound="Track")


class Track:
    """One thing that one user did in one task, during one run, at one time.

    A subclass is a *track type*: it has a ``typeName`` and, in ``index_attributes``, further
    names that are taken from ``data``, can be queried by, and are attributes of its tracks::

        class Comment(Track):
            typeName = "Comment"
            index_attributes = (*Track.index_attributes, "state")

    ``data`` is a private copy: changing it changes neither the storage nor another track.
    """

    __slots__ = ("_data", "_row")

    typeName: ClassVar[str] = "Track"
    metadata_attributes: ClassVar[tuple[str, ...]] = METADATA
    index_attributes: ClassVar[tuple[str, ...]] = METADATA

    _row: Row
    _data: dict[str, Any] | None

    def __init__(
        self,
        taskId: str,
        runId: int,
        userName: str,
        data: Mapping[str, Any] | None = None,
        timeStamp: TimeStamp | None = None,
        id: str = "",
    ) -> None:
        row = (
            parse_track_id(id) if id else 0,
            check_text(taskId, "taskId"),
            check_run_id(runId),
            check_text(userName, "userName"),
            now() if timeStamp is None else parse_time_stamp(timeStamp),
            encode_data({} if data is None else data),
        )
        _set_row(self, row)
        _set_data(self, None)

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """A track of what an engine has stored. Its data are decoded when they are asked for."""
        track = _new(cls)
        _set_row(track, row)
        _set_data(track, None)
        return track

    @property
    def id(self) -> str:
        """The track's id: ``'0000001'``; empty where it was never stored."""
        return track_id(self._row[0]) if self._row[0] else ""

    @property
    def number(self) -> int:
        """The number in the track's id."""
        return self._row[0]

    @property
    def taskId(self) -> str:
        """What was worked on."""
        return self._row[1]

    @property
    def runId(self) -> int:
        """The pass through the task that it belongs to."""
        return self._row[2]

    @property
    def userName(self) -> str:
        """Who did it."""
        return self._row[3]

    @property
    def timeStamp(self) -> float:
        """When: seconds since 1970 UTC, with microseconds."""
        return self._row[4]

    @property
    def json(self) -> str:
        """The data as JSON text, as they are stored."""
        return self._row[5]

    @property
    def data(self) -> dict[str, Any]:
        """What was recorded."""
        data = self._data
        if data is None:
            data = decode_data(self._row[5])
            _set_data(self, data)
        return data

    @property
    def metadata(self) -> dict[str, Any]:
        """``taskId``, ``runId``, ``userName`` and ``timeStamp``, as a new mapping."""
        return dict(zip(METADATA, self._row[1:5], strict=True))

    def as_dict(self) -> dict[str, Any]:
        """The track as JSON has it: ``id``, the metadata, and ``data``."""
        row = self._row
        return {
            "id": self.id,
            "taskId": row[1],
            "runId": row[2],
            "userName": row[3],
            "timeStamp": json_time(row[4]),
            "data": self.data,
        }

    def __getattr__(self, name: str) -> Any:
        if name in type(self).index_attributes:
            return self.data.get(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"A track is immutable: {name!r} cannot be set; the storage's updateTrack can."
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"A track is immutable: {name!r} cannot be deleted.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Track):
            return NotImplemented
        return self._row[:5] == other._row[:5] and (
            self._row[5] == other._row[5] or decode_data(self._row[5]) == decode_data(other._row[5])
        )

    def __hash__(self) -> int:
        return hash(self._row[:5])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_row, (self._row,)

    def _repr_html_(self) -> str:
        """The track as HTML, for notebooks."""
        return TrackList([self])._repr_html_()

    def __repr__(self) -> str:
        row = self._row
        metadata = [row[1], row[2], row[3], short_time(row[4])]
        return f"<{self.typeName} {metadata!r}: {self.data!r}>"


_new = object.__new__
# A track's own __setattr__ refuses; the slots themselves are the quickest way past it.
_set_row: Any = Track.__dict__["_row"].__set__
_set_data: Any = Track.__dict__["_data"].__set__


class TrackList(list[_T]):
    """Tracks that a notebook shows as a table; in all else a list."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """The first tracks as HTML. All that was stored is text in it."""
        rows = (
            (t.id, t.taskId, str(t.runId), t.userName, format_time(t.timeStamp), t.json)
            for t in self[:HTML_ROWS]
        )
        return html_table(("id", *METADATA, "data"), rows, len(self))


HTML_ROWS = 100
"""Rows that a notebook shows."""


def html_table(
    names: Iterable[str], rows: Iterable[Iterable[str]], count: int, caption: str = ""
) -> str:
    """Text in rows as an HTML table, of which there are ``count`` in all."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    more = f"<p>{count - HTML_ROWS:,} more rows</p>" if count > HTML_ROWS else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


class Run(NamedTuple):
    """One pass through a task, "sort of a session"."""

    id: int
    taskId: str | None
    start: float
    """Seconds since 1970 UTC: when it was started, or its earliest track if that is earlier."""
    end: float
    """Its last track, or when it was stopped."""
    finished: bool = False
    label: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON has it."""
        return {
            "runId": self.id,
            "taskId": self.taskId,
            "label": self.label,
            "start": json_time(self.start),
            "end": json_time(self.end),
            "finished": self.finished,
        }

    def __repr__(self) -> str:
        return f"<Run {self.id}, {short_time(self.start)}, {short_time(self.end)}, {self.finished}>"
