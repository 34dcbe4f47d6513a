"""Reports over HTTP: by their names, and the questions that they are made of."""

import csv
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cybertools.tracking import open_storage
from cybertools.tracking.codec import decode, encode
from cybertools.tracking.codec.questions import (
    answer_from,
    answer_json,
    criteria_from_json,
    criteria_json,
    question_from,
    question_json,
)
from cybertools.tracking.criteria import parse_criteria
from cybertools.tracking.errors import TrackingError
from cybertools.tracking.questions import (
    Behind,
    Cohorts,
    Field,
    Funnel,
    Groups,
    Moved,
    Paths,
    Periods,
    Reached,
    Returned,
    RunSpread,
    Spread,
)
from cybertools.tracking.reports import REPORTS, Table, run_report
from cybertools.tracking.testing import Comment
from tests.service.running import TOKEN, Running, TokenGate, running

REPORTS_AT = "/api/storages/tracks/reports"
AGGREGATE = "/api/storages/tracks/aggregate"


@pytest.fixture
def filled(tracks: Running) -> Running:
    """A service with some tracks."""
    for n in range(12):
        assert tracks.save(
            taskId=f"a{n % 3}",
            userName=f"u{n % 2}",
            timeStamp=86_400 * n,
            data={"state": "open" if n % 4 else "done", "n": n, "deep": {"ä": n % 2 == 0}},
        ).is_success
    return tracks


NEEDED: dict[str, dict[str, Any]] = {
    "journey": {"userName": "u1"},
    "task": {"taskId": "a1"},
    "funnel": {"steps": ["a0", '{"taskId":"a1","data.state":"open"}']},
    "funnel-tracks": {"steps": ["a0", '{"taskId":"a1","data.state":"open"}']},
    "retention-tracks": {"cohort": "1970-W01"},
    "paths-tracks": {"source": "a0", "gap": "2d"},
}


def report(service: Running, name: str, **parameters: Any) -> dict[str, Any]:
    answer = service.client.get(f"{REPORTS_AT}/{name}", params=parameters)
    assert answer.status_code == 200, answer.text
    value: dict[str, Any] = answer.json()
    return value


# By name


@pytest.mark.parametrize("name", REPORTS)
def test_each_report_is_that_of_the_storage(filled: Running, database: str, name: str) -> None:
    at = {"at": 86_400 * 12} if name in ("present", "runs") else {}
    table = report(filled, name, **NEEDED.get(name, {}), **at)
    given = {**NEEDED.get(name, {}), **at}
    if "steps" in given:
        given["steps"] = ["a0", {"taskId": "a1", "state": "open"}]
    with open_storage(database, "tracks", Comment) as storage:
        assert table == json.loads(run_report(storage, name, given).to_json())
    assert Table.from_dict(table).name == name


def test_criteria_and_parameters(filled: Running) -> None:
    table = report(filled, "top", what="userName", top=1, **{"data.state": "done", "taskId": "a*"})
    assert [row[:2] for row in table["rows"]] == [["u0", 3]]
    assert table["parameters"] == {"what": "userName", "by": "tracks", "top": 1, "detail": "all"}
    assert table["criteria"] == {"state": ["done"], "taskId": ["a*"]}
    table = report(filled, "counts", unit="week", timezone="Europe/Berlin", taskId=["a0", "a1"])
    assert sum(row[-1] for row in table["rows"]) == 8
    table = report(filled, "top", what="deep.ä", timeFrom="1970-01-02", timeTo=86_400 * 4)
    assert [row[:2] for row in table["rows"]] == [[False, 2], [True, 2]]
    table = report(filled, "present", within="3d", at=86_400 * 11)
    assert table["parameters"]["within"] == 259_200
    assert report(filled, "present", within="259200", at=86_400 * 11)["rows"] == table["rows"]


