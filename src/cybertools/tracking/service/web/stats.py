"""The few large numbers at the head of a page."""

from dataclasses import dataclass
from typing import Any

from cybertools.tracking.reports import Table
from cybertools.tracking.service.web.periods import Period
from cybertools.tracking.service.web.site import View

__all__ = ["Stat", "stats_of"]


@dataclass(frozen=True, slots=True)
class Stat:
    """A number with its name."""

    label: str
    text: str
    href: str = ""
    """What is behind it."""
    change: float | None = None
    """Against the period before, in percent."""
    before: str = ""
    """What it was before."""
    before_href: str = ""
    """What is behind that."""


def stats_of(view: View, totals: Table, old: Table | None, earlier: Period | None) -> list[Stat]:
    """The numbers of a table of totals, with how they have changed.

    :param old: those of the period before, which is ``earlier``.
    """
    labels = (
        ("tracks", view.say("Tracks"), view.link("explore"), None),
        ("users", view.say("Active users"), view.link("users"), "userName"),
        ("tasks", view.say("Tasks"), view.link("tasks"), "taskId"),
        ("runs", view.say("Runs"), view.link("explore", by="runId"), "runId"),
    )
    (row,) = totals.as_dicts()
    before = old.as_dicts()[0] if old is not None and old.rows[0][0] else None
    times: dict[str, Any] = {}
    if earlier is not None and earlier.start is not None and earlier.end is not None:
        times = {"from": int(earlier.start), "to": int(earlier.end) - 1}
    return [
        Stat(
            label,
            view.format.number(row[name]),
            href,
            None
            if before is None or not before[name]
            else 100 * (row[name] - before[name]) / before[name],
            "" if before is None else view.format.number(before[name]),
            "" if before is None else view.link("explore", **times, by=by),
        )
        for name, label, href, by in labels
    ]
