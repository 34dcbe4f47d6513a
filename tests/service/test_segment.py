"""The messages of Segment's HTTP API as tracks: what the libraries send, and what nobody should."""

from typing import Any

import pytest

from cybertools.tracking.codec import Item
from cybertools.tracking.errors import InvalidType, InvalidValue
from cybertools.tracking.service.segment import (
    MESSAGE_LIMIT,
    MESSAGES_LIMIT,
    TYPES,
    SegmentMapping,
    parse_mapping,
    read_call,
    write_key_of,
)
from cybertools.tracking.values import decode_data, parse_instant

NOW = parse_instant("2026-03-02T09:00:00Z", "now")
MESSAGE = {"userId": "ann", "event": "Opened", "messageId": "m1"}


def read(call: str, mapping: SegmentMapping | None = None, /, **body: Any) -> Item:
    """The one item of a call."""
    reading = read_call(call, body, NOW, mapping)
    assert not reading.rejected
    (item,) = reading.items.values()
    return item


def refused(call: str, /, **body: Any) -> str:
    """Why the one message of a call is refused."""
    reading = read_call(call, body, NOW)
    assert not reading.items
    assert reading.rejected.keys() == {0}
    return reading.rejected[0]


def test_a_track_message() -> None:
    item = read(
        "track",
        userId="ann",
        anonymousId="a-1",
        event="Lesson Completed",
        messageId="m1",
        properties={"score": 7, "tags": []},
        context={"library": {"name": "x"}, "sessionId": 1772442000},
        integrations={},
        writeKey="secret",
    )
    record = item.record
    assert (record.taskId, record.userName, record.key) == ("Lesson Completed", "ann", "m1")
    assert record.timeStamp == NOW
    assert item.label == "1772442000"
    assert decode_data(record.json) == {
        "anonymousId": "a-1",
        "properties": {"score": 7, "tags": []},
        "context": {"library": {"name": "x"}, "sessionId": 1772442000},
        "type": "track",
    }


@pytest.mark.parametrize(
    ("call", "message", "task"),
    [
        ("page", {"name": "Home", "properties": {"path": "/home"}}, "/home"),
        ("page", {"context": {"page": {"path": "/there"}}}, "/there"),
        ("page", {"name": "Home", "category": "Docs"}, "Docs/Home"),
        ("page", {"name": "Home"}, "Home"),
        ("page", {}, "page"),
        ("screen", {"category": "Shop", "name": "Cart"}, "Shop/Cart"),
        ("screen", {}, "screen"),
        ("identify", {"traits": {"plan": "free"}}, "identify"),
        ("group", {"groupId": "g1"}, "group"),
        ("alias", {"previousId": "a-1"}, "alias"),
    ],
)
def test_tasks_of_the_other_calls(call: str, message: dict[str, Any], task: str) -> None:
    item = read(call, userId="ann", **message)
    assert item.record.taskId == task
    data = decode_data(item.record.json)
    assert data == {"type": call, **message}


@pytest.mark.parametrize(
    ("ids", "user"),
    [
        ({"userId": "ann", "anonymousId": "a-1"}, "ann"),
        ({"userId": None, "anonymousId": "a-1"}, "a-1"),
        ({"userId": 97980}, "97980"),
        ({"userId": 0}, "0"),
    ],
)
def test_users(ids: dict[str, Any], user: str) -> None:
    assert read("track", event="x", **ids).record.userName == user


@pytest.mark.parametrize(
    "place",
    [
        {"context": {"session_id": 17}},
        {"context": {"session": {"id": "17"}}},
        {"integrations": {"Actions Amplitude": {"session_id": 17}}},
        {"properties": {"session_id": "17"}, "integrations": {"Amplitude": {"session_id": -1}}},
    ],
)
def test_places_of_a_session(place: dict[str, Any]) -> None:
    assert read("track", **MESSAGE, **place).label == "17"
    assert read("track", **MESSAGE).label is None


@pytest.mark.parametrize(
    ("timestamp", "sent", "time"),
    [
        (None, None, "2026-03-02T09:00:00Z"),
        ("2026-03-02T08:00:00.250Z", None, "2026-03-02T08:00:00.250Z"),
        # The client's clock is ten minutes late: the event was two seconds before it was sent.
        ("2026-03-02T08:49:58Z", "2026-03-02T08:50:00Z", "2026-03-02T08:59:58Z"),
        ("2027-03-02T10:00:00+01:00", "2027-03-02T09:00:01Z", "2026-03-02T08:59:59Z"),
        ("1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z", "2026-03-02T08:59:00Z"),
        ("2026-03-02T08:00:00Z", "no clock", "2026-03-02T08:00:00Z"),
    ],
)
def test_clocks_that_are_wrong(timestamp: str | None, sent: str | None, time: str) -> None:
    message = {**MESSAGE, "timestamp": timestamp}
    single = read("track", **message, sentAt=sent)
    batch = read("batch", batch=[{**message, "type": "track"}], sentAt=sent)
    assert single.record.timeStamp == batch.record.timeStamp == parse_instant(time, "time")
    data = decode_data(single.record.json)
    corrected = timestamp is not None and sent not in (None, "no clock")
    assert data.get("originalTimestamp") == (timestamp if corrected else None)


