"""Servers that restart, fail over or stay away, and connections that break in a commit.

Each save that was acknowledged is there exactly once, and nothing is there by halves.
"""

import gc
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.errors import StorageUnavailable, TrackingError
from cybertools.tracking.testing import ids
from tests import writer
from tests.clusters import Cluster, cluster, missing_programs
from tests.engines import give_up
from tests.proxy import Proxy, proxy
from tests.servers import missing_postgres
from tests.test_processes import start

WRITERS = {f"u{n}": "bulk" if n % 2 else "keyed" for n in range(8)}
EACH = {"keyed": 1, "bulk": writer.BATCH}
LINES = 3
"""So many calls of each writer are waited for between two faults."""


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server that the tests of this file kill and start again."""
    if missing := missing_postgres() or missing_programs():
        give_up("a server that fails", missing)
    with cluster() as server:
        yield server


@pytest.fixture
def database(server: Cluster) -> str:
    """The URL of an empty database."""
    server.execute("DROP DATABASE IF EXISTS tests WITH (FORCE)", "CREATE DATABASE tests")
    return server.url(database="tests")


@pytest.fixture
def through(server: Cluster) -> Iterator[Proxy]:
    """A proxy before the server."""
    with proxy(server.port) as middleman:
        yield middleman


def by_way_of(middleman: Proxy, url: str) -> str:
    """The same URL, through a proxy."""
    parts = urlsplit(url)
    host = parts.netloc.replace(f":{parts.port}", f":{middleman.port}")
    return parts._replace(netloc=host).geturl()


class Writers:
    """Eight processes that save with keys until they are ended."""

    def __init__(self, url: str) -> None:
        self.processes = {user: start(url, user, job, 0) for user, job in WRITERS.items()}
        self.said: dict[str, list[str]] = {user: [] for user in WRITERS}
        for process in self.processes.values():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def wait(self) -> None:
        """Wait until each has been acknowledged some more saves."""
        for user, process in self.processes.items():
            assert process.stdout is not None
            for _ in range(LINES):
                line = process.stdout.readline()
                if not line:
                    raise AssertionError(process.communicate()[1])
                self.said[user].append(line)

    def end(self) -> dict[str, list[list[str]]]:
        """End them; what each was acknowledged."""
        for process in self.processes.values():
            process.kill()
        for user, process in self.processes.items():
            assert process.stdout is not None
            self.said[user] += [line for line in process.stdout if line.endswith("\n")]
            process.communicate()
        return {user: [json.loads(line) for line in lines] for user, lines in self.said.items()}


def hold(tracks: Storage, said: dict[str, list[list[str]]]) -> None:
    """What was acknowledged is there once and, of each writer, perhaps what it was just at."""
    assert tracks.check() == []
    for user, calls in said.items():
        each = EACH[WRITERS[user]]
        acknowledged = [id for call in calls for id in call]
        assert len(acknowledged) == len(set(acknowledged)) == each * len(calls)
        found = {track.id: track for track in tracks.query(userName=user)}
        assert found.keys() >= set(acknowledged)
        assert len(found) - len(acknowledged) in (0, each)
        for n, call in enumerate(calls):
            assert all(found[id].data == writer.data_of(n) for id in call)
    assert len(tracks) == len({*tracks})
    assert len(tracks.runs) == len(tracks.currentRuns)


def test_a_server_that_restarts_under_load(server: Cluster, database: str) -> None:
    writers = Writers(database)
    try:
        for how in (signal.SIGKILL, signal.SIGQUIT):
            writers.wait()
            server.end(how)
            server.start()
        writers.wait()
    finally:
        said = writers.end()
    with open_storage(database) as tracks:
        hold(tracks, said)


def test_a_failover_to_the_synchronous_standby() -> None:
    if missing := missing_postgres() or missing_programs():
        give_up("a failover", missing)
    with cluster("wal_retrieve_retry_interval=100ms") as primary:
        standby = primary.standby(primary.folder.with_name("standby"))
        primary.end(signal.SIGINT)
        standby.start("fsync=off", "wal_retrieve_retry_interval=100ms")
        try:
            primary.start("fsync=off", "synchronous_standby_names=*")
            state = "SELECT sync_state FROM pg_stat_replication"
            wait_for(lambda: primary.execute(state) == [("sync",)])
            hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
            both = primary.url().replace(f"127.0.0.1:{primary.port}", hosts)
            writers = Writers(f"{both}?target_session_attrs=read-write")
            try:
                writers.wait()
                primary.end(signal.SIGKILL)
                standby.execute("SELECT pg_promote()")
                writers.wait()
            finally:
                said = writers.end()
            with open_storage(standby.url()) as tracks:
                hold(tracks, said)
        finally:
            standby.end(signal.SIGQUIT)


def wait_for(true: Callable[[], bool]) -> None:
    """Wait until it is so; a minute at most."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


