"""Contents as they are stored, given out by one engine and taken in by another."""

from typing import Any

import pytest

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import InvalidRun, InvalidValue, StorageError, Unsupported
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.testing.base import BaseContract, Opener, at, ids
from cybertools.tracking.track import Row, RunRow

__all__ = ["MovingContract"]

RUNS = [
    RunRow(2, "a", None, at(0), at(5), True, False),
    RunRow(3, "a", "a label", at(1), at(2), False, False),
    RunRow(5, "a", None, at(2), None, False, True),
    RunRow(6, None, None, at(3), None, False, False),
    RunRow(9, "b", "a label", at(4), None, False, True),
]
ROWS: list[Row] = [
    (2, "a", 5, "u1", at(9), '{"n":1}'),
    (3, "b", 9, "u2", at(-7), '{"n":1.0,"text":"\\u0000"}'),
    (7, "c", 6, "u1", at(9), "{}"),
]
KEYS = [("a", 7), ("b", 4), ("ä", 2)]


class MovingContract(BaseContract):
    """What an engine gives out is what was put into it."""

    @pytest.fixture
    def moved(self, tracks: Storage) -> Storage:
        """A storage that contents were put into."""
        try:
            tracks.engine.put_runs(RUNS)
        except Unsupported:
            pytest.skip("the engine takes no contents in")
        tracks.engine.put_tracks(ROWS)
        tracks.engine.put_keys(KEYS)
        return tracks

    @pytest.fixture
    def giving(self, tracks: Storage) -> Storage:
        """A storage that gives its contents out."""
        try:
            tracks.engine.highest()
        except Unsupported:
            pytest.skip("the engine gives no contents out")
        return tracks

    def test_an_empty_storage_has_no_contents(self, giving: Storage) -> None:
        tracks = giving
        assert list(tracks.engine.run_rows()) == []
        assert list(tracks.engine.spent_keys()) == []
        assert tracks.engine.highest() == 0

    def test_contents_are_given_out(self, giving: Storage) -> None:
        tracks = giving
        tracks.saveUserTrack("b", 0, "u", {}, timeStamp=at(0), key="ä")
        tracks.saveUserTrack("a", 0, "u", {}, timeStamp=at(0), key="b")
        tracks.removeTrack("0000002")
        other = tracks.openRun("b", "label")
        runs = list(tracks.engine.run_rows())
        assert [run[:3] for run in runs] == [(1, "b", None), (2, "a", None), (other, "b", "label")]
        assert [run.isCurrent for run in runs] == [True, True, False]
        assert runs[0].startedAt > at(0)
        tracks.stopRun("b")
        (stopped, _, _) = tracks.engine.run_rows()
        assert stopped == runs[0]._replace(
            stoppedAt=stopped.stoppedAt, finished=True, isCurrent=False
        )
        assert stopped.stoppedAt is not None
        assert list(tracks.engine.spent_keys()) == [("b", 2), ("ä", 1)]
        assert tracks.engine.highest() == 2

    def test_contents_come_back_as_they_were_put(self, moved: Storage) -> None:
        assert list(moved.engine.run_rows()) == RUNS
        assert moved.engine.select(Criteria()) == ROWS
        assert list(moved.engine.spent_keys()) == KEYS
        assert moved.engine.highest() == 7

    def test_contents_are_found(self, moved: Storage) -> None:
        assert ids(moved.query(userName="u1")) == ["0000002", "0000007"]
        assert moved.getUserNames("b") == ["u2"]
        assert moved.getTaskIds() == ["a", "b", "c"]
        assert moved.currentRuns == {"a": 5, "b": 9}
        assert list(moved.finishedRuns) == [2]
        last = moved.getLastUserTrack("a", 0, "u1")
        assert last is not None
        assert last.id == "0000002"
        assert moved.runs[9][2:4] == (at(-7), at(-7))
        assert moved.openRun("b", "a label") == 9
        assert moved.save("a", 0, "u1", {}, key="b") == (4, "duplicate")

    def test_ids_go_on_after_what_was_put(self, moved: Storage) -> None:
        assert moved.saveUserTrack("d", 0, "u1", {}) == "0000008"
        assert moved.currentRuns["d"] == 10

    def test_retired_numbers_are_not_given(self, tracks: Storage) -> None:
        for number, given in ((0, 1), (1, 2), (9, 10), (3, 11)):
            try:
                tracks.engine.retire(number)
            except Unsupported:
                pytest.skip("the engine takes no contents in")
            assert tracks.saveUserTrack("a", 0, "u", {}) == f"{given:07d}"
        assert tracks.engine.highest() == 11

    def test_runs_that_are_there_are_brought_up_to_date(self, moved: Storage) -> None:
        changed = [
            RUNS[1]._replace(stoppedAt=at(7), finished=True),
            RUNS[2]._replace(stoppedAt=at(8), isCurrent=False),
            RunRow(11, "a", None, at(9), None, False, True),
        ]
        moved.engine.put_runs(changed)
        assert list(moved.engine.run_rows()) == [RUNS[0], *changed[:2], *RUNS[3:], changed[2]]
        assert moved.currentRuns == {"a": 11, "b": 9}
        assert list(moved.finishedRuns) == [2, 3]

    def test_a_run_becomes_the_current_one(self, moved: Storage) -> None:
        moved.engine.put_runs([RunRow(12, "a", None, at(9), None, False, True)])
        assert moved.currentRuns["a"] == 12

    @pytest.mark.parametrize(
        "other",
        [
            RunRow(2, "b", None, at(9), None, False, True),
            RunRow(2, "a", "another", at(9), None, False, True),
            RunRow(12, "a", "a label", at(9), None, False, False),
        ],
    )
    def test_a_run_does_not_take_the_place_of_another(self, moved: Storage, other: RunRow) -> None:
        before = list(moved.engine.run_rows()), dict(moved.currentRuns)
        with pytest.raises(InvalidValue, match="already"):
            moved.engine.put_runs([other])
        assert (list(moved.engine.run_rows()), dict(moved.currentRuns)) == before

    def test_keys_are_spent_once(self, moved: Storage) -> None:
        moved.engine.put_keys([("a", 1), ("c", 3)])
        assert dict(moved.engine.spent_keys()) == {**dict(KEYS), "c": 3}

    @pytest.mark.parametrize(
        ("row", "error"),
        [
            ((3, "a", 5, "u", at(0), "{}"), StorageError),
            ((9, "a", 4, "u", at(0), "{}"), InvalidRun),
        ],
    )
    def test_tracks_that_cannot_be_put(
        self, moved: Storage, row: Row, error: type[Exception]
    ) -> None:
        fits: Any = (8, "a", 5, "u", at(0), "{}")
        with pytest.raises(error):
            moved.engine.put_tracks([fits, row])
        assert moved.engine.select(Criteria()) == ROWS
        assert moved.check() == []

    def test_storages_are_told_apart(self, open: Opener, reopens: bool) -> None:
        with open("one") as one, open("other") as other, open("one") as again:
            assert one.engine.place() != other.engine.place()
            assert (one.engine.place() == again.engine.place()) is reopens
