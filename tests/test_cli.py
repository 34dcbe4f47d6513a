"""The command ``tracks``: what it answers, what it says of errors, and how it ends."""

import csv
import io
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from cybertools.tracking import open_storage
from cybertools.tracking.cli import cli
from tests.command import folder, lines_of, run, spawn

__all__ = ["folder"]


def save_some() -> None:
    with open_storage("sqlite:tracks.db") as tracks:
        for n in range(6):
            tracks.saveUserTrack(
                f"t{n % 2}", 0, f"u{n % 3}", {"n": n, "state": "open"}, timeStamp=1000 + n
            )


# Every command teaches


def all_commands() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = [("tracks", cli)]
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        found.append((f"tracks {name}", command))
        if isinstance(command, click.Group):
            found += [(f"tracks {name} {sub}", c) for sub, c in command.commands.items()]
    return found


@pytest.mark.parametrize(("name", "command"), all_commands(), ids=str)
def test_help_has_an_example_and_a_sentence(name: str, command: click.Command) -> None:
    help = run(*name.split()[1:], "--help").out
    example = help.split("Examples:")[1].strip()
    assert name in example
    assert command.help
    assert command.help.strip()[0].isupper()
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in ("tracks", "days"):
            explained = parameter.help or parameter.show_default
            assert explained, f"{name} {parameter.opts} has no help"


def test_no_help_is_cut_short_in_the_list_of_commands() -> None:
    listed = run("--help").out.split("Commands:")[1].split("Examples:")[0]
    assert "..." not in listed


