"""Explore: from criteria to a chart and a table, all of it in the address."""

import asyncio
import json
import shlex
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from cybertools.tracking.codec import DATA_PREFIX, criteria_from
from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.questions import DIFFERENT
from cybertools.tracking.reports import Table
from cybertools.tracking.reports.kinds import check_attribute
from cybertools.tracking.service.replies import Reply
from cybertools.tracking.service.web.counting import different
from cybertools.tracking.service.web.files import FORMATS, file_of
from cybertools.tracking.service.web.periods import Period
from cybertools.tracking.service.web.recipes import recipes
from cybertools.tracking.service.web.series import series
from cybertools.tracking.service.web.site import Page, View
from cybertools.tracking.track import Row, Track
from cybertools.tracking.values import parse_time_stamp, shown, track_id

__all__ = ["PAGES", "Asked", "asked_for"]

PAGE = 50
TOP = 12

NAMES = tuple(DIFFERENT)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is explored."""

    pairs: tuple[tuple[str, str], ...]
    """Criteria as the API's parameters, without the period."""
    by: str
    order: str
    after: str

    def values(self, name: str) -> list[str]:
        """What was given for a criterion."""
        return [value for key, value in self.pairs if key == name]

    @property
    def where(self) -> list[tuple[str, str]]:
        """The criteria about the data: name and value."""
        return [
            (key.removeprefix(DATA_PREFIX), value)
            for key, value in self.pairs
            if key.startswith(DATA_PREFIX)
        ]


def asked_for(view: View) -> Asked:
    """What the address asks for.

    Beside the API's parameters there is what forms can send: ``where=state=open``.
    """
    pairs: list[tuple[str, str]] = []
    for name, text in view.call.pairs:
        value = text.strip()
        if not value:
            continue
        if name in NAMES or name.startswith(DATA_PREFIX):
            pairs.append((name, value))
        elif name == "where":
            key, equals, value = value.partition("=")
            if not equals or not key.strip():
                raise InvalidValue(
                    f"A value in the data is asked for like state=open, not {shown(text)}."
                )
            pairs.append((DATA_PREFIX + key.strip(), value.strip()))
    order = view.asked.get("order", "-timeStamp")
    criteria_from([("order", order)])
    by, after = view.asked.get("by", "").strip(), view.asked.get("after", "")
    if by:
        check_attribute(by, "by")
    return Asked(tuple(dict.fromkeys(pairs)), by, order, after)


def _criteria(view: View, asked: Asked) -> tuple[Criteria, dict[str, Any], tuple[str, ...]]:
    """The criteria: as a query has them, as reports do, and the names in the data among them."""
    period = [(name, repr(value)) for name, value in view.period.criteria.items()]
    parsed = criteria_from([*asked.pairs, *period])
    values: dict[str, Any] = {}
    for match in parsed.matches:
        values[match.name] = [*match.values, *(f"{prefix}*" for prefix in match.prefixes)]
    return parsed, values, tuple(name for name, _ in asked.where)


async def explore(view: View) -> Reply:
    """What meets the criteria: how much over time, split by something, and which."""
    period = await _exact_period(view)
    asked = asked_for(view)
    parsed, values, names = _criteria(view, asked)
    place = criteria_from(
        [("order", asked.order), *([("after", asked.after)] if asked.after else [])]
    )
    paged = replace(parsed, order=place.order, after=place.after, limit=PAGE + 1)

    async def split() -> Table | None:
        if not asked.by:
            return None
        return await view.report(
            "top", names, what=asked.by, top=TOP, detail="none", **values, **period.criteria
        )

    rows, count, number, table, bars = await asyncio.gather(
        view.work(_select, view.storage, paged),
        view.work(_count, view.storage, parsed),
        view.work(different, view.storage, parsed, asked.by),
        split(),
        series(view, attributes=names, **values),
    )
    tracks = [*map(Track.from_row, rows[:PAGE])]
    following = track_id(rows[PAGE - 1][0]) if len(rows) > PAGE else None
    return view.render(
        "explore.html",
        asked=asked,
        tracks=tracks,
        count=count,
        different=number,
        following=following,
        split=None if table is None else [_narrowed(view, asked, row) for row in table.as_dicts()],
        downloads={kind: _download_link(view, asked, kind) for kind in FORMATS},
        bars=bars,
        limit=TOP,
        attributes=view.collection.attributes,
        recipes=_recipes(view, asked),
        query=_query(view, asked),
        period_inputs=[(k, view.asked[k]) for k in ("period", "from", "to") if k in view.asked],
    )


