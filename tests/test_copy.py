"""A storage copied into another one, of any engine: the same in all that can be asked of it."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.errors import InvalidData, InvalidValue, StorageClosed
from cybertools.tracking.testing import Comment, json_data, texts, time_stamps
from cybertools.tracking.testing.keeping import everything
from cybertools.tracking.transfer.comparing import DifferentTask, compare_storages
from cybertools.tracking.transfer.copying import Copied, copy_storage
from cybertools.tracking.values import track_id
from tests.command import folder, run, spawn
from tests.engines import ENGINES, EngineUnderTest, fresh_url

__all__ = ["folder"]

LASTING = [engine for engine in ENGINES if engine.reopens]
SQLITE = next(engine for engine in ENGINES if engine.name == "sqlite")
POSTGRES = next(engine for engine in ENGINES if engine.name == "postgres")


def is_far(engine: EngineUnderTest) -> bool:
    """Each call to it takes long enough that there are fewer of them here."""
    return engine.name.startswith("http-")


NEAR = [engine for engine in ENGINES if not is_far(engine)]
FAR = [engine for engine in ENGINES if is_far(engine)]
PAIRS = [*product(NEAR, NEAR), *((far, NEAR[0]) for far in FAR), *((NEAR[0], far) for far in FAR)]


@contextmanager
def two_urls(source: EngineUnderTest, target: EngineUnderTest, path: Path) -> Iterator[list[str]]:
    """Two empty databases, or one for both."""
    with ExitStack() as stack:
        urls = []
        for number, engine in enumerate((source, target)):
            place = path / str(number)
            place.mkdir()
            urls.append(stack.enter_context(fresh_url(engine, place)))
        yield urls


@pytest.fixture
def source() -> Iterator[Storage]:
    """A storage with some of everything."""
    with open_storage("memory:") as tracks:
        fill(tracks)
        yield tracks


@pytest.fixture
def target() -> Iterator[Storage]:
    """An empty storage."""
    with open_storage("sqlite:") as tracks:
        yield tracks


def fill(tracks: Storage, size: int = 30) -> None:
    for n in range(size):
        tracks.saveUserTrack(f"a{n % 3}", 0, f"u{n % 2}", {"n": n}, key=f"k{n}", timeStamp=n)
    for id in ("0000003", track_id(size)):
        tracks.removeTrack(id)
    tracks.openRun("a1", "label")
    tracks.startRun()
    tracks.stopRun("a2", finish=False)
    tracks.stopRun("a0")
    tracks.startRun("a0")


def hold(source: Storage, target: Storage) -> None:
    """Both are the same, and stay it."""
    assert everything(target) == everything(source)
    assert repr(target.runs) == repr(source.runs)
    assert compare_storages(source, target).equal
    assert target.check() == []


# Between all engines

tasks = st.sampled_from(["a", "ab", "😀"]) | texts()
keys = st.none() | st.sampled_from(["k1", "k2"]) | texts()
data = json_data() | st.fixed_dictionaries({"state": st.sampled_from(["new", 1, 1.0, True])})
run_ids = st.integers(0, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("save"), tasks, run_ids, texts(), data, time_stamps(), keys),
        st.tuples(st.just("remove"), st.integers(1, 9)),
        st.tuples(st.just("start"), st.none() | tasks),
        st.tuples(st.just("stop"), run_ids, st.booleans()),
        st.tuples(st.just("open"), tasks, texts()),
    ),
    max_size=15,
)


def take(tracks: Storage, name: str, *values: Any) -> None:
    """A step; one that is not possible is left out."""
    if name == "save":
        task, run, user, data, time, key = values
        known = run if run in tracks.runs else 0
        user = user if key is None else "u"  # of one user: an engine may have keys for each
        tracks.saveUserTrack(task, known, user, data, timeStamp=time, key=key)
    elif name == "remove":
        if track_id(values[0]) in tracks:
            tracks.removeTrack(track_id(values[0]))
    elif name == "start":
        tracks.startRun(*values)
    elif name == "stop":
        tracks.stopRun(None, *values)
    else:
        tracks.openRun(*values)


@pytest.mark.parametrize(("engine", "other"), PAIRS, ids=str)
def test_any_storage_into_any_engine(
    engine: EngineUnderTest, other: EngineUnderTest, tmp_path: Path
) -> None:
    numbers = count()
    share = 5 if is_far(engine) or is_far(other) else 2

    @settings(max_examples=settings().max_examples // share)
    @given(steps, steps)
    def copied(first: list[Any], later: list[Any]) -> None:
        names = [f"{side} {next(numbers)}" for side in ("source", "target")]
        with (
            open_storage(urls[0], names[0], Comment) as source,
            open_storage(urls[1], names[1], Comment) as target,
        ):
            for step in first:
                take(source, *step)
            copy_storage(source, target)
            hold(source, target)
            for step in later:
                if step[0] != "remove":
                    take(source, *step)
            copy_storage(source, target)
            hold(source, target)
            assert target.query(state=[1, "new"]) == source.query(state=[1, "new"])
            for key, number in source.engine.spent_keys():
                assert target.save("a", 0, "u", {}, key=key) == (number, "duplicate")
            assert target.saveUserTrack("a", 0, "u", {}) == track_id(source.engine.highest() + 1)
            assert target.startRun() > max(source.runs, default=0)
            assert target.check() == []

    with two_urls(engine, other, tmp_path) as urls:
        copied()


def test_many_tracks_come_in_batches(tmp_path: Path) -> None:
    with (
        open_storage(f"sqlite:{tmp_path}/tracks.db", durability="off") as source,
        open_storage("memory:") as target,
    ):
        source.saveUserTracks(
            {"taskId": f"a{n % 7}", "userName": f"u{n % 5}", "data": {"n": n}, "key": f"k{n}"}
            for n in range(21_500)
        )
        told: list[tuple[int, int, int]] = []
        copied = copy_storage(source, target, lambda *step: told.append(step))
        assert copied == Copied(21_500, 7, 21_500, "0000000", "0021500")
        assert told[-1] == (21_500, 21_500, 21_500)
        assert told == sorted(told)
        assert len(told) > 1
        hold(source, target)


def test_large_tracks_come_in_smaller_batches(source: Storage, target: Storage) -> None:
    text = "x" * 1_000_000
    source.saveUserTracks(
        {"taskId": "large", "userName": "u", "data": {"n": n, "text": text}} for n in range(20)
    )
    source.saveUserTracks({"taskId": "small", "userName": "u", "data": {}} for n in range(2_000))
    told: list[int] = []
    copy_storage(source, target, lambda done, *_: told.append(done))
    assert len(told) > 1
    hold(source, target)


# Going on


def test_what_was_copied_is_not_copied_again(source: Storage, target: Storage) -> None:
    first = copy_storage(source, target)
    assert first == Copied(28, 6, 30, "0000000", "0000030")
    assert copy_storage(source, target) == Copied(0, 6, 30, "0000029", "0000030")
    hold(source, target)


def test_what_the_source_has_gained_is_copied(source: Storage, target: Storage) -> None:
    copy_storage(source, target)
    id = source.saveUserTrack("new", 0, "u1", {"n": 1}, key="new")
    source.stopRun("a1")
    source.startRun("a0")
    source.openRun("a0", "another label")
    assert copy_storage(source, target).tracks == 1
    hold(source, target)
    assert target[id].data == {"n": 1}


def test_a_source_that_is_saved_in_meanwhile(source: Storage, target: Storage) -> None:
    def save(*_: int) -> None:
        source.saveUserTrack("a0", 0, "u1", {}, key="late")
        source.saveUserTrack("a0", 0, "u1", {"n": 1}, update=True, key="again")
        source.startRun("a0")
        source.stopRun("a1")

    copied = copy_storage(source, target, save)
    assert copied.tracks == len(target) == 28
    assert compare_storages(source, target, copied).equal
    assert not compare_storages(source, target).equal
    copy_storage(source, target)
    hold(source, target)


def test_a_removed_highest_id_is_not_given_again(target: Storage) -> None:
    with open_storage("memory:") as source:
        fill(source)
        for id in list(source):
            source.removeTrack(id)
        assert copy_storage(source, target).tracks == 0
        hold(source, target)
        assert target.saveUserTrack("a", 0, "u", {}) == "0000031"


def test_what_was_changed_since_is_told(source: Storage, target: Storage) -> None:
    copy_storage(source, target)
    source.removeTrack("0000001")
    source.updateTrack("0000005", {"n": 5.5})
    id = source.saveUserTrack("a2", 0, "u1", {})
    assert copy_storage(source, target).tracks == 1
    assert id in target
    found = compare_storages(source, target)
    assert [task.taskId for task in found.different_tasks] == ["a0", "a1"]
    assert not found.different_runs
    assert not found.different_keys


def test_an_empty_storage(target: Storage) -> None:
    with open_storage("memory:") as source:
        assert copy_storage(source, target) == Copied(0, 0, 0, "0000000", "0000000")
        hold(source, target)
        assert target.saveUserTrack("a", 0, "u", {}) == "0000001"


def test_a_save_that_is_not_yet_done_is_waited_for(tmp_path: Path, target: Storage) -> None:
    begun, others = threading.Event(), threading.Event()

    def save() -> None:
        with tracks.transaction():
            tracks.saveUserTrack("a", 0, "slow", {})
            begun.set()
            others.wait(30)

    with fresh_url(POSTGRES, tmp_path) as url, open_storage(url) as tracks:
        tracks.startRun("a")
        saving = threading.Thread(target=save)
        saving.start()
        assert begun.wait(30)
        tracks.saveUserTrack("a", 0, "quick", {})
        copying = threading.Thread(target=copy_storage, args=(tracks, target))
        copying.start()
        copying.join(0.3)
        assert copying.is_alive()
        others.set()
        for thread in (saving, copying):
            thread.join(30)
        assert target.getUserNames("a") == ["quick", "slow"]
        hold(tracks, target)


# What is refused


@pytest.mark.parametrize("engine", LASTING, ids=str)
def test_the_same_storage(url: str, tmp_path: Path) -> None:
    same = url.replace(str(tmp_path), f"{tmp_path}/../{tmp_path.name}")
    with open_storage(url) as one, open_storage(same) as other:
        with pytest.raises(InvalidValue, match="are the same storage"):
            copy_storage(one, other)
        with open_storage(url, "another") as another:
            fill(one)
            copy_storage(one, another)
            hold(one, another)


def save_first(tracks: Storage) -> None:
    tracks.saveUserTrack("x", 0, "u", {})


def save_last(tracks: Storage) -> None:
    fill(tracks, 29)
    tracks.saveUserTrack("x", 0, "u", {})


def save_more(tracks: Storage) -> None:
    fill(tracks, 40)


def start_run(tracks: Storage) -> None:
    tracks.startRun("x")


@pytest.mark.parametrize("other", [save_first, save_last, save_more, start_run])
def test_a_target_that_holds_something_else(source: Storage, target: Storage, other: Any) -> None:
    other(target)
    before = everything(target)
    with pytest.raises(InvalidValue, match=r"holds something else: its (track|run) .*be empty"):
        copy_storage(source, target)
    assert everything(target) == before


def test_a_target_that_was_saved_in(source: Storage, target: Storage) -> None:
    copy_storage(source, target)
    target.saveUserTrack("a0", 0, "u", {})
    source.saveUserTrack("a1", 0, "u", {})
    with pytest.raises(InvalidValue, match="its track 0000031 is not from the source"):
        copy_storage(source, target)


def test_data_that_an_index_of_the_target_cannot_hold(source: Storage) -> None:
    source.saveUserTrack("a0", 0, "u1", {"state": "x" * 2_000})
    with open_storage("memory:", trackFactory=Comment) as target:
        with pytest.raises(
            InvalidData, match=r"^The track 0000031: data\['state'\] .* 1,000 bytes"
        ):
            copy_storage(source, target)
        assert len(target) == 0


def test_a_closed_storage(source: Storage, target: Storage) -> None:
    target.close()
    with pytest.raises(StorageClosed):
        copy_storage(source, target)


# Comparing


def remove(tracks: Storage) -> None:
    tracks.removeTrack("0000005")


def change(tracks: Storage) -> None:
    tracks.updateTrack("0000005", {"n": 5.0}, overwrite=True)


def add(tracks: Storage) -> None:
    tracks.saveUserTrack("a1", 0, "u1", {})


def exchange(tracks: Storage) -> None:
    """Two tracks of a task that have each other's data."""
    tracks.updateTrack("0000005", {"n": 7})
    tracks.updateTrack("0000008", {"n": 4})