Call = Callable[[Storage, str], Any]


def many(tracks: Storage, task: str, count: int, keyed: bool) -> list[str]:
    return tracks.saveUserTracks(
        {
            "taskId": task,
            "userName": "u1",
            "data": {"n": 1},
            "key": f"{task} {n}" if keyed else None,
        }
        for n in range(count)
    )


KEYED: dict[str, Call] = {
    "save": lambda tracks, task: tracks.saveUserTrack(task, 0, "u1", {"n": 1}, key=task),
    "replace": lambda tracks, task: tracks.saveUserTrack(
        task, 0, "u1", {"n": 1}, replace=True, key=task
    ),
    "many": lambda tracks, task: many(tracks, task, 30, keyed=True),
    "openRun": lambda tracks, task: tracks.openRun(task, "session"),
}
"""Calls that may be repeated, whatever came of the first attempt."""


def one_cut_after_the_other(
    database: str, through: Proxy, answered: bool
) -> Iterator[tuple[Storage, Storage, str]]:
    """A storage whose connection is cut at the next request, then at the one after that, …

    With it the same storage without the proxy, and another task each time. Ends when all of what
    was done with the storage came before the cut. Its connection is a new one each time, on which
    no statement has been prepared.
    """
    with open_storage(database) as direct:
        for cut in count():
            before = through.cuts
            with open_storage(by_way_of(through, database)) as tracks:
                len(tracks)  # has a connection that works
                through.cut(cut, answered)
                yield direct, tracks, f"a{cut:02}"
            assert direct.check() == []
            if through.cuts == before:
                return


@pytest.mark.parametrize("answered", [True, False], ids=["answer lost", "request lost"])
@pytest.mark.parametrize("call", KEYED.values(), ids=KEYED)
def test_a_cut_connection_is_not_noticed_by_a_save_with_a_key(
    database: str, through: Proxy, call: Call, answered: bool
) -> None:
    for direct, tracks, task in one_cut_after_the_other(database, through, answered):
        given = call(tracks, task)
        found = direct.query(taskId=task)
        if isinstance(given, int):
            assert [run.id for run in direct.runs.values() if run.taskId == task] == [given]
        else:
            assert ids(found) == ([given] if isinstance(given, str) else given)
            assert {track.data["n"] for track in found} == {1}
        assert call(direct, task) == given
    assert through.cuts > 2


UNKEYED: dict[str, Call] = {
    "save": lambda tracks, task: tracks.saveUserTrack(task, 0, "u1", {"n": 1}),
    "replace": lambda tracks, task: tracks.saveUserTrack(task, 0, "u1", {"n": 1}, replace=True),
    "few": lambda tracks, task: many(tracks, task, 3, keyed=False),
    "startRun": lambda tracks, task: tracks.startRun(f"{task} other"),
}