def _narrowed(view: View, asked: Asked, row: dict[str, Any]) -> dict[str, Any]:
    """A row of the split, with the address of what is behind it."""
    value = row[asked.by]
    name = asked.by if asked.by in NAMES else DATA_PREFIX + asked.by
    text = value if isinstance(value, str) else json.dumps(value)
    # What lies deeper in the data is no criterion.
    href = "" if "." in asked.by else f"?{urlencode([*view.others('by', name), (name, text)])}"
    return {**row, "href": href}


def _download_link(view: View, asked: Asked, kind: str) -> str:
    grouped: dict[str, list[str]] = {}
    for name, value in asked.pairs:
        grouped.setdefault(name, []).append(value)
    return view.link("download", **grouped, format=kind)


async def _exact_period(view: View) -> Period:
    """The period; between two times as well, as the bars of charts link to."""
    bounds = [view.asked.get(name, "") for name in ("from", "to")]
    await view.choose_period(exact := any(map(_is_seconds, bounds)))
    if not exact:
        return view.period
    start, end = (
        parse_time_stamp(float(text), name) if _is_seconds(text) else None
        for name, text in zip(("from", "to"), bounds, strict=True)
    )
    view.period = replace(
        view.period,
        name="exact",
        zone=view.zone,
        start=start,
        end=None if end is None else end + 1,
    )
    return view.period


def _is_seconds(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) != len("20260101")


def _select(storage: Storage, criteria: Criteria) -> list[Row]:
    return [] if criteria.is_empty else storage.engine.select(criteria)


def _count(storage: Storage, criteria: Criteria) -> int:
    return 0 if criteria.is_empty else storage.engine.count(criteria)


def _query(view: View, asked: Asked) -> str:
    """The criteria as the parameters of the API."""
    pairs = [*asked.pairs]
    for name, value in view.period.criteria.items():
        pairs.append((name, view.format.iso(value)))
    return urlencode(pairs)


def _recipes(view: View, asked: Asked) -> list[tuple[str, str]]:
    """The same in other ways: a command, Python, HTTP."""
    times = [(name, view.format.iso(value)) for name, value in view.period.criteria.items()]
    options = {"taskId": "--task", "userName": "--user", "runId": "--run"}
    command = ["query"]
    arguments: dict[str, Any] = {}
    parsed = criteria_from(asked.pairs)
    for match in parsed.matches:
        given = [*match.values, *(f"{prefix}*" for prefix in match.prefixes)]
        arguments[match.name] = given[0] if len(given) == 1 else given
        for value in given:
            if match.name in options:
                command.append(f"{options[match.name]} {shlex.quote(str(value))}")
            else:
                text = value if isinstance(value, str) else json.dumps(value)
                command.append(f"--where {shlex.quote(f'{match.name}={text}')}")
    for name, text in times:
        command.append(f"--{'from' if name == 'timeFrom' else 'to'} {text}")
        arguments[name] = text
    lines_ = "".join(f"    {name}={value!r},\n" for name, value in arguments.items())
    python = f"tracks = storage.query({f'{chr(10)}{lines_}' if lines_ else ''})"
    return recipes(view, command, python, "tracks", _query(view, asked))


async def download(view: View) -> Reply:
    """All tracks that meet the criteria, as a file."""
    await _exact_period(view)
    asked = asked_for(view)
    criteria, _, _ = _criteria(view, asked)
    criteria = replace(criteria, order="id", limit=None, after=None)
    engine = view.storage.engine
    return await file_of(view, lambda: iter(()) if criteria.is_empty else engine.stream(criteria))


PAGES = [
    Page("GET", "/storages/{storage}/explore", explore),
    Page("GET", "/storages/{storage}/download", download, is_shown=False),
]
