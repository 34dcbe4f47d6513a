"""The tables of a PostgreSQL database: made, migrated while others save, distributed, refused."""

import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.errors import (
    SchemaError,
    StorageError,
    StorageReadOnly,
    StorageUnavailable,
    Unsupported,
)
from cybertools.tracking.interfaces import Saved
from cybertools.tracking.opening import migrate_storage
from cybertools.tracking.testing import plain
from tests.command import folder, run
from tests.engines import give_up
from tests.servers import distributed_database, missing_postgres, postgres_database

__all__ = ["folder"]

psycopg: Any = None if missing_postgres() else import_module("psycopg")

VERSION_1 = (Path(__file__).parent / "postgres_version_1.sql").read_text()
"""The tables of a storage ``tracks`` as version 1 made them."""


@pytest.fixture
def url() -> Iterator[str]:
    """A PostgreSQL database without anything of ours."""
    if missing_postgres():
        give_up("the schema of PostgreSQL", missing_postgres())
    with postgres_database() as url:
        yield url


def execute(url: str, sql: str, *values: Any) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []


def with_options(url: str, options: str) -> str:
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    return parts._replace(query=f"{query}options={quote(options)}").geturl()


def tables(url: str) -> dict[str, Any]:
    """What the tables are like: columns, indexes, and what their storages are said to be.

    Without the shards of Citus, whose names end in a number.
    """
    columns = execute(
        url,
        "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_schema = 'tracking'"
        r" AND table_name !~ '_\d{6,}$' ORDER BY 1, 2",
    )
    indexes = execute(
        url,
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'tracking'"
        r" AND tablename !~ '_\d{6,}$' ORDER BY 1",
    )
    invalid = execute(url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid")
    storages = execute(url, "SELECT name, version, layout FROM tracking.storages ORDER BY 1")
    return {"columns": columns, "indexes": indexes, "invalid": invalid, "storages": storages}


# Versions


def test_an_older_version_is_refused_until_it_is_migrated(url: str) -> None:
    execute(url, VERSION_1)
    with pytest.raises(SchemaError, match=r"version 1, made by an older .* tracks migrate"):
        open_storage(url)
    list(migrate_storage(url))
    with open_storage(url) as tracks:
        assert tracks.saveUserTrack("a001", 0, "u1", {}) == "0000001"
    migrated = tables(url)
    execute(url, "DROP SCHEMA tracking CASCADE")
    open_storage(url).close()
    assert tables(url) == migrated


def test_migration_while_others_save(url: str) -> None:
    """As version 1 saved: its statements, from threads that do not stop for the migration."""
    execute(url, VERSION_1)
    execute(
        url,
        "INSERT INTO tracking.tracks_runs (taskId, startedAt, isCurrent) VALUES ('a001', 0, TRUE)",
    )
    acknowledged: list[tuple[int, str, str]] = []
    begun, enough = threading.Semaphore(0), threading.Event()

    def save(user: str) -> None:
        with psycopg.connect(url) as connection:
            n = 0
            while not enough.is_set() or n < 20:
                (number,) = connection.execute(
                    "INSERT INTO tracking.tracks SELECT nextval('tracking.tracks_number'),"
                    " 'a001', id, %s, 1.5, '{}' FROM tracking.tracks_runs"
                    " WHERE taskId = 'a001' AND isCurrent RETURNING number",
                    (user,),
                ).fetchone()
                connection.execute(
                    "INSERT INTO tracking.tracks_keys (key, number) VALUES (%s, %s)",
                    (f"{user} {n}", number),
                )
                connection.commit()
                acknowledged.append((number, user, f"{user} {n}"))
                begun.release()
                n += 1

    threads = [threading.Thread(target=save, args=(f"u{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert all(begun.acquire(timeout=30) for _ in range(20))
        told = list(migrate_storage(url))
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert told
    with open_storage(url) as tracks:
        assert sorted(number for number, _, _ in acknowledged) == [
            track.number for track in tracks.query()
        ]
        for number, user, key in acknowledged[:: len(acknowledged) // 20]:
            assert tracks.save("a001", 0, user, {}, key=key) == Saved(number, "duplicate")
        assert tracks.check() == []


def test_a_newer_version_is_refused(url: str) -> None:
    open_storage(url).close()
    execute(url, "UPDATE tracking.storages SET version = 99")
    for attempt in (lambda: open_storage(url), lambda: list(migrate_storage(url))):
        with pytest.raises(SchemaError, match=r"version 99, made by a newer .*pip install -U"):
            attempt()


def test_the_command_tells_before_it_does(url: str) -> None:
    execute(url, VERSION_1)
    before = execute(url, "SELECT * FROM tracking.storages")
    patient = f"{url}{'&' if '?' in url else '?'}wait_seconds=9"  # which is ours, not libpq's
    dry = run("--storage", patient, "migrate", "--dry-run")
    assert "ALTER TABLE tracking.storages" in dry.out
    assert "to be done" in dry.err
    assert execute(url, "SELECT * FROM tracking.storages") == before
    assert run("--storage", url, "overview", status=3).err.endswith("tracks migrate.\n")
    assert run("--storage", patient, "migrate").out == dry.out
    again = run("--storage", url, "migrate")
    assert (again.out, again.err) == ("", "Nothing is to be done.\n")
    run("--storage", url, "overview")


def test_one_migrates_at_a_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cybertools.tracking.sql.postgres import steps

    monkeypatch.setattr(steps, "WAIT_SECONDS", 0.1)
    open_storage(url).close()
    with psycopg.connect(url) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (steps.LOCK,))
        for attempt in (
            lambda: list(migrate_storage(url, distribute=True)),
            lambda: open_storage(url, "another"),
        ):
            with pytest.raises(StorageUnavailable, match="changing the tables"):
                attempt()
        open_storage(url).close()
    open_storage(url, "another").close()


def test_what_needs_no_migration() -> None:
    assert list(migrate_storage("memory:")) == []
    assert run("migrate").err == "Nothing is to be done.\n"
    with pytest.raises(Unsupported, match="Only a PostgreSQL"):
        list(migrate_storage("sqlite:", distribute=True))
    assert run("migrate", "--distribute", status=2).err.startswith("tracks: Only a PostgreSQL")


# The distributed layout


def filled(url: str) -> Storage:
    """A plain storage, with keys of tracks that are there and of one that is not."""
    tracks = open_storage(url)
    for n in range(12):
        tracks.saveUserTrack(f"a{n % 3}", 0, f"u{n % 4}", {"n": n}, key=f"k{n}", timeStamp=n)
    tracks.saveUserTrack("a0", 0, "u0", {"n": 12}, timeStamp=12)
    tracks.removeTrack("0000006")
    return tracks


def hold(tracks: Storage, before: list[Any]) -> None:
    """The storage has what `filled` saved, and what `filled` has spent is spent."""
    assert [plain(track) for track in tracks.query()] == before
    assert tracks.save("a0", 0, "u1", {}, key="k1") == Saved(2, "duplicate")
    for user in ("u1", "u9"):  # nothing tells any more whose key it was
        assert tracks.save("a0", 0, user, {}, key="k5") == Saved(6, "duplicate")
    assert tracks.save("a0", 0, "u9", {}, key="k1") == Saved(14, "stored")
    assert tracks.getTaskIds() == ["a0", "a1", "a2"]
    assert tracks.getUserNames("a0") == ["u0", "u1", "u2", "u3", "u9"]
    assert tracks.check() == []


def steps_of(url: str) -> int:
    return len(list(migrate_storage(url, distribute=True, dry_run=True)))


def test_distributing_keeps_what_is_there(url: str) -> None:
    with filled(url) as tracks:
        before = [plain(track) for track in tracks.query()]
    told = list(migrate_storage(url, distribute=True))
    assert all(step.startswith("-- tracks: ") for step in told)
    assert list(migrate_storage(url, distribute=True)) == []
    with open_storage(url) as tracks:
        hold(tracks, before)
    (storage,) = execute(url, "SELECT name, layout FROM tracking.storages")
    assert storage == ("tracks", "distributed")


def test_distributed_from_the_beginning_is_the_same(url: str) -> None:
    open_storage(url).close()
    list(migrate_storage(url, distribute=True))
    migrated = tables(url)
    with distributed_database() as other:
        open_storage(other).close()
        assert tables(other) == migrated
    assert [layout for *_, layout in migrated["storages"]] == ["distributed"]


def test_distributing_goes_on_where_it_was_cut_off(url: str) -> None:
    open_storage(url).close()
    for cut in range(steps_of(url)):
        execute(url, "DROP SCHEMA tracking CASCADE")
        with filled(url) as tracks:
            before = [plain(track) for track in tracks.query()]
        steps = migrate_storage(url, distribute=True)
        for _ in range(cut + 1):  # that step is told, but not done
            next(steps)
        steps.close()  # type: ignore[attr-defined]
        with open_storage(url) as tracks:
            assert [plain(track) for track in tracks.query()] == before
        list(migrate_storage(url, distribute=True))
        with open_storage(url) as tracks:
            hold(tracks, before)
        assert tables(url)["invalid"] == [(0,)]


def test_an_index_that_was_cut_off_is_built_anew(url: str) -> None:
    with filled(url) as tracks:
        before = [plain(track) for track in tracks.query()]
    ended = threading.Event()

    def cancel() -> None:
        waiting = (
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'CREATE UNIQUE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
        )
        while not execute(url, waiting) and not ended.wait(0.02):
            pass

    with psycopg.connect(url) as writer:  # whom the index has to wait for
        writer.execute("UPDATE tracking.tracks SET taskId = taskId WHERE number = 1")
        thread = threading.Thread(target=cancel)
        thread.start()
        with pytest.raises(StorageError, match="cancel"):
            list(migrate_storage(url, distribute=True))
        ended.set()
        thread.join()
    assert tables(url)["invalid"] == [(1,)]
    list(migrate_storage(url, distribute=True))
    with open_storage(url) as tracks:
        hold(tracks, before)
    assert tables(url)["invalid"] == [(0,)]


def test_a_storage_that_is_open_while_it_is_distributed(url: str) -> None:
    with filled(url) as tracks:
        list(migrate_storage(url, distribute=True))
        id = tracks.saveUserTrack("a0", 0, "u1", {"n": 13})
        assert tracks.saveUserTrack("a0", 0, "u1", {"n": 14}, replace=True) == id
        for save in (
            lambda: tracks.save("a0", 0, "u1", {}, key="new"),
            lambda: tracks.saveBatch([{"taskId": "a", "userName": "u", "data": {}, "key": "new"}]),
        ):
            with pytest.raises(SchemaError, match="open it again"):
                save()
    with open_storage(url) as tracks:
        assert tracks[id].data == {"n": 14}
        assert tracks.save("a0", 0, "u1", {}, key="new").outcome == "stored"


def test_there_is_nothing_to_distribute(url: str) -> None:
    with pytest.raises(StorageError, match="There is no storage 'tracks'"):
        list(migrate_storage(url, distribute=True))


def test_layouts_that_do_not_exist(url: str) -> None:
    wrong = with_options(url, "-c tracking.layout=round")
    with pytest.raises(ValueError, match="must be 'plain' or 'distributed', not 'round'"):
        open_storage(wrong)


# Reading only


@pytest.mark.parametrize("layout", ["plain", "distributed"])
def test_a_role_that_may_only_read(url: str, layout: str) -> None:
    made = with_options(url, f"-c tracking.layout={layout}")
    with filled(made) as tracks:
        before = [plain(track) for track in tracks.query()]
    execute(url, "DROP ROLE IF EXISTS tracks_reader")
    execute(url, "CREATE ROLE tracks_reader LOGIN")
    try:
        execute(url, "GRANT USAGE ON SCHEMA tracking TO tracks_reader")
        execute(url, "GRANT SELECT ON ALL TABLES IN SCHEMA tracking TO tracks_reader")
        with open_storage(with_options(url, "-c role=tracks_reader")) as tracks:
            assert [plain(track) for track in tracks.query()] == before
            assert tracks.getUserNames("a0") == ["u0", "u1", "u2", "u3"]
            assert tracks.getTaskIds() == ["a0", "a1", "a2"]
            assert len(tracks.runs) == 3
            assert next(iter(tracks.runs.values())).end == 12
            assert tracks.getLastUserTrack("a0", 0, "u0") is not None
            refused: list[Callable[[], Any]] = [
                lambda: tracks.saveUserTrack("a0", 0, "u0", {}),
                lambda: tracks.updateTrack("0000001", {}),
                lambda: tracks.removeTrack("0000001"),
                lambda: tracks.startRun("a0"),
            ]
            for attempt in refused:
                with pytest.raises(StorageReadOnly, match="lacks a right"):
                    attempt()
    finally:
        execute(url, "DROP SCHEMA tracking CASCADE")
        execute(url, "DROP ROLE tracks_reader")
