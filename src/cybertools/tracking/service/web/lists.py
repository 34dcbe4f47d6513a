"""Tasks and users: all of them, one of them, and a run."""

import asyncio
from typing import Any
from urllib.parse import urlencode

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.reports import Table
from cybertools.tracking.service.problems import Bad
from cybertools.tracking.service.replies import Reply
from cybertools.tracking.service.web.charts import Mark
from cybertools.tracking.service.web.counting import different
from cybertools.tracking.service.web.series import series
from cybertools.tracking.service.web.site import Page, View
from cybertools.tracking.service.web.stats import Stat
from cybertools.tracking.track import Track
from cybertools.tracking.values import shown

__all__ = ["PAGES"]

ROWS = 25
MOST_ROWS = 1_000
TRACKS = 100
TIMELINE = 500
LANES = 12
FOUND = 8


def _rows(view: View) -> int:
    text = view.asked.get("rows", str(ROWS))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_ROWS:
        raise InvalidValue(f"rows must be from 1 to {MOST_ROWS:,}, not {shown(text)}.")
    return int(text)


async def _listed(view: View, what: str) -> Reply:
    period = await view.choose_period()
    rows, find = _rows(view), view.asked.get("q", "").strip()
    by = view.asked.get("by", "tracks")
    criteria: dict[str, Any] = {**period.criteria}
    if find:
        criteria[what] = f"{find}*"
    parsed = view.storage.parse(criteria)
    table, count = await asyncio.gather(
        view.report("top", what=what, by=by, top=rows + 1, **criteria),
        view.work(different, view.storage, parsed, what),
    )
    found = table.as_dicts()
    return view.render(
        "list.html",
        what=what,
        found=found[:rows],
        count=count,
        find=find,
        by=by,
        more=min(rows * 2, MOST_ROWS) if len(found) > rows and rows < MOST_ROWS else None,
    )


async def tasks(view: View) -> Reply:
    """The tasks with the most tracks."""
    return await _listed(view, "taskId")


async def users(view: View) -> Reply:
    """The users with the most tracks."""
    return await _listed(view, "userName")


def _named(view: View, name: str) -> str:
    if not view.asked.get(name):
        raise InvalidValue(f"{name} is missing.")
    return view.asked[name]


async def task(view: View) -> Reply:
    """One task: its numbers, users, runs, and what happened last."""
    period = await view.choose_period()
    id = _named(view, "taskId")
    criteria = {**period.criteria, "taskId": id}
    summary, bars, people, runs, durations, newest = await asyncio.gather(
        view.report("task", **criteria),
        series(view, compared=True, taskId=id),
        view.report("top", what="userName", top=10, detail="none", **criteria),
        view.report("top", what="runId", top=10, **criteria),
        view.report("durations", **criteria),
        view.report("changes", top=10, **criteria),
    )
    (values,) = summary.as_dicts()
    if not values["tracks"] and not await view.work(_is_task, view.storage, id):
        raise Bad("track-not-found", f"There is no task {shown(id)}.")
    return view.render(
        "task.html",
        id=id,
        stats=_task_stats(view, id, values),
        values=values,
        bars=bars,
        users=people.as_dicts(),
        runs=runs.as_dicts(),
        durations=_filled(durations),
        newest=newest.as_dicts(),
    )


def _is_task(storage: Storage, id: str) -> bool:
    return bool(storage.query(taskId=[id], limit=1))


def _task_stats(view: View, id: str, values: dict[str, Any]) -> list[Stat]:
    fmt = view.format
    explore = view.link("explore", taskId=id)
    return [
        Stat(view.say("Tracks"), fmt.number(values["tracks"]), explore),
        Stat(
            view.say("Users"),
            fmt.number(values["users"]),
            view.link("explore", taskId=id, by="userName"),
        ),
        Stat(
            view.say("Runs"),
            fmt.number(values["runs"]),
            view.link("explore", taskId=id, by="runId"),
        ),
        Stat(view.say("Median visit"), fmt.duration(values["median"])),
        Stat(
            view.say("Come back"),
            fmt.percent(values["share"]),
        ),
    ]


def _filled(table: Table) -> list[dict[str, Any]]:
    """The rows from the first to the last one that has a run."""
    rows = table.as_dicts()
    there = [place for place, row in enumerate(rows) if row["runs"]]
    return rows[there[0] : there[-1] + 1] if there else []