def test_without_a_command_it_shows_its_help() -> None:
    assert "Usage: tracks" in run(status=2).err


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cybertools.tracking", "--help"], capture_output=True, check=True
    )
    assert b"Usage: python -m cybertools.tracking" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_and_installed(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    script = run("--show-completion").out
    assert "_TRACKS_COMPLETE" in script
    said = run("--install-completion", shell).out
    assert Path(said.split(" is written")[0]).read_text().strip() == script.strip()


def test_completion_of_an_unknown_shell_says_which_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHELL", "/bin/odd")
    assert "bash|zsh|fish" in run("--install-completion", status=2).err


def test_completion_completes() -> None:
    environment = {
        "COMP_WORDS": "tracks qu",
        "COMP_CWORD": "1",
        "_TRACKS_COMPLETE": "bash_complete",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from cybertools.tracking.cli import main; main()"],
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )
    assert done.stdout.split() == [b"plain,query"]


# Which storage


def test_the_storage_is_named_before_or_after_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    run("--storage", "sqlite:a.db", "save", "t", "u")
    run("save", "t", "u", "--storage", "sqlite:a.db")
    run("--storage", "sqlite:no.db", "save", "t", "u", "--storage", "sqlite:a.db")
    run("run", "start", "t", "--storage", "sqlite:a.db")
    monkeypatch.setenv("TRACKS_STORAGE", "sqlite:a.db")
    assert run("count").out == "3\n"
    assert sorted(path.name for path in Path().iterdir()) == ["a.db"]


def test_one_database_holds_several_storages(monkeypatch: pytest.MonkeyPatch) -> None:
    run("--name", "comments", "save", "t", "u")
    run("save", "t", "u")
    run("save", "t", "u", "--name", "comments")
    assert run("count").out == "1\n"
    monkeypatch.setenv("TRACKS_NAME", "comments")
    assert run("count").out == "2\n"


@pytest.mark.parametrize(
    "command",
    [
        *("count", "query", "last", "tasks", "users", "runs", "info", "overview", "check"),
        *("reindex", "export", "run show 1", "run stop t"),
    ],
)
@pytest.mark.parametrize("scheme", ["sqlite", "zodb"])
def test_reading_what_is_not_there_makes_nothing(command: str, scheme: str) -> None:
    said = run("--storage", f"{scheme}:tracks.db", *command.split(), status=3)
    assert said.err == (
        "tracks: There is no tracks.db here yet:"
        " `tracks import FILE` or `tracks save …` makes it.\n"
    )
    assert not list(Path().iterdir())


# Saving


def test_save_prints_the_id_and_stores_the_data() -> None:
    assert (
        run("save", "a001", "u1", "verb=read", "score=80", "ok=true", "code=007").out == "0000001\n"
    )
    assert run(
        "save", "a001", "u1", '{"k": [1, null]}', "--time", "2007-05-01T11:28+02:00"
    ).out == ("0000002\n")
    assert run("save", "a001", "u1", "-", stdin=b'{"from": "stdin"}', status=0).out == "0000003\n"
    assert run("save", "--task", "a001", "--user", "u1", "--data", '{"o": 1}').out == "0000004\n"
    found = run("query", "--json").json
    assert [track["data"] for track in found] == [
        {"verb": "read", "score": 80, "ok": True, "code": "007"},
        {"k": [1, None]},
        {"from": "stdin"},
        {"o": 1},
    ]
    assert found[1]["timeStamp"] == 1178011680


def test_save_has_the_options_of_the_contract() -> None:
    run("save", "a", "u", "x=1", "--time", "5")
    assert run("save", "a", "u", "y=2", "--update", "--json").json == [
        {"id": "0000001", "outcome": "updated"}
    ]
    assert run("save", "a", "u", "z=3", "--update", "--overwrite", "--json").json[0]["outcome"] == (
        "updated"
    )
    assert run("last", "--json").json[0]["data"] == {"z": 3}
    run("save", "a", "u", "w=4", "--replace")
    assert run("last", "--json").json[0]["data"] == {"w": 4}
    first = run("save", "a", "u", "--key", "k1", "--json").json[0]
    assert run("save", "a", "u", "--key", "k1", "--json").json[0] == first | {
        "outcome": "duplicate"
    }
    assert "Invalid run: 77" in run("save", "a", "u", "--run", "77", status=2).err
    run("save", "a", "u", "--run-label", "s1")
    assert run("runs", "--json").json[-1]["label"] == "s1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["save"], "Missing TASK."),
        (["save", "a"], "Missing USER."),
        (["save", "", "u"], "taskId must not be empty."),
        (["save", "a", "u", "novalue"], "like score=80, not 'novalue'"),
        (["save", "a", "u", "{"], "DATA is no JSON"),
        (["save", "a", "u", '{"x": NaN}'], "data['x'] is nan"),
        (["save", "a", "u", '{"x": "\\ud800"}'], "lone surrogate"),
        (["save", "a", "u", '{"a\\u0000": 1}'], "NUL"),
        (["save", "x" * 1001, "u"], "at most 1,000 bytes"),
        (["save", "a", "u", "--time", "9999-12-31"], "before 2242"),
        (["save", "a", "u", "--time", "1969-12-31"], "before 1970"),
        (["save", "a", "u", "--time", "soon"], "ISO 8601"),
        (["save", "a", "u", "--run", "1", "--run-label", "x"], "cannot both"),
        (["save", "a", "u", "--replace", "--update"], "replace=True cannot"),
        (["query", "--nonsense"], "No such option"),
        (["query", "--order", "backwards"], "--order"),
        (["query", "--where", "state"], "--where is like state=open"),
        (["query", "--limit", "-1"], "limit must not be negative"),
        (["query", "--after", "x"], "after must be a track id"),
        (["query", "--from", "yesterday"], "ISO 8601"),
        (["last", "--run", "0"], "say of which"),
        (["last", "t", "--task", "t"], "two values for taskId"),
        (["run", "show"], "Say which run"),
        (["run", "stop"], "Say which run"),
        (["frobnicate"], "No such command"),
        (["--storage", "tracks.db", "count"], "Did you mean 'sqlite:tracks.db'?"),
        (["sample", "--days", "0"], "--days"),
        (["sample", "--save", "--out", "x"], "cannot both"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(arguments: list[str], message: str) -> None:
    save_some()
    said = run(*arguments, status=2)
    assert message in said.err
    assert said.err.startswith("tracks: ")
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert run("check").out == "Nothing is wrong.\n"


def test_a_file_that_is_no_database_is_named() -> None:
    Path("tracks.db").write_text("Once upon a time " * 1000)
    assert run("count", status=3).err == "tracks: tracks.db is not a SQLite database.\n"


# Asking


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [0, 1, 2, 3, 4, 5]),
        (["--user", "u0"], [0, 3]),
        (["--user", "u0", "--user", "u1"], [0, 1, 3, 4]),
        (["--user", "u*"], [0, 1, 2, 3, 4, 5]),
        (["--task", "t1"], [1, 3, 5]),
        (["--run", "1"], [0, 2, 4]),
        (["--from", "1002", "--to", "1004"], [2, 3, 4]),
        (["--from", "1970-01-01T00:16:44Z"], [4, 5]),
        (["--from", "1970-01-01T01:16:44+01:00"], [4, 5]),
        (["--to", "1970-01-01"], [0, 1, 2, 3, 4, 5]),
        (["--limit", "2"], [0, 1]),
        (["--limit", "2", "--after", "0000002"], [2, 3]),
        (["--order=-timeStamp", "--limit", "2"], [5, 4]),
        (["--where", "n=3"], [3]),
        (["--where", "n=3", "--where", "n=4"], [3, 4]),
        (["--where", "state=op*"], [0, 1, 2, 3, 4, 5]),
        (["--where", "state=closed"], []),
    ],
)
def test_query(arguments: list[str], expected: list[int]) -> None:
    save_some()
    found = run("query", "--json", *arguments).json
    assert [track["data"]["n"] for track in found] == expected
    if not {"--limit", "--order=-timeStamp"} & set(arguments):
        assert run("count", *arguments).out == f"{len(expected)}\n"
        exported = run("export", *arguments).json
        assert [track["id"] for track in exported] == [track["id"] for track in found]


