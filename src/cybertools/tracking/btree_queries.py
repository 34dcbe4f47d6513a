"""Queries over the B-trees: which index to walk, and what else the tracks have to be tested for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from heapq import merge, nlargest, nsmallest
from itertools import chain, islice
from sys import maxsize
from typing import Any, NamedTuple, TypeAlias

from BTrees.OOBTree import OOTreeSet

from cybertools.tracking.btree_moments import Position, ascending, count_moments, descending
from cybertools.tracking.criteria import Criteria, Match, prefix_end
from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.values import decode_data, track_id

__all__ = ["INFINITY", "Indexes", "Stored", "attribute_key", "count", "page", "places_of"]

INFINITY = float("inf")

WALK = 2_000
"""Steps along the time index in search of a page, before the matching tracks are sorted instead."""

Stored: TypeAlias = tuple[str, int, str, float, str]
"""taskId, runId, userName, timeStamp, data as JSON text."""

Accept: TypeAlias = Callable[[Stored], bool]


class Indexes(NamedTuple):
    """The trees of an engine; `btree.BTreeEngine` says what is in each."""

    tracks: Any
    runs: Any
    mixed: Any
    order: Any
    times: Any
    of_task: Any
    of_user: Any
    run_times: Any
    attributes: Any


def page(indexes: Indexes, criteria: Criteria) -> Iterator[int]:
    """The numbers of the tracks that meet the criteria, in their order."""
    found = _by_id(indexes, criteria) if criteria.order == "id" else _by_time(indexes, criteria)
    return found if criteria.limit is None else islice(found, min(criteria.limit, maxsize))


def count(indexes: Indexes, criteria: Criteria) -> int:
    """How many tracks meet the criteria."""
    if criteria == Criteria():
        return len(indexes.tracks)
    if len(criteria.matches) == 1 and criteria == Criteria(criteria.matches):
        (match,) = criteria.matches
        if match.name == "runId":
            found = (indexes.run_times.get(run) for run in match.values)
            return sum(count_moments(moments) for moments in found if moments)
        if match.name in _RANKS or match.name in indexes.attributes:
            return sum(len(numbers) for numbers in _sets(indexes, match))
    return sum(1 for _ in page(indexes, criteria))


def places_of(indexes: Indexes, taskId: str, userName: str) -> Any:
    """Of a user's tracks in a task, as a set."""
    places = indexes.order.get(taskId, {}).get(userName, ())
    return OOTreeSet((places,)) if places and type(places) is tuple else places


def _by_id(indexes: Indexes, criteria: Criteria) -> Iterator[int]:
    start = (criteria.after or 0) + 1
    run = _single(criteria, "runId")
    if run in indexes.run_times and criteria.limit is not None:
        # A run is ordinarily most of its task, or short.
        walk = indexes.tracks if run in indexes.mixed else indexes.of_task[indexes.runs[run][0]]
        found = _page_among(indexes, walk.keys(start), criteria)
        if found is not None:
            return found
    candidates, covered = _candidates(indexes, criteria, start)
    if candidates is not None:
        return _accepted(indexes, candidates, criteria, covered)
    if criteria.time_from is None and criteria.time_to is None:
        return _accepted(indexes, indexes.tracks.keys(start), criteria)
    if criteria.limit is not None:
        found = _page_among(indexes, indexes.tracks.keys(start), criteria)
        if found is not None:
            return found
    in_time = sorted(n for n in _along(indexes.times, criteria, None) if n >= start)
    return _accepted(indexes, iter(in_time), criteria)


