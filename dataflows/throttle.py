"""How often a wrong token may be tried: per client, and by all together.

Each limit is a bucket of attempts that refills at a steady pace. All that is remembered of a
bucket is when it will be full again, so a client costs one number.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = ["ALL_CLIENTS", "MAX_CLIENTS", "ONE_CLIENT", "Limit", "Throttle"]


class Limit(NamedTuple):
    """What one bucket allows.

    Attributes:
        burst: wrong attempts in a row.
        pause_s: seconds after which one more is allowed.
        longest_s: no failure makes anybody wait for longer.
    """

    burst: int
    pause_s: float
    longest_s: float = math.inf

    def wait_s(self, full_at: float, now: float) -> float:
        """Return the seconds until the next attempt, 0 if it may be made now."""
        return max(0.0, full_at - now - (self.burst - 1) * self.pause_s)

    def failed(self, full_at: float, now: float) -> float:
        """Return when the bucket will be full again after one more wrong attempt."""
        latest = now + (self.burst - 1) * self.pause_s + self.longest_s
        return min(max(full_at, now) + self.pause_s, latest)


ONE_CLIENT: Final = Limit(burst=5, pause_s=30.0, longest_s=3600.0)
# Against many addresses at once; who has the right token waits for them too, but not for long.
ALL_CLIENTS: Final = Limit(burst=100, pause_s=1.0, longest_s=30.0)
MAX_CLIENTS: Final = 4096  # the one that has been quiet for longest is forgotten first


class Throttle:
    """Counts wrong tokens.

    Args:
        clock: seconds that never go back, as `time.monotonic`.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._all_full_at = clock()
        self._full_at: dict[str, float] = {}  # the latest to fail comes last

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._full_at)

    def client_wait_s(self, address: str) -> float:
        """Return the seconds for which this client has to wait for its own failures."""
        now = self._clock()
        return ONE_CLIENT.wait_s(self._full_at.get(_client(address), now), now)

    def wait_s(self, address: str) -> float:
        """Return the seconds for which this client has to wait for anyone's failures."""
        everyone = ALL_CLIENTS.wait_s(self._all_full_at, self._clock())
        return max(everyone, self.client_wait_s(address))

    def failed(self, address: str) -> None:
        """Count a wrong token of this client."""
        now, client = self._clock(), _client(address)
        self._all_full_at = ALL_CLIENTS.failed(self._all_full_at, now)
        # Taken out and put in again, so that it comes last.
        self._full_at[client] = ONE_CLIENT.failed(self._full_at.pop(client, now), now)
        if len(self._full_at) > MAX_CLIENTS:
            del self._full_at[next(iter(self._full_at))]


def _client(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 that one IPv6 user has."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
