"""The codec: what one side encodes, the other decodes to the same value."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cybertools.tracking import errors
from cybertools.tracking.codec import (
    KINDS,
    Item,
    criteria_from,
    decode,
    encode,
    error_from,
    info_from,
    info_json,
    item_from,
    item_json,
    parameters_of,
    problem_of,
    row_from,
    row_json,
    run_from,
    saved_from,
    saved_json,
)
from cybertools.tracking.criteria import Criteria, acceptor, parse_criteria
from cybertools.tracking.errors import InvalidRun, InvalidValue, TrackingError, TrackNotFound
from cybertools.tracking.interfaces import Info, Saved
from cybertools.tracking.record import Record
from cybertools.tracking.testing import strategies
from cybertools.tracking.track import Row, Run

texts = strategies.texts()
numbers = st.integers(1, 10**15)
times = strategies.time_stamps()
scalars = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)
jsons = strategies.json_data().map(lambda value: encode(value).decode())


@given(
    st.builds(
        Record,
        taskId=texts,
        runId=st.integers(0, 2**63 - 1),
        userName=texts,
        timeStamp=times,
        json=jsons,
        key=st.none() | texts,
    ),
    st.sampled_from([None, "replace", "merge", "overwrite"]),
    st.none() | texts,
)
def test_items(record: Record, change: Any, label: str | None) -> None:
    item = Item(record._replace(runId=0) if label else record, change, True, label)
    back = item_from(decode(item_json(item)))
    assert json.loads(back.record.json) == json.loads(record.json)
    assert back._replace(record=back.record._replace(json=record.json)) == item


@pytest.mark.parametrize("change", ["merge", "overwrite"])
def test_an_item_without_a_time(change: Any) -> None:
    item = Item(Record("a", 1, "u", 5.0, "{}"), change, False)
    assert "timeStamp" not in json.loads(item_json(item))
    assert item_from(decode(item_json(item)))[1:] == (change, False, None)


@given(st.tuples(numbers, texts, numbers, texts, times, jsons))
def test_rows(row: Row) -> None:
    back = row_from(decode(row_json(row)))
    assert (*back[:5], json.loads(back[5])) == (*row[:5], json.loads(row[5]))


@given(st.builds(Run, numbers, st.none() | texts, times, times, st.booleans(), st.none() | texts))
def test_runs(run: Run) -> None:
    assert run_from(decode(encode(run.as_dict()))) == run


def test_saves_and_figures() -> None:
    for outcome in ("stored", "duplicate", "replaced", "updated"):
        saved = Saved(7, outcome)
        assert saved_from(decode(encode(saved_json(saved)))) == saved
    info = Info(1, 2, 3, 4, 5.5, None, None, {"tracks": 7})
    assert info_from(decode(encode(info_json(info)))) == info


# Criteria

values = st.one_of(scalars, texts.map(lambda text: f"{text}*"), st.just("*"))
attributes = st.sampled_from(["state", "score", "a"])
questions = st.fixed_dictionaries(
    {},
    optional={
        "taskId": st.lists(texts | texts.map(lambda text: f"{text}*"), min_size=1),
        "runId": st.lists(st.integers(), min_size=1),
        "userName": texts,
        "timeStamp": st.lists(times, min_size=1),
        "timeFrom": st.floats(-1e12, 1e12),
        "timeTo": st.floats(-1e12, 1e12),
        "state": st.lists(values, min_size=1),
        "score": values,
        "limit": st.integers(0, 10**6),
        "after": st.just("0000007"),
        "order": st.sampled_from(["id", "timeStamp", "-timeStamp"]),
    },
)


@given(questions)
def test_criteria(question: dict[str, Any]) -> None:
    criteria = parse_criteria(("state", "score"), question)
    query = urlencode(parameters_of(criteria))
    back = criteria_from(parse_qsl(query, keep_blank_values=True))
    assert sorted_matches(back) == sorted_matches(criteria)


def sorted_matches(criteria: Criteria) -> Any:
    matches = sorted((m.name, [*map(repr, m.values)], m.prefixes) for m in criteria.matches)
    rest = (criteria.limit, criteria.after, criteria.order)
    return matches, criteria.time_from, criteria.time_to, rest


def test_a_time_may_be_text() -> None:
    criteria = criteria_from([("timeFrom", "2007-05-01"), ("timeTo", "2007-05-01")])
    assert (criteria.time_from, criteria.time_to) == (1177977600.0, 1178063999.999999)


ROW: Row = (1, "a001", 2, "ann", 1000.5, '{"state":"open","n":1,"list":[1],"yes":true}')

ACCEPTED: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"taskId": "a001"}, True),
    ({"taskId": ["b", "a0*"]}, True),
    ({"taskId": "b*"}, False),
    ({"runId": [1, 2]}, True),
    ({"runId": 3}, False),
    ({"userName": "*"}, True),
    ({"timeStamp": 1000.5}, True),
    ({"timeFrom": 1000.5, "timeTo": 1000.5}, True),
    ({"timeFrom": 1000.6}, False),
    ({"timeTo": 1000.4}, False),
    ({"state": "open"}, True),
    ({"state": ["x*", "op*"]}, True),
    ({"n": 1.0}, True),
    ({"n": "1"}, False),
    ({"yes": 1}, True),
    ({"list": 1}, False),
    ({"missing": "*"}, False),
    ({"taskId": "a001", "state": "done"}, False),
]


@pytest.mark.parametrize(("question", "accepted"), ACCEPTED)
def test_whether_a_track_is_asked_for(question: dict[str, Any], accepted: bool) -> None:
    criteria = parse_criteria(("state", "n", "list", "yes", "missing"), question)
    assert acceptor(criteria)(ROW) is accepted


# Errors


def error_of(name: str) -> TrackingError:
    kind = getattr(errors, name)
    error: TrackingError = kind(7) if kind is InvalidRun else kind("0000007: what was wrong.")
    return error


@pytest.mark.parametrize("name", errors.__all__)
def test_each_error_is_the_same_on_the_other_side(name: str) -> None:
    if name == "TrackingError":
        return
    error = error_of(name)
    back = error_from(decode(encode(problem_of(error))))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_what_a_problem_is_about() -> None:
    assert problem_of(InvalidRun(7)) == {
        "type": "urn:cybertools-tracking:invalid-run",
        "title": "There is no such run",
        "status": 422,
        "detail": "Invalid run: 7.",
        "parameter": "runId",
        "runId": 7,
    }
    assert problem_of(TrackNotFound("x"))["trackId"] == "x"
    named = problem_of(InvalidValue("tracks[3]: taskId must not be empty."))
    assert (named["parameter"], named["track"]) == ("taskId", 3)
    assert problem_of(InvalidValue("data['a'] is wrong."), track=5)["parameter"] == "data"
    assert "parameter" not in problem_of(InvalidValue("The body is no JSON."))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_an_error(kind: str) -> None:
    problem = problem_of(InvalidValue("wrong"), kind)
    assert type(error_from(problem)) is KINDS[kind].error
    assert problem["status"] == KINDS[kind].status


@pytest.mark.parametrize("problem", [{}, {"type": "about:blank", "title": "Bad Gateway"}])
def test_what_is_no_problem_of_ours_is_a_storage_error(problem: dict[str, Any]) -> None:
    assert type(error_from(problem)) is errors.StorageError


@pytest.mark.parametrize("text", [b"NaN", b"-Infinity", b"[1e999]", b"{", b"", b"9" * 5_000])
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(InvalidValue, match="The body is no JSON"):
        decode(text)


def test_numbers_of_any_size() -> None:
    assert decode(b"[9223372036854775808, 1e19, 12345678901234567890123]") == [
        9223372036854775808,
        1e19,
        12345678901234567890123,
    ]
