"""Alerts in the flow: the step that watches the panes, and what is told of an alert."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.operators import KeyedStream, StatefulBatchLogic

from dataflows.alert_options import FORGET_S, AlertOptions
from dataflows.alerts import Alert, AlertState, Watch
from dataflows.contract import format_time
from dataflows.dead_letters import Outgoing
from dataflows.keys import ALL_SOURCES
from dataflows.rolling import Update
from dataflows.stopping import STOPPING
from dataflows.worker import this_worker

__all__ = ["Silences", "alert_fields", "alert_record", "alerts"]

LOOK_EVERY: Final = timedelta(seconds=1)


def alerts(
    updates: KeyedStream[Update], silences: KeyedStream[int], options: AlertOptions
) -> Stream[Alert]:
    """Return what there is to tell of the sources."""
    watched: KeyedStream[Update | int] = op.merge("watched", updates, silences)
    keyed = op.map("by-alerts", watched, lambda item: (item[0], item))
    told = op.stateful_batch("alerts", keyed, lambda state: AlertLogic(options, state))
    return op.map("alert", told, lambda item: item[1])


class AlertLogic(StatefulBatchLogic[tuple[str, Update | int], Alert, tuple[str, AlertState]]):
    """By source: judges its panes, and hears how far others are."""

    def __init__(self, options: AlertOptions, state: tuple[str, AlertState] | None) -> None:
        self._options = options
        # The name of a new source comes with its first item.
        self._source, held = state or ("", None)
        self._watch = Watch(self._source, options, held)

    def on_batch(self, values: list[tuple[str, Update | int]]) -> tuple[Iterable[Alert], bool]:
        """Return what there is to tell; the state ends when the source was silent for long."""
        if not self._source:
            self._source = values[0][0]
            self._watch = Watch(self._source, self._options)
        told: list[Alert] = []
        for _, value in values:
            if isinstance(value, int):
                told += self._watch.hear(value)
                if self._watch.forgotten(value):
                    return [*told, *self._watch.leave()], True
                continue
            until = value.as_of if self._source == ALL_SOURCES else None
            told += self._watch.apply(value.panes.get(1, {}), until)
            if value.rewritten:
                told += self._watch.firing  # Redis has lost them
        return told, False

    def snapshot(self) -> tuple[str, AlertState]:
        """Return what has to be remembered."""
        return self._source, self._watch.snapshot()


class Silences(DynamicSource[tuple[str, int]]):
    """Tells each source that is far behind others how far they are (epoch s)."""

    def __init__(self, options: AlertOptions) -> None:
        self._options = options

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Silences:
        """Look after the sources of one worker."""
        return _Silences(self._options)


class _Silences(StatelessSourcePartition[tuple[str, int]]):
    def __init__(self, options: AlertOptions) -> None:
        self._limits_s = [FORGET_S] if options.silent_s == 0 else [options.silent_s, FORGET_S]
        self._settle_s = options.settle_s
        self._told: dict[str, tuple[int, int]] = {}  # source → its newest second, limits passed
        self._awake = datetime.now(UTC)

    def next_batch(self) -> Iterable[tuple[str, int]]:
        """Return the sources that have just passed a limit, mostly none.

        Raises:
            StopIteration: the flow is to end.
        """
        if STOPPING.requested:
            raise StopIteration
        self._awake = datetime.now(UTC) + LOOK_EVERY
        worker = this_worker()
        head = worker.head.shared_ms // 1000
        told, self._told = self._told, {}
        news = []
        for source, newest_ms in worker.sources.items():
            newest = newest_ms // 1000
            behind = head - self._settle_s - newest
            passed = sum(behind > limit for limit in self._limits_s)
            if source == ALL_SOURCES or not passed:
                continue
            self._told[source] = newest, passed
            if told.get(source) != (newest, passed):
                news.append((source, head))
        return news

    def next_awake(self) -> datetime | None:
        """Return when to look again."""
        return self._awake


def alert_fields(alert: Alert) -> dict[str, str | float | int | None]:
    """Return an alert as it is written; `ended` is `None` while it lasts."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "source": alert.source,
        "state": alert.state,
        "started": alert.started,
        "ended": alert.ended,
        "value": alert.value,
        "baseline": alert.baseline,
    }


def alert_record(alert: Alert) -> Outgoing:
    """Return the record of an alert, with CloudEvents headers; the key is the source."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{alert.id}/{alert.state}",
        "ce_source": alert.source,
        "ce_time": format_time((alert.started if alert.ended is None else alert.ended) * 1000),
        "ce_type": "sentistream.alert",
        "content-type": "application/json",
    }
    return Outgoing(
        alert.source.encode(),
        json.dumps(alert_fields(alert)).encode(),
        tuple((name, value.encode()) for name, value in headers.items()),
    )
