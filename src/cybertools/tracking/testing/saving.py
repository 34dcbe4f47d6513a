"""``saveUserTrack``: ids, runs, time stamps, replacing and updating, keys."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from cybertools.tracking.errors import InvalidData, InvalidRun, InvalidValue
from cybertools.tracking.interfaces import Saved, Storage
from cybertools.tracking.testing.base import BaseContract, at, ids, plain
from cybertools.tracking.values import now

__all__ = ["SavingContract"]


class SavingContract(BaseContract):
    """One track at a time."""

    # Ids and metadata

    def test_save_gives_ids_in_order_of_saving(self, tracks: Storage) -> None:
        given = [
            tracks.saveUserTrack(task, 0, user, {}, timeStamp=at(-i))
            for i, (task, user) in enumerate([("b", "u2"), ("a", "u1"), ("b", "u1")])
        ]
        assert given == ["0000001", "0000002", "0000003"]

    def test_save_keeps_all_that_it_is_given(self, tracks: Storage) -> None:
        run = tracks.startRun("a001")
        id = tracks.saveUserTrack("a001", run, "u1", {"k1": "value1"}, timeStamp=at(0.25))
        assert plain(tracks[id]) == (id, "a001", run, "u1", at(0.25), '{"k1": "value1"}')
        assert tracks[id].metadata == {
            "taskId": "a001",
            "runId": run,
            "userName": "u1",
            "timeStamp": at(0.25),
        }

    def test_save_without_a_time_stamp_takes_the_present(self, tracks: Storage) -> None:
        before = now()
        track = tracks[tracks.saveUserTrack("a001", 0, "u1", {})]
        assert before <= track.timeStamp <= now()

    @pytest.mark.parametrize(
        ("given", "seconds"),
        [
            (1178011680, 1178011680.0),
            (1178011680.123456, 1178011680.123456),
            (1178011680.1234564, 1178011680.123456),
            (0, 0.0),
            (8589934591.999999, 8589934591.999999),
            (datetime(2007, 5, 1, 9, 28, 0, 123456, UTC), 1178011680.123456),
            (datetime(2007, 5, 1, 11, 28, tzinfo=timezone(timedelta(hours=2))), 1178011680.0),
            ("2007-05-01T09:28:00Z", 1178011680.0),
            ("2007-05-01T11:28:00.5+02:00", 1178011680.5),
            ("2007-05-01 09:28", 1178011680.0),
            ("2007-05-01", 1177977600.0),
        ],
    )
    def test_time_stamps_in_all_their_forms(
        self, tracks: Storage, given: Any, seconds: float
    ) -> None:
        track = tracks[tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=given)]
        assert track.timeStamp == seconds
        assert isinstance(track.timeStamp, float)

    def test_repr_of_a_track(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"k1": "value1"}, timeStamp=at(59.9))
        assert repr(tracks[id]) == (
            "<Track ['a001', 1, 'u1', '2007-05-01 09:28']: {'k1': 'value1'}>"
        )

    # Runs

    @pytest.mark.parametrize("current", [0, None])
    def test_save_starts_a_run_where_the_task_has_none(
        self, tracks: Storage, current: int | None
    ) -> None:
        first = tracks[tracks.saveUserTrack("a001", current, "u1", {})]
        again = tracks[tracks.saveUserTrack("a001", current, "u2", {})]
        other = tracks[tracks.saveUserTrack("a002", current, "u1", {})]
        assert [first.runId, again.runId, other.runId] == [1, 1, 2]
        assert dict(tracks.currentRuns) == {"a001": 1, "a002": 2}

    def test_save_into_an_older_run_leaves_the_current_one(self, tracks: Storage) -> None:
        older, newer = tracks.startRun("a001"), tracks.startRun("a001")
        assert tracks[tracks.saveUserTrack("a001", older, "u1", {})].runId == older
        assert tracks[tracks.saveUserTrack("a001", 0, "u1", {})].runId == newer

    def test_save_after_the_run_was_stopped_starts_another(self, tracks: Storage) -> None:
        tracks.saveUserTrack("a001", 0, "u1", {})
        tracks.stopRun("a001")
        assert tracks[tracks.saveUserTrack("a001", 0, "u1", {})].runId == 2

    def test_a_run_without_a_task_takes_tracks_of_any(self, tracks: Storage) -> None:
        run = tracks.startRun()
        for task in ("a001", "a002"):
            assert tracks[tracks.saveUserTrack(task, run, "u1", {})].runId == run
        assert dict(tracks.currentRuns) == {}

    @pytest.mark.parametrize("unknown", [7, -1, 2**62, 2**63, 10**30])
    @pytest.mark.parametrize("how", [{}, {"replace": True}, {"update": True}, {"key": "k"}])
    def test_save_into_an_unknown_run(
        self, tracks: Storage, unknown: int, how: dict[str, Any]
    ) -> None:
        with pytest.raises(ValueError, match=f"^{re.escape(f'Invalid run: {unknown}.')}$") as info:
            tracks.saveUserTrack("a001", unknown, "u1", {}, **how)
        assert info.type is InvalidRun
        assert len(tracks) == len(tracks.runs) == 0
        if "key" in how:  # it is not spent
            assert tracks.save("a001", 0, "u1", {}, key="k").outcome == "stored"

    # Replacing

    def test_replace_takes_the_place_of_the_last_track(self, tracks: Storage) -> None:
        first = tracks.saveUserTrack("a001", 0, "u1", {"n": 1}, timeStamp=at(1))
        last = tracks.saveUserTrack("a001", 0, "u1", {"n": 2, "old": 1}, timeStamp=at(2))
        got = tracks.saveUserTrack("a001", 0, "u1", {"n": 3}, replace=True, timeStamp=at(3))
        assert got == last
        assert plain(tracks[last]) == (last, "a001", 1, "u1", at(3), '{"n": 3}')
        assert ids(tracks.query()) == [first, last]

    def test_replace_gives_a_new_time_stamp_by_itself(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=at(1))
        before = now()
        tracks.saveUserTrack("a001", 0, "u1", {}, replace=True)
        assert before <= tracks[id].timeStamp <= now()

    def test_replace_takes_the_highest_time_stamp_not_the_highest_id(self, tracks: Storage) -> None:
        newest = tracks.saveUserTrack("a001", 0, "u1", {"n": 1}, timeStamp=at(9))
        tracks.saveUserTrack("a001", 0, "u1", {"n": 2}, timeStamp=at(1))
        assert tracks.saveUserTrack("a001", 0, "u1", {}, replace=True, timeStamp=at(9)) == newest

    def test_replace_can_make_it_the_first(self, tracks: Storage) -> None:
        one = tracks.saveUserTrack("a001", 0, "u1", {"n": 1}, timeStamp=at(1))
        two = tracks.saveUserTrack("a001", 0, "u1", {"n": 2}, timeStamp=at(2))
        tracks.saveUserTrack("a001", 0, "u1", {"n": 3}, replace=True, timeStamp=at(0))
        assert ids(tracks.getUserTracks("a001", 0, "u1")) == [two, one]
        last = tracks.getLastUserTrack("a001", 0, "u1")
        assert last is not None
        assert last.id == one

    def test_replace_where_there_is_none_stores_a_new_one(self, tracks: Storage) -> None:
        one = tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=at(1))
        two = tracks.saveUserTrack("a001", 0, "u2", {}, replace=True, timeStamp=at(1))
        three = tracks.saveUserTrack("a002", 0, "u1", {}, replace=True, timeStamp=at(1))
        run = tracks.startRun("a001")
        four = tracks.saveUserTrack("a001", 0, "u1", {}, replace=True, timeStamp=at(1))
        assert ids(tracks.query()) == [one, two, three, four]
        assert tracks[four].runId == run

    # Updating

    def test_update_merges_the_data_and_keeps_the_time(self, tracks: Storage) -> None:
        first = tracks.saveUserTrack("a001", 0, "u1", {"a": 0}, timeStamp=at(1))
        last = tracks.saveUserTrack("a001", 0, "u1", {"a": 1, "b": [1]}, timeStamp=at(2))
        got = tracks.saveUserTrack("a001", 0, "u1", {"b": 2, "c": 3}, update=True)
        assert got == last
        assert plain(tracks[last])[4:] == (at(2), '{"a": 1, "b": 2, "c": 3}')
        assert tracks[first].data == {"a": 0}

    def test_update_with_a_time_stamp_moves_the_track(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": 1}, timeStamp=at(2))
        tracks.saveUserTrack("a001", 0, "u1", {"b": 2}, update=True, timeStamp=at(5))
        assert plain(tracks[id])[4:] == (at(5), '{"a": 1, "b": 2}')
        assert ids(tracks.query(timeFrom=at(5))) == [id]
        assert tracks.query(timeTo=at(4)) == []

    def test_overwrite_puts_the_data_in_the_place_of_the_old(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": 1, "b": 1}, timeStamp=at(2))
        got = tracks.saveUserTrack("a001", 0, "u1", {"b": 2}, update=True, overwrite=True)
        assert got == id
        assert plain(tracks[id])[4:] == (at(2), '{"b": 2}')

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_update_where_there_is_none_stores_a_new_one(
        self, tracks: Storage, overwrite: bool
    ) -> None:
        tracks.saveUserTrack("a001", 0, "u1", {"a": 1}, timeStamp=at(1))
        id = tracks.saveUserTrack(
            "a001", 0, "u2", {"b": 2}, update=True, overwrite=overwrite, timeStamp=at(3)
        )
        assert plain(tracks[id]) == ("0000002", "a001", 1, "u2", at(3), '{"b": 2}')

    def test_update_to_data_that_are_too_large_changes_nothing(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": "x" * 600_000}, timeStamp=at(1))
        with pytest.raises(InvalidData, match="at most 1,048,576 bytes"):
            tracks.saveUserTrack("a001", 0, "u1", {"b": "y" * 600_000}, update=True, key="k")
        assert list(tracks[id].data) == ["a"]
        assert tracks.save("a001", 0, "u1", {}, key="k").outcome == "stored"

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ({"replace": True, "update": True}, "replace=True cannot be combined"),
            ({"replace": True, "overwrite": True}, "replace=True cannot be combined"),
            ({"overwrite": True}, "overwrite=True needs update=True"),
        ],
    )
    def test_ways_of_saving_that_exclude_each_other(
        self, tracks: Storage, how: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(InvalidValue, match=words):
            tracks.saveUserTrack("a001", 0, "u1", {}, **how)
        assert len(tracks) == len(tracks.runs) == 0

    # Keys

    def test_the_same_key_stores_nothing_and_returns_the_first_id(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"n": 1}, timeStamp=at(1), key="k")
        kept = plain(tracks[id])
        for again in (("a001", 0, "u1"), ("a002", 0, "u1"), ("a001", 99, "u1")):
            assert tracks.saveUserTrack(*again, {"n": 2}, timeStamp=at(2), key="k") == id
        assert [plain(track) for track in tracks.query()] == [kept]
        assert list(tracks.runs) == [1]

    def test_a_key_of_another_user(self, tracks: Storage, keys_of_users: bool) -> None:
        tracks.saveUserTrack("a001", 0, "u1", {}, key="k")
        expected = Saved(2, "stored") if keys_of_users else Saved(1, "duplicate")
        assert tracks.save("a001", 0, "u2", {}, key="k") == expected
        assert tracks.save("a001", 0, "u2", {}, key="k") == Saved(expected.number, "duplicate")
        assert tracks.save("a001", 0, "u1", {}, key="k") == Saved(1, "duplicate")

    def test_keys_are_texts_of_their_own(self, tracks: Storage) -> None:
        keys = ["k", "K", "k ", " k", "ü", "u\u0308", "k\n"]
        given = [tracks.saveUserTrack("a001", 0, "u1", {}, key=key) for key in keys]
        assert len(set(given)) == len(keys)

    def test_a_key_stays_spent_when_its_track_was_removed(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {}, key="k")
        tracks.removeTrack(id)
        assert tracks.saveUserTrack("a001", 0, "u1", {}, key="k") == id
        assert len(tracks) == 0

    @pytest.mark.parametrize("how", ["replace", "update"])
    def test_a_change_with_a_key_happens_once(self, tracks: Storage, how: str) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"n": 1}, timeStamp=at(1))
        change: dict[str, Any] = {how: True, "key": "k"}
        assert tracks.saveUserTrack("a001", 0, "u1", {"n": 2}, timeStamp=at(2), **change) == id
        assert tracks.saveUserTrack("a001", 0, "u1", {"n": 3}, timeStamp=at(3), **change) == id
        assert plain(tracks[id])[4:] == (at(2), '{"n": 2}')
        assert tracks.saveUserTrack("a001", 0, "u1", {"n": 4}, key="k") == id
        assert len(tracks) == 1

    @pytest.mark.parametrize("how", ["replace", "update"])
    def test_a_key_of_a_new_track_is_spent_for_a_change_as_well(
        self, tracks: Storage, how: str
    ) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"n": 1}, key="k")
        other = tracks.saveUserTrack("a001", 0, "u1", {"n": 2})
        change: dict[str, Any] = {how: True, "key": "k"}
        assert tracks.saveUserTrack("a001", 0, "u1", {"n": 3}, **change) == id
        assert [tracks[id].data, tracks[other].data] == [{"n": 1}, {"n": 2}]

    def test_save_tells_what_became_of_it(self, tracks: Storage) -> None:
        def save(user: str = "u1", **how: Any) -> Saved:
            return tracks.save("a001", 0, user, {}, timeStamp=at(1), **how)

        assert save(key="k") == Saved(1, "stored")
        assert save(key="k") == Saved(1, "duplicate")
        assert save() == Saved(2, "stored")
        assert save(replace=True) == Saved(2, "replaced")
        assert save(update=True) == Saved(2, "updated")
        assert save(update=True, overwrite=True) == Saved(2, "updated")
        assert save("u2", replace=True) == Saved(3, "stored")
        assert save("u3", update=True, key="l") == Saved(4, "stored")
        assert save("u3", update=True, key="l") == Saved(4, "duplicate")
