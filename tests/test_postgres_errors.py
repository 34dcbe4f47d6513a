"""What goes wrong with a PostgreSQL is told in one line, in Python and by ``tracks``.

No line, whatever it is about, shows a password.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.errors import (
    InvalidValue,
    SchemaError,
    StorageError,
    StorageReadOnly,
    StorageUnavailable,
    TrackingError,
)
from cybertools.tracking.opening import without_secrets
from tests.clusters import PASSWORD, Cluster, cluster, free_port, missing_programs
from tests.command import folder, lines_of, run  # noqa: F401
from tests.engines import give_up
from tests.servers import missing_postgres

READER, WRITER, STRANGER = "tracks_reader", "tracks_writer", "tracks_stranger"


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server that asks for passwords, with a storage and some roles."""
    if missing := missing_postgres() or missing_programs():
        give_up("a server that refuses", missing)
    with cluster() as server:
        server.execute(
            "CREATE DATABASE full_of_tracks",
            "CREATE DATABASE newer",
            "CREATE DATABASE closed",
            "ALTER DATABASE closed ALLOW_CONNECTIONS false",
            *(
                f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"
                for role in (READER, WRITER, STRANGER)
            ),
        )
        for name in ("full_of_tracks", "newer"):
            with open_storage(server.url(database=name)) as tracks:
                tracks.saveUserTrack("a001", 0, "u1", {"n": 1})
        server.execute(
            f"GRANT USAGE ON SCHEMA tracking TO {READER}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA tracking TO {READER}",
            database="full_of_tracks",
        )
        server.execute("UPDATE tracking.storages SET version = 99", database="newer")
        yield server


def save(tracks: Storage) -> Any:
    return tracks.saveUserTrack("a001", 0, "u1", {"n": 2})


@dataclass(frozen=True)
class Case:
    """Something that is wrong, and what is said of it."""

    error: type[TrackingError]
    says: str
    url: Callable[[Cluster], str] = lambda server: server.url(database="full_of_tracks")
    call: Callable[[Storage], Any] = len
    command: tuple[str, ...] = ("count",)
    name: str = "tracks"
    options: dict[str, str] = field(default_factory=dict)


def role(name: str, database: str = "full_of_tracks") -> Callable[[Cluster], str]:
    return lambda server: server.url(user=name, database=database)


SAVE = ("save", "a001", "u1", "n=2")

CASES = {
    "wrong password": Case(
        StorageError,
        'PostgreSQL refuses the connection: * password authentication failed for user "postgres".',
        lambda server: server.url().replace(PASSWORD, "wr0ng-s3cret"),
    ),
    "no password": Case(
        StorageError,
        "PostgreSQL refuses the connection: * no password supplied.",
        lambda server: server.url(password=""),
    ),
    "wrong user": Case(
        StorageError,
        'PostgreSQL refuses the connection: * password authentication failed for user "nobody".',
        lambda server: server.url(user="nobody"),
    ),
    "wrong host": Case(
        StorageUnavailable,
        "PostgreSQL cannot be reached: failed to resolve host 'no-such-host.invalid': *.",
        lambda server: server.url().replace("127.0.0.1", "no-such-host.invalid"),
    ),
    "wrong port": Case(
        StorageUnavailable,
        'PostgreSQL cannot be reached: connection to server at "127.0.0.1", port * failed:'
        " Connection refused.",
        lambda server: server.url().replace(f":{server.port}", f":{free_port()}"),
    ),
    "all hosts wrong": Case(
        StorageUnavailable,
        "PostgreSQL cannot be reached: * Connection refused.",
        lambda server: server.url().replace(
            f"127.0.0.1:{server.port}", f"127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
        ),
    ),
    "not the primary": Case(
        StorageUnavailable,
        "PostgreSQL cannot be reached: * server is not in hot standby mode.",
        lambda server: server.url() + "?target_session_attrs=standby",
    ),
    "missing database": Case(
        StorageError,
        'PostgreSQL refuses the connection: * database "none" does not exist.',
        lambda server: server.url(database="none"),
    ),
    "closed database": Case(
        StorageError,
        'PostgreSQL refuses the connection: * database "closed" is not currently accepting'
        " connections.",
        lambda server: server.url(database="closed"),
    ),
    "no right to make tables": Case(
        StorageReadOnly,
        "This role lacks a right: permission denied for database postgres.",
        role(STRANGER, "postgres"),
    ),
    "no right to see tables": Case(
        StorageReadOnly,
        "This role lacks a right: permission denied for schema tracking.",
        role(STRANGER),
    ),
    "no right to save": Case(
        StorageReadOnly,
        "This role lacks a right: permission denied for * tracks*.",
        role(READER),
        save,
        SAVE,
    ),
    "no right for another storage": Case(
        StorageReadOnly,
        "This role lacks a right: permission denied for *.",
        role(READER),
        name="others",
    ),
    "read-only": Case(
        StorageReadOnly,
        "The database can be read but not written: cannot execute * in a read-only transaction.",
        lambda server: (
            server.url(database="full_of_tracks")
            + "?options=-c%20default_transaction_read_only%3Don"
        ),
        save,
        SAVE,
    ),
    "time limit": Case(
        StorageUnavailable,
        "PostgreSQL: canceling statement due to statement timeout.",
        lambda server: (
            server.url(database="full_of_tracks") + "?options=-c%20statement_timeout%3D100ms"
        ),
        lambda tracks: tracks.saveUserTracks(endless()),
        (),
    ),
    "newer schema": Case(
        SchemaError,
        "The storage 'tracks' has schema version 99, made by a newer cybertools-tracking;"
        " *pip install -U cybertools-tracking.",
        lambda server: server.url(database="newer"),
    ),
}


