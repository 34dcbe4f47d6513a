"""Busy services, and what does not come in time."""

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.errors import (
    StorageUnavailable,
)
from cybertools.tracking.remote import Patience, open_service
from cybertools.tracking.remote.patience import retry_after
from cybertools.tracking.service.gate import Principal, Refused
from cybertools.tracking.service.problems import TooSlow
from cybertools.tracking.service.writing import Overloaded
from tests.gates import Asked, DecidingGate
from tests.remote.cutting import Proxy, proxied
from tests.services import service_of


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"taskId": "a001", "userName": f"u{number % 3}", "data": {"n": number}, **more}


SHORT = Patience(connect=0.3, read=0.3, write=0.3, pool=0.3, total=0.0)
"""For tests of what does not come."""


# Busy services


class Busy(DecidingGate):
    """A gate that lets nobody in for some times."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times, self.asked = error, times, 0

    def decide(self, asked: Asked) -> Principal:
        del asked
        self.asked += 1
        if 0 < self.asked - 1 <= self.times:
            raise self.error
        return Principal("somebody")


@pytest.mark.parametrize(
    "error",
    [Overloaded("Too much."), Refused("Too often.", 429, retry_after=1), TooSlow("Too slow.")],
    ids=repr,
)
def test_retry_after_is_honoured(database: str, error: Exception) -> None:
    gate = Busy(error, 1)
    with service_of(database, gate, names=("tracks",)) as url, open_storage(url) as tracks:
        start = time.monotonic()
        assert tracks.startRun("a001") == 1  # nothing was done: it may be tried again
        assert time.monotonic() - start >= 1
        assert gate.asked == 3


def test_a_service_that_stays_busy_is_given_up(database: str) -> None:
    gate = Busy(Refused("Too often.", 429, retry_after=3_600), 1)
    with service_of(database, gate, names=("tracks",)) as url, open_storage(url) as tracks:
        with pytest.raises(StorageUnavailable) as info:
            tracks.saveUserTrack("a001", 0, "u1", {})
        assert str(info.value) == ("Too often. It asks to come again in 3600 s. It was tried once.")
        assert len(tracks) == 0


def test_what_retry_after_may_be() -> None:
    assert retry_after("7") == 7
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert (retry_after("Fri, 01 Jan 2100 00:00:00 GMT") or 0) > 3_000
    assert retry_after("soon") is retry_after(None) is None


# Time-outs


@contextmanager
def mute(backlog: int = 5) -> Iterator[tuple[str, socket.socket]]:
    """Something that listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", server


def test_a_connection_that_is_not_made_in_time() -> None:
    with mute(backlog=0) as (url, server):
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect(server.getsockname())
        with pytest.raises(StorageUnavailable) as info:
            open_service(url, patience=SHORT)
        for each in waiting:
            each.close()
    assert str(info.value) == (
        f"{url} was not connected to within 0.3 s (connect time-out). It was tried once."
    )


def test_an_answer_that_does_not_come_in_time() -> None:
    with mute() as (url, _):
        with pytest.raises(StorageUnavailable) as info:
            open_service(url, patience=SHORT)
        assert str(info.value) == (
            f"GET {url}/api/storages: no answer within 0.3 s (read time-out). It was tried once."
        )


@pytest.fixture
def stuck(url: str) -> Iterator[tuple[Proxy, Storage]]:
    """A storage over one connection, and the proxy that may hold it."""
    patience = Patience(read=5, write=0.3, pool=0.3, total=0, connections=1)
    with proxied(url) as (proxy, address), open_service(address, patience=patience) as tracks:
        yield proxy, tracks


def test_a_request_that_is_not_taken_in_time(stuck: tuple[Proxy, Storage]) -> None:
    proxy, tracks = stuck
    proxy.hold()
    texts = (os.urandom(400_000).hex() for _ in range(16))  # more than the system takes in
    with pytest.raises(StorageUnavailable) as info:
        tracks.saveUserTracks(item(0, data={"text": text}) for text in texts)
    words = str(info.value)
    assert words.startswith("POST http://127.0.0.1:")
    assert "/tracks: the request was not taken within 0.3 s (write time-out)." in words


def test_no_connection_is_free_in_time(stuck: tuple[Proxy, Storage]) -> None:
    proxy, tracks = stuck
    proxy.hold()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(len, tracks)
        assert proxy.held.wait(30)
        with pytest.raises(StorageUnavailable) as info:
            tracks.getTaskIds()
        proxy.release()
        assert first.result() == 0
    assert "/tasks: all 1 connections were in use for 0.3 s (pool time-out)." in str(info.value)
