"""What this process measures of itself, and the heartbeat that tells it to Redis."""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import threading
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import redis

from dataflows.keys import HEARTBEAT_EXPIRY_S, Keys

__all__ = ["TELEMETRY", "Counter", "Heartbeat", "Histogram", "Place", "Telemetry"]

_log = logging.getLogger(__name__)

PERIOD_S: Final = 2.0  # a fifth of the expiry, so that one missed beat does not look like a death


class Counter:
    """A number that only grows; safe between threads."""

    def __init__(self) -> None:
        self._value = 0
        self._lock = threading.Lock()

    def increment(self, amount: int = 1) -> None:
        """Add an amount."""
        with self._lock:
            self._value += amount

    @property
    def value(self) -> int:
        """The sum so far."""
        return self._value


class Histogram:
    """Counts of durations in buckets that grow by 10 %, so a quantile is at most 10 % too high.

    Histograms of several processes merge by adding.
    """

    GROWTH: Final = 1.1
    FIRST_MS: Final = 0.1  # upper edge of the first bucket
    BUCKETS: Final = 200  # the last edge is about 17 million s

    def __init__(self, counts: Iterable[int] = ()) -> None:
        self._counts = [*counts] or [0] * self.BUCKETS
        if len(self._counts) != self.BUCKETS:
            raise ValueError(f"a histogram has {self.BUCKETS} buckets, not {len(self._counts)}")
        self._lock = threading.Lock()

    def add(self, duration_ms: float) -> None:
        """Count one duration; a negative one (clocks differ) counts as 0."""
        self.add_all([duration_ms])

    def add_all(self, durations_ms: Sequence[float]) -> None:
        """Count many."""
        shares = np.maximum(durations_ms, self.FIRST_MS) / self.FIRST_MS
        indices = np.ceil(np.log(shares) / math.log(self.GROWTH)).astype(int)
        found, times = np.unique(np.minimum(indices, self.BUCKETS - 1), return_counts=True)
        with self._lock:
            for index, count in zip(found.tolist(), times.tolist(), strict=True):
                self._counts[index] += count

    def quantile(self, share: float) -> float | None:
        """Return the upper edge (ms) of the bucket with this quantile, None if nothing counts."""
        counts = list(self._counts)
        rank = share * sum(counts)
        if not rank:
            return None
        seen = 0
        for index, count in enumerate(counts):
            seen += count
            if seen >= rank:
                return self.FIRST_MS * self.GROWTH**index
        raise AssertionError("the counts sum to their sum")

    def merge(self, other: Histogram) -> Histogram:
        """Return the sum of two histograms."""
        return Histogram(a + b for a, b in zip(self._counts, other._counts, strict=True))

    def encode(self) -> str:
        """Return the counts joined by commas."""
        return ",".join(map(str, self._counts))

    @classmethod
    def decode(cls, text: str) -> Histogram:
        """Return the histogram that `encode` wrote.

        Raises:
            ValueError: the text is none.
        """
        return cls(map(int, text.split(",")))


class Place(NamedTuple):
    """How far a partition is read: the next offset, and the end of the partition."""

    position: int
    end: int

    @property
    def lag(self) -> int:
        """Events still to be read."""
        return max(0, self.end - self.position)


class Telemetry:
    """Counters of one process.

    Attributes:
        events: records read.
        rejected: records dead-lettered.
        observations: faces and texts observed.
        expired: events that could not be counted since their pane had left the state.
        scored: events that went through the models.
        scoring_us: microseconds that the models took for them.
        latency: from the record's timestamp to the write of its pane in Redis.
        told: give what other parts tell of themselves, by name of a field of the heartbeat; they
            are called from its thread.
    """

    def __init__(self) -> None:
        self.events = Counter()
        self.rejected = Counter()
        self.observations = Counter()
        self.expired = Counter()
        self.scored = Counter()
        self.scoring_us = Counter()
        self.latency = Histogram()
        self.told: list[Callable[[], Mapping[str, str]]] = []
        self._places: dict[int, Place] = {}
        self._reasons: Counts[str] = Counts()
        self._lock = threading.Lock()

    def set_place(self, partition: int, place: Place) -> None:
        """Remember how far a partition is read."""
        self._places[partition] = place

    @property
    def places(self) -> dict[int, Place]:
        """How far the partitions of this process are read."""
        return self._places.copy()

    @property
    def lag(self) -> int:
        """Events still to be read in the partitions of this process."""
        return sum(place.lag for place in self.places.values())

    def count_rejected(self, reasons: Sequence[str]) -> None:
        """Count records that are dead-lettered."""
        self.rejected.increment(len(reasons))
        with self._lock:
            self._reasons.update(reasons)

    @property
    def reasons(self) -> dict[str, int]:
        """Records that were dead-lettered, by reason."""
        with self._lock:
            return dict(self._reasons)


TELEMETRY: Final = Telemetry()


class Heartbeat:
    """Writes `…:worker:{id}` every two seconds from a thread of its own."""

    _started: Final[set[str]] = set()
    _lock: Final = threading.Lock()

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._key = keys.worker(f"{socket.gethostname()}-{os.getpid()}")
        self._started_at = time.time()
        self._last = (time.monotonic(), TELEMETRY.events.value)

    @classmethod
    def ensure(cls, client: redis.Redis, keys: Keys) -> None:
        """Start the heartbeat of this process unless it beats already."""
        with cls._lock:
            beat = cls(client, keys)
            if beat._key in cls._started:
                return
            cls._started.add(beat._key)
            threading.Thread(target=beat._run, name="heartbeat", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self._beat()
            except redis.RedisError as error:
                # The writer of the panes reports and waits; a missed beat shows by itself.
                _log.debug("no heartbeat: %s", error)
                self._client.connection_pool.disconnect()  # there may be another server by now
            time.sleep(PERIOD_S)

    def _beat(self) -> None:
        then, before = self._last
        now, events = time.monotonic(), TELEMETRY.events.value
        self._last = now, events
        rate = (events - before) / (now - then) if now > then else 0.0
        latency = TELEMETRY.latency
        quantiles = {
            f"latency_p{percent}": f"{value:.1f}"
            for percent in (50, 95, 99)
            if (value := latency.quantile(percent / 100)) is not None
        }
        fields: dict[Any, Any] = {
            "at": f"{time.time():.3f}",
            "started": f"{self._started_at:.3f}",
            "events_per_s": f"{rate:.2f}",
            "lag": str(TELEMETRY.lag),
            "events": str(events),
            "rejected": str(TELEMETRY.rejected.value),
            "observations": str(TELEMETRY.observations.value),
            "expired": str(TELEMETRY.expired.value),
            "scored": str(TELEMETRY.scored.value),
            "scoring_ms": f"{TELEMETRY.scoring_us.value / 1000:.1f}",
            **quantiles,
            "latency_histogram": latency.encode(),
            "rejected_by_reason": json.dumps(TELEMETRY.reasons),
            "partitions": json.dumps(
                {
                    number: {"position": place.position, "end": place.end, "lag": place.lag}
                    for number, place in sorted(TELEMETRY.places.items())
                }
            ),
        }
        for tell in TELEMETRY.told:
            fields |= tell()
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hset(self._key, mapping=fields)
        pipeline.expire(self._key, HEARTBEAT_EXPIRY_S)
        pipeline.execute()
