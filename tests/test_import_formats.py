"""How the lines of each format become tracks."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from cybertools.tracking.transfer.drafts import Draft, Entry, Reading
from cybertools.tracking.transfer.formats import FORMATS, Format, format_of
from cybertools.tracking.transfer.sources import open_source
from cybertools.tracking.transfer.times import text_time
from cybertools.tracking.transfer.visitors import salt_file, visitor_names
from tests.command import folder, lines_of, run

__all__ = ["folder"]

NOW = 1_700_000_000.0


def read(format: Format, text: str | bytes, **names: str) -> list[Entry]:
    content = text.encode() if isinstance(text, str) else text
    reading = Reading(NOW, lambda address, agent: f"<{address} {agent}>", names)
    return list(FORMATS[format](content.split(b"\n"), reading))


def drafts(format: Format, text: str | bytes, **names: str) -> list[Draft]:
    entries = read(format, text, **names)
    for entry in entries:
        assert isinstance(entry[2], Draft), entry
    return [made for _, _, made in entries if isinstance(made, Draft)]


def reasons(format: Format, text: str | bytes, **names: str) -> dict[int, str]:
    return {n: made for n, _, made in read(format, text, **names) if isinstance(made, str)}


# Which format it is


@pytest.mark.parametrize(
    ("text", "format"),
    [
        (b'{"taskId": "a"}\n', "jsonl"),
        (b'\n\n  {"page": "a"', "jsonl"),
        (b'garbage\n{"taskId": "a"}\n', "jsonl"),
        (b'{"event_type": "x", "event_source": "server"}\n', "edx"),
        (b"taskId,userName\na,b\n", "csv"),
        (b"taskId;userName\na;b\n", "csv"),
        (b"taskId\tuserName\na\tb,c\n", "tsv"),
        (b'1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5\n', "access"),
        (
            b'junk, junk\n1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5\n',
            "access",
        ),
        (b"", "jsonl"),
    ],
)
def test_a_format_is_recognised_by_its_content(text: bytes, format: str) -> None:
    Path("a.txt").write_bytes(text)
    assert format_of(open_source("a.txt")) == format


# JSON lines


def test_json_lines() -> None:
    text = '{"taskId": "a", "runId": "r", "userName": "u", "timeStamp": 1.5, "data": {"k": [1]}}'
    assert drafts("jsonl", text) == [Draft("a", "r", "u", 1.5, '{"k":[1]}', text.encode())]


def test_what_has_no_place_goes_into_data() -> None:
    (draft,) = drafts(
        "jsonl",
        '{"page": "a", "who": "u", "at": "2007-05-01", "id": 7, "x": null}',
        taskId="page",
        userName="who",
        timeStamp="at",
    )
    assert draft[:5] == ("a", None, "u", 1177977600.0, '{"id":7,"x":null}')
    (draft,) = drafts(
        "jsonl", '{"id": "0000001", "taskId": "a", "userName": "u", "data": {}, "x": 1}'
    )
    assert draft[:5] == ("a", None, "u", NOW, '{"x":1}')
    (draft,) = drafts(
        "jsonl", '{"taskId": "a", "userName": "u", "payload": {"k": 1}}', data="payload"
    )
    assert draft.json == '{"k":1}'


@pytest.mark.parametrize(
    "number",
    ["12345678901234567890123", "18446744073709551616", "0.1", "1e300", "-9223372036854775809"],
)
def test_numbers_stay_what_they_are(number: str) -> None:
    (draft,) = drafts("jsonl", f'{{"taskId": "a", "userName": "u", "data": {{"n": {number}}}}}')
    assert json.loads(draft.json) == {"n": json.loads(number)}
    assert isinstance(json.loads(draft.json)["n"], type(json.loads(number)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1178011680", 1178011680.0),
        (" 1178011680.25 ", 1178011680.25),
        ("1e9", 1e9),
        ("20070501", "20070501"),
        ("2007-05-01", "2007-05-01"),
        ("20071301", 20071301.0),
        ("-5", -5.0),
    ],
)
def test_times_as_text(text: str, value: Any) -> None:
    assert text_time(text) == value


# CSV and TSV


def test_csv() -> None:
    rows = drafts(
        "csv",
        "taskId,runId,userName,timeStamp,data,colour\r\n"
        'a,r1,u,1.5,"{""k"": ""v""}",red\r\n'
        '"b, c",,"u ""x""",2007-05-01T00:00:00Z,,\r\n'
        "\r\n"
        '"d\ne",7,u,,"{\n}","two\r\nlines"',
    )
    assert [row[:5] for row in rows] == [
        ("a", "r1", "u", 1.5, '{"k":"v","colour":"red"}'),
        ("b, c", None, 'u "x"', 1177977600.0, '{"colour":""}'),
        ("d\ne", "7", "u", NOW, '{"colour":"two\\r\\nlines"}'),
    ]


