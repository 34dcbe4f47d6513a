"""The async twin: the contract as coroutines."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from cybertools.tracking import Storage, Track
from cybertools.tracking.errors import (
    InvalidData,
    StorageClosed,
    StorageUnavailable,
    TrackNotFound,
    UnknownCriterion,
    Unsupported,
)
from cybertools.tracking.remote import AsyncStorage, Patience
from cybertools.tracking.testing import Comment, Opener, ids
from cybertools.tracking.testing.bulk import BulkContract
from cybertools.tracking.testing.changing import ChangingContract
from cybertools.tracking.testing.reading import ReadingContract
from cybertools.tracking.testing.saving import SavingContract
from tests.remote.cutting import proxied

Program = Callable[[AsyncStorage], Coroutine[Any, Any, None]]


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"taskId": "a001", "userName": f"u{number % 3}", "data": {"n": number}, **more}


def run(url: str, program: Program, **options: Any) -> None:
    """Run an async program with a storage."""

    async def main() -> None:
        async with AsyncStorage(url, **options) as tracks:
            await program(tracks)

    asyncio.run(main())


# A part of the contract's suite, each call in an event loop of the test's own


class Awaited:
    """An async storage, each call of which is awaited."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tracks: AsyncStorage) -> None:
        self._loop, self._tracks = loop, tracks

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._tracks, name)
        return self._made(value) if name not in ("name", "trackFactory") else value

    def _made(self, value: Any) -> Any:
        if asyncio.iscoroutine(value):
            return self._loop.run_until_complete(value)
        if hasattr(value, "__aiter__"):
            return self._each(value)
        return (
            (lambda *args, **more: self._made(value(*args, **more))) if callable(value) else value
        )

    def _each(self, source: Any) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(source, None)  # nothing else gives None

        while (item := self._loop.run_until_complete(following())) is not None:
            yield item

    def __getitem__(self, id: str) -> Track:
        return self._loop.run_until_complete(self._tracks[id])

    def __contains__(self, id: str) -> bool:
        return self.get(id) is not None

    def __iter__(self) -> Iterator[str]:
        return self._each(aiter(self._tracks))

    def __len__(self) -> int:
        return int(self.countTracks())

    def __enter__(self) -> "Awaited":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class TestContract(SavingContract, BulkContract, ChangingContract, ReadingContract):
    """What the suite asks of saving, changing and reading."""

    # Their sources ask the storage, which cannot be awaited there. One of our own is below.
    test_a_batch_is_stored_before_the_next_is_read: Any = None
    test_bulk_takes_tracks_as_they_are: Any = None

    @pytest.fixture
    def open(self, url: str) -> Iterator[Opener]:
        """From a service of the test's own."""
        loop = asyncio.new_event_loop()
        opened: list[Awaited] = []

        def open(name: str = "tracks", trackFactory: type[Track] = Track) -> Any:
            tracks = AsyncStorage(url, name, trackFactory)
            loop.run_until_complete(tracks.open())
            opened.append(Awaited(loop, tracks))
            return opened[-1]

        yield open
        for each in opened:
            each.close()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


# What is its own


def test_it_has_what_a_storage_has() -> None:
    others = {"engine", "parse", "check_attributes"}
    wanted = {name for name in dir(Storage) if not name.startswith("_")} - others
    assert wanted <= {*dir(AsyncStorage)} | {"name", "trackFactory"}
    for name in sorted(wanted):
        ours = getattr(AsyncStorage, name)
        if callable(ours) and name not in ("iterTracks", "keys", "values", "items", "get"):
            assert ours.__doc__


def test_the_first_steps(url: str) -> None:
    async def program(tracks: AsyncStorage) -> None:
        assert repr(tracks) == "<AsyncStorage 'comments'>"
        assert await tracks.saveUserTrack("a001", 0, "u1", {"state": "new"}, key="k") == "0000001"
        assert await tracks.save("a001", 0, "u1", {}, key="k") == (1, "duplicate")
        track = await tracks["0000001"]
        assert type(track) is Comment
        assert await tracks.get("0000001") == track
        assert await tracks.get("0000009") is None
        assert await tracks.query(state="n*") == [track]
        assert await tracks.startRun("a001") == 2
        assert await tracks.currentRuns == {"a001": 2}
        assert list(await tracks.runs) == [1, 2]
        assert await tracks.stopRun("a001") == 2
        assert list(await tracks.finishedRuns) == [2]
        assert [id async for id in tracks] == ["0000001"]
        assert [id async for id in tracks.keys()] == ["0000001"]  # noqa: SIM118
        assert [each async for each in tracks.values()] == [track]
        assert [pair async for pair in tracks.items()] == [("0000001", track)]
        assert (await tracks.info()).tracks == 1
        assert await tracks.check() == []
        await tracks.setupIndexes()
        await tracks.reindexTracks()

    run(url, program, name="comments", trackFactory=Comment)


