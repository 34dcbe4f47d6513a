"""Criteria are made into one checked value."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cybertools.tracking.criteria import Criteria, Match, parse_criteria, prefix_end
from cybertools.tracking.errors import InvalidType, InvalidValue, UnknownCriterion
from cybertools.tracking.values import TIME_LIMIT

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
near_the_ends = st.text(
    st.sampled_from("a\x7f\x80\uffff\ud7ff\ue000\U00010000\U0010fffe\U0010ffff"), max_size=4
)


def parse(**criteria: Any) -> Criteria:
    return parse_criteria(("state",), criteria)


# Prefixes


@given(any_text | near_the_ends, any_text | near_the_ends)
def test_the_end_of_a_prefix_is_the_least_text_above(prefix: str, text: str) -> None:
    end = prefix_end(prefix)
    assert text.startswith(prefix) == (prefix <= text and (end is None or text < end))


@given(near_the_ends, near_the_ends)
def test_the_end_of_a_prefix_in_bytes(prefix: str, text: str) -> None:
    end = prefix_end(prefix)
    low, found = prefix.encode(), text.encode()
    assert text.startswith(prefix) == (low <= found and (end is None or found < end.encode()))


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        ("", None),
        ("\U0010ffff", None),
        ("\U0010ffff\U0010ffff", None),
        ("a", "b"),
        ("a\U0010ffff", "b"),
        ("\ud7ff", "\ue000"),
        ("a\ud7ff\U0010ffff", "a\ue000"),
        ("\uffff", "\U00010000"),
    ],
)
def test_ends_of_prefixes(prefix: str, end: str | None) -> None:
    assert prefix_end(prefix) == end


# Attributes


@pytest.mark.parametrize(
    ("criteria", "match"),
    [
        ({"taskId": "a"}, Match("taskId", ("a",))),
        ({"taskId": ["b", "a", "b"]}, Match("taskId", ("b", "a"))),
        ({"taskId": "a*"}, Match("taskId", (), ("a",))),
        ({"taskId": "*"}, Match("taskId", (), ("",))),
        ({"taskId": "a**"}, Match("taskId", (), ("a*",))),
        ({"userName": ("a*", "b", "a*")}, Match("userName", ("b",), ("a",))),
        ({"runId": 3}, Match("runId", (3,))),
        ({"runId": [3, 2, 3]}, Match("runId", (3, 2))),
        ({"runId": [0, -1, 2**63]}, Match("runId", (0,))),
        ({"timeStamp": "1970-01-02"}, Match("timeStamp", (86400.0,))),
        ({"state": "new"}, Match("state", ("new",))),
        ({"state": ""}, Match("state", ("",))),
        ({"state": True}, Match("state", (1,))),
        ({"state": [1, 1.5, "1"]}, Match("state", (1, 1.5, "1"))),
        ({"state": []}, Match("state")),
    ],
)
def test_matches(criteria: dict[str, Any], match: Match) -> None:
    parsed = parse(**criteria)
    assert parsed == Criteria((match,))
    assert parsed.match(match.name) == match
    assert parsed.match("other") is None


def test_none_is_no_criterion() -> None:
    names = ["taskId", "runId", "userName", "timeStamp", "state", "timeFrom", "timeTo"]
    assert parse(**dict.fromkeys([*names, "timeFromTo", "limit", "after", "order"])) == Criteria()
    assert parse() == Criteria()


# Times


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"timeFrom": 5}, (5.0, None)),
        ({"timeTo": 5}, (None, 5.0)),
        ({"timeFromTo": (5, 7)}, (5.0, 7.0)),
        ({"timeFromTo": [None, 7]}, (None, 7.0)),
        ({"timeFromTo": (None, None)}, (None, None)),
        ({"timeFromTo": (5, 9), "timeFrom": 6, "timeTo": 8}, (6.0, 8.0)),
        ({"timeFromTo": (5, 9), "timeFrom": 4, "timeTo": 10}, (5.0, 9.0)),
        ({"timeFrom": "1970-01-02"}, (86400.0, None)),
        ({"timeTo": "1970-01-02"}, (None, 172799.999999)),
        ({"timeTo": "19700102"}, (None, 172799.999999)),
        ({"timeTo": "1970-01-02T00:00"}, (None, 86400.0)),
        ({"timeTo": datetime(1970, 1, 2, tzinfo=UTC)}, (None, 86400.0)),
        ({"timeFrom": -5}, (0.0, None)),
        ({"timeTo": -5}, (None, -1.0)),
        ({"timeTo": "9999-12-31"}, (None, TIME_LIMIT)),
    ],
)
def test_times(criteria: dict[str, Any], expected: tuple[float | None, float | None]) -> None:
    parsed = parse(**criteria)
    assert (parsed.time_from, parsed.time_to) == expected


# Pages


def test_pages() -> None:
    assert parse(limit=5, after="0000012", order="-timeStamp") == Criteria(
        limit=5, after=12, order="-timeStamp"
    )
    assert parse(order=None).order == "id"


@pytest.mark.parametrize(
    ("criteria", "is_empty"),
    [
        ({}, False),
        ({"limit": 0}, True),
        ({"limit": 1}, False),
        ({"taskId": []}, True),
        ({"taskId": ["a"], "userName": []}, True),
        ({"taskId": "*"}, False),
        ({"timeFromTo": (2, 1)}, True),
        ({"timeFromTo": (1, 1)}, False),
        ({"timeTo": -1}, False),
    ],
)
def test_what_nothing_can_meet(criteria: dict[str, Any], is_empty: bool) -> None:
    assert parse(**criteria).is_empty == is_empty


# What cannot be


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("username", " Did you mean 'userName'?"),
        ("task", " Did you mean 'taskId'?"),
        ("State", " Did you mean 'state'?"),
        ("time_from", " Did you mean 'timeFrom'?"),
        ("xyz", ""),
        ("data", ""),
    ],
)
def test_an_unknown_criterion(name: str, hint: str) -> None:
    with pytest.raises(UnknownCriterion) as info:
        parse(**{name: None})
    assert str(info.value) == (
        f"There is no criterion {name!r}.{hint} There are: taskId, runId, userName, timeStamp,"
        " state, timeFrom, timeTo, timeFromTo, limit, after, order."
    )


@pytest.mark.parametrize(
    ("criteria", "kind", "words"),
    [
        ({"taskId": 7}, InvalidType, "taskId must be text, not an int."),
        ({"taskId": {"a": 1}}, InvalidType, "taskId must be text, not a dict."),
        ({"taskId": "x" * 1001}, InvalidValue, "taskId must have at most 1,000 bytes, not 1,001"),
        ({"taskId": "x" * 1001 + "*"}, InvalidValue, "taskId must have at most 1,000 bytes"),
        ({"userName": ""}, InvalidValue, "userName must not be empty."),
        ({"userName": "\ud800*"}, InvalidValue, "userName must be valid Unicode"),
        ({"runId": "1"}, InvalidType, "runId must be a whole number or a list of them, not a str."),
        ({"runId": [True]}, InvalidType, "runId must be a whole number or a list of them"),
        ({"state": [None]}, InvalidType, "state must be text or a number, a list of them"),
        ({"state": float("inf")}, InvalidType, "state must be text or a number, a list of them"),
        ({"timeStamp": ["x"]}, InvalidValue, "timeStamp must be ISO 8601 text"),
        ({"timeFrom": float("nan")}, InvalidValue, "timeFrom must be a time in seconds since 1970"),
        ({"timeTo": datetime(1970, 1, 2)}, InvalidValue, "timeTo must say its time zone"),
        ({"timeFromTo": 5}, InvalidType, "timeFromTo must be a pair: (from, to)."),
        ({"timeFromTo": "ab"}, InvalidType, "timeFromTo must be a pair: (from, to)."),
        ({"limit": -1}, InvalidValue, "limit must not be negative: -1."),
        ({"limit": 1.0}, InvalidType, "limit must be a whole number, not a float."),
        ({"after": "7"}, InvalidValue, "after must be a track id like '0000001', not '7'."),
        ({"after": 7}, InvalidType, "A track id is text like '0000001', not an int."),
        ({"order": "data"}, InvalidValue, "order must be one of id, timeStamp, -timeStamp, not"),
        ({"order": ["id"]}, InvalidValue, "order must be one of id, timeStamp, -timeStamp, not"),
    ],
)
def test_criteria_that_cannot_be(
    criteria: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind) as info:
        parse(**criteria)
    assert str(info.value).startswith(words)
