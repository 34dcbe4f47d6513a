"""The audit trail: who made and revoked tokens, what admins did, who was refused.

Each entry is a track of a storage of its own: what was done is its ``taskId``, who did it its
``userName``. No secret is in it, and no address: a client stands there as a hash whose key is
forgotten when the process ends, so that entries of one client can be told to be so, and no more.
"""

import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.service.access.limits import Buckets, Rate
from cybertools.tracking.values import now

__all__ = ["AUDIT", "NOBODY", "REFUSALS", "Audit"]

AUDIT = "service-audit"
"""The name of the storage."""

NOBODY = "(nobody)"
"""The user name of entries about a request that did not prove whose it is."""

REFUSALS = Rate(0.1, 100)
"""Refused requests that are noted: at most some 9,000 a day, a few megabytes, however many come."""


class Audit:
    """The audit trail of a database."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], float] = now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """The trail kept in a storage.

        :param storage: the storage named `AUDIT` of the database that is served.
        :param clock: seconds since 1970 UTC.
        :param monotonic: seconds from any beginning.
        """
        self.storage = storage
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._buckets = Buckets(monotonic, size=1)
        self._left_out = 0

    def record(self, action: str, by: str, data: Mapping[str, Any]) -> None:
        """Keep what somebody did.

        :param action: ``token.create``, ``token.revoke``, ``admin``, ``refused``.
        :param by: who did it.
        """
        self.storage.saveUserTrack(action, 0, by, data, timeStamp=self._clock())

    def refusal(self, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """The data of an entry about a refused request; None where there are too many already.

        What comes after a gap tells how many were left out.
        """
        if self._buckets.take("", REFUSALS):
            self._left_out += 1
            return None
        entry = {**data, **({"leftOut": self._left_out} if self._left_out else {})}
        self._left_out = 0
        return entry

    def hashed(self, client: str) -> str:
        """A client's address as it stands in the trail."""
        address = client.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, address, "sha256").hex()[:16]
