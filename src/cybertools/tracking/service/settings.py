"""The settings of a service: one visible table, with units."""

from dataclasses import dataclass, field

from cybertools.tracking.service.segment import SegmentMapping

__all__ = ["Settings"]

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """What a service serves, and within which bounds."""

    url: str
    """The database."""
    names: tuple[str, ...] = ("tracks",)
    """Storages that are made when the service starts, if they are not there."""
    attributes: tuple[str, ...] = ()
    """Names in ``data`` that each storage made by the service has an index for."""
    origins: tuple[str, ...] = ()
    """Web pages whose scripts may read answers (CORS): ``https://example.org``, or ``*``."""

    segment: SegmentMapping = field(default_factory=SegmentMapping)
    """How the messages of Segment's libraries become tracks."""

    body_bytes: int = 8 * MIB
    """Of a request's body, as it comes."""
    decoded_bytes: int = 64 * MIB
    """Of a request's body, when it is decompressed."""
    memory_bytes: int = 256 * MIB
    """Of all bodies that are being worked on; a request for which there is no room is told to
    come again."""
    waiting_tracks: int = 20_000
    """Of each storage: tracks that wait to be stored. Beyond them requests are told to come
    again."""
    group_tracks: int = 2_000
    """Tracks with which a transaction is large enough; and of a longer list each so many."""

    page_tracks: int = 100
    """Of a page for which no limit was asked for."""
    page_tracks_most: int = 1_000
    """The highest limit that a page may have."""
    line_streams: int = 8
    """Of each storage: queries that are sent as lines at the same time."""
    head_seconds: float = 20.0
    """How long a client may take to send a request line with its headers, or twice as long at most;
    then its connection is closed. So it is where a client goes on to send a body that was answered
    already."""
    body_seconds: float = 20.0
    """How long a client may take to send a body, with a second more for each `body_rate` bytes that
    have come; then it is refused, and its connection is closed."""
    body_rate: int = 1_024
    """Bytes a second at which a body may go on to come for longer than that. So the largest one
    takes at most a bit more than two hours."""
    stall_seconds: float = 60.0
    """How long a client may take nothing of an answer until it is cut off; of one that is sent as a
    whole, `head_seconds` longer at most."""

    page_seconds: float = 0.25
    """How long a browser waits for a page until it is given one that says so."""

    admitted_seconds: float = 15.0
    """How long an answer that is sent bit by bit goes on until its token is looked at again."""

    watchers: int = 1_000
    """Clients that watch a storage."""
    watcher_bytes: int = 4 * MIB
    """Of events that wait for a client that is slow; with more it is cut, and may resume."""
    poll_seconds: float = 0.5
    """How soon tracks that other processes have saved are seen by those who watch."""
    gap_seconds: float = 60.0
    """How long a track may take to appear after one with a higher id, and still be seen."""
    heartbeat_seconds: float = 15.0
    """Between signs of life to those who watch."""
