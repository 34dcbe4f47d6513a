"""The statements that answer questions about many tracks: counted in the database.

Each is made of the same few parts: the condition of the criteria, expressions for keys and
measures, subqueries one within the other. What differs between databases is their `Dialect`'s.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.questions import (
    DIFFERENT,
    Answer,
    Behind,
    Cohorts,
    Field,
    Funnel,
    Groups,
    Key,
    Measure,
    Paths,
    Periods,
    Question,
    RunSpread,
    Spread,
    Summary,
)
from cybertools.tracking.sql.statements import Bound, Dialect, Tables, parts_for
from cybertools.tracking.values import TIME_LIMIT

__all__ = [
    "MEASURES",
    "MICRO",
    "answer_from",
    "answer_to_nothing",
    "bound_for",
    "can_be_wide",
    "cohorts_among",
    "condition",
    "first_reached",
    "is_long",
    "is_wide",
    "last_reached",
    "paths_before",
]

NAMES = ("taskId", "runId", "userName")

FEW_STEPS = 6
"""Up to so many steps of a funnel without a window have a statement of their own, which is the
quicker one. In it each step names the one before twice: with every step, SQLite takes twice as long
to prepare it (6: 10 ms), and from 15 on it refuses to."""

MEASURES: dict[Measure, str] = {
    "tracks": "count(*)",
    "tasks": "count(DISTINCT taskId)",
    "users": "count(DISTINCT userName)",
    "runs": "count(DISTINCT runId)",
    "first": "min(timeStamp)",
    "last": "max(timeStamp)",
}

MERGES: dict[Measure, str] = {
    "tracks": "CAST(sum({}) AS bigint)",
    "first": "min({})",
    "last": "max({})",
}
"""Of the measures that can be put together: how, of those of several groups."""


def bound_for(question: Summary, tables: Tables, dialect: Dialect, is_wide: bool = False) -> Bound:
    """The statement that answers a question whose criteria are not empty, and its values.

    :param is_wide: a good part of all tracks is within its times: see `can_be_wide`.
    """
    if isinstance(question, Groups):
        return _groups(question, tables, dialect, is_wide)
    if isinstance(question, Spread):
        return _spread(question, tables, dialect)
    if isinstance(question, RunSpread):
        return _run_spread(question, tables, dialect)
    if isinstance(question, Cohorts):
        return _cohorts(question, tables, dialect)
    if isinstance(question, Funnel):
        return _funnel(question, tables, dialect)
    return paths_before(question, None, tables, dialect)


def answer_from(question: Summary, rows: Sequence[Any], dialect: Dialect) -> Answer:
    """The rows of the statement as the answer has them."""
    if isinstance(question, Spread | RunSpread):
        place = len(question.by) if isinstance(question, Spread) else 1
        return [tuple(row) for row in rows if row[place]]
    if not isinstance(question, Groups):
        return [*map(tuple, rows)]
    for place, key in enumerate(question.keys):
        if isinstance(key, Periods):
            # Tracks outside are counted as well, in places of their own: a condition that keeps
            # them out would make databases read along the index by time, track by track.
            rows = [row for row in rows if 0 <= row[place] < len(key.edges) - 1]
    if _only_periods(question) is not None:
        rows = [row for row in rows if row[1]]
    if not any(isinstance(key, Field) for key in question.keys):
        return [*map(tuple, rows)]
    decode = [dialect.field_value if isinstance(key, Field) else None for key in question.keys]
    decode += [None] * len(question.measures)
    return [
        tuple(c if d is None else d(c) for c, d in zip(row, decode, strict=True)) for row in rows
    ]


def answer_to_nothing(question: Question) -> Answer:
    """The answer where the criteria are empty: there are no tracks."""
    if isinstance(question, Funnel):
        return [(0,) * len(question.steps)]
    if isinstance(question, Behind) and not question.measures:
        return []
    if isinstance(question, Behind) or (isinstance(question, Groups) and not question.keys):
        return [tuple(None if m in ("first", "last") else 0 for m in question.measures)]
    return []


# Groups


WIDE = 0.2
"""From that part of all time on, reading an index that has the answer from its beginning to its end
takes less time than looking up each track that the index by time finds."""


def can_be_wide(question: Question) -> bool:
    """Whether it matters how much of all time the question is about: an index has the answer."""
    return (
        isinstance(question, Groups)
        and len(question.keys) == 1
        and question.keys[0] in NAMES
        and not question.criteria.matches
    )


def is_wide(criteria: Criteria, first: float, last: float) -> bool:
    """Whether the times of the criteria are a good part of those from the first to the last."""
    low, high = criteria.time_from, criteria.time_to
    start = first if low is None else max(low, first)
    end = last if high is None else min(high, last)
    return end - start >= WIDE * (last - first)


def _groups(question: Groups, tables: Tables, dialect: Dialect, is_wide: bool = False) -> Bound:
    keys, measures = question.keys, question.measures
    if not keys and question.criteria == Criteria() and {*measures} <= {"first", "last"}:
        # Each end of an index by itself: together they would be a scan.
        ends = (f"(SELECT {MEASURES[m]} FROM {tables.tracks})" for m in measures)
        return Bound(f"SELECT {', '.join(ends)}")
    criteria, values = question.criteria, list[Any]()
    columns: list[str] = []
    is_raw = _is_raw(question, dialect)
    for key in keys:
        criteria = criteria if question.top is None else _within(criteria, key)
        column = _key(key, dialect, is_raw)
        columns.append(f"{column.sql} AS k{len(columns)}")
        values += column.values
    if (periods := _only_periods(question)) is not None:
        found = dialect.by_period(
            tables.tracks,
            periods.edges,
            [MEASURES[m] for m in measures],
            question.criteria.time_from,
            question.criteria.time_to,
        )
        if found is not None:
            return found
    where = _where(criteria, dialect)
    source, one_each = tables.tracks, False
    if is_wide:
        # Not by the index by time: that finds each track, and then all else about it is looked up.
        where = Bound(where.sql.replace("timeStamp", f"{dialect.unsorted}timeStamp"), where.values)
        if keys == ("userName",) and {*measures} <= {*DIFFERENT.values()}:
            # Equal ones stand beside each other in the index, which begins with the task.
            of_run = ", runId" if "runs" in measures else ""
            source = f"(SELECT DISTINCT taskId, userName{of_run} FROM {source}{where.sql}) AS seen"
            where = Bound("", where.values)
            one_each = measures == ("tasks",)
    if question.top is not None and len(measures) > 1 and len(keys) == 1 and keys[0] in NAMES:
        # The highest first, and all else about these only.
        first = _groups(replace(question, measures=measures[:1]), tables, dialect, is_wide)
        also = f"{columns[0].partition(' ')[0]} IN (SELECT k0 FROM ({first.sql}) AS highest)"
        joined = f"{where.sql} AND {also}" if where.sql else f" WHERE {also}"
        where = Bound(joined, [*where.values, *first.values])
    counted = {**MEASURES, "tasks": "count(*)"} if one_each else MEASURES
    columns += (f"{counted[m]} AS m{place}" for place, m in enumerate(measures))
    places = ", ".join(str(place + 1) for place in range(len(keys)))
    sql = f"SELECT {', '.join(columns)} FROM {source}{where.sql}"
    sql += f" GROUP BY {places}" if keys else ""
    if is_raw:
        sql = _merged(sql, question, dialect)
    values += where.values
    if question.top is not None:
        order = ["m0 DESC"]
        for place, key in enumerate(keys):
            name = f"k{place}"
            order.append(dialect.field_order(name) if isinstance(key, Field) else name)
        sql = f"SELECT * FROM ({sql}) AS found ORDER BY {', '.join(order)} LIMIT ?"
        values.append(question.top)
    return Bound(sql, values)


def _is_raw(question: Groups, dialect: Dialect) -> bool:
    """Whether to group by fields as they are spelled, and by their values afterwards.

    So what a spelling means is found once for each. Numbers of different things cannot be added.
    """
    has_fields = any(isinstance(key, Field) for key in question.keys)
    return has_fields and bool(dialect.spelled("k0")) and {*question.measures} <= {*MERGES}


def _merged(sql: str, question: Groups, dialect: Dialect) -> str:
    """The groups of all spellings of a value as one."""
    columns = [
        f"{dialect.spelled(name)} AS {name}" if isinstance(key, Field) else name
        for name, key in ((f"k{place}", key) for place, key in enumerate(question.keys))
    ]
    columns += (MERGES[m].format(f"m{i}") + f" AS m{i}" for i, m in enumerate(question.measures))
    places = ", ".join(str(place + 1) for place in range(len(question.keys)))
    return f"SELECT {', '.join(columns)} FROM ({sql}) AS spelled GROUP BY {places}"


def _only_periods(question: Groups) -> Periods | None:
    """The periods, where numbers of all tracks in each are asked for."""
    if len(question.keys) != 1 or question.top is not None or question.criteria.matches:
        return None
    (key,) = question.keys
    are_numbers = not {*question.measures} & {"first", "last"}
    return key if are_numbers and isinstance(key, Periods) else None


def _key(key: Key, dialect: Dialect, is_raw: bool) -> Bound:
    if isinstance(key, Field):
        return dialect.spelling(key.path) if is_raw else dialect.field(key.path)
    if isinstance(key, Periods):
        return dialect.period(key.edges)
    return Bound(key)


def _within(criteria: Criteria, key: Key) -> Criteria:
    """The criteria, and within the periods if the key is of these."""
    if not isinstance(key, Periods):
        return criteria
    return criteria.within(float(key.edges[0]), key.edges[-1] - MICRO)


MICRO = 0.000001
"""Time stamps are whole microseconds: there is none between an edge and so much before it."""


def _where(criteria: Criteria, dialect: Dialect) -> Bound:
    (part,) = parts_for(replace(criteria, limit=None, after=None, order="id"), dialect, None)
    return Bound(part.where, part.values)


# Spreads


def _spread(question: Spread, tables: Tables, dialect: Dialect) -> Bound:
    where = _where(question.criteria, dialect)
    value = {
        "duration": dialect.micros("max(timeStamp) - min(timeStamp)"),
        "tracks": "count(*)",
        "runs": "count(DISTINCT runId)",
    }[question.measure]
    unit = ", ".join(question.unit)
    units = f"SELECT {unit}, {value} AS v FROM {tables.tracks}{where.sql} GROUP BY {unit}"
    return _distribution(Bound(units, where.values), question.by, question, dialect)


def _run_spread(question: RunSpread, tables: Tables, dialect: Dialect) -> Bound:
    among = ""
    values: list[Any] = []
    join = "LEFT JOIN"
    if question.criteria != Criteria():
        where = _where(question.criteria, dialect)
        among = f" WHERE runId IN (SELECT runId FROM {tables.tracks}{where.sql})"
        values += where.values
        join = "JOIN"
    tracks = (
        "SELECT runId, min(timeStamp) AS first, max(timeStamp) AS last"
        f" FROM {tables.tracks}{among} GROUP BY runId"
    )
    spans = (
        "SELECT finished, CASE WHEN first < startedAt THEN first ELSE startedAt END AS began,"
        " CASE WHEN stoppedAt IS NULL THEN coalesce(last, startedAt)"
        " WHEN last > stoppedAt THEN last ELSE stoppedAt END AS ended"
        f" FROM {tables.runs} r {join} ({tracks}) t ON t.runId = r.id"
    )
    states = (
        "SELECT CASE WHEN finished THEN 'finished'"
        f" WHEN ended < {dialect.time_value} THEN 'abandoned' ELSE 'open' END AS state,"
        f" {dialect.micros('ended - began')} AS v FROM ({spans}) AS spans"
    )
    units = Bound(states, [question.abandoned, *values])
    return _distribution(units, ("state",), question, dialect)


def _distribution(
    units: Bound, by: Sequence[str], asked: Spread | RunSpread, dialect: Dialect
) -> Bound:
    """How the values ``v`` of units are spread; of runs also those of all states together.

    Equal values are put together first: so many numbers are summed up, and not so many rows ranked.
    """
    names = ", ".join(by)
    percentiles = [*map(dialect.percentile, asked.percentiles)]
    ranks = not all(percentiles)
    sql = f"SELECT {', '.join([*by, 'v'])}, 1 AS k FROM ({units.sql}) AS units"
    if ranks or not percentiles:
        sql = f"{sql.replace('1 AS k', 'count(*) AS k')} GROUP BY {', '.join([*by, 'v'])}"
    if isinstance(asked, RunSpread):
        sql = (
            f"WITH one AS ({sql}) SELECT state, v, k FROM one UNION ALL SELECT NULL, v, k FROM one"
        )
    if ranks:
        window = f"PARTITION BY {names} " if by else ""
        sql = (
            f"SELECT {', '.join([*by, 'v', 'k'])}, sum(k) OVER ({window}ORDER BY v) AS r,"
            f" sum(k) OVER ({window}) AS n FROM ({sql}) AS one"
        )
        percentiles = [
            f"min(CASE WHEN r * 100 >= n * {each} THEN v END)" for each in asked.percentiles
        ]
    columns = [*by, _total("k"), _total("v * k"), "min(v)", "max(v)", *percentiles]
    for edge, end in zip(asked.edges, (*asked.edges[1:], None), strict=False):
        below = "" if end is None else f" AND v < {end:d}"
        columns.append(_total(f"CASE WHEN v >= {edge:d}{below} THEN k ELSE 0 END"))
    group = f" GROUP BY {names}" if by else ""
    return Bound(f"SELECT {', '.join(columns)} FROM ({sql}) AS spread{group}", units.values)


def _total(expression: str) -> str:
    # A sum of PostgreSQL's is of a type that keeps any number of digits.
    return f"CAST(sum({expression}) AS bigint)"


# One after the other


def _cohorts(question: Cohorts, tables: Tables, dialect: Dialect) -> Bound:
    place = dialect.period(question.periods.edges)
    where = _where(question.criteria, dialect)
    seen = f"SELECT userName, {place.sql} AS p FROM {tables.tracks}{where.sql} GROUP BY 1, 2"
    return Bound(
        cohorts_among(seen, len(question.periods.edges) - 1), [*place.values, *where.values]
    )


def cohorts_among(seen: str, periods: int) -> str:
    """The cohorts, of which user was seen in which period: rows of ``userName, p``."""
    firsts = (
        f"SELECT p, min(p) OVER (PARTITION BY userName) AS f FROM ({seen}) AS seen"
        f" WHERE p >= 0 AND p < {periods}"
    )
    return f"SELECT f, p, count(*) FROM ({firsts}) AS firsts GROUP BY 1, 2"


def _funnel(question: Funnel, tables: Tables, dialect: Dialect) -> Bound:
    """Without a window, when each step was first reached is all that matters."""
    if is_long(question):
        return _furthest(question, tables, dialect)
    parts, _ = first_reached(question, tables, dialect)
    numbers = (f"(SELECT count(t{place}) FROM f{place})" for place in range(len(question.steps)))
    return Bound(f"WITH {parts.sql} SELECT {', '.join(numbers)}", parts.values)


def is_long(question: Funnel) -> bool:
    """Whether times of all tracks are to be looked at, and not the first ones only."""
    return question.window is not None or len(question.steps) > FEW_STEPS


def first_reached(question: Funnel, tables: Tables, dialect: Dialect) -> tuple[Bound, list[Bound]]:
    """In ``f1`` is when each user first reached each step up to the second: ``t0``, ``t1``.

    Times are enough but where two tracks have the same one; only there numbers are looked up.

    :returns: these parts of a statement, and of each the number of the track by which the user of
        a row ``p`` of it first reached the step.
    """
    base = condition(question.criteria, dialect)
    parts: list[str] = []
    values: list[Any] = []
    numbers: list[Bound] = []
    number = Bound("")
    for place, step in enumerate(question.steps):
        own = condition(step, dialect)
        meets = Bound(f"({own.sql}) AND ({base.sql})", [*own.values, *base.values])
        columns = [f"min(t{before}) AS t{before}" for before in range(place)]
        reached = "timeStamp"
        join = after = ""
        if place:
            before = f"t{place - 1}"
            join = f" JOIN f{place - 1} p ON who = {question.per} AND timeStamp >= {before}"
            # Not a condition: its cost, foreseen and hardly ever spent, would decide how to join.
            reached = (
                f"CASE WHEN timeStamp > {before} OR number > ({number.sql}) THEN timeStamp END"
            )
            values += number.values
            after = f" AND (t{place} > {before} OR number > ({number.sql}))"
        columns.append(f"min({reached}) AS t{place}")
        found = f"SELECT {question.per} AS who, {', '.join(columns)} FROM {tables.tracks} x{join}"
        parts.append(f"f{place} AS ({found} WHERE {meets.sql} GROUP BY {question.per})")
        values += meets.values
        number = Bound(
            f"SELECT min(number) FROM {tables.tracks} WHERE {question.per} = p.who"
            f" AND timeStamp = p.t{place} AND {meets.sql}{after}",
            [*meets.values, *number.values],
        )
        numbers.append(number)
    return Bound(", ".join(parts), values), numbers


def _furthest(question: Funnel, tables: Tables, dialect: Dialect) -> Bound:
    parts, reached = last_reached(question, tables, dialect)
    most = (f"max(CASE WHEN {r} THEN 1 ELSE 0 END) AS h{i}" for i, r in enumerate(reached))
    furthest = f"SELECT who, {', '.join(most)} FROM s{len(reached) - 1} GROUP BY who"
    numbers = (f"coalesce({_total(f'h{place}')}, 0)" for place in range(len(reached)))
    return Bound(
        f"WITH {parts.sql} SELECT {', '.join(numbers)} FROM ({furthest}) AS furthest", parts.values
    )


def last_reached(question: Funnel, tables: Tables, dialect: Dialect) -> tuple[Bound, list[str]]:
    """Each step reads that of the step before.

    In it ``l1`` is when the first step was last reached, before a track; ``l2`` the second. They
    stand beside each other: twenty, one within the other, are deeper than SQLite can parse.

    :returns: these parts of a statement, and of each step whether a track of the last one (``t`` is
        its time, ``n`` its number) reaches it.
    """
    window = TIME_LIMIT if question.window is None else question.window
    conditions = [condition(step, dialect) for step in question.steps]
    base = condition(question.criteria, dialect)
    flags = ", ".join(f"({c.sql}) AS m{place}" for place, c in enumerate(conditions))
    any_of = " OR ".join(f"({c.sql})" for c in conditions)
    values = [value for c in conditions for value in c.values]
    tracks = (
        f"SELECT {question.per} AS who, timeStamp AS t, number AS n, {flags}"
        f" FROM {tables.tracks} WHERE ({base.sql}) AND ({any_of})"
    )
    parts = [f"s0 AS ({tracks})"]
    values = [*values, *base.values, *values]
    reached = ["m0"]
    frame = "PARTITION BY who ORDER BY t, n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    for place in range(1, len(conditions)):
        before = f"max(CASE WHEN {reached[-1]} THEN t END) OVER ({frame}) AS l{place}"
        parts.append(f"s{place} AS (SELECT *, {before} FROM s{place - 1})")
        reached.append(f"m{place} AND t - l{place} <= {window!r}")
    return Bound(", ".join(parts), values), reached


def condition(criteria: Criteria, dialect: Dialect) -> Bound:
    """The criteria as a condition by itself."""
    if criteria.is_empty:
        return Bound("1 = 0")
    where = _where(criteria, dialect)
    return Bound(where.sql.removeprefix(" WHERE ") or "1 = 1", where.values)


def paths_before(question: Paths, end: float | None, tables: Tables, dialect: Dialect) -> Bound:
    """The paths; only those that begin before a time, where there is one."""
    where = _where(question.criteria, dialect)
    # In order of the index by user one would look at all tracks for those of a few days.
    per = dialect.unsorted + question.per
    gap = "" if question.gap is None else f"CASE WHEN later - t <= {question.gap!r} THEN "
    steps = (
        "SELECT taskId AS task, timeStamp AS t, lead(taskId) OVER w AS next,"
        f" lead(timeStamp) OVER w AS later FROM {tables.tracks}{where.sql}"
        f" WINDOW w AS (PARTITION BY {per} ORDER BY timeStamp, number)"
    )
    began = Bound("") if end is None else Bound(" WHERE t < ?", [end])
    moves = f"SELECT task, {gap}next{' END' if gap else ''} AS next FROM ({steps}) AS steps"
    sql = (
        f"SELECT task, next, count(*) AS times FROM ({moves}{began.sql}) AS moves"
        " WHERE next IS NULL OR next <> task GROUP BY 1, 2"
        " ORDER BY 3 DESC, 1, 2 NULLS FIRST"
    )
    values = [*where.values, *began.values]
    if question.top is None:
        return Bound(sql, values)
    return Bound(f"{sql} LIMIT ?", [*values, question.top])
