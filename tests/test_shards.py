"""Which calls concern one shard of a distributed storage, and which ask all of them.

On a PostgreSQL without Citus the statements tell: each that touches tracks or keys binds the user.
With Citus its own plans tell as well, by the number of their tasks.
"""

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from cybertools.tracking import Storage, open_storage, reports
from tests.engines import give_up
from tests.servers import SHARDS, distributed_database, missing_postgres

ONE_SHARD: dict[str, Callable[[Storage], Any]] = {
    "save": lambda t: t.saveUserTrack("a1", 0, "u1", {}),
    "save into a run": lambda t: t.saveUserTrack("a1", 1, "u1", {}),
    "save with a key": lambda t: t.saveUserTrack("a1", 0, "u1", {}, key="new"),
    "save with a spent key": lambda t: t.saveUserTrack("a1", 0, "u1", {}, key="k1"),
    "save and start a run": lambda t: t.saveUserTrack("a9", 0, "u1", {}),
    "replace": lambda t: t.saveUserTrack("a1", 0, "u1", {}, replace=True),
    "replace with a key": lambda t: t.saveUserTrack("a1", 0, "u1", {}, replace=True, key="new"),
    "update": lambda t: t.saveUserTrack("a1", 0, "u1", {"n": 1}, update=True),
    "last": lambda t: t.getLastUserTrack("a1", 0, "u1"),
    "last of a run": lambda t: t.getLastUserTrack("a1", 1, "u1"),
    "tracks of a user in a task": lambda t: t.getUserTracks("a1", 0, "u1"),
    "query by user": lambda t: t.query(userName="u1"),
    "query by user, a page": lambda t: t.query(userName="u1", after="0000001", limit=10),
    "query by user and time": lambda t: t.query(userName="u1", timeFrom=0, order="-timeStamp"),
    "query by task, run and user": lambda t: t.query(taskId="a1", runId=1, userName="u1"),
    "count of a user": lambda t: t.countTracks(userName="u1"),
}
"""What must not depend on other shards than that of its user."""

NO_SHARD: dict[str, Callable[[Storage], Any]] = {
    "start a run": lambda t: t.startRun("a1"),
    "stop a run": lambda t: t.stopRun("a1"),
    "open a run": lambda t: t.openRun("a1", "label"),
    "current run": lambda t: t.currentRuns["a1"],
}
"""What concerns runs only, which are on the coordinator."""

ALL_SHARDS: dict[str, Callable[[Storage], Any]] = {
    "track by its id": lambda t: t["0000001"],
    "update a track": lambda t: t.updateTrack("0000001", {"n": 1}),
    "remove a track": lambda t: t.removeTrack("0000001"),
    "query by task": lambda t: t.query(taskId="a1"),
    "query by time": lambda t: t.query(timeFrom=0, limit=10),
    "query by users of a prefix": lambda t: t.query(userName="u*"),
    "count": len,
    "user names": lambda t: t.getUserNames("a1"),
    "task ids": lambda t: t.getTaskIds(),
    "a run": lambda t: t.getRun(1),
    "runs": lambda t: dict(t.runs),
    "info": lambda t: t.info(),
    "check": lambda t: t.check(),
    "report of counts": lambda t: reports.counts(t, by="userName"),
    "report of the top": lambda t: reports.top(t, "userName", "tasks"),
    "report of active users": reports.active,
    "report of totals": reports.totals,
    "report of who is there": reports.present,
    "report of runs": lambda t: reports.runs(t, taskId="a1"),
    "report of durations": reports.durations,
    "report of times": reports.times,
    "report of retries": reports.retries,
    "report of a task": lambda t: reports.task(t, "a1"),
    "report of retention": reports.retention,
    "report of paths": reports.paths,
    "report of paths of runs": lambda t: reports.paths(t, per="runId"),
    "report of a funnel": lambda t: reports.funnel(t, ["a0", "a1"]),
    "report of a funnel of runs": lambda t: reports.funnel(t, ["a0", "a1"], per="runId"),
    "report of a quick funnel": lambda t: reports.funnel(t, ["a0", "a1"], 60),
}
"""What asks all shards at once."""

Statement = tuple[str, Any]


@pytest.fixture
def url() -> Iterator[str]:
    """A database whose storages are distributed."""
    if missing_postgres():
        give_up("the distributed layout", missing_postgres())
    with distributed_database() as url:
        yield url


@pytest.fixture
def tracks(url: str) -> Iterator[Storage]:
    """A storage with tracks of users on all shards."""
    with open_storage(url) as tracks:
        for n in range(24):
            tracks.saveUserTrack(f"a{n % 2}", 0, f"u{n % 8}", {}, key=f"k{n}")
        yield tracks


