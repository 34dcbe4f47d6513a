"""Questions about many tracks as JSON, and their answers: for both sides, as the codec is.

A question is an object with what it asks (``ask``) and the parts that `questions` has for it. Its
criteria are an object with the names of a query: each with a value, or a list of values. What is
behind a number is asked with the question that the number is of (``of``), and its place there.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar, get_args

from cybertools.tracking.codec import DATA_PREFIX
from cybertools.tracking.criteria import CONTROLS, Criteria, parse_criteria
from cybertools.tracking.errors import InvalidType, InvalidValue, TrackingError, UnknownCriterion
from cybertools.tracking.interfaces import is_attribute
from cybertools.tracking.questions import (
    STEPS_LIMIT,
    Answer,
    Behind,
    Cell,
    Cohorts,
    Field,
    Funnel,
    Groups,
    Key,
    Measure,
    Moved,
    Name,
    Paths,
    Per,
    Periods,
    Question,
    Reached,
    Returned,
    RunSpread,
    Spread,
    Summary,
)
from cybertools.tracking.track import METADATA
from cybertools.tracking.values import TIME_LIMIT, check_text, kind_of, shown, track_id

__all__ = [
    "BEHIND",
    "NUMBER_LIMIT",
    "PARTS_LIMIT",
    "PERIODS_LIMIT",
    "TRACKS_LIMIT",
    "answer_from",
    "answer_json",
    "criteria_from_json",
    "criteria_json",
    "question_from",
    "question_json",
]

T = TypeVar("T")

PERIODS_LIMIT = 100_002
"""Edges of periods, at most: one more than a report has."""

PARTS_LIMIT = 100
"""Keys, percentiles, edges of a spread: of each so many at most."""

NUMBER_LIMIT = 1 << 53
"""Whole numbers are below that: edges, and how many."""

TRACKS_LIMIT = 10_000
"""Tracks behind a number that are given at a time, at most."""

BEHIND = "behind"

SPREADS = ("duration", "tracks", "runs")


# Criteria


def criteria_json(criteria: Criteria) -> dict[str, Any]:
    """Criteria as JSON has them; an attribute of the data is ``data.NAME``."""
    value: dict[str, Any] = {
        name: part
        for name, part in (
            ("timeFrom", criteria.time_from),
            ("timeTo", criteria.time_to),
            ("limit", criteria.limit),
            ("after", track_id(criteria.after) if criteria.after else None),
            ("order", None if criteria.order == "id" else criteria.order),
        )
        if part is not None
    }
    for match in criteria.matches:
        name = match.name if match.name in METADATA else DATA_PREFIX + match.name
        value[name] = [*match.storable.values, *(f"{prefix}*" for prefix in match.prefixes)]
    return value


def criteria_from_json(value: object, name: str = "criteria") -> Criteria:
    """Criteria of the JSON object.

    :param name: what it is called in an error.
    :raises TrackingError: as for a query.
    """
    given = _object(value, name)
    attributes: list[str] = []
    criteria: dict[str, Any] = {}
    for parameter, item in given.items():
        if item is None:
            raise InvalidType(f"{name}: {parameter} must be a value or a list of them, not null.")
        attribute = parameter.removeprefix(DATA_PREFIX)
        if attribute == parameter:
            known = parameter in METADATA or parameter in CONTROLS
        else:
            known = is_attribute(attribute)
            attributes.append(attribute)
        if not known:
            names = ", ".join((*METADATA, f"{DATA_PREFIX}NAME", *CONTROLS))
            raise UnknownCriterion(
                f"{name}: no criterion is {shown(parameter)}; there are {names}."
            )
        criteria[attribute] = item
    try:
        return parse_criteria(tuple(attributes), criteria)
    except TrackingError as error:
        error.args = (f"{name}: {error}",)
        raise


# Questions


def question_json(question: Question) -> dict[str, Any]:
    """A question as JSON has it."""
    if isinstance(question, Behind):
        return {
            "ask": BEHIND,
            **_cell_json(question.cell),
            "measures": question.measures,
            "after": question.after,
            "top": question.top,
        }
    value: dict[str, Any] = {
        "ask": _NAMES[type(question)],
        "criteria": criteria_json(question.criteria),
    }
    if isinstance(question, Groups):
        value |= {
            "keys": [*map(_key_json, question.keys)],
            "measures": question.measures,
            "top": question.top,
        }
    elif isinstance(question, Spread):
        value |= {
            "unit": question.unit,
            "measure": question.measure,
            "by": question.by,
            "percentiles": question.percentiles,
            "edges": question.edges,
        }
    elif isinstance(question, RunSpread):
        value |= {
            # No run ends outside of these.
            "abandoned": min(max(question.abandoned, 0.0), TIME_LIMIT),
            "percentiles": question.percentiles,
            "edges": question.edges,
        }
    elif isinstance(question, Cohorts):
        value |= {"periods": question.periods.edges}
    elif isinstance(question, Funnel):
        value |= {
            "steps": [*map(criteria_json, question.steps)],
            "window": _at_most(question.window),
            "per": question.per,
        }
    else:
        value |= {"per": question.per, "gap": _at_most(question.gap), "top": question.top}
    return value


def _cell_json(cell: Cell) -> dict[str, Any]:
    value: dict[str, Any] = {"of": question_json(cell.of)}
    if isinstance(cell, Reached):
        return value | {"step": cell.step, "isLost": cell.is_lost}
    if isinstance(cell, Returned):
        return value | {"first": cell.first, "place": cell.place}
    return value | {"source": cell.source, "target": cell.target}


def _key_json(key: Key) -> Any:
    if isinstance(key, Field):
        return {"field": key.path}
    return {"periods": key.edges} if isinstance(key, Periods) else key


def _at_most(seconds: float | None) -> float | None:
    """No two tracks are further from each other than that."""
    return None if seconds is None else min(seconds, TIME_LIMIT)


def question_from(value: object) -> Question:
    """A question of the JSON object.

    :raises TrackingError: it is none, and which of its parts is not what it may be.
    """
    given = _object(value, "The question")
    if given.get("ask") == BEHIND:
        return _behind(_Parts(BEHIND, {k: v for k, v in given.items() if k != "ask"}))
    return _summary_from(given, (*_READERS, BEHIND))


def _summary_from(value: Mapping[str, Any], known: Sequence[str]) -> Summary:
    given = dict(value)
    ask = given.pop("ask", None)
    if not isinstance(ask, str) or ask not in _READERS:
        raise InvalidValue(f"ask must be one of {', '.join(known)}, not {ask!r:.60}.")
    criteria = criteria_from_json(given.pop("criteria", {}))
    parts = _Parts(ask, given)
    question = _READERS[ask](criteria, parts)
    parts.check_done()
    return question


class _Parts:
    """The parts of a question: each is taken once, and what is left is not known."""

    def __init__(self, ask: str, given: dict[str, Any]) -> None:
        self._ask, self._given = ask, given

    def check_done(self) -> None:
        for name in self._given:
            raise InvalidType(f"{self._ask} has no {shown(name)}.")

    def take(self, name: str, default: Any = None) -> Any:
        return self._given.pop(name, default)

    def several(
        self,
        name: str,
        read: Callable[[Any, str], T],
        least: int = 0,
        most: int = PARTS_LIMIT,
    ) -> tuple[T, ...]:
        return _several(self.take(name, []), name, read, least, most)

    def one_of(self, name: str, known: Sequence[str]) -> Any:
        return _one_of(self.take(name), name, known)

    def names(self, name: str, known: Sequence[str], least: int = 0) -> tuple[Any, ...]:
        found = self.several(name, lambda value, place: _one_of(value, place, known), least)
        if len({*found}) < len(found):
            raise InvalidValue(f"{name} must not have the same twice.")
        return found

    def number(self, name: str) -> int | None:
        value = self.take(name)
        return None if value is None else _number(value, name, 0)

    def seconds(self, name: str) -> float | None:
        value = self.take(name)
        return None if value is None else _seconds(value, name)

    def percentiles(self) -> tuple[int, ...]:
        return self.several("percentiles", lambda value, place: _number(value, place, 1, 100))

    def edges(self) -> tuple[int, ...]:
        return _ascending(self.several("edges", lambda value, place: _number(value, place, 0)))


def _groups(criteria: Criteria, parts: _Parts) -> Groups:
    keys = parts.several("keys", _key)
    if sum(isinstance(key, Periods) for key in keys) > 1:
        raise InvalidValue("keys may have periods once.")
    measures = parts.names("measures", get_args(Measure), 1)
    return Groups(criteria, keys, measures, parts.number("top"))


def _spread(criteria: Criteria, parts: _Parts) -> Spread:
    unit = parts.names("unit", get_args(Name), 1)
    measure = parts.one_of("measure", SPREADS)
    by = parts.names("by", unit)
    return Spread(criteria, unit, measure, by, parts.percentiles(), parts.edges())


def _run_spread(criteria: Criteria, parts: _Parts) -> RunSpread:
    abandoned = _seconds(parts.take("abandoned"), "abandoned")
    return RunSpread(criteria, abandoned, parts.percentiles(), parts.edges())


def _cohorts(criteria: Criteria, parts: _Parts) -> Cohorts:
    return Cohorts(criteria, _periods(parts.take("periods"), "periods"))


def _funnel(criteria: Criteria, parts: _Parts) -> Funnel:
    steps = parts.several("steps", criteria_from_json, 1, STEPS_LIMIT)
    window = parts.seconds("window")
    return Funnel(criteria, steps, window, parts.one_of("per", get_args(Per)))


def _paths(criteria: Criteria, parts: _Parts) -> Paths:
    per = parts.one_of("per", get_args(Per))
    return Paths(criteria, per, parts.seconds("gap"), parts.number("top"))


def _behind(parts: _Parts) -> Behind:
    of = _summary_from(_object(parts.take("of"), "of"), ("cohorts", "funnel", "paths"))
    cell = _cell(of, parts)
    measures = parts.names("measures", get_args(Measure))
    after = parts.take("after")
    top = _number(parts.take("top", 50), "top", 1, TRACKS_LIMIT)
    parts.check_done()
    return Behind(cell, measures, None if after is None else _position(after, "after"), top)


def _cell(of: Summary, parts: _Parts) -> Cell:
    if isinstance(of, Funnel):
        is_lost = _truth(parts.take("isLost", False), "isLost")
        step = _number(parts.take("step"), "step", int(is_lost), len(of.steps) - 1)
        return Reached(of, step, is_lost)
    if isinstance(of, Cohorts):
        first = _number(parts.take("first"), "first", 0, len(of.periods.edges) - 2)
        place = _number(parts.take("place"), "place", first, len(of.periods.edges) - 2)
        return Returned(of, first, place)
    if isinstance(of, Paths):
        target = parts.take("target")
        source = check_text(parts.take("source"), "source")
        return Moved(of, source, None if target is None else check_text(target, "target"))
    raise InvalidValue("of must be a question of the kind cohorts, funnel or paths.")


def _position(value: object, name: str) -> tuple[float, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise InvalidType(f"{name} must be a list of a track's time and number.")
    return _seconds(value[0], f"{name}[0]"), _number(value[1], f"{name}[1]", 0)


_READERS: dict[str, Callable[[Criteria, _Parts], Summary]] = {
    "groups": _groups,
    "spread": _spread,
    "runSpread": _run_spread,
    "cohorts": _cohorts,
    "funnel": _funnel,
    "paths": _paths,
}
_NAMES: dict[type[Any], str] = dict(
    zip((Groups, Spread, RunSpread, Cohorts, Funnel, Paths), _READERS, strict=True)
)


# Parts


def _key(value: object, name: str) -> Key:
    if isinstance(value, str):
        known: Any = _one_of(value, name, get_args(Name))
        return known  # type: ignore[no-any-return]
    given = _object(value, name)
    if given.keys() == {"field"}:
        return Field(_several(given["field"], f"{name}.field", _field_name, 1))
    if given.keys() == {"periods"}:
        return _periods(given["periods"], f"{name}.periods")
    raise InvalidType(
        f"{name} must be one of {', '.join(get_args(Name))}, or an object with field or periods."
    )


def _field_name(value: object, name: str) -> str:
    text = check_text(value, name)
    if '"' in text or "\\" in text or not text.isprintable():
        raise InvalidValue(f"{name} must be a name in the data, not {shown(text)}.")
    return text


def _periods(value: object, name: str) -> Periods:
    def edge(item: object, place: str) -> int:
        return _number(item, place, -NUMBER_LIMIT)

    return Periods(_ascending(_several(value, name, edge, 2, PERIODS_LIMIT), name))


def _ascending(numbers: tuple[int, ...], name: str = "edges") -> tuple[int, ...]:
    if any(low >= high for low, high in pairwise(numbers)):
        raise InvalidValue(f"{name} must be ascending numbers.")
    return numbers


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidType(f"{name} must be an object, not {kind_of(value)}.")
    return value


def _several(
    value: object,
    name: str,
    read: Callable[[Any, str], T],
    least: int = 0,
    most: int = PARTS_LIMIT,
) -> tuple[T, ...]:
    if not isinstance(value, list):
        raise InvalidType(f"{name} must be a list, not {kind_of(value)}.")
    if not least <= len(value) <= most:
        raise InvalidValue(f"{name} must have from {least} to {most:,} items, not {len(value):,}.")
    return tuple(read(item, f"{name}[{place}]") for place, item in enumerate(value))


def _one_of(value: object, name: str, known: Sequence[str]) -> Any:
    if not isinstance(value, str) or value not in known:
        raise InvalidValue(f"{name} must be one of {', '.join(known)}, not {value!r:.60}.")
    return value


def _truth(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidType(f"{name} must be true or false, not {kind_of(value)}.")
    return value


def _number(value: object, name: str, least: int, most: int = NUMBER_LIMIT) -> int:
    if type(value) is not int:
        raise InvalidType(f"{name} must be a whole number, not {kind_of(value)}.")
    if not least <= value <= most:
        raise InvalidValue(f"{name} must be from {least:,} to {most:,}.")
    return value


def _seconds(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(f"{name} must be a number of seconds, not {kind_of(value)}.")
    if not 0 <= value <= TIME_LIMIT:
        raise InvalidValue(
            f"{name} must be from 0 to {TIME_LIMIT:,.0f} seconds, not {value!r:.60}."
        )
    return float(value)


# Answers


def answer_json(answer: Answer) -> dict[str, Any]:
    """The answer to a question as JSON has it."""
    return {"rows": answer}


def answer_from(value: Mapping[str, Any]) -> Answer:
    """The answer to a question."""
    return [*map(tuple, value["rows"])]
