"""A storage as a mapping of ids to tracks."""

from collections.abc import ItemsView, KeysView, Mapping, MutableMapping, ValuesView
from typing import Any

import pytest

from cybertools.tracking.errors import TrackNotFound
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.testing.base import BaseContract, Opener, at
from cybertools.tracking.track import Track

__all__ = ["MappingContract"]


class MappingContract(BaseContract):
    """The mapping protocol, and tracks as values."""

    @pytest.fixture
    def three(self, tracks: Storage) -> Storage:
        """A storage with the tracks 1, 2, 4: saved in that order, not in that of time."""
        for n in range(1, 5):
            tracks.saveUserTrack(f"a{n}", 0, "u1", {"n": n}, timeStamp=at(-n))
        tracks.removeTrack("0000003")
        return tracks

    def test_an_empty_storage(self, tracks: Storage) -> None:
        assert len(tracks) == 0
        assert not tracks
        assert list(tracks) == list(tracks.keys()) == list(tracks.values()) == []
        assert list(tracks.items()) == list(tracks.iterTracks()) == tracks.query() == []
        assert tracks.countTracks() == 0

    def test_the_mapping_in_order_of_ids(self, three: Storage) -> None:
        wanted = ["0000001", "0000002", "0000004"]
        assert isinstance(three, Mapping)
        assert len(three) == 3
        assert three
        assert list(three) == list(three.keys()) == wanted
        assert [track.data["n"] for track in three.values()] == [1, 2, 4]
        assert [(id, track.id) for id, track in three.items()] == [(id, id) for id in wanted]
        assert dict(three) == {id: three[id] for id in wanted}

    def test_the_views(self, three: Storage) -> None:
        track = three["0000002"]
        assert isinstance(three.keys(), KeysView)
        assert isinstance(three.values(), ValuesView)
        assert isinstance(three.items(), ItemsView)
        assert len(three.keys()) == len(three.values()) == len(three.items()) == 3
        assert "0000002" in three.keys()  # noqa: SIM118
        assert track in three.values()
        assert ("0000002", track) in three.items()
        assert ("0000001", track) not in three.items()
        assert ("0000003", track) not in three.items()

    def test_the_views_are_live(self, three: Storage) -> None:
        keys, values, items = three.keys(), three.values(), three.items()
        three.removeTrack("0000001")
        assert list(keys) == [track.id for track in values] == [id for id, _ in items]
        assert list(keys) == ["0000002", "0000004"]

    def test_looking_a_track_up(self, three: Storage) -> None:
        track = three["0000004"]
        assert isinstance(track, Track)
        assert (track.id, track.number, track.data) == ("0000004", 4, {"n": 4})
        assert three.get("0000004") == track
        assert "0000004" in three

    @pytest.mark.parametrize(
        "missing",
        ["0000003", "0000005", "4", "", "x", "00000004", "9" * 40, "-000004", None, 4, 4.0, ()],
    )
    def test_looking_up_what_is_not_there(self, three: Storage, missing: Any) -> None:
        assert missing not in three
        assert three.get(missing) is None
        assert three.get(missing, "other") == "other"
        with pytest.raises(KeyError) as info:
            three[missing]
        assert info.type is TrackNotFound
        assert str(info.value) == f"There is no track {missing!r}."

    def test_the_mapping_cannot_be_written(self, three: Storage) -> None:
        writable: Any = three
        assert not isinstance(three, MutableMapping)
        with pytest.raises(TypeError):
            writable["0000001"] = three["0000002"]
        with pytest.raises(TypeError):
            del writable["0000001"]
        assert three["0000001"].data == {"n": 1}

    def test_a_storage_equals_itself_only(self, open: Opener, tracks: Storage) -> None:
        with open("others") as others:
            assert tracks == tracks  # noqa: PLR0124
            assert tracks != others
            assert len({tracks, others}) == 2

    def test_iterating_while_others_remove(self, three: Storage) -> None:
        seen = []
        for id in three:
            seen.append(id)
            three.removeTrack(id)
        assert seen == ["0000001", "0000002", "0000004"]
        assert len(three) == 0

    def test_many_tracks(self, tracks: Storage) -> None:
        given = tracks.saveUserTracks(
            {"taskId": "a001", "userName": "u1", "data": {"n": n}} for n in range(2_500)
        )
        assert list(tracks) == [id for id, _ in tracks.items()] == given
        assert [track.data["n"] for track in tracks.values()] == list(range(2_500))
        assert len(tracks) == 2_500

    # Tracks as values

    def test_tracks_are_equal_by_value(self, three: Storage) -> None:
        track = three["0000001"]
        assert track is not three["0000001"]
        assert track == three["0000001"] == three.query(taskId="a1")[0]
        assert hash(track) == hash(three["0000001"])
        assert track != three["0000002"]
        three.updateTrack(track, {"n": 9})
        assert track != three["0000001"]

    def test_changing_a_track_changes_nothing_stored(self, three: Storage) -> None:
        track = three["0000001"]
        track.data["n"] = 9
        track.data["more"] = [1]
        track.metadata["userName"] = "u9"
        assert three["0000001"].data == {"n": 1}
        assert three["0000001"].userName == "u1"
        assert three.query(taskId="a1")[0].data == {"n": 1}

    @pytest.mark.parametrize("name", ["taskId", "runId", "userName", "timeStamp", "data", "id"])
    def test_a_track_cannot_be_written(self, three: Storage, name: str) -> None:
        track = three["0000001"]
        with pytest.raises(AttributeError, match=r"^A track is immutable"):
            setattr(track, name, None)
        with pytest.raises(AttributeError, match=r"^A track is immutable"):
            delattr(track, name)

    def test_changing_what_was_saved_changes_nothing_stored(self, tracks: Storage) -> None:
        data: dict[str, Any] = {"a": [1, {"b": 2}]}
        one = tracks.saveUserTrack("a001", 0, "u1", data)
        (two,) = tracks.saveUserTracks([{"taskId": "a001", "userName": "u1", "data": data}])
        three = tracks.saveUserTrack("a001", 0, "u2", {})
        tracks.updateTrack(three, data)
        data["a"][1]["b"] = 3
        data["c"] = 4
        assert [tracks[id].data for id in (one, two, three)] == [{"a": [1, {"b": 2}]}] * 3
