"""Errors in the reader's language: the contract has them in English, pages show them translated.

An error's text is recognized by what is the same in all of its kind; what differs, is kept. One
that is not known stays as it is.
"""

import re
from collections.abc import Callable

from cybertools.tracking.service.web.words import translations

__all__ = ["REFUSALS", "refusal"]

REFUSALS = (
    # Who asks
    "Sign in to see this page.",
    "The user name or the password is wrong.",
    "This token is unknown, or no longer valid.",
    "This token has expired.",
    "The session has ended: sign in again.",
    "Give a token, or a user name and a password.",
    "This needs a token with the scope %(scope)s.",
    "This token is not for this storage.",
    "This needs a token for all storages.",
    "This form is not from a page of this session: load it again.",
    "This form was sent by a page of another site.",
    "Too many requests: wait 1 second.",
    "Too many requests: wait %(seconds)s seconds.",
    "Too many attempts to sign in: wait %(seconds)s seconds.",
    # For what
    "%(name)s is missing.",
    "There is no task %(value)s.",
    "There is no run %(value)s.",
    "There is no track %(value)s.",
    "There is no storage %(value)s.",
    "storage must not hold a slash, since it is part of a URL: %(value)s.",
    "A value in the data is asked for like state=open, not %(value)s.",
    "%(name)s: no attribute of data can be queried by that.",
    "%(name)s must be text or a number, or a prefix 'abc*', not %(value)s.",
    "%(name)s must be a whole number, not %(value)s.",
    "%(name)s must be a track id like '0000001', not %(value)s.",
    "%(name)s must be given once, not %(count)s times.",
    "%(name)s must be a list of task ids, prefixes 'abc*' or mappings of criteria, not %(value)s.",
    (
        "%(name)s must be one of %(known)s, or the keys on the way to a value in the data, with"
        " dots between them: 'state', 'score.points'; not %(value)s."
    ),
    "%(name)s must be one of %(known)s, not %(value)s.",
    "%(name)s must be from %(least)s to %(most)s steps, not %(count)s.",
    "%(name)s must be from %(least)s to %(most)s, not %(value)s.",
    "%(name)s must be jsonl or csv, not %(value)s.",
    "after: there is no track %(value)s.",
    "The report %(name)s needs %(value)s.",
    "Nobody is lost at step 1: there is none before it.",
    "%(name)s must not be empty.",
    "%(name)s must not be negative: %(value)s.",
    "%(name)s must not hold a NUL character: %(value)s.",
    "%(name)s must be valid Unicode, but holds a lone surrogate: %(value)s.",
    "%(name)s must have at most %(most)s bytes, not %(count)s: %(value)s.",
    "limit and order are not for a stream, which has no end.",
    "The parameters are no UTF-8, encoded as in a URL.",
    # When
    "%(name)s must be a time zone like Europe/Berlin or UTC, not %(value)s.",
    "%(name)s must be a date like 2026-03-01, not %(value)s.",
    "from must not be after to: %(first)s is after %(last)s.",
    "%(name)s must be ISO 8601 text like '2007-05-01T09:28:00Z', not %(value)s.",
    "%(name)s must be a time in seconds since 1970, not %(value)s.",
    "%(name)s must not be before 1970: %(value)s.",
    "%(name)s must be before 2242-03-16, not %(value)s. Is it in %(unit)s? Seconds are expected.",
    "%(name)s must be before 2242-03-16, not %(value)s.",
    "%(name)s must be more than 0 seconds, not %(value)s.",
    "A day is named like 2026-03-29, not %(value)s.",
    "A week is named like 2026-W13, not %(value)s.",
    "A month is named like 2026-03, not %(value)s.",
    "A duration is like 90s, 30m, 1.5h or 2d, not %(value)s.",
    (
        "unit %(value)s would make %(count)s periods, more than %(most)s: choose a longer one, or a"
        " shorter time with timeFrom and timeTo."
    ),
    # Tokens
    "A token needs a name: who or what it is for.",
    "A scope is one of %(known)s, and there is none.",
    "A scope is one of %(known)s, not %(value)s.",
    "expires must be in the future.",
    "The storage %(value)s is the service's own; only an admin for all storages has to do with it.",
    (
        "A token with origins is public, everybody can read it in the page: it may have the"
        " scope write only, and must say for which storages."
    ),
    (
        "An origin is a scheme, a host and perhaps a port, like https://example.org or"
        " http://localhost:8000, not %(value)s."
    ),
    # What goes wrong
    (
        "The body has not come in time: it may take %(seconds)s s, and a second more for each"
        " %(count)s bytes that have come."
    ),
    "The service stops.",
    "The database does not answer.",
    "%(count)s queries are being sent as lines.",
    "%(count)s clients watch already.",
    "Too many tracks wait to be stored.",
    "The bodies of other requests take all the memory that there is.",
    # What is wrong with the database
    "The storage is closed.",
    "%(path)s is locked: another process has been writing for %(seconds)s s.",
    "%(path)s is being written to.",
    "%(path)s can be read but not written.",
    "%(path)s cannot grow: the disk is full.",
    "%(path)s cannot be opened: is there a right to read and write it?",
    "%(path)s cannot be opened: %(why)s.",
    "%(path)s is damaged: %(why)s.",
    "%(path)s is not a SQLite database.",
    "%(path)s is another application's SQLite database.",
    "%(path)s is in use by another process.",
    "%(path)s is not a ZODB file, or it is damaged.",
    "There is no directory %(value)s.",
    "There is no file %(value)s.",
    (
        "The storage %(name)s has schema version %(version)s, made by a newer cybertools-tracking;"
        " this one knows up to %(known)s. Upgrade it: pip install -U cybertools-tracking."
    ),
    (
        "The storage %(name)s has schema version %(version)s, made by an older"
        " cybertools-tracking; this one needs %(needed)s. Bring it up to date with: tracks migrate."
    ),
    (
        "%(path)s has schema version %(version)s, made by a newer cybertools-tracking; this one"
        " knows up to %(known)s. Upgrade it: pip install -U cybertools-tracking."
    ),
    "Another process is bringing the rollup up to date.",
    "Another process is changing the tables; try again later.",
    "The connection broke, and nothing was stored: %(why)s.",
    "The database can be read but not written: %(why)s.",
    "This role lacks a right: %(why)s.",
    "The server's disk is full: %(why)s.",
    "Others were writing the same; try again: %(why)s.",
    (
        "A worker of the sharded PostgreSQL cannot be reached, so neither can its users' tracks;"
        " those of others can. Try again later: %(why)s."
    ),
    "PostgreSQL refuses the connection: %(why)s.",
    "PostgreSQL cannot be reached: %(why)s.",
)
"""The errors that pages can show. Of two that fit, the first one counts."""

