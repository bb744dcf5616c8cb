"""Writes panes, rolling windows and the feed to Redis, as absolute values."""

from __future__ import annotations

import logging
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from itertools import compress
from typing import Any, Final, Generic, TypeVar

import redis
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from redis.client import Pipeline
from redis.connection import AbstractConnection

from dataflows.alerting import alert_fields
from dataflows.alerts import Alert
from dataflows.clients import redis_client, redis_location
from dataflows.contract import Rejection
from dataflows.keys import (
    ALERTS_MAXLEN,
    ALL_SOURCES,
    EVENTS_MAXLEN,
    EXPIRY_S,
    REJECTIONS_MAXLEN,
    THUMBNAIL_EXPIRY_S,
    THUMBNAILS_MOST,
    UPDATES_MAXLEN,
    Keys,
)
from dataflows.panes import FIELDS, Pane, statistics
from dataflows.rolling import Update
from dataflows.settings import RedisSettings
from dataflows.steps import Event
from dataflows.stopping import STOPPING
from dataflows.telemetry import TELEMETRY, Heartbeat
from dataflows.worker import this_worker
from models.thumbnails import thumbnail

__all__ = ["AlertSink", "FeedSink", "PaneSink", "RejectionSink"]

_log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")
Versions = Mapping[str, str | None]
FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 1.0
ANSWER_S: Final = 2.0
FEED_MOST: Final = 64  # of one batch: nobody can follow more
REJECTIONS_MOST: Final = 20  # likewise
DETAIL_CHARS: Final = 200


class _Writer(StatelessSinkPartition[ItemT], Generic[ItemT]):
    """Sends a batch as one pipeline, again and again until Redis has taken it.

    All values are absolute, so a batch that was taken twice, or half, does no harm. While Redis
    is away the flow is held back.
    """

    def __init__(
        self, settings: RedisSettings, fill: Callable[[Pipeline, list[ItemT]], None]
    ) -> None:
        # Tries are made here, where a stop can cut them short.
        self._client = redis_client(
            settings, socket_timeout=ANSWER_S, retry=None, redis_connect_func=_Succession()
        )
        self._where = redis_location(settings)
        self._fill = fill

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def write_batch(self, items: list[ItemT]) -> None:
        """Write all items."""
        pipeline = self._client.pipeline(transaction=False)
        self._fill(pipeline, items)
        # execute() empties the pipeline, so what has failed is kept for another try.
        commands = list(pipeline.command_stack)
        wait_s = FIRST_WAIT_S
        while True:
            try:
                replies = pipeline.execute(raise_on_error=False)
                failed = [isinstance(reply, Exception) for reply in replies]
                if not any(failed):
                    return
                error = next(reply for reply in replies if isinstance(reply, Exception))
                commands = list(compress(commands, failed))
            except redis.RedisError as lost:
                error = lost  # the connection: nobody knows what was taken
            _log.warning("Redis at %s: %s; trying again in %.1f s", self._where, error, wait_s)
            STOPPING.check(f"Redis at {self._where}")
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            pipeline.command_stack = list(commands)


class _Succession:
    """On a new connection, ends the one before it.

    What was sent on a connection that gave no answer in time may still lie before Redis, which
    would write it after newer values. When CLIENT KILL has answered, it never will.
    """

    def __init__(self) -> None:
        self._last: int | None = None

    def __call__(self, connection: AbstractConnection) -> None:
        """Introduce a connection.

        Raises:
            redis.RedisError: it is of no use.
        """
        connection.on_connect()  # type: ignore[no-untyped-call]
        try:
            if self._last is not None:
                connection.send_command("CLIENT", "KILL", "ID", self._last)  # type: ignore[no-untyped-call]
                connection.read_response()
            connection.send_command("CLIENT", "ID")  # type: ignore[no-untyped-call]
            self._last = int(connection.read_response())
        except redis.ResponseError as error:
            # Some servers do not let everybody do this.
            _log.warning("a connection to Redis cannot be told from the one before: %s", error)


