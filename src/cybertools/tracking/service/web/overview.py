"""The first page: how much, by whom, in what, and how that has changed. And what happens now."""

import asyncio
from typing import Any

from cybertools.tracking.reports import Table
from cybertools.tracking.service.asking import watch_tracks
from cybertools.tracking.service.replies import Reply
from cybertools.tracking.service.web.periods import MICRO
from cybertools.tracking.service.web.series import series
from cybertools.tracking.service.web.site import Page, View
from cybertools.tracking.service.web.stats import Stat, stats_of

__all__ = ["PAGES"]

TOP = 8
WITHIN = 900
PRESENT = 50


async def overview(view: View) -> Reply:
    """How much, who, what, within a period."""
    period = await view.choose_period()
    within = period.criteria
    earlier = period.before(view.moment)

    async def before() -> Table | None:
        return None if earlier is None else await view.report("totals", **earlier[1].criteria)

    (totals, old, newest), (bars, active), (tasks, users) = await asyncio.gather(
        asyncio.gather(
            view.report("totals", **within), before(), view.report("changes", top=TOP, **within)
        ),
        asyncio.gather(series(view, compared=True), series(view, "active")),
        asyncio.gather(
            view.report("top", what="taskId", top=TOP, detail="none", **within),
            view.report("top", what="userName", top=TOP, detail="none", **within),
        ),
    )
    return view.render(
        "overview.html",
        stats=stats_of(view, totals, old, None if earlier is None else earlier[1]),
        bars=bars,
        active=active,
        tasks=tasks.as_dicts(),
        users=users.as_dicts(),
        newest=newest.as_dicts(),
        is_empty=not totals.rows[0][0],
    )


async def now_page(view: View) -> Reply:
    """Who is in what at this moment, and what arrives."""
    end = int(view.moment) + 1
    start = end - WITHIN
    present, totals, newest = await asyncio.gather(
        view.report("present", within=WITHIN, top=PRESENT),
        view.report("totals", timeFrom=start, timeTo=end - MICRO),
        view.report("changes", top=30),
    )
    (numbers,) = totals.as_dicts()
    within = {"from": start, "to": end - 1}
    stats = [
        Stat(label, view.format.number(numbers[name]), view.link("explore", **within, by=by))
        for name, label, by in (
            ("users", view.say("Users"), "userName"),
            ("tasks", view.say("Tasks"), "taskId"),
            ("tracks", view.say("Tracks"), None),
        )
    ]
    return view.render(
        "now.html",
        people=present.as_dicts(),
        newest=newest.as_dicts(),
        stats=stats,
        within=within,
        most=PRESENT,
    )


async def live(view: View) -> Reply:
    """What arrives, as server-sent events."""
    answer: Any = await watch_tracks(view.service, view.call)
    return Reply(*answer)


PAGES = [
    Page("GET", "/storages/{storage}/overview", overview),
    Page("GET", "/storages/{storage}/now", now_page),
    Page("GET", "/storages/{storage}/live", live, is_shown=False),
]
