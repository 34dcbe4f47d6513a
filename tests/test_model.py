"""Random sequences of calls give the same answers on every engine as on the reference.

The reference is the engine in memory; it is held to a list (`tests.naive`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cybertools.tracking import Run, Track, open_storage
from cybertools.tracking.interfaces import Receipt, Saved
from cybertools.tracking.testing import Comment, Opener, plain
from tests.engines import EngineUnderTest
from tests.naive import NaiveStorage

NO_RUN, NO_TRACK = 999_999, "9999999"
PAST, FUTURE = 1_178_011_680.0, 2.0**33 - 1
LONG_AGO_ENDS = 1_700_000_000.0
"""What is later than this, and not in the future, is the present."""

tasks = st.sampled_from(["a", "ab", "a*", "b", "😀"])
users = st.sampled_from(["u1", "u2", "v", "\U0010ffff"])
labels = st.sampled_from(["s1", "s2"])
keys = st.sampled_from([None, None, None, "k1", "k2", "k3"])
times = st.sampled_from([0.0, PAST, PAST + 0.000001, PAST + 1, PAST + 2, FUTURE])
states: st.SearchStrategy[Any] = st.sampled_from(
    ["new", "newer", "old", "", 1, 1.0, True, 0, 2**70, None, ["new"], {}]
)
data = st.fixed_dictionaries(
    {}, optional={"state": states, "n": st.integers(0, 3), "ä": st.text(max_size=2)}
)
places = st.integers(0, 30)
runs = st.sampled_from([0, None]) | places | st.just(NO_RUN)
modes = st.sampled_from(
    [{}, {}, {}, {"replace": True}, {"update": True}, {"update": True, "overwrite": True}]
)


def some(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A criterion's value: none, one, or a list."""
    return st.none() | one | st.lists(one, max_size=3)


criteria = st.fixed_dictionaries(
    {},
    optional={
        "taskId": some(tasks | st.sampled_from(["*", "a*", "ab*", "😀*", "x*"])),
        "userName": some(users | st.sampled_from(["u*", "\U0010ffff*"])),
        "state": some(states.filter(lambda v: isinstance(v, str | int)) | st.just("new*")),
        "timeStamp": some(times),
        "timeFrom": times,
        "timeTo": times,
        "timeFromTo": st.tuples(times, times),
        "limit": st.integers(0, 5),
        "order": st.sampled_from(["id", "timeStamp", "-timeStamp"]),
    },
)
items = st.fixed_dictionaries(
    {"taskId": tasks, "userName": users, "data": data, "timeStamp": times, "key": keys}
)


class SourceFailed(Exception):
    """What an iterable or a transaction is ended by."""


class Side:
    """A storage, and the names by which its ids are compared: their order of appearance.

    An engine may leave numbers out, where a transaction failed, say.
    """

    def __init__(self, tracks: Any) -> None:
        self.tracks = tracks
        self.ids: list[str] = []
        self.run_ids: list[int] = []
        self.open: list[tuple[Any, list[str], list[int]]] = []

    def answer(self, call: Callable[["Side"], Any]) -> Any:
        """What the call gives, or what it raises."""
        try:
            return self.comparable(call(self))
        except Exception as error:  # noqa: BLE001
            return type(error), re.sub(r"\d{7,}", self.renamed, str(error))

    def name(self, id: str | int) -> str:
        known: list[Any] = self.ids if isinstance(id, str) else self.run_ids
        if id not in known:
            known.append(id)
        return f"{'track' if isinstance(id, str) else 'run'} {known.index(id)}"

    def renamed(self, id: re.Match[str]) -> str:
        """A number in an error, which is perhaps the id of a track."""
        return self.name(id[0]) if id[0] in self.ids else id[0]

    def id(self, place: int) -> str:
        """The id of a track that was saved before; at the beginning one that is not there."""
        return self.ids[place % len(self.ids)] if self.ids else NO_TRACK

    def run(self, place: int | None) -> int | None:
        """The id of a run that was started before; at the beginning the current run."""
        if not place or place == NO_RUN:
            return place
        return self.run_ids[place % len(self.run_ids)] if self.run_ids else 0

    def comparable(self, value: Any) -> Any:
        if isinstance(value, Track):
            id, task, run, user, time, json = plain(value)
            return (self.name(id), task, self.name(run), user, moment(time), json)
        if isinstance(value, Run):
            start, end = moment(value.start), moment(value.end)
            return (self.name(value.id), value.taskId, start, end, value.finished, value.label)
        if isinstance(value, Saved):
            return (self.name(f"{value.number:07d}"), value.outcome)
        if isinstance(value, Receipt):
            return ([self.name(f"{number:07d}") for number in value.numbers], value.duplicates)
        if isinstance(value, Mapping):
            return [self.comparable(each) for each in value.values()]
        if isinstance(value, list | tuple):
            return [self.comparable(each) for each in value]
        return value

    # Transactions

    def begin(self) -> None:
        transaction = self.tracks.transaction()
        transaction.__enter__()
        self.open.append((transaction, self.ids.copy(), self.run_ids.copy()))

    def end(self, fails: bool) -> None:
        transaction, ids, run_ids = self.open.pop()
        if not fails:
            transaction.__exit__(None, None, None)
            return
        error = SourceFailed()
        assert not transaction.__exit__(SourceFailed, error, None)
        self.ids, self.run_ids = ids, run_ids


