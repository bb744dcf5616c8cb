"""How many requests a client may make in a minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dataflows.throttle import Limit

__all__ = ["Rates"]

MINUTE_S: Final = 60.0
MOST_CLIENTS: Final = 4096  # the one that has been quiet for longest is forgotten first


class Rates:
    """A bucket of requests per client: a minute's worth at once, refilled evenly.

    All that is remembered of a client is when its bucket will be full again.

    Args:
        per_minute: requests; 0 is no limit.
        clock: seconds that never go back.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._limit = Limit(per_minute, MINUTE_S / per_minute) if per_minute else None
        self._full_at: dict[str, float] = {}  # the latest to ask comes last

    def wait_s(self, client: str) -> float:
        """Count one request of a client; return 0, or the seconds that it has to wait instead."""
        if self._limit is None:
            return 0.0
        now = self._clock()
        full_at = max(self._full_at.pop(client, now), now)
        wait_s = self._limit.wait_s(full_at, now)
        self._full_at[client] = full_at if wait_s else full_at + self._limit.pause_s
        if len(self._full_at) > MOST_CLIENTS:
            del self._full_at[next(iter(self._full_at))]
        return wait_s