def _by_time(indexes: Indexes, criteria: Criteria) -> Iterator[int]:
    position = None
    if criteria.after is not None:
        track = indexes.tracks.get(criteria.after)
        if track is None:
            raise InvalidValue(f"after: there is no track {track_id(criteria.after)!r}.")
        position = (track[3], criteria.after)
    task, user, run = (_single(criteria, name) for name in ("taskId", "userName", "runId"))
    if run is not None:
        if task is not None and user is not None:
            walk = _along_places(places_of(indexes, task, user), run, criteria, position)
            return _accepted(indexes, walk, criteria, ("runId", "taskId", "userName"))
        walk = _along(indexes.run_times.get(run), criteria, position)
        return _accepted(indexes, walk, criteria, ("runId",))
    walk = _along(indexes.times, criteria, position)
    if not criteria.matches:
        return _accepted(indexes, walk, criteria)
    if criteria.limit is not None and (task is None or _is_near(indexes, task, criteria.limit)):
        found = _page_among(indexes, walk, criteria)
        if found is not None:
            return found
    keys, covered = _unsorted(indexes, criteria, task, user)
    backwards = criteria.order == "-timeStamp"
    first, last = _ends(criteria, position)
    keys = (key for key in keys if first <= key <= last)
    rest = replace(criteria, time_from=None, time_to=None)
    if criteria.limit is None or _acceptor(rest, covered) is not None:
        keys = iter(sorted(keys, reverse=backwards))
    else:
        keys = iter((nlargest if backwards else nsmallest)(criteria.limit, keys))
    return _accepted(indexes, (number for _, number in keys), rest, covered)


def _is_near(indexes: Indexes, taskId: str, limit: int) -> bool:
    """Whether so many tracks of a task are soon met among those of all tasks."""
    return limit * len(indexes.tracks) < WALK * len(indexes.of_task.get(taskId, ()))


def _unsorted(
    indexes: Indexes, criteria: Criteria, task: str | None, user: str | None
) -> tuple[Iterator[tuple[float, int]], tuple[str, ...]]:
    """Times and numbers of what may meet the criteria, in no order.

    With them the attributes whose criteria they meet for sure.
    """
    if task is None:
        candidates, covered = _candidates(indexes, criteria, 1)
        numbers = indexes.tracks.keys() if candidates is None else candidates
        return ((indexes.tracks[number][3], number) for number in numbers), covered
    if user is not None:
        places, covered = places_of(indexes, task, user), ("taskId", "userName")
    else:
        users = indexes.order.get(task, {}).values()
        places = chain.from_iterable((p,) if type(p) is tuple else p for p in users)
        covered = ("taskId",)
    return ((time, number) for _, time, number in places), covered


def _page_among(indexes: Indexes, walk: Iterable[int], criteria: Criteria) -> Iterator[int] | None:
    """A whole page, if it is found within a bounded number of steps."""
    found = [*_accepted(indexes, islice(walk, WALK), criteria)][: criteria.limit]
    return iter(found) if len(found) == criteria.limit else None


def _candidates(
    indexes: Indexes, criteria: Criteria, start: int
) -> tuple[Iterator[int] | None, tuple[str, ...]]:
    """Numbers from ``start`` on, ascending, from the index that narrows most.

    With them the attributes whose criteria they meet for sure.
    """
    task, user = _single(criteria, "taskId"), _single(criteria, "userName")
    if task is not None and user is not None:
        numbers = (number for _, _, number in places_of(indexes, task, user))
        return iter(sorted(n for n in numbers if n >= start)), ("taskId", "userName")
    moments: Iterator[int] | None = None
    times, runs = criteria.match("timeStamp"), criteria.match("runId")
    if times is not None:
        values = map(float, times.values)
        found = (ascending(indexes.times, (v, 0), (v, INFINITY)) for v in values)
        moments, name = chain.from_iterable(found), "timeStamp"
    elif runs is not None:
        trees = (indexes.run_times.get(run) for run in runs.values)
        moments, name = chain.from_iterable(ascending(t) for t in trees if t), "runId"
    if moments is not None:
        return iter(sorted(n for n in moments if n >= start)), (name,)
    usable = [m for m in criteria.matches if m.name in _RANKS or m.name in indexes.attributes]
    if not usable:
        return None, ()
    match = min(usable, key=lambda m: (bool(m.prefixes), _RANKS.get(m.name, 1)))
    return merge(*(found.keys(start) for found in _sets(indexes, match))), (match.name,)