@pytest.mark.parametrize("answered", [True, False], ids=["answer lost", "request lost"])
@pytest.mark.parametrize("call", UNKEYED.values(), ids=UNKEYED)
def test_a_cut_connection_of_a_save_without_a_key(
    database: str, through: Proxy, call: Call, answered: bool
) -> None:
    stored_in_doubt: list[bool] = []
    said: list[str] = []
    for direct, tracks, task in one_cut_after_the_other(database, through, answered):
        direct.startRun(task)
        runs = len(direct.runs)
        try:
            call(tracks, task)
        except StorageUnavailable as error:
            said.append(str(error))
            stored_in_doubt.append(bool(direct.query(taskId=task) or len(direct.runs) > runs))
        else:
            assert len(direct.query(taskId=task)) in (0, 1, 3)
            assert direct.query(taskId=task) or len(direct.runs) == runs + 1
    # There is one moment in each call at which nobody can know, and only one.
    assert stored_in_doubt == [answered]
    assert "It is not known whether this was stored" in said[0]
    assert len(said[0].splitlines()) == 1


def test_a_transaction_whose_connection_is_cut(database: str, through: Proxy) -> None:
    with (
        open_storage(database) as direct,
        open_storage(by_way_of(through, database)) as tracks,
    ):
        direct.startRun("a001")

        def both(cut: str) -> None:
            with tracks.transaction():
                tracks.saveUserTrack("a001", 1, "u1", {}, key="k")
                if cut == "within":
                    through.cut(0, answered=True)
                tracks.saveUserTrack("a001", 1, "u1", {}, key="l")
                if cut == "at its end":
                    through.cut(0, answered=True)

        with pytest.raises(StorageUnavailable) as broken:
            both(cut="within")
        assert "It is not known" not in str(broken.value)
        assert len(direct) == 0
        with pytest.raises(StorageUnavailable, match="It is not known"):
            both(cut="at its end")
        assert len(direct) == 2
        both(cut="")
        assert len(direct) == 2


def test_no_dead_connection_is_handed_out_after_a_restart(server: Cluster, database: str) -> None:
    with open_storage(f"{database}?wait_seconds=10") as tracks:
        many(tracks, "a001", 10, keyed=False)
        streams = [tracks.iterTracks() for _ in range(12)]
        assert {next(stream).id for stream in streams} == {"0000001"}
        streams.clear()  # a dozen idle connections now
        server.end()
        server.start()
        # None of them, now dead, is used for a save: without a key it could not be repeated.
        for n in range(20):
            tracks.saveUserTrack("a001", 0, "u1", {})
            assert len(tracks) == 11 + n
        server.end(signal.SIGQUIT)
        server.start()
        assert tracks.countTracks(taskId="a001") == len([*tracks.iterTracks()]) == 30


@pytest.mark.parametrize("answered", [True, False], ids=["answer lost", "request lost"])
def test_reads_are_repeated(database: str, through: Proxy, answered: bool) -> None:
    with open_storage(by_way_of(through, database)) as tracks:
        many(tracks, "a001", 5, keyed=False)
        tracks.openRun("a002", "s")
        for read in (
            lambda: tracks.query(userName="u1", limit=2),
            lambda: tracks.countTracks(userName="u1"),
            lambda: tracks.getLastUserTrack("a001", 0, "u1"),
            lambda: tracks.getUserTracks("a001", 0, "u1"),
            lambda: tracks["0000001"],
            lambda: tracks.getUserNames("a001"),
            tracks.getTaskIds,
            lambda: [*tracks],
            lambda: {**tracks.runs},
            tracks.info,
        ):
            expected = read()
            before = through.cuts
            through.cut(0, answered)
            assert read() == expected
            assert through.cuts == before + 1


def test_a_stream_that_breaks_says_so(server: Cluster, database: str) -> None:
    with open_storage(database) as tracks:
        many(tracks, "a001", 5_000, keyed=False)
        stream = tracks.iterTracks()
        assert next(stream).id == "0000001"
        server.end()
        server.start()
        with pytest.raises(StorageUnavailable, match=r"^The stream broke off: ") as broken:
            list(stream)
        assert len(str(broken.value).splitlines()) == 1
        assert len([*tracks.iterTracks()]) == 5_000


