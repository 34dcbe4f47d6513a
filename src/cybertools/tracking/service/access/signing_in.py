"""Signing in with a name and a password: few attempts, one at a time, away from the event loop."""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

from cybertools.tracking.service.access.audit import NOBODY
from cybertools.tracking.service.access.limits import Buckets, Rate, network_of
from cybertools.tracking.service.access.users import User, Users
from cybertools.tracking.service.gate import Refused

__all__ = ["ADDRESS", "NAME", "WAITING", "SignIn"]

ADDRESS = Rate(0.1, 20)
"""Attempts from one address."""

NAME = Rate(0.1, 100)
"""Attempts with one name: a password of `users.SHORTEST` characters is not found at this rate."""

WAITING = 20
"""Attempts that may wait for their turn: two seconds or so."""


class SignIn:
    """Who is whom. For one event loop."""

    def __init__(
        self,
        users: Users,
        address: Rate = ADDRESS,
        name: Rate = NAME,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Sign-in for the users of a database.

        :param users: the caller's to close, after this.
        :param address: attempts from one address.
        :param name: attempts with one name.
        :param monotonic: seconds from any beginning.
        """
        self._users = users
        self._address, self._name = address, name
        self._buckets = Buckets(monotonic)
        self._places = BoundedSemaphore(WAITING)
        # One thread: each attempt takes 64 MiB, and a core.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="tracks-sign-in")

    async def sign_in(self, name: str, password: str, client: str) -> User:
        """The user of that name, if it is the password.

        :param client: the address that the attempt comes from.
        :raises Refused: it is not (401; the same whether there is such a user), or there were too
            many attempts (429).
        :raises StorageError: the users cannot be read.
        """
        address = network_of(client)
        waits = (
            self._buckets.take(("address", address), self._address),
            self._buckets.take(("name", name[:100]), self._name),
        )
        if any(waits):
            raise _too_many(math.ceil(max(waits)))
        if not self._places.acquire(blocking=False):
            raise _too_many(1)
        attempt = self._worker.submit(self._verify, name, password, address)
        user = await asyncio.shield(asyncio.wrap_future(attempt))
        if user is None:
            raise Refused("The user name or the password is wrong.", 401)
        return user

    def close(self) -> None:
        """Wait for the attempts under way, and end the thread."""
        self._worker.shutdown()

    def _verify(self, name: str, password: str, address: str) -> User | None:
        try:
            user = self._users.verified(name, password)
            audit = self._users.audit
            entry = {"client": audit.hashed(address)}
            if user is not None:
                audit.record("user.sign-in", user.name, entry)
                return user
            # The name is not kept: it may be a password that was typed into the wrong field.
            refusal = audit.refusal({"reason": "password", "token": None, **entry})
            if refusal is not None:
                audit.record("refused", NOBODY, refusal)
            return None
        finally:
            self._places.release()


def _too_many(seconds: int) -> Refused:
    return Refused(f"Too many attempts to sign in: wait {seconds} seconds.", 429, seconds)