def test_the_keys_are_those_of_the_vocabulary() -> None:
    save_some()
    names = ["id", "taskId", "runId", "userName", "timeStamp", "data"]
    assert list(run("query", "--json").json[0]) == names
    assert list(run("last", "--json").json[0]) == names
    for command in ("query", "last"):
        (row, *_) = csv.DictReader(io.StringIO(run(command, "--csv").out))
        assert list(row) == names
    assert run("query", "--csv", "--limit", "1").out.splitlines()[1] == (
        '0000001,t0,1,u0,1000,"{""n"":0,""state"":""open""}"'
    )


def test_tables_are_readable_without_a_terminal() -> None:
    save_some()
    assert run("query", "--limit", "1").out == (
        "id       taskId  runId  userName  timeStamp            data\n"
        '0000001  t0      1      u0        1970-01-01 00:16:40  {"n":0,"state":"open"}\n'
    )
    assert run("query", "--user", "nobody").err == "No track meets the criteria.\n"


def test_a_long_answer_comes_in_pages_of_one_table() -> None:
    lines = lines_of(*({"taskId": "t", "userName": f"u{n}", "data": {}} for n in range(2_500)))
    run("import", "-", stdin=lines)
    table = run("query").out.splitlines()
    assert len(table) == 2_501
    assert {len(line) for line in table[1:]} == {len(table[1])}


def test_what_would_command_a_terminal_is_shown_as_text() -> None:
    run("save", "\x1b[2Jt", "u\nv", "k=\x1b[1m")
    for command in ("query", "last", "tasks", "users", "overview"):
        out = run(command).out
        assert "\x1b" not in out
        assert "\\x1b[2Jt" in out or "u\\nv" in out


def test_last() -> None:
    save_some()
    assert run("last", "--json").json[0]["data"]["n"] == 5
    assert run("last", "t0", "--json").json[0]["data"]["n"] == 4
    assert run("last", "t0", "u0", "--json").json[0]["data"]["n"] == 0
    assert run("last", "--user", "u0", "--where", "state=open", "--json").json[0]["data"]["n"] == 3
    assert "userName   u0" in run("last", "t0", "u0").out
    assert "years ago" in run("last", "t0", "u0").out
    run("run", "start", "t0")
    assert run("last", "t0", "u0", "--run", "1").out
    missing = run("last", "t0", "u0", "--run", "0", status=1)
    assert (missing.out, missing.err) == ("", "There is no such track.\n")