def test_csv_with_a_map() -> None:
    rows = drafts("csv", "page;visitor;n\na;b;1\n", taskId="page", userName="visitor")
    assert [row[:5] for row in rows] == [("a", None, "b", NOW, '{"n":"1"}')]
    rows = drafts("tsv", "page\tvisitor\tn\na\tb\tc,d\n", taskId="page", userName="visitor")
    assert [row[:5] for row in rows] == [("a", None, "b", NOW, '{"n":"c,d"}')]


def test_bad_rows_do_not_take_others_with_them() -> None:
    text = b"taskId,userName,data\n" + b"\n".join(
        (
            b"a,u,{}",
            b"few,u",
            b"a,u,{},many",
            b'open,"u,{}',
            b"a,u,{}",
            b'a,"u"x,{}',
            b"a,\xff,{}",
            b"a,u,no json",
            b"a,u,[1]",
            b",u,{}",
            b'a,u,"{""k"":\n1}"',
            b'a,u,"{""k"":\nnone}"',
            b'last,"u,{}',
            b"a,u,{}",
        )
    )
    found = reasons("csv", text)
    assert list(found) == [3, 4, 5, 7, 8, 9, 10, 11, 14, 16]
    assert found[3] == "The row has 2 cells, the header 3."
    assert found[4] == "The row has 4 cells, the header 3."
    assert "cannot be read" in found[7]
    assert found[8] == "The row is not UTF-8: byte 3 is wrong."
    assert found[9].startswith("data: the cell is no JSON")
    assert found[10] == "data must be a mapping, not a list."
    assert found[11] == "taskId must not be empty."
    assert [n for n, _, made in read("csv", text) if isinstance(made, Draft)] == [2, 6, 12, 17]


def test_a_quotation_mark_that_never_closes_costs_one_line() -> None:
    rows = [b"a,u"] * 1000
    rows[500] = b'a,"u'
    entries = read("csv", b"taskId,userName\n" + b"\n".join(rows))
    assert [n for n, _, made in entries if isinstance(made, str)] == [502]
    assert len(entries) == 1000


@pytest.mark.parametrize(
    ("map", "message"),
    [
        ("page=taskId", "A mapping is like taskId=page"),
        ("taskId", "A mapping is like taskId=page"),
        ("taskId=a,taskId=b", "two names for taskId"),
        ("taskId=a,userName=a", "Only one of"),
        ("taskId=nothing,userName=b", "no column 'nothing' for taskId"),
        ("taskId=a,userName=b,timeStamp=c", "no column 'c' for timeStamp"),
    ],
)
def test_a_map_that_cannot_be_used(map: str, message: str) -> None:
    Path("a.csv").write_text("a,b\n1,2\n")
    assert message in run("import", "a.csv", "--map", map, status=2).err


def test_a_map_is_for_formats_with_names() -> None:
    Path("a.log").write_text('1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5\n')
    assert "whose names are known" in run("import", "a.log", "--map", "taskId=x", status=2).err


# Access logs

COMBINED = (
    '83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a/b.png?x=1&y HTTP/1.1" 200 203023'
    ' "http://example.com/" "Mozilla/5.0 (X \\"Y\\")"'
)


def test_a_combined_line() -> None:
    (draft,) = drafts("access", COMBINED)
    assert draft[:4] == (
        *("/a/b.png", None, '<83.149.9.216 Mozilla/5.0 (X \\"Y\\")>', 1431857103.0),
    )
    assert json.loads(draft.json) == {
        "method": "GET",
        "status": 200,
        "bytes": 203023,
        "query": "x=1&y",
        "protocol": "HTTP/1.1",
        "referrer": "http://example.com/",
        "agent": 'Mozilla/5.0 (X "Y")',
    }
    assert b"83.149" not in draft.mark


