"""Asking over HTTP: the contract's criteria, pages, lines, runs, lists and storages."""

import json
import socket
import time
from typing import Any

import pytest

from cybertools.tracking import open_storage
from tests.service.running import PATIENCE, TRACKS, Running, running

DATA = [{"state": "open", "n": 1}, {"state": "done", "n": 2}, {"state": "80"}, {"n": 80}]


@pytest.fixture
def filled(tracks: Running) -> Running:
    """A service with 12 tracks: of 3 tasks, 2 users, 4 kinds of data."""
    items = [
        {
            "taskId": f"a{n % 3}",
            "userName": f"u{n % 2}",
            "timeStamp": 1_000_000 - n,
            "data": DATA[n % 4],
        }
        for n in range(12)
    ]
    assert tracks.client.post(TRACKS, json=items).status_code == 200
    return tracks


CRITERIA: list[tuple[list[tuple[str, str]], list[int]]] = [
    ([], [*range(1, 13)]),
    ([("taskId", "a1")], [2, 5, 8, 11]),
    ([("taskId", "a1"), ("taskId", "a2")], [2, 3, 5, 6, 8, 9, 11, 12]),
    ([("taskId", "a*"), ("userName", "u1")], [2, 4, 6, 8, 10, 12]),
    ([("runId", "2")], [2, 5, 8, 11]),
    ([("runId", "99999999999999999999")], []),
    ([("timeStamp", "999990")], [11]),
    ([("timeFrom", "999998.5")], [1, 2]),
    ([("timeTo", "1970-01-12T13:46:30Z")], [11, 12]),
    ([("timeFromTo", "999990"), ("timeFromTo", "999991")], [10, 11]),
    ([("data.state", "open")], [1, 5, 9]),
    ([("data.state", "80")], []),
    ([("data.state", '"80"')], [3, 7, 11]),
    ([("data.state", "o*"), ("data.state", "d*")], [1, 2, 5, 6, 9, 10]),
    ([("data.n", "80")], [4, 8, 12]),
    ([("data.n", "1.0"), ("data.n", "2")], [1, 2, 5, 6, 9, 10]),
    ([("limit", "3")], [1, 2, 3]),
    ([("limit", "0")], []),
    ([("after", "0000010")], [11, 12]),
    ([("order", "timeStamp"), ("limit", "2")], [12, 11]),
    ([("order", "-timeStamp"), ("after", "0000003"), ("limit", "2")], [4, 5]),
]


@pytest.mark.parametrize(("criteria", "expected"), CRITERIA)
def test_criteria(filled: Running, criteria: list[tuple[str, str]], expected: list[int]) -> None:
    ids = [f"{number:07}" for number in expected]
    answer = filled.client.get(TRACKS, params=dict_of(criteria))
    assert [track["id"] for track in answer.json()["tracks"]] == ids
    posted = filled.client.post(f"{TRACKS}/query", data=dict_of(criteria))
    assert posted.json()["tracks"] == answer.json()["tracks"]
    lines = filled.client.get(
        TRACKS, params=dict_of(criteria), headers={"Accept": "application/x-ndjson"}
    )
    assert [json.loads(line) for line in lines.text.splitlines()] == answer.json()["tracks"]
    assert filled.client.get(f"{TRACKS}/count", params=dict_of(criteria)).json() == {
        "count": len(ids)
    }
    assert filled.client.post(f"{TRACKS}/count", data=dict_of(criteria)).json() == {
        "count": len(ids)
    }


