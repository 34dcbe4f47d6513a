"""Counts over time as the bars of a chart, with those of the period before."""

import asyncio
from itertools import pairwise
from typing import Any

from cybertools.tracking.codec import DATA_PREFIX
from cybertools.tracking.reports import Table
from cybertools.tracking.reports.periods import period_edges
from cybertools.tracking.service.storages import with_attributes
from cybertools.tracking.service.web.charts import Bar
from cybertools.tracking.service.web.periods import Period
from cybertools.tracking.service.web.site import View

__all__ = ["series"]

MOST_BARS = 3_000


async def series(
    view: View,
    report: str = "counts",
    compared: bool = False,
    attributes: tuple[str, ...] = (),
    **criteria: Any,
) -> list[Bar]:
    """The bars of a report that counts by time, within the page's period.

    :param compared: with the period before.
    :param attributes: the names in the data that are among the criteria.
    """
    period = view.period
    span = await _span(view, attributes, criteria)
    if span is None:
        return []
    start, end = span
    unit = _unit(view, report, start, end)
    earlier = period.before(view.moment) if compared else None
    given = (view, report, unit, attributes, criteria)
    asked = [_counts(*given, period)]
    if earlier is not None:
        asked.append(_counts(*given, earlier[0]))
    now, *before = await asyncio.gather(*asked)
    values = _values(now)
    edges = period_edges(start, end, unit, view.zone)
    old = _ordered(before[0], earlier[0], unit) if before and earlier else []
    shared = {
        **_as_parameters(criteria, attributes),
        "by": "userName" if report == "active" else None,
    }

    def address(edge: int, following: int) -> str:
        return view.link("explore", **shared, **{"from": edge, "to": following - 1})

    nothing = (0 if old else None, None)
    bars: list[Bar] = []
    for place, (edge, following) in enumerate(pairwise(edges[: MOST_BARS + 1])):
        before_value, times = old[place] if place < len(old) else nothing
        bars.append(
            Bar(
                view.format.period(edge, unit),
                view.format.period(edge, unit, short=True),
                values.get(edge, 0),
                before_value,
                address(edge, following),
                "" if times is None else address(*times),
            )
        )
    return bars


async def _span(
    view: View, attributes: tuple[str, ...], criteria: dict[str, Any]
) -> tuple[float, float] | None:
    """From when to when the bars go; None where there is nothing at all."""
    period = view.period
    if period.start is not None and period.end is not None:
        return period.start, period.end - 1
    inside = {**criteria, **period.criteria}

    def ends() -> list[float]:
        storage = with_attributes(view.storage, attributes)
        return [
            track.timeStamp
            for order in ("timeStamp", "-timeStamp")
            for track in storage.query(**inside, order=order, limit=1)
        ]

    found = await view.work(ends)
    if not found:
        return None
    start = found[0] if period.start is None else period.start
    end = found[1] if period.end is None else period.end - 1
    return (start, end) if start <= end else None


def _unit(view: View, report: str, start: float, end: float) -> str:
    unit = view.period.unit(start, end)
    return "day" if unit == "hour" and report == "active" else unit


async def _counts(
    view: View,
    report: str,
    unit: str,
    attributes: tuple[str, ...],
    criteria: dict[str, Any],
    period: Period,
) -> Table:
    return await view.report(
        report, attributes, unit=unit, timezone=view.zone, **criteria, **period.criteria
    )


def _values(table: Table) -> dict[int, int]:
    value = table.place("users" if table.name == "active" else "tracks")
    return {row[0]: row[value] for row in table}  # type: ignore[misc]


def _ordered(table: Table, period: Period, unit: str) -> list[tuple[int, tuple[int, int]]]:
    """The values of each part of a period, in their order, with its two ends."""
    if period.start is None or period.end is None:
        return []
    values = _values(table)
    edges = period_edges(period.start, period.end - 1, unit, period.zone)
    return [(values.get(pair[0], 0), pair) for pair in pairwise(edges)]


def _as_parameters(criteria: dict[str, Any], attributes: tuple[str, ...]) -> dict[str, Any]:
    return {
        (DATA_PREFIX + name if name in attributes else name): value
        for name, value in criteria.items()
    }
