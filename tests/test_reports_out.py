"""The ways out of reports and tracks: the command, files, Arrow, notebooks, pictures."""

import json
import sqlite3
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.errors import InvalidValue, UnknownCriterion
from cybertools.tracking.reports import REPORTS, counts, run_report, top
from cybertools.tracking.reports.saving import plot_table, save_table
from cybertools.tracking.transfer.arrow import BATCH, to_arrow
from cybertools.tracking.transfer.exporting import export_file
from tests.command import folder, peak_memory, run, spawn  # noqa: F401 (folder is for all tests)

SCRIPT = "<script>alert('$x^2$')</script>"
STORAGE = "sqlite:tracks.db"

FIRST = 1_774_746_000.0  # 2026-03-29T01:00Z


@pytest.fixture
def tracks(folder: Path) -> Any:  # noqa: ARG001, F811
    with open_storage(STORAGE) as storage:
        for place in range(12):
            run_id = storage.openRun(f"task-{place % 3}", f"s{place % 4}")
            data = {"verb": ["read", SCRIPT, 7, True][place % 4], "n": place}
            time = FIRST + place * 3_600 + 0.25
            storage.saveUserTrack(
                f"task-{place % 3}", run_id, f"user{place % 2}", data, timeStamp=time
            )
        storage.saveUserTrack(SCRIPT, 0, SCRIPT, {"verb": SCRIPT}, timeStamp=FIRST)
        yield storage


