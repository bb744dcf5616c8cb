"""Drift in the flow: sums of a batch, the step that adds them up by source, and what it writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream, StatefulBatchLogic
from bytewax.outputs import DynamicSink

from dataflows.alerts import Alert
from dataflows.blocks import Order, horizon_s
from dataflows.drift import HOUR_S, Model, Sums, count, empty, merge
from dataflows.drift_hours import Cell, DriftPartial, DriftState, Hours
from dataflows.drift_options import DriftOptions
from dataflows.drift_records import encode
from dataflows.events import Event, confirmed_ms
from dataflows.head import Head
from dataflows.keys import ALL_SOURCES, DRIFT_EXPIRY_S, Keys
from dataflows.redis_writer import Command, Writer
from dataflows.settings import RedisSettings, Settings
from dataflows.worker import this_worker

__all__ = ["DriftLogic", "DriftSink", "Told", "drift", "drift_sums"]

# Nobody looks at an hour more often, and a source may have hundreds of batches in it.
TELL_EVERY: Final = timedelta(seconds=1)


class Told(NamedTuple):
    """What Redis is to hold of a source; all values are absolute.

    Attributes:
        source: which.
        cells: sums by hour, kind and version, with the model.
        rewritten: whether everything is told once more, for a Redis that has lost it.
    """

    source: str
    cells: dict[Cell, tuple[Model, Sums]]
    rewritten: bool = False


def drift(
    events: Stream[Event], orders: KeyedStream[Order], settings: Settings
) -> tuple[Stream[Told], Stream[Alert]]:
    """Return what Redis is to hold, and what there is to tell of it."""
    sums = op.flat_map_batch("drift-sums", events, partial(drift_sums, settings.ahead_ms))
    given: KeyedStream[DriftPartial | Order] = op.merge("drift-sums-and-orders", sums, orders)
    found = op.stateful_batch("drift", given, partial(DriftLogic, settings))
    hours = op.filter_map("drift-hours", found, _hours)
    return hours, op.filter_map("drift-alerts", found, _alert)


def _hours(item: tuple[str, Told | Alert]) -> Told | None:
    return item[1] if isinstance(item[1], Told) else None


def _alert(item: tuple[str, Told | Alert]) -> Alert | None:
    return item[1] if isinstance(item[1], Alert) else None


def drift_sums(
    ahead_ms: int, events: list[Event], clock: Callable[[], float] = time.time
) -> Iterable[tuple[str, DriftPartial]]:
    """Sum what own bundles have seen in a batch, by source and over all sources.

    A time that is more than `ahead_ms` ahead of the clock (epoch s) is not confirmed by it.
    """
    found: dict[str, tuple[dict[Cell, list[int]], dict[tuple[str, str], Model], int]] = {}
    for event in events:
        if not event.seen:
            continue
        _, _, source, time_ms, _ = event.envelope
        sums, models, newest_ms = found.get(source) or ({}, {}, 0)
        found[source] = sums, models, max(newest_ms, time_ms)
        hour = time_ms // 1000 // HOUR_S * HOUR_S
        for seen in event.seen:
            model = seen.model
            cell = hour, model.kind, model.version
            columns = sums.get(cell)
            if columns is None:
                columns = sums[cell] = empty(model)
                models[cell[1:]] = model
            count(columns, seen)
    if not found:
        return ()
    total = DriftPartial(ALL_SOURCES)
    partials = []
    for source, (sums, models, newest_ms) in found.items():
        one = DriftPartial(source, {c: tuple(s) for c, s in sums.items()}, models, newest_ms)
        for cell, added in one.sums.items():
            before = total.sums.get(cell)
            total.sums[cell] = added if before is None else merge(models[cell[1:]], before, added)
        total.models |= models
        partials.append((source, one))
    newest = {source: one.newest_ms for source, one in partials}
    scored = (event for event in events if event.seen)
    total.head = Head.of(newest, confirmed_ms(scored, ahead_ms, int(clock() * 1000)))
    return [(ALL_SOURCES, total), *partials]


class DriftLogic(StatefulBatchLogic[DriftPartial | Order, Told | Alert, DriftState]):
    """By source: adds up hours, tells them about once a second, and judges them when they end."""

    def __init__(self, settings: Settings, state: DriftState | None) -> None:
        self._idle_s = settings.idle_s
        self._hours = Hours(settings.lateness_s, settings.kept_s, settings.drift, state)
        self._rewritten = False
        self._due = datetime.now(UTC)

    def on_batch(self, values: list[DriftPartial | Order]) -> tuple[list[Told | Alert], bool]:
        """Add sums, follow orders, and return what there is to tell of hours that have ended.

        The state of a source of which nothing was scored here, and that got an order, ends.
        """
        told: list[Told | Alert] = []
        for value in values:
            if isinstance(value, DriftPartial):
                told += self._hours.add(value)
            elif value is Order.TELL:
                told += self._hours.firing  # Redis has lost them
                if self._hours.touch():
                    this_worker().asked += not self._rewritten
                    self._rewritten = True
            elif value is Order.LEAVE and self._idle():
                told += self._tell()  # what is not told now never is
                told += self._hours.leave()
        return told, not self._hours.source

    def on_notify(self) -> tuple[list[Told | Alert], bool]:
        """Return the hours that have changed."""
        return [*self._tell()], self.RETAIN

    def on_eof(self) -> tuple[list[Told | Alert], bool]:
        """Return the hours that have changed."""
        return [*self._tell()], self.RETAIN

    def notify_at(self) -> datetime | None:
        """Return when to tell what has changed."""
        return self._due if self._hours.changed else None

    def snapshot(self) -> DriftState:
        """Return what has to be remembered."""
        return self._hours.snapshot()

    def _tell(self) -> Iterator[Told]:
        self._due = datetime.now(UTC) + TELL_EVERY
        if self._hours.changed:
            yield Told(self._hours.source, self._hours.take(), self._rewritten)
            self._rewritten = False

    def _idle(self) -> bool:
        horizon = horizon_s(this_worker().head.shared_ms, self._idle_s)
        return 0 < self._hours.newest_ms < horizon * 1000


class DriftSink(DynamicSink[Told]):
    """Writes hours: `…:drift:{source}:{block}`, a hash of a day of hours."""

    def __init__(self, settings: RedisSettings, options: DriftOptions) -> None:
        self._settings, self._options = settings, options
        self._keys = Keys(settings.prefix)

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Writer[Told]:
        """Open a connection for one worker."""
        witness = self._keys.witness(worker_index)
        return _HourWriter(self._settings, self._write, witness=witness)

    def _write(self, items: list[Told]) -> Iterator[Command]:
        for told in items:
            hashes: dict[str, list[str]] = {}
            for cell, (model, sums) in told.cells.items():
                key = self._keys.drift(told.source, cell[0])
                hashes.setdefault(key, []).extend(encode(cell, model, sums, self._options))
            for key, fields in hashes.items():
                yield ("HSET", key, *fields)
                yield ("EXPIRE", key, DRIFT_EXPIRY_S)


class _HourWriter(Writer[Told]):
    """Counts what was written once more, once it is in Redis."""

    def write_batch(self, items: list[Told]) -> None:
        super().write_batch(items)
        this_worker().written += sum(told.rewritten for told in items)
