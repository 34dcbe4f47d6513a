"""``updateTrack`` and ``removeTrack``."""

from typing import Any

import pytest

from cybertools.tracking.errors import InvalidData, TrackNotFound
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.testing.base import BaseContract, Opener, at, ids, plain
from cybertools.tracking.track import Track

__all__ = ["ChangingContract"]

NO_TRACK = [
    "0000002",
    "0000000",
    "2",
    "1",
    "",
    "x",
    "00000001",
    "-000001",
    "1" * 30,
    "\u0660" * 6 + "\u0661",
]
"""Texts that are not the id of a track where there is one, ``'0000001'``."""


class ChangingContract(BaseContract):
    """Tracks that are there already."""

    # Updating

    @pytest.mark.parametrize("by_id", [True, False])
    def test_update_track_merges_the_data(self, tracks: Storage, by_id: bool) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": 1, "b": {"c": 1}}, timeStamp=at(1))
        track = id if by_id else tracks[id]
        assert tracks.updateTrack(track, {"b": {"d": 2}, "e": None}) == id
        assert plain(tracks[id]) == (
            id,
            "a001",
            1,
            "u1",
            at(1),
            '{"a": 1, "b": {"d": 2}, "e": null}',
        )

    @pytest.mark.parametrize("by_id", [True, False])
    def test_update_track_overwrites_the_data(self, tracks: Storage, by_id: bool) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": 1, "b": 2}, timeStamp=at(1))
        track = id if by_id else tracks[id]
        assert tracks.updateTrack(track, {"b": 3}, overwrite=True) == id
        assert plain(tracks[id]) == (id, "a001", 1, "u1", at(1), '{"b": 3}')

    def test_update_track_leaves_the_track_that_was_given(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": 1})
        before = tracks[id]
        tracks.updateTrack(before, {"a": 2})
        assert before.data == {"a": 1}
        assert tracks[id].data == {"a": 2}

    def test_update_track_merges_into_what_is_stored_now(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": 1})
        old = tracks[id]
        tracks.updateTrack(id, {"b": 2})
        tracks.updateTrack(old, {"c": 3})
        assert tracks[id].data == {"a": 1, "b": 2, "c": 3}

    def test_update_track_with_nothing(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": 1})
        tracks.updateTrack(id, {})
        assert tracks[id].data == {"a": 1}
        tracks.updateTrack(id, {}, overwrite=True)
        assert tracks[id].data == {}

    @pytest.mark.parametrize("missing", NO_TRACK)
    def test_update_of_a_track_that_is_not_there(self, tracks: Storage, missing: str) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": 1})
        with pytest.raises(KeyError, match=r"^There is no track ") as info:
            tracks.updateTrack(missing, {"a": 2})
        assert info.type is TrackNotFound
        assert tracks[id].data == {"a": 1}

    def test_update_of_a_removed_track(self, tracks: Storage) -> None:
        track = tracks[tracks.saveUserTrack("a001", 0, "u1", {})]
        tracks.removeTrack(track)
        with pytest.raises(TrackNotFound, match=r"^There is no track '0000001'\.$"):
            tracks.updateTrack(track, {"a": 2})

    @pytest.mark.parametrize(
        "wrong", [None, [], "text", {"a": {1}}, {1: "a"}, {"a": float("inf")}, {"\0": 1}]
    )
    def test_update_with_bad_data_changes_nothing(self, tracks: Storage, wrong: Any) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": 1})
        for overwrite in (False, True):
            with pytest.raises(InvalidData, match=r"^data"):
                tracks.updateTrack(id, wrong, overwrite)
        assert tracks[id].data == {"a": 1}

    def test_update_to_data_that_are_too_large(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": "x" * 600_000})
        with pytest.raises(InvalidData, match="at most 1,048,576 bytes"):
            tracks.updateTrack(id, {"b": "x" * 600_000})
        assert list(tracks[id].data) == ["a"]

    # Removing

    @pytest.mark.parametrize("by_id", [True, False])
    def test_remove_takes_a_track_out_of_everything(self, tracks: Storage, by_id: bool) -> None:
        kept = tracks.saveUserTrack("a001", 0, "u1", {"n": 1}, timeStamp=at(1))
        gone = tracks.saveUserTrack("a001", 0, "u1", {"n": 2}, timeStamp=at(2))
        tracks.removeTrack(gone if by_id else tracks[gone])
        assert gone not in tracks
        assert tracks.get(gone) is None
        assert list(tracks) == ids(tracks.values()) == ids(tracks.query()) == [kept]
        assert len(tracks) == tracks.countTracks(userName="u1") == 1
        assert ids(tracks.getUserTracks("a001", 0, "u1")) == [kept]
        last = tracks.getLastUserTrack("a001", 0, "u1")
        assert last is not None
        assert last.id == kept
        for criteria in ({"timeFrom": at(2)}, {"order": "-timeStamp", "timeFrom": at(2)}):
            assert tracks.query(**criteria) == []

    def test_remove_of_the_last_track_takes_names_with_it(self, tracks: Storage) -> None:
        one = tracks.saveUserTrack("a001", 0, "u1", {})
        two = tracks.saveUserTrack("a001", 0, "u2", {})
        three = tracks.saveUserTrack("a002", 0, "u2", {})
        tracks.removeTrack(two)
        assert tracks.getUserNames("a001") == ["u1"]
        assert tracks.getUserNames("a002") == ["u2"]
        tracks.removeTrack(one)
        assert tracks.getUserNames("a001") == []
        assert tracks.getTaskIds() == ["a002"]
        tracks.removeTrack(three)
        assert tracks.getTaskIds() == []
        assert len(tracks) == 0
        assert dict(tracks.currentRuns) == {"a001": 1, "a002": 2}

    def test_removed_ids_are_never_used_again(self, tracks: Storage) -> None:
        first, second, third = tracks.saveUserTracks(
            {"taskId": "a001", "userName": "u1", "data": {}} for _ in range(3)
        )
        tracks.removeTrack(third)
        fourth = tracks.saveUserTrack("a001", 0, "u1", {})
        tracks.removeTrack(second)
        tracks.removeTrack(fourth)
        (fifth,) = tracks.saveUserTracks([{"taskId": "a001", "userName": "u1", "data": {}}])
        assert len({first, second, third, fourth, fifth}) == 5
        assert list(tracks) == [first, fifth]

    def test_ids_go_on_when_all_tracks_were_removed(self, tracks: Storage) -> None:
        seen = set()
        for _ in range(3):
            id = tracks.saveUserTrack("a001", 0, "u1", {})
            assert id not in seen
            seen.add(id)
            tracks.removeTrack(id)

    def test_removed_ids_are_not_used_after_reopening(self, open: Opener, reopens: bool) -> None:
        if not reopens:
            pytest.skip("the engine keeps nothing when it is closed")
        with open() as tracks:
            kept, gone = (tracks.saveUserTrack("a001", 0, "u1", {}) for _ in range(2))
            tracks.removeTrack(gone)
        with open() as tracks:
            assert list(tracks) == [kept]
            assert tracks.saveUserTrack("a001", 0, "u1", {}) > gone
            assert tracks.check() == []

    @pytest.mark.parametrize("missing", NO_TRACK)
    def test_remove_of_a_track_that_is_not_there(self, tracks: Storage, missing: str) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {})
        with pytest.raises(KeyError, match=r"^There is no track "):
            tracks.removeTrack(missing)
        assert list(tracks) == [id]

    def test_remove_twice(self, tracks: Storage) -> None:
        track = tracks[tracks.saveUserTrack("a001", 0, "u1", {})]
        tracks.removeTrack(track)
        with pytest.raises(TrackNotFound, match=r"^There is no track '0000001'\.$") as info:
            tracks.removeTrack(track)
        assert info.value.trackId == "0000001"

    def test_a_track_that_was_never_stored(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"a": 1})
        stranger = Track("a001", 1, "u1", {})
        with pytest.raises(TrackNotFound):
            tracks.removeTrack(stranger)
        with pytest.raises(TrackNotFound):
            tracks.updateTrack(stranger, {})
        assert tracks[id].data == {"a": 1}

    @pytest.mark.parametrize("wrong", [None, 1, 1.0, b"0000001", ["0000001"]])
    def test_what_is_no_track_id(self, tracks: Storage, wrong: Any) -> None:
        tracks.saveUserTrack("a001", 0, "u1", {})
        with pytest.raises(TypeError, match=r"^A track id is text like '0000001', not "):
            tracks.removeTrack(wrong)
        with pytest.raises(TypeError, match=r"^A track id is text like '0000001', not "):
            tracks.updateTrack(wrong, {})
        assert len(tracks) == 1