def dict_of(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    # An empty form would be no form.
    return values or {"order": ["id"]}


@pytest.mark.parametrize("order", ["id", "timeStamp", "-timeStamp"])
def test_pages(filled: Running, order: str) -> None:
    everything = filled.get("tracks", order=order)
    assert everything["next"] is None
    found: list[Any] = []
    place = f"{TRACKS}?limit=5&order={order}"
    for size in (5, 5, 2):
        answer = filled.client.get(place)
        page = answer.json()
        assert len(page["tracks"]) == size
        found += page["tracks"]
        if page["next"] is not None:
            assert answer.headers["link"] == f'<{page["next"]}>; rel="next"'
            place = str(answer.url.join(page["next"]))
    assert page["next"] is None
    assert "link" not in answer.headers
    assert found == everything["tracks"]


WRONG = [
    ("task=a1", 400, "There is no criterion 'task'. Did you mean 'taskId'? There are: taskId,"),
    ("data.task.x=1", 400, "'data.task.x': no attribute of data can be queried by that."),
    ("data.taskId=1", 400, "no attribute of data"),
    ("taskId=", 422, "taskId must not be empty."),
    ("runId=x", 422, "runId must be a whole number, not 'x'."),
    ("runId=1_0", 422, "runId must be a whole number"),
    ("limit=-1", 422, "limit must not be negative: -1."),
    ("limit=1001", 422, "limit must be at most 1,000 for a page."),
    ("limit=1&limit=2", 422, "limit must be given once, not 2 times."),
    ("after=7", 422, "after must be a track id like '0000001', not '7'."),
    ("order=time", 422, "order must be one of id, timeStamp, -timeStamp, not 'time'."),
    ("timeFrom=soon", 422, "timeFrom must be ISO 8601 text"),
    ("timeFromTo=1", 422, "timeFromTo must be a pair"),
    ("data.n=null", 422, "data.n must be text or a number"),
    ("taskId=%ff", 400, "The parameters are no UTF-8"),
    ("taskId=%00", 422, "taskId must not hold a NUL character"),
]


@pytest.mark.parametrize(("query", "status", "message"), WRONG)
def test_wrong_criteria_are_told(filled: Running, query: str, status: int, message: str) -> None:
    for path in (TRACKS, f"{TRACKS}/count"):
        if "1001" in query and path != TRACKS:
            continue
        answer = filled.client.get(f"{path}?{query}")
        assert answer.status_code == status
        assert message in answer.json()["detail"]


def test_the_last_track(filled: Running) -> None:
    assert filled.get("tracks/last", taskId="a1", userName="u1")["id"] == "0000002"
    assert filled.get("tracks/last", taskId="a1", userName="u1", runId=2)["id"] == "0000002"
    none = filled.client.get(f"{TRACKS}/last", params={"taskId": "a1", "userName": "nobody"})
    assert (none.status_code, none.json()["type"][-15:]) == (404, "track-not-found")
    missing = filled.client.get(f"{TRACKS}/last", params={"taskId": "a1"})
    assert (missing.status_code, missing.json()["detail"]) == (422, "userName is missing.")
    other = filled.client.get(f"{TRACKS}/last?taskId=a1&userName=u1&user=u1")
    assert other.status_code == 400
    assert other.json()["detail"] == (
        "There is no parameter 'user'. There are: taskId, runId, userName."
    )


def test_a_track_is_updated_and_removed(filled: Running) -> None:
    place = f"{TRACKS}/0000001"
    updated = filled.client.patch(place, json={"data": {"n": 5}})
    assert updated.json() == {"outcome": "updated", "id": "0000001"}
    assert filled.client.get(place).json()["data"] == {"state": "open", "n": 5}
    filled.client.patch(f"{place}?overwrite=true", json={"data": {"m": 1}})
    assert filled.client.get(place).json()["data"] == {"m": 1}
    assert filled.client.patch(place, json={"n": 5}).status_code == 422
    assert filled.client.delete(place).status_code == 204
    for answer in (
        filled.client.get(place),
        filled.client.delete(place),
        filled.client.patch(place, json={"data": {}}),
        filled.client.get(f"{TRACKS}/7"),
        filled.client.get(f"{TRACKS}/x"),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:cybertools-tracking:track-not-found"


# Runs, lists


def test_runs(tracks: Running) -> None:
    def post(what: str, **body: Any) -> Any:
        answer = tracks.client.post(f"/api/storages/tracks/runs/{what}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["runId"]

    assert post("start", taskId="a") == 1
    assert post("start", taskId="b") == 2
    assert post("start") == 3
    assert post("open", taskId="a", label="s1") == 4
    assert post("open", taskId="a", label="s1") == 4
    assert tracks.get("runs/current", taskId="a")["runId"] == 1
    assert post("stop", taskId="a") == 1
    assert post("stop", taskId="a") == 0
    assert post("stop", runId=2, finish=False) == 2
    assert tracks.get("runs/1")["finished"] is True
    assert tracks.get("runs/2")["finished"] is False
    assert [run["runId"] for run in tracks.get("runs")["runs"]] == [1, 2, 3, 4]
    assert [run["runId"] for run in tracks.get("runs", state="finished")["runs"]] == [1]
    assert tracks.get("runs", state="current")["runs"] == []
    assert [run["runId"] for run in tracks.get("runs", taskId="a")["runs"]] == [1, 4]
    page = tracks.get("runs", limit=3)
    assert page["next"] == "?limit=3&after=3"
    assert [run["runId"] for run in tracks.get(f"runs{page['next']}")["runs"]] == [4]
    lines = tracks.client.get(
        "/api/storages/tracks/runs", headers={"Accept": "application/x-ndjson"}
    )
    assert [json.loads(line)["runId"] for line in lines.text.splitlines()] == [1, 2, 3, 4]
    assert tracks.get("runs/count", state="finished") == {"count": 1}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "runs/99", None, 404),
        ("GET", "runs/x", None, 404),
        ("GET", "runs/current?taskId=nix", None, 404),
        ("GET", "runs/current", None, 422),
        ("GET", "runs?state=old", None, 422),
        ("GET", "runs?limit=x", None, 422),
        ("POST", "runs/start", {"taskId": ""}, 422),
        ("POST", "runs/start", {"task": "a"}, 422),
        ("POST", "runs/start", ["a"], 422),
        ("POST", "runs/open", {"taskId": "a"}, 422),
        ("POST", "runs/stop", {"taskId": "a", "runId": -1}, 422),
        ("POST", "runs/stop", {"taskId": "a", "finish": 1}, 422),
        ("DELETE", "runs/1", None, 405),
        ("GET", "users", None, 422),
        ("GET", "tasks?x=1", None, 400),
        ("GET", "nix", None, 404),
    ],
)
def test_what_is_wrong_about_runs_and_lists(
    tracks: Running, method: str, path: str, body: Any, status: int
) -> None:
    answer = tracks.client.request(method, f"/api/storages/tracks/{path}", json=body)
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_lists(filled: Running) -> None:
    assert filled.get("tasks") == {"taskIds": ["a0", "a1", "a2"]}
    assert filled.get("users", taskId="a1") == {"userNames": ["u0", "u1"]}
    info = filled.get("info")
    assert (info["tracks"], info["tasks"], info["users"], info["runs"]) == (12, 3, 2, 3)
    assert (info["timeFrom"], info["timeTo"]) == (999_989, 1_000_000)


