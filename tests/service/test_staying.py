"""An answer that goes on for long ends soon after its token does."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cybertools.tracking import open_storage
from cybertools.tracking.errors import NotAllowed, StorageUnavailable
from cybertools.tracking.service.gate import Principal, Refused
from tests.gates import Asked, DecidingGate
from tests.service.running import TRACKS, Running, running

STREAM = "/api/storages/tracks/stream"
MANY = 60_000
"""Tracks that fill what the system keeps for a reader who is slow."""


class Revoking(DecidingGate):
    """Lets everybody in, until it is told otherwise."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[Asked] = []

    def decide(self, asked: Asked) -> Principal:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return Principal("somebody")


@pytest.fixture
def gate() -> Revoking:
    return Revoking()


@pytest.fixture
def service(database: str, gate: Revoking) -> Iterator[Running]:
    with running(database, gate, heartbeat_seconds=0.05, admitted_seconds=0.05) as service:
        yield service


def test_a_live_stream_ends_with_its_token(service: Running, gate: Revoking) -> None:
    headers = {"Authorization": "Bearer abc"}
    with service.client.stream("GET", STREAM, headers=headers) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 1000"
        while len(gate.asked) < 3:  # it is looked at again and again
            next(lines)
        assert {*gate.asked} == {gate.asked[0]}
        assert gate.asked[0][:3] == ("abc", "read", "tracks")
        gate.error = Refused("This token is unknown, or no longer valid.", 401)
        assert {*lines} <= {"", ":"}  # and then it ends
    assert service.client.get(STREAM, headers=headers).status_code == 401


@pytest.mark.parametrize(
    "error", [Refused("Too many.", 429, retry_after=1), StorageUnavailable("Away.")], ids=repr
)
def test_what_passes_ends_nothing(service: Running, gate: Revoking, error: Exception) -> None:
    with service.client.stream("GET", STREAM) as answer:
        lines = answer.iter_lines()
        next(lines)
        gate.error = error
        asked = len(gate.asked)
        while len(gate.asked) < asked + 2:
            next(lines)
        gate.error = None
        service.save()
        assert any(line.startswith("data: ") for line in lines)


@pytest.fixture
def filled(database: str) -> None:
    with open_storage(database, durability="off") as tracks:
        tracks.saveUserTracks(
            {"taskId": "a", "userName": "u", "data": {"text": "x" * 400}} for _ in range(MANY)
        )


@pytest.mark.usefixtures("filled")
def test_lines_break_off_with_their_token(service: Running, gate: Revoking) -> None:
    headers = {"Accept": "application/x-ndjson"}
    with service.client.stream("GET", TRACKS, headers=headers) as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines))["id"] == "0000001"
        gate.error = Refused("This token is unknown, or no longer valid.", 401)
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            sum(1 for _ in lines)


@pytest.mark.usefixtures("filled")
def test_a_program_that_reads_on_is_told(service: Running, gate: Revoking) -> None:
    with open_storage(service.base) as tracks:
        reading = tracks.iterTracks()
        assert next(reading).id == "0000001"
        gate.error = Refused("This token is unknown, or no longer valid.", 401)
        with pytest.raises(NotAllowed, match="no longer valid"):
            sum(1 for _ in reading)


def test_the_answer_of_a_moment_is_as_it_was(service: Running, gate: Revoking) -> None:
    saved: Any = service.save()
    assert saved.status_code == 201
    assert len(gate.asked) == 1
