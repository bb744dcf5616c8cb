"""How the workers did over the last hours: what heartbeats tell, which is only ever "now".

Kept by the dashboard process alone; there is none of before its start.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, NamedTuple

import numpy as np

from dashboard.charts.parts import Floats
from dashboard.workers import Heartbeat

__all__ = ["Sample", "Vitals", "time_to_catch_up"]

KEPT: Final = 3 * 3600 // 2  # samples: three hours at one every two seconds
TREND_S: Final = 60.0


class Sample(NamedTuple):
    """The stream at one moment (epoch s).

    Events/s, p95 of late (ms) and lag (records) of all workers; age of the newest event (s).
    """

    at: float
    events_per_s: float
    latency_ms: float
    lag: float
    age_s: float = math.nan

    @classmethod
    def of(
        cls,
        at: float,
        workers: Sequence[Heartbeat],
        latency_ms: float = math.nan,
        newest_ms: float | None = None,
    ) -> Sample:
        """Sum up what the workers tell; NaN is what none of them tells.

        Args:
            at: epoch s.
            workers: those that report.
            latency_ms: p95 of late.
            newest_ms: time of the newest event (epoch ms).
        """
        rates = _told(worker.events_per_s for worker in workers)
        lags = _told(worker.lag for worker in workers)
        return cls(
            at,
            sum(rates) if rates else math.nan,
            latency_ms,
            sum(lags) if lags else math.nan,
            math.nan if newest_ms is None else at - newest_ms / 1000,
        )


class Vitals:
    """The newest samples, oldest first."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._longer_s: dict[float, float] = {}

    @property
    def newest(self) -> float:
        """Moment of the newest sample (epoch s), 0 before the first."""
        return self._samples[-1].at if self._samples else 0.0

    @property
    def latency_ms(self) -> float:
        """The newest latency, NaN if nothing has come of late."""
        return self._samples[-1].latency_ms if self._samples else math.nan

    def add(self, sample: Sample) -> None:
        """Add the newest sample."""
        self._samples.append(sample)
        self._longer_s.clear()

    def window(self, end: float, seconds: float, most: int = 400) -> tuple[Floats, Floats, Floats]:
        """Return times (epoch ms), latency (ms) and lag of the seconds before `end`.

        Args:
            end: epoch s.
            seconds: how far back.
            most: of more samples than this every second, third … is taken.
        """
        found = [sample for sample in self._samples if end - seconds < sample.at <= end]
        found = found[:: max(1, math.ceil(len(found) / most))]
        table = np.array(found, dtype=np.float64).reshape(-1, len(Sample._fields))
        return np.round(table[:, 0] * 1000), table[:, 2], table[:, 3]

    def age_change_s(self, seconds: float) -> float:
        """Return by how much the median age (s) of the newest event has grown on the period before.

        Kept until the next sample: many pages ask, many times.

        Args:
            seconds: of either period; the later one ends with the newest sample.
        """
        if seconds not in self._longer_s:
            now, before = (self._age_s(self.newest - ago, seconds) for ago in (0.0, seconds))
            self._longer_s[seconds] = now - before
        return self._longer_s[seconds]

    def _age_s(self, end: float, seconds: float) -> float:
        ages = [sample.age_s for sample in self._samples if end - seconds < sample.at <= end]
        ages = _told(ages)
        return median(ages) if ages else math.nan

    def catch_up_s(self) -> float | None:
        """Return in how many seconds there will be no lag, `None` when it does not shrink."""
        recent = [
            (sample.at, sample.lag)
            for sample in self._samples
            if sample.at > self.newest - TREND_S and math.isfinite(sample.lag)
        ]
        return time_to_catch_up(recent)


def time_to_catch_up(lags: Sequence[tuple[float, float]]) -> float | None:
    """Return the seconds until a lag is gone, by the median of the slopes to the newest value.

    The median over pairs (after Theil, 1950) lets single outliers pass.

    Args:
        lags: moments (s) and lags, oldest first.

    Returns:
        0 when there is no lag, `None` when it does not shrink or is not known.
    """
    if not lags:
        return None
    at, lag = lags[-1]
    if lag <= 0:
        return 0.0
    slopes = [(lag - old) / (at - then) for then, old in lags[:-1] if then < at]
    if not slopes:
        return None
    slope = float(np.median(slopes))
    return lag / -slope if slope < 0 else None


def _told(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]
