"""What may be stored: texts, run ids, time stamps, data; and tracks and runs as values."""

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cybertools.tracking import Run, Track
from cybertools.tracking.errors import InvalidData, InvalidRun, InvalidType, InvalidValue
from cybertools.tracking.record import Record, record_from
from cybertools.tracking.testing import json_data, texts, time_stamps
from cybertools.tracking.values import (
    DATA_LIMIT,
    TEXT_LIMIT,
    TIME_LIMIT,
    check_number,
    check_run_id,
    check_text,
    decode_data,
    encode_data,
    format_time,
    json_time,
    kind_of,
    merge_data,
    micros_of,
    now,
    parse_instant,
    parse_time_stamp,
    parse_track_id,
    short_time,
    shown,
    track_id,
)


class SubText(str):
    __slots__ = ()


class SubDict(dict[str, Any]):
    pass


class SubList(list[Any]):
    pass


class SubInt(int):
    pass


class SubFloat(float):
    pass


# Texts and numbers


@given(texts())
def test_texts_pass_unchanged(text: str) -> None:
    assert check_text(text, "taskId") == text


def test_a_text_becomes_a_plain_one() -> None:
    assert type(check_text(SubText("a"), "taskId")) is str


@pytest.mark.parametrize("text", ["x" * TEXT_LIMIT, "ä" * (TEXT_LIMIT // 2), "😀" * 250])
def test_the_limit_of_texts_is_in_bytes(text: str) -> None:
    assert check_text(text, "key") == text
    with pytest.raises(InvalidValue, match=r"^key must have at most 1,000 bytes, not 1,00"):
        check_text(text + "x", "key")


@pytest.mark.parametrize(("given", "run"), [(None, 0), (0, 0), (7, 7), (2**63 - 1, 2**63 - 1)])
def test_run_ids(given: int | None, run: int) -> None:
    assert check_run_id(given) == run
    assert type(check_run_id(SubInt(run))) is int


@pytest.mark.parametrize("given", [-1, 2**63, -(10**30)])
def test_run_ids_that_there_can_never_be(given: int) -> None:
    with pytest.raises(InvalidRun) as info:
        check_run_id(given)
    assert info.value.runId == given
    assert str(info.value) == f"Invalid run: {given}."


def test_numbers() -> None:
    assert check_number(0, "limit") == 0
    assert check_number(10**30, "limit") == 10**30
    with pytest.raises(InvalidValue, match=r"^limit must not be negative: -1\.$"):
        check_number(-1, "limit")
    for wrong in (True, 1.0, "1", None):
        with pytest.raises(InvalidType, match=r"^limit must be a whole number, not "):
            check_number(wrong, "limit")


@given(st.integers(1, 10**12))
def test_track_ids_there_and_back(number: int) -> None:
    assert parse_track_id(track_id(number)) == number


@pytest.mark.parametrize(
    ("number", "id"), [(1, "0000001"), (9_999_999, "9999999"), (10_000_000, "10000000")]
)
def test_track_ids(number: int, id: str) -> None:
    assert track_id(number) == id


@given(st.text(max_size=20))
def test_any_text_is_the_id_of_one_track_or_of_none(text: str) -> None:
    number = parse_track_id(text)
    assert number == 0 or track_id(number) == text


# Time


@given(st.integers(0, int(TIME_LIMIT * 1_000_000) - 1))
@example(4_451_285_171_544_741)  # its float times a million is halfway to the one before
def test_time_stamps_in_all_forms_are_one(micros: int) -> None:
    seconds = micros / 1_000_000
    assert micros_of(seconds) == micros
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    elsewhere = moment.astimezone(timezone(timedelta(hours=-3, minutes=-30)))
    text = format_time(seconds)
    for form in (seconds, moment, elsewhere, text, moment.isoformat(), f" {text} "):
        assert parse_time_stamp(form) == seconds
    assert json.loads(json.dumps(json_time(seconds))) == seconds


@given(st.floats(0, TIME_LIMIT, exclude_max=True))
def test_time_stamps_are_rounded_to_microseconds(seconds: float) -> None:
    try:
        stored = parse_time_stamp(seconds)
    except InvalidValue:
        assert TIME_LIMIT - seconds < 0.000001
        return
    assert abs(stored - seconds) <= 0.000001
    assert parse_time_stamp(stored) == stored
    assert parse_time_stamp(format_time(stored)) == stored


@given(time_stamps(), time_stamps())
def test_time_stamps_keep_their_order(one: float, two: float) -> None:
    assert (one < two) == (format_microseconds(one) < format_microseconds(two))


def format_microseconds(seconds: float) -> int:
    return round(parse_time_stamp(seconds) * 1_000_000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2007-05-01T09:28:00Z", 1178011680.0),
        ("2007-05-01T09:28Z", 1178011680.0),
        ("2007-05-01 09:28:00.000001+00:00", 1178011680.000001),
        ("2007-05-01T09:28:00", 1178011680.0),
        ("20070501T092800Z", 1178011680.0),
        ("2007-05-01", 1177977600.0),
        ("20070501", 1177977600.0),
        ("2007-W18-2", 1177977600.0),
        ("1970-01-01", 0.0),
    ],
)
def test_iso_texts(text: str, seconds: float) -> None:
    assert parse_time_stamp(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "now", "1178011680", "2007-13-01", "2007-05-01T25:00"])
def test_texts_that_are_no_time(text: str) -> None:
    with pytest.raises(InvalidValue, match=r"^when must be ISO 8601 text like '2007-05-01T09"):
        parse_time_stamp(text, "when")


@pytest.mark.parametrize(
    ("given", "unit"),
    [
        (1_178_011_680_000, "milliseconds"),
        (1_178_011_680_000_000.5, "microseconds"),
        (1_178_011_680_000_000_000, "nanoseconds"),
    ],
)
def test_the_hint_at_another_unit(given: float, unit: str) -> None:
    with pytest.raises(InvalidValue, match=rf" Is it in {unit}\? Seconds are expected\.$"):
        parse_time_stamp(given)


@pytest.mark.parametrize("given", [2.0**33, 1e10, "2300-01-01", datetime(2300, 1, 1, tzinfo=UTC)])
def test_no_hint_where_no_unit_fits(given: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^timeStamp must be before 2242-03-16, not [^?]*$"):
        parse_time_stamp(given)


def test_an_instant_may_be_out_of_range() -> None:
    assert parse_instant(-5, "timeFrom") == -5
    assert parse_instant("9999-12-31", "timeTo") > TIME_LIMIT
    assert parse_instant("0001-01-01", "timeFrom") < 0


def test_now_is_a_time_stamp_in_whole_microseconds() -> None:
    moment = now()
    assert parse_time_stamp(moment) == moment


@pytest.mark.parametrize(
    ("seconds", "short", "full"),
    [
        (0, "1970-01-01 00:00", "1970-01-01T00:00:00Z"),
        (1178011739.999999, "2007-05-01 09:28", "2007-05-01T09:28:59.999999Z"),
    ],
)
def test_times_as_people_read_them(seconds: float, short: str, full: str) -> None:
    assert (short_time(seconds), format_time(seconds)) == (short, full)


def test_times_as_json_has_them() -> None:
    assert repr(json_time(1178011680.0)) == "1178011680"
    assert repr(json_time(1178011680.5)) == "1178011680.5"


# Data


@given(json_data())
def test_data_there_and_back(data: dict[str, Any]) -> None:
    text = encode_data(data)
    assert repr(decode_data(text)) == repr(data)
    assert encode_data(decode_data(text)) == text
    assert "\0" not in text


@given(json_data())
def test_data_of_other_types_are_the_same_data(data: dict[str, Any]) -> None:
    assert repr(decode_data(encode_data(subclassed(data)))) == repr(data)


def subclassed(value: Any) -> Any:
    """The same in subclasses of the ordinary types."""
    if isinstance(value, dict):
        return SubDict({SubText(key): subclassed(item) for key, item in value.items()})
    if isinstance(value, list):
        return SubList(map(subclassed, value))
    if value is None or isinstance(value, bool):
        return value
    return {str: SubText, int: SubInt, float: SubFloat}[type(value)](value)


@given(json_data(), json_data())
def test_data_merged(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert repr(decode_data(merge_data(encode_data(old), encode_data(new)))) == repr(old | new)


def test_texts_within_data_stay_readable() -> None:
    assert encode_data({"größe": "😀"}) == '{"größe":"😀"}'


@pytest.mark.parametrize("value", [10**308, -(10**308), 10**400])
def test_integers_that_no_float_can_be(value: int) -> None:
    assert decode_data(encode_data({"a": 10**308 - 1})) == {"a": 10**308 - 1}
    with pytest.raises(InvalidData, match=r"^data\['a'\] is a number of more than 308 digits\.$"):
        encode_data({"a": value})


def test_the_size_of_data_is_in_bytes() -> None:
    for sign in ("x", "ä"):
        room = (DATA_LIMIT - len('{"a":""}')) // len(sign.encode())
        assert len(encode_data({"a": sign * room}).encode()) <= DATA_LIMIT
        with pytest.raises(InvalidData, match=r"^data must have at most 1,048,576 bytes as JSON"):
            encode_data({"a": sign * (room + 1)})


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "None"), (1, "an int"), ("", "a str"), ([], "a list"), ({}, "a dict")],
)
def test_kinds(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


def test_long_texts_are_cut_where_they_are_shown() -> None:
    assert shown("a" * 60) == repr("a" * 60)
    assert shown("a" * 61) == repr("a" * 57 + "…")


# Tracks


@given(texts(), st.integers(0, 2**63 - 1), texts(), json_data(), time_stamps())
def test_tracks_are_values(
    task: str, run: int, user: str, data: dict[str, Any], time: float
) -> None:
    track = Track(task, run, user, data, time)
    assert (track.taskId, track.runId, track.userName, track.timeStamp) == (task, run, user, time)
    assert repr(track.data) == repr(data)
    assert (track.id, track.number) == ("", 0)
    same = Track.from_row(track._row)
    for other in (same, copy.copy(track), copy.deepcopy(track), pickle.loads(pickle.dumps(track))):  # noqa: S301
        assert other == track
        assert hash(other) == hash(track)
        assert type(other) is Track
    assert Track(task, run, user, data, time, id="0000001") != track
    assert track != (task, run, user, data, time)


def test_tracks_of_equal_data_are_equal() -> None:
    one, two = (Track("a", 1, "u", data, 0) for data in ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}))
    assert one == two
    assert hash(one) == hash(two)
    assert one != Track("a", 1, "u", {"a": 1, "b": 3}, 0)


