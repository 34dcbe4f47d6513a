"""Live streams: what is saved, as it is saved, by this process or any other.

One task for each storage that is watched looks for new tracks: at once after a commit of this
process, else now and then, since others may save to the same database. Each track is read and
encoded once, whoever watches.

Where several transactions write at once, as in PostgreSQL, a track may become visible after one
with a higher id. A number that is passed over is therefore remembered as a gap, and looked for
until it is there or some time has gone by; what comes late is sent late. The order in which tracks
were sent is remembered too, so who comes back after a break gets what it has missed of those.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from cybertools.tracking.codec import row_json
from cybertools.tracking.criteria import Criteria, acceptor
from cybertools.tracking.errors import TrackingError
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.service.reading import Reader
from cybertools.tracking.track import Row
from cybertools.tracking.values import track_id

__all__ = ["Feed", "Watcher", "event"]

log = logging.getLogger(__name__)

PAGE = 500
"""Tracks that are read at a time."""

REMEMBERED = 50_000
"""Numbers of the tracks that were sent last, in the order of sending."""

GAPS = 1_000
"""Ranges of numbers that were passed over; of more the oldest are given up."""

PAUSE = 0.02
"""Seconds between two looks, at least: commits may come by the hundred."""


def event(row: Row) -> bytes:
    """A track as a server-sent event."""
    return b"id: %s\nevent: track\ndata: %s\n\n" % (track_id(row[0]).encode(), row_json(row))


class Watcher:
    """One client that watches: the events that wait for it."""

    def __init__(self, criteria: Criteria, begin: int, most: int) -> None:
        """Watch from a number on.

        :param begin: the highest number that was sent before.
        :param most: so many bytes may wait.
        """
        self.begin = begin
        self.is_cut = False
        """It was too slow; it has to come back."""
        self.accepts: Callable[[Row], bool] = acceptor(criteria)
        self._most = most
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._late: set[int] = set()

    def put(self, row: Row, text: bytes) -> None:
        """Add a track, if it is one that is watched."""
        if self.is_cut or not self.accepts(row):
            return
        if row[0] <= self.begin and not self.is_first(row[0]):
            return
        self._bytes += len(text)
        if self._bytes > self._most:
            self.cut()
            return
        self._events.append(text)
        self._wake.set()

    def is_first(self, number: int) -> bool:
        """Whether a track that is late comes for the first time, of the two ways that it may."""
        if number in self._late:
            return False
        self._late.add(number)
        return True

    def cut(self) -> None:
        """Let it end after what waits."""
        self.is_cut = True
        self._wake.set()

    async def take(self, seconds: float) -> bytes:
        """What has come, at most some of it; empty after so many seconds without anything."""
        if not (self._events or self.is_cut):
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), seconds)
            except TimeoutError:
                return b""
        taken = [self._events.popleft() for _ in range(min(len(self._events), PAGE))]
        text = b"".join(taken)
        self._bytes -= len(text)
        return text

    @property
    def is_done(self) -> bool:
        """Whether nothing will come any more."""
        return self.is_cut and not self._events


@dataclass(slots=True)
class _Gap:
    """Numbers that were passed over."""

    first: int
    last: int
    until: float = field(compare=False)
    """When to give them up; by the monotonic clock."""


@dataclass(slots=True)
class _Found:
    """What a look has found."""

    rows: list[Row]
    gaps: list[_Gap]
    head: int


class Feed:
    """The tracks of a storage as they come."""

    def __init__(
        self, storage: Storage, reader: Reader, poll: float, patience: float, most: int
    ) -> None:
        """Make one; it begins with the first who watches.

        :param poll: seconds between looks for what others have saved.
        :param patience: seconds for which a gap is looked at.
        :param most: so many bytes may wait for a watcher.
        """
        self._storage, self._reader = storage, reader
        self._poll, self._patience, self._most = poll, patience, most
        self._watchers: set[Watcher] = set()
        self._sent: deque[int] = deque(maxlen=REMEMBERED)
        self._gaps: list[_Gap] = []
        self._head = 0
        self._wake = asyncio.Event()
        self._begun: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._watchers)

    def wake(self) -> None:
        """Look at once: something was saved."""
        if self._watchers:
            self._wake.set()

    async def watch(self, criteria: Criteria) -> Watcher:
        """A new watcher; it gets what is sent from now on."""
        if self._begun is None:
            self._begun = asyncio.create_task(self._begin())
        await asyncio.shield(self._begun)
        watcher = Watcher(criteria, self._head, self._most)
        self._watchers.add(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """It watches no more."""
        self._watchers.discard(watcher)

    def late_since(self, number: int) -> list[int]:
        """The lower numbers that were sent after that one."""
        late: list[int] = []
        for sent in reversed(self._sent):
            if sent == number:
                return sorted(late)
            if sent < number:
                late.append(sent)
        return []

    async def missed(self, watcher: Watcher, number: int, criteria: Criteria) -> AsyncIterator[Row]:
        """The tracks that a watcher has missed who had come as far as that number, page by page."""
        engine = self._storage.engine
        for late in self.late_since(number):
            row = await self._reader.work(engine.track, late)
            if row is not None and watcher.accepts(row):
                yield row
        while number < watcher.begin:
            page = Criteria(criteria.matches, criteria.time_from, criteria.time_to, PAGE, number)
            rows = await self._reader.work(engine.select, page)
            for row in rows:
                if row[0] > watcher.begin:
                    return
                if not self._may_be_late(row[0]) or watcher.is_first(row[0]):
                    yield row
            if len(rows) < PAGE:
                return
            number = rows[-1][0]

    def _may_be_late(self, number: int) -> bool:
        return any(gap.first <= number <= gap.last for gap in self._gaps)

    def end(self) -> None:
        """Let all who watch end."""
        for watcher in self._watchers:
            watcher.cut()

    async def close(self) -> None:
        """End."""
        self.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # Looking

    async def _begin(self) -> None:
        # What is not yet visible of the last numbers may still come.
        rows = await self._reader.work(_last_rows, self._storage)
        numbers = [row[0] for row in rows]
        self._head = numbers[-1] if numbers else 0
        self._gaps = self._between(numbers[0], numbers) if numbers else []
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._poll)
            self._wake.clear()
            try:
                while await self._look():
                    pass
            except TrackingError as error:
                # The database is away for a while; what is missed now is found later.
                log.warning("A look for new tracks has failed: %s", type(error).__name__)
                await asyncio.sleep(self._poll)
            await asyncio.sleep(PAUSE)

    async def _look(self) -> bool:
        """Send what is new; whether there may be more."""
        found = await self._reader.work(self._find, self._head, self._gaps)
        self._head, self._gaps = found.head, found.gaps
        for row in found.rows:
            self._sent.append(row[0])
            if self._watchers:
                text = event(row)
                for watcher in self._watchers:
                    watcher.put(row, text)
        return len(found.rows) >= PAGE

    def _find(self, head: int, gaps: list[_Gap]) -> _Found:
        select = self._storage.engine.select
        late: list[Row] = []
        left: list[_Gap] = []
        now = time.monotonic()
        for gap in gaps:
            rows = select(Criteria(limit=1, after=gap.first - 1))
            if rows and rows[0][0] <= gap.last:
                size = min(gap.last - gap.first + 1, PAGE)
                rows = [
                    row
                    for row in select(Criteria(limit=size, after=gap.first - 1))
                    if row[0] <= gap.last
                ]
                late += rows
                left += self._between(gap.first - 1, [*(row[0] for row in rows), gap.last + 1])
            elif now < gap.until:
                left.append(gap)
        new = select(Criteria(limit=PAGE, after=head))
        numbers = [row[0] for row in new]
        left += self._between(head, numbers)
        return _Found(late + new, left[-GAPS:], numbers[-1] if numbers else head)

    def _between(self, before: int, numbers: list[int]) -> list[_Gap]:
        """The gaps between ascending numbers."""
        until = time.monotonic() + self._patience
        gaps: list[_Gap] = []
        for number in numbers:
            if number > before + 1:
                gaps.append(_Gap(before + 1, number - 1, until))
            before = number
        return gaps


def _last_rows(storage: Storage) -> list[Row]:
    """The last tracks by number, ascending."""
    # Upwards only is a page by id quick; so the highest number is looked for by halving.
    track_after = storage.engine.select
    low, high = 0, 1
    while track_after(Criteria(limit=1, after=high)):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if track_after(Criteria(limit=1, after=middle)):
            low = middle
        else:
            high = middle
    return track_after(Criteria(after=max(low - PAGE, 0) or None, limit=2 * PAGE))
