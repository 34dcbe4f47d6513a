"""The gate: the hook that each request to the service passes."""

import asyncio
import hmac
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any, NoReturn

from cybertools.tracking.errors import StorageError, TrackingError
from cybertools.tracking.service.access.audit import NOBODY, Audit
from cybertools.tracking.service.access.keeping import Tokens
from cybertools.tracking.service.access.limits import (
    Buckets,
    Limits,
    Rate,
    is_loopback,
    network_of,
)
from cybertools.tracking.service.access.principal import Principal
from cybertools.tracking.service.access.tokens import Token, digest_of, id_in, is_mistyped
from cybertools.tracking.service.access.users import User
from cybertools.tracking.service.gate import Refused, Scope
from cybertools.tracking.values import now

__all__ = ["FRESH", "NEW", "USED", "VALID", "Gate"]

VALID = 5.0
"""Seconds that what was read of the tokens holds: one that is revoked, in this process or another,
is refused that long afterwards at the latest."""

FRESH = 2.0
"""Seconds after which a request has them read again, without waiting for it."""

NEW = 1.0
"""Seconds until a new token can be used, at the most: where it is not known yet, they are read
again. Mostly at once, see `UNKNOWN_READS`."""

UNKNOWN_READS = Rate(0.5, 10)
"""How often a request with an unknown token or origin has them read again at once. With more of
them it is every `NEW` seconds: who guesses at tokens does not keep the database busy."""

USED = 60.0
"""Seconds between two times that it is kept when a token was last used."""

WAITING = 1_000
"""Notes that may wait for the database; with more, further ones are left out."""

UNKNOWN = "This token is unknown, or no longer valid."
"""The answer to a token that never was, one with a wrong secret and a revoked one."""

_log = logging.getLogger("cybertools.tracking.service")
_NO_DIGEST = digest_of("")


