"""The engine behind HTTP: each call is a request to a service that keeps the same contract.

A save has an idempotency key, if not the caller's then one that is made here, so that it can be
sent again when its answer was lost: it is stored once.
"""

import itertools
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from cybertools.tracking import questions
from cybertools.tracking.codec import (
    Item,
    encode,
    info_from,
    item_json,
    parameters_of,
    row_from,
    row_from_line,
    row_json,
    run_from,
    saved_from,
)
from cybertools.tracking.codec.contents import (
    key_line,
    number_from,
    run_line,
    run_row_from_line,
    spent_key_from_line,
)
from cybertools.tracking.codec.questions import answer_from, question_json
from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import (
    InvalidRun,
    InvalidValue,
    SchemaError,
    StorageError,
    StorageNotFound,
    StorageUnavailable,
    Unsupported,
)
from cybertools.tracking.interfaces import Change, Engine, Info, Outcome, Receipt, RunState, Saved
from cybertools.tracking.record import Record
from cybertools.tracking.remote.caller import (
    FORM,
    JSON,
    LINES,
    Answer,
    Ask,
    Broken,
    Caller,
    TooLarge,
    Tries,
)
from cybertools.tracking.remote.upload import Body, packed, spooled
from cybertools.tracking.track import Row, Run, RunRow
from cybertools.tracking.values import track_id

__all__ = ["KEY_PREFIX", "RemoteEngine", "names_at"]

T = TypeVar("T")

KEY_PREFIX = "retry:"
"""What the keys begin with that are made here."""

PAGE = 1_000
"""Tracks or runs that are asked for at a time; a service gives no more."""

RUNS = 5_000
"""Runs that are opened at a time; a service opens no more."""

PART = 4_000_000
"""Bytes of runs or keys that are sent at a time, give or take one of them."""

LONG_QUERY = 4_000
"""Bytes of a query up to which it is part of the URL."""


