"""Cells: how many tracks a task, a user or a run has in a day, week, month, or in all.

They are of the tracks up to a number. What is pending, the tracks after it and the changes of those
before it, is added in the same statements, so that an answer is what the tracks themselves give.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

from cybertools.tracking.criteria import Match
from cybertools.tracking.questions import (
    DIFFERENT,
    Answer,
    Cohorts,
    Groups,
    Measure,
    Periods,
    Question,
)
from cybertools.tracking.sql.aggregates import MICRO, answer_from, bound_for, cohorts_among
from cybertools.tracking.sql.days import ALL, DAY, LEVELS, Days
from cybertools.tracking.sql.statements import Bound, Dialect, Tables

__all__ = ["KINDS", "Cells", "can_answer", "series", "zone_of"]

KINDS = ("taskId", "userName", "runId")
"""What has cells of its own."""

LEVELS_OF = {"taskId": LEVELS, "userName": LEVELS, "runId": (DAY, ALL)}
"""Runs are about as many as their cells, and nobody asks for those of each week or month."""

COUNTED = {measure: name for name, measure in DIFFERENT.items()}

Times: TypeAlias = tuple[float | None, float | None]
"""From when to when, both included; None where it is open."""

Number: TypeAlias = tuple[int, int]
"""How many keys there are, and how many tracks."""


def can_answer(question: Question) -> bool:
    """Whether cells say enough for the question: of all tracks within some times."""
    if question.criteria.matches:
        return False
    if isinstance(question, Cohorts):
        return True
    if not isinstance(question, Groups):
        return False
    numbers = {*question.measures} - {"first", "last"}
    match question.keys:
        case ():
            return bool(numbers)
        case (Periods(),):
            return question.top is None and numbers == {*question.measures}
        case ("taskId" | "userName",):
            return question.top is not None and question.measures[0] == "tracks"
    return False


def zone_of(question: Question) -> str | None:
    """The time zone whose days a question is about, if it is about days."""
    if isinstance(question, Cohorts):
        return question.periods.timezone
    if not isinstance(question, Groups):
        return None
    return next((key.timezone for key in question.keys if isinstance(key, Periods)), None)


def series(zone: int, kind: str, level: int) -> int:
    """The number of the cells of a zone that are of one kind and one length."""
    return 16 * zone + 4 * KINDS.index(kind) + level


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a time zone, as a connection sees them."""

    connection: Any
    tables: Tables
    dialect: Dialect
    zone: int
    days: Days
    upto: int
    """They are of the tracks up to this number."""
    span: tuple[float, float]
    """All times of tracks and changes are within."""
    has_changes: bool
    """Something may be taken away from them again."""

    # Adding what is pending

    def add_pending(self, ceiling: int) -> None:
        """Bring the cells up to date with the tracks up to that number."""
        cells = self.tables.rollup("cells")
        for kind in KINDS:
            pending = self._pending(kind, ceiling)
            parts: list[Bound] = []
            for level in LEVELS_OF[kind]:
                part = self._at(level, Bound("SELECT * FROM pending"))
                number = series(self.zone, kind, level)
                parts.append(
                    Bound(
                        f"SELECT {number}, period, key, n FROM ({part.sql}) AS l{level}"
                        " WHERE n <> 0",
                        part.values,
                    )
                )
            self.connection.execute(
                f"WITH pending AS MATERIALIZED ({pending.sql})"
                f" INSERT INTO {cells} AS c (series, period, key, tracks)"
                f" {' UNION ALL '.join(part.sql for part in parts)}"
                " ON CONFLICT (series, period, key)"
                " DO UPDATE SET tracks = c.tracks + excluded.tracks",
                [*pending.values, *(value for part in parts for value in part.values)],
            )

    def count_wrong(self) -> int:
        """How many cells say something else than the tracks."""
        found = 0
        for kind in KINDS:
            counted = self._pending(kind, self.upto, since=0)
            changed = self._pending(kind, self.upto)
            truth = Bound(
                f"SELECT day, key, n FROM ({counted.sql}) AS counted UNION ALL"
                f" SELECT day, key, -n FROM ({changed.sql}) AS changed",
                [*counted.values, *changed.values],
            )
            for level in LEVELS_OF[kind]:
                part = self._at(level, truth)
                cells = (
                    f"SELECT period, key, -tracks FROM {self.tables.rollup('cells')}"
                    f" WHERE series = {series(self.zone, kind, level)}"
                )
                wrong = (
                    f"SELECT count(*) FROM (SELECT 1 AS one FROM ({part.sql} UNION ALL {cells})"
                    " AS both_of GROUP BY period, key HAVING sum(n) <> 0) AS wrong"
                )
                found += self.connection.execute(wrong, part.values).fetchone()[0]
        return found

    def _pending(self, kind: str, ceiling: int | None = None, since: int | None = None) -> Bound:
        """Rows of ``day, key, n``: what the cells do not say yet, or not since that number."""
        since = self.upto if since is None else since
        key = self._key(kind)
        tracks = f"SELECT timeStamp, {key} AS key, 1 AS n FROM {self.tables.tracks}"
        tracks += " WHERE number > ?" + ("" if ceiling is None else " AND number <= ?")
        changes = f"SELECT timeStamp, {key}, n FROM {self.tables.rollup('changes')}"
        changes += " WHERE number <= ?"
        day = self._place(self.days.starts, *self.span)
        return Bound(
            f"SELECT {day.sql} AS day, key, {TOTAL} AS n FROM ({tracks} UNION ALL {changes})"
            " AS single GROUP BY 1, 2",
            [*day.values, since, *([] if ceiling is None else [ceiling]), since],
        )

    def _key(self, kind: str) -> str:
        return self.dialect.run_key if kind == "runId" else kind

    def _at(self, level: int, rows: Bound) -> Bound:
        """Rows of ``period, key, n`` at that level, of those by days."""
        if level == DAY:
            period = Bound("day")
        elif level == ALL:
            period = Bound("0")
        else:
            first, last = map(self.days.day, self.span)
            period = self._place(self.days.bounds[level], first, last)
        return Bound(
            f"SELECT {period.sql} AS period, key, {TOTAL} AS n FROM (SELECT day,"
            f" CAST(day AS double precision) AS timeStamp, key, n FROM ({rows.sql}) AS by_day)"
            f" AS by_period{level} GROUP BY 1, 2",
            [*period.values, *rows.values],
        )

    def _place(self, bounds: Sequence[int], low: float, high: float) -> Bound:
        """The place of ``timeStamp`` among the bounds, of which only those around are looked at."""
        first = max(bisect_right(bounds, low) - 1, 0)
        end = min(bisect_right(bounds, high), len(bounds) - 1)
        place = self.dialect.period(bounds[min(first, end - 1) : end + 1])
        return Bound(f"({place.sql}) + {min(first, end - 1)}", place.values)

    # Answering

    def answer(self, question: Groups | Cohorts) -> Answer | None:
        """The answer to a question that `can_answer` is True of; None where edges are no days'."""
        times = self._bounds(question.criteria.time_from, question.criteria.time_to)
        if isinstance(question, Cohorts):
            return self._cohorts(times, question.periods.edges)
        match question.keys:
            case ():
                return [self._totals(times, question.measures)]
            case (Periods() as periods,):
                return self._by_period(times, periods.edges, question.measures)
        (kind,) = question.keys
        rows = self._within(str(kind), times)
        most = self._all(
            f"SELECT key, n FROM ({rows.sql}) AS found ORDER BY n DESC, key LIMIT ?",
            [*rows.values, question.top],
        )
        if question.measures == ("tracks",) or not most:
            return most
        return self._about(question, Match(str(kind), tuple(key for key, _ in most)))

    def _bounds(self, low: float | None, high: float | None) -> Times:
        """The times, open where nothing is beyond: so all time is recognized, and has own cells."""
        first, last = self.span
        return (
            None if low is None or low <= first else low,
            None if high is None or high >= last else high,
        )

    def _about(self, question: Groups, match: Match) -> Answer:
        """What cells do not have, counted of the tracks of the highest alone."""
        criteria = replace(question.criteria, matches=(match,))
        question = replace(question, criteria=criteria, top=None)
        bound = bound_for(question, self.tables, self.dialect)
        rows = answer_from(question, self._all(bound.sql, bound.values), self.dialect)
        return sorted(rows, key=lambda row: (-row[1], row[0]))

    def _totals(self, times: Times, measures: Sequence[Measure]) -> tuple[Any, ...]:
        found: dict[str, Number] = {}
        kinds = {COUNTED[m] for m in measures if m in COUNTED} or {"taskId"}
        for kind in kinds:
            if times == (None, None):
                found[kind] = self._of_periods(kind, ALL, 0, 1).get(0, (0, 0))
            else:
                found[kind] = self._number(kind, times)
        (_, tracks), *_ = found.values()
        return tuple(
            tracks
            if m == "tracks"
            else found[COUNTED[m]][0]
            if m in COUNTED
            else self._end("min" if m == "first" else "max", times)
            for m in measures
        )

    def _by_period(
        self, times: Times, edges: Sequence[int], measures: Sequence[Measure]
    ) -> Answer | None:
        found = self.days.periods(edges)
        kinds = {COUNTED[m] for m in measures if m in COUNTED} or {"taskId"}
        if found is None or any(found[0] not in LEVELS_OF[kind] for kind in kinds):
            return None
        level, first = found
        whole, cut = _inside(times, edges)
        numbers: dict[str, dict[int, Number]] = {}
        for kind in kinds:
            periods = self._of_periods(kind, level, first + whole.start, first + whole.stop)
            numbers[kind] = {place - first: each for place, each in periods.items()}
            for place, part in cut.items():
                numbers[kind][place] = self._number(kind, part)
        tracks = {place: each[1] for place, each in next(iter(numbers.values())).items()}
        return [
            (
                place,
                *(n if m == "tracks" else numbers[COUNTED[m]][place][0] for m in measures),
            )
            for place, n in tracks.items()
            if n
        ]

    def _cohorts(self, times: Times, edges: Sequence[int]) -> Answer | None:
        """Who came in which period is what users' cells say, and of parts their days' cells."""
        found = self.days.periods(edges)
        if found is None:
            return None
        level, first = found
        whole, cut = _inside(times, edges)
        pending = self._at(level, self._pending("userName"))
        inside = "period >= ? AND period < ?"
        own = f"series = {series(self.zone, 'userName', level)} AND {inside}"
        bounds = [first + whole.start, first + whole.stop]
        cells = self.tables.rollup("cells")
        parts = [
            f"SELECT key, period - {first} AS p, tracks AS n FROM {cells} WHERE {own}",
            f"SELECT key, period - {first}, n FROM ({pending.sql}) AS pending WHERE {inside}",
        ]
        values = [*bounds, *pending.values, *bounds]
        for place, part in cut.items():
            rows = self._within("userName", part)
            parts.append(f"SELECT key, {place}, n FROM ({rows.sql}) AS part{place}")
            values += rows.values
        seen = (
            f"SELECT key AS userName, p FROM ({' UNION ALL '.join(parts)}) AS parts"
            " GROUP BY key, p HAVING sum(n) > 0"
        )
        return self._all(cohorts_among(seen, len(edges) - 1), values)

    def _of_periods(self, kind: str, level: int, first: int, end: int) -> dict[int, Number]:
        """How many keys and tracks there are in each period from the first to before the end."""
        cells, number = self.tables.rollup("cells"), series(self.zone, kind, level)
        found: dict[int, Number] = {
            period: (keys, tracks)
            for period, keys, tracks in self._all(
                f"SELECT period, count(*), CAST(sum(tracks) AS bigint) FROM {cells}"
                f" WHERE series = {number} AND period >= ? AND period < ? GROUP BY period",
                [first, end],
            )
        }
        pending = self._at(level, self._pending(kind))
        for period, keys, tracks in self._all(
            "SELECT p.period, sum(CASE WHEN coalesce(c.tracks, 0) + p.n > 0 THEN 1 ELSE 0 END"
            f" - CASE WHEN c.tracks IS NULL THEN 0 ELSE 1 END), CAST(sum(p.n) AS bigint)"
            f" FROM ({pending.sql}) AS p LEFT JOIN {cells} c"
            f" ON c.series = {number} AND c.period = p.period AND c.key = p.key"
            " WHERE p.period >= ? AND p.period < ? GROUP BY p.period",
            [*pending.values, first, end],
        ):
            had = found.get(period, (0, 0))
            found[period] = had[0] + keys, had[1] + tracks
        return found

    def _number(self, kind: str, times: Times) -> Number:
        """How many keys and tracks there are within the times."""
        if self.has_changes:
            rows, count = self._within(kind, times), "count(*)"
        else:
            # Each part adds: nothing has to be put together first, which takes three times as long.
            rows, count = self._parts(kind, times), "count(DISTINCT key)"
        sql = f"SELECT {count}, CAST(coalesce(sum(n), 0) AS bigint) FROM ({rows.sql}) AS found"
        ((keys, tracks),) = self._all(sql, rows.values)
        return keys, tracks

    def _within(self, kind: str, times: Times) -> Bound:
        """Rows of ``key, n`` within the times, one for each key."""
        parts = self._parts(kind, times)
        return Bound(
            f"SELECT key, {TOTAL} AS n FROM ({parts.sql}) AS parts GROUP BY key HAVING sum(n) > 0",
            parts.values,
        )

    def _parts(self, kind: str, times: Times) -> Bound:
        """Rows of ``key, n`` within the times: of whole days from cells, of parts from tracks.

        Several of a key, whose numbers are to be added up.
        """
        cells, key = self.tables.rollup("cells"), self._key(kind)
        first, end = self.days.whole(*times)
        level, parts, values = DAY, list[str](), list[Any]()
        if times == (None, None):
            level, first, end = ALL, 0, 1
        if first < end:
            inside = "period >= ? AND period < ?"
            stretches = [(ALL, 0, 1)]
            if level == DAY:
                stretches = [*self.days.longest(LEVELS_OF[kind], first, end)]
            for each, *bounds in stretches:
                number = series(self.zone, kind, each)
                parts.append(
                    f"SELECT key, tracks AS n FROM {cells} WHERE series = {number} AND {inside}"
                )
                values += bounds
            pending = self._at(level, self._pending(kind))
            parts.append(f"SELECT key, n FROM ({pending.sql}) AS p WHERE {inside}")
            values += [*pending.values, first, end]
        for low, high in [times] if first >= end else self._rest(times, first, end):
            where = _between(low, high)
            parts.append(f"SELECT {key} AS key, 1 AS n FROM {self.tables.tracks}{where.sql}")
            values += where.values
        return Bound(" UNION ALL ".join(parts), values)

    def _rest(self, times: Times, first: int, end: int) -> Iterable[Times]:
        """What the times have before and after the whole days."""
        if times == (None, None):
            return
        (low, high), starts = times, self.days.starts
        if low is not None and low < starts[first]:
            yield low, starts[first] - MICRO
        if high is not None and high >= starts[end]:
            yield starts[end], high

    def _end(self, which: str, times: Times) -> float | None:
        where = _between(*times)
        sql = f"SELECT {which}(timeStamp) FROM {self.tables.tracks}{where.sql}"
        ((time,),) = self._all(sql, where.values)
        return None if time is None else float(time)

    def _all(self, sql: str, values: Sequence[Any]) -> Answer:
        return [*map(tuple, self.connection.execute(sql, values).fetchall())]


TOTAL = "CAST(sum(n) AS bigint)"  # a sum of PostgreSQL's is of a type of any number of digits


def _between(low: float | None, high: float | None) -> Bound:
    bounds = [("timeStamp >= ?", low), ("timeStamp <= ?", high)]
    where = " AND ".join(condition for condition, value in bounds if value is not None)
    return Bound(f" WHERE {where}" if where else "", [v for _, v in bounds if v is not None])


def _inside(times: Times, edges: Sequence[int]) -> tuple[range, dict[int, Times]]:
    """The places of the periods that are within the times, and of others what is within."""
    low, high = times
    whole: list[int] = []
    cut: dict[int, Times] = {}
    for place, (start, following) in enumerate(pairwise(edges)):
        end = following - MICRO
        if (low is None or low <= start) and (high is None or high >= end):
            whole.append(place)
        elif (low is None or low <= end) and (high is None or high >= start):
            first = start if low is None else max(low, start)
            cut[place] = first, end if high is None else min(high, end)
    return (range(whole[0], whole[-1] + 1) if whole else range(0)), cut
