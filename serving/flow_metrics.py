"""What the processes of the flow tell of themselves, for Prometheus.

They tell it to Redis, in a heartbeat each; the API reads it there at every scrape, so that one
address has all metrics. Counters begin anew with a process, whose id is the label `worker`.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector
from redis.asyncio import Redis

from dataflows.agreement import decode
from dataflows.keys import Keys
from dataflows.telemetry import Histogram

__all__ = ["Beats", "FlowMetrics"]

SCAN_S: Final = 10.0  # looking for new processes walks over all keys, so it is rare
WALK_S: Final = 1.0  # what one may take, so that a scrape still has time to read
# Every eighth bucket of a heartbeat, from 1 ms to 15 min: each edge is 2.1 times the one before.
EDGES: Final = range(24, 176, 8)
COUNTERS: Final = {
    "events": "Records that were read.",
    "observations": "Faces and texts that were observed.",
    "expired": "Events whose pane had left the state, so that they could not be counted.",
}
Fields = Mapping[str, str]


class Beats:
    """Reads the heartbeats of all processes of the flow."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._prefix = keys.worker("")
        self._found: list[str] = []
        self._scanned_at = -math.inf

    async def read(self) -> dict[str, Fields]:
        """Return the fields of each process by its id.

        Raises:
            RedisError: Redis does not answer.
        """
        if time.monotonic() - self._scanned_at >= SCAN_S:
            self._found = await self._scan()
            self._scanned_at = time.monotonic()
        found = self._found  # another scrape may find others while this one reads
        pipe = self._client.pipeline(transaction=False)
        for key in found:
            pipe.hgetall(key)
        beats = await pipe.execute() if found else []
        return {
            key.removeprefix(self._prefix): fields
            for key, fields in zip(found, beats, strict=True)
            if fields
        }

    async def _scan(self) -> list[str]:
        """Return the keys of heartbeats; those known too, where there are too many keys to see."""
        pattern = re.sub(r"([\[\]*?\\])", r"\\\1", self._prefix) + "*"
        found: set[str] = set()
        try:
            async with asyncio.timeout(WALK_S):
                async for key in self._client.scan_iter(match=pattern, count=2000):
                    found.add(key)
        except TimeoutError:
            found |= {*self._found}
        return sorted(found)


class FlowMetrics(Collector):
    """The metrics that heartbeats make; what is no figure in them is left out.

    Args:
        beats: the fields of each process by its id; None where Redis does not answer.
    """

    def __init__(self, beats: Mapping[str, Fields] | None) -> None:
        self._beats = beats

    def collect(self) -> Iterable[Metric]:
        """Return all families, with what is told."""
        beats = self._beats or {}
        up = GaugeMetricFamily(
            "sentistream_flow_workers",
            "Processes of the flow with a heartbeat; missing while Redis does not answer.",
            value=None if self._beats is None else len(beats),
        )
        return [up, *_counts(beats), *_times(beats), *_models(beats), *_shadows(beats)]


def _counts(beats: Mapping[str, Fields]) -> Iterable[Metric]:
    for name, text in COUNTERS.items():
        counter = CounterMetricFamily(f"sentistream_flow_{name}", text, labels=["worker"])
        for worker, fields in beats.items():
            _add(counter, [worker], fields.get(name))
        yield counter
    rejected = CounterMetricFamily(
        "sentistream_flow_rejected", "Records that were dead-lettered.", labels=["worker", "reason"]
    )
    lag = GaugeMetricFamily(
        "sentistream_flow_lag",
        "Records of a partition that are still to be read.",
        labels=["worker", "partition"],
    )
    for worker, fields in beats.items():
        for reason, count in _object(fields.get("rejected_by_reason")).items():
            _add(rejected, [worker, reason], count)
        for partition, place in _object(fields.get("partitions")).items():
            _add(lag, [worker, partition], place.get("lag") if isinstance(place, dict) else None)
    yield from (rejected, lag)