_PLACE = re.compile(r"%\((\w+)\)s")
_LARGE = re.compile(r"\d{1,3}(?:,\d{3})+")


def refusal(error: Exception, language: str, number: Callable[[float], str]) -> str:
    """What is wrong, in that language.

    :param number: writes a number as the reader does.
    """
    text = str(error)
    if language == "en":
        return text
    # What is wrong about a part: "steps[1]: …".
    part, colon, rest = text.partition(": ")
    about_part = _said(rest, language, number) if colon else None
    return _said(text, language, number) or (f"{part}: {about_part}" if about_part else text)


def _said(text: str, language: str, number: Callable[[float], str]) -> str | None:
    for known in REFUSALS:
        values = _values(known, text)
        if values is not None:
            written = {name: _written(value, number) for name, value in values.items()}
            return str(translations(language).gettext(known) % written)
    return None


def _values(known: str, text: str) -> dict[str, str] | None:
    """What stands in a text where a kind of error has its names; None where it is another kind.

    No regular expression: it would try all ways to part what a reader has made up.
    """
    start, *parts = _PLACE.split(known)
    if not parts:
        return {} if text == known else None
    *parts, name, end = parts
    if not (text.startswith(start) and text.endswith(end)):
        return None
    found, at, last = {}, len(start), len(text) - len(end)
    for between, following in zip(parts[::2], parts[1::2], strict=True):
        place = text.find(following, at + 1, last)
        if place < 0:
            return None
        found[between], at = text[at:place], place + len(following)
    return found | {name: text[at:last]} if at < last else None


def _written(text: str, number: Callable[[float], str]) -> str:
    return number(int(text.replace(",", ""))) if _LARGE.fullmatch(text) else text
