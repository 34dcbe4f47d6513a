"""The rollup says what the tracks say, at every moment."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cybertools.tracking import Storage, open_storage
from cybertools.tracking.criteria import Criteria
from cybertools.tracking.opening import migrate_storage
from cybertools.tracking.questions import Cohorts, Field, Groups, Paths, Periods
from cybertools.tracking.reports import run_report
from cybertools.tracking.reports.periods import period_edges
from cybertools.tracking.sql.engine import SqlEngine
from tests.engines import ENGINES, fresh_url

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC")

DAY = 86_400
MOMENTS = (
    1_711_846_800.0,  # the clocks of Berlin go on
    1_729_990_800.0,  # and back
    1_710_054_000.0,  # those of New York go on
    1_325_239_200.0,  # Samoa leaves a day out
    1_711_839_600.0,  # midnight in Berlin
    0.0,
)
TIMES = st.builds(
    lambda moment, days, seconds: max(0.0, round(moment + days * DAY + seconds, 6)),
    st.sampled_from(MOMENTS),
    st.integers(-9, 9),
    st.sampled_from((0, -0.000001, 0.000001, 3_600, 43_200)),
)
VALUES: tuple[Any, ...] = ("new", 1, 1.0, True, None, "1", "", 1.5, [1])
TASKS = st.sampled_from(("a", "b", "ä"))
USERS = st.sampled_from(("u1", "u2", "u3"))

CHANGES = st.one_of(
    st.tuples(st.just("save"), TASKS, USERS, TIMES),
    st.tuples(st.just("save"), TASKS, USERS, TIMES),
    st.tuples(st.just("bulk"), st.lists(st.tuples(TASKS, USERS, TIMES), max_size=6)),
    st.tuples(st.just("replace"), TASKS, USERS, TIMES),
    st.tuples(st.just("update"), TASKS, USERS, TIMES),
    st.tuples(st.just("rewrite"), st.integers(1, 12)),
    st.tuples(st.just("remove"), st.integers(1, 12)),
    st.tuples(st.just("run"), TASKS),
    st.tuples(st.just("put"), st.integers(1, 12), TASKS, USERS, TIMES),
)

SPANS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({}, optional={"timeFrom": TIMES, "timeTo": TIMES}),
    # The whole days of a zone.
    st.builds(
        lambda start, days, zone: {
            "timeFrom": float(period_edges(start, start, "day", zone)[0]),
            "timeTo": period_edges(start, start + days * DAY, "day", zone)[-1] - 0.000001,
        },
        TIMES,
        st.integers(0, 20),
        st.sampled_from(ZONES),
    ),
)
REPORTS = st.one_of(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(("counts", "active", "retention")),
            "unit": st.sampled_from(("day", "week", "month")),
            "timezone": st.sampled_from(ZONES),
        }
    ),
    st.just({"name": "totals"}),
    st.fixed_dictionaries(
        {
            "name": st.just("top"),
            "what": st.sampled_from(("taskId", "userName")),
            "top": st.integers(1, 3),
            "detail": st.sampled_from(("all", "none")),
        }
    ),
    st.fixed_dictionaries(
        {
            "name": st.just("paths"),
            "per": st.sampled_from(("userName", "runId")),
            "gap": st.sampled_from((0.000001, 1_800, 43_200)),
            "top": st.sampled_from((2, 100)),
        }
    ),
    st.fixed_dictionaries(
        {
            "name": st.just("top"),
            "what": st.sampled_from(("state", "n", "n.deeper")),
            "top": st.sampled_from((2, 100)),
            "detail": st.just("none"),
        }
    ),
)
ASKED = st.tuples(st.just("ask"), REPORTS, SPANS)


@pytest.fixture(scope="module", params=["sqlite", "sqlite-memory", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of each engine that keeps a rollup."""
    (engine,) = (each for each in ENGINES if each.name == request.param)
    with fresh_url(engine, tmp_path_factory.mktemp("rollup")) as url:
        yield url


@contextmanager
def opened(url: str, name: str | None = None) -> Iterator[Storage]:
    """A new storage that gets its rollup with the first track, and new cells every few."""
    with closing(open_storage(url, name=name or f"s{next(numbers)}")) as storage:
        rollup = engine_of(storage).rollup
        rollup.least, rollup.pending, rollup.step = 1, 3, 4
        yield storage


numbers = count()

PATIENCE = 60.0
"""Seconds after which something that should have happened long ago has failed."""