async def user(view: View) -> Reply:
    """One user's journey."""
    period = await view.choose_period()
    name = _named(view, "userName")
    criteria = {**period.criteria, "userName": name}
    totals, bars, top, journey = await asyncio.gather(
        view.report("totals", **{**criteria, "userName": [name]}),
        series(view, userName=name),
        view.report("top", what="taskId", top=10, detail="none", **criteria),
        view.report("journey", top=TRACKS, **criteria),
    )
    (values,) = totals.as_dicts()
    fmt = view.format
    stats = [
        Stat(view.say("Tracks"), fmt.number(values["tracks"]), view.link("explore", userName=name)),
        Stat(
            view.say("Tasks"),
            fmt.number(values["tasks"]),
            view.link("explore", userName=name, by="taskId"),
        ),
        Stat(
            view.say("Runs"),
            fmt.number(values["runs"]),
            view.link("explore", userName=name, by="runId"),
        ),
        Stat(view.say("First track"), fmt.day(values["first"])),
        Stat(view.say("Last track"), fmt.day(values["last"])),
    ]
    steps = journey.as_dicts()[::-1]
    return view.render(
        "user.html",
        name=name,
        stats=stats,
        bars=bars,
        tasks=top.as_dicts(),
        days=_by_day(view, steps),
        total=values["tracks"],
        shown=len(steps),
    )


def _by_day(view: View, steps: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    days: list[tuple[str, list[dict[str, Any]]]] = []
    for step in steps:
        day = view.format.long_day(step["timeStamp"])
        if not days or days[-1][0] != day:
            days.append((day, []))
        days[-1][1].append(step)
    return days


async def run(view: View) -> Reply:
    """One run, with its time line."""
    text = view.call.parts["runId"]
    found = None
    if text.isascii() and text.isdigit() and len(text) < 19:
        found = await view.work(view.storage.getRun, int(text))
    if found is None:
        raise Bad("run-not-found", f"There is no run {shown(text)}.")
    run_id = found.id

    def read() -> list[Track]:
        return view.storage.query(runId=run_id, order="timeStamp", limit=TIMELINE)

    totals, tracks = await asyncio.gather(view.report("totals", runId=run_id), view.work(read))
    (numbers,) = totals.as_dicts()
    count, users = numbers["tracks"], numbers["users"]
    fmt = view.format
    state = view.say("finished") if found.finished else view.say("not finished")
    stats = [
        Stat(
            view.say("Tracks"), fmt.number(count), view.link("explore", runId=run_id, period="all")
        ),
        Stat(
            view.say("Users"),
            fmt.number(users),
            view.link("explore", runId=run_id, period="all", by="userName"),
        ),
        Stat(view.say("Duration"), fmt.duration(found.end - found.start)),
        Stat(view.say("State"), state),
    ]
    return view.render(
        "run.html",
        run=found,
        stats=stats,
        tracks=[t.as_dict() | {"json": t.json, "timeStamp": t.timeStamp} for t in tracks],
        lanes=_lanes(view, tracks),
        count=count,
    )


def _lanes(view: View, tracks: list[Track]) -> list[tuple[str, list[Mark]]]:
    """The moments of each user, for the users with the most."""
    if not tracks:
        return []
    start, end = tracks[0].timeStamp, tracks[-1].timeStamp
    length = (end - start) or 1.0
    lanes: dict[str, list[Mark]] = {}
    for track in tracks:
        title = f"{view.format.time(track.timeStamp)} · {track.taskId}"
        lanes.setdefault(track.userName, []).append(
            Mark(0.005 + 0.99 * (track.timeStamp - start) / length, title)
        )
    return sorted(lanes.items(), key=lambda lane: -len(lane[1]))[:LANES]


async def track(view: View) -> Reply:
    """One track, all of it."""
    found = await view.work(view.storage.get, view.call.parts["id"])
    if found is None:
        raise Bad("track-not-found", f"There is no track {shown(view.call.parts['id'])}.")
    return view.render("track.html", track=found)


async def find(view: View) -> Reply:
    """Tasks and users whose names begin with a text, or have it in them."""
    text = view.asked.get("q", "").strip()
    found: list[tuple[str, str, str]] = []
    if text:
        found = await view.work(_found, view, text)
    return view.render("find.html", q=text, found=found)


def _found(view: View, text: str) -> list[tuple[str, str, str]]:
    low = text.casefold()
    ids = [id for id in view.storage.getTaskIds() if low in id.casefold()]
    ids.sort(key=lambda each: (not each.casefold().startswith(low), each))
    names: dict[str, None] = {}
    for start in dict.fromkeys((text, text.lower(), text.capitalize())):
        after = None
        for _ in range(FOUND):
            more = view.storage.query(userName=f"{start}*", limit=50, after=after)
            names.update(dict.fromkeys(each.userName for each in more))
            if len(more) < 50 or len(names) >= FOUND:
                break
            after = more[-1].id
    tasks = [("task", id, f"task?{urlencode({'taskId': id})}") for id in ids[:FOUND]]
    people = [("user", n, f"user?{urlencode({'userName': n})}") for n in sorted(names)[:FOUND]]
    return [*tasks, *people]


_STORAGE = "/storages/{storage}"

PAGES = [
    Page("GET", f"{_STORAGE}/tasks", tasks),
    Page("GET", f"{_STORAGE}/task", task),
    Page("GET", f"{_STORAGE}/users", users),
    Page("GET", f"{_STORAGE}/user", user),
    Page("GET", f"{_STORAGE}/find", find),
    Page("GET", f"{_STORAGE}/runs/{{runId}}", run),
    Page("GET", f"{_STORAGE}/tracks/{{id}}", track),
]
