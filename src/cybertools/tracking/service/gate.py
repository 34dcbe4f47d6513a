"""The gate: what the service asks about each request before it does anything else."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from cybertools.tracking.errors import NotAllowed

__all__ = ["ClosedGate", "Gate", "OpenGate", "Principal", "Refused", "Scope"]

Scope: TypeAlias = Literal["read", "write", "admin"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    name: str
    """What it is called in an audit trail; never the token."""
    storage: str | None = None
    """The one storage that it is for; None: any."""


class Refused(NotAllowed):
    """The request is not let in. Raised by a gate.

    :param status: 401: a token is needed, or it is not (no longer) one; 403: it has not the right;
        429: it has come too often.
    :param retry_after: with 429, seconds until it may come again.
    """

    def __init__(
        self,
        message: str,
        status: Literal[401, 403, 429] = 401,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status: int = status
        self.retry_after = retry_after


class Gate(Protocol):
    """Who may do what."""

    async def admit(
        self,
        credential: str | None,
        scope: Scope,
        storage: str | None,
        origin: str | None,
        client: str,
    ) -> Principal:
        """Let a request in, or raise `Refused`.

        :param credential: the token: of ``Authorization: Bearer``, or the user name of Basic.
        :param scope: what it is about to do.
        :param storage: with which storage; None: with no certain one.
        :param origin: the header ``Origin`` of a browser.
        :param client: the address that it comes from.
        """

    async def may_read(self, principal: Principal, storage: str) -> bool:
        """Whether a storage is shown to who was let in, in the list of all."""

    async def has_key_for(self, origin: str) -> bool:
        """Whether pages of that origin have a public key, and may send tracks with it."""


class ClosedGate:
    """Lets nobody in."""

    async def admit(
        self,
        credential: str | None,
        scope: Scope,
        storage: str | None,
        origin: str | None,
        client: str,
    ) -> Principal:
        """See `Gate.admit`."""
        del credential, scope, storage, origin, client
        raise Refused("A token is needed, and this service has none.")

    async def may_read(self, principal: Principal, storage: str) -> bool:
        """See `Gate.may_read`."""
        del principal, storage
        return False

    async def has_key_for(self, origin: str) -> bool:
        """See `Gate.has_key_for`."""
        del origin
        return False


class OpenGate:
    """Lets everybody in: for a program that has a gate of its own in front, and for tests."""

    async def admit(
        self,
        credential: str | None,
        scope: Scope,
        storage: str | None,
        origin: str | None,
        client: str,
    ) -> Principal:
        """See `Gate.admit`."""
        del credential, scope, storage, origin, client
        return Principal("anybody")

    async def may_read(self, principal: Principal, storage: str) -> bool:
        """See `Gate.may_read`."""
        del principal, storage
        return True

    async def has_key_for(self, origin: str) -> bool:
        """See `Gate.has_key_for`."""
        del origin
        return False