class PaneSink(DynamicSink[tuple[str, Update]]):
    """Panes, rolling windows, `sources` and the `updates` stream."""

    def __init__(self, settings: RedisSettings, versions: Versions) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._versions = versions

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> _Writer[tuple[str, Update]]:
        """Open a connection for one worker, and start the heartbeat of the process."""
        Heartbeat.ensure(redis_client(self._settings), self._keys, self._versions)
        return _PaneWriter(self._settings, self._write)

    def _write(self, pipeline: Pipeline, items: list[tuple[str, Update]]) -> None:
        hashes: dict[str, dict[Any, Any]] = {}
        rolling: dict[str, dict[Any, Any]] = {}
        expiry_s: dict[str, int] = {}
        newest: dict[str, float] = {}
        updates: dict[tuple[str, int], str] = {}
        # Later values replace earlier ones of the same batch.
        for source, update in items:
            for resolution, panes in update.panes.items():
                for bucket, pane in panes.items():
                    key = self._keys.pane(resolution, source, bucket)
                    encoded = pane.encode()
                    hashes.setdefault(key, {})[str(bucket)] = encoded
                    expiry_s[key] = EXPIRY_S[resolution]
                    if resolution == 1:
                        updates[source, bucket] = encoded
            for window, pane in update.rolling.items():
                rolling[self._keys.rolling(source, window)] = _rolling_fields(update.as_of, pane)
            if source != ALL_SOURCES:
                newest[source] = update.newest_ms
        for key, fields in hashes.items():
            pipeline.hset(key, mapping=fields)
            pipeline.expire(key, expiry_s[key])
        for key, fields in rolling.items():
            pipeline.hset(key, mapping=fields)
        if newest:
            pipeline.zadd(self._keys.sources, newest)
        # Last, so that who follows the stream finds the hashes at least as new.
        for (source, bucket), encoded in updates.items():
            pipeline.xadd(
                self._keys.updates,
                {"source": source, "bucket": bucket, "pane": encoded},
                maxlen=UPDATES_MAXLEN,
                approximate=True,
            )


class _PaneWriter(_Writer[tuple[str, Update]]):
    """Measures how long events took, once their panes are in Redis."""

    def write_batch(self, items: list[tuple[str, Update]]) -> None:
        super().write_batch(items)
        now_ms = time.time() * 1000
        for _, update in items:
            this_worker().written += update.rewritten
            for stamp_ms in update.stamps_ms:
                TELEMETRY.latency.add(now_ms - stamp_ms)


def _rolling_fields(as_of: int, pane: Pane) -> dict[Any, Any]:
    mean = statistics(pane)
    return {
        "as_of": str(as_of),
        **{name: str(value) for name, value in zip(FIELDS, pane, strict=True)},
        "valence": f"{mean.valence:.4f}",
        "valence_ci95": f"{mean.valence_ci95:.4f}",
        "confidence": f"{mean.confidence:.4f}",
    }


class FeedSink(DynamicSink[Event]):
    """The newest predictions, for the feed of the dashboard; of a large batch not all."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Writer[Event]:
        """Open a connection for one worker."""
        return _Writer(self._settings, self._write)

    def _write(self, pipeline: Pipeline, events: list[Event]) -> None:
        for event in events[-FEED_MOST:]:
            if self._settings.thumbnails:
                # First, so that who sees the event finds its pictures.
                self._picture(pipeline, event)
            pipeline.xadd(
                self._keys.events,
                {"prediction": event.prediction},
                maxlen=EVENTS_MAXLEN,
                approximate=True,
            )

    def _picture(self, pipeline: Pipeline, event: Event) -> None:
        for number, face in enumerate(event.scored.faces[:THUMBNAILS_MOST]):
            if face.crop is not None:
                key = self._keys.thumbnail(event.envelope.id, number)
                pipeline.set(key, b64encode(thumbnail(face.crop)), ex=THUMBNAIL_EXPIRY_S)


class RejectionSink(DynamicSink[Rejection]):
    """Where the newest rejected records stand and why; of a large batch not all."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._key = Keys(settings.prefix).rejections

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Writer[Rejection]:
        """Open a connection for one worker."""
        return _Writer(self._settings, self._write)

    def _write(self, pipeline: Pipeline, rejections: list[Rejection]) -> None:
        for rejection in rejections[-REJECTIONS_MOST:]:
            record = rejection.record
            detail = rejection.detail[:DETAIL_CHARS]
            fields: dict[Any, Any] = {
                "reason": rejection.reason,
                # It may quote the record, which may hold anything.
                "detail": "".join(c if c.isprintable() else "\ufffd" for c in detail),
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "time": "" if record.timestamp_ms is None else record.timestamp_ms,
            }
            pipeline.xadd(self._key, fields, maxlen=REJECTIONS_MAXLEN, approximate=True)


class AlertSink(DynamicSink[Alert]):
    """Alerts, each time as a whole: the newest entry of an id counts."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._key = Keys(settings.prefix).alerts

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Writer[Alert]:
        """Open a connection for one worker."""
        return _Writer(self._settings, self._write)

    def _write(self, pipeline: Pipeline, alerts: list[Alert]) -> None:
        for alert in alerts:
            told = alert_fields(alert)
            fields: dict[Any, Any] = {n: "" if v is None else v for n, v in told.items()}
            pipeline.xadd(self._key, fields, maxlen=ALERTS_MAXLEN, approximate=True)
