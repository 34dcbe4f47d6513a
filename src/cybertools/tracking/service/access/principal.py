"""Who asks, once let in: what it may do."""

from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

from cybertools.tracking.service import gate
from cybertools.tracking.service.gate import Scope

__all__ = ["RESERVED", "SCOPES", "Principal", "is_reserved", "principal_of"]

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
class Principal(gate.Principal):
    """Who asks: the holder of a token, or a user who signed in."""

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


@lru_cache(1_000)  # each request of a token asks for the same one
def principal_of(
    name: str, token: str, scopes: frozenset[Scope], storages: frozenset[str] | None
) -> Principal:
    """Who has these rights."""
    only = next(iter(storages)) if storages and len(storages) == 1 else None
    return Principal(name=name, storage=only, token=token, scopes=scopes, storages=storages)