def test_an_abandoned_stream_says_nothing(server: Cluster, database: str) -> None:
    with open_storage(database) as tracks:
        many(tracks, "a001", 5_000, keyed=False)
        stream = tracks.iterTracks()
        next(stream)
        server.end()
        server.start()
        del stream  # an error here would be one that nobody can catch: pytest makes it a failure
        gc.collect()
        assert len(tracks) == 5_000


def test_a_server_that_is_gone_for_good(server: Cluster, database: str) -> None:
    def wait_in_vain(call: Callable[[], Any]) -> None:
        with pytest.raises(StorageUnavailable) as gone:
            call()
        words = str(gone.value)
        assert words.startswith("PostgreSQL cannot be reached: connection to server at")
        # Ordinarily it is refused; a machine with much to do may say something else of an attempt.
        assert words.endswith(". Waited 1 s.")
        assert len(words.splitlines()) == 1

    with open_storage(f"{database}?wait_seconds=1") as tracks:
        tracks.saveUserTrack("a001", 0, "u1", {})
        server.end(signal.SIGQUIT)  # and with it all of its processes
        calls: list[Callable[[], Any]] = [
            partial(tracks.saveUserTrack, "a001", 0, "u1", {}),
            partial(tracks.saveUserTrack, "a001", 0, "u1", {}, key="k"),
            partial(tracks.saveUserTracks, [{"taskId": "a", "userName": "u", "data": {}}]),
            partial(tracks.startRun, "a001"),
            partial(tracks.removeTrack, "0000001"),
            partial(tracks.updateTrack, "0000001", {}),
            partial(tracks.query, taskId="a001"),
            partial(list, tracks.iterTracks()),
        ]
        try:
            for call in calls:
                wait_in_vain(call)
        finally:
            server.start()
        assert len(tracks) == 1
        tracks.saveUserTrack("a001", 0, "u1", {}, key="k")
        assert len(tracks) == 2


def test_closing_does_not_wait_for_a_server_that_is_gone(server: Cluster, database: str) -> None:
    tracks = open_storage(f"{database}?wait_seconds=1")
    server.end(signal.SIGQUIT)  # and with it all of its processes
    try:
        with pytest.raises(StorageUnavailable):
            len(tracks)
        before = time.monotonic()
        tracks.close()
        # The pool gives its workers 5 s before it leaves them behind with a warning.
        assert time.monotonic() - before < 5
    finally:
        server.start()


def test_connections_all_in_use(database: str) -> None:
    with open_storage(f"{database}?wait_seconds=1") as tracks:
        many(tracks, "a001", 2, keyed=False)
        streams = [tracks.iterTracks() for _ in range(16)]
        assert {next(stream).id for stream in streams} == {"0000001"}
        with pytest.raises(StorageUnavailable, match=r"^All 16 connections .* Waited 1 s\.$"):
            len(tracks)
        streams.clear()
        assert len(tracks) == 2


def test_a_forked_process_has_connections_of_its_own(database: str) -> None:
    program = """
import os, sys
from cybertools.tracking import open_storage
with open_storage(sys.argv[1]) as tracks:
    tracks.saveUserTrack("a001", 0, "parent", {})
    children = []
    for n in range(3):
        child = os.fork()
        if not child:
            for i in range(20):
                assert tracks.query(userName=f"child {n}", limit=1) == [] or i
                tracks.saveUserTrack("a001", 0, f"child {n}", {"i": i})
            tracks.close()
            os._exit(0)
        children.append(child)
    for i in range(20):
        tracks.saveUserTrack("a001", 0, "parent", {"i": i})
    print(*(os.waitpid(child, 0)[1] for child in children))
    tracks.saveUserTrack("a001", 0, "parent", {})
"""
    done = subprocess.run(
        [sys.executable, "-c", program, database], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("0 0 0\n", 0), done.stderr
    with open_storage(database) as tracks:
        assert tracks.countTracks(userName="child*") == 60
        assert tracks.countTracks(userName="parent") == 22


def test_a_host_that_does_not_answer() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(TrackingError, match=r"^PostgreSQL cannot be reached: .*timeout"):
            open_storage(f"postgresql://u@127.0.0.1:{port}/db?connect_timeout=2")
