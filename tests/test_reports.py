"""Reports equal what is counted by hand over the same tracks, on every engine."""

import json
from collections.abc import Callable
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cybertools.tracking import Storage, Track, open_storage
from cybertools.tracking.errors import InvalidType, InvalidValue, UnknownCriterion
from cybertools.tracking.questions import STEPS_LIMIT
from cybertools.tracking.reports import (
    REPORTS,
    Table,
    active,
    changes,
    counts,
    durations,
    funnel,
    journey,
    paths,
    present,
    retention,
    retries,
    run_report,
    runs,
    task,
    times,
    top,
    totals,
)
from cybertools.tracking.reports.periods import period_edges, period_name
from cybertools.tracking.testing import Comment, Opener
from tests.brute import Brute, kind, micros, same_period

SPRING = 1_774_746_000.0
"""2026-03-29T01:00Z: clocks go on from 2 to 3 in Berlin."""
AUTUMN = 1_792_890_000.0
"""2026-10-25T01:00Z: they go back from 3 to 2."""
SCRIPT = "<script>alert(1)</script>"

ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
)
TASKS = st.sampled_from(["a", "ab", "b", "b/1", SCRIPT])
USERS = st.sampled_from(["u1", "u2", "v", "ü", SCRIPT])
TIMES = st.builds(
    lambda base, off: base + off / 1_000_000,
    st.sampled_from([SPRING, AUTUMN, SPRING + 40 * 86_400]),
    st.one_of(
        st.integers(-3, 3).map(lambda hours: hours * 3_600_000_000),
        st.integers(-2, 2).map(lambda micro: micro),
        st.integers(-20 * 86_400_000_000, 20 * 86_400_000_000),
        st.integers(-100, 100).map(lambda seconds: seconds * 1_000_000),
    ),
)
VALUES = st.sampled_from(
    ["new", "1", 1, 1.0, 1.5, -2, True, False, None, 2**70, 10, 9, "", "a\0b", "a", 'q"x', "é",
     SCRIPT, ["x"], {"p": 1}, "\U0010ffff"]
)  # fmt: skip
DATA = st.fixed_dictionaries(
    {},
    optional={
        "state": VALUES.filter(lambda v: v != "a\0b"),
        "deep": st.fixed_dictionaries({}, optional={"ä": VALUES}) | VALUES,
    },
)

SAVE = st.fixed_dictionaries(
    {"taskId": TASKS, "userName": USERS, "data": DATA, "timeStamp": TIMES},
    optional={
        "run": st.sampled_from(["s1", "s2", "s3"]),
        "how": st.sampled_from([{"replace": True}, {"update": True}]),
    },
)
ACTIONS = st.lists(
    st.one_of(
        SAVE.map(lambda save: ("save", save)),
        SAVE.map(lambda save: ("save", save)),
        SAVE.map(lambda save: ("save", save)),
        st.tuples(st.sampled_from(["remove", "update"]), st.integers(0, 30), DATA),
        st.tuples(st.sampled_from(["start", "stop", "leave"]), TASKS),
    ),
    max_size=30,
)
CRITERIA: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "taskId": TASKS | st.sampled_from(["a*", "b*"]) | st.lists(TASKS, max_size=2),
        "userName": USERS | st.just("u*"),
        "state": st.sampled_from(["new", 1, "a*"]),
        "timeFrom": TIMES,
        "timeTo": TIMES,
    },
) | st.just({})
STEPS = st.lists(
    TASKS.map(lambda task: {"taskId": task})
    | st.sampled_from([{"taskId": "a*"}, {"state": "new"}, {"state": 1}, {"taskId": []}, {}]),
    min_size=1,
    max_size=4,
)

names = count()


def filled(open: Opener, actions: list[Any]) -> Storage:
    """A storage in which all of that was done."""
    storage = open(f"r{next(names)}", Comment)
    for action, *rest in actions:
        if action == "save":
            (save,) = rest
            arguments = {k: v for k, v in save.items() if k not in ("run", "how")}
            label = save.get("run")
            run = storage.openRun(save["taskId"], label) if label else 0
            storage.saveUserTrack(runId=run, **arguments, **save.get("how", {}))
        elif action == "start":
            storage.startRun(*rest)
        elif action in ("stop", "leave"):
            storage.stopRun(rest[0], finish=action == "stop")
        else:
            ids = list(storage)
            if ids and action == "remove":
                storage.removeTrack(ids[rest[0] % len(ids)])
            elif ids:
                storage.updateTrack(ids[rest[0] % len(ids)], rest[1])
    return storage


