"""How many requests in which time: token buckets in bounded memory.

A bucket holds `Rate.burst` requests and fills with `Rate.per_second` of them a second.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

__all__ = ["Buckets", "Limits", "Rate", "is_loopback", "network_of"]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second on average, and so many at once."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a service; None is none.

    An address on loopback counts only for ``failures``: it is this machine, or a proxy that does
    not tell for whom it asks.
    """

    client: Rate | None = Rate(1_000, 2_000)
    """All requests of one address."""
    browser: Rate | None = Rate(20, 200)
    """Those of one address with one public key."""
    failures: Rate | None = Rate(0.2, 20)
    """Requests of one address without a valid token."""


class Buckets:
    """A bucket for each key. For one thread.

    Of more keys than ``size`` the one that was not used for the longest time is forgotten, and is
    full when it comes again: memory is bounded however many addresses there are.
    """

    def __init__(self, monotonic: Callable[[], float], size: int = 10_000) -> None:
        self._monotonic = monotonic
        self._size = size
        self._levels: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: object, rate: Rate) -> float:
        """Take one; 0, or the seconds until there is one to take."""
        moment = self._monotonic()
        level, seen = self._levels.pop(key, (rate.burst, moment))
        level = min(rate.burst, level + (moment - seen) * rate.per_second)
        wait = 0.0 if level >= 1 else (1 - level) / rate.per_second
        self._levels[key] = (level if wait else level - 1, moment)
        if len(self._levels) > self._size:
            self._levels.popitem(last=False)
        return wait


@lru_cache(1_000)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host: 127.0.0.0/8, ::1, localhost.

    Other names count as reachable, whatever they may resolve to today.
    """
    name = host.strip().lower().removeprefix("[").removesuffix("]")
    if name == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


@lru_cache(1_000)
def network_of(client: str) -> str:
    """What stands for a client: its address; of IPv6 the /64, which is one customer's."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))