def test_as_csv(filled: Running) -> None:
    answer = filled.client.get(
        f"{REPORTS_AT}/top", params={"what": "userName"}, headers={"Accept": "text/csv"}
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    head, *rows = csv.reader(answer.text.splitlines())
    assert head[:2] == ["userName", "tracks"]
    assert [row[:2] for row in rows] == [["u0", "6"], ["u1", "6"]]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("nosuch", 404, "There is nothing at this path"),
        ("top?top=x", 422, "top must be a whole number"),
        ("top?top=0", 422, "top must be from 1 to 10,000"),
        ("top?top=1&top=2", 422, "top must be given once"),
        ("top?limit=1", 400, "'limit' is no criterion of a report"),
        ("top?state=open", 400, "There is no criterion 'state'"),
        ("top?data.9=open", 400, "no attribute of data"),
        ("counts?unit=year", 422, "unit must be one of minute"),
        ("counts?timezone=Mars", 422, "timezone must be a time zone"),
        ("present?within=soon", 422, "within: A duration is like"),
        ("journey", 422, "needs 'userName'"),
        ("funnel", 422, "needs 'steps'"),
        ("funnel?steps={", 422, "must be a task id, a prefix 'abc*' or a JSON object"),
        ('funnel?steps={"state":1}', 400, "There is no criterion 'state'"),
        ('funnel?steps={"data.9":1}', 400, "There is no criterion '9'"),
    ],
)
def test_what_is_wrong_is_told(filled: Running, path: str, status: int, says: str) -> None:
    answer = filled.client.get(f"{REPORTS_AT}/{path}")
    assert answer.status_code == status, answer.text
    assert says in answer.json()["detail"]


def test_read_scope_is_asked_for(database: str) -> None:
    with running(database, TokenGate()) as service:
        assert service.client.get(f"{REPORTS_AT}/top").status_code == 401
        assert service.client.post(AGGREGATE, json={}).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert service.client.get(f"{REPORTS_AT}/top", headers=headers).status_code == 200


# Questions


def test_a_question_is_answered(filled: Running) -> None:
    question = {
        "ask": "groups",
        "criteria": {"taskId": ["a0", "a1*"], "data.state": "open"},
        "keys": ["userName", {"field": ["deep", "ä"]}],
        "measures": ["tracks", "last"],
    }
    answer = filled.client.post(AGGREGATE, json=question)
    assert answer.status_code == 200, answer.text
    rows = sorted(answer.json()["rows"])
    assert rows == [["u0", True, 2, 86_400.0 * 10], ["u1", False, 4, 86_400.0 * 9]]


GROUPS = {"ask": "groups", "measures": ["tracks"]}
BEHIND_FUNNEL = {"ask": "behind", "of": {"ask": "funnel", "per": "runId", "steps": [{}, {}]}}
SPREAD = {"ask": "spread", "unit": ["taskId"], "measure": "tracks"}


