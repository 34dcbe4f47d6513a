"""The live stream: each track once, also after a break, also what others save."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from cybertools.tracking import Storage, open_storage
from tests.engines import give_up
from tests.servers import missing_postgres, postgres_database
from tests.service.running import TRACKS, Running, running

STREAM = "/api/storages/tracks/stream"


class Stream:
    """What a client reads of a stream."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream"
        self._lines = answer.iter_lines()
        self.last = ""

    def next(self) -> dict[str, Any]:
        """The next track."""
        for line in self._lines:
            if line.startswith("id: "):
                self.last = line.removeprefix("id: ")
            elif line.startswith("data: "):
                track: dict[str, Any] = json.loads(line.removeprefix("data: "))
                assert track["id"] == self.last
                return track
        raise Ended

    def begun(self) -> str:
        """The id that it begins with, before any track."""
        for line in self._lines:
            if line.startswith("id: "):
                self.last = line.removeprefix("id: ")
                return self.last
        raise Ended

    def numbers(self, count: int) -> list[int]:
        """The numbers of the next tracks."""
        return [int(self.next()["id"]) for _ in range(count)]

    def until(self, number: int) -> list[int]:
        """The numbers of the next tracks up to that one, or up to the end of the stream."""
        numbers: list[int] = []
        try:
            while number not in numbers[-1:]:
                numbers += self.numbers(1)
        except Ended:
            pass
        return numbers


class Ended(Exception):
    """There is nothing more in the stream."""


@contextmanager
def watching(tracks: Running, last: str = "", **criteria: Any) -> Iterator[Stream]:
    headers = {"Last-Event-ID": last} if last else {}
    with tracks.client.stream("GET", STREAM, params=criteria or None, headers=headers) as answer:
        yield Stream(answer)


def test_what_is_saved_is_seen(tracks: Running) -> None:
    tracks.save()
    with watching(tracks) as stream:
        assert stream.begun() == "0000001"
        tracks.save(data={"n": 1}, timeStamp=5)
        assert stream.next() == {
            "id": "0000002",
            "taskId": "a001",
            "runId": 1,
            "userName": "u1",
            "timeStamp": 5,
            "data": {"n": 1},
        }


def test_only_what_meets_the_criteria(tracks: Running) -> None:
    criteria: dict[str, Any] = {
        "taskId": ["a*", "b"],
        "userName": "u2",
        "data.n": "7",
        "timeFrom": "1970-01-02",
    }
    with watching(tracks, **criteria) as stream:
        stream.begun()
        good = {"userName": "u2", "data": {"n": 7}}
        tracks.save(data={"n": 7})
        tracks.save(**good | {"data": {"n": "7"}})
        tracks.save(**good | {"taskId": "c"})
        tracks.save(**good | {"timeStamp": 5})
        tracks.save(**good)
        tracks.save(**good | {"taskId": "b"})
        assert stream.numbers(2) == [5, 6]


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=3", 422), ("order=timeStamp", 422), ("task=a", 400), ("after=x", 422)],
)
def test_what_a_stream_does_not_have(tracks: Running, query: str, status: int) -> None:
    assert tracks.client.get(f"{STREAM}?{query}").status_code == status


def test_who_comes_back_has_missed_nothing(tracks: Running) -> None:
    with watching(tracks) as stream:
        stream.begun()
        tracks.client.post(TRACKS, json=[{"taskId": "a", "userName": "u", "data": {}}] * 3)
        assert stream.numbers(2) == [1, 2]
        last = stream.last
    tracks.client.post(TRACKS, json=[{"taskId": "a", "userName": "u", "data": {}}] * 1_200)
    with watching(tracks, last) as stream:
        assert stream.numbers(1_201) == [*range(3, 1_204)]
        tracks.save()
        assert stream.numbers(1) == [1_204]
    with watching(tracks, after="0001203") as stream:
        assert stream.numbers(1) == [1_204]
    assert tracks.client.get(STREAM, headers={"Last-Event-ID": "x"}).status_code == 422


def test_what_other_processes_save_is_seen(tracks: Running, database: str) -> None:
    with watching(tracks) as stream, open_storage(database) as other:
        stream.begun()
        other.saveUserTracks({"taskId": "a", "userName": "u", "data": {}} for _ in range(1_500))
        assert stream.numbers(1_500) == [*range(1, 1_501)]