class RemoteEngine(Engine):
    """A storage of a service."""

    def __init__(self, caller: Caller, name: str, attributes: tuple[str, ...]) -> None:
        self._caller = caller
        self._name = name
        self._attributes = attributes
        self._place = caller.address.place_of(name)
        self._tracks = f"{self._place}/tracks"
        self._runs = f"{self._place}/runs"
        self._contents = f"{self._place}/contents"
        self._keys = _keys()
        self._process = os.getpid()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._place}>"

    # Saving

    def save(self, record: Record) -> Saved:
        """See `Engine.save`."""
        return self._save(Item(record))

    def save_over(self, record: Record, change: Change, timed: bool) -> Saved:
        """See `Engine.save_over`."""
        return self._save(Item(record, change, timed))

    def _save(self, item: Item) -> Saved:
        is_own = item.record.key is None
        body = packed(item_json(item._replace(record=self._keyed(item.record))))
        saved = saved_from(self._answer(Ask("POST", self._tracks, body=body)).json)
        if is_own and saved.outcome == "duplicate":  # of an earlier try
            return Saved(saved.number, _FIRST_OUTCOME[item.change])
        return saved

    def save_all(self, records: Iterable[Record]) -> Receipt:
        """See `Engine.save_all`."""
        self._caller.check_open()
        own = bytearray()

        def lines() -> Iterator[bytes]:
            for record in records:
                own.append(record.key is None)
                yield item_json(Item(self._keyed(record))) + b"\n"

        with spooled(lines()) as body:
            if body is None:
                return Receipt([], [])
            ask = Ask("POST", self._tracks, (("atomic", "true"),), body, LINES)
            try:
                outcomes = self._answer(ask).json["outcomes"]
            except InvalidRun as error:
                # Which of the tracks it was is told by the storage, as for all engines.
                error.args = (_PLACE.sub("", str(error)),)
                raise
            except TooLarge as error:
                raise InvalidValue(f"{error} A batchSize of saveUserTracks does that.") from error
        numbers: list[int] = []
        duplicates: list[int] = []
        for place, saved in enumerate(map(saved_from, outcomes)):
            numbers.append(saved.number)
            if saved.outcome == "duplicate" and not own[place]:
                duplicates.append(place)
        return Receipt(numbers, duplicates)

    def _keyed(self, record: Record) -> Record:
        """The record with a key."""
        if record.key is not None:
            return record
        if self._process != os.getpid():  # a fork would count on with the same keys
            self._keys, self._process = _keys(), os.getpid()
        return record._replace(key=next(self._keys))

    def update(self, number: int, json: str, overwrite: bool) -> bool:
        """See `Engine.update`."""
        body = packed(b'{"data":%s}' % json.encode())
        parameters = (("overwrite", "true"),) if overwrite else ()
        ask = Ask("PATCH", self._track(number), parameters, body, missing=NO_TRACK)
        return not self._answer(ask).is_missing

    def remove(self, number: int) -> bool:
        """See `Engine.remove`."""
        answer = self._answer(Ask("DELETE", self._track(number), missing=NO_TRACK))
        return not answer.is_missing or answer.in_doubt

    # Reading

    def last(self, taskId: str, runId: int, userName: str) -> Row | None:
        """See `Engine.last`."""
        parameters = (("taskId", taskId), ("userName", userName), ("runId", str(runId)))
        answer = self._answer(Ask("GET", f"{self._tracks}/last", parameters, missing=NO_TRACK))
        return None if answer.is_missing else row_from_line(answer.body)

    def select(self, criteria: Criteria) -> list[Row]:
        """See `Engine.select`."""
        limit = criteria.limit
        page = criteria if limit is not None and limit <= PAGE else replace(criteria, limit=PAGE)
        ask = self._query(page, JSON)
        if ask is None:
            return []
        found = self._answer(ask).json
        if page is not criteria and found["next"] is not None:
            # Not page by page: all of it is of one moment.
            rows = [*self.stream(criteria)]
        else:
            rows = [*map(row_from, found["tracks"])]
        named = _with_a_star(criteria)
        return [row for row in rows if all(row[place] in values for place, values in named)]

    def stream(self, criteria: Criteria) -> Iterator[Row]:
        """See `Engine.stream`."""
        ask = self._query(criteria, LINES)
        tries = Tries(self._caller)
        while ask is not None:
            last, count = 0, 0
            try:
                for row in map(row_from_line, self._lines(ask)):
                    yield row
                    last, count = row[0], count + 1
                return
            except Broken as error:
                # In another order, a track that was changed meanwhile might come twice.
                if criteria.order != "id":
                    raise StorageUnavailable(str(error)) from error
                if count:
                    tries = Tries(self._caller)
                    left = None if criteria.limit is None else criteria.limit - count
                    criteria = replace(criteria, after=last, limit=left)
                    ask = self._query(criteria, LINES)
                tries.wait(error)

    def _lines(self, ask: Ask) -> Iterator[bytes]:
        rest = b""
        with self._caller.parts(ask) as parts:
            for part in parts:
                *lines, rest = (rest + part).split(b"\n")
                yield from lines
        if rest:
            raise Broken(f"{ask.url}: the answer ends within a line.")

    def count(self, criteria: Criteria) -> int:
        """See `Engine.count`."""
        ask = self._query(criteria, JSON, "/count", "/count")
        return 0 if ask is None else int(self._answer(ask).json["count"])

    def track(self, number: int) -> Row | None:
        """See `Engine.track`."""
        answer = self._answer(Ask("GET", self._track(number), missing=NO_TRACK))
        return None if answer.is_missing else row_from_line(answer.body)

    def numbers(self) -> Iterator[int]:
        """See `Engine.numbers`."""
        return (row[0] for row in self.stream(Criteria()))

    def user_names(self, taskId: str) -> list[str]:
        """See `Engine.user_names`."""
        answer = self._answer(Ask("GET", f"{self._place}/users", (("taskId", taskId),)))
        return [*answer.json["userNames"]]

    def task_ids(self) -> list[str]:
        """See `Engine.task_ids`."""
        return [*self._answer(Ask("GET", f"{self._place}/tasks")).json["taskIds"]]

    # Counting

    def aggregate(self, question: questions.Question) -> questions.Answer:
        """See `Engine.aggregate`."""
        ask = self._post(f"{self._place}/aggregate", question_json(question))
        return answer_from(self._answer(ask._replace(is_long=True)).json)

    # Runs

    def start_run(self, taskId: str | None) -> int:
        """See `Engine.start_run`."""
        ask = self._post(f"{self._runs}/start", {"taskId": taskId})
        return int(self._answer(ask._replace(is_repeatable=False)).json["runId"])

    def stop_run(self, taskId: str | None, runId: int, finish: bool) -> int:
        """See `Engine.stop_run`."""
        wanted = {"taskId": taskId, "runId": runId, "finish": finish}
        answer = self._answer(self._post(f"{self._runs}/stop", wanted))
        stopped = int(answer.json["runId"])
        if not stopped and answer.in_doubt:
            # Where there is such a run, an earlier try has stopped it.
            run = self.run(runId)
            return runId if run is not None and taskId in (None, run.taskId) else 0
        return stopped

    def open_run(self, taskId: str, label: str) -> int:
        """See `Engine.open_run`."""
        ask = self._post(f"{self._runs}/open", {"taskId": taskId, "label": label})
        return int(self._answer(ask).json["runId"])

    def open_runs(self, places: Sequence[tuple[str, str]]) -> list[int]:
        """See `Engine.open_runs`."""
        opened: list[int] = []
        for start in range(0, len(places), RUNS):
            some = [{"taskId": t, "label": label} for t, label in places[start : start + RUNS]]
            opened += self._answer(self._post(f"{self._runs}/open", some)).json["runIds"]
        return opened

    def run(self, runId: int) -> Run | None:
        """See `Engine.run`."""
        answer = self._answer(Ask("GET", f"{self._runs}/{runId}", missing=NO_RUN))
        return None if answer.is_missing else run_from(answer.json)

    def current_run(self, taskId: str) -> int:
        """See `Engine.current_run`."""
        ask = Ask("GET", f"{self._runs}/current", (("taskId", taskId),), missing=NO_RUN)
        answer = self._answer(ask)
        return 0 if answer.is_missing else int(answer.json["runId"])

    def runs(self, state: RunState, after: int = 0) -> Iterator[Run]:
        """See `Engine.runs`."""
        while True:
            parameters = (("state", state), ("after", str(after)), ("limit", str(PAGE)))
            found = self._answer(Ask("GET", self._runs, parameters)).json
            for run in map(run_from, found["runs"]):
                after = run.id
                yield run
            if found["next"] is None:
                return

    def count_runs(self, state: RunState) -> int:
        """See `Engine.count_runs`."""
        answer = self._answer(Ask("GET", f"{self._runs}/count", (("state", state),)))
        return int(answer.json["count"])

    # Moving

    def place(self) -> str:
        """See `Engine.place`."""
        return self._place

    def highest(self) -> int:
        """See `Engine.highest`."""
        answer = self._answer(Ask("GET", self._contents, is_long=True))
        return number_from(answer.json["highest"], "highest", least=0)

    def run_rows(self) -> Iterator[RunRow]:
        """See `Engine.run_rows`."""
        return self._contents_lines("runs", run_row_from_line)

    def spent_keys(self) -> Iterator[tuple[str, int]]:
        """See `Engine.spent_keys`."""
        return self._contents_lines("keys", spent_key_from_line)

    def _contents_lines(self, what: str, read: Callable[[bytes], T]) -> Iterator[T]:
        """What there is, and where the connection breaks the rest."""
        tries = Tries(self._caller)
        after = ""
        while True:
            has_come = False
            parameters = (("after", after),) if after else ()
            try:
                for line in self._lines(
                    Ask("GET", f"{self._contents}/{what}", parameters, accept=LINES)
                ):
                    item: Any = read(line)
                    yield item
                    after, has_come = str(item[0]), True
                return
            except Broken as error:
                if has_come:
                    tries = Tries(self._caller)
                tries.wait(error)

    def put_runs(self, rows: list[RunRow]) -> None:
        """See `Engine.put_runs`."""
        self._put("runs", map(run_line, rows))

    def put_tracks(self, rows: list[Row]) -> None:
        """See `Engine.put_tracks`.

        :raises InvalidValue: they are more than the service takes at a time.
        """
        with spooled(row_json(row) + b"\n" for row in rows) as body:
            if body is None:
                return
            answer = self._answer(_putting(f"{self._contents}/tracks", body, missing=NUMBER_TAKEN))
        if answer.is_missing and not (answer.in_doubt and self._has(rows)):
            raise StorageError("There is a track of one of these ids already. Nothing is stored.")

    def _has(self, rows: list[Row]) -> bool:
        """Whether an earlier try has stored all of them."""
        return all(self.track(row[0]) == row for row in (rows[0], rows[-1]))

    def put_keys(self, keys: list[tuple[str, int]]) -> None:
        """See `Engine.put_keys`."""
        self._put("keys", map(key_line, keys))

    def _put(self, what: str, lines: Iterator[bytes]) -> None:
        """Have lines stored that may be stored again, some at a time."""
        for some in _parts(lines):
            self._answer(_putting(f"{self._contents}/{what}", packed(some)))

    def retire(self, number: int) -> None:
        """See `Engine.retire`."""
        self._answer(self._post(f"{self._contents}/retire", {"highest": track_id(number)}))

    # Keeping

    def reindex(self) -> None:
        """See `Engine.reindex`."""
        self._answer(Ask("POST", f"{self._place}/reindex", is_long=True))

    def setup_indexes(self) -> None:
        """See `Engine.setup_indexes`."""
        self._answer(self._make()._replace(is_long=True))

    def enter(self) -> None:
        """Make the storage if it is not there.

        :raises StorageNotFound: there is none that the token may read, and it may not make it.
        """
        names = names_at(self._caller)
        # To a token that may only write, the first save tells whether the storage is there.
        if names is None or self._name in names:
            return
        if self._answer(self._make()._replace(missing=FORBIDDEN)).is_missing:
            raise StorageNotFound(
                f"There is no storage {self._name!r} that the token may read at"
                f" {self._caller.address.url}, and it may not make one."
            )

    def _make(self) -> Ask:
        """What makes the storage, and the indexes that it has not yet."""
        body = packed(encode({"indexAttributes": self._attributes}))
        return Ask("PUT", self._place, body=body)

    def transaction(self) -> AbstractContextManager[None]:
        """See `Engine.transaction`."""
        raise Unsupported(
            "There are no transactions over HTTP: one call of saveUserTracks stores all of its"
            " tracks or none."
        )

    def info(self) -> Info:
        """See `Engine.info`."""
        return info_from(self._answer(Ask("GET", f"{self._place}/info", is_long=True)).json)

    def check(self) -> list[str]:
        """See `Engine.check`."""
        return [*self._answer(Ask("GET", f"{self._place}/check", is_long=True)).json["findings"]]

    def close(self) -> None:
        """See `Engine.close`."""
        self._caller.close()

    # Requests

    def _answer(self, ask: Ask) -> Answer:
        return self._caller.answer(ask)

    def _track(self, number: int) -> str:
        return f"{self._tracks}/{track_id(number)}"

    def _post(self, url: str, value: Any) -> Ask:
        return Ask("POST", url, body=packed(encode(value)))

    def _query(
        self, criteria: Criteria, accept: str, short: str = "", long: str = "/query"
    ) -> Ask | None:
        """What asks for the tracks that meet criteria; None where none can.

        :param short: the end of the URL; ``long``: where the criteria are in the body.
        """
        matches = tuple(match.storable for match in criteria.matches)
        criteria = replace(criteria, matches=matches)
        if criteria.is_empty:
            self._caller.check_open()
            return None
        parameters = tuple(parameters_of(criteria))
        query = urlencode(parameters)
        if len(query) <= LONG_QUERY:
            return Ask("GET", self._tracks + short, parameters, accept=accept)
        body = Body(query.encode(), len(query), is_packed=False)
        return Ask("POST", self._tracks + long, body=body, kind=FORM, accept=accept)


