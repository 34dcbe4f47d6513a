"""Export, and what an import makes of it."""

import csv
import gzip
import io
import json
import os
import signal
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.transfer.exporting import export_file
from cybertools.tracking.transfer.importing import import_files
from tests.command import folder, peak_memory, run, spawn

__all__ = ["folder"]


def save_some(url: str = "sqlite:tracks.db") -> None:
    with open_storage(url) as tracks:
        labelled = tracks.openRun("t1", "session, one")
        tracks.saveUserTrack(
            "t1", labelled, "u\r\n1", {"n": 12345678901234567890123}, timeStamp=1.25
        )
        tracks.saveUserTrack("t1", 0, 'u"2', {"text": 'a,"b"\nü\u2028'}, timeStamp=2)
        tracks.saveUserTrack("t2", 0, "u,3", {}, timeStamp=3)


def comparable(storage: Storage) -> list[tuple[Any, ...]]:
    """The tracks without numbers of their own: the runs by their labels or numbers."""
    names = {run.id: run.label or str(run.id) for run in storage.runs.values()}
    return [(t.taskId, names[t.runId], t.userName, t.timeStamp, t.data) for t in storage.values()]


def test_json_lines_have_the_names_of_the_vocabulary() -> None:
    save_some()
    first, second, _ = run("export").json
    assert first == {
        "id": "0000001",
        "taskId": "t1",
        "runId": "session, one",
        "userName": "u\r\n1",
        "timeStamp": 1.25,
        "data": {"n": 12345678901234567890123},
    }
    assert (second["runId"], second["timeStamp"]) == (2, 2)


def test_csv_has_a_header() -> None:
    save_some()
    rows = list(csv.DictReader(io.StringIO(run("export", "--format", "csv").out, newline="")))
    assert list(rows[0]) == ["id", "taskId", "runId", "userName", "timeStamp", "data"]
    assert rows[0]["userName"] == "u\r\n1"
    assert json.loads(rows[1]["data"]) == {"text": 'a,"b"\nü\u2028'}


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.jsonl.gz", "a.csv.zst", "A.CSV.GZ", "a"])
def test_what_is_exported_and_imported_is_the_same(name: str) -> None:
    save_some()
    assert run("export", "--out", name).err == f"3 tracks are in {name}.\n"
    run("--storage", "sqlite:copy.db", "import", name)
    with open_storage("sqlite:tracks.db") as one, open_storage("sqlite:copy.db") as two:
        assert comparable(one) == comparable(two)
        assert [r.label for r in two.runs.values()] == ["session, one", "2", "3"]
    again = run("--storage", "sqlite:copy.db", "export").out
    run("--storage", "sqlite:third.db", "import", "-", stdin=again.encode())
    with open_storage("sqlite:copy.db") as two, open_storage("sqlite:third.db") as three:
        assert comparable(two) == comparable(three)


def test_a_file_is_compressed_as_its_name_says() -> None:
    save_some()
    plain = run("export").out.encode()
    for name in ("a.gz", "a.zst"):
        run("export", "--out", name)
    assert gzip.decompress(Path("a.gz").read_bytes()) == plain
    assert (
        zstandard.ZstdDecompressor().decompressobj().decompress(Path("a.zst").read_bytes()) == plain
    )


def test_a_file_appears_when_it_is_complete() -> None:
    save_some()
    Path("a.jsonl").write_text("before")
    Path("a.jsonl").chmod(0o640)
    with open_storage("sqlite:tracks.db") as storage:
        steps = export_file(storage, "a.jsonl")
        next(steps)
        assert len(list(Path().glob(".a.jsonl.*"))) == 1
        assert Path("a.jsonl").read_text() == "before"
        del steps  # broken off
        assert not list(Path().glob(".a.jsonl.*"))
        assert Path("a.jsonl").read_text() == "before"
        assert list(export_file(storage, "a.jsonl"))[-1] == 3
    assert Path("a.jsonl").read_text().count("\n") == 3
    assert stat.S_IMODE(Path("a.jsonl").stat().st_mode) == 0o640


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_an_export_that_is_killed_leaves_the_old_file(ended_by: signal.Signals) -> None:
    run("sample", "--tracks", "80000", "--save")
    Path("out.jsonl").write_text("before")
    with spawn("export", "--out", "out.jsonl") as process:
        while process.poll() is None and not list(Path().glob(".out.jsonl.*")):
            pass
        process.send_signal(ended_by)
        process.communicate()
    assert process.returncode == 130
    assert Path("out.jsonl").read_text() == "before"
    assert not list(Path().glob(".out.jsonl.*"))


def test_places_that_are_none() -> None:
    save_some()
    Path("folder").mkdir()
    assert "folder is a directory" in run("export", "--out", "folder", status=2).err
    assert "There is no directory" in run("export", "--out", "no/where", status=2).err


def test_a_pipe_can_be_exported_to() -> None:
    save_some()
    os.mkfifo("pipe")
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(Path("pipe").read_bytes()))
    reader.start()
    run("export", "--out", "pipe")
    reader.join()
    assert found[0] == run("export").out.encode()
    assert run("export", "--out", "-").out == run("export").out


def test_export_to_import_in_one_line() -> None:
    save_some()
    exporting = spawn("export")
    importing = spawn("--storage", "sqlite:copy.db", "import", "-", stdin=exporting.stdout)
    assert exporting.stdout is not None
    exporting.stdout.close()
    assert importing.wait() == 0
    assert exporting.wait() == 0
    for process in (exporting, importing):
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    assert run("--storage", "sqlite:copy.db", "count").out == "3\n"


def test_export_takes_constant_memory() -> None:
    run("sample", "--tracks", "50000", "--save")
    assert peak_memory("export", "--out", "out.jsonl") < 100e6
    with Path("out.jsonl").open() as file:
        assert sum(1 for _ in file) == 50_000


texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | texts
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.tuples(
            texts,
            texts,
            texts,
            st.integers(0, 2**33 * 10**6 - 10**6),
            st.dictionaries(texts, values, max_size=4),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["a.jsonl", "a.csv"]),
)
def test_any_track_comes_back_as_it_was(
    tracks: list[tuple[str, str, str, int, dict[str, Any]]], name: str
) -> None:
    with open_storage("memory:") as one, open_storage("memory:") as two:
        for task, label, user, micros, data in tracks:
            one.saveUserTrack(task, one.openRun(task, label), user, data, timeStamp=micros / 1e6)
        list(export_file(one, name))
        report = import_files(two, [name])
        assert report.total("stored") == len(tracks)
        assert comparable(one) == comparable(two)