@pytest.mark.parametrize(
    ("question", "status", "says"),
    [
        ([], 422, "The question must be an object"),
        ({}, 422, "ask must be one of groups, spread"),
        ({"ask": "drop"}, 422, "ask must be one of groups, spread"),
        ({**GROUPS, "limit": 1}, 422, "groups has no 'limit'"),
        ({**GROUPS, "criteria": []}, 422, "criteria must be an object"),
        ({**GROUPS, "criteria": {"x": 1}}, 400, "no criterion is 'x'"),
        ({**GROUPS, "criteria": {"taskId": None}}, 422, "taskId must be a value"),
        ({**GROUPS, "criteria": {"taskId": ""}}, 422, "criteria: taskId must not be empty"),
        ({**GROUPS, "keys": ["data; DROP TABLE x"]}, 422, r"keys[0] must be one of taskId"),
        ({**GROUPS, "keys": [{"field": ['a"b']}]}, 422, "keys[0].field[0] must be a name"),
        ({**GROUPS, "keys": [{"field": []}]}, 422, "must have from 1 to 100 items"),
        ({**GROUPS, "keys": [{"periods": [2, 1]}]}, 422, "must be ascending"),
        ({**GROUPS, "keys": [{"periods": [1, 2]}] * 2}, 422, "may have periods once"),
        ({**GROUPS, "keys": [1]}, 422, "keys[0] must be an object"),
        ({**GROUPS, "measures": ["count(*)"]}, 422, "measures[0] must be one of tracks"),
        ({**GROUPS, "measures": []}, 422, "measures must have from 1"),
        ({**GROUPS, "measures": ["tracks"] * 2}, 422, "the same twice"),
        ({**GROUPS, "top": 1.5}, 422, "top must be a whole number"),
        ({**GROUPS, "top": 1 << 60}, 422, "top must be from 0"),
        ({**SPREAD, "by": ["userName"]}, 422, "by[0] must be one of taskId"),
        ({**SPREAD, "percentiles": [0]}, 422, "percentiles[0] must be from 1 to 100"),
        ({"ask": "runSpread"}, 422, "abandoned must be a number of seconds"),
        ({"ask": "cohorts", "periods": [1]}, 422, "must have from 2"),
        ({"ask": "funnel", "per": "runId", "steps": [{}] * 21}, 422, "from 1 to 20 items"),
        ({"ask": "paths", "per": "taskId"}, 422, "per must be one of userName, runId"),
        ({"ask": "paths", "per": "runId", "gap": -1}, 422, "gap must be from 0"),
        ({"ask": "behind"}, 422, "of must be an object"),
        ({"ask": "behind", "of": {"ask": "behind"}}, 422, "ask must be one of cohorts, funnel"),
        ({"ask": "behind", "of": GROUPS}, 422, "of must be a question of the kind cohorts"),
        ({**BEHIND_FUNNEL, "step": 2}, 422, "step must be from 0 to 1"),
        ({**BEHIND_FUNNEL, "step": 0, "isLost": True}, 422, "step must be from 1 to 1"),
        ({**BEHIND_FUNNEL, "step": 1, "isLost": 1}, 422, "isLost must be true or false"),
        ({**BEHIND_FUNNEL, "step": 1, "source": "a"}, 422, "behind has no 'source'"),
        ({**BEHIND_FUNNEL, "step": 1, "top": 10_001}, 422, "top must be from 1 to 10,000"),
        ({**BEHIND_FUNNEL, "step": 1, "after": [1]}, 422, "after must be a list of a track's"),
        (
            {"ask": "behind", "of": {"ask": "cohorts", "periods": [1, 2]}, "first": 0, "place": 1},
            422,
            "place must be from 0 to 0",
        ),
        ({"ask": "behind", "of": {"ask": "paths", "per": "runId"}}, 422, "source must be text"),
    ],
)
def test_a_question_that_is_none(filled: Running, question: Any, status: int, says: str) -> None:
    answer = filled.client.post(AGGREGATE, json=question)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["detail"]


def test_a_question_in_another_language(filled: Running) -> None:
    answer = filled.client.post(AGGREGATE, content=b"x", headers={"Content-Type": "text/sql"})
    assert answer.status_code == 415


# The codec

TEXTS = st.sampled_from(["a", "abc*", "1", "é😀", " x"])
VALUES = TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
CRITERIA = st.fixed_dictionaries(
    {},
    optional={
        "taskId": TEXTS | st.lists(TEXTS),
        "runId": st.integers() | st.lists(st.integers()),
        "userName": TEXTS,
        "timeStamp": st.integers(-10, 1 << 34),
        "state": VALUES | st.lists(VALUES),
        "timeFrom": st.floats(-1e9, 1e11),
        "timeTo": st.sampled_from(["2026-03-01", "1960-01-01"]) | st.floats(-1e9, 1e11),
        "limit": st.integers(0, 1 << 70),
        "after": st.just("0000007"),
        "order": st.sampled_from(["id", "-timeStamp"]),
    },
).map(lambda given: parse_criteria(("state",), given))
NUMBERS = st.integers(0, 1 << 53)