def test_signs_of_life(database: str) -> None:
    with (
        running(database, heartbeat_seconds=0.05) as service,
        service.client.stream("GET", STREAM) as answer,
    ):
        lines = answer.iter_lines()
        assert [line for line, _ in zip(lines, range(6), strict=False)][3:] == [":", "", ":"]


def test_who_is_too_slow_is_cut_and_may_come_back(database: str) -> None:
    with running(database, watcher_bytes=2_000_000) as service:
        item = {"taskId": "a", "userName": "u", "data": {"text": "x" * 50_000}}
        with watching(service) as stream:
            stream.begun()
            for _ in range(6):  # 30 MB: more than the sockets hold
                service.client.post(TRACKS, json=[item] * 100)
            numbers = stream.until(600)
            last = stream.last
        assert numbers == [*range(1, len(numbers) + 1)]
        assert len(numbers) < 600
        while numbers[-1] < 600:
            with watching(service, last) as stream:
                numbers += stream.until(600)
                last = stream.last
        assert numbers == [*range(1, 601)]


def test_a_shutdown_ends_the_streams(database: str) -> None:
    with running(database) as service, watching(service) as stream:
        stream.begun()
        service.save()
        assert stream.numbers(1) == [1]
        service.server.stop()
        with pytest.raises(Ended):
            stream.next()


def test_so_many_may_watch(database: str) -> None:
    with running(database, watchers=1) as service, watching(service) as stream:
        stream.begun()
        assert service.client.get(STREAM).status_code == 503
        assert len(service.service.storages.opened()["tracks"].feed) == 1


# Where several transactions write at once


@pytest.fixture
def postgres() -> Iterator[str]:
    missing = missing_postgres()
    if missing:
        give_up("a stream of PostgreSQL", missing)
    with postgres_database() as url:
        yield url


class Slow:
    """A transaction that has its ids before others, and is committed after them."""

    def __init__(self, storage: Storage, count: int) -> None:
        self._has_saved, self._may_end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, args=(storage, count))
        self._thread.start()
        assert self._has_saved.wait(30)

    def _work(self, storage: Storage, count: int) -> None:
        with storage.transaction():
            for _ in range(count):
                storage.saveUserTrack("slow", 0, "u", {})
            self._has_saved.set()
            self._may_end.wait(30)

    def end(self) -> None:
        self._may_end.set()
        self._thread.join()


def test_what_is_committed_late_is_seen(postgres: str) -> None:
    with running(postgres) as service, open_storage(postgres) as other:
        for _ in range(3):
            service.save()
        with watching(service) as stream:
            assert stream.begun() == "0000003"
            slow = Slow(other, 2)
            service.save()
            assert stream.numbers(1) == [6]
            last = stream.last
            slow.end()
            assert stream.numbers(2) == [4, 5]
            service.save()
            assert stream.numbers(1) == [7]
        # Who has seen 6 when it went has missed 4 and 5.
        with watching(service, last) as stream:
            assert stream.numbers(3) == [4, 5, 7]
            service.save()
            assert stream.numbers(1) == [8]


def test_what_was_open_when_the_watching_began_is_seen(postgres: str) -> None:
    with running(postgres) as service, open_storage(postgres) as other:
        service.save()
        slow = Slow(other, 1)
        service.save()
        with watching(service) as stream:
            assert stream.begun() == "0000003"
            slow.end()
            assert stream.numbers(1) == [2]


def test_a_number_that_never_comes_does_no_harm(postgres: str) -> None:
    def fail(storage: Storage) -> None:
        with storage.transaction():
            for _ in range(50):
                storage.saveUserTrack("a", 0, "u", {})
            raise RuntimeError

    with (
        running(postgres, gap_seconds=0.2) as service,
        open_storage(postgres) as other,
        watching(service) as stream,
    ):
        stream.begun()
        with pytest.raises(RuntimeError):
            fail(other)
        for number in range(51, 54):
            service.save()
            assert stream.numbers(1) == [number]


def test_a_database_that_goes_away_comes_back(postgres: str) -> None:
    with running(postgres) as service, watching(service) as stream:
        stream.begun()
        service.save()
        assert stream.numbers(1) == [1]
        with psycopg.connect(postgres, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        while service.save(key="k").status_code == 503:
            pass
        assert stream.numbers(1)[0] > 1