def engine_of(storage: Storage) -> SqlEngine:
    """The storage's engine, which is one that keeps a rollup."""
    assert isinstance(storage.engine, SqlEngine)
    return storage.engine


def both(storage: Storage, name: str, given: dict[str, Any]) -> tuple[Any, Any]:
    """A report's rows, and those that are counted from the tracks."""
    engine = engine_of(storage)
    rows = run_report(storage, name, given).rows
    engine.has_rollup = False
    try:
        return rows, run_report(storage, name, given).rows
    finally:
        engine.has_rollup = True


def change(storage: Storage, what: str, *given: Any) -> None:
    """One of `CHANGES`, in a storage."""
    if what in ("save", "replace", "update"):
        task, user, time = given
        replace, update = what == "replace", what == "update"
        data = {"n": len(storage) % 3, "state": VALUES[len(storage) % len(VALUES)]}
        storage.saveUserTrack(task, 0, user, data, replace, update, timeStamp=time)
    elif what == "bulk":
        storage.saveUserTracks(
            {"taskId": task, "userName": user, "data": {}, "timeStamp": time}
            for task, user, time in given[0]
        )
    elif what == "run":
        storage.startRun(given[0])
    elif what == "put":
        number, task, user, time = given
        run = next(iter(storage.runs), None)
        if run is not None and storage.engine.track(number) is None:
            storage.engine.put_tracks([(number, task, run, user, time, "{}")])
    else:
        track = storage.get(f"{given[0]:07}")
        if track is not None and what == "remove":
            storage.removeTrack(track)
        elif track is not None:
            storage.updateTrack(track, {"n": 2, "state": "changed"})


def test_answers_are_those_of_the_tracks(url: str) -> None:
    """Whatever is saved, replaced, updated, removed or copied before, between and after."""

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(CHANGES | ASKED, max_size=25), ASKED, st.booleans())
    def check(steps: list[tuple[Any, ...]], end: tuple[Any, ...], is_patient: bool) -> None:
        with opened(url) as storage:
            storage.engine.is_patient = is_patient
            for step in [*steps, end]:
                if step[0] != "ask":
                    change(storage, *step)
                    continue
                _, report, span = step
                given = {**report, **span}
                rows, counted = both(storage, given.pop("name"), given)
                assert rows == counted
            assert storage.engine.check() == []

    check()


MIDNIGHTS = st.builds(
    lambda day, seconds: round((20_000 + day) * DAY + seconds, 6),
    st.integers(0, 3),
    st.sampled_from((0, -0.000001, -20, 20, -600, 600, 7_200, 43_200)),
)
SLICED = st.one_of(
    st.fixed_dictionaries(
        {
            "name": st.just("paths"),
            "per": st.sampled_from(("userName", "runId")),
            "gap": st.sampled_from((30, 1_800, 86_399, 86_399.5)),
            "top": st.sampled_from((3, 100)),
        }
    ),
    st.fixed_dictionaries(
        {"name": st.just("top"), "what": st.just("state"), "detail": st.just("none")}
    ),
)


def test_slices_of_time_say_what_the_tracks_say(url: str) -> None:
    """Whatever comes, goes and changes around midnight, when they begin and end."""
    at_midnight = st.one_of(
        st.tuples(st.sampled_from(("save", "update", "replace")), TASKS, USERS, MIDNIGHTS),
        st.tuples(st.just("put"), st.integers(1, 20), TASKS, USERS, MIDNIGHTS),
        st.tuples(st.sampled_from(("rewrite", "remove")), st.integers(1, 20)),
    )
    saves = st.lists(
        st.tuples(st.just("save"), TASKS, st.just("u1"), MIDNIGHTS), min_size=4, max_size=12
    )
    spans = st.fixed_dictionaries({}, optional={"timeFrom": MIDNIGHTS, "timeTo": MIDNIGHTS})

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(saves, SLICED, spans, st.lists(at_midnight, max_size=4), st.booleans())
    def check(
        before: list[Any],
        report: dict[str, Any],
        span: dict[str, float],
        after: list[Any],
        is_folded: bool,
    ) -> None:
        given = report | span
        name = given.pop("name")
        with opened(url) as storage:
            for step in before:
                change(storage, *step)
            storage.saveUserTrack("z", 0, "z", {}, timeStamp=20_009 * DAY)
            run_report(storage, name, {key: given[key] for key in given if key not in span})
            if not is_folded:
                engine_of(storage).rollup.pending = 1_000
            for step in [None, *after]:
                if step is not None:
                    change(storage, *step)
                rows, counted = both(storage, name, given)
                assert rows == counted
            assert storage.engine.check() == []

    check()


