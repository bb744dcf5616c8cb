"""The steps from events to updates: thin adapters between Bytewax and the pure parts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import add
from typing import Any, cast

from bytewax.operators import StatefulBatchLogic

from dataflows.blocks import (
    Change,
    Delta,
    Leave,
    Minute,
    Order,
    Partial,
    Restore,
    horizon_s,
)
from dataflows.events import Event, confirmed_ms
from dataflows.head import Head
from dataflows.keys import ALL_SOURCES
from dataflows.open_minutes import OpenMinutes
from dataflows.panes import FIELDS, Pane, count
from dataflows.rolling import Rolling, Update
from dataflows.telemetry import TELEMETRY
from dataflows.worker import this_worker

__all__ = [
    "MinuteLogic",
    "OpenMinutesLogic",
    "RollingLogic",
    "by_minute",
    "by_source",
    "partial_sums",
]

_log = logging.getLogger(__name__)

Told = Delta | Leave | Restore | Order  # what a source tells its minutes
SEPARATOR = "|"  # of source and slot in a key; the slot has none, so it splits from the end


def partial_sums(
    ahead_ms: int, events: list[Event], clock: Callable[[], float] = time.time
) -> Iterable[tuple[str, Partial]]:
    """Sum a batch by source, and over all sources, so that little crosses to other workers.

    A time that is more than `ahead_ms` ahead of the clock (epoch s) is not confirmed by it.
    """
    if not events:
        return ()
    sums: dict[str, tuple[dict[int, list[int]], list[int], list[int]]] = {}
    for envelope, observations, _, _, _ in events:
        record, _, source, time_ms, _ = envelope
        of_source = sums.get(source)
        if of_source is None:
            of_source = sums[source] = ({}, [], [])
        buckets, times_ms, stamps_ms = of_source
        second = time_ms // 1000
        columns = buckets.get(second)
        if columns is None:
            columns = buckets[second] = [0] * len(FIELDS)
        count(columns, observations)
        times_ms.append(time_ms)
        if record.timestamp_ms is not None:
            stamps_ms.append(record.timestamp_ms)
    partials = []
    everything: dict[int, list[int]] = {}
    for source, (buckets, times_ms, stamps_ms) in sums.items():
        panes = {}
        for second, columns in buckets.items():
            panes[second] = Pane(*columns)
            total = everything.get(second)
            everything[second] = columns if total is None else [*map(add, total, columns)]
        partials.append((source, Partial(source, panes, max(times_ms), stamps_ms)))
    panes = {second: Pane(*columns) for second, columns in everything.items()}
    newest = {source: partial.newest_ms for source, partial in partials}
    head = Head.of(newest, confirmed_ms(events, ahead_ms, int(clock() * 1000)))
    TELEMETRY.observations.increment(sum(pane.n for pane in panes.values()))
    worker = this_worker()
    worker.head = worker.head.merge(head)
    everyone = Partial(ALL_SOURCES, panes, head.newest_ms, head=head)
    return [(ALL_SOURCES, everyone), *partials]


class OpenMinutesLogic(StatefulBatchLogic[Partial | Order, tuple[int, Told], Any]):
    """By source: cuts partial sums by minute, and gives minutes their orders."""

    def __init__(self, kept_s: int, idle_s: int, state: Any | None) -> None:  # noqa: ANN401
        self._source: str | None
        self._source, minutes = state or (None, None)
        self._idle_s = idle_s
        self._minutes = OpenMinutes(kept_s, minutes)
        if self._source is not None:
            if self._minutes.newest_first():
                this_worker().sources[self._source] = self._minutes.newest_ms
            this_worker().resumed.add(self._source)
            this_worker().restored = True

    def on_batch(self, values: list[Partial | Order]) -> tuple[Iterable[tuple[int, Told]], bool]:
        """Return deltas and orders by slot of the minute.

        A source that has left keeps its newest event time, so that what is older is noticed.
        """
        out: list[tuple[int, Told]] = []
        for value in values:
            if isinstance(value, Partial):
                out += self._split(value)
            elif value is not Order.LEAVE:
                out += self._order(value)
            elif self._idle():
                out += self._leave()
        out += ((slot, Order.CLOSE) for slot in self._minutes.close())
        return out, self.RETAIN

    def _order(self, order: Order) -> Iterable[tuple[int, Told]]:
        minutes = self._minutes.newest_first()
        if order is Order.TELL:
            this_worker().asked += len(minutes)
            return [(self._minutes.slot(minute), order) for minute in minutes]
        restore = Restore(len(minutes), self._minutes.head)
        return [(self._minutes.slot(minute), restore) for minute in minutes]

    def _idle(self) -> bool:
        horizon = horizon_s(this_worker().head.shared_ms, self._idle_s)
        return self._source is not None and self._minutes.newest_ms < horizon * 1000

    def _leave(self) -> list[tuple[int, Told]]:
        this_worker().sources.pop(self._source or "", None)
        slots = self._minutes.leave()
        return [(slot, Leave(len(slots), self._minutes.newest_ms)) for slot in slots]

    def _split(self, partial: Partial) -> Iterable[tuple[int, Delta]]:
        self._source = partial.source
        deltas, expired = self._minutes.split(partial)
        this_worker().sources[partial.source] = self._minutes.newest_ms
        if expired:
            TELEMETRY.expired.increment(expired)
            _log.error(
                "%d events lie further back than panes are kept and are not counted; raise "
                "SENTISTREAM_RETENTION_S",
                expired,
            )
        return [(self._minutes.slot(minute), delta) for minute, delta in deltas.items()]

    def snapshot(self) -> Any:  # noqa: ANN401
        """Return the source, its newest event time and the open minutes."""
        return self._source, self._minutes.snapshot()


def by_minute(item: tuple[str, tuple[int, Told]]) -> tuple[str, Told]:
    """Move the slot of the minute from the value into the key."""
    source, (slot, told) = item
    return f"{source}{SEPARATOR}{slot}", told


def by_source(item: tuple[str, Change]) -> tuple[str, Change]:
    """Take the slot out of the key again."""
    key, change = item
    return key.rpartition(SEPARATOR)[0], change


class MinuteLogic(StatefulBatchLogic[Told, Change, Any]):
    """By source and slot: the exact panes of a minute."""

    def __init__(self, state: Any | None) -> None:  # noqa: ANN401
        self._minute = Minute(state)

    def on_batch(self, values: list[Told]) -> tuple[Iterable[Change], bool]:
        """Add deltas, return absolute values; the state ends when the minute is closed.

        Another minute may begin in the slot right after that.
        """
        changes: list[Change] = []
        ended = False
        for is_delta, group in groupby(values, key=lambda value: isinstance(value, Delta)):
            if is_delta:
                changes.append(self._minute.add(cast("Iterator[Delta]", group)))
                ended = False
                continue
            for value in group:
                if isinstance(value, Restore):
                    changes.append(self._minute.restored(value))
                elif value is Order.TELL:
                    # One for each order, since each is counted until it is written.
                    changes.append(self._minute.whole())
                else:
                    if isinstance(value, Leave):
                        changes.append(self._minute.left(value))
                    self._minute, ended = Minute(), True
        return changes, ended

    def snapshot(self) -> Any:  # noqa: ANN401
        """Return the packed panes."""
        return self._minute.snapshot()


class RollingLogic(StatefulBatchLogic[Change, Update, bool]):
    """By source: the rolling windows. What was in them comes back from the minutes."""

    def __init__(self, windows: Sequence[int], kept_s: int, resumed: bool | None) -> None:
        self._rolling = Rolling(windows, kept_s, resumed=bool(resumed))

    def on_batch(self, values: list[Change]) -> tuple[Iterable[Update], bool]:
        """Return one update for all the changes; the state ends when the source has left."""
        update = self._rolling.apply(values)
        return ([] if update is None else [update]), self._rolling.left

    def snapshot(self) -> bool:
        """Return that there is something to come back: the minutes hold it all."""
        return True