class Gate:
    """Who is let in.

    The tokens are kept in memory and read again every few seconds, all of them: a request waits
    for the database only where nobody asked for some time. For one event loop.
    """

    def __init__(
        self,
        tokens: Tokens,
        limits: Limits | None = None,
        clock: Callable[[], float] = now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """A gate before the storages of a database.

        :param tokens: the tokens of that database. They, and their audit trail, are the caller's
            to close, after the gate.
        :param limits: those of `Limits` if not given.
        :param clock: seconds since 1970 UTC.
        :param monotonic: seconds from any beginning.
        """
        self._store = tokens
        self._audit: Audit = tokens.audit
        self._limits = limits or Limits()
        self._clock, self._monotonic = clock, monotonic
        self._buckets = Buckets(monotonic)
        self._known: Mapping[str, Token] = {}
        self._origins: frozenset[str] = frozenset()
        self._read_at = -math.inf
        self._reading: Future[None] | None = None
        self._used: dict[str, float] = {}
        self._places = BoundedSemaphore(WAITING)
        # One thread of its own: what waits here never holds up those that save and query.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="tracks-access")

    async def admit(
        self,
        credential: str | None,
        scope: Scope,
        storage: str | None,
        origin: str | None,
        client: str,
    ) -> Principal:
        """Let a request in, and say whose it is.

        :param credential: the token's text, as the request has it.
        :param scope: what the request is for.
        :param storage: the storage that it is about; None where it names none. What is written
            then belongs to the `Principal.storage`; of what is read show what `may_read`.
        :param origin: the header ``Origin``.
        :param client: the address that it comes from.
        :raises Refused: it is not let in.
        :raises StorageError: the tokens cannot be read.
        """
        address = self._address(client)
        token = await self._token(credential, address)
        return await self._admit_holder(token, scope, storage, origin, client)

    async def admit_holder(
        self, id: str, scope: Scope, storage: str | None, client: str
    ) -> Principal:
        """Let in who has shown a token before, of which only the id was kept. Else as `admit`."""
        address = self._address(client)
        await self._read(VALID)
        token = self._known.get(id)
        if token is None or token.state(self._clock()) != "active":
            self._unauthorised("signed in with a token that has ended", UNKNOWN, address, token)
        return await self._admit_holder(token, scope, storage, None, client)

    async def admit_user(
        self, user: User, scope: Scope, storage: str | None, client: str
    ) -> Principal:
        """Let in who has signed in with a password before. Else as `admit`."""
        principal = self._check_rights(user.principal, scope, storage, self._address(client))
        if scope == "admin":
            await self.note(principal, "admin", {"storage": storage}, client)
        return principal

    def _address(self, client: str) -> str:
        """What stands for a client, if it does not come too often."""
        address = network_of(client)
        if not is_loopback(address):
            self._limit(("client", address), self._limits.client)
        return address

    async def _admit_holder(
        self, token: Token, scope: Scope, storage: str | None, origin: str | None, client: str
    ) -> Principal:
        address = network_of(client)
        self._limit_token(token, address)
        principal = self._check(token, scope, storage, origin, address)
        moment = self._clock()
        if moment - self._used.get(token.id, token.lastUsed or -math.inf) >= USED:
            self._used[token.id] = moment
            self._later(self._store.note_use, token, moment)
        if scope == "admin":
            await self.note(principal, "admin", {"storage": storage}, client)
        return principal

    async def may_read(self, principal: object, storage: str) -> bool:
        """Whether a storage is shown to who was let in, in the list of all."""
        return (
            isinstance(principal, Principal)
            and principal.has("read")
            and principal.reaches(storage)
        )

    async def note(
        self, principal: Principal, action: str, data: Mapping[str, Any], client: str = ""
    ) -> None:
        """Keep in the audit trail what somebody does. It is there when this returns.

        :param action: what is done, in a word or two: ``admin``.
        """
        entry = {**data, "token": principal.token}
        if client:
            entry["client"] = self._audit.hashed(network_of(client))
        done = self._worker.submit(self._audit.record, action, principal.name, entry)
        await asyncio.shield(asyncio.wrap_future(done))

    async def has_key_for(self, origin: str) -> bool:
        """Whether there is a public key for pages of that origin."""
        try:
            await self._read(VALID)
            if origin not in self._origins:
                await self._read_for_unknown()
        except StorageError as error:
            # Those known last will do: they let nobody in.
            _log.warning("The tokens cannot be read: %s", error)
        return origin in self._origins

    def close(self) -> None:
        """Wait for what is still to be kept, and end the thread. Closing twice is no error."""
        self._worker.shutdown()

    # What is looked at

    async def _token(self, credential: str | None, address: str) -> Token:
        """The token that the credential is the text of."""
        if not credential:
            text = "A token is needed: Authorization: Bearer trk_…"
            self._unauthorised("no token", text, address)
        id = id_in(credential)
        if id is None:
            self._unauthorised("no token of ours", UNKNOWN, address)
        await self._read(VALID)
        if id not in self._known and not is_mistyped(credential):
            await self._read_for_unknown()
        token = self._known.get(id)
        # The same work whether there is such a token or not.
        digest = _NO_DIGEST if token is None else token.digest
        right = hmac.compare_digest(digest, digest_of(credential))
        if token is None:
            self._unauthorised("unknown token", UNKNOWN, address)
        if not right:
            self._unauthorised("wrong secret", UNKNOWN, address, token)
        state = token.state(self._clock())
        if state == "revoked":
            self._unauthorised("revoked", UNKNOWN, address, token)
        if state == "expired":
            self._unauthorised("expired", "This token has expired.", address, token)
        return token

    def _check(
        self, token: Token, scope: Scope, storage: str | None, origin: str | None, address: str
    ) -> Principal:
        """Whose request it is. What the token is not for is refused."""
        principal = token.principal
        if token.kind == "browser" and origin not in token.origins:
            text = "This key is not for pages of this origin."
            self._forbidden("origin", text, address, principal)
        return self._check_rights(principal, scope, storage, address)

    def _check_rights(
        self, principal: Principal, scope: Scope, storage: str | None, address: str
    ) -> Principal:
        """The same again. What it has not the rights for is refused."""
        if not principal.has(scope):
            text = f"This needs a token with the scope {scope}."
            self._forbidden(f"scope {scope}", text, address, principal)
        if storage is None:
            if scope == "admin" and principal.storages is not None:
                text = "This needs a token for all storages."
                self._forbidden("all storages", text, address, principal)
            if scope == "write" and principal.storages is not None and principal.storage is None:
                text = "This token is for several storages: the request has to name one."
                self._forbidden("no storage named", text, address, principal)
        elif not principal.reaches(storage):
            text = "This token is not for this storage."
            self._forbidden("storage", text, address, principal)
        return principal

    def _limit_token(self, token: Token, address: str) -> None:
        if token.rate is not None:
            self._limit(("token", token.id), Rate(token.rate, max(1.0, 2 * token.rate)))
        if token.kind == "browser" and not is_loopback(address):
            self._limit(("browser", token.id, address), self._limits.browser)

    def _limit(self, key: object, rate: Rate | None) -> None:
        wait = 0.0 if rate is None else self._buckets.take(key, rate)
        if wait:
            raise _too_many(wait)

    # Refusals

    def _unauthorised(
        self, reason: str, text: str, address: str, token: Token | None = None
    ) -> NoReturn:
        self._note_refusal(reason, NOBODY, address, None if token is None else token.id)
        rate = self._limits.failures
        # Who has a valid token is not kept waiting for others of the same address.
        wait = 0.0 if rate is None else self._buckets.take(("failed", address), rate)
        raise _too_many(wait) if wait else Refused(text, 401)

    def _forbidden(self, reason: str, text: str, address: str, who: Principal) -> NoReturn:
        self._note_refusal(reason, who.name, address, who.token)
        raise Refused(text, 403)

    def _note_refusal(self, reason: str, by: str, address: str, token: str | None) -> None:
        entry = self._audit.refusal(
            {
                "reason": reason,
                "token": token or None,
                "client": self._audit.hashed(address),
            }
        )
        if entry is not None:
            self._later(self._audit.record, "refused", by, entry)

    # The thread

    async def _read(self, age: float) -> None:
        """See to it that the tokens in memory are not older than that, in seconds."""
        old = self._monotonic() - self._read_at
        if old < min(age, FRESH):
            return
        if self._reading is None or self._reading.done():
            self._reading = self._worker.submit(self._read_now)
        if old >= age:
            await asyncio.shield(asyncio.wrap_future(self._reading))

    async def _read_for_unknown(self) -> None:
        """See to it that what was made just now is known."""
        await self._read(NEW if self._buckets.take("unknown", UNKNOWN_READS) else 0.0)

    def _read_now(self) -> None:
        started = self._monotonic()
        known = {token.id: token for token in self._store.all()}
        moment = self._clock()
        usable = (token for token in known.values() if token.state(moment) == "active")
        self._origins = frozenset(origin for token in usable for origin in token.origins)
        self._known, self._read_at = known, started

    def _later(self, function: Callable[..., None], *arguments: Any) -> None:
        """Have the thread do what no request waits for."""
        if not self._places.acquire(blocking=False):
            return

        def call() -> None:
            try:
                function(*arguments)
            except TrackingError as error:
                _log.warning("Not kept: %s", error)
            finally:
                self._places.release()

        self._worker.submit(call)


def _too_many(wait: float) -> Refused:
    seconds = math.ceil(wait)
    many = f"{seconds} second{'' if seconds == 1 else 's'}"
    return Refused(f"Too many requests: wait {many}.", 429, seconds)