@pytest.mark.parametrize(("harm", "there"), [(remove, 9), (change, 10), (add, 11), (exchange, 10)])
@pytest.mark.parametrize("after_copy", [True, False])
def test_a_task_that_differs_is_named(
    source: Storage, target: Storage, harm: Any, there: int, after_copy: bool
) -> None:
    copied = copy_storage(source, target)
    harm(target)
    found = compare_storages(source, target, copied if after_copy else None)
    assert not found.equal
    assert found.different_tasks == (DifferentTask("a1", 10, there),)
    assert not found.different_runs
    assert not found.different_keys
    assert (found.tracks, found.tasks, found.runs, found.keys) == (28, 3, 6, 30)


@pytest.mark.parametrize("after_copy", [True, False])
def test_a_run_that_differs_is_named(source: Storage, target: Storage, after_copy: bool) -> None:
    copied = copy_storage(source, target)
    target.stopRun("a1")
    target.openRun("a1", "other")
    found = compare_storages(source, target, copied if after_copy else None)
    assert found.different_runs == (2, 7)
    assert not found.different_tasks
    assert not found.different_keys


@pytest.mark.parametrize("after_copy", [True, False])
def test_a_key_that_differs_is_named(source: Storage, target: Storage, after_copy: bool) -> None:
    copied = copy_storage(source, target)
    target.engine.put_keys([("another", 1)])
    found = compare_storages(source, target, copied if after_copy else None)
    assert found.different_keys == ("another",)
    assert not found.equal


