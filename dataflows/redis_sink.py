"""Writes panes, rolling windows and the feed to Redis, as absolute values."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Final

from bytewax.outputs import DynamicSink

from dataflows.alerting import alert_fields
from dataflows.alerts import Alert
from dataflows.clients import redis_client
from dataflows.contract import Rejection
from dataflows.events import Event, shortened
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
from dataflows.redis_writer import Command, Writer, bulk, hset
from dataflows.rolling import Update
from dataflows.settings import RedisSettings
from dataflows.telemetry import TELEMETRY, Heartbeat
from dataflows.worker import this_worker
from models.thumbnails import thumbnail

__all__ = ["AlertSink", "FeedSink", "PaneSink", "RejectionSink"]

FEED_MOST: Final = 64  # of one batch: nobody can follow more
FEED_CHARS: Final = 64 * 1024  # of one entry: some hundred faces; there are 500 entries
REJECTIONS_MOST: Final = 20  # likewise
DETAIL_CHARS: Final = 200
_ROLLING: Final = ("as_of", *FIELDS, "valence", "valence_ci95", "confidence")
_ROLLING_FIELDS: Final = b"".join(bulk(name) + b"%b" for name in _ROLLING)
_number = lru_cache(maxsize=16_384)(bulk)  # most sums are small, and come again


class PaneSink(DynamicSink[tuple[str, Update]]):
    """Panes, rolling windows, `sources` and the `updates` stream."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> Writer[tuple[str, Update]]:
        """Open a connection for one worker, and start the heartbeat of the process."""
        Heartbeat.ensure(redis_client(self._settings), self._keys)
        witness = self._keys.witness(worker_index)
        return _PaneWriter(self._settings, self._write, witness=witness)

    def _write(self, items: list[tuple[str, Update]]) -> list[Command]:
        hashes: dict[tuple[int, str, int], dict[int, str]] = {}
        rolling: dict[tuple[str, int], tuple[int, Pane]] = {}
        newest: dict[str, int] = {}
        # Later values replace earlier ones of the same batch.
        for source, update in items:
            for resolution, panes in update.panes.items():
                for bucket, pane in panes.items():
                    block = resolution, source, self._keys.block(resolution, bucket)
                    fields = hashes.get(block)
                    if fields is None:
                        fields = hashes[block] = {}
                    fields[bucket] = pane.encode()
            for window, pane in update.rolling.items():
                rolling[source, window] = update.as_of, pane
            if source != ALL_SOURCES:
                newest[source] = update.newest_ms
        commands: list[Command] = []
        for block, fields in hashes.items():
            key = self._keys.pane(*block)
            commands.append(("HSET", key, *_flat(fields.items())))
            commands.append(("EXPIRE", key, EXPIRY_S[block[0]]))
        for (source, window), (as_of, pane) in rolling.items():
            key = self._keys.rolling(source, window)
            commands.append(hset(key, len(_ROLLING), _rolling_fields(as_of, pane)))
        if newest:
            scores = ((time_ms, source) for source, time_ms in newest.items())
            commands.append(("ZADD", self._keys.sources, *_flat(scores)))
        # Last, so that who follows the stream finds the hashes at least as new.
        entry = _entry(self._keys.updates, UPDATES_MAXLEN)
        for (resolution, source, _), fields in hashes.items():
            if resolution == 1:
                for bucket, encoded in fields.items():
                    commands.append((*entry, "source", source, "bucket", bucket, "pane", encoded))
        return commands


class _PaneWriter(Writer[tuple[str, Update]]):
    """Measures how long events took, once their panes are in Redis."""

    def write_batch(self, items: list[tuple[str, Update]]) -> None:
        super().write_batch(items)
        now_ms = time.time() * 1000
        this_worker().written += sum(update.rewritten for _, update in items)
        TELEMETRY.latency.add_all([now_ms - at for _, update in items for at in update.stamps_ms])


def _rolling_fields(as_of: int, pane: Pane) -> bytes:
    """Return names and values in turns, packed: that is most of what is written of a source."""
    mean = statistics(pane)
    means = (mean.valence, mean.valence_ci95, mean.confidence)
    return _ROLLING_FIELDS % (
        *map(_number, (as_of, *pane)),
        *[bulk(f"{value:.4f}") for value in means],
    )


def _flat(pairs: Iterable[tuple[str | int, str | int]]) -> Iterator[str | int]:
    return chain.from_iterable(pairs)


def _entry(key: str, most: int) -> tuple[str | int, ...]:
    """Return the begin of the command that adds an entry to a stream of about so many."""
    return ("XADD", key, "MAXLEN", "~", most, "*")


class FeedSink(DynamicSink[Event]):
    """The newest predictions, for the feed of the dashboard; of a large batch not all."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Writer[Event]:
        """Open a connection for one worker."""
        return Writer(self._settings, self._write, side=True)

    def _write(self, events: list[Event]) -> Iterator[Command]:
        entry = _entry(self._keys.events, EVENTS_MAXLEN)
        for event in events[-FEED_MOST:]:
            if self._settings.thumbnails:
                # First, so that who sees the event finds its pictures.
                yield from self._pictures(event)
            prediction = event.prediction
            if len(prediction) > FEED_CHARS:
                prediction = shortened(prediction)
            yield (*entry, "prediction", prediction)

    def _pictures(self, event: Event) -> Iterator[Command]:
        for number, face in enumerate(event.faces[:THUMBNAILS_MOST]):
            if face.crop is not None:
                key = self._keys.thumbnail(event.envelope.id, number)
                picture = b64encode(thumbnail(face.crop))
                yield ("SET", key, picture, "EX", THUMBNAIL_EXPIRY_S)


class RejectionSink(DynamicSink[Rejection]):
    """Where the newest rejected records stand and why; of a large batch not all."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._key = Keys(settings.prefix).rejections

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Writer[Rejection]:
        """Open a connection for one worker."""
        return Writer(self._settings, self._write, side=True)

    def _write(self, rejections: list[Rejection]) -> Iterator[Command]:
        entry = _entry(self._key, REJECTIONS_MAXLEN)
        for rejection in rejections[-REJECTIONS_MOST:]:
            record = rejection.record
            detail = rejection.detail[:DETAIL_CHARS]
            fields: dict[str, str | int] = {
                "reason": rejection.reason,
                # It may quote the record, which may hold anything.
                "detail": "".join(c if c.isprintable() else "\ufffd" for c in detail),
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "time": "" if record.timestamp_ms is None else record.timestamp_ms,
            }
            yield (*entry, *_flat(fields.items()))


class AlertSink(DynamicSink[Alert]):
    """Alerts, each time as a whole: the newest entry of an id counts."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._key = Keys(settings.prefix).alerts

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Writer[Alert]:
        """Open a connection for one worker."""
        return Writer(self._settings, self._write, side=True)

    def _write(self, alerts: list[Alert]) -> Iterator[Command]:
        entry = _entry(self._key, ALERTS_MAXLEN)
        for alert in alerts:
            told = alert_fields(alert)
            fields = {name: "" if value is None else str(value) for name, value in told.items()}
            yield (*entry, *_flat(fields.items()))
