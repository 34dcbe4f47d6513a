"""Names for users of whom only address and agent are known."""

import os
import secrets
import tempfile
from base64 import b32encode
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from cybertools.tracking.errors import InvalidValue

__all__ = ["salt_file", "visitor_names"]


def visitor_names(salt: str | None = None) -> Callable[[str, str], str]:
    """A function that makes a name of an address and an agent: always the same with one salt.

    Without the salt nobody can tell the address that a name was made of, not even by trying all
    of them.

    :param salt: a secret text. Without it, it is that of `salt_file`, made if it is not there.
    :raises InvalidValue: the salt is empty, or that file can be neither read nor made.
    """
    text = _kept_salt() if salt is None else salt
    if not text:
        raise InvalidValue("The salt must not be empty.")
    key = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=32).digest()

    @lru_cache(maxsize=10_000)
    def visitor(address: str, agent: str) -> str:
        seen = f"{address}\0{agent}".encode("utf-8", "backslashreplace")
        digest = blake2b(seen, key=key, digest_size=10).digest()
        return f"visitor-{b32encode(digest).decode().lower()}"

    return visitor


def salt_file() -> Path:
    """Where the salt of this user on this machine is kept."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base, "cybertools-tracking", "salt")


def _kept_salt() -> str:
    path = salt_file()
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent) as new:
                new.write(secrets.token_hex(32))
                new.flush()
                # Another process may do so at the same moment: who comes second takes its salt.
                with suppress(FileExistsError):
                    os.link(new.name, path)
        return path.read_text()
    except OSError as error:
        raise InvalidValue(
            f"The salt for visitors' names cannot be kept in {path} ({error.strerror}):"
            " give one with --salt or TRACKS_SALT."
        ) from error