def test_a_step_over_midnight(url: str) -> None:
    """It is one where both of its tracks are within the times, whatever slices they are in."""
    night = 20_002 * DAY
    with opened(url) as storage:
        for task, moment in (("a", night - 90_000), ("a", night - 20), ("b", night + 20)):
            storage.saveUserTrack(task, 0, "u", {}, timeStamp=moment)
        storage.saveUserTrack("z", 0, "z", {}, timeStamp=night + 9 * DAY)
        assert both(storage, "paths", {})[0][0] == ("a", None, 1)
        for end in (night - 0.000001, night, night + 19, night + 20, night + 2_000, night + DAY):
            rows, counted = both(storage, "paths", {"timeTo": end})
            assert rows == counted
            assert (("a", "b", 1) in rows) == (end >= night + 20)


def test_slices_answer_what_somebody_asked(url: str) -> None:
    """They are made of the times that one waits for, and of all where it waits for nobody."""
    state = Groups(Criteria(), (Field(("state",)),), ("tracks",))
    with opened(url) as storage:
        for day in range(9):
            storage.saveUserTrack("a", 0, "u", {"state": day % 2}, timeStamp=MOMENTS[0] + day * DAY)
        engine = engine_of(storage)
        assert engine.rollup.answer(state) == [(0, 5), (1, 4)]
        last = storage.saveUserTrack("b", 0, "u", {"state": "x"}, timeStamp=MOMENTS[0] + 30 * DAY)
        assert engine.rollup.answer(state) == [(0, 5), (1, 4), ("x", 1)]
        storage.updateTrack(storage["0000002"], {"state": "x"})
        assert engine.rollup.answer(state) == [(0, 5), (1, 3), ("x", 2)]
        storage.removeTrack(storage[last])
        within = Criteria(time_from=MOMENTS[0] + DAY / 2, time_to=MOMENTS[0] + 5 * DAY)
        assert engine.rollup.answer(replace(state, criteria=within)) == [(0, 2), (1, 2), ("x", 1)]
        steps = Paths(Criteria(), "userName", 7_200.0)
        engine.is_patient = False
        end = time.monotonic() + PATIENCE
        while (answer := engine.rollup.answer(steps)) is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert answer == [("a", None, 9)]
        assert engine.rollup.answer(replace(steps, gap=None)) is None
        assert engine.rollup.answer(replace(steps, gap=90_000.0)) is None
        assert storage.engine.check() == []


def test_slices_that_were_not_all_made_are_made_by_who_asks_next(url: str) -> None:
    """Of one's own times, or of all where one waits for nobody."""
    steps = Paths(Criteria(), "userName", 7_200.0)
    with opened(url) as storage:
        for day in range(9):
            storage.saveUserTrack("a", 0, "u", {}, timeStamp=MOMENTS[0] + day * DAY)
        engine = engine_of(storage)
        made = f"SELECT count(*) FROM {engine.tables.rollup('slices')}"
        within = Criteria(time_from=MOMENTS[0] + 1.5 * DAY, time_to=MOMENTS[0] + 4.5 * DAY)
        assert engine.rollup.answer(replace(steps, criteria=within)) == [("a", None, 3)]
        assert engine.one(made)[0] == 2
        assert engine.rollup.answer(steps) == [("a", None, 9)]
        assert engine.one(made)[0] == 8
        with engine.writing() as connection:
            connection.execute(f"DELETE FROM {engine.tables.rollup('slices')} WHERE answer <> ''")
        engine.is_patient = False
        end = time.monotonic() + PATIENCE
        while engine.one(made)[0] < 8:
            assert time.monotonic() < end
            rows, counted = both(storage, "paths", {"gap": 7_200})
            assert rows == counted
        assert storage.engine.check() == []


def test_questions_with_too_many_answers_are_not_kept(url: str) -> None:
    """Nor are more than a few questions."""
    with opened(url) as storage:
        storage.saveUserTracks(
            {"taskId": "a", "userName": "u", "data": {"n": n}, "timeStamp": MOMENTS[0] + n / 10}
            for n in range(2_001)
        )
        storage.saveUserTrack("a", 0, "u", {"n": 1}, timeStamp=MOMENTS[0] + 9 * DAY)
        for path in ("n", *(f"v{n}" for n in range(12))):
            rows, counted = both(storage, "top", {"what": path, "detail": "none"})
            assert rows == counted
        fields = [Groups(Criteria(), (Field((p,)),), ("tracks",)) for p in ("n", "v10", "v11")]
        answers = [engine_of(storage).rollup.answer(each) for each in fields]
        assert answers == [None, [(None, 2_002)], None]