def test_tasks_and_users() -> None:
    save_some()
    run("save", "t0", "u9")
    assert run("tasks").out.split() == ["taskId", "t0", "t1"]
    assert run("tasks", "--json").json == [{"taskId": "t0"}, {"taskId": "t1"}]
    assert run("tasks", "--top", "1", "--json").json == [{"taskId": "t0", "tracks": 4}]
    assert run("tasks", "--count", "--csv").out == "taskId,tracks\nt0,4\nt1,3\n"
    assert run("users", "--csv").out == "userName\nu0\nu1\nu2\nu9\n"
    assert run("users", "t1", "--count", "--json").json == [
        {"userName": f"u{n}", "tracks": 1} for n in range(3)
    ]
    assert run("users", "--task", "t1", "--csv").out == "userName\nu0\nu1\nu2\n"


def test_an_empty_list_is_empty_for_programs() -> None:
    run("run", "start")
    assert run("tasks", "--json").out == ""
    assert run("tasks", "--csv").out == "taskId\n"
    assert run("query", "--csv").out == "id,taskId,runId,userName,timeStamp,data\n"
    assert run("overview", "--json").json[0]["lastTrack"] is None
    assert run("overview").out.startswith("tracks    0\n")


def test_runs() -> None:
    assert run("run", "start", "a").out == "1\n"
    assert run("run", "open", "a", "session").out == "2\n"
    assert run("run", "open", "a", "session", "--json").json == [{"runId": 2}]
    run("save", "a", "u", "--time", "10")
    assert run("run", "show", "--task", "a", "--json").json[0]["tracks"] == 1
    assert "start     1970-01-01 00:00:10 UTC" in run("run", "show", "1").out
    assert [r["runId"] for r in run("runs", "--state", "current", "--json").json] == [1]
    assert run("run", "stop", "a").out == "1\n"
    assert run("run", "stop", "a", status=1).err == "There is no run to stop.\n"
    assert run("run", "stop", "--run", "2", "--unfinished").out == "2\n"
    assert [r["runId"] for r in run("runs", "--state", "finished", "--json").json] == [1]
    assert [r["finished"] for r in run("runs", "--task", "a", "--json").json] == [True, False]
    assert run("runs", "--task", "b", "--json").out == ""
    assert run("runs", "--csv", "--limit", "1").out.splitlines()[0] == (
        "runId,taskId,label,start,end,finished"
    )
    assert run("run", "show", "7", status=1).err == "There is no such run.\n"
    assert run("run", "show", "--task", "b", status=1).err == "There is no such run.\n"


def test_info_and_overview() -> None:
    save_some()
    (found,) = run("info", "--json").json
    assert (found["tracks"], found["tasks"], found["users"], found["runs"]) == (6, 2, 3, 2)
    assert (found["timeFrom"], found["timeTo"]) == (1000, 1005)
    assert found["bytes"] == Path("tracks.db").stat().st_size
    for name, size in found["parts"].items():
        assert size > 0
        assert name in run("info").out
    (report,) = run("overview", "--top", "1", "--json").json
    assert report["busiestTasks"] == [{"taskId": "t0", "tracks": 3}]
    assert report["mostActiveUser"] == {"userName": "u0", "tracks": 2}
    assert report["lastTrack"]["id"] == "0000004"
    assert "The busiest tasks\ntaskId  tracks\nt0      3\n" in run("overview").out


def test_reindex_makes_indexes_of_data() -> None:
    save_some()
    before = run("info", "--json").json[0]["parts"]
    assert "6 tracks indexed" in run("reindex", "--attribute", "state").err
    after = run("info", "--json").json[0]["parts"]
    assert len(after) == len(before) + 1
    assert run("count", "--where", "state=open").out == "6\n"


def test_check_tells_what_is_wrong() -> None:
    import sqlite3

    save_some()
    assert run("check").out == "Nothing is wrong.\n"
    with sqlite3.connect("tracks.db") as raw:
        raw.execute("DELETE FROM tracks_runs WHERE id = 1")
    raw.close()
    assert "run" in run("check", status=1).out
    assert "run" in run("check", "--json", status=1).json[0]["finding"]


