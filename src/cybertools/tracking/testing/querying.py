"""``query``, ``iterTracks`` and ``countTracks``: criteria, orders, pages."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest

from cybertools.tracking.errors import InvalidType, InvalidValue, UnknownCriterion
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.testing.base import BaseContract, at, ids
from cybertools.tracking.track import Track

__all__ = ["QueryingContract"]

TASKS = ["a", "a*", "a001", "a002", "ab", "b", "ä", "😀", "😀1", "\U0010ffff", "\U0010ffffx"]

Test = Callable[[Track], bool]

ONE_EACH: list[tuple[dict[str, Any], Test]] = [
    ({"taskId": "a001"}, lambda t: t.taskId == "a001"),
    ({"taskId": ["a001", "b"]}, lambda t: t.taskId in ("a001", "b")),
    ({"taskId": "a*"}, lambda t: t.taskId.startswith("a")),
    ({"taskId": ["a0*", "b"]}, lambda t: t.taskId.startswith("a0") or t.taskId == "b"),
    ({"userName": "u1"}, lambda t: t.userName == "u1"),
    ({"userName": ("u1", "u3")}, lambda t: t.userName in ("u1", "u3")),
    ({"runId": 2}, lambda t: t.runId == 2),
    ({"runId": {1, 3, 99}}, lambda t: t.runId in (1, 3)),
    ({"timeStamp": at(20)}, lambda t: t.timeStamp == at(20)),
    ({"timeStamp": [at(20), at(30), at(31)]}, lambda t: t.timeStamp in (at(20), at(30))),
    ({"timeFrom": at(50)}, lambda t: t.timeStamp >= at(50)),
    ({"timeTo": at(50)}, lambda t: t.timeStamp <= at(50)),
    ({"timeFromTo": (at(20), at(70))}, lambda t: at(20) <= t.timeStamp <= at(70)),
]


def both(one: Test, two: Test) -> Test:
    """What passes two tests."""
    return lambda track: one(track) and two(track)


def named(name: str, prefix: bool = False) -> Test:
    """What belongs to a task of that name, or of one that begins so."""
    return lambda track: track.taskId.startswith(name) if prefix else track.taskId == name


class QueryingContract(BaseContract):
    """Queries over a hundred tracks, compared with a plain look at each."""

    @pytest.fixture
    def filled(self, tracks: Storage) -> Storage:
        """Tracks in eleven tasks, by four users, whose times neither rise nor are all unique."""
        tracks.saveUserTracks(
            {
                "taskId": TASKS[n % len(TASKS)],
                "userName": f"u{n % 4}",
                "data": {"n": n},
                "timeStamp": at(n * 37 % 10 * 10),
            }
            for n in range(100)
        )
        return tracks

    @staticmethod
    def check(tracks: Storage, criteria: dict[str, Any], test: Test) -> None:
        """Hold a query in all orders to a look at each track."""
        expected = [track for track in tracks.values() if test(track)]
        assert tracks.query(**criteria) == expected
        assert tracks.countTracks(**criteria) == len(expected)
        assert list(tracks.iterTracks(**criteria)) == expected
        expected.sort(key=lambda track: (track.timeStamp, track.id))
        assert tracks.query(**criteria, order="timeStamp") == expected
        expected.reverse()
        assert tracks.query(**criteria, order="-timeStamp") == expected
        assert list(tracks.iterTracks(**criteria, order="-timeStamp", limit=5)) == expected[:5]

    # Criteria

    @pytest.mark.parametrize(("criteria", "test"), ONE_EACH, ids=[str(c) for c, _ in ONE_EACH])
    def test_each_criterion(self, filled: Storage, criteria: dict[str, Any], test: Test) -> None:
        assert filled.query(**criteria)
        self.check(filled, criteria, test)

    def test_criteria_combined(self, filled: Storage) -> None:
        for (one, test_one), (two, test_two) in combinations(ONE_EACH, 2):
            if not one.keys() & two.keys():
                self.check(filled, one | two, both(test_one, test_two))

    def test_all_criteria_at_once(self, filled: Storage) -> None:
        wanted = filled["0000014"]
        found = filled.query(
            taskId=[wanted.taskId, "b"],
            userName=f"{wanted.userName}*",
            runId=[wanted.runId, 99],
            timeStamp=wanted.timeStamp,
            timeFrom=wanted.timeStamp,
            timeTo=wanted.timeStamp,
            timeFromTo=(wanted.timeStamp, None),
            after="0000013",
            order="id",
            limit=1,
        )
        assert found == [wanted]

    def test_no_criteria_is_everything(self, filled: Storage) -> None:
        self.check(filled, {}, lambda _: True)
        names = ["taskId", "runId", "userName", "timeStamp", "timeFrom", "timeTo", "timeFromTo"]
        nothing = dict.fromkeys([*names, "limit", "after", "order"])
        assert filled.query(**nothing) == filled.query()
        assert filled.countTracks(**nothing) == 100

    @pytest.mark.parametrize("name", ["taskId", "userName", "runId", "timeStamp"])
    def test_an_empty_list_matches_nothing(self, filled: Storage, name: str) -> None:
        nothing: list[Any] = [[], (), set()]
        for empty in nothing:
            self.check(filled, {name: empty}, lambda _: False)

    @pytest.mark.parametrize("prefix", ["", *TASKS, "a0", "\U0010ffff\U0010ffff", "\ud7ff", "z"])
    def test_prefixes(self, filled: Storage, prefix: str) -> None:
        self.check(filled, {"taskId": prefix + "*"}, lambda t: t.taskId.startswith(prefix))

    def test_prefixes_overlap(self, filled: Storage) -> None:
        self.check(
            filled,
            {"taskId": ["a*", "a0*", "a001", "ab", "*"]},
            lambda _: True,
        )
        self.check(filled, {"userName": ["u*", "u1"], "runId": 2}, lambda t: t.runId == 2)

    def test_signs_that_others_give_a_meaning(self, tracks: Storage) -> None:
        names = ["%", "_", "a_c", "abc", "a%c", "[a]", "a?c", "\\", "'", '"', "a'; --", "a*c"]
        for name in names:
            tracks.saveUserTrack(name, 0, name, {})
        for name in names:
            self.check(tracks, {"taskId": name}, named(name))
            self.check(tracks, {"userName": name + "*"}, named(name, prefix=True))

    def test_long_lists(self, filled: Storage) -> None:
        self.check(
            filled, {"taskId": [f"x{n}" for n in range(3_000)] + ["b"]}, lambda t: t.taskId == "b"
        )
        self.check(filled, {"runId": list(range(2, 40_000))}, lambda t: t.runId > 1)
        self.check(
            filled,
            {"timeStamp": [at(n) for n in range(15, 1_500)]},
            lambda t: t.timeStamp >= at(20),
        )

    @pytest.mark.parametrize("run", [0, -1, 99, 2**62, 2**63, 10**30, [0, -5, 2**64]])
    def test_runs_that_are_not_there_match_nothing(self, filled: Storage, run: Any) -> None:
        self.check(filled, {"runId": run}, lambda _: False)

    # Time

    @pytest.mark.parametrize(
        ("lower", "upper"),
        [
            (at(20), at(60)),
            (datetime.fromtimestamp(at(20), UTC), datetime.fromtimestamp(at(60), UTC)),
            ("2007-05-01T09:28:20Z", "2007-05-01T11:29:00+02:00"),
        ],
    )
    def test_both_ends_of_a_time_are_included(
        self, filled: Storage, lower: Any, upper: Any
    ) -> None:
        def test(track: Track) -> bool:
            return at(20) <= track.timeStamp <= at(60)

        self.check(filled, {"timeFrom": lower, "timeTo": upper}, test)
        self.check(filled, {"timeFromTo": (lower, upper)}, test)
        self.check(filled, {"timeFromTo": [lower, upper]}, test)
        self.check(filled, {"timeStamp": lower}, lambda t: t.timeStamp == at(20))

    def test_half_a_pair_of_times(self, filled: Storage) -> None:
        self.check(filled, {"timeFromTo": (at(60), None)}, lambda t: t.timeStamp >= at(60))
        self.check(filled, {"timeFromTo": (None, at(60))}, lambda t: t.timeStamp <= at(60))
        self.check(filled, {"timeFromTo": (None, None)}, lambda _: True)

    def test_times_narrow_each_other(self, filled: Storage) -> None:
        self.check(
            filled,
            {"timeFromTo": (at(20), at(80)), "timeFrom": at(30), "timeTo": at(70)},
            lambda t: at(30) <= t.timeStamp <= at(70),
        )

    def test_times_out_of_range_are_no_error(self, filled: Storage) -> None:
        self.check(filled, {"timeFrom": -1e9, "timeTo": 1e12}, lambda _: True)
        self.check(filled, {"timeFrom": "0001-01-01", "timeTo": "9999-12-31"}, lambda _: True)
        for criteria in ({"timeFrom": 1e12}, {"timeTo": -1}, {"timeFromTo": (at(9), at(8))}):
            self.check(filled, criteria, lambda _: False)

    def test_microseconds_at_the_ends(self, tracks: Storage) -> None:
        for micro in range(5):
            tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=at(micro / 1_000_000))
        self.check(
            tracks,
            {"timeFrom": at(0.000001), "timeTo": at(0.000003)},
            lambda t: at(0.000001) <= t.timeStamp <= at(0.000003),
        )
        assert tracks.countTracks(timeStamp=at(0.000004)) == 1

    def test_a_date_as_the_end_is_the_whole_day(self, tracks: Storage) -> None:
        moments = ["2007-04-30T23:59:59.999999Z", "2007-05-01", "2007-05-01T23:59:59.999999Z"]
        for moment in [*moments, "2007-05-02"]:
            tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=moment)
        assert tracks.countTracks(timeTo="2007-05-01") == 3
        assert tracks.countTracks(timeFrom="2007-05-01") == 3
        assert tracks.countTracks(timeFromTo=("2007-05-01", "20070501")) == 2

    def test_times_at_the_limits(self, tracks: Storage) -> None:
        last = 2.0**33 - 0.000001
        tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=0)
        tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=last)
        assert tracks.countTracks(timeTo=0) == tracks.countTracks(timeFrom=last) == 1
        assert tracks.countTracks(timeFrom=0, timeTo=last) == 2

    # Pages

    @pytest.mark.parametrize("order", ["id", "timeStamp", "-timeStamp"])
    @pytest.mark.parametrize("size", [1, 7, 50, 100, 101])
    def test_pages_join_to_the_whole(self, filled: Storage, order: str, size: int) -> None:
        for criteria in ({}, {"userName": "u1"}, {"taskId": "a*", "timeFrom": at(20)}):
            whole = filled.query(**criteria, order=order)
            assert ids(self.pages(filled, size, order=order, **criteria)) == ids(whole)

    @staticmethod
    def pages(tracks: Storage, size: int, **criteria: Any) -> Iterator[Track]:
        after = None
        while page := tracks.query(limit=size, after=after, **criteria):
            assert len(page) <= size
            yield from page
            after = page[-1].id

    def test_limit(self, filled: Storage) -> None:
        whole = filled.query(taskId="a*")
        for limit in (0, 1, 3, len(whole), len(whole) + 1, 10**9, 2**70):
            assert filled.query(taskId="a*", limit=limit) == whole[:limit]
            assert list(filled.iterTracks(taskId="a*", limit=limit)) == whole[:limit]
            assert filled.countTracks(taskId="a*", limit=limit) == len(whole[:limit])

    @pytest.mark.parametrize("order", ["id", "timeStamp", "-timeStamp"])
    def test_counts_and_streams_of_a_page(self, filled: Storage, order: str) -> None:
        whole = filled.query(order=order)
        for position in (0, 13, 14, 98, 99):
            criteria: dict[str, Any] = {"after": whole[position].id, "order": order}
            rest = whole[position + 1 :]
            assert filled.query(**criteria) == rest
            assert filled.countTracks(**criteria) == len(rest)
            assert list(filled.iterTracks(**criteria, limit=9)) == rest[:9]
            assert filled.countTracks(**criteria, limit=9) == len(rest[:9])

    def test_a_page_after_a_track_that_does_not_meet_the_criteria(self, filled: Storage) -> None:
        after = filled.query(userName="u2", order="timeStamp")[5]
        expected = [
            track
            for track in filled.query(userName="u1", order="timeStamp")
            if (track.timeStamp, track.id) > (after.timeStamp, after.id)
        ]
        assert filled.query(userName="u1", order="timeStamp", after=after.id) == expected

    def test_a_page_after_an_id_that_is_not_there(self, filled: Storage) -> None:
        filled.removeTrack("0000050")
        assert filled.query(after="0000050")[0].id == "0000051"
        assert filled.query(after="9999999") == []
        for order in ("timeStamp", "-timeStamp"):
            with pytest.raises(InvalidValue, match=r"^after: there is no track '0000050'"):
                filled.query(after="0000050", order=order)

    # Streams

    def test_tracks_saved_during_a_stream_come_once_or_not(self, filled: Storage) -> None:
        seen = []
        for track in filled.iterTracks(userName="u1"):
            seen.append(track.id)
            if len(seen) <= 50:
                filled.saveUserTrack("a001", 0, "u1", {})
        assert seen[:25] == [f"{n:07d}" for n in range(2, 101, 4)]
        assert seen == sorted(set(seen))

    def test_tracks_removed_during_a_stream(self, filled: Storage) -> None:
        seen = []
        for track in filled.iterTracks():
            seen.append(track.id)
            filled.removeTrack(track)
        assert seen == [f"{n:07d}" for n in range(1, 101)]
        assert len(filled) == 0

    def test_tracks_that_move_during_a_stream_come_once(self, filled: Storage) -> None:
        seen = []
        for track in filled.iterTracks(order="timeStamp", taskId="a001"):
            seen.append(track.id)
            filled.saveUserTrack("a001", 0, track.userName, {}, timeStamp=at(1_000), update=True)
        assert len(seen) == len(set(seen))

    def test_a_stream_may_be_left(self, filled: Storage) -> None:
        stream = filled.iterTracks()
        assert next(stream).id == "0000001"
        del stream
        filled.saveUserTrack("a001", 0, "u1", {})
        assert filled.countTracks() == 101

    def test_streams_side_by_side(self, filled: Storage) -> None:
        pairs = list(zip(filled.iterTracks(), filled.iterTracks(order="-timeStamp"), strict=True))
        assert [one for one, _ in pairs] == filled.query()
        assert [two for _, two in pairs] == filled.query(order="-timeStamp")

    # Criteria that cannot be

    @pytest.mark.parametrize("call", ["query", "iterTracks", "countTracks"])
    def test_an_unknown_criterion_names_those_that_exist(self, tracks: Storage, call: str) -> None:
        with pytest.raises(TypeError) as info:
            getattr(tracks, call)(username="u1")
        assert info.type is UnknownCriterion
        assert str(info.value) == (
            "There is no criterion 'username'. Did you mean 'userName'? There are: taskId, runId,"
            " userName, timeStamp, timeFrom, timeTo, timeFromTo, limit, after, order."
        )

    @pytest.mark.parametrize(
        ("criteria", "kind", "words"),
        [
            ({"taskId": 7}, InvalidType, "taskId must be text, not an int"),
            ({"taskId": ["a", None]}, InvalidType, "taskId must be text, not None"),
            ({"taskId": ""}, InvalidValue, "taskId must not be empty"),
            ({"userName": "a\0*"}, InvalidValue, "userName must not hold a NUL"),
            ({"userName": ["\udc00"]}, InvalidValue, "lone surrogate"),
            ({"runId": "1"}, InvalidType, "runId must be a whole number"),
            ({"runId": True}, InvalidType, "runId must be a whole number"),
            ({"timeFrom": "yesterday"}, InvalidValue, "timeFrom must be ISO 8601 text"),
            ({"timeTo": datetime(2007, 5, 1)}, InvalidValue, "timeTo must say its time zone"),
            ({"timeStamp": float("nan")}, InvalidValue, "timeStamp must be a time in seconds"),
            ({"timeStamp": True}, InvalidType, "timeStamp must be seconds since 1970"),
            ({"timeFromTo": at(1)}, InvalidType, "timeFromTo must be a pair"),
            ({"timeFromTo": (1, 2, 3)}, InvalidType, "timeFromTo must be a pair"),
            ({"limit": -1}, InvalidValue, "limit must not be negative: -1"),
            ({"limit": "5"}, InvalidType, "limit must be a whole number"),
            ({"limit": True}, InvalidType, "limit must be a whole number"),
            ({"after": "x"}, InvalidValue, "after must be a track id like '0000001'"),
            ({"after": 1}, InvalidType, "A track id is text like '0000001', not an int"),
            ({"order": "userName"}, InvalidValue, "order must be one of id, timeStamp"),
        ],
        ids=str,
    )
    def test_criteria_that_cannot_be(
        self, tracks: Storage, criteria: dict[str, Any], kind: type[Exception], words: str
    ) -> None:
        for call in (tracks.query, tracks.iterTracks, tracks.countTracks):
            with pytest.raises(kind, match=words):
                call(**criteria)