DAYS = {"timezone": "Europe/Berlin", "unit": "day"}


def is_answered(storage: Storage, keys: tuple[Any, ...], *measures: Any) -> bool:
    """Whether the rollup itself has the answer, for all time."""
    question = Groups(Criteria(), keys, measures, 8 if keys == ("taskId",) else None)
    return engine_of(storage).rollup.answer(question) is not None


def test_it_answers_once_somebody_asked_for_days(url: str) -> None:
    """And not before."""
    with opened(url) as storage:
        for day in range(30):
            storage.saveUserTrack("a", 0, f"u{day % 3}", {}, timeStamp=MOMENTS[0] + day * DAY)
        assert not is_answered(storage, (), "users")
        run_report(storage, "counts", DAYS)
        edges = period_edges(MOMENTS[0], MOMENTS[0] + 29 * DAY, "week", "Europe/Berlin")
        assert is_answered(storage, (), "tracks", "users", "tasks", "runs", "first", "last")
        assert is_answered(storage, ("taskId",), "tracks")
        assert is_answered(storage, ("taskId",), "tracks", "users", "runs", "first", "last")
        assert is_answered(storage, (Periods(edges, "Europe/Berlin"),), "users", "tracks")
        cohorts = Cohorts(Criteria(), Periods(edges, "Europe/Berlin"))
        assert engine_of(storage).rollup.answer(cohorts) is not None
        assert not is_answered(storage, (Periods(tuple(e + 1 for e in edges)),), "tracks")


@pytest.mark.parametrize("what", ["save", "replace", "update", "remove", "put"])
def test_what_happens_to_tracks_that_are_counted(url: str, what: str) -> None:
    """It shows at once, and also when it has been added to the cells."""
    with opened(url) as storage:
        for day in range(9):
            storage.saveUserTrack("a", 0, f"u{day}", {}, timeStamp=MOMENTS[0] + day * DAY)
        storage.removeTrack(storage["0000004"])
        run_report(storage, "counts", DAYS)
        given = {"remove": (5,), "put": (4, "b", "v", MOMENTS[0])}.get(
            what, ("a", "u2", MOMENTS[0])
        )
        change(storage, what, *given)
        for _ in range(2):
            for report in ("counts", "active", "retention"):
                rows, counted = both(storage, report, DAYS)
                assert rows == counted
            assert is_answered(storage, (), "users")
            storage.saveUserTracks(
                {"taskId": "b", "userName": "w", "data": {}, "timeStamp": MOMENTS[0] + DAY}
                for _ in range(9)
            )
        assert storage.engine.check() == []


def test_who_does_not_wait_has_it_made_meanwhile(url: str) -> None:
    """The answer is counted until then."""
    with opened(url) as storage:
        for day in range(40):
            storage.saveUserTrack("a", 0, f"u{day}", {}, timeStamp=MOMENTS[0] + day * DAY)
        storage.engine.is_patient = False
        end = time.monotonic() + PATIENCE
        while not is_answered(storage, (), "users"):
            assert time.monotonic() < end
            rows, counted = both(storage, "active", DAYS)
            assert rows == counted
        assert storage.engine.check() == []


def test_closing_ends_what_is_made_meanwhile(url: str) -> None:
    """What is done stays; the rest is done by whoever asks next."""
    if url == "sqlite:":
        pytest.skip("a database in memory ends with its storage")
    with opened(url) as storage:
        storage.saveUserTracks(
            {"taskId": "a", "userName": f"u{n}", "data": {}, "timeStamp": MOMENTS[0] + n * DAY}
            for n in range(100)
        )
        storage.engine.is_patient = False
        run_report(storage, "counts", DAYS)
    with opened(url, storage.name) as again:
        rows, counted = both(again, "active", DAYS)
        assert rows == counted
        assert is_answered(again, (), "users")
        assert again.engine.check() == []


def test_small_storages_have_none(url: str) -> None:
    """Their tracks are counted soon enough."""
    with opened(url) as storage:
        engine_of(storage).rollup.least = 3
        for expected in (False, False, True):
            storage.saveUserTrack("a", 0, "u", {})
            run_report(storage, "counts", DAYS)
            assert is_answered(storage, (), "users") is expected


