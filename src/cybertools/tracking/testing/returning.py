"""What was saved is what comes back."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.testing.base import BaseContract, Opener, at, ids, plain
from cybertools.tracking.testing.strategies import json_data, texts, time_stamps

__all__ = ["ReturningContract"]

# One storage for all examples of a test: they are told apart by their ids. And one suite for any
# number of engines.
one_storage = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)

DATA: dict[str, dict[str, Any]] = {
    "empty": {},
    "order of keys": {"z": 1, "a": 2, "m": 3, "Z": 4, "10": 5, "9": 6},
    "kinds of one": {"int": 1, "float": 1.0, "bool": True, "text": "1", "list": [1, 1.0, True]},
    "kinds of zero": {"int": 0, "float": 0.0, "minus": -0.0, "bool": False, "text": "0"},
    "nothing": {"null": None, "text": "", "list": [], "mapping": {}, "": ""},
    "integers": {"values": [2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, -(10**300)]},
    "floats": {"values": [1e308, -1e308, 5e-324, 0.1, 1 / 3, 1e16, 1e22, 123456789.123456789]},
    "controls": {"text": "".join(map(chr, range(32))) + "\x7f\x80\x9f"},
    "NUL": {"text": "\0", "inside": "a\0b", "list": ["\0\0"]},
    "not NUL": {"text": "\\u0000", "more": "\\\\u0000", "key \\u0000": "\\"},
    "signs": {"'": "'", '"': '"', "\\": "\\", "%": "%s", "?": ":x", "$": "$1", "a.b[0]": "{}"},
    "line ends": {"text": "a\nb\r\nc\rd\u2028e\u2029f\x85g", "tab\t": "\t"},
    "scripts": {"ключ": "значение", "键": "值", "مفتاح": "قيمة", "ä": "a\u0308", "ﬁ": "ß"},
    "beyond the BMP": {"😀": "👩‍👩‍👧‍👦", "\U0010ffff": "\U00010000", "\ufffe": "\uffff\ufeff"},
    "nested": {"a": {"b": [{"c": [[], [[1, {"d": None}]]]}]}},
    "looks like metadata": {"taskId": "x", "runId": 9, "id": "y", "data": {}, "timeStamp": None},
    "long": {"text": "ä" * 100_000, "list": list(range(10_000))},
    "many keys": {f"key {n}": n for n in range(2_000)},
}


class Read(Mapping[str, Any]):
    """A mapping that is no dict."""

    def __getitem__(self, key: str) -> Any:
        return {"a": 1, "b": [2]}[key]

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def __len__(self) -> int:
        return 2


class Text(str):
    """A text of another type."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class ReturningContract(BaseContract):
    """All values that may be stored."""

    @pytest.mark.parametrize("name", DATA)
    def test_data_come_back(self, tracks: Storage, name: str) -> None:
        data = DATA[name]
        one = tracks.saveUserTrack("a001", 0, "u1", data)
        (two,) = tracks.saveUserTracks([{"taskId": "a001", "userName": "u2", "data": data}])
        three = tracks.saveUserTrack("a001", 0, "u3", {"gone": 1})
        tracks.saveUserTrack("a001", 0, "u3", data, update=True, overwrite=True)
        four = tracks.saveUserTrack("a001", 0, "u4", {})
        tracks.updateTrack(four, data)
        tracks.saveUserTracks([tracks[one]])
        for track in tracks.values():
            assert repr(track.data) == repr(data)
        last = tracks.getLastUserTrack("a001", 0, "u2")
        assert last is not None
        assert repr(last.data) == repr(data)
        assert ids(tracks.query()) == [one, two, three, four, "0000005"]

    def test_data_come_back_after_reopening(self, open: Opener, reopens: bool) -> None:
        if not reopens:
            pytest.skip("the engine keeps nothing when it is closed")
        with open() as tracks:
            tracks.saveUserTracks(
                {"taskId": "a001", "userName": "u1", "data": data} for data in DATA.values()
            )
        with open() as tracks:
            for track, data in zip(tracks.query(), DATA.values(), strict=True):
                assert repr(track.data) == repr(data)

    @given(st.lists(st.tuples(texts(), texts(), json_data(), time_stamps()), max_size=3))
    @one_storage
    def test_anything_comes_back(
        self, tracks: Storage, wanted: list[tuple[str, str, dict[str, Any], float]]
    ) -> None:
        saved = [
            tracks.saveUserTrack(task, 0, user, data, timeStamp=time)
            for task, user, data, time in wanted
        ]
        saved += tracks.saveUserTracks(
            {"taskId": task, "userName": user, "data": data, "timeStamp": time}
            for task, user, data, time in wanted
        )
        for id, (task, user, data, time) in zip(saved, wanted * 2, strict=True):
            track = tracks[id]
            assert (track.taskId, track.userName, track.timeStamp) == (task, user, time)
            assert repr(track.data) == repr(data)
            assert track.runId == tracks.currentRuns[task]
            assert track in tracks.query(taskId=[task], userName=[user], timeStamp=time)
            assert user in tracks.getUserNames(task)
            assert track in tracks.getUserTracks(task, 0, user)
        assert {task for task, *_ in wanted} <= set(tracks.getTaskIds())

    @given(json_data(), json_data(), st.booleans())
    @one_storage
    def test_any_update_comes_back(
        self, tracks: Storage, old: dict[str, Any], new: dict[str, Any], overwrite: bool
    ) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", old)
        tracks.updateTrack(id, new, overwrite)
        assert repr(tracks[id].data) == repr(new if overwrite else old | new)

    @given(texts(), texts())
    @one_storage
    def test_any_label_and_key(self, tracks: Storage, label: str, key: str) -> None:
        run = tracks.openRun("a001", label)
        assert tracks.openRun("a001", label) == run
        found = tracks.getRun(run)
        assert found is not None
        assert found.label == label
        id = tracks.saveUserTrack("a001", run, "u1", {}, key=key)
        assert tracks.saveUserTrack("a001", run, "u1", {}, key=key) == id

    @given(time_stamps())
    @one_storage
    def test_any_time_stamp(self, tracks: Storage, time: float) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=time)
        assert tracks[id].timeStamp == time
        assert id in ids(tracks.query(timeFrom=time, timeTo=time))
        assert id in ids(tracks.query(timeStamp=time))

    # Other ways to give the same

    def test_datetimes_become_iso_text(self, tracks: Storage) -> None:
        data = {
            "utc": datetime(2007, 5, 1, 9, 28, tzinfo=UTC),
            "there": [datetime(2007, 5, 1, 11, 28, 0, 5, timezone(timedelta(hours=2)))],
            "naive": datetime(2007, 5, 1, 9, 28),
        }
        id = tracks.saveUserTrack("a001", 0, "u1", data)
        assert tracks[id].data == {
            "utc": "2007-05-01T09:28:00+00:00",
            "there": ["2007-05-01T11:28:00.000005+02:00"],
            "naive": "2007-05-01T09:28:00",
        }

    @pytest.mark.parametrize(
        "data", [Read(), OrderedDict(a=1, b=[2]), MappingProxyType({"a": 1, "b": [2]})]
    )
    def test_any_mapping_is_data(self, tracks: Storage, data: Mapping[str, Any]) -> None:
        id = tracks.saveUserTrack("a001", 0, "u1", {"of": data})
        assert tracks[id].data == {"of": {"a": 1, "b": [2]}}
        tracks.updateTrack(id, data, overwrite=True)
        tracks.updateTrack(id, data)
        assert tracks[id].data == {"a": 1, "b": [2]}

    def test_texts_of_other_types_are_texts(self, tracks: Storage) -> None:
        id = tracks.saveUserTrack(
            Text("a001"), 0, Text("u1"), {Text("k"): Text("v")}, timeStamp=at(1), key=Text("key")
        )
        assert plain(tracks[id]) == (id, "a001", 1, "u1", at(1), '{"k": "v"}')
        track = tracks[id]
        assert type(track.taskId) is type(track.userName) is type(track.data["k"]) is str
        assert tracks.saveUserTrack("a001", 0, "u1", {}, key="key") == id

    @pytest.mark.parametrize("text", ["x" * 1000, "ä" * 500, "😀" * 250, "\U0010ffff", " ", "\n"])
    def test_the_longest_and_oddest_texts(self, tracks: Storage, text: str) -> None:
        id = tracks.saveUserTrack(text, 0, text, {}, timeStamp=at(1), key=text)
        assert plain(tracks[id])[1:4] == (text, 1, text)
        assert tracks.getTaskIds() == tracks.getUserNames(text) == [text]
        assert ids(tracks.query(taskId=[text], userName=text)) == [id]
        assert tracks.saveUserTrack(text, 0, text, {}, key=text) == id
        run = tracks.openRun(text, text)
        assert tracks.openRun(text, text) == run
        assert tracks.getRun(text) == tracks.runs[1]

    def test_the_largest_and_deepest_data(self, tracks: Storage) -> None:
        deep: Any = "x"
        for _ in range(99):
            deep = [deep]
        for data in ({"a": "x" * (2**20 - 8)}, {"a": deep}):
            id = tracks.saveUserTrack("a001", 0, "u1", data)
            assert tracks[id].data == data