def endless() -> Iterator[dict[str, Any]]:
    while True:
        yield {"taskId": "a001", "userName": "u1", "data": {"text": "x" * 1_000}}


def matches(text: str, pattern: str) -> bool:
    """Whether a text is what a pattern with ``*`` says."""
    parts = pattern.split("*")
    if not (text.startswith(parts[0]) and text.endswith(parts[-1])):
        return False
    place = 0
    for part in parts:
        found = text.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return True


def shows_no_password(text: str) -> bool:
    return PASSWORD not in text and "s3cret" not in text


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_in_python(server: Cluster, case: Case) -> None:
    with (
        pytest.raises(case.error) as info,
        open_storage(case.url(server), case.name) as tracks,
    ):
        case.call(tracks)
    assert type(info.value) is case.error
    assert matches(str(info.value), case.says), str(info.value)
    error: BaseException | None = info.value
    while error is not None:
        assert shows_no_password(f"{error} {error!r}")
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "case",
    [case for case in CASES.values() if case.command],
    ids=[c for c in CASES if CASES[c].command],
)
def test_at_the_command_line(server: Cluster, case: Case) -> None:
    done = run("--storage", case.url(server), "--name", case.name, *case.command, status=3)
    assert done.out == ""
    assert matches(done.err, f"tracks: {case.says}\n"), done.err
    assert done.err.count("\n") == 1
    assert shows_no_password(done.err)


WRONG_URLS = {
    "no escape": "postgresql://u:100%s3cret@127.0.0.1/db",
    "a slash": "postgresql://u:top/s3cret@127.0.0.1/db",
    "an at sign": "postgresql://u:top@s3cret@127.0.0.1/db",
    "an at sign and a question mark": "postgresql://u:t?p@s3cret@127.0.0.1/db",
    "a port in letters": "postgresql://u:s3cret@127.0.0.1:abc/db",
    "no slashes": "postgresql:u:s3cret@127.0.0.1/db",
    "another scheme": "postgress://u:top@s3cret@127.0.0.1/db",
    "another scheme, no slashes": "postgress:u:s3cret@127.0.0.1/db",
    "a parameter that there is not": "postgresql://u:s3cret@127.0.0.1/db?timeout=7",
    "a wait that is none": "postgresql://u:s3cret@127.0.0.1/db?wait_seconds=long",
    "no wait at all": "postgresql://u:s3cret@127.0.0.1/db?wait_seconds=0",
    "a password among the parameters": "postgress://127.0.0.1/db?user=u&password=s3cret",
}


