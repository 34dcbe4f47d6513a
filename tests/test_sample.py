"""The sample log: as many tracks as asked for, the same again, and plausible."""

import gzip
import json
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path

import pytest

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.sample import START, sample_lines, sample_tracks
from tests.command import folder, run

__all__ = ["folder"]


@pytest.mark.parametrize("tracks", [0, 1, 2, 10, 999, 5_000])
@pytest.mark.parametrize("days", [1, 7, 90])
def test_there_are_as_many_as_asked_for_in_order_of_time(tracks: int, days: int) -> None:
    times = [track["timeStamp"] for track in sample_tracks(tracks, days=days)]
    assert len(times) == tracks
    assert times == sorted(times)
    assert all(START <= moment < START + (days + 1) * 86_400 for moment in times)


def test_the_same_arguments_give_the_same_bytes() -> None:
    text = b"".join(sample_lines(2_000))
    assert text == b"".join(sample_lines(2_000))
    assert text != b"".join(sample_lines(2_000, seed=2))
    assert text != b"".join(sample_lines(2_000, days=91))
    # On another machine as well: this is the sum of an earlier day.
    assert sha256(text).hexdigest() == SUM


SUM = "e3c6fe10223ea450842e1a32996a6fdfe7dd9cb46e65122fc410d11293346d81"


def test_it_is_plausible() -> None:
    tracks = list(sample_tracks(30_000))
    per_user = Counter(track["userName"] for track in tracks)
    assert len(per_user) > 100
    assert max(per_user.values()) > 10 * sorted(per_user.values())[len(per_user) // 4]
    hours = Counter(int(track["timeStamp"]) // 3600 % 24 for track in tracks)
    assert hours[20] > 5 * hours[3]
    weekdays = Counter(int(track["timeStamp"] - START) // 86_400 % 7 for track in tracks)
    assert weekdays[1] > 1.5 * weekdays[5]
    verbs = Counter(track["data"]["verb"] for track in tracks)
    assert {"opened", "read", "completed", "answered", "finished"} <= set(verbs)
    states = Counter(track["data"].get("state") for track in tracks)
    assert states["passed"] > states["failed"] > 0
    assert any(track["data"].get("attempt", 0) > 1 for track in tracks)
    last = {track["userName"]: track["timeStamp"] for track in tracks}
    assert sum(moment < START + 45 * 86_400 for moment in last.values()) > 10  # dropped out
    sessions = defaultdict(list)
    for track in tracks:
        sessions[track["runId"]].append(track["timeStamp"])
    assert all(times[-1] - times[0] < 6 * 3600 for times in sessions.values())


@pytest.mark.parametrize(("tracks", "days"), [(-1, 90), (1, 0), (1, 40_000)])
def test_what_cannot_be(tracks: int, days: int) -> None:
    with pytest.raises(InvalidValue):
        next(sample_tracks(tracks, days=days))


def test_the_command_writes_it_anywhere() -> None:
    arguments = ("sample", "--tracks", "500", "--seed", "3", "--days", "10")
    text = run(*arguments).out
    assert text.encode() == b"".join(sample_lines(500, 3, 10))
    assert run(*arguments, "--out", "a.jsonl.gz").err == "500 tracks are in a.jsonl.gz.\n"
    assert gzip.decompress(Path("a.jsonl.gz").read_bytes()).decode() == text
    assert run(*arguments, "--save").err == "500 tracks stored, 0 were there before.\n"
    assert run(*arguments, "--save").err == "0 tracks stored, 500 were there before.\n"
    assert run("count").out == "500\n"
    first = json.loads(text.splitlines()[0])
    stored = run("query", "--limit", "1", "--json").json[0]
    assert {**stored, "runId": first["runId"]} == {"id": "0000001", **first}


def test_an_import_of_it_has_no_bad_line() -> None:
    run("sample", "--tracks", "3000", "--out", "a.jsonl")
    assert "3,000 stored, 0 duplicate, 0 rejected" in run("import", "a.jsonl").out
