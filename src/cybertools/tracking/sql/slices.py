"""Slices of time: what was counted in each once, and is added up.

Steps from task to task, and the values of a field, can only be counted from the tracks themselves.
What was counted of a slice stays right until a track in it, or shortly after it, appears, goes or
changes; then it is that slice alone which is counted again. All else is the sum of its parts,
however many users, tasks or zones there are: a time that begins or ends within a slice is put
together of whole ones and of tracks.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from itertools import chain
from math import ceil, floor
from time import monotonic
from typing import Any, TypeAlias, TypeGuard

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.questions import Answer, Field, Groups, Paths, Question, order_of
from cybertools.tracking.sql.aggregates import MICRO, answer_from, bound_for, paths_before
from cybertools.tracking.sql.statements import Dialect, Tables

__all__ = ["Kept", "Sliced", "Slices", "Times", "can_slice", "name_of"]

LENGTH = 86_400
"""Seconds of a slice; slice 0 begins with 1970 UTC."""

MOST_ROWS = 2_000
"""A question that has more in a slice is not kept: it would take as much room as the tracks."""

MOST_SLICES = 4_000
"""With more days from the first track to the last one, all is counted at once."""

MOST_RESTS = 64
"""With more gaps between the slices that are of use, all is counted at once."""

Sliced: TypeAlias = Groups | Paths

Times: TypeAlias = tuple[float | None, float | None]
"""From when to when, both included; None where it is open."""


def can_slice(question: Question) -> TypeGuard[Sliced]:
    """Whether the answer is the sum of those of slices of time."""
    if question.criteria.matches:
        return False
    if isinstance(question, Paths):
        # A track reaches back into no other slice than the one before its own.
        return question.gap is not None and 0 <= question.gap <= LENGTH - 1
    if not isinstance(question, Groups) or question.measures != ("tracks",):
        return False
    return len(question.keys) == 1 and isinstance(question.keys[0], Field)


def name_of(question: Sliced) -> str:
    """What the question is kept as, whatever its times and its number of rows are."""
    if isinstance(question, Paths):
        return json.dumps(["paths", question.per, question.gap])
    paths = (key.path for key in question.keys if isinstance(key, Field))
    return json.dumps(["field", *chain(*paths)])


def _question_of(name: str) -> Sliced:
    kind, *rest = json.loads(name)
    if kind == "paths":
        return Paths(Criteria(), *rest)
    return Groups(Criteria(), (Field(tuple(rest)),), ("tracks",))


@dataclass(frozen=True, slots=True)
class Kept:
    """A question whose slices are kept."""

    id: int
    name: str
    upto: int
    """Tracks of higher numbers may be missing in the slices; -1 where there are to be none."""

    @property
    def is_of_data(self) -> bool:
        """Whether the answer becomes another one with the data of a track."""
        return isinstance(_question_of(self.name), Groups)


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices of a question, as a connection sees them."""

    connection: Any
    tables: Tables
    dialect: Dialect
    kept: Kept
    span: tuple[float, float]
    """All times of tracks and changes are within."""
    is_pending: bool
    """There may be tracks or changes that the slices know nothing of."""

    @property
    def _question(self) -> Sliced:
        return _question_of(self.kept.name)

    @property
    def _reach(self) -> float:
        """How long after its end a slice's answer depends on tracks."""
        question = self._question
        return (question.gap or 0) + 1 if isinstance(question, Paths) else 0

    @property
    def _is_long(self) -> bool:
        """Whether there are too many: one track of the far future is enough for that."""
        return self.span[1] - self.span[0] > MOST_SLICES * LENGTH

    # Keeping them

    def settle(self, settled: int) -> None:
        """Forget those that have changed; the others are of all tracks up to that number."""
        where, values = "question = ?", [self.kept.id]
        if not self._is_long:
            condition, changed = self.dialect.any_of("slice", sorted(self.changed()))
            where, values = f"{where} AND {condition}", [*values, *changed]
        self.connection.execute(f"DELETE FROM {self.tables.rollup('slices')} WHERE {where}", values)
        self._set_upto(max(settled, self.kept.upto))

    def changed(self) -> set[int]:
        """Those that tracks or changes are pending of."""
        if not self.is_pending:
            return set()
        first = floor((self.span[0] - self._reach) / LENGTH)
        end = floor(self.span[1] / LENGTH) + 1
        place = self.dialect.period(range(first * LENGTH, (end + 1) * LENGTH, LENGTH))
        pending = (
            f"SELECT timeStamp FROM {self.tables.tracks} WHERE number > ?"
            f" UNION ALL SELECT timeStamp FROM {self.tables.rollup('changes')}"
        )
        found = set[int]()
        for shift in {0, self._reach}:
            rows = self.connection.execute(
                f"SELECT DISTINCT {place.sql} FROM (SELECT timeStamp - {shift} AS timeStamp"
                f" FROM ({pending}) AS pending) AS shifted",
                [*place.values, self.kept.upto],
            )
            found.update(first + number for (number,) in rows.fetchall())
        return found

    def missing(self, times: Times) -> list[int]:
        """Those within the times that are not kept, but for the last one with tracks.

        That one changes with each track that is saved.
        """
        if self.kept.upto < 0 or self._is_long:
            return []
        low, high = times
        first = floor(self.span[0] / LENGTH)
        end = floor(self.span[1] / LENGTH)
        first = first if low is None else max(first, ceil(low / LENGTH))
        end = end if high is None else min(end, floor(high / LENGTH))
        there = {number for (number,) in self._between("slice", first, end)} | self.changed()
        return [number for number in range(first, end) if number not in there]

    def make(self, wanted: Sequence[int], seconds: float) -> int:
        """Make some of those, in about so much time; how many were made."""
        until = monotonic() + seconds
        made = 0
        for number in wanted:
            rows = self._counted(self._question, number * LENGTH, (number + 1) * LENGTH, None)
            if len(rows) > MOST_ROWS:
                self._set_upto(-1)
                self.connection.execute(
                    f"DELETE FROM {self.tables.rollup('slices')} WHERE question = ?",
                    (self.kept.id,),
                )
                return len(wanted)
            self.connection.execute(
                f"INSERT INTO {self.tables.rollup('slices')} (question, slice, answer)"
                " VALUES (?, ?, ?)",
                (self.kept.id, number, _written(rows)),
            )
            made += 1
            if monotonic() > until:
                break
        return made

    def count_wrong(self) -> int:
        """How many that have not changed say something else than the tracks."""
        if self._is_long:
            return 0
        changed = self.changed()
        return sum(
            sorted(json.loads(answer), key=str) != sorted(json.loads(_written(rows)), key=str)
            for number, answer in self._between("slice, answer", None, None)
            if number not in changed
            for rows in [
                self._counted(self._question, number * LENGTH, (number + 1) * LENGTH, None)
            ]
        )

    def _set_upto(self, upto: int) -> None:
        self.connection.execute(
            f"UPDATE {self.tables.rollup('questions')} SET upto = ? WHERE id = ?",
            (upto, self.kept.id),
        )

    # Answering

    def answer(self, question: Sliced) -> Answer | None:
        """The answer to the question with its times; None where slices are of little use."""
        if self._is_long:
            return None
        low, high = question.criteria.time_from, question.criteria.time_to
        first = None if low is None else ceil(low / LENGTH)
        # What comes within reach of a slice's end must be within the times as well.
        end = None if high is None else floor((high - self._reach) / LENGTH)
        changed = self.changed()
        kept = {n: t for n, t in self._between("slice, answer", first, end) if n not in changed}
        first_time, _ = self.span
        rests = [r for r in _rests(sorted(kept), low) if r[1] is None or r[1] > first_time]
        if not kept or len(rests) > MOST_RESTS:
            return None
        found: dict[tuple[Any, ...], int] = {}
        for text in kept.values():
            _add(found, json.loads(text))
        for start, until in rests:
            _add(found, self._counted(question, start, until, high))
        return _ordered(question, found, self.dialect)

    def _between(self, columns: str, first: int | None, end: int | None) -> list[Any]:
        """Those from the first to before the end."""
        conditions = [("slice >= ?", first), ("slice < ?", end)]
        where = "".join(f" AND {each}" for each, bound in conditions if bound is not None)
        found: list[Any] = self.connection.execute(
            f"SELECT {columns} FROM {self.tables.rollup('slices')} WHERE question = ?{where}",
            [self.kept.id, *(bound for _, bound in conditions if bound is not None)],
        ).fetchall()
        return found

    def _counted(
        self, question: Sliced, start: float | None, end: float | None, high: float | None
    ) -> list[Any]:
        """What there is from a time to before another one, of the tracks up to a third one."""
        until = high
        if end is not None:
            bound = end + self._reach if isinstance(question, Paths) else end - MICRO
            until = bound if high is None else min(bound, high)
        criteria = Criteria(time_from=start, time_to=until)
        question = replace(question, criteria=criteria, top=None)
        if isinstance(question, Paths):
            sql = paths_before(question, end, self.tables, self.dialect)
        else:
            sql = bound_for(question, self.tables, self.dialect)
        return [*map(tuple, self.connection.execute(sql.sql, sql.values).fetchall())]


def _written(rows: Iterable[Any]) -> str:
    return json.dumps([*rows], ensure_ascii=False, separators=(",", ":"))


def _rests(kept: Sequence[int], low: float | None) -> list[Times]:
    """From when to before when there is none of these slices, from a time on."""
    rests: list[Times] = []
    start = low
    for number in kept:
        if start is None or start < number * LENGTH:
            rests.append((start, number * LENGTH))
        start = (number + 1) * LENGTH
    return [*rests, (start, None)]


def _add(found: dict[tuple[Any, ...], int], rows: Iterable[Any]) -> None:
    for *parts, number in rows:
        key = tuple(parts)
        found[key] = found.get(key, 0) + number


def _ordered(question: Sliced, found: dict[tuple[Any, ...], int], dialect: Dialect) -> Answer:
    least = 0
    if question.top is not None and question.top < len(found):
        # All that can be among the highest: only these are put in order.
        least = nlargest(question.top, found.values())[-1]
    rows: Answer = [(*key, number) for key, number in found.items() if number >= least]
    if isinstance(question, Groups):
        rows = answer_from(question, rows, dialect)
    rows.sort(key=lambda row: (-row[-1], *map(order_of, row[:-1])))
    return rows if question.top is None else rows[: question.top]