def test_a_clock_may_be_left_alone() -> None:
    item = read(
        "track",
        SegmentMapping(correctClock=False),
        **MESSAGE,
        timestamp="2026-03-02T08:00:00Z",
        sentAt="2026-03-02T08:00:01Z",
    )
    assert item.record.timeStamp == NOW - 3600


def test_a_batch_says_what_is_common() -> None:
    item = read(
        "batch",
        batch=[{**MESSAGE, "type": "track", "context": {"ip": "8.8.8.8"}}],
        context={"app": "x", "ip": "1.1.1.1"},
    )
    assert decode_data(item.record.json)["context"] == {"app": "x", "ip": "8.8.8.8"}


def test_the_good_messages_of_a_batch_are_read() -> None:
    good = {**MESSAGE, "type": "track"}
    bad = [7, {**good, "type": "tick"}, {**good, "event": ""}, {**good, "userId": "\0"}]
    reading = read_call("batch", {"batch": [good, *bad, good]}, NOW)
    assert reading.items.keys() == {0, 5}
    assert reading.rejected == {
        1: "A message must be an object, not an int.",
        2: f"A message's type must be one of {', '.join(TYPES)}, not 'tick'.",
        3: "A track message must have event.",
        4: "userName must not hold a NUL character: '\\x00'.",
    }


def test_what_a_message_must_have() -> None:
    assert refused("track", event="x") == "A message must have userId or anonymousId."
    assert "timestamp must be ISO 8601" in refused("track", **MESSAGE, timestamp="yesterday")
    assert "at most 1,000 bytes" in refused("track", userId="ann", event="x" * 1_001)
    size = MESSAGE_LIMIT - len('{"userId":"ann","event":"Opened","messageId":"m1","type":"track"}')
    room = size - len(',"properties":{"p":""}')
    assert read("track", **MESSAGE, properties={"p": "x" * room})
    assert "at most 32,768 bytes, not 32,769" in refused(
        "track", **MESSAGE, properties={"p": "x" * (room + 1)}
    )


@pytest.mark.parametrize("body", [[], "x", None, 7])
def test_a_body_must_be_an_object(body: Any) -> None:
    with pytest.raises(InvalidType, match="The body must be an object"):
        read_call("track", body, NOW)


@pytest.mark.parametrize("body", [{}, {"batch": {}}, {"batch": None}])
def test_a_batch_must_have_messages(body: Any) -> None:
    with pytest.raises(InvalidType, match="must have a list of messages"):
        read_call("batch", body, NOW)


def test_a_batch_has_a_limit() -> None:
    message = {**MESSAGE, "type": "track"}
    assert len(read_call("batch", {"batch": [message] * MESSAGES_LIMIT}, NOW).items) == 2_500
    with pytest.raises(InvalidValue, match=r"at most 2,500 messages, not 2,501"):
        read_call("batch", {"batch": [message] * (MESSAGES_LIMIT + 1)}, NOW)


def test_the_mapping_is_adjustable() -> None:
    mapping = parse_mapping(
        "page=properties.url|name, group=groupId,user=anonymousId,run=context.s"
    )
    page = {"name": "Home", "properties": {"path": "/", "url": "http://x/?a"}, "anonymousId": "a"}
    item = read("page", mapping, userId="ann", context={"s": "s1"}, **page)
    assert (item.record.taskId, item.record.userName, item.label) == ("http://x/?a", "a", "s1")
    assert read("group", mapping, anonymousId="a", groupId="g1").record.taskId == "g1"
    assert parse_mapping("") == SegmentMapping()
    assert not parse_mapping("correctClock=false").correctClock
    for bad in ("pages=x", "correctClock=maybe", "name"):
        with pytest.raises(InvalidValue, match="may be: track, page"):
            parse_mapping(bad)


def test_where_a_write_key_may_be() -> None:
    assert write_key_of({"writeKey": "k", "batch": [{"writeKey": "other"}]}) == "k"
    assert write_key_of({"batch": [{"writeKey": "k"}]}) == "k"
    nowhere: list[Any] = [{}, {"batch": []}, {"batch": [1]}, {"writeKey": 7}, [], None]
    for body in nowhere:
        assert write_key_of(body) is None