@pytest.mark.parametrize("url", WRONG_URLS.values(), ids=WRONG_URLS)
def test_a_url_that_is_wrong(url: str) -> None:
    if missing := missing_postgres():
        give_up("a URL of a PostgreSQL", missing)
    with pytest.raises(InvalidValue) as info:
        open_storage(url)
    assert shows_no_password(str(info.value))
    assert info.value.__cause__ is None
    done = run("--storage", url, "count", status=2)
    assert done.err.count("\n") == 1
    assert shows_no_password(done.err)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:/data/a:b@c.db", "sqlite:/data/a:b@c.db"),
        ("memory:", "memory:"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("postgresql://ann:s3cret@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://ann:s3@cret@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://ann:s3?cret@host/db", "postgresql://ann:***@host/db"),
        (
            "postgresql:///db?user=ann&password=s3cret&a=b",
            "postgresql:///db?user=ann&password=***&a=b",
        ),
        ("https://s3cret@host/x", "https://***@host/x"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_info_shows_no_password(server: Cluster) -> None:
    url = server.url(database="full_of_tracks")
    for output in ([], ["--json"]):
        done = run("--storage", url, "info", *output)
        assert "postgres:***@127.0.0.1" in done.out
        assert shows_no_password(done.out + done.err)


def test_a_role_that_may_only_read(server: Cluster) -> None:
    with open_storage(server.url(user=READER, database="full_of_tracks")) as tracks:
        assert tracks.getTaskIds() == ["a001"]
        assert tracks.query(userName="u1")[0].data == {"n": 1}
        assert len([*tracks.iterTracks()]) == len(tracks)
        assert tracks.info().tracks == len(tracks)
        assert tracks.check() == []
        for call in (
            partial(tracks.saveUserTrack, "a001", 0, "u1", {}),
            partial(tracks.saveUserTracks, [{"taskId": "a", "userName": "u", "data": {}}]),
            partial(tracks.removeTrack, "0000001"),
            partial(tracks.updateTrack, "0000001", {}),
            partial(tracks.startRun, "a001"),
            partial(tracks.stopRun, "a001"),
        ):
            with pytest.raises(StorageReadOnly, match=r"^This role lacks a right: "):
                call()
        with pytest.raises(StorageError):
            tracks.reindexTracks()


@contextmanager
def small_disk(server: Cluster, size: str) -> Iterator[Path]:
    """A folder on a disk of its own, which is full soon."""
    place = Path(tempfile.mkdtemp(prefix="tracks-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        place.rmdir()
        pytest.skip("a full disk is not tested: only root can mount a small one")
    try:
        server.own(place)
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def test_a_full_disk(server: Cluster) -> None:
    with small_disk(server, "24m") as place:
        server.execute(
            f"CREATE TABLESPACE small LOCATION '{place}'", "CREATE DATABASE small TABLESPACE small"
        )
        url = server.url(database="small")
        stored: list[str] = []
        with open_storage(url) as tracks:
            for fill in (
                lambda: tracks.saveUserTracks(endless()),
                lambda: stored.extend(save_much(tracks, n) for n in count(1)),
            ):
                with pytest.raises(StorageError) as info:
                    fill()
                assert type(info.value) is StorageError
                words = str(info.value)
                assert words.startswith("The server's disk is full: could not extend file")
                assert len(words.splitlines()) == 1
            assert [*tracks] == stored
            assert tracks.check() == []
        log = Path("much.jsonl")
        log.write_bytes(
            lines_of(*({"taskId": "a", "userName": "u", "text": "x" * 9_000} for _ in range(3_000)))
        )
        done = run("--storage", url, "import", log, status=3)
        assert matches(done.err, "*tracks: The server's disk is full: could not extend file*\n")
        subprocess.run(["mount", "-o", "remount,size=48m", str(place)], check=True)
        with open_storage(url) as tracks:
            assert [*tracks][: len(stored)] == stored
            save_much(tracks, 0)
        server.execute("DROP DATABASE small WITH (FORCE)", "DROP TABLESPACE small")


def save_much(tracks: Storage, n: int) -> str:
    data = {"text": os.urandom(6_000).hex()}
    return tracks.saveUserTrack("a001", 0, "u1", data, key=f"k{n}" if n else None)
