"""Heartbeats of the stream's workers and its newest rejections, as the Redis contract has them.

Whatever stands there is shown or left out; nothing of it can break a page.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dashboard.language import gettext as _
from dashboard.language import ngettext
from dashboard.texts import THIN_SPACE, age_text, count_text
from dataflows.agreement import Agreement, decode
from dataflows.telemetry import Histogram

__all__ = [
    "Heartbeat",
    "Memory",
    "Progress",
    "RejectionRow",
    "catch_up_text",
    "describe",
    "rejected_by_reason",
]


class Progress(NamedTuple):
    """How far a partition is read; a number that is not told is NaN."""

    partition: str
    position: float
    end: float
    lag: float


class Change(NamedTuple):
    """How a model came into use in a process.

    Attributes:
        since: when it did (epoch s).
        previous: the version before, empty if there was none.
        refused: a version that was to be used and may not; empty if `ACTIVE` is unreadable.
        reason: why.
        pinned: whether a setting names the version in use.
    """

    since: float = math.nan
    previous: str = ""
    refused: str | None = None
    reason: str = ""
    pinned: bool = False


class Heartbeat(NamedTuple):
    """One process of the flow; a number that is missing or unreadable is NaN.

    Attributes:
        worker: host and process number.
        events_per_s: events read in a second.
        latency_p95_ms: from the record's timestamp to Redis, over all events since its start; also
            p50 and p99.
        lag: records still to be read.
        started: when it has started (epoch s).
        events: events read since.
        rejected: events rejected since, and by reason.
        partitions: those it reads.
        models: kind → version of those in use.
        latency_counts: of the histogram since its start; empty if unknown.
        beat_at: when it was sent, on our monotonic clock (s).
        model_changes: kind → how its model came into use.
        shadow: how models that are tried compare.
    """

    worker: str
    events_per_s: float = math.nan
    latency_p95_ms: float = math.nan
    lag: float = math.nan
    latency_p50_ms: float = math.nan
    latency_p99_ms: float = math.nan
    started: float = math.nan
    events: float = math.nan
    rejected: float = math.nan
    rejected_by_reason: Mapping[str, float] = {}
    partitions: tuple[Progress, ...] = ()
    models: Mapping[str, str] = {}
    latency_counts: tuple[int, ...] = ()
    beat_at: float = math.nan
    model_changes: Mapping[str, Change] = {}
    shadow: tuple[Agreement, ...] = ()

    @classmethod
    def parse(cls, worker: str, fields: Mapping[str, str]) -> Heartbeat:
        """Read the hash of a worker."""
        reasons = _object(fields.get("rejected_by_reason"))
        partitions = _object(fields.get("partitions"))
        models = _object(fields.get("models"))
        return cls(
            worker,
            _number(fields.get("events_per_s")),
            _number(fields.get("latency_p95")),
            _number(fields.get("lag")),
            _number(fields.get("latency_p50")),
            _number(fields.get("latency_p99")),
            _number(fields.get("started")),
            _number(fields.get("events")),
            _number(fields.get("rejected")),
            {reason: _number(count) for reason, count in reasons.items()},
            tuple(_progress(number, told) for number, told in partitions.items()),
            {kind: str(version) for kind, version in models.items() if version},
            _counts(fields.get("latency_histogram", "")),
            model_changes=_changes(fields.get("model_changes")),
            shadow=tuple(decode(fields.get("shadow"))),
        )


class RejectionRow(NamedTuple):
    """Where a rejected record stands, and why it was rejected."""

    topic: str
    partition: str
    offset: str
    reason: str
    detail: str
    time_ms: float

    @classmethod
    def parse(cls, fields: Mapping[str, str]) -> RejectionRow:
        """Read an entry of the stream of rejections."""
        return cls(
            topic=fields.get("topic", ""),
            partition=fields.get("partition", ""),
            offset=fields.get("offset", ""),
            reason=fields.get("reason", ""),
            detail=fields.get("detail", ""),
            time_ms=_number(fields.get("time")),
        )


class Memory(NamedTuple):
    """What Redis uses, its highest use, and its limit (bytes); a limit of 0 is none."""

    used: float = math.nan
    peak: float = math.nan
    limit: float = math.nan

    @classmethod
    def parse(cls, info: Mapping[str, Any]) -> Memory:
        """Read the section `memory` of INFO."""
        names = ("used_memory", "used_memory_peak", "maxmemory")
        return cls(*(_number(info.get(name)) for name in names))


def rejected_by_reason(workers: Iterable[Heartbeat]) -> dict[str, int]:
    """Return how many records the workers have rejected since their start, the most first."""
    counts: Counter[str] = Counter()
    for worker in workers:
        for reason, count in worker.rejected_by_reason.items():
            counts[reason] += int(count) if math.isfinite(count) else 0
    return dict(counts.most_common())


def describe(workers: Sequence[Heartbeat], latency_ms: float = math.nan) -> str:
    """Return one line about the workers: how many, their p95 of late (ms), the sum of the lag."""
    if not workers:
        return _("no worker reports")
    parts = [count_text(len(workers), ngettext("worker", "workers", len(workers)))]
    if math.isfinite(latency_ms):
        parts.append(f"p95 {latency_ms:,.0f} ms".replace(",", THIN_SPACE))
    lags = [w.lag for w in workers if math.isfinite(w.lag)]
    if lags:
        lag = f"{sum(lags):,.0f}".replace(",", THIN_SPACE)
        parts.append(_("lag {records}").format(records=lag))
    return " · ".join(parts)


def catch_up_text(seconds: float | None) -> str:
    """Return when the lag will be gone at its present pace, `None` if it does not shrink."""
    if seconds is None:
        return _("not shrinking")
    if seconds == 0:
        return _("nothing is waiting")
    return _("caught up in {time}").format(time=age_text(seconds))


def _progress(partition: str, told: Any) -> Progress:  # noqa: ANN401
    told = told if isinstance(told, dict) else {}
    return Progress(partition, *(_number(told.get(name)) for name in ("position", "end", "lag")))


def _changes(text: str | None) -> dict[str, Change]:
    return {
        kind: Change(
            _number(told.get("since")),
            str(told.get("previous") or ""),
            None if told.get("refused") is None else str(told["refused"]),
            str(told.get("reason") or ""),
            told.get("pinned") is True,
        )
        for kind, told in _object(text).items()
        if isinstance(told, dict)
    }


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(map(int, text.split(",")))
    except ValueError:  # also of a number with too many digits
        return ()
    fits = len(counts) == Histogram.BUCKETS and all(0 <= count < 2**53 for count in counts)
    return counts if fits else ()


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:  # noqa: ANN401
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan
