"""Reports over HTTP: each by its name, and the questions that they are made of."""

from collections.abc import Callable
from typing import Any

from cybertools.tracking.codec import (
    DATA_PREFIX,
    Pairs,
    criteria_from,
    decode,
    encode,
)
from cybertools.tracking.codec.questions import answer_json, question_from
from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import InvalidValue, UnknownCriterion
from cybertools.tracking.interfaces import Engine, Storage
from cybertools.tracking.questions import Question
from cybertools.tracking.reports import REPORTS, Parameter, ReportSpec
from cybertools.tracking.service.asking import whole
from cybertools.tracking.service.endpoints import Endpoint, Handler
from cybertools.tracking.service.replies import JSON, Reply
from cybertools.tracking.service.requests import Call
from cybertools.tracking.service.service import Service
from cybertools.tracking.service.storages import with_attributes

__all__ = ["CSV", "ENDPOINTS"]

CSV = b"text/csv; charset=utf-8"


async def aggregate(_service: Service, call: Call) -> Reply:
    """The answer to a question about many tracks."""
    call.parameters()
    question = question_from(await call.value())
    engine = call.collection.storage.engine
    return Reply(200, await call.collection.reader.work(_answer, engine, question))


def _answer(engine: Engine, question: Question) -> bytes:
    return encode(answer_json(engine.aggregate(question)))


# By name


def _report(spec: ReportSpec) -> Handler:
    parameters = {parameter.name: parameter for parameter in spec.parameters}

    async def get_report(_service: Service, call: Call) -> Reply:
        """A report, of its parameters and of criteria."""
        arguments, attributes = _arguments(parameters, call.pairs)
        storage = with_attributes(call.collection.storage, attributes)
        is_csv = call.wants(b"text/csv")
        body = await call.collection.reader.work(_table, spec, storage, arguments, is_csv)
        return Reply(200, body, CSV if is_csv else JSON)

    return get_report


def _table(spec: ReportSpec, storage: Storage, arguments: dict[str, Any], is_csv: bool) -> bytes:
    table = spec.run(storage, arguments)
    return table.to_csv().encode() if is_csv else encode(table.as_dict())


def _arguments(
    parameters: dict[str, Parameter], pairs: Pairs
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments of a report, and the attributes of the data that it is asked by."""
    arguments: dict[str, Any] = {}
    steps: list[str] = []
    attributes: list[str] = []
    others: Pairs = []
    for name, text in pairs:
        parameter = parameters.get(name)
        if parameter is None:
            others.append((name, text))
        elif parameter.kind.name == "steps":
            steps.append(text)
        elif name in arguments:
            raise InvalidValue(f"{name} must be given once.")
        else:
            arguments[name] = _READERS.get(parameter.kind.name, _as_it_is)(name, text)
    if steps:
        arguments["steps"] = [_step(text, place, attributes) for place, text in enumerate(steps)]
    criteria = _criteria(others, attributes)
    return arguments | criteria, tuple(dict.fromkeys(attributes))


def _criteria(pairs: Pairs, attributes: list[str]) -> dict[str, Any]:
    """Criteria as reports have them."""
    for name, _ in pairs:
        if name in ("limit", "after", "order"):
            raise UnknownCriterion(f"{name!r} is no criterion of a report.")
    parsed = criteria_from(pairs)
    attributes += (
        name.removeprefix(DATA_PREFIX) for name, _ in pairs if name.startswith(DATA_PREFIX)
    )
    return _as_given(parsed)


def _as_given(criteria: Criteria) -> dict[str, Any]:
    values: dict[str, Any] = {
        match.name: [*match.values, *(f"{prefix}*" for prefix in match.prefixes)]
        for match in criteria.matches
    }
    times = (("timeFrom", criteria.time_from), ("timeTo", criteria.time_to))
    return values | {name: time for name, time in times if time is not None}


def _step(text: str, place: int, attributes: list[str]) -> Any:
    """A task id, a prefix, or criteria as a JSON object, in which data are ``data.NAME``."""
    if not text.startswith("{"):
        return text
    try:
        value = decode(text.encode())
    except InvalidValue:
        raise InvalidValue(
            f"steps[{place}] must be a task id, a prefix 'abc*' or a JSON object of criteria."
        ) from None
    names = [name for name in value if name.startswith(DATA_PREFIX)]
    attributes += (name.removeprefix(DATA_PREFIX) for name in names)
    return {name.removeprefix(DATA_PREFIX): item for name, item in value.items()}


def _as_it_is(_name: str, text: str) -> str:
    return text


def _seconds(_name: str, text: str) -> str | float:
    """A bare number is seconds; any other text is left to the report."""
    try:
        return float(text)
    except ValueError:
        return text


_READERS: dict[str, Callable[[str, str], Any]] = {
    "number": whole,
    "duration": _seconds,
    "time": _seconds,
}


_STORAGE = "/api/storages/{storage}"

ENDPOINTS = [
    Endpoint("POST", f"{_STORAGE}/aggregate", "read", aggregate),
    *(
        Endpoint("GET", f"{_STORAGE}/reports/{name}", "read", _report(spec))
        for name, spec in REPORTS.items()
    ),
]