def _with_a_star(criteria: Criteria) -> list[tuple[int, tuple[Any, ...]]]:
    """The places in a row, and values, of names that end with ``*``: a URL has them as prefixes."""
    places = {"taskId": 1, "userName": 3}
    return [
        (places[match.name], match.values)
        for match in criteria.matches
        if match.name in places and any(str(value).endswith("*") for value in match.values)
    ]


def names_at(caller: Caller) -> list[str] | None:
    """The sorted names of the storages that the token may read; None if it may only write.

    :raises SchemaError: there is something else at that address.
    """
    address = caller.address.url
    answer = caller.answer(Ask("GET", f"{address}/api/storages", missing=FORBIDDEN), is_first=True)
    if answer.is_missing:
        return None
    found = answer.json
    if not isinstance(found, dict) or "storages" not in found:
        raise SchemaError(f"{address} is no tracks service: it does not name its storages.")
    return [*found["storages"]]


NO_TRACK, NO_RUN, NUMBER_TAKEN = "track-not-found", "run-not-found", "number-taken"
FORBIDDEN = "forbidden"

_FIRST_OUTCOME: dict[Change | None, Outcome] = {
    None: "stored",
    "replace": "replaced",
    "merge": "updated",
    "overwrite": "updated",
}
"""What a save without a key became, whose second try met the first. For one that changes a track
it is the ordinary outcome; that it made a new one is not told twice."""


def _putting(url: str, body: Body, missing: str = "") -> Ask:
    return Ask("PUT", url, body=body, kind=LINES, is_long=True, missing=missing)


def _parts(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines, as many at a time as are well below what a service takes."""
    part = bytearray()
    for line in lines:
        part += line + b"\n"
        if len(part) > PART:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)


_PLACE = re.compile(r"^(tracks\[\d+\]: )+")


def _keys() -> Iterator[str]:
    """Keys that nobody else has. They grow, so that the index of keys grows at one place."""
    begin = f"{KEY_PREFIX}{secrets.token_urlsafe(9)}:"
    # Not a generator, which only one thread may be in.
    return map(f"{begin}{{:08x}}".format, itertools.count())