class Texts(HTMLParser):
    """The tags and the texts of HTML."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}

GIVEN: dict[str, list[str]] = {
    "funnel": ["task-0", '{"taskId": "task-*", "n": 1}', "--window", "2h"],
    "journey": [SCRIPT],
    "task": [SCRIPT],
    "funnel-tracks": ["task-0"],
    "retention-tracks": ["2026-03", "--unit", "month"],
    "paths-tracks": ["task-0"],
}

# Notebooks


def test_notebooks_show_text_as_text(tracks: Storage) -> None:
    for source in (
        tracks.query()._repr_html_(),  # type: ignore[attr-defined]
        tracks.getUserTracks(SCRIPT, 0, SCRIPT)[0]._repr_html_(),
        top(tracks, "verb")._repr_html_(),
        counts(tracks, by="userName")._repr_html_(),
    ):
        found = Texts(source)
        assert found.tags <= TAGS
        assert any(SCRIPT in text for text in found.texts)


def test_notebooks_show_the_first_rows(tracks: Storage) -> None:
    tracks.saveUserTracks({"taskId": "x", "userName": f"u{n}", "data": {}} for n in range(200))
    found = Texts(tracks.query(taskId="x")._repr_html_())  # type: ignore[attr-defined]
    assert found.texts[-1] == "100 more rows"
    assert "200 tracks" not in found.texts


# Arrow


def test_arrow_has_all_tracks(tracks: Storage) -> None:
    table = to_arrow(tracks).read_all()
    assert table.column_names == ["id", "taskId", "runId", "userName", "timeStamp", "data"]
    rows = table.to_pylist()
    for row, track in zip(rows, tracks.values(), strict=True):
        assert row.pop("timeStamp").timestamp() == track.timeStamp
        assert json.loads(row.pop("data")) == track.data
        assert row == {"id": track.id, "taskId": track.taskId, "runId": track.runId,
                       "userName": track.userName}  # fmt: skip


def test_arrow_takes_criteria(tracks: Storage) -> None:
    table = to_arrow(tracks, userName="user1", order="-timeStamp", limit=2).read_all()
    assert table.column("id").to_pylist() == ["0000012", "0000010"]
    with pytest.raises(UnknownCriterion):
        to_arrow(tracks, colour=1)


def test_pandas_polars_and_duckdb_take_it(tracks: Storage) -> None:
    frame: pd.DataFrame = to_arrow(tracks).read_pandas()
    assert frame.groupby("userName").size().to_dict() == {SCRIPT: 1, "user0": 6, "user1": 6}
    polars: Any = pl.from_arrow(to_arrow(tracks))
    assert polars["timeStamp"].min().timestamp() == FIRST
    reader = to_arrow(tracks)
    with duckdb.connect() as connection:
        connection.register("tracks", reader)
        found = connection.execute(
            "SELECT userName, count(*), max(json_extract(data, '$.n')::int) FROM tracks"
            " GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert found == [(SCRIPT, 1, None), ("user0", 6, 10), ("user1", 6, 11)]


def test_reports_as_arrow(tracks: Storage) -> None:
    for name in REPORTS:
        required: dict[str, dict[str, Any]] = {
            "funnel": {"steps": ["task-0"]},
            "journey": {"userName": "user0"},
            "task": {"taskId": "task-0"},
            "funnel-tracks": {"steps": ["task-0"]},
            "retention-tracks": {"cohort": "2026-W13"},
            "paths-tracks": {"source": "task-0"},
        }
        given = required.get(name, {})
        report = run_report(tracks, name, given)
        table = report.to_arrow()
        assert table.column_names == [column.name for column in report.columns]
        assert table.num_rows == len(report)
        metadata: Any = table.schema.metadata
        assert json.loads(metadata[b"report"]) == name
    values = top(tracks, "verb").to_arrow().column(0).to_pylist()
    assert sorted(values) == sorted(["7", "true", "read", SCRIPT])


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.parquet.gz"])
def test_files_for_analysis(tracks: Storage, name: str) -> None:
    assert list(export_file(tracks, name))[-1] == 13
    content = Path(name).read_bytes()
    if name.endswith(".gz"):
        import gzip

        content = gzip.decompress(content)
    source = pa.BufferReader(content)
    table = parquet.read_table(source) if "parquet" in name else pa.ipc.open_file(source).read_all()
    assert table.equals(to_arrow(tracks).read_all())


# The command


@pytest.mark.parametrize("name", REPORTS)
def test_each_report_is_a_command(tracks: Storage, name: str) -> None:  # noqa: ARG001
    arguments = ["report", name, *GIVEN.get(name, [])]
    if name == "present":
        arguments += ["--at", str(FIRST), "--within", "1s"]
    text = run(*arguments).out
    assert len(text.splitlines()) >= 2
    rows = run(*arguments, "--json").json
    lines = run(*arguments, "--csv").out.splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[0].split(",") == list(rows[0])
    help = run("report", name, "--help").out
    assert REPORTS[name].summary.split(":")[0].split(",")[0] in " ".join(help.split())


def test_reports_are_listed(tracks: Storage) -> None:  # noqa: ARG001
    lines = run("report").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(REPORTS)
    assert all(spec.summary in line for spec, line in zip(REPORTS.values(), lines[1:], strict=True))


def test_a_report_as_a_process(tracks: Storage) -> None:  # noqa: ARG001
    process = spawn(
        *("report", "counts", "--unit", "hour", "--timezone", "Europe/Berlin"),
        *("--where", "n=3", "--where", "n=1", "--from", "2026-03-29"),
    )
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert [line.split() for line in out.decode().splitlines()] == [
        ["period", "tracks"],
        ["2026-03-29T04:00+02:00", "1", "█" * 24],
        ["2026-03-29T05:00+02:00", "0"],
        ["2026-03-29T06:00+02:00", "1", "█" * 24],
    ]


def test_wrong_arguments_are_one_line(tracks: Storage) -> None:  # noqa: ARG001
    for arguments, says in (
        (["nope"], "No such command 'nope'"),
        (["counts", "--timezone", "Mars"], "timezone must be a time zone like 'Europe/Berlin'"),
        (["runs", "--timezone", "Mars"], "timezone must be a time zone like 'Europe/Berlin'"),
        (["counts", "--unit", "year"], "'year' is not one of"),
        (["funnel", "{no"], "A step is a task id or a JSON object"),
        (["journey"], "Missing argument 'USER'"),
        (["changes", "--plot", "x.png"], "The report 'changes' is a list: there is no chart"),
        (["counts", "--plot", "x.gif"], "x.gif must end in .png or .svg."),
        (["counts", "--out", "x.txt"], "x.txt must end in one of .csv, .json"),
        (["present", "--within", "soon"], "within: A duration is like 90s"),
    ):
        ended = run("report", *arguments, status=2)
        assert says in ended.err
        assert ended.err.count("\n") == 1


def test_times_in_another_zone(tracks: Storage) -> None:  # noqa: ARG001
    shown = run("report", "changes", "--top", "1", "--timezone", "Asia/Kolkata").out
    assert "2026-03-29 17:30:00+0530" in shown


def test_a_bare_number_is_seconds(tracks: Storage) -> None:  # noqa: ARG001
    at = str(FIRST + 3_600)
    rows = run("report", "present", "--within", "10", "--at", at, "--json").json
    assert rows == []
    rows = run("report", "present", "--within", "1h", "--at", at, "--json").json
    assert [row["userName"] for row in rows] == ["user0", SCRIPT]


# Files and pictures


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet", "arrow", "csv.gz"])
def test_reports_as_files(tracks: Storage, suffix: str) -> None:
    table = top(tracks, "verb")
    save_table(table, f"top.{suffix}")
    content = Path(f"top.{suffix}").read_bytes()
    if suffix == "csv":
        assert content.decode() == table.to_csv()
    elif suffix == "json":
        assert json.loads(content)["rows"] == [list(row) for row in table]
    elif suffix == "jsonl":
        assert [json.loads(line) for line in content.splitlines()] == table.as_dicts()
    elif suffix == "parquet":
        assert parquet.read_table(pa.BufferReader(content)).equals(table.to_arrow())
    with pytest.raises(InvalidValue, match=r"must end in one of \.csv"):
        save_table(table, "top.xls")


def test_pictures(tracks: Storage) -> None:
    for name, spec in REPORTS.items():
        given: dict[str, Any] = {"funnel": {"steps": ["task-0", SCRIPT]}}.get(name, {})
        if any(p.required and p.name not in given for p in spec.parameters):
            continue
        table = run_report(tracks, name, given)
        if table.chart is None:
            continue
        plot_table(table, f"{name}.svg")
        source = Path(f"{name}.svg").read_text()
        assert "<script" not in source
        assert source.startswith("<?xml")
        empty = run_report(tracks, name, {**given, "userName": []})
        plot_table(empty, f"{name}.png")
        assert Path(f"{name}.png").read_bytes().startswith(b"\x89PNG")
    plot_table(counts(tracks, "hour", by="userName"), "split.svg")
    plot_table(top(tracks), "top.png")


def test_pictures_of_many_lines_say_so(tracks: Storage) -> None:
    tracks.saveUserTracks(
        {"taskId": f"t{n}", "userName": "u", "data": {}, "timeStamp": FIRST} for n in range(30)
    )
    plot_table(counts(tracks, by="taskId"), "many.svg")
    assert Path("many.svg").stat().st_size > 0


# Constant memory


def test_an_export_takes_no_more_memory_for_more_tracks(
    folder: Path,  # noqa: ARG001, F811
) -> None:
    with open_storage(STORAGE, durability="off") as storage:
        storage.saveUserTrack("t", 0, "u", {"text": "x" * 400})
    with sqlite3.connect("tracks.db") as connection:
        connection.execute(
            "WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < ?)"
            " INSERT INTO tracks SELECT n, taskId, runId, userName, timeStamp, data || ' '"
            " FROM n, tracks",
            (BATCH * 10,),
        )
    connection.close()
    little = peak_memory("export", "--limit", str(BATCH * 3), "little.parquet")
    much = peak_memory("export", "much.parquet")
    assert parquet.read_metadata("much.parquet").num_rows == BATCH * 10
    # SQLite keeps up to 32 MB of the file; the tracks are more than 100 MB.
    assert much < little + 50_000_000


def test_without_pyarrow_it_says_what_to_install(folder: Path) -> None:  # noqa: F811
    with open_storage(STORAGE) as storage:
        storage.saveUserTrack("t", 0, "u", {})
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from cybertools.tracking.cli import main; main(['export', 't.parquet'])"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'cybertools-tracking[arrow]'" in done.stderr
    assert not (folder / "t.parquet").exists()
