"""Import as a whole: exact counts, each line once, interruptions, compression, bad input."""

import gzip
import json
import random
import sqlite3
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard

from cybertools.tracking import Storage, Track, open_storage
from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.transfer.importing import import_files
from cybertools.tracking.transfer.writing import key_maker
from tests.command import folder, lines_of, peak_memory, run, spawn

__all__ = ["folder"]

REAL = Path(__file__).parent.parent.parent / "shared" / "data"


def line(n: int = 0, **changes: Any) -> dict[str, Any]:
    track = {"taskId": f"t{n % 3}", "runId": "s1", "userName": "u", "timeStamp": n, "data": {}}
    return track | changes


def counts(*arguments: str | Path, status: int | None = 0, stdin: bytes = b"") -> tuple[int, ...]:
    """What an import says: read, stored, duplicate, rejected, new runs."""
    (summary,) = run("import", "--json", *arguments, status=status, stdin=stdin).json
    assert summary["read"] == sum(summary[n] for n in ("stored", "duplicate", "rejected"))
    names = ("read", "stored", "duplicate", "rejected", "runs")
    for name in names[:4]:
        assert summary[name] == sum(file[name] for file in summary["files"])
    return tuple(summary[name] for name in names)


def content(url: str = "sqlite:tracks.db") -> Counter[tuple[Any, ...]]:
    """What a storage holds, but for the numbers of tracks and runs."""
    with open_storage(url) as tracks:
        assert tracks.check() == []
        return Counter(
            (t.taskId, tracks.runs[t.runId].label, t.userName, t.timeStamp, t.json)
            for t in tracks.values()
        )


# Each line once


def test_equal_lines_all_count_and_a_second_import_stores_nothing() -> None:
    Path("a.jsonl").write_bytes(lines_of(*[line()] * 5, line(1)))
    assert counts("a.jsonl") == (6, 6, 0, 0, 2)
    assert counts("a.jsonl") == (6, 0, 6, 0, 0)


def test_a_file_is_known_under_any_name_and_compression() -> None:
    text = lines_of(*(line(n) for n in range(100)))
    Path("a.jsonl").write_bytes(text)
    Path("b.log").write_bytes(text.replace(b"\n", b"\r\n"))
    Path("c.jsonl.gz").write_bytes(gzip.compress(text[:2000]) + gzip.compress(text[2000:]))
    pack = zstandard.ZstdCompressor().compress
    Path("d.bin").write_bytes(pack(text[:2000]) + b"\x50\x2a\x4d\x18\1\0\0\0x" + pack(text[2000:]))
    Path("e.jsonl").write_bytes(b"\xef\xbb\xbf" + text.removesuffix(b"\n"))
    assert counts("a.jsonl")[:3] == (100, 100, 0)
    assert counts("b.log", "c.jsonl.gz", "d.bin", "e.jsonl")[:3] == (400, 0, 400)
    for piped in (text, gzip.compress(text), pack(text)):
        assert counts("-", stdin=piped)[:3] == (100, 0, 100)


def test_of_a_file_that_has_grown_the_new_lines_are_stored() -> None:
    text = lines_of(*(line(n) for n in range(10)))
    Path("a.jsonl").write_bytes(text[:-20])  # its last line is being written
    assert counts("a.jsonl") == (10, 9, 0, 1, 3)
    Path("a.jsonl").write_bytes(text + lines_of(line(10), line(11)))
    assert counts("a.jsonl") == (12, 3, 9, 0, 0)
    assert content() == content_of(line(n) for n in range(12))


def test_of_a_file_with_a_mended_line_that_line_is_stored() -> None:
    lines = [line(n) for n in range(10)]
    Path("a.jsonl").write_bytes(lines_of(*lines[:4], "no line", *lines[5:]))
    assert counts("a.jsonl") == (10, 9, 0, 1, 3)
    Path("a.jsonl").write_bytes(lines_of(*lines))
    assert counts("a.jsonl") == (10, 1, 9, 0, 0)


def test_files_that_begin_alike_share_the_lines_that_are_at_the_same_place() -> None:
    Path("a.jsonl").write_bytes(lines_of(line(1), line(2), line(3)))
    Path("b.jsonl").write_bytes(lines_of(line(1), line(9), line(2), line(3)))
    assert counts("a.jsonl", "b.jsonl")[:3] == (7, 6, 1)
    assert counts("b.jsonl", "--source", "elsewhere")[:3] == (4, 4, 0)
    assert counts("b.jsonl", "--source", "elsewhere")[:3] == (4, 0, 4)