def _times(beats: Mapping[str, Fields]) -> Iterable[Metric]:
    at = GaugeMetricFamily(
        "sentistream_flow_heartbeat_timestamp_seconds",
        "When the process told this.",
        labels=["worker"],
    )
    latency = HistogramMetricFamily(
        "sentistream_flow_latency_seconds",
        "From the timestamp of a record to the write of its pane.",
        labels=["worker"],
    )
    scoring = SummaryMetricFamily(
        "sentistream_flow_scoring_seconds",
        "What scoring one event takes, as its share of a batch.",
        labels=["worker"],
    )
    for worker, fields in beats.items():
        _add(at, [worker], fields.get("at"))
        if buckets := _buckets(fields.get("latency_histogram", "")):
            latency.add_metric([worker], buckets, sum_value=None)
        spent_ms, scored = _number(fields.get("scoring_ms")), _number(fields.get("scored"))
        if spent_ms is not None and scored is not None:
            scoring.add_metric([worker], round(scored), spent_ms / 1000)
    return at, latency, scoring


def _models(beats: Mapping[str, Fields]) -> Iterable[Metric]:
    version = GaugeMetricFamily(
        "sentistream_flow_model_info",
        "1 for the version of each kind of model that is in use.",
        labels=["worker", "kind", "version"],
    )
    since = GaugeMetricFamily(
        "sentistream_flow_model_timestamp_seconds",
        "When the model came into use in this process.",
        labels=["worker", "kind"],
    )
    refused = GaugeMetricFamily(
        "sentistream_flow_model_refused",
        "1 for a version that `ACTIVE` names and that may not be used.",
        labels=["worker", "kind", "version"],
    )
    for worker, fields in beats.items():
        for kind, name in _object(fields.get("models")).items():
            if isinstance(name, str):
                version.add_metric([worker, kind, name], 1)
        for kind, use in _object(fields.get("model_changes")).items():
            if isinstance(use, dict):
                _add(since, [worker, kind], use.get("since"))
                if isinstance(name := use.get("refused"), str):
                    refused.add_metric([worker, kind, name], 1)
    return version, since, refused


def _shadows(beats: Mapping[str, Fields]) -> Iterable[Metric]:
    labels = ["worker", "kind", "active", "shadow"]
    head = "sentistream_flow_shadow"
    counters = {
        name: CounterMetricFamily(f"{head}_{name}", text, labels=labels)
        for name, text in (
            ("observations", "Faces or texts that the model in use and its shadow have scored."),
            ("agreed", "Those of them for which both find the same class."),
            ("failed", "Events that the shadow could not score."),
            ("skipped", "Events that were chosen while the shadow was too far behind."),
        )
    }
    delta = GaugeMetricFamily(
        f"{head}_confidence_delta",
        "Mean confidence of the shadow less that of the model in use.",
        labels=labels,
    )
    for worker, fields in beats.items():
        for one in decode(fields.get("shadow")):
            place = [worker, one.kind, one.active, one.shadow]
            for name, counter in counters.items():
                counter.add_metric(place, getattr(one, name))
            _add(delta, place, one.confidence_delta)
    return *counters.values(), delta


def _buckets(text: str) -> list[tuple[str, float]]:
    """Return upper edges (s) and how many are below, as Prometheus has them; empty for nonsense."""
    try:
        counts = [int(part) for part in text.split(",")]
        Histogram(counts)
    except ValueError:
        return []
    below = [*accumulate(counts)]
    if _number(below[-1]) is None:
        return []
    edges = ((i, Histogram.FIRST_MS * Histogram.GROWTH**i / 1000) for i in EDGES)
    return [*((f"{edge:.4g}", below[i]) for i, edge in edges), ("+Inf", below[-1])]


def _add(family: CounterMetricFamily | GaugeMetricFamily, labels: list[str], value: object) -> None:
    if (number := _number(value)) is not None:
        family.add_metric(labels, number)


def _number(value: object) -> float | None:
    """Return a finite number, None for anything else."""
    if not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _object(text: str | None) -> dict[str, Any]:
    """Return a JSON object, an empty one for anything else."""
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