@pytest.mark.parametrize(
    ("line", "task", "user", "moment"),
    [
        (
            '::1 - ann [01/Mar/2026:00:30:00 +0130] "POST /x HTTP/2.0" 204 -',
            "/x",
            "ann",
            1772319600,
        ),
        (
            'h - "ann b" [28/Feb/2024:23:59:59 -0800] "GET / HTTP/1.0" 200 1',
            "/",
            "ann b",
            1709193599,
        ),
        ('h - - [29/Feb/2024:00:00:00 +0000] "GET /old" 200 1', "/old", "<h >", 1709164800),
        ('h - - [29/Feb/2024:00:00:00 +0000] "OPTIONS * HTTP/1.1" 200 1', "*", "<h >", 1709164800),
        (
            'h - - [29/Feb/2024:00:00:00 +0000] "GET http://a.b/c?d HTTP/1.1" 200 1',
            *("/c", "<h >", 1709164800),
        ),
        (
            'www.x.org:443 h - - [29/Feb/2024:00:00:00 +0000] "GET /v HTTP/1.1" 200 1 "-" "-"',
            *("/v", "<h ->", 1709164800),
        ),
        (
            'h - - [29/Feb/2024:00:00:00 +0000] "GET /v HTTP/1.1" 200 1 "-" "A" "10.0.0.1" 0.004',
            *("/v", "<h A>", 1709164800),
        ),
        (
            'h - - [29/Feb/2024:00:00:00 +0000] "GET /two words HTTP/1.1" 200 1',
            *("/two words", "<h >", 1709164800),
        ),
    ],
)
def test_access_lines(line: str, task: str, user: str, moment: float) -> None:
    (draft,) = drafts("access", line)
    assert draft[:4] == (task, None, user, moment)
    assert b"10.0.0.1" not in draft.mark


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (COMBINED.replace("GET /a/b.png?x=1&y HTTP/1.1", "-"), "names no path"),
        (COMBINED.replace("GET /a/b.png?x=1&y HTTP/1.1", "\\x16\\x03\\x01"), "names no path"),
        (COMBINED.replace("17/May", "31/Feb"), "There is no day 31/Feb/2015."),
        (COMBINED.replace("17/May", "17/Mai"), "There is no day"),
        (COMBINED.replace("2015", "1960"), "before 1970"),
        (COMBINED.replace("/a/b.png", "/" + "a" * 1000), "taskId must have at most 1,000 bytes"),
        (COMBINED.replace("/a/b.png", ""), "taskId must not be empty."),
        ("half a line", "not one of an access log"),
    ],
)
def test_bad_access_lines(line: str, reason: str) -> None:
    assert reason in reasons("access", line)[1]


def test_addresses_go_nowhere() -> None:
    Path("a.log").write_text(f"{COMBINED}\n" * 3)
    run("import", "a.log", "--salt", "one")
    assert b"83.149" not in Path("tracks.db").read_bytes()


def test_visitors_depend_on_address_agent_and_salt() -> None:
    visitor = visitor_names("one")
    assert visitor("1.2.3.4", "A") == visitor_names("one")("1.2.3.4", "A")
    names = {
        visitor("1.2.3.4", "A"),
        visitor("1.2.3.5", "A"),
        visitor("1.2.3.4", "B"),
        visitor_names("two")("1.2.3.4", "A"),
        visitor_names()("1.2.3.4", "A"),
    }
    assert len(names) == 5
    assert all(name.startswith("visitor-") and len(name) == 24 for name in names)


def test_the_salt_is_made_once_and_kept_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.log").write_text(f"{COMBINED}\n")
    users = []
    for database in ("a", "b"):
        run("--storage", f"sqlite:{database}.db", "import", "a.log")
        users.append(run("--storage", f"sqlite:{database}.db", "users", "--csv").out)
    assert users[0] == users[1]
    assert stat.S_IMODE(salt_file().stat().st_mode) == 0o600
    monkeypatch.setenv("TRACKS_SALT", "one")
    run("--storage", "sqlite:c.db", "import", "a.log")
    assert run("--storage", "sqlite:c.db", "users", "--csv").out != users[0]
    assert (
        run("import", "a.log", "--salt", "", status=2).err
        == "tracks: The salt must not be empty.\n"
    )