def test_files_with_another_first_line_are_other_files() -> None:
    Path("a.jsonl").write_bytes(lines_of(line(1), line(2)))
    Path("b.jsonl").write_bytes(lines_of(line(3), line(2)))
    assert counts("a.jsonl", "b.jsonl")[:3] == (4, 4, 0)


def test_a_line_may_have_a_key_of_its_own() -> None:
    Path("a.jsonl").write_bytes(lines_of(line(1, key="k1"), line(2, key="k2"), line(3, key="k1")))
    assert counts("a.jsonl")[:4] == (3, 2, 1, 0)
    run("save", "t", "u", "--key", "k2", "--json")
    assert run("count").out == "2\n"


def test_keys_are_short_in_order_and_differ() -> None:
    key = key_maker(b"first")
    keys = [key(n, b"same") for n in (1, 2, 63, 64, 65, 4095, 4096, 10**6, 2**32 - 1)]
    assert keys == sorted(set(keys))
    assert {len(k) for k in keys} == {16}
    assert key(1, b"other") != keys[0]
    assert key_maker(b"second")(1, b"same") != keys[0]
    assert key_maker(b"first", "origin")(1, b"same") != keys[0]
    assert key_maker(b"first\r")(1, b"same\r\n") == keys[0]


# Runs


def test_a_label_is_the_run_of_its_task() -> None:
    text = lines_of(
        line(0, runId="x"), line(1, runId="x"), line(3, runId="x"), line(0, runId=7), line(0)
    )
    assert counts("-", stdin=text)[4] == 4
    labels = {(r["taskId"], r["label"]) for r in run("runs", "--json").json}
    assert labels == {("t0", "x"), ("t1", "x"), ("t0", "7"), ("t0", "s1")}


def test_without_a_label_it_is_the_current_run() -> None:
    run("run", "start", "t0")
    text = lines_of(
        line(runId=None), line(runId=""), line(runId=0), {"taskId": "t0", "userName": "u"}
    )
    assert counts("-", stdin=text) == (4, 4, 0, 0, 0)
    run("run", "start", "t0")
    assert counts("-", stdin=lines_of(line(9, runId=None)))[4] == 0
    assert [r["tracks"] for r in [run("run", "show", n, "--json").json[0] for n in "12"]] == [4, 1]


def runs_by_hand(tracks: list[tuple[str, str, float]], gap: float) -> Counter[tuple[str, str, str]]:
    """The runs as they should be: task, user and the beginning, with the number of tracks."""
    last: dict[tuple[str, str], tuple[float, float]] = {}
    found: Counter[tuple[str, str, str]] = Counter()
    for task, user, moment in sorted(tracks, key=lambda track: track[2]):
        start, before = last.get((task, user), (moment, moment))
        if moment - before > gap:
            start = moment
        last[task, user] = start, moment
        found[task, user, f"{start:.0f}"] += 1
    return found


@pytest.mark.parametrize("order", ["sorted", "reversed", "shuffled"])
def test_runs_by_gap_are_the_same_in_any_order(order: str) -> None:
    chance = random.Random(3)
    tracks = [
        (f"t{chance.randrange(3)}", f"u{chance.randrange(4)}", float(chance.randrange(20_000)))
        for _ in range(600)
    ]
    tracks.sort(key=lambda track: track[2], reverse=order == "reversed")
    if order == "shuffled":
        chance.shuffle(tracks)
    text = lines_of(
        *(
            {"taskId": t, "userName": u, "timeStamp": s, "runId": "x", "data": {}}
            for t, u, s in tracks
        )
    )
    Path("a.jsonl").write_bytes(text)
    expected = runs_by_hand(tracks, 300)
    assert counts("a.jsonl", "--runs-by-gap", "5m") == (600, 600, 0, 0, len(expected))
    with open_storage("sqlite:tracks.db") as storage:
        found = Counter(
            (t.taskId, t.userName, f"{storage.runs[t.runId].start:.0f}") for t in storage.values()
        )
    assert found == expected
    for options in (["--runs-by-gap", "5m"], ["--runs-by-gap", "1s"], []):
        assert counts("a.jsonl", *options) == (600, 0, 600, 0, 0)
    assert counts("-", "--runs-by-gap", "5m", stdin=gzip.compress(text)) == (600, 0, 600, 0, 0)


def test_a_run_goes_on_in_the_next_file_of_the_same_call() -> None:
    for name, moments in (("a", (0, 1800)), ("b", (3600, 5401))):
        Path(name).write_bytes(lines_of(*(line(m, taskId="t") for m in moments)))
    assert counts("b", "a", "--runs-by-gap", "30m") == (4, 4, 0, 0, 2)
    labels = [r["label"] for r in run("runs", "--json").json]
    assert sorted(labels) == ["u 1970-01-01T00:00:00Z", "u 1970-01-01T01:30:01Z"]


