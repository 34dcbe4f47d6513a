"""Who asks, once let in, and the error for those who are not."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from cybertools.tracking.errors import TrackingError

__all__ = ["RESERVED", "SCOPES", "Principal", "Refused", "Scope", "is_reserved", "principal_of"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: the holder of a token, or a user who signed in."""

    name: str
    storage: str | None = None
    """The storage, where it reaches one alone: what is sent without naming one belongs there."""
    token: str = ""
    """The token's public id; empty for a user who signed in with a password."""
    scopes: frozenset[Scope] = frozenset()
    storages: frozenset[str] | None = frozenset()
    """The storages that it reaches; None is all."""

    def has(self, scope: Scope) -> bool:
        """Whether the scope is among its own, or implied by them."""
        return scope in self.scopes or "admin" in self.scopes

    def reaches(self, storage: str) -> bool:
        """Whether it may have to do with that storage at all, whatever the scope."""
        if is_reserved(storage):
            return self.storages is None and "admin" in self.scopes
        return self.storages is None or storage in self.storages


def principal_of(
    name: str, token: str, scopes: frozenset[Scope], storages: frozenset[str] | None
) -> Principal:
    """Who has these rights."""
    only = next(iter(storages)) if storages and len(storages) == 1 else None
    return Principal(name=name, storage=only, token=token, scopes=scopes, storages=storages)


class Refused(TrackingError, PermissionError):
    """A request is not let in. The message is for whoever sent it, and tells no secret."""

    def __init__(
        self,
        message: str,
        status: Literal[401, 403, 429] = 401,
        retry_after: int | None = None,
    ) -> None:
        """A refusal.

        :param status: 401: a token is needed, or it is not (no longer) one; 403: it is not for
            that; 429: there are too many requests.
        :param retry_after: with 429, seconds until it may be tried again.
        """
        super().__init__(message)
        self.status: int = status
        self.retry_after = retry_after
