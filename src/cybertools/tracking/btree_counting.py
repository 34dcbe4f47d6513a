"""Answers to questions about many tracks from the B-trees: their sizes and ranges, if these do.

All else is counted while the tracks are read, as for any engine (`cybertools.tracking.tally`).
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.moments import count_within, first_time, last_time
from cybertools.tracking.questions import Answer, Groups, Periods, Question
from cybertools.tracking.tally import Stream, answered, cut
from cybertools.tracking.track import Run

__all__ = ["counted"]


def counted(
    question: Question,
    times: Any,
    sizes: dict[str, Any],
    stream: Stream,
    runs: Callable[[], Iterable[Run]],
) -> Answer:
    """The answer to a question.

    :param times: the numbers of all tracks by their moments.
    :param sizes: of an attribute's name: a tree of the numbers of the tracks with each value.
    """
    if isinstance(question, Groups) and not question.criteria.matches:
        found = _of_trees(question, times, sizes)
        if found is not None:
            return found
    return answered(question, stream, runs)


def _of_trees(question: Groups, times: Any, sizes: dict[str, Any]) -> Answer | None:
    """The answer that needs no track to be looked at, if it is one."""
    keys, measures = question.keys, question.measures
    if question.criteria == Criteria() and not keys and {*measures} <= {"first", "last"}:
        ends = {"first": first_time, "last": last_time}
        return [tuple(ends[m](times) if times else None for m in measures)]
    if measures != ("tracks",) or len(keys) != 1:
        return None
    (key,) = keys
    if isinstance(key, Periods):
        return cut(_by_period(question.criteria, key, times), 1, question.top)
    if question.criteria == Criteria() and key in sizes:
        return cut([(v, len(numbers)) for v, numbers in sizes[key].items()], 1, question.top)
    return None


def _by_period(criteria: Criteria, periods: Periods, times: Any) -> Answer:
    low, high = criteria.time_from, criteria.time_to
    answer: Answer = []
    for place, (edge, end) in enumerate(pairwise(periods.edges)):
        first = float(edge) if low is None else max(low, edge)
        last = end - 0.000001 if high is None else min(high, end - 0.000001)
        number = count_within(times, first, last) if first <= last else 0
        if number:
            answer.append((place, number))
    return answer
