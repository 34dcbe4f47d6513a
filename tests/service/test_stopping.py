"""What was acknowledged is there, once: after a kill, after a stop, and in an overload."""

import random
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from cybertools.tracking import open_storage
from tests.service.running import PATIENCE, TRACKS, Process, running

KILLS = 5
CLIENTS = 8


class Client(threading.Thread):
    """Saves tracks one after the other, each with a key of its own, until the service has gone."""

    def __init__(self, base: str, name: str) -> None:
        super().__init__()
        self.base, self.user = base, name
        self.acknowledged: dict[str, str] = {}
        """The ids of the tracks that are stored, by their keys."""
        self.refused: list[int] = []
        self.errors: list[Exception] = []
        self.sent = 0

    def run(self) -> None:
        try:
            with httpx.Client(base_url=self.base, timeout=PATIENCE) as client:
                while True:
                    self._save(client)
        except httpx.TransportError:
            pass  # it has gone, which is what is waited for
        except Exception as error:  # noqa: BLE001  # the test asks for it
            self.errors.append(error)

    def _save(self, client: httpx.Client) -> None:
        self.sent += 1
        key = f"{self.user} {self.sent}"
        track = {"taskId": "a", "userName": self.user, "data": {"key": key}, "key": key}
        if self.sent % 5 == 0:
            keys = [f"{key} {n}" for n in range(4)]
            others = [{**track, "data": {"key": each}, "key": each} for each in keys]
            answer = client.post(TRACKS, json=others)
            if answer.status_code == 200:
                outcomes = answer.json()["outcomes"]
                ids = [each["id"] for each in outcomes if each["outcome"] == "stored"]
                assert len(ids) == len(others)
                self.acknowledged |= dict(zip(keys, ids, strict=True))
        else:
            answer = client.post(TRACKS, json=track)
            if answer.status_code == 201:
                self.acknowledged[key] = answer.json()["id"]
        if answer.status_code not in (200, 201):
            assert answer.status_code in (429, 503), answer.text
            assert int(answer.headers["retry-after"]) >= 1
            self.refused.append(answer.status_code)


def clients_of(base: str, name: str) -> list[Client]:
    clients = [Client(base, f"{name} {n}") for n in range(CLIENTS)]
    for client in clients:
        client.start()
    return clients


def join(clients: list[Client]) -> None:
    for client in clients:
        client.join(PATIENCE)
        assert not client.is_alive()
        assert client.errors == []


def hold(url: str, clients: list[Client]) -> None:
    """Each acknowledged track is there once; of the others, those that were on their way may be."""
    with open_storage(url) as storage:
        assert storage.check() == []
        for client in clients:
            found = storage.query(userName=client.user)
            by_id = {track.id: track.data["key"] for track in found}
            assert len(by_id) == len(found)
            for key, id in client.acknowledged.items():
                assert by_id[id] == key
            assert len(found) - len(client.acknowledged) <= 4


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_for(clients: list[Client], acknowledged: int) -> None:
    wait(lambda: sum(len(client.acknowledged) for client in clients) >= acknowledged)


def test_what_was_acknowledged_survives_a_kill(database: str) -> None:
    chance = random.Random("kills")
    everybody: list[Client] = []
    for number in range(KILLS):
        with Process(database) as process:
            clients = clients_of(process.base, f"kill {number}")
            wanted = chance.randint(20, 120)
            wait_for(clients, wanted)
            assert process.end(signal.SIGKILL) == -9
            join(clients)
        everybody += clients
        hold(database, everybody)


def test_a_stop_answers_what_was_begun(database: str) -> None:
    with Process(database) as process:
        clients = clients_of(process.base, "stop 0")
        wait_for(clients, 50)
        assert process.end(signal.SIGTERM) == 0
        join(clients)
    hold(database, clients)
    with open_storage(database) as storage:
        # Nothing was stored that nobody was told of: the connections ended between requests.
        assert len(storage) == sum(len(client.acknowledged) for client in clients)


