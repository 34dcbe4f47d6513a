"""What cannot be stored is refused, in the same words everywhere, and leaves no trace."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from cybertools.tracking.errors import InvalidData, InvalidType, InvalidValue
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.testing.base import BaseContract

__all__ = ["RefusingContract"]

NAN, INF = float("nan"), float("inf")


def deep(levels: int) -> Any:
    """A list within a list within …"""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


BAD_DATA: list[tuple[Any, str]] = [
    (None, "data must be a mapping, not None."),
    ("text", "data must be a mapping, not a str."),
    ([("a", 1)], "data must be a mapping, not a list."),
    ({"a": NAN}, "data['a'] is nan, which JSON has no value for."),
    ({"a": [INF]}, "data['a'][0] is inf, which JSON has no value for."),
    ({"a": {"b": -INF}}, "data['a']['b'] is -inf, which JSON has no value for."),
    ({"a": (1, 2)}, "data['a'] is a tuple, which JSON has no value for; make it a list."),
    ({"a": [0, 1, 2, {1}]}, "data['a'][3] is a set, which JSON has no value for; make it a list."),
    ({"a": frozenset()}, "data['a'] is a frozenset, which JSON has no value for; make it a list."),
    ({"a": b"x"}, "data['a'] is a bytes, which JSON has no value for."),
    ({"a": Decimal(1)}, "data['a'] is a Decimal, which JSON has no value for."),
    ({"a": 1j}, "data['a'] is a complex, which JSON has no value for."),
    ({"a": object()}, "data['a'] is an object, which JSON has no value for."),
    (
        {"a": date(2007, 5, 1)},
        "data['a'] is a date, which JSON has no value for; make it a datetime or text.",
    ),
    ({1: "a"}, "data has the key 1: an int, but keys must be text."),
    ({"a": {None: 1}}, "data['a'] has the key None: None, but keys must be text."),
    ({"a": [{True: 1}]}, "data['a'][0] has the key True: a bool, but keys must be text."),
    ({"a\0": 1}, "data has the key 'a\\x00': keys must not hold a NUL character."),
    ({"a": {"\0": 1}}, "data['a'] has the key '\\x00': keys must not hold a NUL character."),
    ({"a": "\ud800"}, "data['a'] holds a lone surrogate: '\\ud800'."),
    ({"a": ["x", "\udc00y"]}, "data['a'][1] holds a lone surrogate: '\\udc00y'."),
    ({"\udfff": 1}, "the key '\\udfff' of data holds a lone surrogate: '\\udfff'."),
    ({"a": 10**308}, "data['a'] is a number of more than 308 digits."),
    ({"a": "x" * 10_485_760}, "data must have at most 1,048,576 bytes as JSON, not 10,485,768."),
    ({"a": "ä" * 524_285}, "data must have at most 1,048,576 bytes as JSON, not 1,048,578."),
    ({"a": deep(99)}, f"data['a']{'[0]' * 17}… is nested more than 100 levels deep."),
    ({"a": deep(50_000)}, f"data['a']{'[0]' * 17}… is nested more than 100 levels deep."),
]

BAD_TEXTS: list[tuple[Any, type[Exception], str]] = [
    ("", InvalidValue, "{} must not be empty."),
    ("a\0b", InvalidValue, "{} must not hold a NUL character: 'a\\x00b'."),
    ("\ud800", InvalidValue, "{} must be valid Unicode, but holds a lone surrogate: '\\ud800'."),
    (
        "x" * 1001,
        InvalidValue,
        f"{{}} must have at most 1,000 bytes, not 1,001: '{'x' * 57}…'.",
    ),
    (
        "ä" * 501,
        InvalidValue,
        f"{{}} must have at most 1,000 bytes, not 1,002: '{'ä' * 57}…'.",
    ),
    (7, InvalidType, "{} must be text, not an int."),
    (b"a", InvalidType, "{} must be text, not a bytes."),
    (["a"], InvalidType, "{} must be text, not a list."),
]

BAD_TIMES: list[tuple[Any, type[Exception], str]] = [
    (-1, InvalidValue, "timeStamp must not be before 1970: -1."),
    (-0.000001, InvalidValue, "timeStamp must not be before 1970: -1e-06."),
    ("1969-12-31", InvalidValue, "timeStamp must not be before 1970: '1969-12-31'."),
    ("9999-12-31", InvalidValue, "timeStamp must be before 2242-03-16, not '9999-12-31'."),
    (2**33, InvalidValue, "timeStamp must be before 2242-03-16, not 8589934592."),
    (
        1178011680000,
        InvalidValue,
        (
            "timeStamp must be before 2242-03-16, not 1178011680000."
            " Is it in milliseconds? Seconds are expected."
        ),
    ),
    (
        1178011680000000,
        InvalidValue,
        (
            "timeStamp must be before 2242-03-16, not 1178011680000000."
            " Is it in microseconds? Seconds are expected."
        ),
    ),
    (NAN, InvalidValue, "timeStamp must be a time in seconds since 1970, not nan."),
    (INF, InvalidValue, "timeStamp must be a time in seconds since 1970, not inf."),
    (10**400, InvalidValue, "timeStamp must be a time in seconds since 1970, not "),
    (
        datetime(2007, 5, 1),
        InvalidValue,
        (
            "timeStamp must say its time zone; datetime.datetime(2007, 5, 1, 0, 0) has none"
            " (datetime.now(UTC) has one, datetime.now() has none)."
        ),
    ),
    (
        "yesterday",
        InvalidValue,
        "timeStamp must be ISO 8601 text like '2007-05-01T09:28:00Z', not 'yesterday'.",
    ),
    ("", InvalidValue, "timeStamp must be ISO 8601 text like '2007-05-01T09:28:00Z', not ''."),
    (
        True,
        InvalidType,
        "timeStamp must be seconds since 1970, an aware datetime or ISO 8601 text, not a bool.",
    ),
    (
        date(2007, 5, 1),
        InvalidType,
        "timeStamp must be seconds since 1970, an aware datetime or ISO 8601 text, not a date.",
    ),
]

BAD_RUNS: list[tuple[Any, type[Exception], str]] = [
    (7, InvalidValue, "Invalid run: 7."),
    (-1, InvalidValue, "Invalid run: -1."),
    ("1", InvalidType, "runId must be a whole number, not a str."),
    (1.0, InvalidType, "runId must be a whole number, not a float."),
    (True, InvalidType, "runId must be a whole number, not a bool."),
]

WAYS: dict[str, Callable[[Storage, dict[str, Any]], Any]] = {
    "save": lambda tracks, item: tracks.saveUserTrack(**item),
    "replace": lambda tracks, item: tracks.saveUserTrack(**item, replace=True),
    "update": lambda tracks, item: tracks.saveUserTrack(**item, update=True),
    "bulk": lambda tracks, item: tracks.saveUserTracks([item]),
}


def short(value: Any) -> str:
    """A name for a case: the error's words. The values themselves may fill a page."""
    return value[:50] if isinstance(value, str) and " " in value else ""


