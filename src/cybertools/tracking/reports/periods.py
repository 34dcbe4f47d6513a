"""Minutes, hours, days, weeks and months in a time zone, as instants: summer time is in them.

A day begins with its first instant there is, so that one with a change of the clocks has 23 or 25
hours. An hour or a minute begins where the clocks show a whole one, and where they are changed: the
hour that is shown twice is two hours.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.values import shown

__all__ = ["MOST_PERIODS", "period_edges", "period_name", "period_start"]

MOST_PERIODS = 100_000
"""More rows than anybody reads, and a few megabytes."""


def period_edges(start: float, end: float, unit: str, timezone: str) -> tuple[int, ...]:
    """Where the periods begin in which the times from ``start`` to ``end`` are.

    The last edge is the end of the last period.

    :param unit: ``minute``, ``hour``, ``day``, ``week`` (from Monday) or ``month``.
    :raises InvalidValue: they would be more than `MOST_PERIODS`.
    """
    zone = ZoneInfo(timezone)
    length = _LENGTHS[unit]
    if (end - start) / length > MOST_PERIODS:
        raise InvalidValue(
            f"unit {unit!r} would make {(end - start) / length:,.0f} periods, more than"
            f" {MOST_PERIODS:,}: choose a longer one, or a shorter time with timeFrom and timeTo."
        )
    edges: list[int] = []
    for edge in _clock(start, length, zone) if length <= 3_600 else _calendar(start, unit, zone):
        if not edges or edge > edges[-1]:  # a day may be left out: a zone beyond the date line
            edges.append(edge)
        if edge > end and len(edges) > 1:
            break
    return tuple(edges)


_LENGTHS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800, "month": 2_592_000}


def _calendar(start: float, unit: str, zone: ZoneInfo) -> Iterator[int]:
    day = datetime.fromtimestamp(start, zone).date()
    if unit == "week":
        day -= timedelta(days=day.weekday())
    elif unit == "month":
        day = day.replace(day=1)
    while True:
        yield _first_instant(day, zone)
        if unit == "month":
            day = (day + timedelta(days=31)).replace(day=1)
        else:
            day += timedelta(days=7 if unit == "week" else 1)


def _first_instant(day: date, zone: ZoneInfo) -> int:
    """Of two midnights the first one; of none, where the clocks go on."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return round((midnight.astimezone(UTC) - _EPOCH).total_seconds())


def _clock(start: float, length: int, zone: ZoneInfo) -> Iterator[int]:
    moment = int(start)
    offset = _offset(moment, zone)
    edge = moment - (moment + offset) % length
    changed = _change_within(edge, moment, zone)
    edge = edge if changed is None else changed
    while True:
        yield edge
        offset = _offset(edge, zone)
        following = edge + length - (edge + offset) % length
        changed = _change_within(edge, following, zone)
        edge = following if changed is None else changed


def _change_within(start: int, end: int, zone: ZoneInfo) -> int | None:
    """Where in between the clocks are changed; the end is included, the start is not."""
    before = _offset(start, zone)
    if _offset(end, zone) == before:
        return None
    while end - start > 1:
        middle = (start + end) // 2
        if _offset(middle, zone) == before:
            start = middle
        else:
            end = middle
    return end


def _offset(moment: int, zone: ZoneInfo) -> int:
    """Seconds that the clocks are ahead of UTC."""
    offset = datetime.fromtimestamp(moment, zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def period_name(edge: int, unit: str, timezone: str) -> str:
    """A period for people and charts: ``2026-03-29T03:00+02:00``, ``2026-03-29``, ``2026-W13``."""
    moment = datetime.fromtimestamp(edge, ZoneInfo(timezone))
    if unit in ("minute", "hour"):
        return moment.isoformat(timespec="minutes")
    if unit == "week":
        year, week, _ = moment.isocalendar()
        return f"{year}-W{week:02d}"
    return moment.strftime("%Y-%m" if unit == "month" else "%Y-%m-%d")


def period_start(name: str, unit: str, timezone: str) -> int:
    """When the day, week or month of that name begins.

    :raises InvalidValue: none has that name.
    """
    pattern, example = _NAMES[unit]
    try:
        day = datetime.strptime(name + ("-1" if unit == "week" else ""), pattern).date()
        return _first_instant(day, ZoneInfo(timezone))
    except (ValueError, OverflowError):
        raise InvalidValue(f"A {unit} is named like {example}, not {shown(name)}.") from None


_NAMES = {
    "day": ("%Y-%m-%d", "2026-03-29"),
    "week": ("%G-W%V-%u", "2026-W13"),
    "month": ("%Y-%m", "2026-03"),
}