def test_of_many_time_zones_a_few_are_kept(url: str) -> None:
    """Days of the others are counted."""
    with opened(url) as storage:
        storage.saveUserTrack("a", 0, "u", {}, timeStamp=MOMENTS[0])
        for zone in ZONES:
            rows, counted = both(storage, "active", {"timezone": zone})
            assert rows == counted
        edges = [period_edges(MOMENTS[0], MOMENTS[0], "day", zone) for zone in ZONES]
        kept = [
            is_answered(storage, (Periods(e, z),), "users")
            for e, z in zip(edges, ZONES, strict=True)
        ]
        assert kept == [True] * 4 + [False]


@pytest.mark.parametrize("change", ["fingerprint = 0", "name = 'Europe/Nowhere'"])
def test_days_that_have_become_others(url: str, change: str) -> None:
    """Where the rules of a time zone have changed, its cells are made anew."""
    with opened(url) as storage:
        for day in range(9):
            storage.saveUserTrack("a", 0, "u", {}, timeStamp=MOMENTS[0] + day * DAY)
        run_report(storage, "counts", DAYS)
        engine = engine_of(storage)
        with engine.writing() as connection:
            connection.execute(f"UPDATE {engine.tables.rollup('zones')} SET {change}")
        assert not is_answered(storage, (), "users")
        rows, counted = both(storage, "counts", DAYS)
        assert rows == counted
        assert is_answered(storage, (), "users")
        assert storage.engine.check() == []


def test_a_track_of_the_far_future(url: str) -> None:
    """Is counted like all others; so are they, as long as it is there."""
    with opened(url) as storage:

        def check() -> None:
            for name, arguments in (("totals", {}), ("paths", {"gap": 7_200})):
                rows, counted = both(storage, name, arguments)
                assert rows == counted
            assert storage.check() == []

        for day in range(3):
            storage.saveUserTrack("a", 0, "u", {}, timeStamp=MOMENTS[0] + day * DAY)
        check()
        run_report(storage, "counts", DAYS)
        far = storage.saveUserTrack("a", 0, "u", {}, timeStamp=2.0**33 - 1)
        check()
        storage.removeTrack(storage[far])
        check()
        assert is_answered(storage, (), "users")


def test_a_check_finds_wrong_numbers_and_reindexing_makes_them_anew(url: str) -> None:
    """As all derived ones are."""
    with opened(url) as storage:
        for day in range(9):
            storage.saveUserTrack("a", 0, "u", {}, timeStamp=MOMENTS[0] + day * DAY)
        run_report(storage, "counts", DAYS)
        assert storage.engine.check() == []
        engine = engine_of(storage)
        with engine.writing() as connection:
            connection.execute(f"UPDATE {engine.tables.rollup('cells')} SET tracks = tracks + 1")
        (finding,) = storage.engine.check()
        assert "Europe/Berlin" in finding
        storage.reindexTracks()
        rows, counted = both(storage, "counts", DAYS)
        assert rows == counted
        assert storage.engine.check() == []


def test_what_is_undone_does_not_count(url: str) -> None:
    """Nor does asking within a transaction see anything else than its tracks."""
    with opened(url) as storage:
        first = storage.saveUserTrack("a", 0, "u", {}, timeStamp=MOMENTS[0])
        run_report(storage, "counts", DAYS)
        with suppress(ZeroDivisionError), storage.transaction():
            storage.removeTrack(storage[first])
            storage.saveUserTrack("a", 0, "v", {}, timeStamp=MOMENTS[0])
            rows, counted = both(storage, "active", DAYS)
            assert rows == counted
            raise ZeroDivisionError
        rows, counted = both(storage, "totals", {})
        assert rows == counted
        assert storage.engine.check() == []


class Writer:
    """Saves, replaces and removes tracks; knows what it has begun and what was acknowledged."""

    def __init__(self, url: str, name: str, user: str) -> None:
        self.url, self.name, self.user = url, name, user
        self.begun, self.done = Counter[str](), Counter[str]()

    def run(self) -> None:
        """Write for a while, through a connection of its own."""
        with opened(self.url, self.name) as storage:
            for n in range(60):
                self.one(storage, n)

    def one(self, storage: Storage, n: int) -> None:
        """A track more, and of some one less or another time."""
        self.begun["saved"] += 1
        moment = MOMENTS[0] + n * DAY / 4
        id = storage.saveUserTrack(f"a{n % 4}", 0, self.user, {}, timeStamp=moment)
        self.done["saved"] += 1
        if n % 3 == 1:
            storage.saveUserTrack(
                f"a{n % 4}", 0, self.user, {}, replace=True, timeStamp=moment + 9 * DAY
            )
        if n % 5 == 2:
            self.begun["removed"] += 1
            storage.removeTrack(storage[id])
            self.done["removed"] += 1


