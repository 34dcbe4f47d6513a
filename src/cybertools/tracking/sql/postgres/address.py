"""Where a PostgreSQL is: a URL, checked, with what is ours taken out of it."""

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cybertools.tracking.errors import InvalidValue

__all__ = ["WAIT_SECONDS", "Address", "address_from"]

WAIT_SECONDS = 30.0
"""How long a call waits for a connection, or for a server that is not there."""

CONNECT_SECONDS = 5
"""How long one host is given to answer, before the next one is tried."""

SCHEME = "postgresql://"


@dataclass(frozen=True, slots=True)
class Address:
    """What connections are made with."""

    conninfo: str
    wait_seconds: float


def address_from(url: str) -> Address:
    """A URL as libpq has them, and perhaps with ``wait_seconds=…`` among its parameters.

    A server that is cut off is noticed within the wait, where the URL does not say otherwise.

    :raises InvalidValue: it is none. The message has nothing of a password.
    """
    _refuse_what_shows_a_password(url)
    head, mark, query = url.partition("?")
    parameters = query.split("&") if mark else []
    ours = [value for value in parameters if value.startswith("wait_seconds=")]
    theirs = [value for value in parameters if value not in ours]
    wait = _seconds(ours[-1].partition("=")[2]) if ours else WAIT_SECONDS
    try:
        given = conninfo_to_dict(head + (mark if theirs else "") + "&".join(theirs))
    except psycopg.ProgrammingError as error:
        # Not with the driver's error as its cause: that one may quote more than it should.
        raise InvalidValue(f"The URL of the PostgreSQL is wrong: {str(error).strip()}.") from None
    defaults: dict[str, object] = {
        "connect_timeout": os.environ.get("PGCONNECT_TIMEOUT") or CONNECT_SECONDS,
        "fallback_application_name": "cybertools-tracking",
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": max(1, round(wait * 1000)),
    }
    given["client_encoding"] = "UTF8"  # the only one that has all that a text can hold
    return Address(make_conninfo("", **(defaults | given)), wait)  # type: ignore[arg-type]


def _refuse_what_shows_a_password(url: str) -> None:
    """Refuse a URL of which libpq would take a piece of the password for something else."""
    if not url.startswith(SCHEME):
        raise InvalidValue(f"The URL of a PostgreSQL begins with {SCHEME}user@host/database.")
    rest = url.removeprefix(SCHEME)
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", rest):
        raise InvalidValue("The URL of the PostgreSQL has a % that is no escape; write it as %25.")
    rest = re.sub(r"^[^@/]*@", "", rest)
    hosts, _, path = rest.partition("?")[0].partition("/")
    ports = [re.sub(r"^(\[[^]]*\]|[^:]*):?", "", host) for host in hosts.split(",")]
    if "@" in hosts + path or not all(re.fullmatch("[0-9]*", unquote(port)) for port in ports):
        raise InvalidValue(
            "The URL of the PostgreSQL cannot be taken apart. In a user name or password write"
            " / as %2F, @ as %40, : as %3A, ? as %3F; a port is a number."
        )


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]+)?", text) or not float(text):
        raise InvalidValue(f"wait_seconds must be a number of seconds above 0, not {text!r}.")
    return float(text)
