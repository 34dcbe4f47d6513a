"""``saveUserTracks``: all or nothing, whole batches, keys."""

from collections.abc import Iterator
from typing import Any

import pytest

from cybertools.tracking.errors import InvalidRun, InvalidType, InvalidValue
from cybertools.tracking.interfaces import Receipt, Storage
from cybertools.tracking.testing.base import BaseContract, Opener, at, ids, plain
from cybertools.tracking.track import Track

__all__ = ["BulkContract"]


def item(number: int, **more: Any) -> dict[str, Any]:
    """The arguments of a track to save."""
    return {
        "taskId": f"a{number % 3}",
        "userName": f"u{number % 5}",
        "data": {"n": number},
        "timeStamp": at(number),
        **more,
    }


class SourceFailed(Exception):
    """What the iterable raises."""


class BulkContract(BaseContract):
    """Many tracks in one call."""

    def test_bulk_gives_ids_in_the_order_of_the_tracks(self, tracks: Storage) -> None:
        tracks.saveUserTrack("a0", 0, "u0", {})
        assert tracks.saveUserTracks([item(0), item(1)]) == ["0000002", "0000003"]
        assert tracks.saveUserTracks([item(2)]) == ["0000004"]
        assert [track.data for track in tracks.query(after="0000001")] == [
            {"n": 0},
            {"n": 1},
            {"n": 2},
        ]

    def test_bulk_is_the_same_as_one_by_one(self, open: Opener, tracks: Storage) -> None:
        run = tracks.startRun("a1")
        # Their tasks are new, and come in another order than that of their names.
        items = [item(n) for n in (2, 0, 1, *range(3, 20))]
        items += [item(20, runId=run), item(21, runId=None)]
        tracks.saveUserTracks(items)
        with open("others") as others:
            others.startRun("a1")
            for each in items:
                others.saveUserTrack(
                    each["taskId"],
                    each.get("runId"),
                    each["userName"],
                    each["data"],
                    timeStamp=each["timeStamp"],
                )
            assert [*map(plain, others.query())] == [*map(plain, tracks.query())]
            assert dict(others.currentRuns) == dict(tracks.currentRuns)

    def test_bulk_of_none(self, tracks: Storage) -> None:
        assert tracks.saveUserTracks([]) == []
        assert tracks.saveUserTracks([], batchSize=3) == []
        assert len(tracks) == len(tracks.runs) == 0

    def test_bulk_of_more_than_any_chunk(self, tracks: Storage) -> None:
        given = tracks.saveUserTracks(item(n) for n in range(3_001))
        assert given == [f"{n:07d}" for n in range(1, 3_002)]
        assert [track.data["n"] for track in tracks.iterTracks()] == list(range(3_001))
        assert len(tracks.runs) == 3

    def test_bulk_takes_tracks_as_they_are(self, open: Opener, tracks: Storage) -> None:
        run = tracks.startRun("a001")
        given = Track("a001", run, "u1", {"k": 1}, timeStamp=at(5), id="0000077")
        (id,) = tracks.saveUserTracks([given])
        assert plain(tracks[id]) == ("0000001", "a001", run, "u1", at(5), '{"k": 1}')
        with open("copies") as copies:
            copies.startRun("a001")
            copies.saveUserTracks(tracks.values())
            assert [*map(plain, copies.query())] == [*map(plain, tracks.query())]

    def test_bulk_without_a_time_stamp_takes_the_present(self, tracks: Storage) -> None:
        (id,) = tracks.saveUserTracks([{"taskId": "a", "userName": "u", "data": {}}])
        single = tracks.saveUserTrack("a", 0, "u", {})
        assert at(0) < tracks[id].timeStamp <= tracks[single].timeStamp

    # All or nothing

    @pytest.mark.parametrize("position", [0, 3, 1_500])
    def test_bulk_stores_nothing_where_an_item_is_bad(self, tracks: Storage, position: int) -> None:
        items = [item(n) for n in range(1_600)]
        items[position]["data"] = {"a": [0, {1}]}
        with pytest.raises(TypeError) as info:
            tracks.saveUserTracks(items)
        assert str(info.value) == (
            f"tracks[{position}]: data['a'][1] is a set, which JSON has no value for; make it a"
            " list."
        )
        assert len(tracks) == len(tracks.runs) == 0

    @pytest.mark.parametrize(
        ("change", "kind", "words"),
        [
            ({"taskId": ""}, ValueError, "tracks[3]: taskId must not be empty."),
            ({"taskId": 7}, TypeError, "tracks[3]: taskId must be text, not an int."),
            ({"userName": "\0"}, ValueError, "tracks[3]: userName must not hold a NUL"),
            ({"timeStamp": -1}, ValueError, "tracks[3]: timeStamp must not be before 1970: -1."),
            ({"runId": "1"}, TypeError, "tracks[3]: runId must be a whole number, not a str."),
            ({"runId": -1}, ValueError, "tracks[3]: Invalid run: -1."),
            ({"runId": 99}, ValueError, "tracks[3]: Invalid run: 99."),
            ({"key": ""}, ValueError, "tracks[3]: key must not be empty."),
            ({"data": None}, TypeError, "tracks[3]: data must be a mapping, not None."),
            ({"user": "u1"}, TypeError, "tracks[3]: A track to save has no 'user'; there are:"),
        ],
    )
    @pytest.mark.parametrize("batch", [None, 2])
    def test_bulk_names_the_bad_item(
        self,
        tracks: Storage,
        change: dict[str, Any],
        kind: type[Exception],
        words: str,
        batch: int | None,
    ) -> None:
        items = [item(n) for n in range(6)]
        items[3] |= change
        with pytest.raises(kind) as info:
            tracks.saveUserTracks(items, batch)
        assert str(info.value).startswith(words)
        assert len(tracks) == (2 if batch else 0)

    @pytest.mark.parametrize("missing", ["taskId", "userName", "data"])
    def test_bulk_names_what_is_missing(self, tracks: Storage, missing: str) -> None:
        items = [item(0), item(1)]
        del items[1][missing]
        with pytest.raises(InvalidType) as info:
            tracks.saveUserTracks(items)
        assert str(info.value) == f"tracks[1]: A track to save must have a {missing}."
        assert len(tracks) == len(tracks.runs) == 0

    def test_bulk_into_an_unknown_run(self, tracks: Storage) -> None:
        with pytest.raises(InvalidRun) as info:
            tracks.saveUserTracks([item(0), item(1, runId=7, key="k")])
        assert info.value.runId == 7
        assert len(tracks) == len(tracks.runs) == 0
        assert tracks.save("a001", 0, "u1", {}, key="k").outcome == "stored"

    def test_bulk_stores_nothing_where_the_iterable_fails(self, tracks: Storage) -> None:
        kept = tracks.saveUserTrack("a0", 0, "u0", {})

        def source() -> Iterator[dict[str, Any]]:
            yield from (item(n) for n in range(1_500))
            raise SourceFailed

        with pytest.raises(SourceFailed):
            tracks.saveUserTracks(source())
        assert list(tracks) == [kept]
        assert list(tracks.runs) == [1]
        assert tracks.getTaskIds() == ["a0"]
        assert tracks.saveUserTracks([item(0)]) > [kept]

    @pytest.mark.parametrize("wrong", [None, 7, "text", b"bytes", item(0)])
    def test_bulk_of_no_iterable_of_tracks(self, tracks: Storage, wrong: Any) -> None:
        with pytest.raises(InvalidType, match="tracks must be an iterable of tracks, not "):
            tracks.saveUserTracks(wrong)

    @pytest.mark.parametrize("wrong", [7, None, "text", ["a", "u"], ("taskId", "userName")])
    def test_bulk_of_something_else(self, tracks: Storage, wrong: Any) -> None:
        with pytest.raises(InvalidType, match=r"^tracks\[1\]: A track to save must be a mapping"):
            tracks.saveUserTracks([item(0), wrong])
        assert len(tracks) == 0

    # Whole batches

    def test_whole_batches_before_the_bad_item_are_kept(self, tracks: Storage) -> None:
        items = [item(n) for n in range(12)]
        items[8]["data"] = {"x": float("nan")}
        with pytest.raises(ValueError, match=r"^tracks\[8\]: data\['x'\] is nan"):
            tracks.saveUserTracks(items, batchSize=3)
        assert [track.data["n"] for track in tracks.query()] == [0, 1, 2, 3, 4, 5]

    def test_whole_batches_before_the_failure_are_kept(self, tracks: Storage) -> None:
        def source() -> Iterator[dict[str, Any]]:
            yield from (item(n) for n in range(7))
            raise SourceFailed

        with pytest.raises(SourceFailed):
            tracks.saveUserTracks(source(), batchSize=3)
        assert [track.data["n"] for track in tracks.query()] == [0, 1, 2, 3, 4, 5]

    @pytest.mark.parametrize("size", [1, 2, 3, 10, 11])
    def test_batches_of_any_size_give_the_same(self, tracks: Storage, size: int) -> None:
        given = tracks.saveUserTracks((item(n) for n in range(10)), size)
        assert given == [f"{n:07d}" for n in range(1, 11)]
        assert [track.data["n"] for track in tracks.query()] == list(range(10))

    def test_a_batch_is_stored_before_the_next_is_read(self, tracks: Storage) -> None:
        seen: list[int] = []

        def source() -> Iterator[dict[str, Any]]:
            for n in range(6):
                seen.append(len(tracks))
                yield item(n)

        tracks.saveUserTracks(source(), batchSize=2)
        assert seen == [0, 0, 2, 2, 4, 4]

    @pytest.mark.parametrize(
        ("size", "kind"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]
    )
    def test_impossible_batch_sizes(
        self, tracks: Storage, size: Any, kind: type[Exception]
    ) -> None:
        with pytest.raises(kind, match=r"^batchSize must ") as info:
            tracks.saveUserTracks([item(0)], size)
        assert issubclass(info.type, InvalidValue | InvalidType)
        assert len(tracks) == 0

    # Keys

    def test_a_key_twice_in_one_call(self, tracks: Storage) -> None:
        receipt = tracks.saveBatch(
            [item(n, userName="u", key=key) for n, key in enumerate(["k", None, "k", "l", "k"])]
        )
        assert receipt == Receipt([1, 2, 1, 3, 1], [2, 4])
        assert [track.data["n"] for track in tracks.query()] == [0, 1, 3]

    def test_a_key_again_in_a_later_call(self, tracks: Storage) -> None:
        def keyed(number: int, key: str) -> dict[str, Any]:
            return item(number, userName="u", key=key)

        tracks.saveUserTrack("a0", 0, "u", {"n": 0}, key="k0")
        assert tracks.saveUserTracks([keyed(1, "k1"), keyed(2, "k0")]) == ["0000002", "0000001"]
        assert tracks.saveBatch([keyed(3, "k3"), keyed(4, "k1")]) == Receipt([3, 2], [1])
        assert tracks.saveUserTrack("a0", 0, "u", {}, key="k3") == "0000003"
        assert [track.data["n"] for track in tracks.query()] == [0, 1, 3]

    def test_keys_of_several_users_in_one_call(self, tracks: Storage, keys_of_users: bool) -> None:
        users = ["u1", "u2", "u1", "u2"]
        items = [item(n, userName=user, key="k") for n, user in enumerate(users)]
        expected = Receipt([1, 2, 1, 2], [2, 3]) if keys_of_users else Receipt([1] * 4, [1, 2, 3])
        assert tracks.saveBatch(items) == expected
        assert tracks.saveBatch(items) == Receipt(expected.numbers, [0, 1, 2, 3])

    def test_a_key_twice_across_batches_and_chunks(self, tracks: Storage) -> None:
        items = [item(n, key=f"k{n % 1_100}") for n in range(2_500)]
        first = tracks.saveBatch(items)
        assert len(tracks) == 1_100
        assert first.duplicates == list(range(1_100, 2_500))
        again = tracks.saveBatch(items, batchSize=700)
        assert again == Receipt(first.numbers, list(range(2_500)))
        assert len(tracks) == 1_100

    def test_a_key_in_bulk_after_its_track_was_removed(self, tracks: Storage) -> None:
        (id,) = tracks.saveUserTracks([item(0, key="k")])
        tracks.removeTrack(id)
        assert tracks.saveUserTracks([item(1, userName="u0", key="k")]) == [id]
        assert len(tracks) == 0

    def test_keys_of_a_call_that_failed_are_not_spent(self, tracks: Storage) -> None:
        with pytest.raises(TypeError, match=r"tracks\[2\]"):
            tracks.saveUserTracks([item(0, key="k"), item(1, key="l"), item(2, data=[])])
        assert tracks.saveBatch([item(0, key="k"), item(1, key="l")]).duplicates == []
        assert len(tracks) == 2

    def test_duplicates_start_no_run(self, tracks: Storage) -> None:
        tracks.saveUserTracks([item(0, taskId="a001", key="k")])
        tracks.saveUserTracks(
            [item(0, taskId="a002", key="k"), item(0, taskId="a003", runId=99, key="k")]
        )
        assert dict(tracks.currentRuns) == {"a001": 1}
        assert ids(tracks.query()) == ["0000001"]
