"""Drift of the newest hours, for Prometheus; the flow writes it to Redis, where it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dataflows.drift_records import SOURCES_MOST, DriftRow, newest, parse, places
from serving.figures import Figures

__all__ = ["DriftMetrics", "read_drift"]

LABELS = ("source", "kind", "version")


async def read_drift(figures: Figures) -> list[DriftRow]:
    """Return the newest hour of which something is said, by source, kind and version.

    Of all sources, and of the hundred with the newest events.

    Raises:
        RedisError: Redis does not answer.
    """
    # One more, since all together may be among them.
    sources = {row["source"]: row["newest_ms"] for row in await figures.sources(SOURCES_MOST + 1)}
    asked = places(figures.keys, sources)
    pipe = figures.client.pipeline(transaction=False)
    for _source, key in asked:
        pipe.hgetall(key)
    hashes = await pipe.execute() if asked else []
    # Thousands of JSON objects: other requests are not to wait for them.
    return await asyncio.to_thread(_newest, [source for source, _key in asked], hashes)


def _newest(sources: Sequence[str], hashes: Sequence[Mapping[str, str]]) -> list[DriftRow]:
    found = zip(sources, hashes, strict=True)
    rows = [row for source, fields in found for row in parse(source, fields)]
    return newest([row for row in rows if row.verdict in ("steady", "drift")], 1)


class DriftMetrics(Collector):
    """The metrics that these hours make."""

    def __init__(self, rows: Sequence[DriftRow]) -> None:
        self._rows = rows

    def collect(self) -> Iterable[Metric]:
        """Return all families."""
        told: dict[str, tuple[str, list[float | None]]] = {
            "hour_timestamp_seconds": (
                "Begin of the newest hour of which something is said.",
                [row.hour for row in self._rows],
            ),
            "observations": ("Faces or texts in it.", [row.n for row in self._rows]),
            "mix_psi": (
                "Population stability index of its classes against the reference.",
                [row.mix for row in self._rows],
            ),
            "confidence_psi": (
                "The same of its confidence.",
                [row.confidence for row in self._rows],
            ),
            "embedding_distance": (
                "Squared distance of its embedding from the reference.",
                [row.embedding for row in self._rows],
            ),
        }
        for name, (text, values) in told.items():
            family = GaugeMetricFamily(f"sentistream_drift_{name}", text, labels=LABELS)
            for row, value in zip(self._rows, values, strict=True):
                if value is not None:
                    family.add_metric([row.source, row.kind, row.version], value)
            yield family