def test_while_others_write(url: str) -> None:
    """An answer has all that was acknowledged before it was asked for, and nothing unheard of."""
    if url == "sqlite:":
        pytest.skip("a database in memory is one process's, and one thread's at a time")
    with opened(url) as storage, ThreadPoolExecutor(3) as threads:
        writers = [Writer(url, storage.name, f"u{n}") for n in range(3)]
        running = [threads.submit(writer.run) for writer in writers]
        while not all(each.done() for each in running):
            done = sum((writer.done for writer in writers), Counter())
            run_report(storage, "counts", DAYS)
            ((tracks, *_),) = run_report(storage, "totals").rows
            begun = sum((writer.begun for writer in writers), Counter())
            assert isinstance(tracks, int)
            assert done["saved"] - begun["removed"] <= tracks <= begun["saved"] - done["removed"]
        for each in running:
            each.result()
        for report in ("counts", "active", "retention"):
            rows, counted = both(storage, report, DAYS)
            assert rows == counted
        assert is_answered(storage, (), "users")
        assert storage.engine.check() == []


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_transaction_that_ends_late(url: str) -> None:
    """Its tracks have lower numbers than others that are counted already."""
    with opened(url) as storage, opened(url, storage.name) as other:
        first = storage.saveUserTrack("a", 0, "u", {}, timeStamp=MOMENTS[0])
        run_report(storage, "counts", DAYS)
        for made in (False, True):  # the rollup, before the transaction begins
            if not made:
                storage.reindexTracks()
            with other.transaction():
                other.saveUserTrack("a", 0, "v", {}, timeStamp=MOMENTS[0] + DAY)
                other.saveUserTrack("a", 0, "u", {}, replace=True, timeStamp=MOMENTS[0] + 2 * DAY)
                for _ in range(9):
                    storage.saveUserTrack("b", 0, "w", {}, timeStamp=MOMENTS[0])
                rows, counted = both(storage, "counts", DAYS)
                assert rows == counted
            for _ in range(2):
                rows, counted = both(storage, "active", DAYS)
                assert rows == counted
            assert is_answered(storage, (), "users")
            assert storage.engine.check() == []
        assert storage[first].timeStamp == MOMENTS[0] + 2 * DAY


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_role_that_may_only_read(url: str) -> None:
    """Counts tracks, as there is no other way for it."""
    with opened(url) as storage:
        for day in range(9):
            storage.saveUserTrack("a", 0, "u", {}, timeStamp=MOMENTS[0] + day * DAY)
        rows = run_report(storage, "counts", DAYS).rows
        name = f"reader_{storage.name}"
        with engine_of(storage).writing() as connection:
            for statement in (
                f"CREATE ROLE {name}",
                f"GRANT USAGE ON SCHEMA tracking TO {name}",
                f"GRANT SELECT ON ALL TABLES IN SCHEMA tracking TO {name}",
                f"REVOKE ALL ON {', '.join(engine_of(storage).rollup.tables)} FROM {name}",
            ):
                connection.execute(statement)
        mark = "&" if "?" in url else "?"
        with opened(f"{url}{mark}options=-c%20role%3D{name}", storage.name) as reader:
            assert run_report(reader, "counts", DAYS).rows == rows
            assert not is_answered(reader, (), "users")


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_tables_that_are_distributed_have_none(url: str) -> None:
    """It is removed on the way."""
    with opened(url) as storage:
        for day in range(9):
            storage.saveUserTrack("a", 0, "u", {}, timeStamp=MOMENTS[0] + day * DAY)
        rows = run_report(storage, "counts", DAYS).rows
        assert is_answered(storage, (), "users")
    steps = [*migrate_storage(url, name=storage.name, distribute=True)]
    assert "remove the rollup" in steps[0]
    with opened(url, storage.name) as distributed:
        assert run_report(distributed, "counts", DAYS).rows == rows
        assert not is_answered(distributed, (), "users")
