"""The languages of the pages: texts from catalogues, numbers and times as their readers write them.

A catalogue is a ``.po`` file in ``locale``; it is read as it is, nothing has to be compiled.
"""

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_skeleton, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations

__all__ = ["LANGUAGES", "Format", "locale_for", "translations"]

NOTHING = "\N{EN DASH}"
"""Where there is no value."""

LANGUAGES = {"en": "English", "de": "Deutsch"}


@cache
def translations(language: str) -> NullTranslations:
    """The texts of a language; those of the source are English."""
    if language == "en":
        return NullTranslations()
    source = files(__package__).joinpath(f"locale/{language}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(source), language))
    compiled.seek(0)
    return Translations(compiled)


def locale_for(chosen: str | None, accepted: str) -> Locale:
    """The locale of a reader.

    :param chosen: the language that was chosen, if one was.
    :param accepted: the header ``Accept-Language``.
    """
    wanted = [each for each in _preferred(accepted) if each.language in LANGUAGES]
    if chosen in LANGUAGES:
        return next((each for each in wanted if each.language == chosen), Locale(chosen))
    return wanted[0] if wanted else Locale("en")


@cache
def _preferred(accepted: str) -> tuple[Locale, ...]:
    weighed: list[tuple[float, Locale]] = []
    for part in accepted[:200].split(","):
        tag, _, weight = part.partition(";q=")
        try:
            weighed.append((-float(weight or 1), Locale.parse(tag.strip(), sep="-")))
        except (UnknownLocaleError, ValueError, TypeError):
            continue
    return tuple(locale for _, locale in sorted(weighed, key=lambda pair: pair[0]))


@dataclass(frozen=True, slots=True)
class Format:
    """Values as a reader writes them."""

    locale: Locale
    zone: ZoneInfo

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number, with separators."""
        if value is None:
            return NOTHING
        pattern = "#,##0" if not digits else "#,##0." + "#" * digits
        return str(format_decimal(value, pattern, self.locale))

    def percent(self, value: float | None, digits: int = 0) -> str:
        """A share that is given in percent."""
        space = "\u00a0" if self.locale.language == "de" else ""
        return NOTHING if value is None else f"{self.number(value, digits)}{space}%"

    def size(self, count: int | None) -> str:
        """So many bytes."""
        if count is None:
            return NOTHING
        size = float(count)
        for unit in ("B", "kB", "MB", "GB"):
            if size < 1000 or unit == "GB":
                break
            size /= 1000
        return f"{self.number(size, 0 if unit == 'B' or size >= 100 else 1)}\u00a0{unit}"

    def duration(self, seconds: float | None) -> str:
        """A length of time, to two units."""
        if seconds is None:
            return NOTHING
        if seconds < 1:
            return f"{self.number(seconds * 1000)}\u00a0ms" if seconds > 0 else "0\u00a0s"
        left = round(seconds)
        parts: list[str] = []
        for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
            if left >= length and len(parts) < 2:
                parts.append(f"{self.number(left // length)}\u00a0{unit}")
                left %= length
            elif parts:
                break
        return " ".join(parts)

    def _moment(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, self.zone)

    def time(self, seconds: float | None) -> str:
        """A day and a time of day."""
        if seconds is None:
            return NOTHING
        moment = self._moment(seconds)
        day = str(format_date(moment, "medium", self.locale))
        return f"{day}, {format_time(moment, 'medium', tzinfo=self.zone, locale=self.locale)}"

    def clock(self, seconds: float) -> str:
        """A time of day."""
        moment = self._moment(seconds)
        return str(format_time(moment, "medium", tzinfo=self.zone, locale=self.locale))

    def day(self, seconds: float | None) -> str:
        """A day."""
        if seconds is None:
            return NOTHING
        return str(format_date(self._moment(seconds), "medium", self.locale))

    def long_day(self, seconds: float) -> str:
        """A day with its weekday."""
        return str(format_date(self._moment(seconds), "full", self.locale))

    def iso(self, seconds: float) -> str:
        """A time for machines."""
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")

    def period(self, edge: float, unit: str, short: bool = False) -> str:
        """The period of that unit that begins then."""
        moment = self._moment(edge)
        if unit in ("minute", "hour"):
            text = str(format_time(moment, "short", tzinfo=self.zone, locale=self.locale))
            return text if short else f"{self.day(edge)}, {text}"
        skeleton = {"month": "yMMM"}.get(unit, "MMMd" if short else "yMMMEd")
        return str(format_skeleton(skeleton, moment, self.zone, locale=self.locale))

    def short_period(self, edge: float, unit: str) -> str:
        """The day, week or month that begins then, where there is little room."""
        return self.period(edge, unit) if unit == "month" else self.day(edge)

    def ago(self, seconds: float) -> str:
        """How long ago, roughly."""
        return self.duration(seconds if seconds < 60 else seconds - seconds % 60)

    def both(self, seconds: float) -> str:
        """A time with its zone, for tool tips."""
        return str(format_datetime(self._moment(seconds), "full", locale=self.locale))
