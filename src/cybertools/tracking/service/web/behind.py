"""The tracks behind a number of a funnel, of retention, or of paths: which ones, and how many."""

import asyncio
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.reports import REPORTS, run_report
from cybertools.tracking.reports.kinds import ROWS_LIMIT
from cybertools.tracking.reports.periods import period_edges, period_start
from cybertools.tracking.service.asking import whole
from cybertools.tracking.service.replies import Reply
from cybertools.tracking.service.web.files import FORMATS, file_of
from cybertools.tracking.service.web.recipes import recipes
from cybertools.tracking.service.web.site import Page, View
from cybertools.tracking.track import Row
from cybertools.tracking.values import parse_track_id, shown

__all__ = ["PAGES"]

PAGE = 50

OWN = ("after", "show", "timezone", "top")
"""Parameters of the reports that say nothing about which number it is."""

OPTIONS = {"timeFrom": "--from", "timeTo": "--to"}
"""Criteria, and the options of a command for them."""


@dataclass(frozen=True, slots=True)
class Number:
    """Which number it is, as the parameters of the report about its tracks."""

    of: str
    """The report that the number is of."""
    parameters: dict[str, Any]
    """As the address has them."""
    arguments: dict[str, Any]
    """With the period and the zone."""

    @property
    def report(self) -> str:
        """The report about the tracks."""
        return f"{self.of}-tracks"

    @property
    def counts(self) -> str:
        """What the number is a number of."""
        if self.of == "funnel" and self.parameters.get("per") == "runId":
            return "runs"
        return "tracks" if self.of == "paths" else "users"


async def _asked_for(view: View) -> Number:
    of = view.asked.get("report", "")
    known = [name.removesuffix("-tracks") for name in REPORTS if name.endswith("-tracks")]
    if of not in known:
        raise InvalidValue(f"report must be one of {', '.join(known)}, not {shown(of)}.")
    period = await view.choose_period(short=of == "paths")
    found: dict[str, Any] = {}
    spec = REPORTS[f"{of}-tracks"]
    for parameter in spec.parameters:
        name = parameter.name
        texts = [text for key, text in view.call.pairs if key == name and text]
        if not texts or name in OWN:
            continue
        if parameter.kind.name == "steps":
            found[name] = texts
        elif parameter.kind.name == "number":
            found[name] = whole(name, texts[0])
        else:
            found[name] = texts[0]
    zone = {"timezone": view.zone} if of == "retention" else {}
    return Number(of, found, {**found, **zone, **period.criteria})


async def behind(view: View) -> Reply:
    """What a number counts, the newest first."""
    number = await _asked_for(view)
    after = view.asked.get("after") or None
    table, counted = await asyncio.gather(
        view.report(number.report, **number.arguments, top=PAGE + 1, after=after),
        view.report(number.report, **number.arguments, show="totals"),
    )
    (totals,) = counted.as_dicts()
    tracks = table.as_dicts()
    title, says = _words(view, number)
    given = {"report": number.of, **number.parameters}
    return view.render(
        "behind.html",
        number=number,
        title=title,
        says=says,
        back=_back(view, number),
        totals=totals,
        tracks=tracks[:PAGE],
        after=after,
        following=tracks[PAGE - 1]["id"] if len(tracks) > PAGE else None,
        recipes=_recipes(view, number),
        downloads={kind: view.link("behind/download", **given, format=kind) for kind in FORMATS},
    )


def _back(view: View, number: Number) -> str:
    """The page with the number."""
    given = number.parameters
    kept = {name: given.get(name) for name in ("per", "gap", "window", "unit")}
    return view.link(number.of, step=given.get("steps"), **kept)


def _recipes(view: View, number: Number) -> list[tuple[str, str]]:
    """The same in other ways: a command, Python, HTTP."""
    report = number.report
    given: dict[str, Any] = {k: v for k, v in number.arguments.items() if k not in OPTIONS}
    given |= {k: view.format.iso(number.arguments[k]) for k in OPTIONS if k in number.arguments}
    required = {each.name for each in REPORTS[report].parameters if each.required}
    command = [f"report {report}"]
    for key, value in given.items():
        texts = [shlex.quote(str(each)) for each in (value if isinstance(value, list) else [value])]
        command.append(
            " ".join(texts if key in required else [OPTIONS.get(key, f"--{key}"), *texts])
        )
    lines = "".join(f"    {key!r}: {value!r},\n" for key, value in given.items())
    return recipes(
        view,
        command,
        f"table = run_report(storage, {report!r}, {{\n{lines}}})",
        f"reports/{report}",
        urlencode(given, doseq=True),
        "from cybertools.tracking.reports import run_report\n",
    )


def _words(view: View, number: Number) -> tuple[str, str]:
    """What is counted, and which tracks stand for it."""
    given = number.parameters
    if number.of == "funnel":
        return _of_step(view, given)
    if number.of == "retention":
        return _of_cohort(view, given)
    if "target" not in given:
        title = f"{given['source']} \N{RIGHTWARDS ARROW} {view.say('(end)')}"
        return title, view.say("Of each end the last track before it.")
    title = f"{given['source']} \N{RIGHTWARDS ARROW} {given['target']}"
    return title, view.say("Of each step the track of the next task.")


def _of_step(view: View, given: dict[str, Any]) -> tuple[str, str]:
    place = given.get("step", len(given["steps"]))
    is_run = given.get("per") == "runId"
    if given.get("what") == "lost":
        title = view.say(
            "Lost after step %(number)s: %(name)s", number=place - 1, name=given["steps"][place - 2]
        )
        if is_run:
            return title, view.say("Of each run the first track by which it had reached that step.")
        return title, view.say("Of each user the first track by which they had reached that step.")
    title = view.say("Step %(number)s: %(name)s", number=place, name=given["steps"][place - 1])
    if is_run:
        return title, view.say("Of each run the first track by which it reached the step.")
    return title, view.say("Of each user the first track by which they reached the step.")


def _of_cohort(view: View, given: dict[str, Any]) -> tuple[str, str]:
    unit, later = given.get("unit", "week"), given.get("later", 0)
    start = period_start(given["cohort"], unit, view.zone)
    then = period_edges(start, start + (later + 1) * 31 * 86_400, unit, view.zone)[later]
    first, last = (view.format.period(edge, unit) for edge in (start, then))
    if unit == "day":
        title = view.say("Came first on %(day)s", day=first)
        return title, view.say("All tracks of these users on %(day)s.", day=last)
    if unit == "week":
        title = view.say("Came first in the week of %(day)s", day=first)
        return title, view.say("All tracks of these users in the week of %(day)s.", day=last)
    title = view.say("Came first in %(month)s", month=first)
    return title, view.say("All tracks of these users in %(month)s.", month=last)


async def download(view: View) -> Reply:
    """All of these tracks, as a file."""
    number = await _asked_for(view)
    storage = view.storage
    return await file_of(view, lambda: _rows(storage, number))


def _rows(storage: Storage, number: Number) -> Iterator[Row]:
    """The tracks, so many at a time."""
    arguments = {**number.arguments, "top": ROWS_LIMIT}
    while True:
        table = run_report(storage, number.report, arguments)
        for id, moment, task, run, user, json in table.rows:
            yield parse_track_id(id), task, run, user, moment, json  # type: ignore[misc]
        if len(table) < ROWS_LIMIT:
            return
        arguments["after"] = table.rows[-1][0]


PAGES = [
    Page("GET", "/storages/{storage}/behind", behind),
    Page("GET", "/storages/{storage}/behind/download", download, is_shown=False),
]
