"""What the stream has done since a moment: the figures that `sentistream up --seconds` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from dataflows.clients import redis_client
from dataflows.keys import ALL_SOURCES, Keys
from dataflows.panes import EMPTY, Pane
from dataflows.settings import Settings
from dataflows.telemetry import Histogram
from infra.offsets import OffsetReader, Offsets

__all__ = ["Counts", "Ledger", "Patience", "report"]

# Of a prediction the first, of a dead letter the others.
IDENTITY = ("ce_id", "x-topic", "x-partition", "x-offset")
RESOLUTION_S = 60  # the panes that are kept longest
EXPRESSIONS = {
    "surprise": "surprise",
    "fear": "fear",
    "disgust": "disgust",
    "happiness": "happiness",
    "sadness": "sadness",
    "anger": "anger",
    "neutral": "neutral_face",  # named so in panes, where a sentiment is called neutral too
}


class Counts(NamedTuple):
    """Records since the ledger was opened."""

    events_in: int
    scored: int
    rejected: int

    @property
    def settled(self) -> bool:
        """Each event has become a prediction or a dead letter."""
        return self.events_in == self.scored + self.rejected


class Patience:
    """Waits for a flow that is behind as long as it gets on with what has come in at first.

    What comes in later does not count, as others may go on sending for ever.

    Args:
        limit_s: how long to wait without progress.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._goal: int | None = None
        self._done = -1
        self._until = 0.0

    def ends(self, counts: Counts, now: float) -> bool:
        """Tell if there was no progress for too long; `now` is a monotonic time in seconds."""
        if self._goal is None:
            self._goal = counts.events_in
        done = min(counts.scored + counts.rejected, self._goal)
        if done > self._done:
            self._done, self._until = done, now + self.limit_s
        return now > self._until


class Ledger:
    """Counts events from where a new flow begins to read, and all else from now on.

    Open it before the flow starts and after the topics exist. Owns a Kafka and a Redis client.

    Raises:
        ServiceError: Kafka does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        self._offsets = OffsetReader(settings.kafka)
        self._redis = redis_client(settings.redis)
        self._keys = Keys(settings.redis.prefix)
        self._events = self._offsets.read(
            self._kafka.topic, "first" if self._kafka.start == "earliest" else "end"
        )
        self._scored = self._offsets.read(self._kafka.predictions_topic, "end")
        self._rejected = self._offsets.read(self._kafka.dlq_topic, "end")
        self._panes = self._sum_panes()

    def close(self) -> None:
        """Close the connections."""
        self._offsets.close()
        self._redis.close()

    def counts(self, *, repeats: bool = False) -> Counts:
        """Return the number of records so far.

        Args:
            repeats: a flow that was killed may have written results again: count each event once.
                That takes reading them all.

        Raises:
            ServiceError: Kafka does not answer.
        """
        count = self._distinct if repeats else self._since
        return Counts(
            events_in=self._since(self._kafka.topic, self._events),
            scored=count(self._kafka.predictions_topic, self._scored),
            rejected=count(self._kafka.dlq_topic, self._rejected),
        )

    def sources(self) -> dict[str, Pane]:
        """Return the sum over all panes of each source, less what was there at the beginning."""
        return {
            source: pane.subtract(self._panes.get(source, EMPTY))
            for source, pane in sorted(self._sum_panes().items())
        }

    def heartbeats(self, worker_ids: list[str]) -> list[Mapping[str, str]]:
        """Return the heartbeat of each of these workers that has one."""
        found = (self._redis.hgetall(self._keys.worker(name)) for name in worker_ids)
        return [fields for fields in cast("list[dict[str, str]]", [*found]) if fields]

    def latency(self, worker_ids: list[str], after: float) -> Histogram | None:
        """Return the merged latencies; None if a heartbeat is not newer than `after` (epoch s)."""
        beats = self.heartbeats(worker_ids)
        if len(beats) < len(worker_ids) or any(float(beat["at"]) <= after for beat in beats):
            return None
        merged = Histogram()
        for beat in beats:
            merged = merged.merge(Histogram.decode(beat["latency_histogram"]))
        return merged

    def _since(self, topic: str, start: Offsets) -> int:
        end = self._offsets.read(topic, "end")
        return sum(offset - start.get(partition, 0) for partition, offset in end.items())

    def _distinct(self, topic: str, start: Offsets) -> int:
        """Count events by their names in the headers of what was made of them."""
        end = self._offsets.read(topic, "end")
        records = self._offsets.records(topic, start, end)
        return len({tuple(map(dict(record.headers).get, IDENTITY)) for record in records})

    def _sum_panes(self) -> dict[str, Pane]:
        sums: dict[str, Pane] = {}
        pattern = f"{self._keys.prefix}:pane:{RESOLUTION_S}:*"
        for key in self._redis.scan_iter(match=pattern, count=1000):
            source = self._keys.parse_pane(key).source
            if source == ALL_SOURCES:
                continue
            for text in cast("dict[str, str]", self._redis.hgetall(key)).values():
                sums[source] = sums.get(source, EMPTY).merge(Pane.decode(text))
        return sums


def report(
    counts: Counts, sources: Mapping[str, Pane], latency: Histogram, dashboard: str
) -> dict[str, Any]:
    """Return the summary as it is printed; latencies are in ms, null where nothing was measured."""
    return {
        "events_in": counts.events_in,
        "scored": counts.scored,
        "rejected": counts.rejected,
        "observations": sum(pane.n for pane in sources.values()),
        "sources": {source: _figures(pane) for source, pane in sources.items()},
        "latency_ms": {
            f"p{percent}": None if value is None else round(value, 1)
            for percent in (50, 95, 99)
            for value in [latency.quantile(percent / 100)]
        },
        "dashboard": dashboard,
    }


def _figures(pane: Pane) -> dict[str, int]:
    counts = pane._asdict()
    expressions = {name: counts[column] for name, column in EXPRESSIONS.items()}
    # A face is one of the seven; what is not is a text.
    texts = pane.n - sum(expressions.values())
    return {"events": pane.events, "observations": pane.n, "texts": texts, **expressions}