@pytest.mark.parametrize("gap", ["30", "m", "0m", "-5m", "30 min"])
def test_a_gap_that_is_none(gap: str) -> None:
    Path("a").write_bytes(lines_of(line()))
    assert "A duration is like" in run("import", "a", "--runs-by-gap", gap, status=2).err


# Bad lines


BAD = (
    ("not json", "is no JSON"),
    ('{"taskId": "a", "userName": "u", "da', "is no JSON"),
    ("[1]", "must be a JSON object, not a list"),
    ("7", "must be a JSON object, not a number"),
    (json.dumps(line(taskId=5)), "taskId must be text, not an int."),
    (json.dumps(line(userName=None)), "The line has no userName."),
    (json.dumps(line(userName="")), "userName must not be empty."),
    (json.dumps(line(taskId="x" * 1001)), "taskId must have at most 1,000 bytes"),
    (json.dumps(line(taskId="a\0")), "taskId must not hold a NUL"),
    (json.dumps(line(userName="\ud800")), "lone surrogate"),
    (json.dumps(line(data={"k\0": 1})), "keys must not hold a NUL"),
    (json.dumps(line(data={"k": "\udc00"})), "data['k'] holds a lone surrogate"),
    (json.dumps(line(data={"k": float("nan")})), "data['k'] is nan"),
    (json.dumps(line(data=[1])), "data must be a mapping, not a list."),
    (json.dumps(line(data=None)), "data must be a mapping, not None."),
    (json.dumps(line(data={"k": "x" * (2 << 20)})), "data must have at most 1,048,576 bytes"),
    (json.dumps(line(data={"k": "x" * (10 << 20)})), "longer than 8 MiB"),
    (json.dumps(line(timeStamp="9999-12-31")), "timeStamp must be before 2242-03-16"),
    (json.dumps(line(timeStamp=-1)), "timeStamp must not be before 1970"),
    (json.dumps(line(timeStamp=1_600_000_000_000)), "Is it in milliseconds?"),
    (json.dumps(line(timeStamp=float("nan"))), "timeStamp must be a time"),
    (json.dumps(line(timeStamp="soon")), "timeStamp must be ISO 8601"),
    (json.dumps(line(timeStamp=True)), "not a bool"),
    (json.dumps(line(runId=1.5)), "runId must be text, a whole number or null, not a float."),
    (json.dumps(line(runId=-1)), "Invalid run: -1."),
    (json.dumps(line(runId="r" * 1001)), "runId must have at most"),
    (json.dumps(line(key="")), "key must not be empty."),
    (json.dumps(line(data={"x": 1}, x=2)), "'x' is in data and beside it"),
    ("[" * 5000, "nested too deep"),
    (json.dumps(line(data={"k": 1})).replace("1}", "[" * 300 + "]" * 300 + "}"), "100 levels"),
    (
        json.dumps(line(data={"k": 1})).replace("1}", "9" * 5000 + "}"),
        "is no JSON that can be read",
    ),
)


def test_bad_lines_are_kept_with_number_and_reason() -> None:
    good = line(1)
    texts = [text for pair in BAD for text in (pair[0], good)]
    Path("a.jsonl").write_bytes(lines_of(good, "", *texts) + b'{"taskId": "\xff"}\n')
    said = run("import", "a.jsonl").out
    assert "a.jsonl.rejects.jsonl" in said
    found = [json.loads(text) for text in Path("a.jsonl.rejects.jsonl").read_text().splitlines()]
    assert [reject["line"] for reject in found] == [
        *range(3, 3 + 2 * len(BAD), 2),
        3 + 2 * len(BAD),
    ]
    for reject, (text, reason) in zip(found, BAD, strict=False):
        assert reason in reject["reason"]
        assert reject["file"] == "a.jsonl"
        assert text.startswith(reject["text"])
        assert len(reject["text"]) == min(len(text), 65_536)
    assert "not UTF-8" in found[-1]["reason"]
    before = Path("a.jsonl.rejects.jsonl").read_bytes()
    stored = len(BAD) + 1
    assert counts("a.jsonl") == (2 * stored, 0, stored, stored, 0)
    assert Path("a.jsonl.rejects.jsonl").read_bytes() == before
    assert content() == content_of(good for _ in range(stored))
    assert counts("a.jsonl", "--strict", status=1)[3] == stored


