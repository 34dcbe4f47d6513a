"""What `tracks serve` looks at before it listens: there has to be a token."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.opening import open_storage
from cybertools.tracking.service.access.audit import AUDIT, Audit
from cybertools.tracking.service.access.keeping import TOKENS, Tokens
from cybertools.tracking.service.access.limits import is_loopback

__all__ = ["first_token", "open_tokens", "operator", "require_tokens"]


@contextmanager
def open_tokens(url: str) -> Iterator[Tokens]:
    """The tokens of the database of that URL.

    :raises StorageError: the database cannot be opened.
    """
    with open_storage(url, TOKENS) as storage, open_storage(url, AUDIT) as trail:
        yield Tokens(storage, Audit(trail))


def operator() -> str:
    """Who runs this process, for the audit trail."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user may have no name
        return "(no name)"


def first_token(host: str, tokens: Tokens) -> str | None:
    """Make a token for everything where there never was one; return its text, else None.

    Only where the host can be reached from this machine alone; and once, also where several
    processes start together. Show the text: it is kept nowhere.
    """
    if not is_loopback(host):
        return None
    created = tokens.create_first("first", ["admin"], operator())
    return None if created is None else created.text


def require_tokens(host: str, tokens: Tokens) -> None:
    """Refuse to start where other machines can reach the service and nobody has a token.

    :raises InvalidValue: so it is; the message says what to do.
    """
    if is_loopback(host):
        return
    moment = tokens.clock()
    if not any(token.state(moment) == "active" for token in tokens.all()):
        raise InvalidValue(
            f"Other machines can reach {host or 'every address'}, so there has to be a token first:"
            " `tracks token create NAME --scope read --scope write` for a program, with --scope"
            " admin for yourself."
        )
