"""Where users go: funnels, who comes back, paths from task to task."""

from typing import Any

from cybertools.tracking.errors import TrackingError
from cybertools.tracking.reports.periods import period_edges
from cybertools.tracking.service.replies import Reply
from cybertools.tracking.service.web.charts import Flow, flow_chart
from cybertools.tracking.service.web.site import Page, View

__all__ = ["PAGES"]

SHADES = 10
LATER = 12
"""Columns of the table of those who come back."""

FLOWS = 40


async def funnel(view: View) -> Reply:
    """How many get from step to step."""
    period = await view.choose_period()
    steps = [value.strip() for name, value in view.call.pairs if name == "step" and value.strip()]
    per = view.asked.get("per", "userName")
    window = view.asked.get("window", "").strip()
    rows: list[dict[str, Any]] = []
    error = ""
    if steps:
        try:
            table = await view.report(
                "funnel", steps=steps, per=per, window=window or None, **period.criteria
            )
            rows = [_with_links(view, row, steps, per, window) for row in table.as_dicts()]
        except TrackingError as found:
            error = view.refusal(found)
    suggested = await view.report("top", what="taskId", top=100, detail="none", **period.criteria)
    return view.render(
        "funnel.html",
        422 if error else 200,
        steps=steps,
        rows=rows,
        per=per,
        window=window,
        unit="users" if per == "userName" else "runs",
        suggested=[row[0] for row in suggested],
        error=error,
    )


def _with_links(
    view: View, row: dict[str, Any], steps: list[str], per: str, window: str
) -> dict[str, Any]:
    """The row of a step, with the addresses of the tracks behind its numbers."""
    number = {"report": "funnel", "steps": steps, "step": row["step"], "per": per, "window": window}
    return row | {
        "href": view.link("behind", **number),
        "lost_href": view.link("behind", **number, what="lost"),
    }


async def retention(view: View) -> Reply:
    """Who comes back, by the period in which they came first."""
    period = await view.choose_period()
    unit = view.asked.get("unit", "week")
    table = await view.report("retention", unit=unit, timezone=view.zone, **period.criteria)
    cohorts: dict[float, dict[str, Any]] = {}
    latest = max((row["start"] for row in table.as_dicts()), default=0)
    edges: list[int] = []
    if table.rows:
        first = min(row["start"] for row in table.as_dicts())
        edges = [*period_edges(first, latest + 400 * 86_400, unit, view.zone)]
    over = min(view.moment, period.end or view.moment)
    for row in table.as_dicts():
        place = edges.index(row["start"])
        cohort = cohorts.setdefault(
            row["start"],
            {
                "label": view.format.period(row["start"], unit),
                "short": view.format.short_period(row["start"], unit),
                "size": row["size"],
                "href": _cohort_link(view, row | {"later": 0}, unit),
                "cells": [],
            },
        )
        if row["later"] <= LATER:
            cohort["cells"].append(
                {
                    **row,
                    "shade": round((row["share"] or 0) / 100 * (SHADES - 1)),
                    "is_open": edges[place + row["later"] + 1] > over,
                    "href": _cohort_link(view, row, unit),
                }
            )
    return view.render(
        "retention.html",
        unit=unit,
        cohorts=[*cohorts.values()],
        is_any_open=any(cell["is_open"] for each in cohorts.values() for cell in each["cells"]),
        columns=max((len(each["cells"]) for each in cohorts.values()), default=0),
    )


def _cohort_link(view: View, row: dict[str, Any], unit: str) -> str:
    return view.link(
        "behind", report="retention", cohort=row["cohort"], later=row["later"], unit=unit
    )


async def paths(view: View) -> Reply:
    """From which task to which one, and where it ends."""
    period = await view.choose_period(short=True)
    per = view.asked.get("per", "userName")
    gap = view.asked.get("gap", "30m").strip() or "30m"
    table = await view.report("paths", per=per, gap=gap, top=FLOWS, **period.criteria)
    rows = table.as_dicts()
    end = view.say("(end)")
    flows = [
        Flow(
            row["taskId"],
            row["nextTaskId"] or end,
            row["times"],
            view.link(
                "behind",
                report="paths",
                source=row["taskId"],
                target=row["nextTaskId"],
                per=per,
                gap=gap,
            ),
            f"{row['taskId']} → {row['nextTaskId'] or end}: {view.format.number(row['times'])}",
            row["nextTaskId"] is None,
        )
        for row in rows
    ]
    return view.render("paths.html", flows=flows, chart=flow_chart(flows[:18]), per=per, gap=gap)


PAGES = [
    Page("GET", "/storages/{storage}/funnel", funnel),
    Page("GET", "/storages/{storage}/retention", retention),
    Page("GET", "/storages/{storage}/paths", paths),
]