class RefusingContract(BaseContract):
    """Bad input, however it comes."""

    @staticmethod
    def refused(
        tracks: Storage, way: str, change: dict[str, Any], kind: type[Exception], words: str
    ) -> None:
        """Saving so is refused, and nothing is stored and no run started."""
        item = {"taskId": "a001", "runId": 0, "userName": "u1", "data": {}} | change
        prefix = "tracks[0]: " if way == "bulk" else ""
        with pytest.raises(kind, match=r"^" + re.escape(prefix + words)) as info:
            WAYS[way](tracks, item)
        assert words.endswith(" ") or str(info.value) == prefix + words
        assert len(tracks) == len(tracks.runs) == 0
        assert tracks.getTaskIds() == []
        assert tracks.saveUserTrack("a001", 0, "u1", {}) == "0000001"

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(("data", "words"), BAD_DATA, ids=short)
    def test_data_that_cannot_be(self, tracks: Storage, way: str, data: Any, words: str) -> None:
        self.refused(tracks, way, {"data": data}, InvalidData, words)

    @pytest.mark.parametrize("name", ["taskId", "userName", "key"])
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(("text", "kind", "words"), BAD_TEXTS, ids=short)
    def test_texts_that_cannot_be(
        self, tracks: Storage, way: str, name: str, text: Any, kind: type[Exception], words: str
    ) -> None:
        self.refused(tracks, way, {name: text}, kind, words.format(name))

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(("time", "kind", "words"), BAD_TIMES, ids=short)
    def test_time_stamps_that_cannot_be(
        self, tracks: Storage, way: str, time: Any, kind: type[Exception], words: str
    ) -> None:
        self.refused(tracks, way, {"timeStamp": time}, kind, words)

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(("run", "kind", "words"), BAD_RUNS, ids=short)
    def test_runs_that_cannot_be(
        self, tracks: Storage, way: str, run: Any, kind: type[Exception], words: str
    ) -> None:
        self.refused(tracks, way, {"runId": run}, kind, words)

    @pytest.mark.parametrize("name", ["taskId", "userName"])
    def test_names_must_be_given(self, tracks: Storage, name: str) -> None:
        self.refused(tracks, "save", {name: None}, InvalidType, f"{name} must be text, not None.")

    def test_errors_are_the_builtins_that_fit(self, tracks: Storage) -> None:
        with pytest.raises(TypeError, match=r"^data"):
            tracks.saveUserTrack("a001", 0, "u1", {"a": {1}})
        with pytest.raises(ValueError, match=r"^data"):
            tracks.saveUserTrack("a001", 0, "u1", {"a": NAN})
        with pytest.raises(TypeError, match=r"^taskId"):
            tracks.saveUserTrack(7, 0, "u1", {})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^taskId"):
            tracks.saveUserTrack("", 0, "u1", {})
        with pytest.raises(KeyError, match="0000009"):
            tracks["0000009"]

    def test_a_mapping_that_holds_itself(self, tracks: Storage) -> None:
        data: dict[str, Any] = {}
        data["a"] = data
        with pytest.raises(InvalidData, match="is nested more than 100 levels deep"):
            tracks.saveUserTrack("a001", 0, "u1", data)
        assert len(tracks) == len(tracks.runs) == 0