def moment(time: float) -> float | str:
    """A time stamp; the present is the same on both sides."""
    return "now" if LONG_AGO_ENDS < time < FUTURE else time


class Machine(RuleBasedStateMachine):
    """The same calls on two storages."""

    def __init__(
        self,
        oracle: Any,
        subject: Any,
        transactional: bool = True,
        keys_of_users: bool = False,
    ) -> None:
        super().__init__()
        self.oracle, self.subject = Side(oracle), Side(subject)
        self.transactional = transactional
        self.keys_of_users = keys_of_users

    def key(self, key: str | None, user: str) -> str | None:
        """A key that two users have only where that is the same for both sides."""
        return f"{user} {key}" if key and self.keys_of_users else key

    def both(self, call: Callable[[Side], Any]) -> None:
        expected = self.oracle.answer(call)
        assert self.subject.answer(call) == expected

    # Saving

    @rule(task=tasks, run=runs, user=users, data=data, how=modes, time=st.none() | times, key=keys)
    def save(
        self,
        task: str,
        run: int | None,
        user: str,
        data: dict[str, Any],
        how: dict[str, bool],
        time: float | None,
        key: str | None,
    ) -> None:
        key = self.key(key, user)
        self.both(
            lambda s: s.tracks.save(task, s.run(run), user, data, timeStamp=time, key=key, **how)
        )

    @rule(
        items=st.lists(st.tuples(items, runs.filter(lambda run: run != NO_RUN)), max_size=6),
        size=st.none() | st.integers(1, 3),
        bad=st.sampled_from([None, None, "item", "run", "source"]),
        place=st.integers(0, 6),
    )
    def save_many(
        self, items: list[tuple[dict[str, Any], int]], size: int | None, bad: str | None, place: int
    ) -> None:
        def source(side: Side) -> Iterator[dict[str, Any]]:
            for position, (item, run) in enumerate(items):
                wrong = position == place
                if wrong and bad == "source":
                    raise SourceFailed
                yield {
                    **item,
                    "runId": NO_RUN if wrong and bad == "run" else side.run(run),
                    "userName": "" if wrong and bad == "item" else item["userName"],
                    "key": self.key(item["key"], item["userName"]),
                }

        self.both(lambda s: s.tracks.saveBatch(source(s), size))

    @rule(place=places, data=data, overwrite=st.booleans())
    def update(self, place: int, data: dict[str, Any], overwrite: bool) -> None:
        self.both(lambda s: s.name(s.tracks.updateTrack(s.id(place), data, overwrite)))

    @rule(place=places)
    def remove(self, place: int) -> None:
        self.both(lambda s: s.tracks.removeTrack(s.id(place)))

    # Reading

    @rule(criteria=criteria, after=st.none() | places, run=some(places))
    def query(self, criteria: dict[str, Any], after: int | None, run: Any) -> None:
        def asked(side: Side) -> dict[str, Any]:
            wanted = [side.run(each) for each in run] if isinstance(run, list) else side.run(run)
            position = None if after is None else side.id(after)
            return {**criteria, "after": position, "runId": wanted or None}

        self.both(lambda s: s.tracks.query(**asked(s)))
        self.both(lambda s: s.tracks.countTracks(**asked(s)))
        self.both(lambda s: list(s.tracks.iterTracks(**asked(s))))

    @rule(criteria=criteria, size=st.integers(1, 4))
    def pages(self, criteria: dict[str, Any], size: int) -> None:
        def pages(side: Side) -> Iterator[list[Track]]:
            asked = {**criteria, "limit": size, "after": None}
            while page := side.tracks.query(**asked):
                yield page
                asked["after"] = page[-1].id

        self.both(lambda s: list(pages(s)))

    @rule(task=tasks, run=runs, user=users)
    def of_a_user(self, task: str, run: int | None, user: str) -> None:
        self.both(lambda s: s.tracks.getUserTracks(task, s.run(run), user))
        self.both(lambda s: s.tracks.getLastUserTrack(task, s.run(run), user))
        self.both(lambda s: s.tracks.getUserNames(task))

    @rule(place=places)
    def one(self, place: int) -> None:
        self.both(lambda s: s.tracks[s.id(place)])

    # Runs

    @rule(task=st.none() | tasks)
    def start_run(self, task: str | None) -> None:
        self.both(lambda s: s.name(s.tracks.startRun(task)))

    @rule(task=st.none() | tasks, run=runs, finish=st.booleans())
    def stop_run(self, task: str | None, run: int | None, finish: bool) -> None:
        self.both(lambda s: s.name(s.tracks.stopRun(task, s.run(run) or 0, finish)))

    @rule(task=tasks, label=labels)
    def open_run(self, task: str, label: str) -> None:
        self.both(lambda s: s.name(s.tracks.openRun(task, label)))

    @rule(task=st.none() | tasks, run=runs)
    def look_at_a_run(self, task: str | None, run: int | None) -> None:
        self.both(lambda s: s.tracks.getRun(s.run(run) or 0, task))

    # Keeping

    @precondition(lambda self: self.transactional and len(self.subject.open) < 3)
    @rule()
    def begin(self) -> None:
        self.both(lambda s: s.begin())

    @precondition(lambda self: self.subject.open)
    @rule(fails=st.booleans())
    def end(self, fails: bool) -> None:
        self.both(lambda s: s.end(fails))

    @rule(call=st.sampled_from(["reindexTracks", "setupIndexes"]))
    def keep(self, call: str) -> None:
        self.both(lambda s: getattr(s.tracks, call)())

    @invariant()
    def the_same_is_there(self) -> None:
        self.both(lambda s: s.tracks.query())
        self.both(lambda s: {s.name(id) for id in s.tracks})
        self.both(lambda s: len(s.tracks))
        self.both(lambda s: s.tracks.getTaskIds())
        self.both(lambda s: s.tracks.runs)
        self.both(lambda s: s.tracks.finishedRuns)
        self.both(lambda s: {task: s.name(run) for task, run in s.tracks.currentRuns.items()})

    def teardown(self) -> None:
        while self.subject.open:
            self.end(fails=False)
        self.the_same_is_there()
        for side in (self.oracle, self.subject):
            assert side.tracks.check() == []
            side.tracks.close()


def test_engine_gives_the_answers_of_the_reference(engine: EngineUnderTest, open: Opener) -> None:
    names = (f"model {number}" for number in count())

    def machine() -> Machine:
        subject = open(next(names), Comment)
        if engine.name == "memory":
            return Machine(NaiveStorage(), subject)
        reference = open_storage("memory:", trackFactory=Comment)
        return Machine(reference, subject, engine.transactional, engine.keys_of_users)

    factory: Any = machine  # a machine's class is expected, but only called
    run_state_machine_as_test(factory)