def bare(table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of a table."""
    return list(zip(*(table.column(name) for name in columns), strict=True))


def check_counts(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    unit = draw(st.sampled_from(["hour", "day", "week", "month"]))
    zone = draw(ZONES)
    by = draw(st.sampled_from([None, "taskId", "userName", "state", "deep.ä"]))
    table = counts(storage, unit, zone, by, **brute.criteria)
    expected = brute.counts(unit, zone, by)
    rows = [row for row in table if row[-1]]
    assert [(kind(row[2]) if by else (), row[-1]) for row in rows] == [
        (value, number) for _, value, number in expected
    ]
    for row, (time, *_) in zip(rows, expected, strict=True):
        start: Any = row[0]
        assert same_period(start, time, unit, zone)
        assert not same_period(start - 0.5, time, unit, zone)
    if by is None and expected:
        assert table.rows[0][-1]
        assert table.rows[-1][-1]
        assert len({*table.column("start")}) == len(table)
        gaps = [b - a for a, b in pairwise(table.column("start"))]
        most = {"hour": 3_600, "day": 90_000, "week": 608_400, "month": 31 * 86_400 + 3_600}
        assert all(0 < gap <= most[unit] for gap in gaps)


def check_top(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    what = draw(st.sampled_from(["taskId", "userName", "runId", "state", "deep", "deep.ä"]))
    by = draw(st.sampled_from(["tracks", "users", "runs", "tasks"]))
    most = draw(st.integers(1, 4))
    if {"taskId": "tasks", "userName": "users", "runId": "runs"}.get(what) == by:
        by = "tracks"
    table = top(storage, what, by, most, **brute.criteria)
    assert [(kind(row[0]), *row[1:]) for row in table] == brute.top(what, by, most)


def check_totals(storage: Storage, brute: Brute, _draw: Callable[..., Any]) -> None:
    (told,) = totals(storage, **brute.criteria).as_dicts()
    tracks = brute.in_time()
    assert told == {
        "tracks": len(tracks),
        "users": len({t.userName for t in tracks}),
        "tasks": len({t.taskId for t in tracks}),
        "runs": len({t.runId for t in tracks}),
        "first": tracks[0].timeStamp if tracks else None,
        "last": tracks[-1].timeStamp if tracks else None,
    }


def check_active(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    unit, zone = draw(st.sampled_from(["day", "week", "month"])), draw(ZONES)
    table = active(storage, unit, zone, **brute.criteria)
    rows = bare(table, "period", "users", "tracks")
    assert [row for row in rows if row[2]] == brute.users_by_period(unit, zone)
    cohorts = retention(storage, unit, zone, **brute.criteria)
    there = sorted(
        (row["cohort"], rows[place_of(rows, row["cohort"]) + row["later"]][0], row["users"])
        for row in cohorts.as_dicts()
        if row["users"]
    )
    assert there == brute.retention(unit, zone)


def place_of(rows: list[tuple[Any, ...]], name: str) -> int:
    return [row[0] for row in rows].index(name)


def check_runs(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    at, gap = draw(TIMES), draw(st.sampled_from([1, 3_600, 86_400 * 10]))
    table = runs(storage, gap, at, **brute.criteria)
    assert list(table) == brute.run_states(at, gap)
    table = durations(storage, **brute.criteria)
    assert table.column("runs") == brute.durations(bare(table, "from", "to"))


def check_times(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    most = draw(st.integers(1, 5))
    assert list(times(storage, most, **brute.criteria)) == brute.times()[:most]
    columns = (
        *("taskId", "users", "again", "share", "runs", "median", "p90", "most"),
        *("once", "twice", "thrice", "more"),
    )
    table = retries(storage, most, **brute.criteria)
    assert bare(table, *columns) == brute.retries()[:most]


def check_moves(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    per = draw(st.sampled_from(["userName", "runId"]))
    steps, window = draw(STEPS), draw(st.sampled_from([None, 1, 3_600, 10 * 86_400]))
    table = funnel(storage, steps, window, per, **brute.criteria)
    numbers = table.column("users" if per == "userName" else "runs")
    assert numbers == brute.funnel(steps, window, per)
    gap, most = draw(st.sampled_from([1, 3_600, 10 * 86_400])), draw(st.integers(1, 5))
    assert list(paths(storage, per, gap, most, **brute.criteria)) == brute.paths(per, gap)[:most]


def behind(
    storage: Storage, name: str, given: dict[str, Any], criteria: dict[str, Any]
) -> tuple[list[str], int, int, int]:
    """The ids of the tracks behind a number, page by page; and the totals, by themselves."""
    found: list[str] = []
    while True:
        after = found[-1] if found else None
        arguments = {**given, "top": 3, "after": after, **criteria}
        page = run_report(storage, f"{name}-tracks", arguments).column("id")
        found += page
        if len(page) < 3:
            break
    (totals,) = run_report(storage, f"{name}-tracks", {**given, "show": "totals", **criteria})
    tracks, users, runs = totals
    assert isinstance(tracks, int)
    return found, tracks, users, runs  # type: ignore[return-value]


def listed(tracks: list[Track]) -> tuple[list[str], int, int, int]:
    """The same of those that are counted by hand."""
    newest = sorted(tracks, key=lambda t: (t.timeStamp, t.number), reverse=True)
    ids = [t.id for t in newest]
    return ids, len(ids), len({t.userName for t in tracks}), len({t.runId for t in tracks})


def check_behind_funnel(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    per = draw(st.sampled_from(["userName", "runId"]))
    steps, window = draw(STEPS), draw(st.sampled_from([None, 1, 3_600, 10 * 86_400]))
    step = draw(st.integers(1, len(steps)))
    what = draw(st.sampled_from(["reached", "lost"] if step > 1 else ["reached"]))
    given = {"steps": steps, "window": window, "per": per}
    found = behind(storage, "funnel", {**given, "step": step, "what": what}, brute.criteria)
    by_hand = brute.behind_funnel(steps, window, per, step - 1, what == "lost")
    assert found == listed(by_hand)
    row = funnel(storage, steps, window, per, **brute.criteria).as_dicts()[step - 1]
    counted = "lost" if what == "lost" else "users" if per == "userName" else "runs"
    assert row[counted] == found[2 if per == "userName" else 3] == found[1]


def check_behind_retention(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    unit, zone = draw(st.sampled_from(["day", "week", "month"])), draw(ZONES)
    table = retention(storage, unit, zone, **brute.criteria)
    by_hand = brute.behind_retention(unit, zone)
    if not len(table):
        assert by_hand == {}
        return
    row = draw(st.sampled_from(table.as_dicts()))
    given = {
        "cohort": row["cohort"], "later": row["later"], "unit": unit, "timezone": zone
    }  # fmt: skip
    found = behind(storage, "retention", given, brute.criteria)
    edges = period_edges(row["start"], row["start"] + 400 * 86_400, unit, zone)
    name = period_name(edges[row["later"]], unit, zone)
    assert found == listed(by_hand.get((row["cohort"], name), []))
    assert found[2] == row["users"]


def check_behind_paths(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    per, gap = draw(st.sampled_from(["userName", "runId"])), draw(st.sampled_from([1, 3_600]))
    by_hand = brute.behind_paths(per, gap)
    pairs = [("a", "b"), ("a", "a"), ("b", None), *by_hand]
    source, target = draw(st.sampled_from(pairs))
    given = {"source": source, "target": target, "per": per, "gap": gap}
    found = behind(storage, "paths", given, brute.criteria)
    assert found == listed(by_hand.get((source, target), []))
    numbers = {(row[0], row[1]): row[2] for row in paths(storage, per, gap, 50, **brute.criteria)}
    assert numbers.get((source, target), 0) == found[1]


def check_looks(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    at, within = draw(TIMES), draw(st.sampled_from([1, 3_600, 86_400 * 10]))
    assert list(present(storage, within, at, **brute.criteria)) == brute.present(at, within)
    newest = brute.in_time()[::-1]
    assert changes(storage, 3, **brute.criteria).column("id") == [t.id for t in newest[:3]]
    user = draw(USERS)
    rest = {name: value for name, value in brute.criteria.items() if name != "userName"}
    mine = Brute(storage, **rest, userName=user).in_time()[-4:]
    table = journey(storage, user, 4, **rest)
    assert table.column("id") == [t.id for t in mine]
    pauses = [micros(b.timeStamp - a.timeStamp) for a, b in pairwise(mine)]
    assert [p if p is None else micros(p) for p in table.column("pause")] == [None, *pauses][
        : len(mine)
    ]


def check_task(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    name = draw(TASKS)
    rest = {name: value for name, value in brute.criteria.items() if name != "taskId"}
    mine = Brute(storage, **rest, taskId=name)
    (told,) = task(storage, name, **rest).as_dicts()
    assert told["tracks"] == len(mine.tracks)
    assert told["users"] == len({t.userName for t in mine.tracks})
    assert told["runs"] == len({t.runId for t in mine.tracks})
    if mine.tracks:
        ((_, visits, total, mean, _, median, p90, most),) = mine.times()
        assert (told["visits"], told["total"], told["mean"]) == (visits, total, mean)
        assert (told["median"], told["p90"], told["most"]) == (median, p90, most)
        assert told["first"] == mine.in_time()[0].timeStamp
        assert told["last"] == mine.in_time()[-1].timeStamp
        assert (told["again"], told["share"]) == mine.retries()[0][2:4]


CHECKS = [
    check_counts,
    check_top,
    check_totals,
    check_active,
    check_runs,
    check_times,
    check_moves,
    check_behind_funnel,
    check_behind_retention,
    check_behind_paths,
    check_looks,
    check_task,
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_reports_equal_what_is_counted_by_hand(open: Opener, data: st.DataObject) -> None:
    storage = filled(open, data.draw(ACTIONS))
    for check in CHECKS:
        check(storage, Brute(storage, **data.draw(CRITERIA)), data.draw)


CROWD = st.lists(
    st.fixed_dictionaries(
        {
            "taskId": st.sampled_from(["a", "ab", "b"]),
            "userName": st.sampled_from(["u1", "u2"]),
            "data": st.sampled_from([{"state": "new"}, {"state": 1}, {}]),
            "timeStamp": st.integers(0, 6).map(lambda second: SPRING + second),
            "run": st.sampled_from(["s1", "s2", "s3", "s4"]),
        }
    ),
    min_size=15,
    max_size=40,
)
"""Many tracks in a few seconds: times between them are often just those that are asked for."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(crowd=CROWD, data=st.data())
def test_reports_of_a_crowd(open: Opener, crowd: list[Any], data: st.DataObject) -> None:
    storage = filled(open, [("save", save) for save in crowd])
    brute = Brute(storage)
    for per in ("userName", "runId"):
        steps = data.draw(st.lists(st.sampled_from(["a", "ab", "b", "a*"]), min_size=2, max_size=8))
        asked = [{"taskId": step} for step in steps]
        for window in (None, 1, 2):
            table = funnel(storage, steps, window, per)
            numbers = table.column("users" if per == "userName" else "runs")
            assert numbers == brute.funnel(asked, window, per)
            step = data.draw(st.integers(2, len(steps)))
            for what in ("reached", "lost"):
                cell = {"steps": steps, "window": window, "per": per, "step": step, "what": what}
                by_hand = brute.behind_funnel(asked, window, per, step - 1, what == "lost")
                assert behind(storage, "funnel", cell, {}) == listed(by_hand)
        for gap in (1, 2):
            assert list(paths(storage, per, gap, 50)) == brute.paths(per, gap)
            source, target = data.draw(st.sampled_from([*brute.behind_paths(per, gap)]))
            cell = {"source": source, "target": target, "per": per, "gap": gap}
            by_hand = brute.behind_paths(per, gap)[source, target]
            assert behind(storage, "paths", cell, {}) == listed(by_hand)
    assert list(times(storage)) == brute.times()
    assert bare(retries(storage), "taskId", "median", "p90") == [
        (row[0], row[5], row[6]) for row in brute.retries()
    ]
    end = data.draw(st.sampled_from([run.end for run in brute.runs]))
    assert list(runs(storage, 1, end + 1)) == brute.run_states(end + 1, 1)
    table = durations(storage)
    assert table.column("runs") == brute.durations(bare(table, "from", "to"))


@given(
    st.floats(0, 2.0**33 - 1),
    st.floats(0, 30 * 86_400),
    st.sampled_from(["minute", "hour", "day", "week", "month"]),
    ZONES | st.sampled_from(["Pacific/Apia", "America/Sao_Paulo", "Africa/Monrovia"]),
)
@example(1_325_239_000.0, 3 * 86_400.0, "day", "Pacific/Apia")  # without 30 December 2011
@example(SPRING - 7_200, 86_400.0, "hour", "Europe/Berlin")
@example(1_540_000_000.0, 86_400.0 * 20, "day", "America/Sao_Paulo")  # where midnight is left out
def test_periods_are_what_clocks_and_calendars_show(
    start: float, length: float, unit: str, zone: str
) -> None:
    length = min(length, 86_400) if unit == "minute" else length
    edges = period_edges(start, start + length, unit, zone)
    assert edges[0] <= start
    assert start + length < edges[-1]
    for edge, end in pairwise(edges):
        assert edge < end
        assert same_period(edge, end - 0.5, unit, zone)
        assert not same_period(edge - 0.5, edge, unit, zone)


def test_the_day_of_the_change_has_23_hours() -> None:
    hours = period_edges(SPRING - 3_600 * 2, SPRING + 86_000, "hour", "Europe/Berlin")
    names = [period_name(edge, "hour", "Europe/Berlin") for edge in hours]
    assert "2026-03-29T01:00+01:00" in names
    assert "2026-03-29T03:00+02:00" in names
    days = period_edges(SPRING, SPRING, "day", "Europe/Berlin")
    assert days[1] - days[0] == 23 * 3_600


def test_a_hour_that_is_shown_twice_is_two(open: Opener) -> None:
    tracks = open()
    for time in (AUTUMN - 1, AUTUMN, AUTUMN + 3_599):
        tracks.saveUserTrack("a", 0, "u", {}, timeStamp=time)
    table = counts(tracks, "hour", "Europe/Berlin")
    assert bare(table, "period", "tracks") == [
        ("2026-10-25T02:00+02:00", 1),
        ("2026-10-25T02:00+01:00", 2),
    ]


@pytest.mark.parametrize("window", [None, 1])
def test_a_funnel_of_as_many_steps_as_there_may_be(open: Opener, window: int | None) -> None:
    tracks = open()
    names = [f"a{n:02}" for n in range(STEPS_LIMIT)]
    tracks.saveUserTracks(
        {"taskId": name, "userName": "u", "timeStamp": n, "data": {}}
        for n, name in enumerate(names)
    )
    table = funnel(tracks, names, window)
    assert [row[2] for row in table] == [1] * STEPS_LIMIT


def test_too_many_periods_are_refused(open: Opener) -> None:
    tracks = open()
    tracks.saveUserTrack("a", 0, "u", {}, timeStamp=0)
    tracks.saveUserTrack("a", 0, "u", {}, timeStamp=2.0**33 - 1)
    with pytest.raises(InvalidValue, match="143,165,577 periods, more than 100,000"):
        counts(tracks, "minute")
    assert len(counts(tracks, "minute", timeTo=60 * 1_000)) == 1
    assert len(counts(tracks, "month")) == 3_267


REQUIRED: dict[str, dict[str, Any]] = {
    "funnel": {"steps": ["a", "b*"]},
    "journey": {"userName": "u"},
    "task": {"taskId": "a"},
    "funnel-tracks": {"steps": ["a", "b*"]},
    "retention-tracks": {"cohort": "1970-W01"},
    "paths-tracks": {"source": "a"},
}


@pytest.mark.parametrize("criteria", [{}, {"taskId": []}, {"timeFrom": 10, "timeTo": 5}])
def test_reports_of_nothing(open: Opener, criteria: dict[str, Any]) -> None:
    tracks = open()
    for name in REPORTS:
        given = REQUIRED.get(name, {}) | {k: v for k, v in criteria.items() if name != "task"}
        table = run_report(tracks, name, given)
        numbers = [
            cell
            for row in table
            for column, cell in zip(table.columns, row, strict=True)
            if column.unit in ("tracks", "users", "runs", "visits")
        ]
        assert not any(numbers)
        assert Table.from_dict(json.loads(table.to_json())) == table


@pytest.mark.parametrize("name", REPORTS)
def test_reports_say_what_they_are(open: Opener, name: str) -> None:
    tracks = open()
    run = tracks.startRun("a")
    tracks.saveUserTrack("a", run, "u", {"x": "<b>"}, timeStamp=60)
    tracks.saveUserTrack("b", 0, "u", {"x": 1}, timeStamp=90)
    table = run_report(tracks, name, {**REQUIRED.get(name, {}), "timeTo": "1970-01-02"})
    spec = REPORTS[name]
    assert spec.summary.endswith(".")
    assert all(p.description for p in spec.parameters)
    assert all(column.description for column in table.columns)
    assert {*table.parameters} == {p.name for p in spec.parameters}
    assert table.criteria == {"timeTo": "1970-01-02"}
    assert {len(row) for row in table} <= {len(table.columns)}
    again = run_report(tracks, name, json.loads(json.dumps({**table.parameters, **table.criteria})))
    assert again == table
    if table.chart:
        assert table.column(table.chart.x)
        assert table.column(table.chart.y)


@pytest.mark.parametrize(
    ("name", "given", "error", "says"),
    [
        ("count", {}, InvalidValue, "There is no report 'count'. There are: counts, top,"),
        ("counts", {"unit": "year"}, InvalidValue, "unit must be one of minute, hour, day, week"),
        ("counts", {"timezone": "Mars"}, InvalidValue, "timezone must be a time zone like"),
        ("counts", {"timezone": "../x"}, InvalidValue, "timezone must be a time zone like"),
        ("counts", {"timezone": 1}, InvalidType, "timezone must be text like"),
        ("counts", {"by": "a..b"}, InvalidValue, "by must be one of taskId, runId, userName, or"),
        ("counts", {"by": 'a"b'}, InvalidValue, "by must be one of taskId, runId, userName, or"),
        ("counts", {"by": "timeStamp"}, InvalidValue, "by must be one of taskId, runId"),
        ("counts", {"by": ["a"]}, InvalidType, "by must be text like"),
        ("counts", {"colour": 1}, UnknownCriterion, "There is no criterion 'colour'."),
        ("counts", {"colour": 1}, UnknownCriterion, "has the parameters: unit, timezone, by."),
        ("counts", {"limit": 1}, UnknownCriterion, "'limit' is no criterion of a report"),
        ("counts", {"timeFrom": "x"}, InvalidValue, "timeFrom must be ISO 8601 text"),
        ("top", {"top": 0}, InvalidValue, "top must be from 1 to 10,000, not 0."),
        ("top", {"top": "1"}, InvalidType, "top must be a whole number"),
        ("runs", {"abandoned": "soon"}, InvalidValue, "abandoned: A duration is like 90s"),
        ("runs", {"abandoned": 0}, InvalidValue, "abandoned must be more than 0 seconds"),
        ("runs", {"abandoned": []}, InvalidType, "abandoned must be a number of seconds"),
        ("runs", {"at": "x"}, InvalidValue, "at must be ISO 8601 text"),
        ("funnel", {}, InvalidType, "The report 'funnel' needs 'steps'."),
        ("funnel", {"steps": "a"}, InvalidType, "steps must be a list of task ids"),
        ("funnel", {"steps": []}, InvalidValue, "steps must be from 1 to 20 steps, not 0."),
        ("funnel", {"steps": [1]}, InvalidType, r"steps\[0\] must be a task id"),
        ("funnel", {"steps": ["a", {"x": 1}]}, UnknownCriterion, r"steps\[1\]: There is no crit"),
        ("funnel", {"steps": [{"limit": 1}]}, UnknownCriterion, r"steps\[0\]: 'limit' is no crit"),
        ("journey", {}, InvalidType, "The report 'journey' needs 'userName'."),
        ("task", {"taskId": ""}, InvalidValue, "taskId must not be empty."),
        ("funnel-tracks", {"steps": ["a"], "step": 2}, InvalidValue, "step must be from 1 to 1"),
        (
            "funnel-tracks",
            {"steps": ["a"], "what": "lost"},
            InvalidValue,
            "Nobody is lost at step 1",
        ),
        ("retention-tracks", {"cohort": "1970"}, InvalidValue, "A week is named like 2026-W13"),
        (
            "retention-tracks",
            {"cohort": "0001-01", "unit": "month", "timezone": "Asia/Tokyo"},
            InvalidValue,
            "A month is named like 2026-03",
        ),
        (
            "retention-tracks",
            {"cohort": "1970-W01", "later": -1},
            InvalidValue,
            "later must not be negative",
        ),
        ("paths-tracks", {"source": "a", "after": "7"}, InvalidValue, "after must be a track id"),
        ("paths-tracks", {"source": "a", "after": "0000007"}, InvalidValue, "there is no track"),
    ],
)
def test_arguments_are_checked(
    name: str, given: dict[str, Any], error: type[Exception], says: str
) -> None:
    with open_storage("memory:") as tracks, pytest.raises(error, match=says):
        run_report(tracks, name, given)


def test_criteria_come_by_name() -> None:
    with open_storage("memory:") as tracks, pytest.raises(InvalidType, match="by their names"):
        counts(tracks, "day", "UTC", None, "a")  # type: ignore[call-arg]
