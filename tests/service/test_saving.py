"""Saving over HTTP: one outcome for each track, and the good ones stored."""

import gzip
import json
from typing import Any

import httpx
import pytest
import zstandard

from tests.service.running import TRACKS, Running, running

ITEM = {"taskId": "a001", "userName": "u1", "data": {"k": "v"}}


def post(tracks: Running, content: bytes, **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return tracks.client.post(TRACKS, content=content, headers=names)


def outcomes(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["outcome"] for each in answer.json()["outcomes"]]


# One


def test_a_track_is_stored_and_has_a_place(tracks: Running) -> None:
    answer = tracks.save(data={"k": [1, 2.5, None, {"a": "é"}]}, timeStamp=1178011680.25)
    assert answer.status_code == 201
    assert answer.json() == {"outcome": "stored", "id": "0000001"}
    stored = tracks.client.get(answer.headers["location"])
    assert stored.json() == {
        "id": "0000001",
        "taskId": "a001",
        "runId": 1,
        "userName": "u1",
        "timeStamp": 1178011680.25,
        "data": {"k": [1, 2.5, None, {"a": "é"}]},
    }


@pytest.mark.parametrize("number", [2**63, -(2**64), 10**300, 1.5e300, 0.1, 12345678901234567890.5])
def test_numbers_come_back_as_they_were(tracks: Running, number: float) -> None:
    text = json.dumps({**ITEM, "data": {"n": number}})
    assert post(tracks, text.encode()).status_code == 201
    back = json.loads(tracks.client.get(f"{TRACKS}/0000001").text)["data"]["n"]
    assert (type(back), back) == (type(number), number)


def test_the_same_key_is_a_duplicate(tracks: Running) -> None:
    assert tracks.save(key="k").status_code == 201
    again = tracks.save(key="k", userName="u2")
    assert (again.status_code, again.json()) == (200, {"outcome": "duplicate", "id": "0000001"})
    assert tracks.get("tracks/count") == {"count": 1}


def test_the_key_may_be_in_the_header(tracks: Running) -> None:
    body = json.dumps(ITEM).encode()
    assert post(tracks, body, idempotency_key="k").json()["outcome"] == "stored"
    assert post(tracks, body, idempotency_key="k").json()["outcome"] == "duplicate"
    assert tracks.save(key="k").json()["outcome"] == "duplicate"
    other = json.dumps({**ITEM, "key": "other"}).encode()
    assert post(tracks, other, idempotency_key="k").status_code == 409
    assert post(tracks, b"[]", idempotency_key="k").status_code == 409


def test_replace_update_and_overwrite(tracks: Running) -> None:
    tracks.save(data={"a": 1}, timeStamp=1000)
    replaced = tracks.save(data={"a": 2}, replace=True, timeStamp=2000)
    assert (replaced.status_code, replaced.json()["outcome"]) == (200, "replaced")
    updated = tracks.save(data={"b": 3}, update=True)
    assert updated.json() == {"outcome": "updated", "id": "0000001"}
    track = tracks.get("tracks/0000001")
    assert (track["data"], track["timeStamp"]) == ({"a": 2, "b": 3}, 2000)
    tracks.save(data={"c": 4}, update=True, overwrite=True)
    assert tracks.get("tracks/0000001")["data"] == {"c": 4}
    assert tracks.save(userName="u2", replace=True).status_code == 201


def test_a_run_by_its_number_and_by_its_label(tracks: Running) -> None:
    assert tracks.save(runId="session 1").status_code == 201
    assert tracks.save(runId="session 2").status_code == 201
    assert tracks.save(runId="session 1", update=True).json()["id"] == "0000001"
    assert tracks.save(runId=2).status_code == 201
    assert tracks.save(runId=0).status_code == 201
    found = tracks.get("tracks")["tracks"]
    assert [track["runId"] for track in found] == [1, 2, 2, 3]
    assert tracks.get("runs/1")["label"] == "session 1"


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"taskId": ""}, "invalid-value", "taskId must not be empty."),
    ({"taskId": 7}, "invalid-type", "taskId must be text, not an int."),
    ({"userName": "a\0"}, "invalid-value", "userName must not hold a NUL character: 'a\\x00'."),
    ({"data": [1]}, "invalid-data", "data must be a mapping, not a list."),
    ({"data": {"a\0": 1}}, "invalid-data", "data has the key 'a\\x00'"),
    ({"runId": 7}, "invalid-run", "Invalid run: 7."),
    ({"runId": True}, "invalid-type", "runId must be a whole number, not a bool."),
    ({"timeStamp": "yesterday"}, "invalid-value", "timeStamp must be ISO 8601 text"),
    ({"timeStamp": 1178011680250}, "invalid-value", "Is it in milliseconds?"),
    ({"user": "u1"}, "invalid-type", "A track to save has no 'user'; there are: taskId,"),
    ({"replace": 1}, "invalid-type", "replace must be true or false, not an int."),
    ({"replace": True, "update": True}, "invalid-value", "cannot be combined"),
    ({"overwrite": True}, "invalid-value", "overwrite=True needs update=True."),
]


