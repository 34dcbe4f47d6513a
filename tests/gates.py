"""Gates for tests: what is the same for all of them. Each says who is let in."""

from typing import NamedTuple

from cybertools.tracking.service.gate import OpenGate, Principal, Scope

__all__ = ["Asked", "DecidingGate"]

KNOWN = "https://known.example"
"""The one origin that has a key."""


class Asked(NamedTuple):
    """What a gate is asked about a request."""

    credential: str | None
    scope: Scope
    storage: str | None
    origin: str | None
    client: str


class DecidingGate(OpenGate):
    """A gate that lets in whom `decide` does, and shows them all storages."""

    def decide(self, asked: Asked) -> Principal:
        """Who asks; or it raises `Refused`."""
        del asked
        return Principal("somebody")

    async def admit(
        self,
        credential: str | None,
        scope: Scope,
        storage: str | None,
        origin: str | None,
        client: str,
    ) -> Principal:
        """See `Gate.admit`."""
        return self.decide(Asked(credential, scope, storage, origin, client))

    async def has_key_for(self, origin: str) -> bool:
        """See `Gate.has_key_for`."""
        return origin == KNOWN