def held(path: Path) -> sqlite3.Connection:
    """A writer that keeps all others waiting, until it is closed."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def test_a_stop_waits_for_what_is_being_stored(database: str, tmp_path: Path) -> None:
    with Process(database) as process:
        writer = held(tmp_path / "tracks.db")
        answers: list[httpx.Response] = []

        def save() -> None:
            track = {"taskId": "a", "userName": "u", "data": {}}
            answers.append(httpx.post(process.base + TRACKS, json=track, timeout=PATIENCE))

        threads = [threading.Thread(target=save) for _ in range(5)]
        for thread in threads:
            thread.start()
        waiting = 'tracks_waiting{storage="tracks"} 5.0'
        wait(lambda: waiting in httpx.get(f"{process.base}/metrics", timeout=PATIENCE).text)
        process.process.send_signal(signal.SIGTERM)
        wait(lambda: not _is_open(process.port))
        assert process.process.poll() is None
        writer.close()
        assert process.wait() == 0
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in answers] == [201] * 5
    with open_storage(database) as storage:
        assert len(storage) == 5


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionError:
        return False
    return True


def test_a_second_signal_ends_it_at_once(database: str, tmp_path: Path) -> None:
    with Process(database) as process:
        writer = held(tmp_path / "tracks.db")
        with socket.create_connection(("127.0.0.1", process.port)) as connection:
            body = b'{"taskId":"a","userName":"u","data":{}}'
            head = f"POST {TRACKS} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            wait(lambda: 'tracks_waiting{storage="tracks"} 1.0' in _metrics(process))
            process.process.send_signal(signal.SIGTERM)
            wait(lambda: not _is_open(process.port))
            assert process.process.poll() is None
            assert process.end(signal.SIGTERM) == 128 + signal.SIGTERM
            assert connection.recv(100) == b""
        writer.close()
    with open_storage(database) as storage:
        assert len(storage) == 0


def _metrics(process: Process) -> str:
    return httpx.get(f"{process.base}/metrics", timeout=PATIENCE).text


def test_too_much_is_refused_and_nothing_is_lost(database: str, tmp_path: Path) -> None:
    with running(database, waiting_tracks=4) as service:
        writer = held(tmp_path / "tracks.db")
        clients = clients_of(service.base, "much 0")
        wait(lambda: sum(len(client.refused) for client in clients) >= 20)
        assert service.service.storages.opened()["tracks"].writer.waiting <= 4 + CLIENTS
        assert service.client.get("/readyz").status_code == 503
        assert service.client.get("/healthz").status_code == 200
        writer.close()
        wait_for(clients, 50)
        service.server.stop()
        join(clients)
    hold(database, clients)
    with open_storage(database) as storage:
        assert len(storage) == sum(len(client.acknowledged) for client in clients)


def test_two_services_may_share_a_database(database: str) -> None:
    with running(database) as one, running(database) as other:
        keys = [f"k{n}" for n in range(200)]
        answers: list[list[str]] = [[], []]

        def save(place: int, base: str) -> None:
            with httpx.Client(base_url=base, timeout=PATIENCE) as client:
                for key in keys:
                    track = {"taskId": "a", "userName": "u", "data": {}, "key": key}
                    answers[place].append(client.post(TRACKS, json=track).json()["id"])

        threads = [
            threading.Thread(target=save, args=(place, service.base))
            for place, service in enumerate((one, other))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers[0] == answers[1]
        assert one.get("tracks/count") == other.get("tracks/count") == {"count": 200}


@pytest.mark.parametrize("scheme", ["memory:", "zodb:{}/tracks.fs"])
def test_other_engines_are_served_as_well(scheme: str, tmp_path: Path) -> None:
    with running(scheme.format(tmp_path)) as service:
        assert service.save(runId="label").status_code == 201
        assert service.save(runId=99).status_code == 422
        item = {"taskId": "a", "userName": "u", "data": {}}
        items = [item, {**item, "runId": 99}, {**item, "runId": "x"}]
        found = service.client.post(TRACKS, json=items).json()["outcomes"]
        assert [each["outcome"] for each in found] == ["stored", "rejected", "stored"]
        assert service.client.get("/api/storages").json() == {"storages": ["tracks"]}
        made = service.client.put("/api/storages/more", json={"indexAttributes": ["state"]})
        assert made.status_code == 201
        again = service.client.put("/api/storages/tracks", json={"indexAttributes": ["state"]})
        assert again.status_code == 200
        assert service.get("tracks", **{"data.state": "x"})["tracks"] == []
        assert service.get("tracks/count") == {"count": 3}
        assert [run["runId"] for run in service.get("runs", after=1)["runs"]] == [2, 3]
        assert service.client.get("/readyz").status_code == 200
