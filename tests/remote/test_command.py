"""The command ``tracks`` with the storage of a service."""

from pathlib import Path

import pytest

from cybertools.tracking import open_storage
from cybertools.tracking.service.gate import Principal
from cybertools.tracking.transfer.importing import import_lines
from tests.command import folder, lines_of, run
from tests.gates import Asked, DecidingGate
from tests.remote.cutting import proxied
from tests.services import service_of

__all__ = ["folder"]

LINES = lines_of(
    *(
        {"taskId": f"t{n % 3}", "userName": f"u{n % 2}", "session": f"s{n % 40}", "n": n}
        for n in range(2_000)
    )
)


def test_saving_and_asking(url: str) -> None:
    said = run(
        "--storage", url, "save", "--task", "t1", "--user", "ann", "--data", '{"state":"new"}'
    )
    assert said.out.strip() == "0000001"
    run("save", "--task", "t2", "--user", "bob", "--data", "{}", "--storage", url)
    assert run("--storage", url, "count").out.strip() == "2"
    (found,) = run("--storage", url, "query", "--where", "state=new", "--json").json
    assert (found["id"], found["userName"], found["data"]) == ("0000001", "ann", {"state": "new"})
    (last,) = run("--storage", url, "last", "--task", "t2", "--user", "bob", "--json").json
    assert last["id"] == "0000002"
    assert run("--storage", url, "tasks", "--json").json == [{"taskId": "t1"}, {"taskId": "t2"}]
    assert "tracks" in run("--storage", url, "overview").out
    assert run("--storage", url, "check").status == 0


def test_the_url_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKS_STORAGE", url)
    assert run("count").out.strip() == "0"


def test_an_import_is_exact_and_again_stores_nothing(url: str) -> None:
    Path("log.jsonl").write_bytes(LINES)
    with proxied(url) as (proxy, address):
        proxy.cut(0, 0, -1, -1, 0, 30, -1, 0)
        first = run("--storage", address, "import", "log.jsonl")
        assert proxy.waits == 0
    assert "2,000 read" in first.out
    assert "0 rejected" in first.out
    again = run("--storage", url, "import", "log.jsonl")
    assert "2,000 read, 0 stored, 2,000 duplicate, 0 rejected" in again.out
    with open_storage(url) as tracks:
        assert len(tracks) == 2_000
        assert sorted(track.data["n"] for track in tracks.iterTracks()) == list(range(2_000))


class Counting(DecidingGate):
    """Lets everybody in, and counts."""

    def __init__(self) -> None:
        self.writes = 0

    def decide(self, asked: Asked) -> Principal:
        self.writes += asked.scope == "write"
        return super().decide(asked)


def test_an_import_opens_its_runs_together(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cybertools.tracking.remote.engine.RUNS", 1_500)
    gate = Counting()
    lines = lines_of(
        *({"taskId": "t", "userName": "u", "runId": f"s{n // 2}", "n": n} for n in range(4_000))
    )
    with service_of(database, gate) as url, open_storage(url) as tracks:
        *_, counts = import_lines(tracks, lines.splitlines(keepends=True))
        assert (counts.stored, counts.rejected) == (4_000, 0)
        assert gate.writes == 3  # two for the runs, one for the tracks
        assert [run.label for run in tracks.runs.values()] == [f"s{n}" for n in range(2_000)]
        assert [track.runId for track in tracks.iterTracks()] == [n // 2 + 1 for n in range(4_000)]


def test_an_export_is_what_was_imported(url: str) -> None:
    Path("log.jsonl").write_bytes(LINES)
    run("--storage", url, "import", "log.jsonl")
    run("--storage", "sqlite:local.db", "import", "log.jsonl")
    remote = run("--storage", url, "export", "--format", "jsonl").json
    local = run("--storage", "sqlite:local.db", "export", "--format", "jsonl").json
    for each in (*remote, *local):
        del each["timeStamp"]
    assert remote == local


def test_nobody_is_there() -> None:
    said = run("--storage", "http://s3cret@127.0.0.1:1", "count", status=3)
    assert said.err.startswith("tracks: http://127.0.0.1:1 cannot be reached:")
    assert "s3cret" not in said.err
