"""The reports by name: what each is called, what it can be asked, and how arguments are checked.

A report is a function ``report(storage, …, **criteria) -> Table``. Its signature, with the kinds of
`kinds`, and its docstring say all that doors need to know: the command line makes options of them,
the service parameters, the pages forms.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar, cast, get_args, get_type_hints

from cybertools.tracking.errors import InvalidType, InvalidValue, UnknownCriterion
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.reports.kinds import Kind
from cybertools.tracking.reports.table import Table

__all__ = ["REPORTS", "Parameter", "ReportSpec", "report", "run_report"]

F = TypeVar("F", bound=Callable[..., Table])


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of a report beside the criteria."""

    name: str
    kind: Kind
    description: str
    default: Any = None
    """A JSON value."""
    required: bool = False

    def check(self, value: Any) -> Any:
        """The value as the report takes it.

        :raises InvalidType: it is of the wrong type.
        :raises InvalidValue: it is out of what it may be.
        """
        return self.kind.check(value, self.name)


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """What there is to know about a report."""

    name: str
    summary: str
    """One line."""
    description: str
    parameters: tuple[Parameter, ...]
    function: Callable[..., Table]

    def run(self, storage: Storage, arguments: Mapping[str, Any] | None = None) -> Table:
        """The report, of parameters and criteria together; JSON values will do.

        :raises UnknownCriterion: there is neither a parameter nor a criterion of that name.
        :raises InvalidType: a value is of the wrong type.
        :raises InvalidValue: a value is out of what it may be.
        """
        return self.function(storage, **(arguments or {}))


REPORTS: dict[str, ReportSpec] = {}
"""The reports by name, in an order in which they are learnt."""


def run_report(storage: Storage, name: str, arguments: Mapping[str, Any] | None = None) -> Table:
    """The report of that name. Arguments and errors are those of `ReportSpec.run`.

    :raises InvalidValue: there is no such report; the message lists those there are.
    """
    spec = REPORTS.get(name)
    if spec is None:
        raise InvalidValue(f"There is no report {name!r}. There are: {', '.join(REPORTS)}.")
    return spec.run(storage, arguments)


def report(function: F) -> F:
    """Make a function a report: its arguments are checked, and it is in `REPORTS`."""
    spec = _spec_of(function)

    @wraps(function)
    def asked(storage: Storage, *args: Any, **kwargs: Any) -> Table:
        if len(args) > len(spec.parameters):
            raise InvalidType(f"The report {spec.name!r} takes criteria by their names only.")
        given = dict(zip((p.name for p in spec.parameters), args, strict=False)) | kwargs
        parameters, criteria = _divided(spec, storage, given)
        table = function(storage, **parameters, **criteria)
        return Table(
            spec.name,
            table.title,
            table.columns,
            table.rows,
            _json(criteria),
            parameters,
            table.chart,
        )

    REPORTS[spec.name] = ReportSpec(
        spec.name, spec.summary, spec.description, spec.parameters, asked
    )
    return cast("F", asked)


def _divided(
    spec: ReportSpec, storage: Storage, given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments, checked, as parameters and criteria."""
    parameters = {}
    for parameter in spec.parameters:
        value = given.get(parameter.name)
        if value is None and parameter.required:
            raise InvalidType(f"The report {spec.name!r} needs {parameter.name!r}.")
        value = parameter.default if value is None else value
        parameters[parameter.name] = None if value is None else parameter.check(value)
    criteria = {name: value for name, value in given.items() if name not in parameters}
    for name in ("limit", "after", "order"):
        if criteria.get(name) is not None:
            raise UnknownCriterion(
                f"{name!r} is no criterion of a report: it is about all tracks that meet the rest."
            )
    try:
        storage.parse(criteria)
    except UnknownCriterion as error:
        names = ", ".join(parameters)
        raise UnknownCriterion(
            f"{error} The report {spec.name!r} has the parameters: {names}."
        ) from None
    return parameters, criteria


def _json(criteria: Mapping[str, Any]) -> dict[str, Any]:
    """Criteria as JSON values, without those that are none."""

    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, list | tuple | set | frozenset):
            return [plain(item) for item in value]
        return value

    return {name: plain(value) for name, value in criteria.items() if value is not None}


def _spec_of(function: Callable[..., Table]) -> ReportSpec:
    doc = inspect.getdoc(function) or ""
    summary, _, description = doc.partition("\n:param")[0].partition("\n\n")
    descriptions = {
        name: " ".join(text.split())
        for name, text in re.findall(r"^:param (\w+): (.*?)(?=\n:|\Z)", doc, re.M | re.S)
    }
    hints = get_type_hints(function, include_extras=True)
    parameters = tuple(
        Parameter(
            name,
            _kind_of(hints[name]),
            descriptions.get(name, ""),
            None if each.default is each.empty else each.default,
            each.default is each.empty,
        )
        for name, each in list(inspect.signature(function).parameters.items())[1:]
        if each.kind is not each.VAR_KEYWORD
    )
    name = function.__name__.replace("_", "-")
    return ReportSpec(name, " ".join(summary.split()), description.strip(), parameters, function)


def _kind_of(hint: Any) -> Kind:
    """The kind in an annotation; of ``X | None`` that of X."""
    for each in (hint, *get_args(hint)):
        for note in getattr(each, "__metadata__", ()):
            if isinstance(note, Kind):
                return note
    raise TypeError(f"{hint} has no kind.")