def test_the_file_of_rejects_goes_when_nothing_is_rejected_any_more() -> None:
    Path("a.jsonl").write_bytes(lines_of(line(), "bad"))
    run("import", "a.jsonl", "--rejects", "my.rejects")
    assert Path("my.rejects").stat().st_mode & 0o077 == 0
    Path("a.jsonl").write_bytes(lines_of(line(), line()))
    run("import", "a.jsonl", "--rejects", "my.rejects")
    assert not Path("my.rejects").exists()


def test_the_file_of_rejects_never_takes_the_place_of_another_file() -> None:
    Path("a.jsonl").write_bytes(lines_of(line(), "bad"))
    for path in ("a.jsonl", "."):
        assert path in run("import", "a.jsonl", "--rejects", path, status=2).err
    assert not Path("tracks.db").exists()


def test_files_of_one_name_share_their_rejects() -> None:
    for name in ("x", "y"):
        Path(name).mkdir()
        Path(name, "a.jsonl").write_bytes(lines_of(line(taskId=name), f"bad {name}"))
    run("import", "x/a.jsonl", "y/a.jsonl")
    kept = Path("a.jsonl.rejects.jsonl").read_text().splitlines()
    assert [json.loads(text)["file"] for text in kept] == ["x/a.jsonl", "y/a.jsonl"]


def test_where_no_line_is_good_the_import_fails() -> None:
    said = run("import", "-", "--format", "access", status=1, stdin=lines_of(line(), line()))
    assert "is the --format right?" in said.err


def test_index_attributes_are_checked() -> None:
    class Comment(Track):
        typeName = "Comment"
        index_attributes = (*Track.index_attributes, "state")

    texts = lines_of(line(data={"state": "new"}), line(data={"state": "x" * 1001}))
    Path("a.jsonl").write_bytes(texts)
    with open_storage("sqlite:", trackFactory=Comment) as storage:
        report = import_files(storage, ["a.jsonl"])
        assert (report.total("stored"), report.total("rejected")) == (1, 1)
        assert len(storage.query(state="new")) == 1


# Bad files


NO_TEXT: tuple[tuple[str, bytes | str | None, str], ...] = (
    ("missing", None, "There is no file missing."),
    ("folder", "folder", "folder is a directory"),
    ("nul", b"abc\0def", "nul is a binary file"),
    ("nul.gz", gzip.compress(b"abc\0def"), "nul.gz is a binary file"),
    ("elf", b"\x7fELF\2\1\1\0\0\0\0", "elf is a binary file"),
    ("utf16", "{}".encode("utf-16"), "utf16 is UTF-16 text: iconv"),
    ("xz", b"\xfd7zXZ\0abc", "xz is compressed with xz"),
    ("zip", b"PK\3\4abc", "zip is a ZIP archive"),
    ("prose", b"Once upon a time\n", "is of no format that is known"),
    ("array", b'[{"taskId": 1}]', "is one JSON list"),
    ("half.gz", b"\x1f\x8bgarbage", "half.gz cannot be read"),
    ("plain.csv", b"page,visitor\na,b\n", "--map taskId=COLUMN"),
    ("twice.csv", b"taskId,taskId,userName\na,b,c\n", "Two columns have the name 'taskId'"),
    ("quote.csv", b'"taskId,userName\na,b\n', "The header, line 1, cannot be read"),
)


@pytest.mark.parametrize(("name", "text", "message"), NO_TEXT, ids=[case[0] for case in NO_TEXT])
def test_a_file_that_cannot_be_imported_is_named(
    name: str, text: bytes | str | None, message: str
) -> None:
    if text == "folder":
        Path(name).mkdir()
    elif isinstance(text, bytes):
        Path(name).write_bytes(text)
    Path("good.jsonl").write_bytes(lines_of(line()))
    said = run("import", "good.jsonl", name, status=2)
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not Path("tracks.db").exists()  # all files are looked at before anything is made


def test_a_file_without_lines_is_told() -> None:
    for name, text in (("empty", b""), ("blank", b"\n \n"), ("empty.gz", gzip.compress(b""))):
        Path(name).write_bytes(text)
        assert run("import", name).err == f"tracks: {name} has no lines.\n"


