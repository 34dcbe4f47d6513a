"""What the page about operating on PostgreSQL says is so."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cybertools.tracking import open_storage
from cybertools.tracking.errors import StorageReadOnly
from tests.clusters import Cluster, cluster, missing_programs
from tests.engines import give_up
from tests.servers import missing_postgres

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "postgres.md"
SQL = dict(re.findall(r"<!-- sql: (\w+) -->\n```sql\n(.*?)```", PAGE.read_text(), re.S))


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server that lets everybody in."""
    if missing := missing_postgres() or missing_programs():
        give_up("the page about PostgreSQL", missing)
    with cluster() as server:
        hba = Path(server.execute("SHOW hba_file")[0][0])
        hba.write_text("host all all 127.0.0.1/32 trust\n")
        server.execute("SELECT pg_reload_conf()", *statements("roles"))
        yield server


def statements(name: str) -> list[str]:
    return [statement for statement in SQL[name].split(";") if statement.strip()]


@pytest.mark.parametrize("granted", ["before", "after"])
def test_roles(server: Cluster, granted: str) -> None:
    if granted == "after":
        server.execute("CREATE DATABASE later")
        server.execute("CREATE SCHEMA tracking AUTHORIZATION tracks_owner", database="later")
        server.execute(
            "GRANT USAGE ON SCHEMA tracking TO tracks_writer, tracks_reader", database="later"
        )
    database = {"before": "postgres", "after": "later"}[granted]
    open_storage(server.url("tracks_owner", "", database)).close()
    if granted == "after":
        server.execute(*statements("grants"), database=database)
    with open_storage(server.url("tracks_writer", "", database)) as tracks:
        tracks.saveUserTrack("a001", 0, "u1", {"n": 1}, key="k")
        tracks.saveUserTrack("a001", 0, "u1", {"n": 2}, replace=True)
        tracks.saveUserTracks({"taskId": "b", "userName": "u", "data": {}} for _ in range(30))
        tracks.updateTrack("0000001", {"m": 3})
        assert tracks.stopRun("a001") == 1
        tracks.openRun("a001", "s")
        tracks.removeTrack("0000002")
        with pytest.raises(StorageReadOnly):
            open_storage(server.url("tracks_writer", "", database), "others")
    with open_storage(server.url("tracks_reader", "", database)) as tracks:
        assert tracks["0000001"].data == {"n": 2, "m": 3}
        assert len(tracks) == len([*tracks.iterTracks()]) == 30
        assert tracks.check() == []
        with pytest.raises(StorageReadOnly, match=r"^This role lacks a right: "):
            tracks.saveUserTrack("a001", 0, "u1", {})


def test_monitoring(server: Cluster) -> None:
    open_storage(server.url("tracks_owner", "")).close()
    for statement in statements("monitoring"):
        server.execute(statement)


def test_dump_and_restore(server: Cluster) -> None:
    server.execute("CREATE DATABASE dumped", "CREATE DATABASE restored")
    with open_storage(server.url(database="dumped")) as tracks:
        tracks.saveUserTracks(
            {"taskId": f"a{n % 7}", "userName": "u", "data": {"n": n}, "key": f"k{n}"}
            for n in range(100)
        )
        expected = [*map(repr, tracks.values())]
    dump = server.folder / "tracks.dump"
    command = re.search(r"^pg_dump (.*) --file=\S+ tracks$", PAGE.read_text(), re.M)
    assert command
    server.run("pg_dump", *command[1].split(), f"--file={dump}", server.url(database="dumped"))
    server.run("pg_restore", f"--dbname={server.url(database='restored')}", str(dump))
    with open_storage(server.url(database="restored")) as tracks:
        assert [*map(repr, tracks.values())] == expected
        assert tracks.saveUserTrack("a1", 0, "u", {}, key="k7") == "0000008"
        assert tracks.saveUserTrack("a1", 0, "u", {}) == "0000101"
        assert tracks.check() == []
