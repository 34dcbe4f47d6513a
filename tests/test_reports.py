"""Reports equal what is counted by hand over the same tracks, on every engine."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cybertools.tracking import Storage
from cybertools.tracking.errors import InvalidType, InvalidValue, UnknownCriterion
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
)
from cybertools.tracking.testing import Comment, Opener
from tests.brute import Brute, kind, local, micros, same_period

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
    optional={"state": VALUES.filter(lambda v: v != "a\0b"), "deep": st.fixed_dictionaries({}, optional={"ä": VALUES}) | VALUES},
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
CRITERIA = st.fixed_dictionaries(
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
            storage.stopRun(*rest, finish=action == "stop")
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
    for (start, *_), (time, *_) in zip(rows, expected, strict=True):
        assert same_period(start, time, unit, zone)
        assert not same_period(start - 0.5, time, unit, zone)
    if by is None and expected:
        assert table.rows[0][-1]
        assert table.rows[-1][-1]
        assert len({*table.column("start")}) == len(table)
        gaps = [b - a for a, b in zip(table.column("start"), table.column("start")[1:])]
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
    pauses = [micros(b.timeStamp - a.timeStamp) for a, b in zip(mine, mine[1:])]
    assert [p if p is None else micros(p) for p in table.column("pause")] == [None, *pauses][
        : len(mine)
    ]


def check_task(storage: Storage, brute: Brute, draw: Callable[..., Any]) -> None:
    name = draw(TASKS)
    rest = {name: value for name, value in brute.criteria.items() if name != "taskId"}
    mine = Brute(storage, **rest, taskId=name)
    told = dict(bare(task(storage, name, **rest), "what", "value"))
    assert told["tracks"] == len(mine.tracks)
    assert told["users"] == len({t.userName for t in mine.tracks})
    assert told["runs"] == len({t.runId for t in mine.tracks})
    if mine.tracks:
        ((_, visits, total, mean, _, median, p90, most),) = mine.times()
        assert (told["visits"], told["time in all"], told["mean visit"]) == (visits, total, mean)
        assert (told["median visit"], told["p90 visit"]) == (median, p90)
        assert told["longest visit"] == most
        assert told["first track"] == mine.in_time()[0].timeStamp
        assert told["last track"] == mine.in_time()[-1].timeStamp
        assert told["users with several runs"] == mine.retries()[0][2]


CHECKS = [
    check_counts,
    check_top,
    check_active,
    check_runs,
    check_times,
    check_moves,
    check_looks,
    check_task,
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_reports_equal_what_is_counted_by_hand(open: Opener, data: st.DataObject) -> None:
    storage = filled(open, data.draw(ACTIONS))
    for check in CHECKS:
        check(storage, Brute(storage, **data.draw(CRITERIA)), data.draw)