def test_what_is_missing_is_named(source: Storage, target: Storage) -> None:
    copied = copy_storage(source, target)
    with open_storage("memory:") as empty:
        for since in (None, copied):
            found = compare_storages(source, empty, since)
            assert [task.target for task in found.different_tasks] == [0, 0, 0]
            assert found.different_runs == tuple(range(1, 7))
            assert len(found.different_keys) == 30


# The command, broken off at any point

SIZE = 25_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file whose copy takes some moments."""
    url = f"sqlite:{tmp_path_factory.mktemp('large')}/tracks.db"
    with open_storage(url, durability="off") as tracks:
        for task in range(9):
            tracks.startRun(f"a{task}")
        tracks.saveUserTracks(
            {"taskId": f"a{n % 9}", "userName": f"u{n % 7}", "data": {"n": n}, "key": f"k{n}"}
            for n in range(SIZE)
        )
        tracks.removeTrack(track_id(SIZE))
    return url


@pytest.mark.parametrize("engine", [SQLITE, POSTGRES, *FAR[:1]], ids=str)
def test_killed_and_started_again(large: str, url: str) -> None:
    with open_storage(url) as target:
        kills = there = 0
        while kills < 2 and there < SIZE - 1:
            with spawn("copy", large, url, "--no-verify") as process:
                while len(target) == there and process.poll() is None:
                    time.sleep(0.001)
                process.kill()
                assert process.wait() == -9
            kills += 1
            there = len(target)
            assert there == len({*target})
            assert target.check() == []
        (said,) = run("copy", large, url, "--json").json
        assert said["copied"]["tracks"] == SIZE - 1 - there
        assert said["equal"] is True
        with open_storage(large) as source:
            hold(source, target)
        assert target.saveUserTrack("a1", 0, "u", {}) == track_id(SIZE + 1)


def test_connections_that_are_cut_between_batches(large: str, tmp_path: Path) -> None:
    with fresh_url(POSTGRES, tmp_path) as url, open_storage(large) as source:
        import psycopg

        def cut(*_: int) -> None:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

        with open_storage(url) as target:
            copy_storage(source, target, cut)
            hold(source, target)


def test_ctrl_c(large: str) -> None:
    with open_storage("sqlite:copy.db") as target:
        with spawn("copy", large, "sqlite:copy.db") as process:
            while len(target) == 0 and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate()
        assert process.returncode == 130
        assert (out, err) == (b"", b"Interrupted: the same command goes on from here.\n")
        assert run("copy", large, "sqlite:copy.db", "--json").json[0]["equal"] is True


# What the command says


@pytest.fixture
def filled() -> Iterator[Storage]:
    """The storage of the file tracks.db."""
    with open_storage("sqlite:tracks.db") as tracks:
        fill(tracks)
        yield tracks


def test_copy(filled: Storage) -> None:
    done = run("copy", "sqlite:tracks.db", "sqlite:copy.db")
    assert done.out == (
        "tracks: 28 tracks copied, up to 0000030; 6 runs, 30 keys\n"
        "tracks: equal in 3 tasks (28 tracks), 6 runs, 30 keys\n"
    )
    filled.saveUserTrack("a0", 0, "u", {})
    done = run("copy", "sqlite:tracks.db", "sqlite:copy.db", "--no-verify")
    assert done.out == "tracks: 1 track copied after 0000029, up to 0000031; 6 runs, 30 keys\n"
    with open_storage("sqlite:copy.db") as copy:
        hold(filled, copy)


@pytest.mark.usefixtures("filled")
def test_copy_for_programs() -> None:
    (said,) = run("copy", "sqlite:tracks.db", "zodb:copy.fs", "--json").json
    assert said == {
        "name": "tracks",
        "toName": "tracks",
        "copied": {"tracks": 28, "runs": 6, "keys": 30, "found": "0000000", "upTo": "0000030"},
        "compared": {
            "tracks": 28,
            "tasks": 3,
            "runs": 6,
            "keys": 30,
            "differentTasks": [],
            "differentRuns": [],
            "differentKeys": [],
        },
        "equal": True,
    }
    (said,) = run("copy", "sqlite:tracks.db", "zodb:copy.fs", "--json", "--no-verify").json
    assert said["compared"] is said["equal"] is None


def test_what_differs_is_told(filled: Storage) -> None:
    urls = ("sqlite:tracks.db", "sqlite:copy.db")
    run("copy", *urls)
    assert "equal in" in run("copy", *urls, "--verify-only").out
    with open_storage(urls[1]) as copy:
        for id in ("0000001", "0000002", "0000004"):
            copy.removeTrack(id)
        copy.stopRun("a1")
        copy.engine.put_keys([("other", 1)])
    done = run("copy", *urls, "--verify-only", status=1)
    assert done.out == ""
    assert done.err == (
        "tracks: 2 tasks differ: 'a0' (FROM has 10 tracks, TO 8), 'a1' (FROM has 10 tracks, TO 9)\n"
        "tracks: 1 run differs: 2\n"
        "tracks: 1 key differs: 'other'\n"
    )
    (said,) = run("copy", *urls, "--verify-only", "--json", status=1).json
    assert said["equal"] is False
    assert said["copied"] is None
    assert said["compared"]["differentTasks"][0] == {"taskId": "a0", "source": 10, "target": 8}
    assert len(filled) == 28


def test_several_storages(filled: Storage) -> None:
    with open_storage("sqlite:tracks.db", "comments") as comments:
        comments.saveUserTrack("c", 0, "u", {"state": "new"})
    said = run("copy", "sqlite:tracks.db", "sqlite:copy.db", "--all", "--json").json
    assert [(each["name"], each["copied"]["tracks"]) for each in said] == [
        ("comments", 1),
        ("tracks", 28),
    ]
    run("copy", "sqlite:tracks.db", "sqlite:tracks.db", "--name", "comments", "--to-name", "notes")
    with open_storage("sqlite:tracks.db", "notes") as notes:
        assert [track.data for track in notes.query()] == [{"state": "new"}]
    assert len(filled) == 28


def test_an_index_is_made_on_the_way(filled: Storage) -> None:
    run("copy", "sqlite:tracks.db", "sqlite:copy.db", "--attribute", "n")
    (said,) = run("info", "--storage", "sqlite:copy.db", "--json").json
    assert "tracks_by_n" in said["parts"]
    assert len(filled) == 28


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["sqlite:tracks.db", "sqlite:tracks.db"], "are the same storage", 2),
        (["sqlite:tracks.db", "sqlite:other.db"], "holds something else: its track 0000001", 2),
        (["sqlite:tracks.db", "nothing:x"], "There is no engine for 'nothing:x'", 2),
        (["nothing", "sqlite:x.db"], "Did you mean 'sqlite:nothing'?", 2),
        (["memory:", "sqlite:x.db"], "FROM is in the memory of this command", 2),
        (["sqlite:tracks.db", "sqlite:"], "TO is in the memory of this command", 2),
        (["sqlite:tracks.db"], "Missing argument 'TO'", 2),
        (["sqlite:x.db", "sqlite:y.db"], "There is no file x.db", 3),
        (["sqlite:tracks.db", "sqlite:x.db", "--name", "x"], "'x' in FROM; there are: tracks.", 2),
        (["sqlite:tracks.db", "sqlite:x.db", "--verify-only"], "There is no file x.db", 3),
        (["sqlite:tracks.db", "sqlite:no/x.db"], "There is no directory", 3),
        (["sqlite:tracks.db", "postgresql://127.0.0.1:1/x"], "PostgreSQL cannot be reached", 3),
        (["sqlite:tracks.db", "sqlite:x.db", "--all", "--to-name", "x"], "cannot both", 2),
        (["sqlite:tracks.db", "sqlite:x.db", "--verify-only", "--no-verify"], "cannot both", 2),
    ],
)
def test_what_cannot_be_copied_is_said_in_one_line(
    filled: Storage, arguments: list[str], message: str, status: int
) -> None:
    with open_storage("sqlite:other.db") as other:
        other.saveUserTrack("x", 0, "u", {})
    done = run("copy", *arguments, status=status)
    assert message in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert not Path("x.db").exists()
    assert len(filled) == 28