@pytest.mark.parametrize(
    "pack", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"]
)
def test_of_a_truncated_file_is_stored_what_can_be_read(pack: Any) -> None:
    chance = random.Random(1)
    lines = [line(n, data={"noise": chance.random()}) for n in range(20_000)]
    packed = pack(lines_of(*lines))
    Path("a").write_bytes(packed[: len(packed) // 2])
    said = run("import", "a", "--json", status=1)
    assert "a could not be read to its end" in said.err
    assert "truncated" in said.err
    (summary,) = said.json
    stored = summary["stored"]
    assert 5_000 < stored < 15_000
    assert "truncated" in summary["files"][0]["error"]
    assert content() == content_of(lines[:stored])
    if summary["rejected"]:
        (reject,) = Path("a.rejects.jsonl").read_text().splitlines()
        assert json.loads(reject)["line"] == stored + 1
    Path("a").write_bytes(packed)
    assert counts("a")[:4] == (20_000, 20_000 - stored, stored, 0)


def test_a_damaged_file_is_told() -> None:
    packed = bytearray(gzip.compress(lines_of(*(line(n) for n in range(5000)))))
    packed[-6] ^= 0xFF
    Path("a.gz").write_bytes(packed)
    assert "damaged" in run("import", "a.gz", status=1).err


# Interruptions


def content_of(lines: Any) -> Counter[tuple[Any, ...]]:
    return Counter(
        (
            *(item["taskId"], item["runId"], item["userName"], item["timeStamp"]),
            json.dumps(item["data"], separators=(",", ":")),
        )
        for item in lines
    )


@pytest.mark.parametrize("options", [[], ["--runs-by-gap", "30m"]], ids=["labels", "gaps"])
def test_killed_at_any_point_and_restarted_it_ends_with_the_same_storage(
    options: list[str],
) -> None:
    chance = random.Random(5)
    run("sample", "--tracks", "40000", "--out", "a.jsonl.gz")
    start = time.monotonic()
    run("--storage", "sqlite:whole.db", "import", "a.jsonl.gz", *options)
    took = time.monotonic() - start
    expected = content("sqlite:whole.db")
    for _ in range(5):
        with spawn("import", "a.jsonl.gz", *options) as process:
            try:
                process.wait(0.3 + chance.random() * took)
            except subprocess.TimeoutExpired:
                process.kill()
    stored = int(run("count").out)
    read, new, duplicate, rejected, _ = counts("a.jsonl.gz", *options)
    assert (read, rejected) == (40_000, 0)
    assert duplicate == stored
    assert new == 40_000 - stored
    assert content() == expected
    with open_storage("sqlite:tracks.db") as a, open_storage("sqlite:whole.db") as b:
        assert {(r.taskId, r.label) for r in a.runs.values()} == {
            (r.taskId, r.label) for r in b.runs.values()
        }


def test_two_imports_of_one_file_at_once_store_it_once() -> None:
    run("sample", "--tracks", "30000", "--out", "a.jsonl")
    both = [spawn("import", "a.jsonl", "--json") for _ in range(2)]
    summaries = [json.loads(process.communicate()[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(summary["stored"] for summary in summaries) == 30_000
    assert sum(summary["duplicate"] for summary in summaries) == 30_000
    assert run("count").out == "30000\n"
    assert run("check").out == "Nothing is wrong.\n"


def test_memory_does_not_grow_with_the_file() -> None:
    peaks = []
    for tracks in ("20000", "100000"):
        run("sample", "--tracks", tracks, "--out", f"{tracks}.jsonl")
        peaks.append(peak_memory("import", f"{tracks}.jsonl"))
    assert max(peaks) < 150e6
    assert peaks[1] < peaks[0] + 60e6


def test_an_import_into_memory_and_over_python() -> None:
    Path("a.jsonl").write_bytes(lines_of(*(line(n) for n in range(10))))
    storage: Storage
    with open_storage("memory:") as storage:
        for stored in (10, 0):
            report = import_files(storage, ["a.jsonl"])
            assert (report.total("read"), report.total("stored")) == (10, stored)
        assert len(storage) == 10
        with pytest.raises(InvalidValue):
            import_files(storage, ["b.jsonl"])


def test_a_storage_that_is_read_only_is_an_error_of_the_storage() -> None:
    Path("a.jsonl").write_bytes(lines_of(line()))
    with sqlite3.connect("tracks.db") as raw:
        raw.execute("CREATE TABLE other (x)")
    raw.close()
    said = run("import", "a.jsonl", status=3)
    assert "another application's" in said.err


# Real logs, where they are at hand


def test_real_logs() -> None:
    for name, tracks, runs in (
        ("semicomplete-access.log", 10_000, 1_368),
        ("kypo-commands.jsonl", 8_080, 14),
    ):
        if (REAL / name).exists():
            place = ("--storage", f"sqlite:{name}.db", REAL / name)
            assert counts(*place) == (tracks, tracks, 0, 0, runs)
            assert counts(*place) == (tracks, 0, tracks, 0, 0)