def test_an_async_source_is_read_in_batches(url: str) -> None:
    async def program(tracks: AsyncStorage) -> None:
        seen: list[int] = []

        async def source() -> AsyncIterator[dict[str, Any]]:
            for n in range(6):
                seen.append(await tracks.countTracks())
                await asyncio.sleep(0)
                yield item(n)

        assert len(await tracks.saveUserTracks(source(), batchSize=2)) == 6
        assert seen == [0, 0, 2, 2, 4, 4]
        assert (await tracks.saveBatch(source())).duplicates == []

        async def bad() -> AsyncIterator[dict[str, Any]]:
            yield item(0)
            yield item(1, data={"x": {1}})

        with pytest.raises(InvalidData, match=r"^tracks\[1\]: data\['x'\] is a set"):
            await tracks.saveUserTracks(bad())
        assert await tracks.countTracks() == 12

    run(url, program)


def test_errors_are_those_of_the_contract(url: str) -> None:
    async def program(tracks: AsyncStorage) -> None:
        with pytest.raises(TrackNotFound, match="'0000009'"):
            await tracks["0000009"]
        with pytest.raises(UnknownCriterion, match="'call'"):
            await tracks.query(call=1)
        with pytest.raises(UnknownCriterion, match="'user'"):
            tracks.iterTracks(user="u1")
        with pytest.raises(ValueError, match=r"^Invalid run: 7\.$"):
            await tracks.saveUserTrack("a001", 7, "u1", {})
        with pytest.raises(Unsupported, match="saveUserTracks"):
            tracks.transaction()
        await tracks.close()
        await tracks.close()
        with pytest.raises(StorageClosed):
            await tracks.getTaskIds()

    run(url, program)


def test_tasks_share_it(url: str) -> None:
    async def program(tracks: AsyncStorage) -> None:
        async def work(n: int) -> list[str]:
            return [await tracks.saveUserTrack("a001", 0, f"u{n}", {"i": i}) for i in range(5)]

        given = await asyncio.gather(*map(work, range(40)))
        assert sorted(id for each in given for id in each) == [id async for id in tracks]
        assert await tracks.countTracks() == 200
        assert list(await tracks.runs) == [1]

    run(url, program)


def test_others_go_on_while_one_waits(url: str) -> None:
    async def main(tracks: AsyncStorage) -> None:
        proxy.hold()
        waiting = asyncio.create_task(tracks.countTracks())
        turns = 0
        while not proxy.held.is_set():
            await asyncio.sleep(0.001)
            turns += 1
        assert not waiting.done()
        proxy.release()
        assert await waiting == 0

    with proxied(url) as (proxy, address):
        run(address, main)


def test_a_cancelled_call_leaves_it_usable(url: str) -> None:
    async def main(tracks: AsyncStorage) -> None:
        proxy.hold()
        waiting = asyncio.create_task(tracks.countTracks())
        while not proxy.held.is_set():
            await asyncio.sleep(0.001)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        proxy.release()
        async with asyncio.timeout(30):
            assert await tracks.saveUserTrack("a001", 0, "u1", {}) == "0000001"

    with proxied(url) as (proxy, address):
        run(address, main, patience=Patience(connections=1))


def test_a_stream_that_is_left_gives_its_connection_back(url: str) -> None:
    async def program(tracks: AsyncStorage) -> None:
        await tracks.saveUserTracks(item(n) for n in range(3_000))
        stream = tracks.iterTracks()
        assert (await anext(stream)).id == "0000001"
        await stream.aclose()
        assert await tracks.countTracks() == 3_000

    run(url, program, patience=Patience(connections=1, pool=5, total=0))


def test_lost_answers_and_broken_streams(url: str) -> None:
    async def main(tracks: AsyncStorage) -> None:
        proxy.cut(0, 0)
        given = await tracks.saveUserTracks(item(n) for n in range(3_000))
        proxy.cut(0, 200, 40_000, 90_000)
        assert ids([track async for track in tracks.iterTracks()]) == given
        proxy.cut(0)
        with pytest.raises(StorageUnavailable, match="It is not known whether it was done"):
            await tracks.startRun("a002")
        assert proxy.waits == 0

    with proxied(url) as (proxy, address):
        run(address, main)


def test_opening_something_that_is_not_there() -> None:
    async def main() -> None:
        async with AsyncStorage("http://127.0.0.1:1"):
            pass

    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        asyncio.run(main())