# Storages


def test_storages(tracks: Running) -> None:
    client = tracks.client
    assert client.get("/api/storages").json() == {"storages": ["tracks"]}
    item = {"taskId": "a", "userName": "u", "data": {}}
    for answer in (
        client.post("/api/storages/access/tracks", json=item),
        client.get("/api/storages/access/tracks"),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:cybertools-tracking:storage-not-found"
    made = client.put("/api/storages/access", json={"indexAttributes": ["state"]})
    assert (made.status_code, made.json()) == (
        201,
        {"name": "access", "indexAttributes": ["state"]},
    )
    assert client.put("/api/storages/access").status_code == 200
    more = client.put("/api/storages/access", json={"indexAttributes": ["score"]})
    assert more.json()["indexAttributes"] == ["state", "score"]
    assert client.post("/api/storages/access/tracks", json=item).status_code == 201
    assert client.get("/api/storages").json() == {"storages": ["access", "tracks"]}
    assert tracks.get("tracks/count") == {"count": 0}
    for wrong in (["data"], ["task id"], [7], "state"):
        answer = client.put("/api/storages/access", json={"indexAttributes": wrong})
        assert answer.status_code == 422
    assert client.put("/api/storages/a%2Fb").status_code == 404
    assert client.put("/api/storages/a%00").status_code == 422


def test_keeping(filled: Running) -> None:
    assert filled.client.post("/api/storages/tracks/reindex").status_code == 204
    assert filled.get("check") == {"findings": []}


def test_what_others_have_made_is_there(tracks: Running, database: str) -> None:
    with open_storage(database, "access") as other:
        other.saveUserTrack("a", 0, "u", {})
    found = tracks.client.get("/api/storages/access/tracks").json()
    assert [track["taskId"] for track in found["tracks"]] == ["a"]


# Lines


def test_many_lines_take_constant_memory(database: str) -> None:
    text = "x" * 1_000
    with open_storage(database) as storage:
        for start in range(0, 60_000, 20_000):
            storage.saveUserTracks(
                {"taskId": "a", "userName": "u", "data": {"n": n, "text": text}}
                for n in range(start, start + 20_000)
            )
    with running(database) as service:
        headers = {"Accept": "application/x-ndjson"}
        count = before = 0
        with service.client.stream("GET", TRACKS, headers=headers) as answer:
            for count, line in enumerate(answer.iter_lines(), 1):
                if count == 10_000:
                    before = resident()
                if count % 10_000 == 1:
                    assert json.loads(line)["data"]["n"] == count - 1
        assert count == 60_000
        # What was sent after that is 50 MB.
        assert resident() - before < 25_000_000


def resident() -> int:
    """The bytes of memory that this process has at the moment."""
    with open("/proc/self/status") as status:  # noqa: PTH123
        text = status.read()
    return int(text.split("VmRSS:")[1].split()[0]) * 1024


def test_who_goes_away_ends_the_stream(database: str) -> None:
    with open_storage(database) as storage:
        storage.saveUserTracks(
            {"taskId": "a", "userName": "u", "data": {"text": "x" * 5_000}} for _ in range(10_000)
        )
    with running(database, line_streams=1) as service:
        request = f"GET {TRACKS} HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n"
        port = int(service.base.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request.encode())
            assert connection.recv(1_000).startswith(b"HTTP/1.1 200 OK\r\n")
            headers = {"Accept": "application/x-ndjson"}
            # The one stream that there may be is taken, by somebody who does not read on.
            assert service.client.get(TRACKS, headers=headers).status_code == 503
            assert service.save().status_code == 201
        collection = service.service.storages.opened()["tracks"]
        deadline = time.monotonic() + PATIENCE
        while collection.streams and time.monotonic() < deadline:
            time.sleep(0.01)
        assert collection.streams == 0
        whole = service.client.get(TRACKS, headers=headers)
        assert len(whole.text.splitlines()) == 10_001


def test_who_stalls_is_cut_off(database: str) -> None:
    with open_storage(database) as storage:
        storage.saveUserTracks(
            {"taskId": "a", "userName": "u", "data": {"text": "x" * 5_000}} for _ in range(10_000)
        )
    with running(database, stall_seconds=0.5) as service:
        request = f"GET {TRACKS} HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n"
        port = int(service.base.rpartition(":")[2])
        collection = service.service.storages.opened()["tracks"]
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request.encode())
            received = b""
            while b"xxx" not in received:  # the stream has begun
                received += connection.recv(1_000)
            deadline = time.monotonic() + PATIENCE
            while collection.streams and time.monotonic() < deadline:
                time.sleep(0.01)
            assert collection.streams == 0
            while part := connection.recv(1 << 20):
                received = received[-10:] + part
            # It does not end as a whole answer does.
            assert not received.endswith(b"0\r\n\r\n")


# Runs that are opened together


def test_several_runs_are_opened_or_none(tracks: Running) -> None:
    url = "/api/storages/tracks/runs/open"
    places = [{"taskId": "a", "label": "s1"}, {"taskId": "a", "label": "s2"}]
    assert tracks.client.post(url, json=[*places, places[0]]).json() == {"runIds": [1, 2, 1]}
    assert tracks.client.post(url, json=places[1]).json() == {"runId": 2}
    assert tracks.client.post(url, json=[]).json() == {"runIds": []}
    for wrong, says in (
        ([{"taskId": "b", "label": "s"}, {"taskId": "b", "label": ""}], "label must not be empty"),
        ([{"taskId": "b", "label": "s"}, {"taskId": "b"}], "must be an object like"),
        ([{"taskId": "b", "label": "s"}] * 5_001, "At most 5,000 runs"),
        ("b", "must be an object like"),
    ):
        answer = tracks.client.post(url, json=wrong)
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
    assert tracks.get("runs/count")["count"] == 2