def test_a_track_as_json_has_it() -> None:
    track = Track("a001", 1, "u1", {"k1": "value1"}, 1178011680, id="0000007")
    assert json.dumps(track.as_dict()) == (
        '{"id": "0000007", "taskId": "a001", "runId": 1, "userName": "u1",'
        ' "timeStamp": 1178011680, "data": {"k1": "value1"}}'
    )
    assert track.json == '{"k1":"value1"}'
    assert track.number == 7


def test_a_track_without_data_and_time() -> None:
    before = now()
    track = Track("a001", 1, "u1")
    assert track.data == {}
    assert before <= track.timeStamp <= now()


def test_the_data_of_a_track_are_its_own() -> None:
    data = {"a": [1]}
    track = Track("a001", 1, "u1", data)
    data["a"].append(2)
    assert track.data == {"a": [1]}
    copied = copy.copy(track)
    track.data["a"].append(3)
    assert copied.data == {"a": [1]}


def test_a_track_has_no_other_attributes() -> None:
    track: Any = Track("a001", 1, "u1", {"state": 1})
    with pytest.raises(AttributeError, match=r"^'Track' object has no attribute 'state'$"):
        track.state  # noqa: B018
    with pytest.raises(AttributeError, match=r"^A track is immutable: 'state' cannot be set"):
        track.state = 1
    with pytest.raises(AttributeError, match=r"^A track is immutable: 'data' cannot be deleted"):
        del track.data


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (("", 1, "u"), InvalidValue, "taskId must not be empty"),
        (("a", -1, "u"), InvalidRun, "Invalid run: -1"),
        (("a", 1, None), InvalidType, "userName must be text, not None"),
        (("a", 1, "u", {1: 1}), InvalidData, "data has the key 1"),
        (("a", 1, "u", {}, -1), InvalidValue, "timeStamp must not be before 1970"),
        (("a", 1, "u", {}, 0, 7), InvalidType, "A track id is text like '0000001', not an int"),
    ],
)
def test_tracks_that_cannot_be(arguments: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=f"^{words}"):
        Track(*arguments)


# Runs


def test_a_run_is_a_value() -> None:
    run = Run(3, "a001", 1178011680.0, 1178011739.5)
    assert run == Run(3, "a001", 1178011680.0, 1178011739.5, False, None)
    assert repr(run) == "<Run 3, 2007-05-01 09:28, 2007-05-01 09:28, False>"
    assert repr(run._replace(finished=True)).endswith("09:28, True>")
    assert json.dumps(run._replace(label="s-1").as_dict()) == (
        '{"runId": 3, "taskId": "a001", "label": "s-1", "start": 1178011680,'
        ' "end": 1178011739.5, "finished": false}'
    )
    assert pickle.loads(pickle.dumps(run)) == run  # noqa: S301


# Records


def test_a_record_is_made_of_a_mapping_or_a_track() -> None:
    item = {"taskId": "a", "userName": "u", "data": {"n": 1}, "timeStamp": 5, "key": "k"}
    record = record_from(item)
    assert record == Record("a", 0, "u", 5.0, '{"n":1}', "k")
    assert record_from(record) is record
    track = Track("a", 3, "u", {"n": 1}, 5, id="0000009")
    assert record_from(track) == Record("a", 3, "u", 5.0, '{"n":1}', None)
