"""Heartbeats of the stream's workers, as the Redis contract has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["Heartbeat", "describe"]


class Heartbeat(NamedTuple):
    """One worker: its rate, its latency from record to Redis (ms) and its lag (records)."""

    worker: str
    events_per_s: float
    latency_p95_ms: float
    lag: float

    @classmethod
    def parse(cls, worker: str, fields: Mapping[str, str]) -> Heartbeat:
        """Read the hash of a worker; a number that is missing or unreadable is NaN."""
        return cls(
            worker,
            _number(fields.get("events_per_s")),
            _number(fields.get("latency_p95")),
            _number(fields.get("lag")),
        )


def describe(workers: Sequence[Heartbeat]) -> str:
    """Return one line about the workers: how many, the slowest p95, the sum of the lag."""
    if not workers:
        return "no worker reports"
    parts = ["1 worker" if len(workers) == 1 else f"{len(workers)} workers"]
    slowest = [w.latency_p95_ms for w in workers if math.isfinite(w.latency_p95_ms)]
    if slowest:
        parts.append(f"p95 {max(slowest):,.0f} ms".replace(",", "\u202f"))
    lags = [w.lag for w in workers if math.isfinite(w.lag)]
    if lags:
        parts.append(f"lag {sum(lags):,.0f}".replace(",", "\u202f"))
    return " · ".join(parts)


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
