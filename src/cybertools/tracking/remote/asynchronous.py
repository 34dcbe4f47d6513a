"""The same contract for async programs: `AsyncStorage`, whose calls are coroutines.

It is the storage and the engine that threads have, over another wire. Each call runs in a greenlet:
where the wire would block, the greenlet is left, the event loop goes on, and the greenlet is
entered again with what was awaited. So nothing of the contract is written twice.
"""

import asyncio
import functools
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import AbstractContextManager
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx
from greenlet import getcurrent, greenlet

from cybertools.tracking.interfaces import Receipt, Storage, attributes_of
from cybertools.tracking.record import Record
from cybertools.tracking.remote.address import Address, address_of
from cybertools.tracking.remote.caller import Caller
from cybertools.tracking.remote.engine import RemoteEngine
from cybertools.tracking.remote.patience import Patience
from cybertools.tracking.remote.wire import limits_of, trust
from cybertools.tracking.track import Run, Track

__all__ = ["AsyncStorage"]

P = ParamSpec("P")
T = TypeVar("T")


# Greenlets


async def _run(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What a call gives that may wait with `_wait`."""
    run = greenlet(call)
    run.gr_context = getcurrent().gr_context
    result: Any = run.switch(*args, **kwargs)
    while not run.dead:
        try:
            awaited = await result
        except BaseException:  # noqa: BLE001  # it is raised where it was waited for
            result = run.throw(*sys.exc_info())
        else:
            result = run.switch(awaited)
    given: T = result
    return given


def _wait(awaitable: Awaitable[T]) -> T:
    """What an awaitable gives, within a call of `_run`."""
    parent = getcurrent().parent
    assert parent is not None  # noqa: S101
    given: T = parent.switch(awaitable)
    return given


class _SuspendingWire:
    """A wire for tasks of one event loop."""

    def __init__(self, address: Address, patience: Patience) -> None:
        self._client = httpx.AsyncClient(verify=trust(address), limits=limits_of(patience))

    def send(self, request: httpx.Request, stream: bool) -> httpx.Response:
        """See `Wire.send`."""
        return _wait(self._client.send(request, stream=stream))

    def parts(self, response: httpx.Response) -> Iterator[bytes]:
        """See `Wire.parts`."""
        return _pulled(response.aiter_bytes())

    def read(self, response: httpx.Response) -> bytes:
        """See `Wire.read`."""
        return _wait(response.aread())

    def release(self, response: httpx.Response) -> None:
        """See `Wire.release`."""
        _wait(response.aclose())

    def sleep(self, seconds: float) -> None:
        """See `Wire.sleep`."""
        _wait(asyncio.sleep(seconds))

    def close(self) -> None:
        """See `Wire.close`."""
        _wait(self._client.aclose())


def _pulled(source: AsyncIterable[T]) -> Iterator[T]:
    """What an async iterable gives, within a call of `_run`."""
    iterator = aiter(source)
    while True:
        try:
            item = _wait(anext(iterator))
        except StopAsyncIteration:
            return
        yield item


async def _pushed(held: list[Iterator[T]]) -> AsyncGenerator[T, None]:
    """What an iterator gives that may wait, as an async one.

    :param held: the iterator, which nothing else holds.
    """
    try:
        while (item := await _run(next, held[0], _END)) is not _END:
            yield item
    finally:
        # It ends when it is let go, and lets go of its answer, for which it may wait.
        await _run(held.clear)


_END: Any = object()


# The contract


def _coroutine(
    method: Callable[Concatenate[Storage, P], T],
) -> Callable[Concatenate["AsyncStorage", P], Coroutine[Any, Any, T]]:
    """A method of a storage as a coroutine."""

    def call(self: "AsyncStorage", /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return _run(functools.partial(method, self._storage), *args, **kwargs)

    functools.update_wrapper(call, method)
    return call


Saving = Mapping[str, Any] | Track | Record


class AsyncStorage:
    """A storage of a service, with the methods of `Storage` as coroutines.

    ::

        async with AsyncStorage("https://tracks.example.org") as tracks:
            await tracks.saveUserTrack("a001", 0, "ann", {"state": "done"})
            async for track in tracks.iterTracks(userName="ann"):
                ...

    Any number of tasks of one event loop may share it. ``await tracks[id]`` gives a track,
    ``async for id in tracks`` the ids; ``await tracks.runs`` gives the runs there are by now.
    """

    def __init__(
        self,
        url: str,
        name: str = "tracks",
        trackFactory: type[Track] = Track,
        patience: Patience | None = None,
    ) -> None:
        """Make it ready; nothing is asked before ``async with`` or the first call.

        :param url: as for `open_service`, and so are the others.
        """
        patience = patience or Patience()
        address = address_of(url)
        caller = Caller(_SuspendingWire(address, patience), address, patience)
        self._engine = RemoteEngine(caller, name, attributes_of(trackFactory))
        self._storage = Storage(self._engine, name, trackFactory)

    @property
    def name(self) -> str:
        """The storage's name."""
        return self._storage.name

    @property
    def trackFactory(self) -> type[Track]:
        """The track type."""
        return self._storage.trackFactory

    async def open(self) -> Self:
        """Make the storage if it is not there. ``async with`` does that.

        :raises TrackingError: as `open_service`.
        """
        try:
            await _run(self._engine.enter)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    # Saving

    saveUserTrack = _coroutine(Storage.saveUserTrack)
    save = _coroutine(Storage.save)

    async def saveUserTracks(
        self, tracks: Iterable[Saving] | AsyncIterable[Saving], batchSize: int | None = None
    ) -> list[str]:
        """See `Storage.saveUserTracks`; the iterable may be an async one."""
        return await _run(self._storage.saveUserTracks, _iterable(tracks), batchSize)

    async def saveBatch(
        self, tracks: Iterable[Saving] | AsyncIterable[Saving], batchSize: int | None = None
    ) -> Receipt:
        """See `Storage.saveBatch`; the iterable may be an async one."""
        return await _run(self._storage.saveBatch, _iterable(tracks), batchSize)

    updateTrack = _coroutine(Storage.updateTrack)
    removeTrack = _coroutine(Storage.removeTrack)

    # Reading

    getUserTracks = _coroutine(Storage.getUserTracks)
    getLastUserTrack = _coroutine(Storage.getLastUserTrack)

    async def query(self, **criteria: Any) -> list[Track]:
        """See `Storage.query`."""
        return await _run(self._storage.query, **criteria)

    async def countTracks(self, **criteria: Any) -> int:
        """See `Storage.countTracks`."""
        return await _run(self._storage.countTracks, **criteria)

    getUserNames = _coroutine(Storage.getUserNames)
    getTaskIds = _coroutine(Storage.getTaskIds)

    def iterTracks(self, **criteria: Any) -> AsyncGenerator[Track, None]:
        """See `Storage.iterTracks`."""
        return _pushed([self._storage.iterTracks(**criteria)])

    # Runs

    startRun = _coroutine(Storage.startRun)
    stopRun = _coroutine(Storage.stopRun)
    openRun = _coroutine(Storage.openRun)
    getRun = _coroutine(Storage.getRun)

    @property
    def runs(self) -> Coroutine[Any, Any, dict[int, Run]]:
        """All runs by their ids, as they are when it is awaited."""
        return _run(lambda: dict(self._storage.runs.items()))

    @property
    def finishedRuns(self) -> Coroutine[Any, Any, dict[int, Run]]:
        """The finished runs by their ids."""
        return _run(lambda: dict(self._storage.finishedRuns.items()))

    @property
    def currentRuns(self) -> Coroutine[Any, Any, dict[str, int]]:
        """The id of the current run of each task that has one."""
        return _run(lambda: dict(self._storage.currentRuns.items()))

    # The mapping

    def __getitem__(self, id: str) -> Coroutine[Any, Any, Track]:
        return _run(self._storage.__getitem__, id)

    def __aiter__(self) -> AsyncIterator[str]:
        return self.keys()

    async def get(self, id: str, default: Track | None = None) -> Track | None:
        """The track of that id, or the default."""
        return await _run(self._storage.get, id, default)

    def keys(self) -> AsyncGenerator[str, None]:
        """The ids of all tracks, in order."""
        return _pushed([iter(self._storage)])

    def values(self) -> AsyncGenerator[Track, None]:
        """The tracks, in order of their ids."""
        return self.iterTracks()

    def items(self) -> AsyncGenerator[tuple[str, Track], None]:
        """The ids and their tracks, in order of the ids."""
        return _pushed([iter(self._storage.items())])

    # Keeping

    reindexTracks = _coroutine(Storage.reindexTracks)
    setupIndexes = _coroutine(Storage.setupIndexes)
    info = _coroutine(Storage.info)
    check = _coroutine(Storage.check)
    close = _coroutine(Storage.close)

    def transaction(self) -> AbstractContextManager[None]:
        """See `Storage.transaction`: over HTTP there is none.

        :raises Unsupported: always.
        """
        return self._storage.transaction()


def _iterable(tracks: Iterable[Saving] | AsyncIterable[Saving]) -> Iterable[Saving]:
    return _pulled(tracks) if isinstance(tracks, AsyncIterable) else tracks