def _sets(indexes: Indexes, match: Match) -> list[Any]:
    """The sets of numbers for a criterion: no number is in two of them."""
    columns = {"taskId": indexes.of_task, "userName": indexes.of_user}
    is_attribute = match.name not in columns
    index: Any = indexes.attributes[match.name] if is_attribute else columns[match.name]
    found: dict[Any, Any] = {}
    for value in match.values:
        key = attribute_key(value) if is_attribute else value
        if key in index:
            found[key] = index[key]
    for prefix in match.prefixes:
        end: Any = prefix_end(prefix)
        first: Any = (1, prefix) if is_attribute else prefix
        if is_attribute:
            end = (2,) if end is None else (1, end)
        found.update(index.items(first, end, excludemax=end is not None))
    return [*found.values()]


def _accepted(
    indexes: Indexes, numbers: Iterable[int], criteria: Criteria, covered: tuple[str, ...] = ()
) -> Iterator[int]:
    """Those whose tracks meet the criteria that are not covered."""
    accept = _acceptor(criteria, covered)
    if accept is None:
        return iter(numbers)
    tracks = indexes.tracks
    return (number for number in numbers if accept(tracks[number]))


_RANKS = {"userName": 0, "taskId": 2}
"""Which index to take first; those of attributes are in between."""


def attribute_key(value: object) -> tuple[int, Any] | None:
    """A value as a key: numbers before texts. None for what cannot be looked for."""
    if isinstance(value, str):
        return (1, value)
    if isinstance(value, int | float):
        return (0, value)
    return None


def _single(criteria: Criteria, name: str) -> Any:
    """The one value that a criterion has, or None."""
    match = criteria.match(name)
    if match is None or match.prefixes or len(match.values) != 1:
        return None
    return match.values[0]


def _along(moments: Any, criteria: Criteria, position: Position | None) -> Iterator[int]:
    """The numbers in an index by time, from a position on, within the criteria's times."""
    first, last = _ends(criteria, position)
    if first > last or not moments:
        return iter(())
    return (descending if criteria.order == "-timeStamp" else ascending)(moments, first, last)


def _along_places(
    places: Any, run: int, criteria: Criteria, position: Position | None
) -> Iterator[int]:
    """The same in the places of a user in a task, among those of a run."""
    first, last = _ends(criteria, position)
    if first > last or not places:
        return
    if criteria.order != "-timeStamp":
        for _, _, number in places.keys((run, *first), (run, *last)):
            yield number
        return
    while True:  # B-trees have no way back but this one
        try:
            among, time, number = places.maxKey((run, *last))
        except ValueError:
            return
        if (among, time, number) < (run, *first):
            return
        yield number
        last = (time, number - 1)


def _ends(criteria: Criteria, position: Position | None) -> tuple[Position, Position]:
    """The first and the last position of what comes after a position, within the times."""
    first: Position = (-1.0 if criteria.time_from is None else criteria.time_from, 0)
    last: Position = (INFINITY if criteria.time_to is None else criteria.time_to, INFINITY)
    if position is None:
        return first, last
    time, number = position
    if criteria.order == "-timeStamp":
        return first, min(last, (time, number - 1))
    return max(first, (time, number + 1)), last


def _acceptor(criteria: Criteria, covered: tuple[str, ...]) -> Accept | None:
    """Whether a track meets the criteria that are not covered; None if all do."""
    tests: list[Accept] = []
    for match in criteria.matches:
        if match.name not in covered:
            tests.append(_test(match))
    earliest, latest = criteria.time_from, criteria.time_to
    if earliest is not None or latest is not None:
        low = -INFINITY if earliest is None else earliest
        high = INFINITY if latest is None else latest
        tests.append(lambda track: low <= track[3] <= high)
    if len(tests) <= 1:
        return tests[0] if tests else None
    return lambda track: all(test(track) for test in tests)


def _test(match: Match) -> Accept:
    prefixes = match.prefixes
    if match.name in _PLACES:
        place, wanted = _PLACES[match.name], frozenset(match.values)
        if not prefixes:
            return lambda track: track[place] in wanted
        return lambda track: track[place] in wanted or track[place].startswith(prefixes)  # type: ignore[union-attr]
    name, keys = match.name, frozenset(map(attribute_key, match.values))

    def test(track: Stored) -> bool:
        key = attribute_key(decode_data(track[4]).get(name))
        return key is not None and (key in keys or (key[0] == 1 and key[1].startswith(prefixes)))

    return test


_PLACES = {"taskId": 0, "runId": 1, "userName": 2, "timeStamp": 3}
