"""The service as one object: what its endpoints, and ways in of other kinds, work with."""

import asyncio
from collections.abc import Sequence

from cybertools.tracking.codec import Item
from cybertools.tracking.errors import TrackingError
from cybertools.tracking.interfaces import Saved
from cybertools.tracking.service.gate import Gate
from cybertools.tracking.service.metrics import Metrics
from cybertools.tracking.service.requests import Memory
from cybertools.tracking.service.settings import Settings
from cybertools.tracking.service.storages import Collection, Storages
from cybertools.tracking.service.writing import Answer
from cybertools.tracking.values import decode_data

__all__ = ["Service"]


class Service:
    """A service: its storages, and what it has been told about how to serve them."""

    def __init__(self, settings: Settings, gate: Gate) -> None:
        self.settings = settings
        self.gate = gate
        self.memory = Memory(settings.memory_bytes)
        self.metrics = Metrics()
        self.storages = Storages(settings, self.metrics.committed)
        self.metrics.watch(self.storages.opened, self.memory)
        self.is_stopping = False
        self.failure: TrackingError | None = None
        """Why it could not start."""

    async def start(self) -> None:
        """Open the storages that are to be there."""
        try:
            for name in self.settings.names:
                await self.storages.make(name)
        except TrackingError as error:
            self.failure = error
            await self.storages.close()
            raise

    async def stop(self) -> None:
        """Store what waits, and close all."""
        await self.storages.close()

    def stop_soon(self) -> None:
        """Let those go who would stay for ever: a shutdown waits for all others."""
        self.is_stopping = True
        for collection in self.storages.opened().values():
            collection.feed.end()

    async def save(
        self, storage: str, items: Sequence[Item], atomic: bool = False
    ) -> list[Saved | TrackingError]:
        """Save tracks; return what became of each, after it is on disk.

        :param atomic: all, or none and an error.
        :raises StorageNotFound: there is no such storage.
        :raises Overloaded: too many wait already; nothing was stored.
        :raises TrackingError: they were refused as a whole.
        """
        return await self.save_in(await self.storages.get(storage), items, atomic)

    async def save_in(
        self, collection: Collection, items: Sequence[Item], atomic: bool = False
    ) -> list[Saved | TrackingError]:
        """`save`, in a storage that is open."""
        if collection.attributes:
            return await self._save_checked(collection, items, atomic)
        return await self._save(collection, items, atomic)

    async def _save_checked(
        self, collection: Collection, items: Sequence[Item], atomic: bool
    ) -> list[Saved | TrackingError]:
        """Save tracks whose data have to fit into indexes."""
        answers: list[Saved | TrackingError | None] = []
        for place, item in enumerate(items):
            try:
                collection.storage.check_attributes(decode_data(item.record.json))
                answers.append(None)
            except TrackingError as error:
                if atomic:
                    error.args = (f"tracks[{place}]: {error}",)
                    raise
                answers.append(error)
        good = [item for item, answer in zip(items, answers, strict=True) if answer is None]
        saved = iter(await self._save(collection, good, atomic))
        return [next(saved) if answer is None else answer for answer in answers]

    async def _save(
        self, collection: Collection, items: Sequence[Item], atomic: bool
    ) -> list[Saved | TrackingError]:
        size = self.settings.group_tracks
        if atomic or len(items) <= size:
            return _given(await collection.writer.submit(items, atomic)) if items else []
        parts = [items[start : start + size] for start in range(0, len(items), size)]
        # The first is refused if there is no room; the others have the room that it has found.
        submit = collection.writer.submit
        futures = [submit(part, goes_on=place > 0) for place, part in enumerate(parts)]
        answers = await asyncio.gather(*futures)
        saved: list[Saved | TrackingError] = []
        for part, answer in zip(parts, answers, strict=True):
            saved += answer if isinstance(answer, list) else [answer] * len(part)
        return saved


def _given(answer: Answer) -> list[Saved | TrackingError]:
    if isinstance(answer, list):
        return answer
    raise answer
