"""When so much is rejected that this cannot be the right topic, and the flow should stop."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import islice, repeat
from typing import Final

from dataflows.settings import RejectionSettings

__all__ = ["RejectionLimits"]


ENOUGH: Final = 1000  # accepted events show that the topic is the right one
FAULTS: Final = frozenset({"scoring_failed"})  # of ours, whatever the topic


class RejectionLimits:
    """Watches the order of accepted and rejected events of one process; safe between threads.

    When so many were accepted that the topic is the right one, a producer of broken events is no
    reason to stop for all others. Then only events count that the models failed on.

    Args:
        settings: the limits.
        proven: whether the topic is known to be the right one, from before the last start.
    """

    def __init__(
        self, settings: RejectionSettings, proven: Callable[[], bool] = lambda: False
    ) -> None:
        self._settings = settings
        self._proven = proven
        self._accepted = 0
        self._newest: deque[bool] = deque(maxlen=settings.of_last)
        self._rejected = 0  # among the newest
        self._in_a_row = 0
        self._reasons: Counter[str] = Counter()  # of the last ones in a row
        self._lock = threading.Lock()

    def count(self, reasons: Iterable[str | None]) -> str | None:
        """Count events in their order.

        Args:
            reasons: why each was rejected; None for an accepted one.

        Returns:
            What to tell the user when a limit is passed, else None.
        """
        reasons = tuple(reasons)
        with self._lock:
            if self._accepted >= ENOUGH or (any(reasons) and self._proven()):
                reasons = tuple(one for one in reasons if one is None or one in FAULTS)
            self._accepted += reasons.count(None)
            if not any(reasons):
                self._accept(len(reasons))
                return None
            verdicts = [self._count(reason) for reason in reasons]
        return next(filter(None, verdicts), None)

    def _accept(self, count: int) -> None:
        """Count as many accepted events, which is what most batches are."""
        newest = self._newest
        leaving = max(0, len(newest) + count - self._settings.of_last)
        self._rejected -= sum(islice(newest, leaving))
        newest.extend(repeat(False, count))
        if count:
            self._in_a_row = 0
            self._reasons.clear()

    def _count(self, reason: str | None) -> str | None:
        settings = self._settings
        if len(self._newest) == settings.of_last:
            self._rejected -= self._newest[0]
        self._newest.append(reason is not None)
        if reason is None:
            self._in_a_row = 0
            self._reasons.clear()
            return None
        self._rejected += 1
        self._in_a_row += 1
        self._reasons[reason] += 1
        if settings.in_a_row and self._in_a_row >= settings.in_a_row:
            return self._message(f"{self._in_a_row} events in a row were rejected", "in_a_row")
        full = len(self._newest) == settings.of_last
        if full and self._rejected > settings.share * settings.of_last:
            return self._message(
                f"{self._rejected} of the last {settings.of_last} events were rejected", "share"
            )
        return None

    def _message(self, what: str, setting: str) -> str:
        common = ", ".join(f"{reason} {count}" for reason, count in self._reasons.most_common(3))
        return (
            f"{what} (lately: {common}). Is this the right topic? All that was read is accounted "
            "for, and the next start goes on behind it; `sentistream dlq list` shows what was "
            f"rejected, and SENTISTREAM_REJECTIONS__{setting.upper()} sets the limit"
        )
