"""The storages of a service: opened when they are first asked for, each with its threads."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cybertools.tracking.errors import InvalidValue, StorageNotFound
from cybertools.tracking.interfaces import Storage, attributes_of, is_attribute
from cybertools.tracking.opening import open_storage, storage_names
from cybertools.tracking.service.reading import Reader
from cybertools.tracking.service.settings import Settings
from cybertools.tracking.service.watching import Feed
from cybertools.tracking.service.writing import Answer, Writer
from cybertools.tracking.track import Track
from cybertools.tracking.values import check_text

__all__ = ["Collection", "Storages", "with_attributes"]

READERS = 6
"""Threads of each storage for what may take long. With the other calls they stay below the
connections that an engine has."""


@dataclass(slots=True, eq=False)
class Collection:
    """A storage, and what works for it."""

    storage: Storage
    writer: Writer
    reader: Reader
    feed: Feed
    streams: int = 0
    """Queries that are sent as lines at this moment."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names in ``data`` that have an index."""
        return attributes_of(self.storage.trackFactory)

    async def close(self) -> None:
        """Store what waits, and give everything back."""
        await self.feed.close()
        await self.writer.close()
        await self.reader.close()
        await asyncio.to_thread(self.storage.close)


class Storages:
    """The storages of one database by their names."""

    def __init__(self, settings: Settings, committed: Callable[[str, list[Answer]], None]) -> None:
        """Make them known; none is opened yet.

        :param committed: is called with a storage's name and the answers of each commit.
        """
        self._settings = settings
        self._committed = committed
        self._open: dict[str, Collection] = {}
        self._opening = asyncio.Lock()

    def opened(self) -> dict[str, Collection]:
        """Those that are open at this moment, by their names."""
        return dict(self._open)

    async def names(self) -> list[str]:
        """The sorted names of all that there are."""
        try:
            there = await asyncio.to_thread(storage_names, self._settings.url)
        except StorageNotFound:  # the first storage makes the file
            there = []
        return sorted({*there, *self._open})

    async def get(self, name: str) -> Collection:
        """The storage of that name.

        :raises StorageNotFound: there is none.
        """
        found = self._open.get(name)
        if found is not None:
            return found
        check_text(name, "storage")
        if name not in await self.names():
            raise StorageNotFound(
                f"There is no storage {name!r}. An admin's PUT of /api/storages/{name} makes it."
            )
        return await self.make(name)

    async def make(self, name: str, attributes: tuple[str, ...] = ()) -> Collection:
        """The storage of that name, made if it is not there, with an index for each attribute."""
        if "/" in check_text(name, "storage"):
            raise InvalidValue(f"storage must not hold a slash, since it is part of a URL: {name}.")
        async with self._opening:
            found = self._open.get(name)
            if found is not None and {*attributes} <= {*found.attributes}:
                return found
            known = self._settings.attributes if found is None else found.attributes
            factory = _factory(tuple(dict.fromkeys((*known, *attributes))))
            if found is not None:
                found.storage.trackFactory = factory
                await asyncio.to_thread(_index, self._settings.url, found.storage)
                return found
            storage = await asyncio.to_thread(open_storage, self._settings.url, name, factory)
            if attributes:
                await asyncio.to_thread(storage.setupIndexes)
            self._open[name] = self._collection(name, storage)
            return self._open[name]

    async def close(self) -> None:
        """Store what waits, and close all of them."""
        await asyncio.gather(*(found.close() for found in self._open.values()))

    def _collection(self, name: str, storage: Storage) -> Collection:
        settings = self._settings
        storage.engine.is_patient = False
        reader = Reader(READERS, storage.engine.is_near)
        feed = Feed(
            storage,
            reader,
            settings.poll_seconds,
            settings.gap_seconds,
            settings.watcher_bytes,
        )

        def committed(answers: list[Answer]) -> None:
            feed.wake()
            self._committed(name, answers)

        writer = Writer(storage, settings.waiting_tracks, settings.group_tracks, committed)
        return Collection(storage, writer, reader, feed)


def _index(url: str, storage: Storage) -> None:
    """Make the indexes that the storage's track type has gained."""
    if storage.name in storage_names(url):
        with open_storage(url, storage.name, storage.trackFactory) as other:
            other.setupIndexes()
    else:  # it is this one, in memory
        storage.setupIndexes()


def with_attributes(storage: Storage, attributes: tuple[str, ...]) -> Storage:
    """The storage, that can be asked by these names in the data as well."""
    known = attributes_of(storage.trackFactory)
    more = tuple(name for name in attributes if name not in known and is_attribute(name))
    if not more:
        return storage
    return Storage(storage.engine, storage.name, _factory((*known, *more)))


@lru_cache(256)
def _factory(attributes: tuple[str, ...]) -> type[Track]:
    if not attributes:
        return Track
    names = (*Track.index_attributes, *attributes)
    return type("Track", (Track,), {"__slots__": (), "index_attributes": names})