@pytest.mark.parametrize(("wrong", "kind", "message"), REFUSED)
def test_what_is_wrong_is_told_and_not_stored(
    tracks: Running, wrong: dict[str, Any], kind: str, message: str
) -> None:
    answer = tracks.save(**wrong)
    problem = answer.json()
    assert answer.status_code == problem["status"] == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"urn:cybertools-tracking:{kind}"
    assert message in problem["detail"]
    assert tracks.get("tracks/count") == {"count": 0}


@pytest.mark.parametrize("missing", ["taskId", "userName", "data"])
def test_what_is_missing_is_told(tracks: Running, missing: str) -> None:
    item = {name: value for name, value in ITEM.items() if name != missing}
    answer = tracks.client.post(TRACKS, json=item)
    assert answer.json()["detail"] == f"A track to save must have a {missing}."


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b'{"a": NaN}', b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(tracks: Running, body: bytes) -> None:
    answer = post(tracks, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:cybertools-tracking:malformed"


@pytest.mark.parametrize("body", [b"1", b'"text"', b"null", b"true"])
def test_json_that_is_no_track_is_refused(tracks: Running, body: bytes) -> None:
    answer = post(tracks, body)
    assert (answer.status_code, answer.json()["type"][-12:]) == (422, "invalid-type")


def test_a_kind_that_is_not_read_is_refused(tracks: Running) -> None:
    assert post(tracks, b"a=1", content_type="text/csv").status_code == 415


# Many


def test_of_a_list_the_good_ones_are_stored(tracks: Running) -> None:
    items: list[Any] = [
        ITEM,
        {**ITEM, "taskId": ""},
        {**ITEM, "runId": 99},
        7,
        {**ITEM, "key": "k"},
        {**ITEM, "key": "k"},
        {**ITEM, "replace": True, "data": {}},
        {**ITEM, "runId": "label"},
    ]
    answer = tracks.client.post(TRACKS, json=items)
    assert outcomes(answer) == [
        *("stored", "rejected", "rejected", "rejected", "stored", "duplicate", "replaced"),
        "stored",
    ]
    found = answer.json()["outcomes"]
    assert [each.get("id") for each in found] == [
        *("0000001", None, None, None, "0000002", "0000002", "0000002", "0000003")
    ]
    assert [each["error"]["track"] for each in found[1:4]] == [1, 2, 3]
    assert found[1]["error"]["parameter"] == "taskId"
    assert found[2]["error"]["runId"] == 99
    assert tracks.get("tracks/count") == {"count": 3}


def test_an_atomic_list_is_stored_as_a_whole_or_not_at_all(tracks: Running) -> None:
    place = f"{TRACKS}?atomic=true"
    good = tracks.client.post(place, json=[ITEM, ITEM])
    assert outcomes(good) == ["stored", "stored"]
    for wrong in ({"taskId": ""}, {"runId": 99}, {"runId": 99, "replace": True}):
        answer = tracks.client.post(place, json=[ITEM, {**ITEM, **wrong}, ITEM])
        assert answer.status_code == 422
        assert answer.json()["track"] == 1
        assert answer.json()["detail"].startswith("tracks[1]: ")
    assert tracks.get("tracks/count") == {"count": 2}


def test_lines(tracks: Running) -> None:
    lines = [json.dumps(ITEM), "", "{", json.dumps({**ITEM, "key": "k"}), "  "]
    answer = post(tracks, "\n".join(lines).encode(), content_type="application/x-ndjson")
    assert outcomes(answer) == ["stored", "rejected", "stored"]


def test_outcomes_as_lines(tracks: Running) -> None:
    answer = post(tracks, json.dumps([ITEM, 1]).encode(), accept="application/x-ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["outcome"] for line in answer.text.splitlines()] == [
        "stored",
        "rejected",
    ]


def test_nothing_is_no_error(tracks: Running) -> None:
    assert outcomes(post(tracks, b"[]")) == []
    assert outcomes(post(tracks, b"", content_type="application/x-ndjson")) == []


def test_a_long_list_is_stored_in_its_order(tracks: Running) -> None:
    items = [{**ITEM, "data": {"n": n}} for n in range(5_000)]
    answer = tracks.client.post(TRACKS, json=items)
    assert outcomes(answer) == ["stored"] * len(items)
    ids = [each["id"] for each in answer.json()["outcomes"]]
    assert ids == sorted(ids)
    page = tracks.get("tracks", after=ids[4_899])["tracks"]
    assert [track["data"]["n"] for track in page] == list(range(4_900, 5_000))


# Compressed


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content[:40]) + gzip.compress(content[40:])


