"""What is read by task, run and user: ``getUserTracks``, ``getLastUserTrack``, the names."""

from typing import Any

import pytest

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.testing.base import BaseContract, at, ids
from cybertools.tracking.track import Track

__all__ = ["ReadingContract"]

UNICODE = ["Z", "a", "zz", "ä", "\uff5a", "😀", "\U0010ffff"]
"""Texts in order of their code points, which is neither UTF-16's nor a language's."""


class ReadingContract(BaseContract):
    """Tracks of a user, the last of them, names of users and tasks."""

    # A user's tracks

    def test_user_tracks_come_oldest_first(self, tracks: Storage) -> None:
        b, a, d, c = (
            tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=at(n)) for n in (2, 1, 4, 3)
        )
        assert ids(tracks.getUserTracks("a001", 0, "u1")) == [a, b, c, d]

    def test_user_tracks_of_one_time_come_in_order_of_ids(self, tracks: Storage) -> None:
        given = [tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=at(1)) for _ in range(12)]
        assert ids(tracks.getUserTracks("a001", 0, "u1")) == given

    def test_user_tracks_are_those_of_task_run_and_user(self, tracks: Storage) -> None:
        wanted = tracks.saveUserTrack("a001", 0, "u1", {})
        tracks.saveUserTrack("a001", 0, "u2", {})
        tracks.saveUserTrack("a002", 0, "u1", {})
        newer = tracks.startRun("a001")
        later = tracks.saveUserTrack("a001", 0, "u1", {})
        assert ids(tracks.getUserTracks("a001", 1, "u1")) == [wanted]
        assert ids(tracks.getUserTracks("a001", newer, "u1")) == [later]
        assert ids(tracks.getUserTracks("a001", 0, "u1")) == [later]
        assert ids(tracks.getUserTracks("a001", None, "u1")) == [later]

    def test_names_that_begin_alike_are_apart(self, tracks: Storage) -> None:
        for task, user in [("a", "bc"), ("ab", "c"), ("a", "b"), ("a*", "b"), ("A", "b")]:
            tracks.saveUserTrack(task, 0, user, {"of": [task, user]})
        for task, user in [("a", "bc"), ("ab", "c"), ("a", "b"), ("a*", "b"), ("A", "b")]:
            (track,) = tracks.getUserTracks(task, 0, user)
            assert track.data == {"of": [task, user]}

    def test_a_name_that_ends_with_a_star_is_no_prefix(self, tracks: Storage) -> None:
        saved = tracks.saveUserTrack("a", 0, "b*", {})
        tracks.saveUserTrack("a", 0, "bc", {})
        run = tracks.currentRuns["a"]
        assert tracks.getUserTracks("a*", run, "bc") == []
        assert [track.id for track in tracks.getUserTracks("a", run, "b*")] == [saved]
        assert tracks.getLastUserTrack("a*", run, "bc") is None

    @pytest.mark.parametrize("run", [0, None, 1, 2, 99, 2**62])
    def test_no_user_tracks_is_an_empty_list(self, tracks: Storage, run: int | None) -> None:
        tracks.saveUserTrack("a001", 0, "u1", {})
        tracks.stopRun("a001")
        assert tracks.getUserTracks("a002", run, "u1") == []
        assert tracks.getUserTracks("a001", run, "u2") == []
        expected = ["0000001"] if run == 1 else []
        assert ids(tracks.getUserTracks("a001", run, "u1")) == expected

    def test_reading_starts_no_run(self, tracks: Storage) -> None:
        assert tracks.getUserTracks("a001", 0, "u1") == []
        assert tracks.getLastUserTrack("a001", 0, "u1") is None
        assert tracks.getUserNames("a001") == []
        assert tracks.query(taskId="a001") == []
        assert len(tracks.runs) == 0

    # The last track

    def test_the_last_track_has_the_highest_time_stamp(self, tracks: Storage) -> None:
        tracks.saveUserTrack("a001", 0, "u1", {"n": 1}, timeStamp=at(1))
        tracks.saveUserTrack("a001", 0, "u1", {"n": 2}, timeStamp=at(3))
        tracks.saveUserTrack("a001", 0, "u1", {"n": 3}, timeStamp=at(2))
        assert self.last(tracks).data == {"n": 2}

    def test_the_last_track_among_equal_times_has_the_highest_id(self, tracks: Storage) -> None:
        for n in range(12):
            tracks.saveUserTrack("a001", 0, "u1", {"n": n}, timeStamp=at(3))
        tracks.saveUserTrack("a001", 0, "u1", {"n": 12}, timeStamp=at(2))
        assert self.last(tracks).data == {"n": 11}

    def test_a_microsecond_makes_the_last_track(self, tracks: Storage) -> None:
        tracks.saveUserTrack("a001", 0, "u1", {"n": 1}, timeStamp=at(0.000002))
        tracks.saveUserTrack("a001", 0, "u1", {"n": 2}, timeStamp=at(0.000001))
        assert self.last(tracks).data == {"n": 1}

    def test_the_last_track_of_each_user_and_run(self, tracks: Storage) -> None:
        one = tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=at(1))
        two = tracks.saveUserTrack("a001", 0, "u2", {}, timeStamp=at(2))
        newer = tracks.startRun("a001")
        assert tracks.getLastUserTrack("a001", 0, "u1") is None
        three = tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=at(0))
        assert self.last(tracks, run=1).id == one
        assert self.last(tracks, run=1, user="u2").id == two
        assert self.last(tracks, run=newer).id == self.last(tracks, run=None).id == three
        for task, run, user in [("a001", 99, "u1"), ("a002", 1, "u1"), ("a001", newer, "u2")]:
            assert tracks.getLastUserTrack(task, run, user) is None

    def test_no_last_track_after_the_run_was_stopped(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {})
        tracks.stopRun("a001")
        assert tracks.getLastUserTrack("a001", 0, "u1") is None
        assert self.last(tracks, run=1).id == id

    def test_the_last_track_when_tracks_are_removed(self, tracks: Storage) -> None:
        given = [tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=at(n)) for n in range(4)]
        while given:
            assert self.last(tracks).id == given[-1]
            tracks.removeTrack(given.pop())
        assert tracks.getLastUserTrack("a001", 0, "u1") is None

    @staticmethod
    def last(tracks: Storage, run: int | None = 0, user: str = "u1") -> Track:
        track = tracks.getLastUserTrack("a001", run, user)
        assert track is not None
        return track

    # Names

    def test_names_are_sorted_and_each_comes_once(self, tracks: Storage) -> None:
        for task, user in [("b", "u2"), ("a", "u3"), ("b", "u1"), ("b", "u2"), ("a", "u3")]:
            tracks.saveUserTrack(task, 0, user, {})
        tracks.startRun("b")
        tracks.saveUserTrack("b", 0, "u2", {})
        assert tracks.getTaskIds() == ["a", "b"]
        assert tracks.getUserNames("a") == ["u3"]
        assert tracks.getUserNames("b") == ["u1", "u2"]
        assert tracks.getUserNames("c") == []

    def test_names_are_sorted_by_code_point(self, tracks: Storage) -> None:
        tracks.saveUserTracks(
            {"taskId": task, "userName": user, "data": {}}
            for task in reversed(UNICODE)
            for user in reversed(UNICODE)
        )
        assert tracks.getTaskIds() == UNICODE
        assert tracks.getUserNames("ä") == UNICODE

    def test_tasks_without_tracks_are_not_among_the_task_ids(self, tracks: Storage) -> None:
        tracks.startRun("a001")
        tracks.openRun("a002", "label")
        assert tracks.getTaskIds() == []

    def test_many_names(self, tracks: Storage) -> None:
        tracks.saveUserTracks(
            {"taskId": f"t{n % 60:02d}", "userName": f"u{n:04d}", "data": {}} for n in range(1_200)
        )
        assert tracks.getTaskIds() == [f"t{n:02d}" for n in range(60)]
        assert tracks.getUserNames("t07") == [f"u{n:04d}" for n in range(7, 1_200, 60)]

    # Arguments

    @pytest.mark.parametrize(
        ("wrong", "kind", "words"),
        [
            ("", ValueError, "must not be empty"),
            ("a\0b", ValueError, "must not hold a NUL character"),
            ("\ud800", ValueError, "lone surrogate"),
            ("x" * 1001, ValueError, "at most 1,000 bytes, not 1,001"),
            (None, TypeError, "must be text, not None"),
            (7, TypeError, "must be text, not an int"),
        ],
    )
    def test_names_that_cannot_be(
        self, tracks: Storage, wrong: Any, kind: type[Exception], words: str
    ) -> None:
        for read in (tracks.getUserTracks, tracks.getLastUserTrack):
            with pytest.raises(kind, match=f"^taskId .*{words}"):
                read(wrong, 0, "u1")
            with pytest.raises(kind, match=f"^userName .*{words}"):
                read("a001", 0, wrong)
        with pytest.raises(kind, match=f"^taskId .*{words}"):
            tracks.getUserNames(wrong)

    @pytest.mark.parametrize("wrong", ["1", 1.0, True, [1]])
    def test_runs_that_cannot_be(self, tracks: Storage, wrong: Any) -> None:
        for read in (tracks.getUserTracks, tracks.getLastUserTrack):
            with pytest.raises(TypeError, match=r"^runId must be a whole number, not "):
                read("a001", wrong, "u1")
