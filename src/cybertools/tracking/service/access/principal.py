"""Who asks, once let in, and the error for those who are not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

__all__ = ["RESERVED", "SCOPES", "Principal", "Refused", "Scope", "is_reserved"]

Scope: TypeAlias = Literal["read", "write", "admin"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
"""What a token may be for. ``admin`` implies the others; ``write`` does not imply ``read``."""

RESERVED = "service-"
"""How the names of the storages begin that the service keeps for itself."""


def is_reserved(name: str) -> bool:
    """Whether a storage is the service's own: its tokens, its audit trail.

    Only an admin for all storages may read or write those through the service.
    """
    return name.casefold().startswith(RESERVED)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: the holder of a token."""

    name: str
    token: str
    """The token's public id."""
    scopes: frozenset[Scope]
    storages: frozenset[str] | None = None
    """The storages that it is for; None is all."""

    def has(self, scope: Scope) -> bool:
        """Whether the scope is among its own, or implied by them."""
        return scope in self.scopes or "admin" in self.scopes

    def reaches(self, storage: str) -> bool:
        """Whether it may have to do with that storage at all, whatever the scope."""
        if is_reserved(storage):
            return self.storages is None and "admin" in self.scopes
        return self.storages is None or storage in self.storages


class Refused(Exception):
    """A request is not let in. The message is for whoever sent it, and tells no secret."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        """A refusal.

        :param status: the HTTP status: 401, 403, 413 or 429.
        :param headers: what has to be in the answer: ``WWW-Authenticate``, ``Retry-After``.
        """
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = dict(headers or {})