def test_another_salt_does_not_store_the_lines_again() -> None:
    Path("a.log").write_text(f"{COMBINED}\n")
    run("import", "a.log", "--salt", "one")
    assert "0 stored, 1 duplicate" in run("import", "a.log", "--salt", "two").out


def test_a_salt_that_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.log").write_text(f"{COMBINED}\n")
    Path("file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", "file")
    assert "--salt or TRACKS_SALT" in run("import", "a.log", status=2).err


# Tracking logs of edX


def event(**changes: Any) -> dict[str, Any]:
    return {
        "username": "ann",
        "event_type": "problem_check",
        "event_source": "server",
        "ip": "10.0.0.1",
        "agent": "Mozilla",
        "session": "s9",
        "page": "x_module",
        "time": "2013-10-10T12:34:56.123456+00:00",
        "event": {"success": "correct"},
        "context": {"user_id": 7, "course_id": "course-v1:X+Y+Z", "path": "/handler"},
    } | changes


def test_an_event() -> None:
    (draft,) = drafts("edx", json.dumps(event()))
    assert draft[:4] == ("course-v1:X+Y+Z", "s9", "ann", 1381408496.123456)
    assert json.loads(draft.json) == {
        "event_type": "problem_check",
        "event_source": "server",
        "agent": "Mozilla",
        "page": "x_module",
        "context": {"course_id": "course-v1:X+Y+Z", "path": "/handler"},
        "event": {"success": "correct"},
    }
    assert b"10.0.0.1" not in draft.mark


@pytest.mark.parametrize(
    ("changes", "task"),
    [
        ({"context": {"course_id": "c", "module": {"usage_key": "block-1"}}}, "block-1"),
        ({"context": {}, "page": "https://x.org/courses/c/unit?a=1#b"}, "/courses/c/unit"),
        ({"context": {"course_id": "", "path": "/p"}, "page": None}, "/p"),
        ({"context": None, "page": None, "event_type": "/login"}, "/login"),
    ],
)
def test_the_task_of_an_event(changes: dict[str, Any], task: str) -> None:
    assert drafts("edx", json.dumps(event(**changes)))[0].taskId == task


@pytest.mark.parametrize(
    ("changes", "user"),
    [
        ({"username": "", "context": {"user_id": 7, "course_id": "c"}}, "7"),
        ({"username": None, "context": {"user_id": "7", "course_id": "c"}}, "7"),
        ({"username": "", "context": {"user_id": "", "course_id": "c"}}, "<10.0.0.1 Mozilla>"),
        ({"username": "", "context": {"user_id": None, "course_id": "c"}}, "<10.0.0.1 Mozilla>"),
    ],
)
def test_the_user_of_an_event(changes: dict[str, Any], user: str) -> None:
    assert drafts("edx", json.dumps(event(**changes)))[0].userName == user


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('{"id": "v1", "code": "x"}', {"id": "v1", "code": "x"}),
        ('{"id": "v1", "co', '{"id": "v1", "co'),
        ("input_1=a&input_2=b", "input_1=a&input_2=b"),
        ([1, 2], [1, 2]),
        ("", None),
    ],
)
def test_what_the_browser_sends_as_text_is_decoded(sent: Any, kept: Any) -> None:
    (draft,) = drafts("edx", json.dumps(event(event=sent)))
    assert json.loads(draft.json).get("event") == kept


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"taskId": "a"}, "not an event of edX"),
        ([1], "not an event of edX"),
        (event(time=None), "The event has no time."),
        (event(time="never"), "ISO 8601"),
        (event(context={}, page=None, event_type="odd"), "names no course, block or page"),
        (event(username=5), "userName must be text, not an int."),
    ],
)
def test_bad_events(line: Any, reason: str) -> None:
    assert reason in reasons("edx", json.dumps(line))[1]


def test_an_edx_log_is_imported_once() -> None:
    text = lines_of(event(), event(), event(session="", username="bob"))
    assert "3 stored, 0 duplicate" in run("import", "-", stdin=text).out
    assert "0 stored, 3 duplicate" in run("import", "-", stdin=text).out
    assert [r["label"] for r in run("runs", "--json").json] == ["s9", None]
