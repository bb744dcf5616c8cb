"""Every metric of the API in one place; `GET /metrics` gives them to Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one API, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        # `route` is the pattern, such as /v1/rolling/{source}: few values, whoever asks.
        self.requests = Counter(
            "sentistream_api_requests",
            "Requests that were answered.",
            ["route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "sentistream_api_request_seconds",
            "From the first byte of a request to the end of its answer; streams are left out.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.problems = Counter(
            "sentistream_api_problems",
            "Requests, and contents within them, that could not be served.",
            ["reason"],
            registry=registry,
        )
        self.waiting = Gauge(
            "sentistream_api_waiting", "Contents that wait for the models now.", registry=registry
        )
        self.batch_size = Histogram(
            "sentistream_api_batch_size",
            "Contents of one batch of the models.",
            buckets=SIZES,
            registry=registry,
        )
        self.scoring_seconds = Histogram(
            "sentistream_api_scoring_seconds",
            "What one batch took, without waiting.",
            buckets=SECONDS,
            registry=registry,
        )
        self.events = Counter(
            "sentistream_api_events", "Events that Kafka has confirmed.", registry=registry
        )
        self.feedback = Counter(
            "sentistream_api_feedback",
            "Corrections that Kafka has confirmed.",
            ["predicted", "label"],
            registry=registry,
        )
        self.models = Gauge(
            "sentistream_api_model_info",
            "1 for the version of each kind of model that is in use.",
            ["kind", "version"],
            registry=registry,
        )
        self.streams = Gauge(
            "sentistream_api_streams", "Streams of events that are open now.", registry=registry
        )

    def refused(self, kind: str) -> None:
        """Count a problem."""
        self.problems.labels(kind).inc()

    def set_models(self, versions: Mapping[str, str | None]) -> None:
        """Tell the versions in use, by kind."""
        self.models.clear()
        for kind, version in versions.items():
            if version is not None:
                self.models.labels(kind, version).set(1)
