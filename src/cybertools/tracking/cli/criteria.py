"""The options that say which tracks a command is about: the criteria of a query."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import click

from cybertools.tracking.criteria import ORDERS
from cybertools.tracking.transfer.times import text_time

__all__ = ["Asked", "criteria_options", "text_value"]


class Asked(NamedTuple):
    """What was asked for."""

    criteria: dict[str, Any]
    attributes: tuple[str, ...]
    """The data that it is asked by."""


def criteria_options(paged: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the criteria of a query, as its argument ``asked``.

    :param paged: also those that make a page of the answer: limit, after, order.
    """
    options = [
        click.option("--task", "taskId", multiple=True, help="A task id, or a prefix 'abc*'."),
        click.option("--run", "runId", multiple=True, type=int, help="A run's number."),
        click.option("--user", "userName", multiple=True, help="A user name, or a prefix 'abc*'."),
        click.option(
            "--from",
            "timeFrom",
            metavar="TIME",
            help="The earliest time: ISO 8601 (2026-03-01, 2026-03-01T09:28:00+01:00), UTC where"
            " it has no offset, or seconds since 1970.",
        ),
        click.option(
            "--to", "timeTo", metavar="TIME", help="The latest time; a date is the whole day."
        ),
        click.option(
            "--where",
            metavar="NAME=VALUE",
            multiple=True,
            help="A value in the data; text, a number, true, or a prefix 'abc*'.",
        ),
    ]
    if paged:
        options += [
            click.option("--limit", type=int, help="So many tracks at most."),
            click.option("--after", metavar="ID", help="Only what comes after that track."),
            click.option("--order", type=click.Choice(ORDERS), help="By default: id."),
        ]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def called(**arguments: Any) -> Any:
            return function(asked=_asked(arguments), **arguments)

        decorated: Callable[..., Any] = called
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


_CRITERIA = ("taskId", "runId", "userName", "timeFrom", "timeTo", "limit", "after", "order")


def _asked(arguments: dict[str, Any]) -> Asked:
    """The criteria among a command's arguments, which are taken out of them."""
    criteria: dict[str, Any] = {}
    for name in _CRITERIA:
        value = arguments.pop(name, None)
        if value in (None, ()):
            continue
        if isinstance(value, tuple):
            value = value[0] if len(value) == 1 else list(value)
        criteria[name] = text_time(value) if name in ("timeFrom", "timeTo") else value
    attributes: dict[str, list[Any]] = {}
    for part in arguments.pop("where", ()):
        name, equals, text = part.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--where is like state=open, not {part!r}.")
        attributes.setdefault(name, []).append(text_value(text))
    return Asked(criteria | attributes, tuple(attributes))


def text_value(text: str) -> Any:
    """The JSON value that a text is, else the text itself: 80, true, "80", open."""
    try:
        return json.loads(text)
    except ValueError:
        return text
