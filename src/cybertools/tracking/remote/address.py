"""Where a service is, and the token to show there."""

import os
import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from cybertools.tracking.errors import InvalidValue

__all__ = ["TOKEN_VARIABLE", "Address", "address_of"]

TOKEN_VARIABLE = "TRACKS_TOKEN"  # noqa: S105  # the name of it
"""The environment variable that holds the token, where the URL has none."""


class Address(NamedTuple):
    """A service's address. What is shown of it never has the token."""

    url: str
    """``https://host:8080/path``, without a slash at the end."""
    token: str | None

    def __repr__(self) -> str:
        return f"<Address {self.url}>"

    def place_of(self, storage: str) -> str:
        """The URL of a storage.

        :raises InvalidValue: its name cannot be a part of one.
        """
        if "/" in storage:
            raise InvalidValue(f"name must not hold a slash, being part of a URL: {storage!r}.")
        # A dot is encoded as well: as a name, one or two would be taken for a step in the path.
        name = quote(storage, safe="").replace(".", "%2E")
        return f"{self.url}/api/storages/{name}"


def address_of(url: str) -> Address:
    """The address that ``http://host``, ``https://TOKEN@host:8080/path`` or the like stands for.

    :raises InvalidValue: it is no URL of a service, or the token cannot be one.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        # The reason may quote a piece of the URL, and so of the token.
        raise InvalidValue(_expected("has no valid host and port")) from error.with_traceback(None)
    if not host:
        raise InvalidValue(_expected("names no host"))
    if parts.query or parts.fragment:
        raise InvalidValue(_expected("ends in a query or a fragment"))
    if parts.password:
        raise InvalidValue(_expected("has a password; a token stands there alone"))
    token = unquote(parts.username or "") or os.environ.get(TOKEN_VARIABLE, "").strip() or None
    if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise InvalidValue(
            "The token holds a blank, a control character or one beyond ASCII, which no token does."
        )
    shown = f"[{host}]" if ":" in host else host
    shown += "" if port is None else f":{port}"
    return Address(f"{parts.scheme.lower()}://{shown}{parts.path.rstrip('/')}", token)


def _expected(problem: str) -> str:
    return (
        f"The URL of the service {problem}. It is like https://tracks.example.org,"
        " http://127.0.0.1:8080 or https://TOKEN@host:8080/path."
    )
