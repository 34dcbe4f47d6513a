"""The period that a page is about: chosen by name or by dates, in a named time zone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.reports.periods import period_edges
from cybertools.tracking.values import shown

__all__ = ["MICRO", "NAMES", "Period", "check_zone", "chosen_period", "zones"]

DAYS = {"today": 1, "7d": 7, "30d": 30, "90d": 90}

NAMES = (*DAYS, "all", "custom")

MICRO = 1e-6

DAY = 86_400

EARLIEST, LATEST = date(1900, 1, 1), date(2241, 12, 31)
"""The days that can be chosen: there is no track after the last one, and days before the first are
within reach of calendars."""


@dataclass(frozen=True, slots=True)
class Period:
    """From a time to before another one, in seconds since 1970 UTC; None where it is open."""

    name: str
    zone: str
    start: float | None = None
    end: float | None = None
    first: date | None = None
    last: date | None = None

    @property
    def criteria(self) -> dict[str, float]:
        """The period as criteria of tracks."""
        found = {}
        if self.start is not None:
            found["timeFrom"] = self.start
        if self.end is not None:
            found["timeTo"] = self.end - MICRO
        return found

    def unit(self, start: float, end: float) -> str:
        """How long the parts of a chart of that time are."""
        days = (end - start) / DAY
        if days <= 3:
            return "hour"
        if days <= 100:
            return "day"
        return "week" if days <= 750 else "month"

    def before(self, moment: float) -> "tuple[Period, Period] | None":
        """The period of the same length before this one; and as much of it as this one has had.

        :param moment: the present time: of a period that lasts still, only as much is compared,
            in whole seconds, as addresses have them.
        """
        if self.first is None or self.last is None:
            return None
        length = (self.last - self.first).days + 1
        earlier = _of_days(
            "custom", self.zone, self.first - timedelta(length), self.first - timedelta(1)
        )
        if self.start is None or self.end is None or earlier.start is None:
            return None
        had = int(min(self.end, max(moment, self.start)) - self.start)
        same = Period("custom", self.zone, earlier.start, min(earlier.start + had, self.start))
        return earlier, same


def chosen_period(
    asked: Mapping[str, str],
    zone: str,
    moment: float,
    last: float | None,
    short: bool = False,
) -> Period:
    """The period that the parameters of a page name.

    Without one it is the last 30 days or, where there is nothing in them, all that there is.

    :param last: the time of the last track.
    :param short: without one it is the last 7 days or, where there is nothing in them, the last 7
        with tracks.
    """
    name = asked.get("period", "")
    if not name and ("from" in asked or "to" in asked):
        name = "custom"
    if name and name not in NAMES:
        raise InvalidValue(f"period must be one of {', '.join(NAMES)}, not {shown(name)}.")
    today = datetime.fromtimestamp(moment, ZoneInfo(zone)).date()
    if not name:
        usual = "7d" if short else "30d"
        period = _of_days(usual, zone, today - timedelta(DAYS[usual] - 1), today)
        if last is None or period.start is None or last >= period.start:
            return period
        if not short:
            return Period("all", zone)
        day = datetime.fromtimestamp(last, ZoneInfo(zone)).date()
        return _of_days("custom", zone, day - timedelta(DAYS[usual] - 1), day)
    if name == "all":
        return Period("all", zone)
    if name == "custom":
        first, end = _day(asked, "from"), _day(asked, "to")
        if first is None and end is None:
            return Period("all", zone)
        return _of_days("custom", zone, first, end)
    return _of_days(name, zone, today - timedelta(DAYS[name] - 1), today)


def _day(asked: Mapping[str, str], name: str) -> date | None:
    text = asked.get(name, "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidValue(f"{name} must be a date like 2026-03-01, not {shown(text)}.") from None
    if not EARLIEST <= day <= LATEST:
        raise InvalidValue(f"{name} must be from {EARLIEST} to {LATEST}, not {shown(text)}.")
    return day


def _of_days(name: str, zone: str, first: date | None, last: date | None) -> Period:
    if first is not None and last is not None and first > last:
        raise InvalidValue(f"from must not be after to: {first} is after {last}.")
    return Period(
        name,
        zone,
        None if first is None else _begin(first, zone),
        None if last is None else _begin(last + timedelta(1), zone),
        first,
        last,
    )


def _begin(day: date, zone: str) -> float:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone)).timestamp()
    return float(period_edges(noon, noon, "day", zone)[0])


def check_zone(name: str) -> str | None:
    """The name, if it is one of a time zone."""
    return name if name in zones() else None


_ZONES: list[str] = []


def zones() -> list[str]:
    """The names of the time zones there are."""
    if not _ZONES:
        _ZONES.extend(sorted(z for z in available_timezones() if "/" in z or z == "UTC"))
    return _ZONES


def as_parameters(period: Period) -> dict[str, Any]:
    """The period as the parameters of a page."""
    if period.name != "custom":
        return {"period": period.name}
    return {"from": period.first, "to": period.last}
