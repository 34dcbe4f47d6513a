"""A token: what it may do, and its text, of which only a hash is kept.

The text is ``trk_<id>_<secret><checksum>`` (``trkw_`` for a key that is public because it stands in
web pages): the id has 10 digits and lower-case letters and is no secret; the secret has 256 random
bits in 43 characters; the checksum has 6. All characters are letters, digits and underscores, so
that a double click takes the whole and a scanner for leaked secrets knows one when it sees one.
"""

import hashlib
import re
import secrets
import string
from binascii import crc32
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args
from urllib.parse import urlsplit

from cybertools.tracking.errors import InvalidType, InvalidValue
from cybertools.tracking.service.access.principal import (
    SCOPES,
    Principal,
    is_reserved,
    principal_of,
)
from cybertools.tracking.service.gate import Scope
from cybertools.tracking.track import Track
from cybertools.tracking.values import check_text, json_time, parse_time_stamp, shown

__all__ = [
    "Kind",
    "Minted",
    "State",
    "Token",
    "digest_of",
    "id_in",
    "is_id",
    "is_mistyped",
    "is_secret",
    "mint",
    "parse_origin",
    "parse_rate",
    "parse_scopes",
    "parse_storages",
    "token_from",
]

Kind: TypeAlias = Literal["secret", "browser"]
State: TypeAlias = Literal["active", "expired", "revoked"]

PREFIXES: dict[Kind, str] = {"secret": "trk", "browser": "trkw"}

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_CHARACTERS = string.digits + string.ascii_lowercase
_ID = re.compile(r"[0-9a-z]{10}")
_TEXT = re.compile(r"trkw?_(?P<id>[0-9a-z]{10})_[0-9A-Za-z]{49}")


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept. Times are seconds since 1970 UTC."""

    id: str
    name: str
    """Who it is for."""
    kind: Kind
    digest: str
    """SHA-256 of its text, in hexadecimal digits."""
    scopes: frozenset[Scope]
    storages: frozenset[str] | None
    """The storages that it is for; None is all."""
    origins: frozenset[str]
    """The origins of the web pages that may use it; a secret token has none."""
    rate: float | None
    """Requests a second; None is no limit of its own."""
    created: float
    expires: float | None = None
    revoked: float | None = None
    lastUsed: float | None = None
    """When it was last used, give or take a minute."""
    track: str = ""
    """The id of the track that it is kept as."""

    def state(self, now: float) -> State:
        """Whether it can be used at that time."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"

    @property
    def principal(self) -> Principal:
        """Who it stands for."""
        return principal_of(self.name, self.id, self.scopes, self.storages)

    def as_dict(self) -> dict[str, Any]:
        """The token as JSON has it; nothing in it is secret."""

        def when(seconds: float | None) -> int | float | None:
            return None if seconds is None else json_time(seconds)

        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "scopes": [scope for scope in SCOPES if scope in self.scopes],
            "storages": None if self.storages is None else sorted(self.storages),
            "origins": sorted(self.origins),
            "rate": self.rate,
            "created": when(self.created),
            "expires": when(self.expires),
            "revoked": when(self.revoked),
            "lastUsed": when(self.lastUsed),
        }


def token_from(track: Track) -> Token | None:
    """The token that is kept as that track; None where it is none that could be trusted."""
    data = track.data
    try:
        return Token(
            id=track.taskId,
            name=track.userName,
            kind=_one_of(data["kind"], get_args(Kind)),
            digest=check_text(data["hash"], "hash"),
            scopes=parse_scopes(data["scopes"]),
            storages=parse_storages(data["storages"]),
            origins=frozenset(map(parse_origin, data["origins"])),
            rate=None if data["rate"] is None else parse_rate(data["rate"]),
            created=parse_time_stamp(data["created"]),
            expires=_time(data["expires"]),
            revoked=_time(data["revoked"]),
            lastUsed=_time(data.get("lastUsed")),
            track=track.id,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _time(value: object) -> float | None:
    return None if value is None else parse_time_stamp(value)


def _one_of(value: Any, values: tuple[Any, ...]) -> Any:
    if value not in values:
        raise InvalidValue(f"{value!r} is none of {', '.join(values)}.")
    return value


# The text


class Minted(NamedTuple):
    """A new token's public id, and its text: the only copy that there is."""

    id: str
    text: str


def mint(kind: Kind) -> Minted:
    """A new token's id and text."""
    id = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(10))
    body = f"{PREFIXES[kind]}_{id}_{_base62(secrets.randbits(256), 43)}"
    return Minted(id, body + _checksum(body))


def id_in(text: str) -> str | None:
    """The public id in a token's text; None where the text has not the form of one."""
    found = _TEXT.fullmatch(text)
    return found["id"] if found else None


def is_secret(text: str) -> bool:
    """Whether a text has the form of a secret token, not that of a public key."""
    return text.startswith(f"{PREFIXES['secret']}_")


def is_mistyped(text: str) -> bool:
    """Whether a text of the form of a token has another checksum than its other characters."""
    return text[-6:] != _checksum(text[:-6])


def is_id(text: str) -> bool:
    """Whether a text could be a token's id."""
    return _ID.fullmatch(text) is not None


def digest_of(text: str) -> str:
    """What is kept of a token's text."""
    # A quick hash: 256 random bits cannot be guessed, as a password can.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()), 6)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


# What a token may do, as it is asked for


def parse_scopes(scopes: Iterable[str]) -> frozenset[Scope]:
    """The scopes, checked.

    :raises InvalidValue: there is none, or one that does not exist.
    """
    chosen = frozenset(_each(scopes, "scopes"))
    unknown = sorted(chosen - {*SCOPES})
    if unknown or not chosen:
        given = f"not {shown(unknown[0])}" if unknown else "and there is none"
        raise InvalidValue(f"A scope is one of {', '.join(SCOPES)}, {given}.")
    return frozenset(scope for scope in SCOPES if scope in chosen)


def parse_storages(storages: Iterable[str] | None) -> frozenset[str] | None:
    """The names of storages, checked; None is all.

    :raises InvalidValue: there is none, or one of the service's own.
    """
    if storages is None:
        return None
    chosen = frozenset(check_text(name, "storages") for name in _each(storages, "storages"))
    for name in sorted(chosen):
        if is_reserved(name):
            raise InvalidValue(
                f"The storage {shown(name)} is the service's own; only an admin for all storages"
                " has to do with it."
            )
    if not chosen:
        raise InvalidValue("A token that is for no storage could not be used; None is all.")
    return chosen


def parse_origin(text: str) -> str:
    """An origin as browsers write it: ``https://example.org``, ``http://localhost:8000``.

    :raises InvalidValue: it is none, or not exactly one.
    """
    problem = InvalidValue(
        "An origin is a scheme, a host and perhaps a port, like https://example.org or"
        f" http://localhost:8000, not {shown(str(text))}."
    )
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except (AttributeError, ValueError):
        raise problem from None
    rest = parts.path not in ("", "/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in _PORTS or not host or rest or not _HOST.fullmatch(host):
        raise problem
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{'' if port in (None, _PORTS[parts.scheme]) else f':{port}'}"


_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[0-9a-z._:-]+")  # a name beyond ASCII arrives as xn--…


def parse_rate(value: Any) -> float:
    """Requests a second, checked."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e9:
        raise InvalidValue(f"A rate is a number of requests a second above 0, not {value!r}.")
    return float(value)


def _each(values: Iterable[str], name: str) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidType(f"{name} must be a list of texts.")
    return list(values)
