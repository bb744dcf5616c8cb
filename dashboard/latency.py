"""The latency of the newest events, from counts that each worker keeps since its start."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

from dashboard.workers import Heartbeat
from dataflows.telemetry import Histogram

__all__ = ["RecentLatency"]

SAMPLES: Final = 5  # 10 s at one look every two seconds; fewer would leave gaps between heartbeats


class RecentLatency:
    """Remembers the counts of the last looks; what has been added since is recent."""

    def __init__(self) -> None:
        self._looks: deque[dict[str, tuple[int, ...]]] = deque(maxlen=SAMPLES)

    def p95_ms(self, workers: Iterable[Heartbeat]) -> float:
        """Look at the heartbeats; return the p95 (ms) of the last looks' events over all workers.

        NaN if nothing is known to have come. It is at most 10 % too high. A worker counts from the
        second look on, since its counts at the first may be of any age.
        """
        look = {beat.worker: beat.latency_counts for beat in workers if beat.latency_counts}
        recent = Histogram()
        for worker, counts in look.items():
            before = next((old[worker] for old in self._looks if worker in old), counts)
            added = [now - then for now, then in zip(counts, before, strict=True)]
            if min(added) >= 0:  # else it has begun anew under the same name
                recent = recent.merge(Histogram(added))
        self._looks.append(look)
        quantile = recent.quantile(0.95)
        return math.nan if quantile is None else quantile