def edges(numbers: st.SearchStrategy[int], least: int = 0) -> st.SearchStrategy[tuple[int, ...]]:
    return st.sets(numbers, min_size=least, max_size=6).map(lambda found: tuple(sorted(found)))


PERCENTILES = st.lists(st.integers(1, 100), max_size=3).map(tuple)
PERIODS = st.builds(Periods, edges(st.integers(-(1 << 53), 1 << 53), 2))
NAMES = st.sampled_from(["taskId", "runId", "userName"])
FIELDS = st.builds(
    Field, st.lists(st.sampled_from(["a", "b.c", "taskId", "ä"]), min_size=1).map(tuple)
)
SOME_KEYS = st.lists(NAMES | FIELDS, max_size=3)
KEYS = st.builds(lambda keys, periods: (*keys, *periods), SOME_KEYS, st.lists(PERIODS, max_size=1))
MEASURES = st.lists(
    st.sampled_from(["tracks", "tasks", "users", "runs", "first", "last"]), min_size=1, unique=True
).map(tuple)
SECONDS = st.none() | st.floats(0, 2.0**33)
PER = st.sampled_from(["userName", "runId"])
TOP = st.none() | NUMBERS
COHORTS = st.builds(Cohorts, CRITERIA, PERIODS)
FUNNELS = st.builds(
    Funnel, CRITERIA, st.lists(CRITERIA, min_size=1, max_size=3).map(tuple), SECONDS, PER
)
PATHS = st.builds(Paths, CRITERIA, PER, SECONDS, TOP)
NUMBERED: st.SearchStrategy[Any] = st.one_of(
    st.builds(Reached, FUNNELS, st.just(0)),
    FUNNELS.filter(lambda funnel: len(funnel.steps) > 1).map(lambda of: Reached(of, 1, True)),
    st.builds(Returned, COHORTS, st.just(0), st.just(0)),
    st.builds(Moved, PATHS, TEXTS, st.none() | TEXTS),
)
BEHIND = st.builds(
    Behind,
    NUMBERED,
    st.just(()) | MEASURES,
    st.none() | st.tuples(st.floats(0, 2.0**33), NUMBERS),
    st.integers(1, 10_000),
)
QUESTIONS: st.SearchStrategy[Any] = st.one_of(
    st.builds(Groups, CRITERIA, KEYS, MEASURES, TOP),
    st.builds(
        Spread,
        CRITERIA,
        st.permutations(["taskId", "runId", "userName"]).map(tuple),
        st.sampled_from(["duration", "tracks", "runs"]),
        st.sampled_from([(), ("taskId",), ("userName", "runId")]),
        PERCENTILES,
        edges(NUMBERS),
    ),
    st.builds(RunSpread, CRITERIA, st.floats(0, 2.0**33), PERCENTILES, edges(NUMBERS)),
    COHORTS,
    FUNNELS,
    PATHS,
    BEHIND,
)
CELLS = st.none() | VALUES


@given(QUESTIONS)
def test_a_question_comes_back(question: Any) -> None:
    assert question_from(decode(encode(question_json(question)))) == question


@given(st.lists(st.lists(CELLS).map(tuple)))
def test_an_answer_comes_back(rows: list[tuple[Any, ...]]) -> None:
    assert repr(answer_from(decode(encode(answer_json(rows))))) == repr(rows)


def test_a_lone_surrogate_is_left_out() -> None:
    criteria = parse_criteria(("state",), {"state": ["\ud800", "a"]})
    (match,) = criteria_from_json(criteria_json(criteria)).matches
    assert match.values == ("a",)


JSON = st.recursive(
    st.none() | VALUES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=5
)


@given(QUESTIONS, st.data())
def test_whatever_comes_is_a_question_or_refused_in_words(
    question: Any, data: st.DataObject
) -> None:
    value = question_json(question)
    value[data.draw(st.sampled_from([*value, "other"]))] = data.draw(JSON)
    with suppress(TrackingError):
        assert question_json(question_from(json.loads(json.dumps(value))))