@pytest.fixture
def statements(tracks: Storage, monkeypatch: pytest.MonkeyPatch) -> list[Statement]:  # noqa: ARG001
    """The statements that are executed from now on, with their values."""
    from cybertools.tracking.sql.postgres.connecting import Connection
    from cybertools.tracking.sql.postgres.direct import Direct

    seen: list[Statement] = []
    execute = Connection.execute

    def recorded(self: Connection, sql: str, values: Any = (), /) -> Any:
        seen.append((sql, values))
        return execute(self, sql, values)

    as_it_is = Connection.execute_as_it_is

    def recorded_as_it_is(self: Connection, sql: str) -> Any:
        seen.append((sql, None))
        return as_it_is(self, sql)

    row = Direct.row

    def recorded_directly(self: Direct, raw: Any, values: Any) -> Any:
        seen.append((self.sql, values))
        return row(self, raw, values)

    monkeypatch.setattr(Connection, "execute", recorded)
    monkeypatch.setattr(Direct, "row", recorded_directly)
    monkeypatch.setattr(Connection, "execute_as_it_is", recorded_as_it_is)
    return seen


def is_of_a_user(sql: str) -> bool:
    """Whether the statement touches tracks or keys, and all that it touches are of one user."""
    inserted = re.match(r"INSERT INTO \S+ \((.*?)\) VALUES", sql)
    return bool(re.search(r"\buserName = \?", sql) or (inserted and "userName" in inserted[1]))


def touches_shards(sql: str) -> bool:
    tables = re.sub(r"nextval\('.*?'\)", "", sql)
    return bool(re.search(r"tracking\.tracks(_keys)?\b(?!_)", tables)) or "on_shards" in sql


def tasks_of(url: str, statement: Statement) -> int | None:
    """How many shards Citus sends the statement to; None without Citus."""
    psycopg = import_module("psycopg")
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as connection:
        known = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'")
        if known.fetchone() is None:
            return None
        sql = "EXPLAIN " + statement[0].replace("%", "%%").replace("?", "%s")
        plan = "\n".join(row[0] for row in connection.execute(sql, statement[1]).fetchall())
        return sum(map(int, re.findall(r"Task Count: (\d+)", plan)))


@pytest.mark.parametrize("call", ONE_SHARD)
def test_what_concerns_one_shard(
    url: str, tracks: Storage, statements: list[Statement], call: str
) -> None:
    ONE_SHARD[call](tracks)
    asked = [each for each in statements if touches_shards(each[0])]
    assert asked
    assert [sql for sql, _ in asked if not is_of_a_user(sql)] == []
    assert {tasks_of(url, each) for each in asked} <= {1, None}


@pytest.mark.parametrize("call", NO_SHARD)
def test_what_concerns_no_shard(tracks: Storage, statements: list[Statement], call: str) -> None:
    NO_SHARD[call](tracks)
    assert statements
    assert [sql for sql, _ in statements if touches_shards(sql)] == []


BEHIND: dict[str, Callable[[Storage], Any]] = {
    "step": lambda t: reports.funnel_tracks(t, ["a0", "a1"]),
    "lost": lambda t: reports.funnel_tracks(t, ["a0", "a1"], what="lost", per="runId"),
    "retention": lambda t: reports.retention_tracks(t, "2026-W13", later=1),
    "path": lambda t: reports.paths_tracks(t, "a0", "a1"),
    "end": lambda t: reports.paths_tracks(t, "a0", show="totals"),
}
"""What finds the tracks behind a number."""


@pytest.mark.parametrize("call", BEHIND)
def test_what_is_behind_a_number_joins_nothing(
    url: str, tracks: Storage, statements: list[Statement], call: str
) -> None:
    for timeStamp in ("2026-03-23", "2026-03-30"):
        tracks.saveUserTrack("a0", 0, "first", {}, timeStamp=timeStamp)
    statements.clear()
    BEHIND[call](tracks)
    asked = [each for each in statements if touches_shards(each[0])]
    assert asked
    assert [sql for sql, _ in asked if " JOIN " in sql] == []
    assert all((tasks_of(url, each) or SHARDS) >= SHARDS for each in asked)


@pytest.mark.parametrize("call", ALL_SHARDS)
def test_what_asks_all_shards(
    url: str, tracks: Storage, statements: list[Statement], call: str
) -> None:
    ALL_SHARDS[call](tracks)
    asked = [each for each in statements if touches_shards(each[0]) and not is_of_a_user(each[0])]
    assert asked
    if not any("on_shards" in sql for sql, _ in asked):
        assert all((tasks_of(url, each) or SHARDS) >= SHARDS for each in asked)


@pytest.mark.parametrize("per", ["userName", "runId"])
def test_funnels_join_nothing(tracks: Storage, statements: list[Statement], per: Any) -> None:
    # Citus refuses to join tracks with what it has found for the step before.
    reports.funnel(tracks, ["a0", "a1"], per=per)
    assert [sql for sql, _ in statements if touches_shards(sql)]
    assert [sql for sql, _ in statements if " JOIN " in sql] == []