def test_integers_of_any_size_come_back_as_they_are() -> None:
    number = 123456789012345678901234567890
    run("save", "a", "u", f"n={number}")
    assert run("query", "--json").json[0]["data"] == {"n": number}
    assert run("last", "--json").json[0]["data"] == {"n": number}


# How it ends


def test_a_pipe_that_ends_early_is_survived() -> None:
    lines = lines_of(*({"taskId": "t" * 50, "userName": "u", "data": {}} for _ in range(20_000)))
    run("import", "-", stdin=lines)
    for command in (["query"], ["query", "--json"], ["query", "--csv"], ["export"], ["sample"]):
        with spawn(*command) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait() == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_may_be_closed_by_whoever_starts_the_command(closed: str) -> None:
    Path("log.jsonl").write_bytes(lines_of({"taskId": "t", "userName": "u", "data": {}}, "[]"))
    tracks = f"'{sys.executable}' -m cybertools.tracking"
    done = subprocess.run(  # noqa: S602
        f"{tracks} import log.jsonl {closed} && {tracks} import - {closed}",
        shell=True,
        input=b"",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert run("count").out == "1\n"
    assert "Nothing is wrong" in run("check").out


def test_one_run_is_no_runs() -> None:
    line = lines_of({"taskId": "t", "userName": "u", "data": {}})
    assert run("import", "-", stdin=line).out.endswith("\n1 new run\n")
    assert run("import", "-", stdin=line * 2).out.endswith("\n0 new runs\n")


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_import_with_an_exact_receipt(ended_by: signal.Signals) -> None:
    run("sample", "--tracks", "400000", "--out", "log.jsonl")
    with spawn("import", "log.jsonl") as process:
        wait_for_tracks(Path("tracks.db"))
        process.send_signal(ended_by)
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert b"the same command goes on from here" in err
    stored = int(run("count").out)
    assert 0 < stored < 400_000
    assert f"{stored:,} stored" in out.decode()


def wait_for_tracks(path: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists():
            with open_storage(f"sqlite:{path}") as tracks:
                if len(tracks):
                    return
        time.sleep(0.05)
    pytest.fail("Nothing was stored within a minute.")


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What a command prints on a terminal of 80 columns."""
    own, its = pty.openpty()
    settings = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80"} | environment
    with spawn(*arguments, stdin=its, stdout=its, stderr=its, env=settings) as process:
        os.close(its)
        output = b""
        while True:
            try:
                piece = os.read(own, 4096)
            except OSError:  # Linux: the other end is closed
                break
            if not piece:
                break
            output += piece
        os.close(own)
        assert process.wait() == 0, output
    return output.decode()


@pytest.mark.parametrize(
    "command", [["query"], ["last"], ["info"], ["tasks", "--count"], ["export", "--out", "x.jsonl"]]
)
def test_colours_are_for_terminals_that_want_them(command: list[str]) -> None:
    run("save", "t", "u", "text=" + "long " * 50)
    assert "\x1b[1m" in on_a_terminal(*command) or command[0] == "export"
    plain = on_a_terminal(*command, NO_COLOR="1")
    assert "\x1b[1m" not in plain
    assert "\x1b[3" not in plain
    assert "\x1b" not in run(*command).out


def test_a_table_fits_its_terminal() -> None:
    run("save", "t" * 100, "u", "text=" + "long " * 50)
    lines = on_a_terminal("query", NO_COLOR="1").splitlines()
    assert max(map(len, lines)) <= 80 + len("  ") * 2
    assert "…" in lines[1]


def test_start_up_imports_no_more_than_it_needs() -> None:
    code = (
        "import sys; from cybertools.tracking.cli import cli;"
        "cli.main(['--help'], standalone_mode=False);"
        "sys.exit(' '.join({'rich', 'zstandard', 'BTrees', 'psycopg'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.stderr.strip() == b""