def zstandard_frames(content: bytes) -> bytes:
    pack = zstandard.ZstdCompressor().compress
    return pack(content[:40]) + pack(content[40:])


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzipped), ("zstd", zstandard_frames)])
def test_a_body_may_be_compressed(tracks: Running, coding: str, pack: Any) -> None:
    body = json.dumps([{**ITEM, "data": {"n": n}} for n in range(4_000)]).encode()
    assert len(outcomes(post(tracks, pack(body), content_encoding=coding))) == 4_000
    cut = post(tracks, pack(body)[:-3], content_encoding=coding)
    assert (cut.status_code, cut.json()["type"][-9:]) == (400, "malformed")
    assert post(tracks, b"nonsense", content_encoding=coding).status_code == 400
    assert tracks.get("tracks/count") == {"count": 4_000}


def test_a_coding_that_is_not_known_is_refused(tracks: Running) -> None:
    answer = post(tracks, b"{}", content_encoding="br")
    assert answer.status_code == 415
    assert "gzip or zstd" in answer.json()["detail"]


# Bounds


@pytest.fixture
def small(database: str) -> Any:
    with running(database, body_bytes=10_000, decoded_bytes=100_000) as service:
        yield service


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_body_that_is_too_large_is_refused(small: Running, pack: Any) -> None:
    coding = "gzip" if pack is gzip.compress else "zstd"
    bomb = pack(b" " * 50_000_000)
    if len(bomb) > 10_000:  # gzip makes no less than a thousandth of it
        bomb = pack(b" " * 5_000_000)
    refused = [post(small, b" " * 10_001), post(small, bomb, content_encoding=coding)]
    assert [answer.status_code for answer in refused] == [413, 413]
    assert "at most 10,000 bytes" in refused[0].json()["detail"]
    chunks = small.client.post(TRACKS, content=(b" " * 1_000 for _ in range(11)))
    assert chunks.status_code == 413
    assert small.service.memory.taken == 0
    assert small.save().status_code == 201


def test_the_memory_for_bodies_is_bounded(database: str) -> None:
    with running(database, memory_bytes=1_000) as service:
        answer = service.save(data={"text": "x" * 2_000})
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert service.save().status_code == 201
        assert service.service.memory.taken == 0


# Track types


def test_what_an_index_cannot_hold_is_refused(database: str) -> None:
    with running(database, attributes=("state",)) as service:
        long = {"state": "x" * 2_000}
        assert service.save(data=long).json()["type"].endswith("invalid-data")
        items = [ITEM, {**ITEM, "data": long}, ITEM]
        answer = service.client.post(TRACKS, json=items)
        assert outcomes(answer) == ["stored", "rejected", "stored"]
        atomic = service.client.post(f"{TRACKS}?atomic=true", json=items)
        assert (atomic.status_code, atomic.json()["track"]) == (422, 1)
        change = service.client.patch(f"{TRACKS}/0000001", json={"data": long})
        assert change.status_code == 422
        assert service.get("tracks/count") == {"count": 2}
