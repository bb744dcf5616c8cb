"""How often and how soon something that has ended is started again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Restarts"]

LIMIT: Final = 5
WITHIN_S: Final = 600.0
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 10.0


@dataclass
class Restarts:
    """Counts restarts: each waits twice as long as the one before, and there is a limit.

    Attributes:
        limit: how many there may be within `within_s` seconds.
        within_s: after so long, a restart is forgotten.
    """

    limit: int = LIMIT
    within_s: float = WITHIN_S
    _times: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float | None:
        """Return how many seconds to wait before the next restart; None is: no more.

        Args:
            now: a clock that never goes back, in seconds.
        """
        while self._times and now - self._times[0] > self.within_s:
            self._times.popleft()
        if len(self._times) >= self.limit:
            return None
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** len(self._times))
        self._times.append(now)
        return wait_s

    @property
    def count(self) -> int:
        """How many there were lately."""
        return len(self._times)
