"""The answers to questions, counted while tracks are read: for engines that have nothing quicker.

Memory is taken for what is counted, not for the tracks; but funnels and paths keep the times of the
tracks that they look at, since these are to be put in order.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from heapq import nlargest
from operator import itemgetter
from typing import Any, TypeAlias

from cybertools.tracking.criteria import Criteria, Match
from cybertools.tracking.questions import (
    Answer,
    Behind,
    Cell,
    Cohorts,
    Field,
    Funnel,
    Groups,
    Key,
    Paths,
    Periods,
    Question,
    Reached,
    Returned,
    RunCondition,
    RunSpread,
    Spread,
    Value,
    order_of,
)
from cybertools.tracking.track import Row, Run
from cybertools.tracking.values import decode_data

__all__ = ["Stream", "answered", "cut", "micros", "spread_row", "value_at"]

Stream: TypeAlias = Callable[[Criteria], Iterator[Row]]

_PLACES = {"taskId": 1, "runId": 2, "userName": 3, "timeStamp": 4}
_DIFFERENT = {"tasks": 1, "runs": 2, "users": 3}


def answered(question: Question, stream: Stream, runs: Callable[[], Iterable[Run]]) -> Answer:
    """The answer, given what reads the tracks that meet criteria, and what reads the runs."""
    criteria = question.criteria
    if isinstance(question, RunSpread):
        return _run_spread(question, stream, runs)
    if isinstance(question, Behind):
        return _behind(question, stream)
    rows = iter(()) if criteria.is_empty else stream(criteria)
    if isinstance(question, Groups):
        return _groups(question, rows)
    if isinstance(question, Spread):
        return _spread(question, rows)
    if isinstance(question, Cohorts):
        return _cohorts(question, rows)
    if isinstance(question, Funnel):
        return _funnel(question, rows)
    return _paths(question, rows)


# Groups


class _Group:
    """What is counted of tracks with the same keys."""

    __slots__ = ("different", "first", "last", "tracks")

    def __init__(self, different: int) -> None:
        self.tracks = 0
        self.first = self.last = None
        self.different: tuple[set[Any], ...] = tuple(set() for _ in range(different))

    first: float | None
    last: float | None


def _groups(question: Groups, rows: Iterator[Row]) -> Answer:
    getters = [_getter(key) for key in question.keys]
    places = [_DIFFERENT[m] for m in question.measures if m in _DIFFERENT]
    found: dict[tuple[Any, ...], _Group] = {}
    if not question.keys:
        found[()] = _Group(len(places))
    for row in rows:
        key = tuple(get(row) for get in getters)
        if -1 in key and _is_outside(key, question.keys):
            continue
        # A truth value is no number, though Python has them equal.
        key = tuple((k,) if isinstance(k, bool) else k for k in key)
        group = found.get(key)
        if group is None:
            group = found[key] = _Group(len(places))
        time = row[4]
        group.tracks += 1
        if group.first is None or time < group.first:
            group.first = time
        if group.last is None or time > group.last:
            group.last = time
        for place, values in zip(places, group.different, strict=True):
            values.add(row[place])
    answer = []
    for key, group in found.items():
        numbers = iter(map(len, group.different))
        measures = (
            next(numbers) if m in _DIFFERENT else getattr(group, m) for m in question.measures
        )
        answer.append((*(k[0] if isinstance(k, tuple) else k for k in key), *measures))
    return cut(answer, len(question.keys), question.top)


def cut(answer: Answer, keys: int, top: int | None) -> Answer:
    """The first rows, in the order of `Groups.top`."""
    if top is None:
        return answer
    rows: list[Any] = answer
    rows.sort(key=lambda row: (-row[keys], [*map(order_of, row[:keys])]))
    return rows[:top]


def _is_outside(key: tuple[Any, ...], keys: tuple[Key, ...]) -> bool:
    return any(k == -1 and isinstance(each, Periods) for k, each in zip(key, keys, strict=True))


def _getter(key: Key) -> Callable[[Row], Any]:
    """What a track has as a key; of a time that is in no period, -1."""
    if isinstance(key, Field):
        path = key.path
        return lambda row: value_at(row[5], path)
    if isinstance(key, Periods):
        edges = key.edges
        last = len(edges)

        def place(row: Row) -> int:
            found = bisect_right(edges, row[4])
            return -1 if found == last else found - 1

        return place
    return itemgetter(_PLACES[key])


def value_at(json: str, path: tuple[str, ...]) -> Value:
    """The value in data where the keys of a path lead to; None where there is none."""
    value: Any = decode_data(json)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | float | bool) else None


# Spreads


def micros(seconds: float) -> int:
    """A duration as whole microseconds."""
    return int(seconds * 1_000_000 + 0.5)


def spread_row(
    values: list[int], percentiles: tuple[int, ...], edges: tuple[int, ...]
) -> tuple[Any, ...]:
    """The row of a spread, but what it is by."""
    values.sort()
    count = len(values)
    among = (values[(count * percent + 99) // 100 - 1] for percent in percentiles)
    counts = [0] * (len(edges) + 1)
    for value in values if edges else ():
        counts[bisect_right(edges, value)] += 1
    return (count, sum(values), values[0], values[-1], *among, *counts[1:])


def _spread(question: Spread, rows: Iterator[Row]) -> Answer:
    unit = itemgetter(*(_PLACES[name] for name in question.unit))
    single = len(question.unit) == 1
    units: dict[Any, Any] = {}
    if question.measure == "duration":
        for row in rows:
            key, time = unit(row), row[4]
            first, last = units.get(key, (time, time))
            units[key] = (min(first, time), max(last, time))
        measured = {key: micros(last - first) for key, (first, last) in units.items()}
    elif question.measure == "tracks":
        measured = Counter(map(unit, rows))
    else:
        for row in rows:
            units.setdefault(unit(row), set()).add(row[2])
        measured = {key: len(runs) for key, runs in units.items()}
    places = [question.unit.index(name) for name in question.by]
    by: dict[tuple[Any, ...], list[int]] = {}
    for key, value in measured.items():
        whole = (key,) if single else key
        by.setdefault(tuple(whole[place] for place in places), []).append(value)
    return [
        (*key, *spread_row(values, question.percentiles, question.edges))
        for key, values in by.items()
    ]


def _run_spread(question: RunSpread, stream: Stream, runs: Callable[[], Iterable[Run]]) -> Answer:
    wanted: set[int] | None = None
    if question.criteria != Criteria():
        wanted = set()
        if not question.criteria.is_empty:
            wanted.update(row[2] for row in stream(question.criteria))
    by: dict[RunCondition | None, list[int]] = {}
    for run in runs():
        if wanted is None or run.id in wanted:
            duration = micros(run.end - run.start)
            for state in (condition_of(run, question.abandoned), None):
                by.setdefault(state, []).append(duration)
    return [
        (state, *spread_row(values, question.percentiles, question.edges))
        for state, values in by.items()
    ]


def condition_of(run: Run, abandoned: float) -> RunCondition:
    """What became of a run."""
    if run.finished:
        return "finished"
    return "abandoned" if run.end < abandoned else "open"


# One after the other


def _cohorts(question: Cohorts, rows: Iterator[Row]) -> Answer:
    place = _getter(question.periods)
    seen: dict[str, set[int]] = {}
    for row in rows:
        there = place(row)
        if there >= 0:
            seen.setdefault(row[3], set()).add(there)
    counts = Counter((min(places), each) for places in seen.values() for each in places)
    return [(first, each, users) for (first, each), users in counts.items()]


def _funnel(question: Funnel, rows: Iterator[Row]) -> Answer:
    numbers = [0] * len(question.steps)
    for reached in _arrivals(question, rows):
        for step, number in enumerate(reached):
            numbers[step] += number is not None
    return [tuple(numbers)]


def _arrivals(question: Funnel, rows: Iterator[Row]) -> Iterator[list[int | None]]:
    """Of each user (or run) and each step: the number of the first track that reached it."""
    tests = [matcher(step) for step in question.steps]
    whose = _PLACES[question.per]
    journeys: dict[Any, list[tuple[float, int, list[bool]]]] = {}
    for row in rows:
        meets = [test(row) for test in tests]
        if any(meets):
            journeys.setdefault(row[whose], []).append((row[4], row[0], meets))
    window = float("inf") if question.window is None else question.window
    for journey in journeys.values():
        journey.sort()
        reached: list[float | None] = [None] * len(tests)  # the last time of each step
        arrivals: list[int | None] = [None] * len(tests)
        for time, number, meets in journey:
            # From the last step to the first: a track is after itself in no way.
            for step in range(len(tests) - 1, -1, -1):
                before = reached[step - 1] if step else time
                if meets[step] and before is not None and time - before <= window:
                    reached[step] = time
                    arrivals[step] = number if arrivals[step] is None else arrivals[step]
        yield arrivals


def _paths(question: Paths, rows: Iterator[Row]) -> Answer:
    counts = Counter((task, following) for task, following, _ in _moves(question, rows))
    return cut([(*pair, number) for pair, number in counts.items()], 2, question.top or len(counts))


def _moves(question: Paths, rows: Iterator[Row]) -> Iterator[tuple[str, str | None, int]]:
    """Each step: the task, the next one, and the number of its track; where it ends, the last."""
    whose = _PLACES[question.per]
    journeys: dict[Any, list[tuple[float, int, str]]] = {}
    for row in rows:
        journeys.setdefault(row[whose], []).append((row[4], row[0], row[1]))
    gap = float("inf") if question.gap is None else question.gap
    for journey in journeys.values():
        journey.sort()
        for (time, number, task), following in zip(journey, [*journey[1:], None], strict=True):
            if following is None or following[0] - time > gap:
                yield task, None, number
            elif following[2] != task:
                yield task, following[2], following[1]


# The tracks behind a number


def _behind(question: Behind, stream: Stream) -> Answer:
    """In two passes, so that of the tracks that do not count no data are kept."""
    criteria, measures, after = question.criteria, question.measures, question.after
    numbers = set() if criteria.is_empty else _numbers_behind(question.cell, stream(criteria))
    rows = (row for row in stream(criteria) if row[0] in numbers) if numbers else iter(())
    if measures:
        return _groups(Groups(criteria, (), measures), rows)
    place = itemgetter(4, 0)
    return nlargest(
        question.top, (row for row in rows if after is None or place(row) < after), key=place
    )


def _numbers_behind(cell: Cell, rows: Iterator[Row]) -> set[int]:
    """The numbers of the tracks that a number counts."""
    if isinstance(cell, Reached):
        return set(_reached(cell, rows))
    if isinstance(cell, Returned):
        return set(_returned(cell, rows))
    pair = cell.source, cell.target
    return {number for *move, number in _moves(cell.of, rows) if (*move,) == pair}


def _reached(cell: Reached, rows: Iterator[Row]) -> Iterator[int]:
    for arrivals in _arrivals(cell.of, rows):
        number = arrivals[cell.step]
        if cell.is_lost:
            number = arrivals[cell.step - 1] if number is None else None
        if number is not None:
            yield number


def _returned(cell: Returned, rows: Iterator[Row]) -> Iterator[int]:
    place = _getter(cell.of.periods)
    firsts: dict[str, int] = {}
    found: list[tuple[str, int]] = []
    for row in rows:
        there, user = place(row), row[3]
        if there >= 0:
            firsts[user] = min(there, firsts.get(user, there))
        if there == cell.place:
            found.append((user, row[0]))
    return (number for user, number in found if firsts[user] == cell.first)


# Criteria


def matcher(criteria: Criteria) -> Callable[[Row], bool]:
    """Whether a track meets criteria."""
    tests = [_test(match) for match in criteria.matches]
    low = -1.0 if criteria.time_from is None else criteria.time_from
    high = float("inf") if criteria.time_to is None else criteria.time_to
    return lambda row: low <= row[4] <= high and all(test(row) for test in tests)


def _test(match: Match) -> Callable[[Row], bool]:
    wanted, prefixes = match.values, match.prefixes
    get: Callable[[Row], Any]
    if match.name in _PLACES:
        get = itemgetter(_PLACES[match.name])
    else:
        name = match.name

        def get(row: Row) -> Any:
            return decode_data(row[5]).get(name)

    def test(row: Row) -> bool:
        value = get(row)
        if isinstance(value, str):
            return value in wanted or value.startswith(prefixes)
        return isinstance(value, int | float) and value in wanted

    return test
